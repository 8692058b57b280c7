"""Opening the small databases that other processes keep beside the kiosk's, each with one schema and one writer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kiosk.store.schema import StoreError

_FULL = 2


def open_beside(path: Path, schema: str, version: int, without: str) -> sqlite3.Connection:
    """The one writing connection, for all threads of a process that take turns; makes the file from `schema`.

    Raises StoreError where durability cannot be had (then `without` is what does not happen) and where a newer program
    wrote the file.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA synchronous").fetchone() != (_FULL,):
            raise StoreError(f"SQLite refuses synchronous=FULL for {path}; {without} without it")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise StoreError(f"{path} was written by a newer version of this program; install that one")
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
        path.chmod(0o600)
    except BaseException:
        connection.close()
        raise
    return connection
