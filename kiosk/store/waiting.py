"""What waits for an instructor, and what was decided: the review's lists, each as long as a page and no longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.store import views
from kiosk.store.views import SessionView

COUNTED = 1000
"""A longer backlog is only said to be longer: counting it would take time that nobody gains."""
HISTORY = ("session_reviewed", "session_questioned", "manual_session_entered", "session_closed", "record_released")
"""What the history of a session is made of; a closing only where somebody did it."""
HISTORY_ROWS = 100

# The plus keeps the search from the index of ends, which has every session.
_PENDING = "review = 'pending' AND +end_ms IS NOT NULL"
_FLAGGED, _CLEAN = f"{_PENDING} AND flags <> '[]'", f"{_PENDING} AND flags = '[]'"
_QUESTIONED = "session IN (SELECT session FROM questions) AND review <> 'pending' AND end_ms IS NOT NULL"

_DECIDED = "review <> 'pending' AND session NOT IN (SELECT session FROM questions)"


@dataclass(frozen=True)
class Only:
    """Which sessions are asked for; what is None or empty asks for all."""

    first_date: str | None = None
    """Local, ISO; included, as is the last."""
    last_date: str | None = None
    group: str | None = None
    programme: str | None = None


@dataclass(frozen=True)
class Waiting:
    """As many as a page shows, by start, and how many there are, counted up to `COUNTED`."""

    rows: tuple[SessionView, ...]
    count: int


def exceptions(connection: sqlite3.Connection, only: Only, limit: int, *, oldest: bool = False) -> Waiting:
    """Closed sessions that an instructor must look at: flagged and waiting, or questioned since a decision.

    Whom somebody waits for an answer to comes first; of the rest the newest, which are still remembered (or the oldest,
    where that is asked for).
    """
    asked = _ids(connection, _QUESTIONED, only, limit, oldest=True)
    rest = _ids(connection, _FLAGGED, only, limit, oldest=oldest)
    count = sum(_count(connection, which, only) for which in (_FLAGGED, _QUESTIONED))
    return Waiting(_rows(connection, [*asked, *rest][:limit]), count)


def clean(connection: sqlite3.Connection, only: Only, limit: int, *, oldest: bool = False) -> Waiting:
    """Closed sessions with nothing to look at; the newest (or the oldest) `limit`."""
    found = _ids(connection, _CLEAN, only, limit, oldest=oldest)
    return Waiting(_rows(connection, found), _count(connection, _CLEAN, only))


def decided(connection: sqlite3.Connection, only: Only, limit: int) -> Waiting:
    """Sessions that were decided and do not wait again, the latest `limit`."""
    found = _ids(connection, _DECIDED, only, limit, oldest=False)
    return Waiting(_rows(connection, found), _count(connection, _DECIDED, only))


def waits(connection: sqlite3.Connection, row: SessionView) -> bool:
    """Must somebody decide on it (again)?"""
    if row.end_ms is None:
        return False
    if row.review == "pending":
        return True
    return connection.execute("SELECT 1 FROM questions WHERE session = ?", (row.session,)).fetchone() is not None


def history(connection: sqlite3.Connection, session: int) -> list[bytes]:
    """The entries of what people did about a session, newest first."""
    marks = ", ".join("?" * len(HISTORY))
    which = f"acts.session = ? AND acts.kind IN ({marks})"
    rows = connection.execute(
        f"SELECT bytes FROM acts JOIN ledger ON seq = id WHERE {which} ORDER BY id DESC LIMIT ?",  # noqa: S608
        (session, *HISTORY, HISTORY_ROWS),
    )
    return [data for (data,) in rows]


def oldest_day(connection: sqlite3.Connection) -> str | None:
    """The local date since which something waits; None where nothing does."""
    (day,) = connection.execute("SELECT min(local_date) FROM sessions WHERE review = 'pending'").fetchone()
    return None if day is None else str(day)


def groups(connection: sqlite3.Connection) -> list[str]:
    """The groups of the active roster."""
    rows = connection.execute(
        "SELECT DISTINCT grp FROM people WHERE grp IS NOT NULL AND active = 1 AND role = 'apprentice' ORDER BY grp"
    )
    return [group for (group,) in rows]


def _narrowed(only: Only) -> tuple[str, dict[str, str | None]]:
    clauses = ""
    if only.first_date:
        clauses += " AND local_date >= :first"
    if only.last_date:
        clauses += " AND local_date <= :last"
    if only.programme:
        clauses += " AND programme = :programme"
    if only.group:
        clauses += " AND person_ref IN (SELECT person_ref FROM people WHERE grp = :group)"
    return clauses, {
        "first": only.first_date,
        "last": only.last_date,
        "programme": only.programme,
        "group": only.group,
    }


def _ids(connection: sqlite3.Connection, which: str, only: Only, limit: int, *, oldest: bool) -> list[int]:
    """The sessions, the newest or oldest first."""
    clauses, values = _narrowed(only)
    turn = "" if oldest else " DESC"
    # The words are those of this module; what somebody asked for is handed in.
    rows = connection.execute(
        f"SELECT session FROM sessions WHERE {which}{clauses}"  # noqa: S608
        f" ORDER BY local_date{turn}, start_ms{turn}, session{turn} LIMIT :limit",
        values | {"limit": limit},
    )
    return [session for (session,) in rows]


def _count(connection: sqlite3.Connection, which: str, only: Only) -> int:
    clauses, values = _narrowed(only)
    (found,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM sessions WHERE {which}{clauses} LIMIT :limit)",  # noqa: S608
        values | {"limit": COUNTED},
    ).fetchone()
    return int(found)


def _rows(connection: sqlite3.Connection, sessions: Sequence[int]) -> tuple[SessionView, ...]:
    return tuple(views.sessions_by_number(connection, sessions))
