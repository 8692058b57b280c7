"""What the disk takes for the least that could be called durable: one commit, one fdatasync."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

ROW_BYTES = 400
"""About one entry of the ledger."""
SYNC_BYTES = 4096


class Floor:
    """A database and a file of its own, beside the kiosk's."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, bytes BLOB)")
        self._file = os.open(folder / "floor.bin", os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self._file, os.urandom(SYNC_BYTES), 0)
        os.fsync(self._file)
        for _ in range(20):
            self.commit_s()
            self.sync_s()

    def commit_s(self) -> float:
        """Seconds for one row in one transaction with synchronous=FULL."""
        data = os.urandom(ROW_BYTES)
        began_s = time.monotonic()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO rows (bytes) VALUES (?)", (data,))
        self._connection.execute("COMMIT")
        return time.monotonic() - began_s

    def sync_s(self) -> float:
        """Seconds to write one page in place and synchronise it."""
        data = os.urandom(SYNC_BYTES)
        began_s = time.monotonic()
        os.pwrite(self._file, data, 0)
        os.fdatasync(self._file)
        return time.monotonic() - began_s

    def close(self) -> None:
        """Close both."""
        self._connection.close()
        os.close(self._file)
