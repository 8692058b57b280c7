"""What people did, newest first: for the audit page and for somebody's dated history.

Acts of the ledger are derived and have its numbers; `make_anew` makes them again. Acts beside it (sign-ins, exports,
backups) are kept by a rebuild and go over into a new log. A person who was merged with another is counted as that one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

OFFICE = 1 << 40
"""Acts beside the ledger are numbered from here on; those of the ledger below it, as their entries are."""

LEDGER_KINDS = (
    "session_reviewed",
    "manual_session_entered",
    "competency_signed",
    "qualification_granted",
    "badge_assigned",
    "badge_blocked",
    "consent_given",
    "consent_withdrawn",
    "contract_recorded",
    "machine_locked",
    "session_questioned",
    "clock_anchored",
    "session_closed",
    "person_recorded",
    "person_merged",
    "person_erased",
    "record_released",
)
"""The types of entries that are somebody's act; `clock_anchored` and `session_closed` only where somebody did it."""
OFFICE_KINDS = (
    "signed_in",
    "sign_in_failed",
    "signed_out",
    "password_changed",
    "pin_changed",
    "account_added",
    "account_changed",
    "imported",
    "exported",
    "backed_up",
    "programmes_imported",
)
KINDS = LEDGER_KINDS + OFFICE_KINDS


class Act(NamedTuple):
    """One thing that was done."""

    id: int
    """The same after a rebuild."""
    seq: int | None
    """The entry that tells of it; None for what is beside the ledger."""
    at_ms: int
    """UTC, by the kiosk's clock; while that was not synchronised, no earlier than the act before."""
    kind: str
    """One of `KINDS`."""
    by: str | None
    """The account's `user_ref`, or the instructor's `person_ref` where they have none."""
    person_ref: str | None
    """Whom it is about; the person kept, where two records were merged."""
    session: int | None
    machine: str | None
    subject: str
    """What of the kind: the decision, the reason, `<qualification>:<until>`, and so on; never a name."""


_COLUMNS = 'id, at_ms, kind, "by", person_ref, session, machine, subject'
# What a clock that was not synchronised showed is negative here, until the next statement.
_FILL = f"""
    INSERT INTO acts ({_COLUMNS})
    SELECT id, iif(synced, wall_ms, -1 - wall_ms), kind, "by", person_ref, session, machine, subject
    FROM ledger_acts WHERE id >= ?
"""  # noqa: S608 - names of our own
# It shows what it likes: such an act counts as no earlier than the one before it. In the order of the rows, so that the
# one before is known already; the plus keeps to it.
_DATE = """
    UPDATE acts SET at_ms = (
        SELECT max(iif(era.at_ms < 0, -1 - era.at_ms, era.at_ms)) FROM acts AS era
        WHERE era.id <= acts.id AND era.id >= coalesce(
            (SELECT known.id FROM acts AS known WHERE known.id < acts.id AND known.at_ms >= 0
             ORDER BY known.id DESC LIMIT 1), 0)
    ) WHERE +at_ms < 0 AND id >= ?
"""
# A blocked badge's entry does not say whose it was.
_WHOSE_BADGE = """
    UPDATE acts SET person_ref = (
        SELECT given.person_ref FROM acts AS given
        WHERE given.kind = 'badge_assigned' AND given.subject = acts.subject AND given.id < acts.id
        ORDER BY given.id DESC LIMIT 1
    ) WHERE kind = 'badge_blocked' AND id >= ?
"""
# A person who was merged is shown as the one kept, but where that itself is told.
_SHOWN = f"""
    SELECT id, iif(id < {OFFICE}, id, NULL), at_ms, kind, "by",
        iif(kind = 'person_merged', person_ref, coalesce(
            (SELECT merged_into FROM people WHERE people.person_ref = found.person_ref), person_ref)),
        session, machine, subject
"""  # noqa: S608 - names of our own


def acts(
    connection: sqlite3.Connection,
    *,
    limit: int = 50,
    before: tuple[int, int] | None = None,
    by: str | None = None,
    kinds: Collection[str] = (),
    person_ref: str | None = None,
    first_ms: int | None = None,
    last_ms: int | None = None,
) -> list[Act]:
    """The newest acts that fit, at most `limit`; `before` is (at_ms, id) of the last one on the page before.

    `person_ref` also finds what was about those who were merged into that person. Both times are included.
    """
    narrow = "at_ms BETWEEN :first_ms AND :last_ms"
    if before is not None:
        narrow += " AND (at_ms < :before_ms OR id < :before_id)"
    if by is not None:
        narrow += ' AND "by" = :by'
    latest = [each for each in (last_ms, before and before[0]) if each is not None]
    given: dict[str, object] = {
        "limit": limit,
        "by": by,
        "first_ms": -(1 << 63) if first_ms is None else first_ms,
        "last_ms": min(latest, default=(1 << 63) - 1),
        "before_ms": before and before[0],
        "before_id": before and before[1],
    }
    walks = list(_walks(connection, given, by, sorted(set(kinds)), person_ref))
    # Each walk goes down one index and stops at the limit; what they find is merged.
    found = " UNION ALL ".join(
        f"SELECT * FROM (SELECT {_COLUMNS} FROM acts WHERE {walk} AND {narrow}"  # noqa: S608 - names of our own
        " ORDER BY at_ms DESC, id DESC LIMIT :limit)"
        for walk in walks
    )
    rows = connection.execute(f"{_SHOWN} FROM ({found}) AS found ORDER BY at_ms DESC, id DESC LIMIT :limit", given)
    return [Act(*row) for row in rows]


def _walks(
    connection: sqlite3.Connection, given: dict[str, object], by: str | None, kinds: list[str], person_ref: str | None
) -> Iterator[str]:
    """The conditions that each are a stretch of one index; their values go into `given`."""
    given |= {f"kind{number}": kind for number, kind in enumerate(kinds)}
    if person_ref is not None:
        merged = connection.execute("SELECT person_ref FROM people WHERE merged_into = ?", (person_ref,))
        for number, ref in enumerate((person_ref, *(ref for (ref,) in merged))):
            given[f"person{number}"] = ref
            # Of one person there are few: the index of kinds would lead through everybody's.
            among = f" AND +kind IN ({', '.join(f':kind{each}' for each in range(len(kinds)))})" if kinds else ""
            yield f"person_ref = :person{number}{among}"
    elif kinds or by is not None:
        given |= {f"kind{number}": kind for number, kind in enumerate(kinds or KINDS)}
        for number in range(len(kinds or KINDS)):
            yield f"kind = :kind{number}"
    else:
        yield "true"


def act(connection: sqlite3.Connection, act_id: int) -> Act | None:
    """One act by its number, or None."""
    row = connection.execute(f"{_SHOWN} FROM acts AS found WHERE id = ?", (act_id,)).fetchone()
    return None if row is None else Act(*row)


def note(
    connection: sqlite3.Connection,
    at_ms: int,
    kind: str,
    by: str | None,
    subject: str = "",
    *,
    person_ref: str | None = None,
    session: int | None = None,
    machine: str | None = None,
) -> None:
    """Keep an act that is beside the ledger. The caller commits, and puts no name, badge or birth date in `subject`."""
    if kind not in OFFICE_KINDS:
        raise ValueError(f"{kind!r} is no act beside the ledger: give one of OFFICE_KINDS")
    (last,) = connection.execute("SELECT max(id) FROM acts").fetchone()
    connection.execute(
        f"INSERT INTO acts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names of our own
        (max(OFFICE, (last or 0) + 1), at_ms, kind, by, person_ref, session, machine, subject),
    )


def follow(connection: sqlite3.Connection, seq: int) -> None:
    """Add the acts that the ledger tells from entry `seq` on; none of them is there yet. The caller commits."""
    for statement in (_FILL, _DATE, _WHOSE_BADGE):
        connection.execute(statement, (seq,))


def make_anew(connection: sqlite3.Connection) -> None:
    """Make the ledger's acts again, all of them. The caller commits."""
    connection.execute("DELETE FROM acts WHERE id < ?", (OFFICE,))
    follow(connection, 0)
