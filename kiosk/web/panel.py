"""The instructor's panel at the kiosk: an instructor's badge opens it, a PIN unlocks it, 15 s without a touch close it.

Every address begins with `/visit/<token>/panel` and answers with a piece of the screen; a dead token is a 410.
The PIN is asked once a visit, checked on the server, and guessed slowly: by person and by reader.
"""

from __future__ import annotations

from flask import request
from flask_babel import gettext

from kiosk.web import panel_briefing, panel_enrol, panel_floor, panel_learner, panel_screen
from kiosk.web.accounts import TooBusy, password_is_right
from kiosk.web.login import note as list_act
from kiosk.web.panel_frame import (
    Inside,
    Note,
    Panel,
    Signer,
    inside,
    panel,
    panels,
    pin_page,
    refused,
    signer_of,
    waits,
)
from kiosk.web.panel_home import home
from kiosk.web.visit_pages import require_visit
from kiosk.web.visits import Visit

__all__ = ["panel", "panel_briefing", "panel_enrol", "panel_floor", "panel_learner", "panel_screen"]
LONGEST_PIN = 12


@panel.get("")
def show(token: str) -> str:
    """The first page, or the number pad before it."""
    return home(inside(token))


@panel.post("/pin")
def unlock(token: str) -> str:
    """The PIN, which is looked at alone and never more often than the throttle allows."""
    visit = require_visit(token, "instructor")
    signer, why, pin_hash = signer_of(visit.person_ref)
    if signer is None or pin_hash is None:
        return pin_page(visit, why) if signer is None else home(inside(token))
    note = _tried(visit, pin_hash, request.form.get("pin", "")[:LONGEST_PIN])
    return pin_page(visit, note=note) if note else home(_opened(visit, signer))


def _tried(visit: Visit, pin_hash: str, pin: str) -> Note | None:
    """None where it was right; else what to say."""
    throttle, source = panels().throttle, f"reader:{visit.reader}"
    note = waits(throttle.wait_s(visit.person_ref, source))
    if note is not None:
        return note
    try:
        right = password_is_right(pin_hash, pin)
    except TooBusy:
        return refused(gettext("Busy at the moment. Try again."))
    if not right:
        throttle.failed(visit.person_ref, source)
        list_act("sign_in_failed", visit.person_ref, f"panel:{visit.reader}")
        return refused(gettext("Wrong PIN. Try again."))
    throttle.succeeded(visit.person_ref)
    return None


def _opened(visit: Visit, signer: Signer) -> Inside:
    opened = Panel(signer)
    panels().keep(visit.token, opened)
    return Inside(visit, opened)
