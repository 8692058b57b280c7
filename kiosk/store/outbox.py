"""What is to be delivered to whom, written in the same transaction as the fact; and the receipts, which are kept.

An outbox row is the seq of a `record_released` entry. Sending a row again is harmless, so nothing is ever marked as
sent: it is pending until its enterprise has receipted it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class OutboxRow:
    """One released record."""

    seq: int
    enterprise: str
    person_ref: str
    session: int | None
    """None for a record that is about no session."""


@dataclass(frozen=True)
class OutboxCount:
    """How an enterprise stands."""

    enterprise: str
    released: int
    receipted: int
    oldest_pending: int | None
    """The seq of the first record without a receipt."""

    @property
    def pending(self) -> int:
        """How many records wait."""
        return self.released - self.receipted


def put(connection: sqlite3.Connection, seq: int, enterprise: str, person_ref: str, session: int | None) -> None:
    """A record was released; again (after a rebuild) is the same."""
    connection.execute(
        "INSERT OR REPLACE INTO outbox (seq, enterprise, person_ref, session) VALUES (?, ?, ?, ?)",
        (seq, enterprise, person_ref, session),
    )


def make_anew(connection: sqlite3.Connection) -> None:
    """A row for every release that `acts` tells of. The caller commits."""
    connection.execute(
        "INSERT OR REPLACE INTO outbox (seq, enterprise, person_ref, session)"
        " SELECT id, subject, person_ref, session FROM acts WHERE kind = 'record_released' ORDER BY id"
    )


def row(connection: sqlite3.Connection, seq: int) -> OutboxRow | None:
    """The row of one released record, or None."""
    found = connection.execute(
        "SELECT seq, enterprise, person_ref, session FROM outbox WHERE seq = ?", (seq,)
    ).fetchone()
    return None if found is None else OutboxRow(*found)


def pending(connection: sqlite3.Connection, enterprise: str, size: int, limit: int, after: int = -1) -> list[OutboxRow]:
    """Records without a receipt, in order: after a seq, in the log of `size` entries, up to `limit`."""
    rows = connection.execute(
        """
        SELECT seq, enterprise, person_ref, session FROM outbox_waiting JOIN outbox USING (enterprise, seq)
        WHERE enterprise = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?
        """,
        (enterprise, after, size, limit),
    )
    return [OutboxRow(*row) for row in rows]


def released(connection: sqlite3.Connection, enterprise: str, after: int, limit: int) -> list[OutboxRow]:
    """The enterprise's records after seq `after`, receipted or not, in order, at most `limit` (for pull)."""
    rows = connection.execute(
        "SELECT seq, enterprise, person_ref, session FROM outbox WHERE enterprise = ? AND seq > ? ORDER BY seq LIMIT ?",
        (enterprise, after, limit),
    )
    return [OutboxRow(*row) for row in rows]


def receipt(connection: sqlite3.Connection, enterprise: str, seqs: Iterable[int], webhook_id: str, at_ms: int) -> None:
    """The enterprise has these records since `at_ms` (UTC); its first receipt of each stands."""
    connection.executemany(
        "INSERT OR IGNORE INTO receipts (enterprise, seq, webhook_id, at_ms) VALUES (?, ?, ?, ?)",
        ((enterprise, seq, webhook_id, at_ms) for seq in seqs),
    )


def counts(connection: sqlite3.Connection) -> list[OutboxCount]:
    """Every enterprise that something was released to, by id."""
    rows = connection.execute(
        "SELECT enterprise, released, waiting FROM outbox_counts WHERE released > 0 ORDER BY enterprise"
    )
    return [
        OutboxCount(enterprise, released, released - waiting, oldest_waiting(connection, enterprise))
        for enterprise, released, waiting in rows.fetchall()
    ]


def oldest_waiting(connection: sqlite3.Connection, enterprise: str) -> int | None:
    """The seq of the first record that it has not receipted; quick however long the history is."""
    row = connection.execute("SELECT min(seq) FROM outbox_waiting WHERE enterprise = ?", (enterprise,)).fetchone()
    return None if row[0] is None else int(row[0])


@dataclass(frozen=True)
class Unsent:
    """Records, or decided sessions without one, of one person and day that an enterprise does not have."""

    person_ref: str
    local_date: str
    evidence: str
    sessions: int
    first_seq: int
    """Of the records' entries, or of the sessions where there is no record."""


def last_receipt_ms(connection: sqlite3.Connection, enterprise: str) -> int | None:
    """When the newest of its receipts came, UTC; None where it has sent none."""
    row = connection.execute(
        "SELECT at_ms FROM receipts WHERE enterprise = ? ORDER BY seq DESC LIMIT 1", (enterprise,)
    ).fetchone()
    return None if row is None else int(row[0])


def unsent(connection: sqlite3.Connection, enterprise: str, limit: int) -> list[Unsent]:
    """The first `limit` records that wait for it, by person (of two rows the one kept, whose terms hold) and day."""
    rows = connection.execute(
        """
        SELECT person_ref, local_date, evidence, count(*), min(seq) FROM (
            SELECT outbox.seq, sessions.person_ref, sessions.local_date, sessions.evidence
            FROM outbox_waiting JOIN outbox USING (enterprise, seq) JOIN sessions ON sessions.session = outbox.session
            WHERE outbox_waiting.enterprise = ? ORDER BY outbox_waiting.seq LIMIT ?
        ) GROUP BY person_ref, local_date, evidence ORDER BY person_ref, local_date, evidence
        """,
        (enterprise, limit),
    )
    return [Unsent(*row) for row in rows]


def unreleased(connection: sqlite3.Connection, enterprise: str, first_date: str) -> list[Unsent]:
    """Sessions since that day that were approved or decided anew, with no record of that for it, by person and day.

    Also those of people who have nothing to do with it: who has is asked elsewhere.
    """
    rows = connection.execute(
        """
        WITH newest AS (
            SELECT session, max(seq) AS seq FROM outbox WHERE enterprise = :enterprise AND session IS NOT NULL AND seq >
                coalesce((SELECT min(+session) FROM sessions WHERE local_date >= :first), 0)
            GROUP BY session
        )
        SELECT sessions.person_ref, local_date, evidence, count(*), min(session)
        FROM sessions LEFT JOIN newest USING (session)
        WHERE local_date >= :first AND iif(seq IS NULL, review IN ('approved', 'adjusted'), seq < (
            SELECT max(id) FROM acts WHERE acts.session = sessions.session AND kind = 'session_reviewed'
        )) GROUP BY sessions.person_ref, local_date, evidence ORDER BY sessions.person_ref, local_date, evidence
        """,
        {"first": first_date, "enterprise": enterprise},
    )
    return [Unsent(*row) for row in rows]
