"""The evidence strip: what the ledger says the machine did while a badge was on it, and how many others were there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from kiosk.proofs import read

LOOK_BACK = 5000
"""Entries searched for the state that held at the opening. Further back it is `unknown` for want of knowledge."""
LATE_MS = 15 * 60_000
"""How long after the end an entry may still date itself back into the session (a confirmation that took its time)."""
AT_ONCE = 500
FARTHEST = 20_000
"""Entries after the opening that are looked at: more than the busiest workshop writes in the longest session."""
SILENT, DOWN = "silent", "down"
CHANGES = ("state_changed", "still_here")


@dataclass(frozen=True)
class Segment:
    """The machine was in `state` from `start_ms` to `end_ms` (UTC, half open)."""

    state: str
    start_ms: int
    end_ms: int
    gap: str = ""
    """Why nothing is known: `silent` (the machine), `down` (the kiosk); empty where the state is known."""


@dataclass(frozen=True)
class Evidence:
    """All that the ledger tells of a closed session's time."""

    segments: tuple[Segment, ...]
    """Without holes; empty for a session without presence."""
    still_here: tuple[int, ...]
    """When somebody touched the idle warning, UTC."""


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


NOTHING = Evidence((), ())


def segments(connection: sqlite3.Connection, session: Stretch) -> list[Segment]:
    """The machine's states over a closed session, without holes; empty for an open one or one without presence."""
    return list(evidence(connection, session).segments)


def evidence(connection: sqlite3.Connection, session: Stretch) -> Evidence:
    """The machine's states over a closed session and the touches of its idle warning.

    Reads the entries of the session's own time and no others: an old session costs what a new one does.
    """
    start, end = session.start_ms, session.end_ms
    if end is None or end <= start:
        return NOTHING
    changes = [(start, *_state_at_opening(connection, session))]
    touched = []
    for at_ms, state, gap in _happened(connection, session, end):
        if state is None:
            touched.append(at_ms)
            continue
        # A change dated back replaces what was believed of the time after it.
        changes = [each for each in changes if each[0] < max(at_ms, start)] if at_ms <= changes[-1][0] else changes
        changes.append((max(at_ms, start), state, gap))
    shown: list[Segment] = []
    for (since, state, gap), until in zip(changes, [each[0] for each in changes[1:]] + [end], strict=True):
        if until <= since:
            continue
        if shown and (shown[-1].state, shown[-1].gap) == (state, gap):
            since = shown.pop().start_ms  # noqa: PLW2901 - the same state goes on
        shown.append(Segment(state, since, until, gap))
    return Evidence(tuple(shown), tuple(each for each in touched if start <= each < end))


def beside(connection: sqlite3.Connection, session: Stretch, local_date: str) -> list[tuple[int, int]]:
    """When others were on the machine during a closed session: (start, end) each, never who."""
    end = session.end_ms
    if end is None:
        return []
    day = date.fromisoformat(local_date)
    rows = connection.execute(
        "SELECT start_ms, end_ms FROM sessions WHERE local_date BETWEEN ? AND ? AND machine = ? AND session <> ?"
        " AND start_ms < ? AND (end_ms IS NULL OR end_ms > ?) ORDER BY start_ms",
        (
            (day - timedelta(days=1)).isoformat(),
            (day + timedelta(days=1)).isoformat(),
            session.machine,
            session.session,
            end,
            session.start_ms,
        ),
    )
    return [(max(left, session.start_ms), min(end if right is None else right, end)) for left, right in rows]


def _happened(connection: sqlite3.Connection, session: Stretch, end: int) -> Iterator[tuple[int, str | None, str]]:
    """(moment, state, gap) of each change before `end`, in the order of the ledger; no state for a touch."""
    opening = connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (session.session,)).fetchone()
    if opening is None:
        return
    body = read(opening[0])
    if "at" not in body:  # hours by hand happened at no reader
        return
    found = list(_entries(connection, session, end + LATE_MS))
    origins = _origins(session, body, found)
    for each in found:
        when = _utc(each.get("at") or each["stamp"], each["stamp"], origins)
        if each["type"] == "boot_started":
            last = each.get("last_alive")
            died = _utc(last, each["stamp"], origins) if last else when
            yield from (
                (at_ms, "unknown", gap) for at_ms, gap in ((died, DOWN), (max(died, when), SILENT)) if at_ms < end
            )
        elif each["type"] in CHANGES and each.get("cause") != "down" and when < end:  # the start told of that
            state = each.get("state")
            yield when, state, SILENT if state == "unknown" else ""


def _origins(session: Stretch, opening: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Where the boots' own milliseconds begin in UTC: exactly for those in which the session opened and ended.

    One between them begins as long after the one before it as the clocks of both say, and never before its end.
    """
    origins = {opening["at"]["boot"]: session.start_ms - int(opening["at"]["boot_ms"])}
    for each in found:
        if each["type"] == "session_closed" and session.end_ms is not None:
            origins.setdefault(each["at"]["boot"], session.end_ms - each["at"]["boot_ms"])
    clocks: dict[str, int] = {}
    for each in (opening, *found):
        stamp, last = each["stamp"], each.get("last_alive")
        clock = clocks[stamp["boot"]] = stamp["wall_ms"] - stamp["boot_ms"]
        if stamp["boot"] not in origins and last and last["boot"] in origins:
            step_ms = clock - clocks.get(last["boot"], origins[last["boot"]])
            origins[stamp["boot"]] = origins[last["boot"]] + max(step_ms, last["boot_ms"] - stamp["boot_ms"])
    return origins


def _entries(connection: sqlite3.Connection, session: Stretch, until: int) -> Iterator[dict[str, Any]]:
    """What may concern the session of the entries after its opening, its closing among them.

    As far as `AT_ONCE` entries after the closing, or until one of them is later than `until` (UTC).
    """
    machine = f'"machine":{json.dumps(session.machine, ensure_ascii=False)}'.encode()
    this_one = f'"session":{session.session},'.encode()
    (newest,) = connection.execute("SELECT coalesce(max(seq), -1) FROM ledger").fetchone()
    newest = min(newest, session.session + FARTHEST)
    closed = False
    for after in range(session.session, newest, AT_ONCE):
        last = min(after + AT_ONCE, newest)
        # Entries are canonical JSON, so the bytes tell whose they are, and only those are read.
        rows = connection.execute(
            "SELECT bytes FROM ledger WHERE seq > ? AND seq <= ? AND (type IN ('boot_started', 'clock_anchored')"
            " OR (type = 'state_changed' AND instr(bytes, ?) > 0)"
            " OR (type IN ('still_here', 'session_closed') AND instr(bytes, ?) > 0)) ORDER BY seq",
            (after, last, machine, this_one),
        )
        ended = closed
        for (data,) in rows:
            body = read(data)
            closed = closed or body["type"] == "session_closed"
            yield body
        if ended:
            return
        (data,) = connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (last,)).fetchone()
        if closed and read(data)["stamp"]["wall_ms"] > until:
            return


def _utc(at: Mapping[str, Any], stamp: Mapping[str, Any], origins: Mapping[str, int]) -> int:
    """UTC ms of a moment: exact within the boot the session opened in, by the entry's own wall clock elsewhere."""
    if at["boot"] in origins:
        return int(at["boot_ms"]) + origins[at["boot"]]
    if at["boot"] == stamp["boot"]:
        return int(stamp["wall_ms"]) - (int(stamp["boot_ms"]) - int(at["boot_ms"]))
    return int(stamp["wall_ms"])


def _state_at_opening(connection: sqlite3.Connection, session: Stretch) -> tuple[str, str]:
    """(state, gap) that held when the session opened."""
    machine = f'"machine":{json.dumps(session.machine, ensure_ascii=False)}'.encode()
    row = connection.execute(
        "SELECT type, bytes FROM ledger WHERE seq < ? AND seq > ? AND (type = 'boot_started'"
        " OR (type = 'state_changed' AND instr(bytes, ?) > 0)) ORDER BY seq DESC LIMIT 1",
        (session.session, session.session - LOOK_BACK, machine),
    ).fetchone()
    if row is None or row[0] == "boot_started":
        return "unknown", SILENT  # the kiosk was down, or nothing was ever heard
    state = str(read(row[1])["state"])
    return state, SILENT if state == "unknown" else ""
