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
        SELECT seq, enterprise, person_ref, session FROM outbox LEFT JOIN receipts USING (enterprise, seq)
        WHERE enterprise = ? AND seq > ? AND seq < ? AND webhook_id IS NULL ORDER BY seq LIMIT ?
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
        """
        SELECT enterprise, count(*), count(webhook_id), min(CASE WHEN webhook_id IS NULL THEN seq END)
        FROM outbox LEFT JOIN receipts USING (enterprise, seq) GROUP BY enterprise ORDER BY enterprise
        """
    )
    return [OutboxCount(*row) for row in rows]
