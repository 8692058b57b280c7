"""A whole ledger questioned: is every byte as it was written, and do the hours that follow keep the laws?"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from itertools import islice

from kiosk.domain.entries import EntryError, from_object
from kiosk.domain.laws import breaches
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State
from kiosk.proofs import Checkpoint
from kiosk.store.ledger import Ledger
from kiosk.store.verify import MAX_FINDINGS, PROGRESS_EVERY, Finding, Progress, verify

_UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What following an entry can raise that no version of this program wrote."""


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what was found; nothing found means whole and lawful."""

    entries: int
    sessions: int
    root: bytes | None
    """Of the whole log; None where something was found."""
    findings: tuple[Finding, ...]


def audit(connection: sqlite3.Connection, kept: Checkpoint | None = None, progress: Progress | None = None) -> Audit:
    """Verify the log, then fold it and hold the laws of hours.md, section 5, against it; in one snapshot, changing
    nothing.

    `progress` is told of each entry twice: once verified, once folded. Hours are only asked of a log that is whole.
    Codes beside those of `verify`: `unknown` (an entry of a newer program), `fold` (one that contradicts what is
    before it) and `law`.
    """
    tell = progress or (lambda _count: None)
    connection.execute("BEGIN")  # one snapshot, while a kiosk writes on
    try:
        findings = verify(connection, kept, tell)
        if findings:
            return Audit(_count(connection), 0, None, tuple(findings))
        log = Ledger(connection)
        size, state = log.size, State()
        finding = _fold(log, state, size, tell)
        findings = [finding] if finding else [Finding("law", None, text) for text in _breaches(state)]
        return Audit(size, len(state.sessions), None if findings else log.root(size), tuple(findings))
    finally:
        connection.rollback()


def _fold(log: Ledger, state: State, size: int, tell: Progress) -> Finding | None:
    """Follow every entry; what stops at one is said of that one."""
    for seq, data in log.entries():
        try:
            evolve(state, from_object(json.loads(data)))
        except EntryError as error:
            return Finding("unknown", seq, f"the hours cannot be checked: {error}")
        except _UNREADABLE as error:
            what = f"{type(error).__name__}: {error}"
            return Finding("fold", seq, f"entry {seq} contradicts what is before it and cannot be followed ({what})")
        if seq % PROGRESS_EVERY == 0:
            tell(size + seq)
    tell(2 * size)
    return None


def _breaches(state: State) -> list[str]:
    return [f"a law of hours is broken: {text}" for text in islice(breaches(state), MAX_FINDINGS)]


def _count(connection: sqlite3.Connection) -> int:
    """How many entries are there, as far as a damaged file tells."""
    try:
        (count,) = connection.execute("SELECT count(*) FROM ledger").fetchone()
    except sqlite3.DatabaseError:
        return 0
    return int(count)
