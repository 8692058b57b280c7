"""What a failing disk looks like, and whether it still holds what was acknowledged before it failed."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from kiosk.proofs import completed_nodes, leaf_hash
from kiosk.store.ledger import Ledger

DISK_FULL = "disk_full"
READ_ONLY = "read_only"
DISK_FAULT = "disk_fault"
HISTORY_DAMAGED = "history_damaged"

TAIL = 256
"""Entries read again after the disk failed."""
_NO_ROOM_BYTES = 64 * 1024
"""With less than this, SQLite's shared memory and log no longer fit: whatever it calls its error, the disk is full."""
_PRIMARY = 0xFF
_SQLITE = {
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: DISK_FAULT,
    sqlite3.SQLITE_CANTOPEN: DISK_FAULT,
}
_SYSTEM = {errno.ENOSPC: DISK_FULL, errno.EDQUOT: DISK_FULL, errno.EROFS: READ_ONLY, errno.EIO: DISK_FAULT}


class HistoryDamagedError(Exception):
    """The disk no longer holds what it held when it was acknowledged."""


def disk_fault(error: BaseException, folder: Path) -> str | None:
    """The code of a storage fault that may pass (`disk_full`, `read_only`, `disk_fault`, `history_damaged`).

    None for everything else. A StoreError is judged by its cause, and a vague error by what `folder` says of itself.
    """
    if isinstance(error, HistoryDamagedError):
        return HISTORY_DAMAGED
    code = None
    if isinstance(error, sqlite3.Error):
        code = _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    elif isinstance(error, OSError):
        code = _SYSTEM.get(error.errno or 0)
    if code is None:
        return None if error.__cause__ is None else disk_fault(error.__cause__, folder)
    return _said_by(folder) or code if code == DISK_FAULT else code


def _said_by(folder: Path) -> str | None:
    """SQLite calls many things a disk I/O error; the file system knows better."""
    with suppress(OSError):
        disk = os.statvfs(folder)
        if disk.f_flag & os.ST_RDONLY:
            return READ_ONLY
        if disk.f_bavail * disk.f_frsize < _NO_ROOM_BYTES:
            return DISK_FULL
    return None


def forget_cache(database: Path) -> None:
    """Have the next reads come from the disk: after a failed fsync the cache may show what was never written."""
    for path in (database, database.with_name(f"{database.name}-wal")):
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def require_tail(connection: sqlite3.Connection, seq: int, data: bytes) -> None:
    """Raise HistoryDamagedError unless entry `seq` holds `data`, and the last entries give the tree's hashes."""
    ledger = Ledger(connection)
    if ledger.entry(seq) != data:
        raise HistoryDamagedError(f"entry {seq} was acknowledged, but is not on the disk as it was written")
    rows = connection.execute("SELECT seq, bytes, leaf FROM ledger WHERE seq >= ? ORDER BY seq", (ledger.size - TAIL,))
    for number, entry, leaf in rows.fetchall():
        nodes = completed_nodes(number, leaf_hash(entry), ledger.node)
        if bytes(leaf) != nodes[0][2] or any(ledger.node(level, index) != kept for level, index, kept in nodes[1:]):
            raise HistoryDamagedError(f"entry {number} does not give the hashes that were kept of it")
