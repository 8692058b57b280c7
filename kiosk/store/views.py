"""What the fold keeps for the screens: sessions and machines as rows. Derived; `clear` and fold again at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from kiosk.proofs import canonical, read
from kiosk.store import acts, outbox, totals


class SessionView(NamedTuple):
    """One session as the last fold left it; times are UTC milliseconds (hours, sections 3 to 7)."""

    session: int
    """The seq of its `session_opened` entry."""
    person_ref: str
    machine: str
    programme: str | None
    process: str | None
    role: str
    """`operator` or `observer`."""
    start_ms: int
    end_ms: int | None
    """None while open; the numbers are then those of the last fold."""
    local_date: str
    """Of the start, in the lab's zone, `YYYY-MM-DD`."""
    reason: str | None
    closed_by: str | None
    presence_ms: int
    by_state: Mapping[str, int]
    credited_ms: int
    unverified_ms: int
    uncredited: Mapping[str, int]
    """Milliseconds by reason code."""
    evidence: str
    flags: tuple[str, ...] = ()
    """Worst first; a session with none is clean."""
    review: str = "pending"
    """`pending`, `approved`, `adjusted` or `rejected`."""
    decided_by: str | None = None
    decided_at_ms: int | None = None
    decided_reason: str | None = None
    decided_text_hash: str | None = None
    decided_credited_ms: int | None = None
    decided_process: str | None = None
    batch: int | None = None
    """How many were decided in the same gesture."""
    decided_mark: str | None = None
    """`badge` where the instructor's badge alone said who decided."""
    told: int | None = None
    """Closed by others: the entry of the person's next tap, which tells them."""
    idle_at_ms: int | None = None
    """While open: when it will have stood idle too long if nothing changes."""


@dataclass(frozen=True)
class MachineView:
    """A machine's state now, and since when."""

    machine: str
    state: str
    since_ms: int
    locked: bool


@dataclass(frozen=True)
class Credit:
    """A person's time in one process: decided counts, pending waits for an instructor."""

    decided_ms: int
    pending_ms: int


DERIVED = {
    "sessions": "true",
    "machines": "true",
    "outbox": "true",
    "qualifications": "true",
    "sign_offs": "true",
    "questions": "true",
    "person_totals": "true",
    "machine_days": "true",
    "acts": f"id < {acts.OFFICE}",
}
"""The tables that a rebuild makes again, and which rows of them."""
_COLUMNS = SessionView._fields
_JSON_COLUMNS = frozenset({"by_state", "uncredited", "flags"})
_JSON_PLACES = tuple(place for place, name in enumerate(_COLUMNS) if name in _JSON_COLUMNS)
# The names are those of the dataclass above, never input.
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM sessions"  # noqa: S608
_PUT = f"INSERT OR REPLACE INTO sessions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


def put_session(connection: sqlite3.Connection, view: SessionView) -> None:
    """Write the row of one session, new or changed."""
    connection.execute(_PUT, _to_row(view))


def put_sessions(connection: sqlite3.Connection, made: Iterable[SessionView]) -> None:
    """Write the rows of many sessions, new or changed."""
    connection.executemany(_PUT, map(_to_row, made))


def put_machine(connection: sqlite3.Connection, machine: str, state: str, since_ms: int, locked: bool) -> None:
    """Write the row of one machine, new or changed."""
    connection.execute(
        "INSERT OR REPLACE INTO machines (machine, state, since_ms, locked) VALUES (?, ?, ?, ?)",
        (machine, state, since_ms, int(locked)),
    )


def clear(connection: sqlite3.Connection) -> None:
    """Throw away all that is derived; receipts and checkpoints stay."""
    with totals.added_up_at_the_end(connection):
        for table, derived in DERIVED.items():
            connection.execute(f"DELETE FROM {table} WHERE {derived}")  # noqa: S608 - names of our own


@contextmanager
def made_anew(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is derived is cleared, and what the ledger alone tells is written; this block writes what a state tells.

    Totals are added up at its end. Indexes are made of all rows at once.
    """
    with _indexed_at_the_end(connection, "sessions"):
        with _indexed_at_the_end(connection, "acts"):
            clear(connection)
            acts.make_anew(connection)
        outbox.make_anew(connection)
        with totals.added_up_at_the_end(connection):
            yield


@contextmanager
def _indexed_at_the_end(connection: sqlite3.Connection, table: str) -> Iterator[None]:
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, sql in indexes:
        connection.execute(sql)


def session(connection: sqlite3.Connection, session_id: int) -> SessionView | None:
    """One session, or None."""
    row = connection.execute(f"{_SELECT} WHERE session = ?", (session_id,)).fetchone()
    return None if row is None else _from_row(row)


def sessions_by_number(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[SessionView]:
    """These sessions, as far as there are any, by start."""
    rows = connection.execute(
        f"{_SELECT} WHERE session IN (SELECT value FROM json_each(?)) ORDER BY start_ms, session",  # noqa: S608 - our names
        (canonical([*numbers]).decode(),),
    )
    return _all(rows)


def sessions_of_dates(connection: sqlite3.Connection, first_date: str, last_date: str) -> list[SessionView]:
    """The sessions that began on these local dates, both included, by start."""
    rows = connection.execute(
        f"{_SELECT} WHERE local_date BETWEEN ? AND ? ORDER BY start_ms, session", (first_date, last_date)
    )
    return _all(rows)


def open_sessions(connection: sqlite3.Connection) -> list[SessionView]:
    """The sessions that run now, by start."""
    return _all(connection.execute(f"{_SELECT} WHERE end_ms IS NULL ORDER BY start_ms, session"))


def machine_sessions(connection: sqlite3.Connection, machine: str, first_date: str, limit: int) -> list[SessionView]:
    """The newest sessions on a machine that began on that local date or later, at most `limit`, newest first."""
    rows = connection.execute(
        f"{_SELECT} WHERE machine = ? AND local_date >= ? ORDER BY local_date DESC, start_ms DESC LIMIT ?",
        (machine, first_date, limit),
    )
    return _all(rows)


def newest_pending(connection: sqlite3.Connection, flag: str) -> SessionView | None:
    """The last opened of the closed sessions that wait for an instructor and have this flag, or None."""
    row = connection.execute(
        f"{_SELECT} WHERE review = 'pending' AND +end_ms IS NOT NULL"  # noqa: S608 - names of our own
        " AND EXISTS (SELECT 1 FROM json_each(flags) WHERE value = ?) ORDER BY +session DESC LIMIT 1",
        (flag,),
    ).fetchone()
    return None if row is None else _from_row(row)


def person_day(connection: sqlite3.Connection, person_ref: str, local_date: str) -> list[SessionView]:
    """A person's sessions of one local date, by start."""
    rows = connection.execute(
        f"{_SELECT} WHERE person_ref = ? AND local_date = ? ORDER BY start_ms, session", (person_ref, local_date)
    )
    return _all(rows)


def told_by(connection: sqlite3.Connection, person_ref: str, seq: int) -> list[SessionView]:
    """The sessions that others or the system closed and that this tap of the person tells of, by start."""
    rows = connection.execute(
        f"{_SELECT} WHERE person_ref = ? AND told = ? ORDER BY start_ms, session", (person_ref, seq)
    )
    return _all(rows)


def person_sessions(connection: sqlite3.Connection, person_ref: str) -> list[SessionView]:
    """All sessions of a person, by start."""
    return _all(connection.execute(f"{_SELECT} WHERE person_ref = ? ORDER BY start_ms, session", (person_ref,)))


def person_sessions_page(
    connection: sqlite3.Connection, person_ref: str, before: tuple[int, int] | None = None, limit: int = 50
) -> list[SessionView]:
    """A person's latest sessions, newest first; `before` is (start_ms, session) of the last on the page before."""
    start_ms, session_id = before if before is not None else (1 << 62, 1 << 62)
    # The date leads down the index, from the day where the page before ended.
    rows = connection.execute(
        f"{_SELECT} WHERE person_ref = :person"  # noqa: S608 - names of our own
        " AND local_date <= coalesce((SELECT local_date FROM sessions WHERE session = :session), '~')"
        " AND (start_ms < :start OR (start_ms = :start AND session < :session))"
        " ORDER BY local_date DESC, start_ms DESC, session DESC LIMIT :limit",
        {"person": person_ref, "start": start_ms, "session": session_id, "limit": limit},
    )
    return _all(rows)


def credited_by_process(connection: sqlite3.Connection, person_ref: str) -> dict[str | None, Credit]:
    """A person's time by process: decided as it was decided, what waits apart, rejected left out."""
    rows = connection.execute(
        """
        SELECT nullif(process, ''), sum(approved_ms), sum(waiting_ms)
        FROM person_totals WHERE person_ref = ? GROUP BY person_totals.process ORDER BY person_totals.process
        """,
        (person_ref,),
    )
    return {process: Credit(decided, pending) for process, decided, pending in rows}


def machines(connection: sqlite3.Connection) -> list[MachineView]:
    """Every machine, by id."""
    rows = connection.execute("SELECT machine, state, since_ms, locked FROM machines ORDER BY machine")
    return [MachineView(machine, state, since_ms, bool(locked)) for machine, state, since_ms, locked in rows]


def _to_row(view: SessionView) -> list[object]:
    row: list[Any] = list(view)
    for place in _JSON_PLACES:
        value = row[place]
        row[place] = _words(value) if type(value) is tuple else canonical(dict(value)).decode("utf-8")
    return row


@cache
def _words(flags: tuple[str, ...]) -> str:
    """Few combinations of flags stand in many rows."""
    return canonical(flags).decode("utf-8")


def _from_row(row: tuple[Any, ...]) -> SessionView:
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in _JSON_COLUMNS:
        values[name] = read(values[name])
    values["flags"] = tuple(values["flags"])
    return SessionView(**values)


def _all(rows: Iterable[tuple[Any, ...]]) -> list[SessionView]:
    return [_from_row(row) for row in rows]
