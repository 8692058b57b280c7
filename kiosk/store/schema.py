"""Opening, guarding and migrating the one database file `kiosk.db`.

Durability is checked, not hoped for: WAL with `synchronous=FULL` is set and read back (reliability, finding 1), and a
second writing process is kept out by a lock (SQLite's WAL-reset fault, finding 2).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kiosk.store.succession import finish
from kiosk.store.tables import MIGRATIONS

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x53484252
"""`SHBR` in the file's header: which program a database belongs to."""
MIGRATION_SET = "kiosk"
BUSY_TIMEOUT_MS = 5_000
_FULL = 2


class StoreError(Exception):
    """The database cannot be used as asked; one sentence with what to do."""


class DamagedError(StoreError):
    """The database is not as it was written."""


class _Writer(sqlite3.Connection):
    """A connection that gives up its lock when it closes."""

    lock: BinaryIO | None = None

    def close(self) -> None:
        super().close()
        if self.lock is not None:
            self.lock.close()


def open_writer(path: Path) -> sqlite3.Connection:
    """The one writing connection; makes or migrates the file. For the calling thread only.

    Raises StoreError where another process writes, where the disk or file is damaged or full, where the file is another
    program's or a newer version's, and where durability cannot be had.
    """
    lock = hold(path)
    try:
        return open_held(path, lock)
    except BaseException:
        lock.close()
        raise


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; sees committed data, also while a kiosk runs. For the calling thread only."""
    connection = open_older_reader(path)
    if _version(connection) != len(MIGRATIONS):
        connection.close()
        raise StoreError(f"{path} is of an older version: start sheber run once, which brings it up to date")
    return connection


def open_older_reader(path: Path) -> sqlite3.Connection:
    """As `open_reader`, also of a file that an older version wrote."""
    if not path.is_file():
        raise StoreError(f"there is no database {path}: check the data folder, or start sheber run once")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        _require_ours(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


@contextmanager
def write(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it is on disk when the block ends, or nothing of it.

    BEGIN IMMEDIATE takes the write lock first, so that waiting works (facts, 3); whatever is raised rolls back.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """What a reader sees in this block is all of one moment, whatever is written meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def empty_log(connection: sqlite3.Connection) -> bool:
    """Bring the write-ahead log home and cut it off; False, at once, while somebody still reads from it."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return not busy


def is_sheber_database(path: Path) -> bool:
    """Whether the file carries our mark; False also where it is no database at all."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return _pragma(connection, "application_id") == APPLICATION_ID
    except sqlite3.Error:
        return False


def hold(path: Path) -> BinaryIO:
    """The right to write `path`, for one process at a time, until it is closed; StoreError where another has it.

    A restore that a power cut stopped half-way is finished first.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        raise StoreError(
            f"cannot use the data folder {path.parent}: {error.strerror}; check its owner and mode"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreError(f"another process writes {path}: stop that kiosk first, or ask it instead") from error
    try:
        finish(path)
    except OSError as error:
        lock.close()
        raise StoreError(f"a restore of {path} cannot be finished: {error.strerror}; check the disk") from error
    return lock


def open_held(path: Path, lock: BinaryIO) -> sqlite3.Connection:
    """As `open_writer`, for who holds `path` already; the connection closes `lock`, an error leaves it held."""
    try:
        # The file holds names: its owner alone reads it. SQLite gives the -wal and -shm files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, factory=_Writer)
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from error
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _require_ours(connection, path)
        _require_durable(connection, path)
        # After a sync that failed, the log may be in memory only: what is read of it is written and synchronised anew.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA foreign_keys=ON")
        # What is deleted is overwritten: of somebody who was erased, no name may be left in a free page.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA recursive_triggers=ON")  # REPLACE then meets the DELETE triggers too
        if _version(connection) < len(MIGRATIONS):
            _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    connection.lock = lock
    return connection


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError for another program's file and for one that a newer version of ours has migrated."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return
    known = _pragma(connection, "application_id") == APPLICATION_ID
    if not known and tables != {"_sqlite_migrations"}:
        raise StoreError(f"{path} is another program's database: give Sheber a folder of its own")
    applied: set[str] = set()
    if "_sqlite_migrations" in tables:
        rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (MIGRATION_SET,))
        applied = {name for (name,) in rows}
    if applied - set(MIGRATIONS) or _version(connection) > len(MIGRATIONS):
        raise StoreError(f"{path} was written by a newer version of Sheber: install that version or a later one")


def _require_durable(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path} is on a file system without write-ahead logging: put the data on a local disk")
    connection.execute("PRAGMA synchronous=FULL")
    if _pragma(connection, "synchronous") != _FULL:
        raise StoreError(f"SQLite does not keep synchronous=FULL for {path}: use Debian's python3 and sqlite3")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to date in one transaction: a power cut leaves the old version or the new one."""
    # Imported only now: it takes longer than all the rest of a start, and is needed once in a version.
    from sqlite_utils import Database, Migrations  # noqa: PLC0415

    migrations = Migrations(MIGRATION_SET)
    for number, (name, statements) in enumerate(MIGRATIONS.items(), start=1):
        migrations(name=name)(_step(statements, number))
    with write(connection):
        migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))


def _step(statements: Iterable[str], number: int) -> Callable[[Database], None]:
    def step(database: Database) -> None:
        for statement in statements:
            database.conn.execute(statement)
        database.conn.execute(f"PRAGMA user_version={number}")
        database.conn.execute(f"PRAGMA application_id={APPLICATION_ID}")

    return step


def _version(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "user_version")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _unusable(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"cannot use the database {path}: {error}; check that the disk has room and can be written, "
        "or put back a verified backup"
    )
