"""A safety briefing, held at a reader: choose it and how long it holds, the group taps, the instructor taps once more.

While the roll is called, the reader's badges are no taps at a machine (`kiosk.roll_call`), and the whole screen says
so. The screen asks several times a second; where it stops asking, or nobody moves for three minutes, it is over and
nothing was entered.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Response, request
from flask_babel import gettext, ngettext

from kiosk.commands import HoldBriefing
from kiosk.roll_call import RollCall
from kiosk.web.own_record import briefings_known
from kiosk.web.panel_frame import (
    TILES,
    Held,
    Inside,
    Note,
    done,
    inside,
    language,
    panel,
    perform,
    reading,
    refused,
    services,
    sheet,
)
from kiosk.web.panel_home import home
from kiosk.web.panel_words import FOR_EVER, NOT_PRESENT, VALIDITY
from kiosk.web.visit_pages import page_of
from kiosk.words import day, qualification_name

NAMES_SHOWN = 6


@panel.get("/briefing")
def briefings(token: str) -> str:
    """Which one? Those that machines here require."""
    at = inside(token)
    lab = services().lab
    rows = [(each, qualification_name(lab, each, language())) for each in briefings_known(lab)]
    shown, where = page_of(rows, TILES)
    return sheet("briefings", at.visit, None, rows=shown, **where)


@panel.get("/briefing/<briefing>")
def validity(token: str, briefing: str) -> str:
    """Until when? The touch begins the roll call."""
    at = inside(token)
    today = _today()
    choices: list[tuple[str, str, str]] = []
    for days, words in VALIDITY:
        last = today + timedelta(days=days)
        choices.append((last.isoformat(), gettext(words), day(last)))
    choices.append(("", gettext(FOR_EVER), ""))
    return sheet("validity", at.visit, briefing=briefing, title=_title(briefing), choices=choices)


def _title(briefing: str) -> str:
    return qualification_name(services().lab, briefing, language())


def _today() -> date:
    with reading() as store:
        return store.local_date(services().wall_ms())


@panel.post("/briefing/<briefing>")
def begin(token: str, briefing: str) -> str:
    """From now on the reader's badges are those present."""
    at = inside(token)
    until = request.form.get("until", "")
    held = Held(briefing, until or None)
    at.keep(held=held)
    return _roll(at, held, services().roll_calls.begin(at.visit.reader, at.visit.person_ref))


@panel.get("/roll")
def roll(token: str) -> str | Response:
    """Has anything changed since the screen was drawn? 204 where it has not."""
    at = inside(token)
    held, call = at.panel.held, services().roll_calls.shown(at.visit.reader, at.visit.person_ref)
    if held is None:
        return Response(status=204)  # asked before a touch ended it, heard after: the touch has its own answer
    if call is None:
        return _over(at)
    if request.args.get("seen") == str(call.revision) and "page" not in request.args:
        return Response(status=204)
    return _roll(at, held, call)


def _over(at: Inside) -> str:
    at.keep(held=None)
    return sheet("roll_over", at.visit)


def _roll(at: Inside, held: Held, call: RollCall, note: Note | None = None) -> str:
    with reading() as store:
        names = [{"ref": each, "name": store.short_name(each)} for each in reversed(call.present)]
        last = store.short_name(call.last_person) if call.last_person else ""
    shown, where = page_of(names, NAMES_SHOWN)
    values: dict[str, Any] = {
        "title": _title(held.briefing),
        "until": day(held.until) if held.until else gettext(FOR_EVER),
        "call": call,
        "names": shown,
        "last": last,
        "why": gettext(NOT_PRESENT[call.last]) if call.last in NOT_PRESENT else "",
    }
    return sheet("roll", at.visit, note, **values, **where)


@panel.post("/roll/leave-out")
def leave_out(token: str) -> str:
    """A touch on a name takes it off the list."""
    at = inside(token)
    services().roll_calls.leave_out(at.visit.reader, request.form.get("person", ""))
    return _again(at)


def _again(at: Inside, note: Note | None = None) -> str:
    held, call = at.panel.held, services().roll_calls.shown(at.visit.reader, at.visit.person_ref)
    return _over(at) if held is None or call is None else _roll(at, held, call, note)


@panel.post("/roll/done")
def finish(token: str) -> str:
    """All of them in one transaction, or none; where it is refused, the list stays."""
    at = inside(token)
    held, call = at.panel.held, services().roll_calls.shown(at.visit.reader, at.visit.person_ref)
    if held is None or call is None:
        return _over(at)
    _, note = perform(HoldBriefing(held.briefing, call.present, held.until, at.by, at.mark))
    if note is not None:
        services().roll_calls.leave_out(at.visit.reader, "")  # what was said last is answered
        return _again(at, note)
    services().roll_calls.end(at.visit.reader)
    at.keep(held=None)
    said = ngettext("Briefed: %(num)s person.", "Briefed: %(num)s people.", len(call.present))
    return home(at, done(said))


@panel.post("/roll/stop")
def stop(token: str) -> str:
    """Nobody is entered."""
    at = inside(token)
    services().roll_calls.end(at.visit.reader)
    at.keep(held=None)
    return home(at, refused(gettext("Stopped. Nobody was entered.")))
