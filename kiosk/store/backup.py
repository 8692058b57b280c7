"""A consistent copy of the database while the kiosk runs. It counts as a backup only because it was verified.

A plain copy of the file loses what is still in the write-ahead log and looks healthy (reliability, finding 9).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, is_sheber_database, open_reader
from kiosk.store.succession import synchronise
from kiosk.store.verify import Progress, verify


@dataclass(frozen=True)
class BackupReport:
    """What a verified copy holds."""

    path: Path
    entries: int
    root: bytes


def backup(source: sqlite3.Connection | Path, target: Path, progress: Progress | None = None) -> BackupReport:
    """Copy `source` (a connection of this thread, or a database's path) to `target`; verify, then give it its name.

    Replaces only an older backup; the copy is one file of mode 0600. Raises StoreError, and leaves nothing
    behind, where the copy cannot be made or what was copied does not verify.
    """
    if isinstance(source, Path):
        with closing(open_reader(source)) as connection:
            return backup(connection, target, progress)
    (_number, _name, running) = source.execute("PRAGMA database_list").fetchone()
    if target.exists() and target.samefile(running):
        raise StoreError(f"{target} is the running database itself: give the backup another name")
    if target.exists() and not (target.is_file() and is_sheber_database(target)):
        raise StoreError(f"{target} exists and is no Sheber backup: give the backup another name")
    if any(target.with_name(target.name + ending).exists() for ending in (".lock", "-wal", "-journal")):
        raise StoreError(f"{target} is in use as a database: give the backup another name")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise StoreError(f"cannot write into {target.parent}: {error.strerror}; choose another folder") from error
    part = Path(name)
    try:
        report = _copy(source, part, target, progress)
        synchronise(part)
        part.replace(target)
        synchronise(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the backup {target} could not be written: {error}; check the room on that disk") from error
    finally:
        part.unlink(missing_ok=True)
    return report


def _copy(source: sqlite3.Connection, part: Path, target: Path, progress: Progress | None) -> BackupReport:
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file to carry, without -wal and -shm beside it
        (health,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if health != "ok":
            raise StoreError(f"the database is damaged ({health}), so no backup was made: run sheber ledger verify")
        findings = verify(copy, progress=progress)
        if findings:
            raise StoreError(f"the ledger does not verify, so no backup was made: {findings[0].message}")
        log = Ledger(copy)
        return BackupReport(target, log.size, log.root())
