"""A damaged database is put aside in plain sight: nothing of it is deleted, and nothing empty takes its place unseen.

The log that is begun afterwards names the one that was put aside (`heritage`). What is aside stays until a person takes
it away, and is counted until then.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kiosk.store.examine import examine
from kiosk.store.ledger import Ledger
from kiosk.store.schema import DamagedError, StoreError, hold, open_held
from kiosk.store.succession import later_stamp, marked, move_companions, named

log = logging.getLogger(__name__)

MARK = ".damaged-"
_DAMAGED_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF

Vouched = Callable[[Ledger], int]
"""Of a ledger: how many of its first entries need not be looked at now."""


def open_sound(path: Path, wall_ms: int | None, vouched: Vouched = lambda _ledger: 0) -> sqlite3.Connection:
    """As `open_writer`; a database that is damaged is put aside first, under the time `wall_ms`, and a new one made.

    Without `wall_ms` nothing is moved and a damaged one is a StoreError: only a kiosk that starts may begin a new log.
    """
    lock = hold(path)
    try:
        finish_putting_aside(path)
        what = what_is_damaged(path, lambda connection: _examine(connection, vouched))
        if what is not None and wall_ms is None:
            raise StoreError(f"{path} is damaged ({what}): start sheber run, which puts it aside and begins a new log")
        if what is not None and wall_ms is not None:
            aside = _put_aside(path, wall_ms)
            log.critical("the ledger %s is damaged (%s): it is kept as %s, and a new log begins", path, what, aside)
        return open_held(path, lock)
    except BaseException:
        lock.close()
        raise


def put_aside(path: Path) -> list[Path]:
    """The databases that were put aside from `path`, oldest first."""
    return marked(path, MARK)


def is_damage(error: BaseException) -> bool:
    """Does an error mean that the file is not as it was written, and not that the disk or its owner refuses it?"""
    # A text that is no UTF-8 is damage too, and the one such error without a code of SQLite's own.
    if isinstance(error, sqlite3.DatabaseError):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & _PRIMARY in _DAMAGED_CODES
    return isinstance(error, DamagedError)


def what_is_damaged(path: Path, examination: Callable[[sqlite3.Connection], None] | None = None) -> str | None:
    """What is damaged, seen without changing a byte; None also where the opening itself will say what is wrong.

    `examination` raises what it finds; left out, everything is examined.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (examination or _examine)(connection)
    except sqlite3.DatabaseError as error:
        return str(error) if is_damage(error) else None
    except (StoreError, TypeError, ValueError) as error:
        return str(error)
    return None


def _examine(connection: sqlite3.Connection, vouched: Vouched = lambda _ledger: 0) -> None:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone()
    for _ in examine(connection, vouched(Ledger(connection)) if known else 0):
        pass


def _put_aside(path: Path, wall_ms: int) -> Path:
    """Rename the database and what belongs to it."""
    aside = named(path, MARK, later_stamp(path, wall_ms, MARK))
    try:
        path.rename(aside)
        move_companions(path, aside)
    except OSError as error:
        raise StoreError(f"the damaged {path} cannot be put aside: {error.strerror}; check the disk") from error
    return aside


def finish_putting_aside(path: Path) -> None:
    """After a power cut in the middle: SQLite would delete a write-ahead log whose database has gone."""
    before = put_aside(path)
    if before and not path.exists():
        move_companions(path, before[-1])
