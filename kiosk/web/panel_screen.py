"""Another screen of the lab is let in from the kiosk: it shows six digits, the instructor types them here."""

from __future__ import annotations

from flask import abort, request
from flask_babel import gettext

from kiosk.web.pairings import EVERY_READER
from kiosk.web.panel_frame import TILES, Note, done, inside, panel, panels, refused, services, sheet, waits
from kiosk.web.panel_home import home
from kiosk.web.visit_pages import page_of

LONGEST_CODE = 12


@panel.get("/screen")
def screen(token: str) -> str:
    """Which one is it to be? Where the lab names none, the digits are asked at once."""
    at = inside(token)
    named = [each.id for each in services().lab.screens]
    chosen = request.args.get("as")
    if chosen is not None or not named:
        return _digits(token, chosen or EVERY_READER)
    rows = [(EVERY_READER, gettext("It answers to every reader")), *((each, each) for each in named)]
    shown, where = page_of(rows, TILES)
    return sheet("screens", at.visit, None, rows=shown, **where)


def _digits(token: str, chosen: str, note: Note | None = None) -> str:
    if chosen not in {EVERY_READER, *(each.id for each in services().lab.screens)}:
        abort(404)
    return sheet("code", inside(token).visit, note, chosen=chosen)


@panel.post("/screen")
def pair(token: str) -> str:
    """Lets the screen in that shows these digits; guessing slows down."""
    at = inside(token)
    chosen = request.form.get("as", EVERY_READER)
    throttle, source = panels().codes, f"reader:{at.visit.reader}"
    note = waits(throttle.wait_s(at.visit.person_ref, source))
    if note is not None:
        return _digits(token, chosen, note)
    if chosen in {EVERY_READER, *(each.id for each in services().lab.screens)} and services().pairings.confirm(
        request.form.get("code", "")[:LONGEST_CODE], chosen
    ):
        throttle.succeeded(at.visit.person_ref)
        return home(at, done(gettext("The screen is paired.")))
    throttle.failed(at.visit.person_ref, source)
    return _digits(token, chosen, refused(gettext("No screen shows this code now. Codes change every five minutes.")))
