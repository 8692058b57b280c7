"""The evidence strip: what the ledger says the machine did while a badge was on it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

WIDTH = 1000
"""The strip's width in its own units; the page stretches it."""
LOOK_BACK = 5000
"""Entries searched for the state that held at the opening. Further back it is `unknown` for want of knowledge."""
LATE_MS = 15 * 60_000
"""How long after the end an entry may still date itself back into the session (a confirmation that took its time)."""


@dataclass(frozen=True)
class Segment:
    """The machine was in `state` from `start_ms` to `end_ms` (UTC, half open); `x`, `width` in units of the strip."""

    state: str
    start_ms: int
    end_ms: int
    x: float
    width: float


class Stretch(Protocol):
    """What the strip needs of a session."""

    @property
    def session(self) -> int: ...  # noqa: D102
    @property
    def machine(self) -> str: ...  # noqa: D102
    @property
    def start_ms(self) -> int: ...  # noqa: D102
    @property
    def end_ms(self) -> int | None: ...  # noqa: D102


def segments(connection: sqlite3.Connection, session: Stretch) -> list[Segment]:
    """The machine's states over a closed session, without gaps; empty for an open one or one without presence."""
    start, end = session.start_ms, session.end_ms
    if end is None or end <= start:
        return []
    changes = [(start, _state_at_opening(connection, session))]
    for at_ms, state in _changes(connection, session, end):
        # A change dated back replaces what was believed of the time after it.
        changes = [each for each in changes if each[0] < max(at_ms, start)] if at_ms <= changes[-1][0] else changes
        changes.append((max(at_ms, start), state))
    shown: list[Segment] = []
    scale = WIDTH / (end - start)
    for (since, state), until in zip(changes, [each[0] for each in changes[1:]] + [end], strict=True):
        if until <= since:
            continue
        if shown and shown[-1].state == state:
            since = shown.pop().start_ms  # noqa: PLW2901 - the same state goes on
        shown.append(Segment(state, since, until, round((since - start) * scale, 2), round((until - since) * scale, 2)))
    return shown


def _changes(connection: sqlite3.Connection, session: Stretch, end: int) -> list[tuple[int, str]]:
    opening = connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (session.session,)).fetchone()
    if opening is None:
        return []
    at = json.loads(opening[0])["at"]
    origins = {at["boot"]: session.start_ms - at["boot_ms"]}
    found = []
    rows = connection.execute(
        "SELECT bytes FROM ledger WHERE seq > ? AND type IN ('state_changed', 'boot_started', 'session_closed')"
        " ORDER BY seq",
        (session.session,),
    )
    for (data,) in rows:
        body = json.loads(data)
        when = _utc(body.get("at") or body["stamp"], body["stamp"], origins)
        if body["type"] == "boot_started":
            last = body.get("last_alive")
            found.append((_utc(last, body["stamp"], origins) if last else when, "unknown"))
        elif body["type"] == "state_changed" and body["machine"] == session.machine and when < end:
            found.append((when, body["state"]))
        if _utc(body["stamp"], body["stamp"], origins) > end + LATE_MS:
            break
    return [each for each in found if each[0] < end]


def _utc(at: Mapping[str, Any], stamp: Mapping[str, Any], origins: Mapping[str, int]) -> int:
    """UTC ms of a moment: exact within the boot the session opened in, by the entry's own wall clock elsewhere."""
    if at["boot"] in origins:
        return int(at["boot_ms"]) + origins[at["boot"]]
    if at["boot"] == stamp["boot"]:
        return int(stamp["wall_ms"]) - (int(stamp["boot_ms"]) - int(at["boot_ms"]))
    return int(stamp["wall_ms"])


def _state_at_opening(connection: sqlite3.Connection, session: Stretch) -> str:
    rows = connection.execute(
        "SELECT type, bytes FROM ledger WHERE seq < ? AND seq > ? AND type IN ('state_changed', 'boot_started')"
        " ORDER BY seq DESC",
        (session.session, session.session - LOOK_BACK),
    )
    for entry_type, data in rows:
        if entry_type == "boot_started":
            return "unknown"  # the kiosk was down: nothing from before it is known
        body = json.loads(data)
        if body["machine"] == session.machine:
            return str(body["state"])
    return "unknown"
