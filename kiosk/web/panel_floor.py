"""The workshop at an instructor's hand: open sessions, machines withdrawn and given back, a clock that was not set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from flask import request
from flask_babel import gettext

from kiosk import phrases
from kiosk.commands import CloseSession, DateBoot, LockMachine
from kiosk.store import views
from kiosk.store.views import SessionView
from kiosk.web.board import machine_name
from kiosk.web.panel_frame import TILES, Inside, Note, asked, inside, language, panel, reading, refusal, services, sheet
from kiosk.web.reading import Reading
from kiosk.web.visit_pages import page_of
from kiosk.words import clock_time, hours_minutes, weekday_time

STEPS = {"day": 86_400_000, "hour": 3_600_000, "minutes": 300_000}
FARTHEST_MS = 400 * 86_400_000


@panel.get("/sessions")
def sessions(token: str) -> str:
    """Who is on, longest first."""
    return _sessions(inside(token))


def _sessions(at: Inside, note: Note | None = None) -> str:
    with reading() as store:
        rows = [_row(store, each) for each in views.open_sessions(store.connection)]
    shown, where = page_of(rows, TILES)
    return sheet("sessions", at.visit, note, rows=shown, **where)


def _row(store: Reading, row: SessionView) -> dict[str, object]:
    return {
        "session": row.session,
        "name": store.short_name(row.person_ref),
        "machine": machine_name(store.lab, row.machine, language()),
        "since": clock_time(row.start_ms, store.zone),
        "time": hours_minutes(services().wall_ms() - row.start_ms),
    }


@panel.get("/sessions/<int:session>")
def session(token: str, session: int) -> str:
    """End it? A second touch says so."""
    at = inside(token)
    with reading() as store:
        row = store.session(session)
        shown = _row(store, row) if row is not None and row.end_ms is None else None
    if shown is None:
        return _sessions(at, refusal("no_open_session"))
    return sheet("session", at.visit, row=shown)


@panel.post("/sessions/<int:session>")
def close(token: str, session: int) -> str:
    """Somebody has gone and forgot to tap."""
    at = inside(token)
    return _sessions(at, asked(CloseSession(session, at.by), gettext("Ended.")))


@panel.get("/machines")
def machines(token: str) -> str:
    """Every machine, and which are withdrawn."""
    return _machines(inside(token))


def _machines(at: Inside, note: Note | None = None) -> str:
    with reading() as store:
        states = store.machine_states()
        rows = [
            {
                "machine": each.id,
                "name": machine_name(store.lab, each.id, language()),
                "state": gettext(phrases.STATES.get(states.get(each.id, ("unknown", False))[0], "unknown")),
                "locked": states.get(each.id, ("unknown", False))[1],
            }
            for each in store.lab.machines
        ]
    shown, where = page_of(rows, TILES)
    return sheet("machines", at.visit, note, rows=shown, **where)


@panel.post("/machines/<machine>")
def lock(token: str, machine: str) -> str:
    """One touch withdraws it: a dangerous machine has no time for a second one. Sessions that are open go on."""
    at = inside(token)
    locked = request.form.get("locked") == "1"
    name = machine_name(services().lab, machine, language())
    said = gettext("Withdrawn: %(machine)s", machine=name) if locked else gettext("Free: %(machine)s", machine=name)
    return _machines(at, asked(LockMachine(machine, locked, at.by), said))


@dataclass(frozen=True)
class Undated:
    """A session whose boot no clock dated."""

    session: int
    start_ms: int
    """As the clock that was not set had it."""
    now: bool
    """Is its boot this one? Then what time it is now dates it: the clock ran on evenly since."""


def undated(store: Reading, at: Inside) -> Undated | None:
    """The newest session that waits for a date."""
    waiting = views.newest_pending(store.connection, "clock_uncertain")
    unsure = [] if waiting is None else [waiting]
    if not services().status().clock_synced:
        unsure += _running_undated(store, at)  # flags come with the end of a session
    if not unsure:
        return None
    newest = max(unsure, key=lambda each: each.session)
    opened, tapped = _stamp(store, newest.session), _stamp(store, at.visit.seq)
    if opened["boot"] != tapped["boot"]:
        return Undated(newest.session, newest.start_ms, False)
    return Undated(newest.session, int(opened["wall_ms"]), True)


def _running_undated(store: Reading, at: Inside) -> list[SessionView]:
    """Open sessions of this boot, while neither a clock nor anybody has dated it."""
    rows = store.connection.execute(
        "SELECT type, bytes FROM ledger WHERE type IN ('boot_started', 'clock_anchored') ORDER BY seq DESC"
    )
    since = takewhile(lambda row: row[0] != "boot_started", rows)
    boot = _stamp(store, at.visit.seq)["boot"]
    if any(json.loads(data)["at"]["boot"] == boot for _, data in since):
        return []
    opened = views.open_sessions(store.connection)
    return [each for each in opened if _stamp(store, each.session)["boot"] == boot]


def _stamp(store: Reading, seq: int) -> dict[str, Any]:
    (data,) = store.connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (seq,)).fetchone()
    stamp: dict[str, Any] = json.loads(data)["stamp"]
    return stamp


@panel.get("/clock")
def clock(token: str) -> str:
    """Is it that day and time? Yes, or change it step by step."""
    return _clock(inside(token), _shift())


def _shift() -> int:
    text = request.values.get("shift", "0")
    known = text.removeprefix("-")
    return int(text) if known.isascii() and known.isdigit() and len(known) < 15 and abs(int(text)) < FARTHEST_MS else 0


def _clock(at: Inside, shift_ms: int, note: Note | None = None) -> str:
    with reading() as store:
        found = undated(store, at)
        held = store.session(found.session) if found else None
        row = _row(store, held) if held else None
        moment = services().wall_ms() if found is None or found.now else found.start_ms
        said = weekday_time(moment + shift_ms, store.zone, language().language)
    return sheet("clock", at.visit, note, found=found, row=row, moment=said, shift=shift_ms, steps=STEPS)


@panel.post("/clock")
def date_boot(token: str) -> str:
    """So it is: that dates everything since the kiosk was switched on."""
    at = inside(token)
    shift_ms = _shift()
    with reading() as store:
        found = undated(store, at)
    if found is None:
        return _clock(at, 0, refusal("already_dated"))
    note = asked(DateBoot(found.session, found.start_ms + shift_ms, at.by), gettext("Dated."))
    return _clock(at, 0 if note.kind == "done" else shift_ms, note)
