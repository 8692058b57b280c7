"""Whose hours, when and where: the closed sessions of some dates, as little of each as paper needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple


class Worked(NamedTuple):
    """One closed session and what it counts; times are UTC milliseconds."""

    session: int
    person_ref: str
    """The person kept, where two records were merged."""
    machine: str
    process: str | None
    """The one decided, where a decision credits something."""
    start_ms: int
    end_ms: int
    approved_ms: int
    waiting_ms: int
    """Credited if an instructor approves; also where a decision was undone."""


_WORKED = """
    SELECT share.session, coalesce(people.merged_into, share.person_ref), share.machine, nullif(share.process, ''),
        start_ms, end_ms, approved_ms, waiting_ms
    FROM session_shares AS share JOIN sessions USING (session)
    LEFT JOIN people ON people.person_ref = share.person_ref
    WHERE {whose} AND share.local_date BETWEEN ? AND ?
    ORDER BY start_ms, share.session
"""


def worked(
    connection: sqlite3.Connection, first_date: str, last_date: str, person_refs: Collection[str] | None = None
) -> Iterator[Worked]:
    """The sessions that began on these local dates (ISO, both included), of these people or of all, by start."""
    whose, refs = "true", tuple(person_refs or ())
    if person_refs is not None:
        refs += tuple(_doubles(connection, refs))
        whose = f"share.person_ref IN ({', '.join('?' * len(refs))})"
    rows = connection.execute(_WORKED.format(whose=whose), (*refs, first_date, last_date))
    return (Worked(*row) for row in rows)


def _doubles(connection: sqlite3.Connection, refs: tuple[str, ...]) -> Iterator[str]:
    """Those who were merged into one of these."""
    marks = ", ".join("?" * len(refs))
    rows = connection.execute(f"SELECT person_ref FROM people WHERE merged_into IN ({marks})", refs)  # noqa: S608
    return (ref for (ref,) in rows)
