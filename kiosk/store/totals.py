"""Sums that pages need and must not add up themselves: a person's months, a machine's days, a person's weeks.

Triggers on `sessions` keep them (tables, m003). The law: at any time they are what the rows of sessions add up to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

TRIGGERS = ("sessions_counted", "sessions_uncounted", "sessions_recounted", "sessions_discounted")


class PersonTotal(NamedTuple):
    """A person's closed sessions of one month, work process and machine."""

    person_ref: str
    month: str
    """Of the start, by the lab's dates: `YYYY-MM`."""
    process: str | None
    """The one decided where a decision credits something, else the session's own."""
    machine: str
    presence_ms: int
    """Also of rejected sessions."""
    approved_ms: int
    """Credited by an instructor's decision."""
    waiting_ms: int
    """Credited if an instructor approves."""
    sessions: int
    waiting: int
    """How many of them wait for an instructor."""


class ProcessTotal(NamedTuple):
    """A person's closed sessions of one work process, over all machines and months; as in `PersonTotal`."""

    person_ref: str
    process: str | None
    presence_ms: int
    approved_ms: int
    waiting_ms: int
    sessions: int
    waiting: int


class MachineDay(NamedTuple):
    """How long a machine was in a state with somebody on it, added up over the people and observers on it."""

    machine: str
    local_date: str
    """Of the sessions' start."""
    state: str
    ms: int


class WeekTotal(NamedTuple):
    """A person's week."""

    monday: str
    """ISO date."""
    approved_ms: int
    waiting_ms: int


_PERSON_TOTALS = """
    INSERT INTO person_totals
    SELECT person_ref, process, machine, month, sum(presence_ms), sum(approved_ms), sum(waiting_ms), count(*),
        sum(waiting)
    FROM session_shares GROUP BY person_ref, process, machine, month
"""
_MACHINE_DAYS = """
    INSERT INTO machine_days
    SELECT local_date, machine, state, sum(ms) FROM session_states GROUP BY local_date, machine, state
"""
_SUMS = "sum(presence_ms), sum(approved_ms), sum(waiting_ms), sum(sessions), sum(waiting)"


def person_totals(
    connection: sqlite3.Connection,
    person_refs: Collection[str] | None = None,
    first_month: str | None = None,
    last_month: str | None = None,
) -> list[PersonTotal]:
    """The totals of these people (None: of all) in these months, both included, by person, process, machine, month."""
    whose, refs = _whose(person_refs)
    rows = connection.execute(
        "SELECT person_ref, month, nullif(process, ''), machine, presence_ms, approved_ms, waiting_ms, sessions,"  # noqa: S608
        f" waiting FROM person_totals WHERE {whose} AND month BETWEEN ? AND ?"
        " ORDER BY person_ref, process, machine, month",
        (*refs, first_month or "", last_month or "~"),
    )
    return [PersonTotal(*row) for row in rows]


def process_totals(connection: sqlite3.Connection, person_refs: Collection[str] | None = None) -> list[ProcessTotal]:
    """All that these people (None: everybody) did in each work process, by person and process."""
    whose, refs = _whose(person_refs)
    rows = connection.execute(
        f"SELECT person_ref, nullif(process, ''), {_SUMS} FROM person_totals WHERE {whose}"  # noqa: S608
        " GROUP BY person_ref, person_totals.process",
        refs,
    )
    return [ProcessTotal(*row) for row in rows]


def machine_days(
    connection: sqlite3.Connection, first_date: str, last_date: str, machine: str | None = None
) -> list[MachineDay]:
    """The days of one machine or of all, by date, machine and state; a state that did not hold is left out."""
    rows = connection.execute(
        "SELECT machine, local_date, state, ms FROM machine_days"
        " WHERE local_date BETWEEN ? AND ? AND (?3 IS NULL OR machine = ?3) ORDER BY local_date, machine, state",
        (first_date, last_date, machine),
    )
    return [MachineDay(*row) for row in rows]


def week_totals(connection: sqlite3.Connection, person_ref: str, first_date: str, last_date: str) -> list[WeekTotal]:
    """The weeks of a person with sessions that began on these local dates, both included, oldest first."""
    rows = connection.execute(
        """
        SELECT date(local_date, 'weekday 0', '-6 days') AS monday, sum(approved_ms), sum(waiting_ms)
        FROM session_shares WHERE person_ref = ? AND local_date BETWEEN ? AND ?
        GROUP BY monday ORDER BY monday
        """,
        (person_ref, first_date, last_date),
    )
    return [WeekTotal(*row) for row in rows]


def make_anew(connection: sqlite3.Connection) -> None:
    """Add all rows of sessions up again. The caller commits."""
    connection.execute("DELETE FROM person_totals")
    connection.execute("DELETE FROM machine_days")
    connection.execute(_PERSON_TOTALS)
    connection.execute(_MACHINE_DAYS)


@contextmanager
def added_up_at_the_end(connection: sqlite3.Connection) -> Iterator[None]:
    """In this block many sessions are written, and no total follows; at its end all are added up at once.

    Within such a block another one changes nothing.
    """
    marks = ", ".join("?" * len(TRIGGERS))
    triggers = connection.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name IN ({marks})",  # noqa: S608
        TRIGGERS,
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield
    if triggers:
        make_anew(connection)
    for _, sql in triggers:
        connection.execute(sql)


def _whose(person_refs: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    if person_refs is None:
        return "true", ()
    return f"person_ref IN ({', '.join('?' * len(person_refs))})", tuple(person_refs)
