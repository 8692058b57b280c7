"""What a page showed of a session, as a few letters: a decision made on that page binds only what was seen there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import sha256

from kiosk.store.views import SessionView

LETTERS = 12
"""Enough to tell two states of one session apart; nobody gains by finding two that look alike."""


def look(row: SessionView) -> str:
    """The same as long as the row says the same; what a tap told the person meanwhile changes nothing."""
    return sha256(repr(row._replace(told=None, idle_at_ms=None)).encode()).hexdigest()[:LETTERS]


def last_decisions(connection: sqlite3.Connection, sessions: Iterable[int]) -> dict[int, int]:
    """The entry of the last decision on each of these sessions that was decided on."""
    found = {}
    for session in sessions:
        (seq,) = connection.execute(
            "SELECT max(id) FROM acts WHERE session = ? AND kind = 'session_reviewed'", (session,)
        ).fetchone()
        if seq is not None:
            found[session] = seq
    return found
