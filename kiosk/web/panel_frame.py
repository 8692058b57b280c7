"""What every page of the instructor's panel stands on: whose it is, who signs, and what the clerk said."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, make_response, render_template
from flask.blueprints import BlueprintSetupState
from flask_babel import gettext, ngettext

from kiosk import phrases
from kiosk.commands import Command, CommandRefused, Done
from kiosk.store import people
from kiosk.store.schema import open_reader
from kiosk.web.accounts import Throttle
from kiosk.web.apps import services_of_app, usable
from kiosk.web.panel_words import NO_SIGNER, REFUSALS
from kiosk.web.reading import Reading
from kiosk.web.services import Services
from kiosk.web.visit_pages import require_visit
from kiosk.web.visits import Visit
from kiosk.words import Words, words

panel = Blueprint("panel", __name__, url_prefix="/visit/<token>/panel")
TILES = 8
"""Of one page: what fits 800x480 and can be touched with a glove."""
VOUCHING = ("instructor", "lead")
BADGE_ALONE = "badge"
REMEMBERED = 64


@dataclass(frozen=True)
class Signer:
    """Who decides: the reference that entries name, and how sure that is."""

    by: str
    mark: str | None
    """`badge` where the lab asks for no PIN."""


@dataclass(frozen=True)
class Enrolled:
    """A badge was given to somebody a moment ago; its refused taps can be entered as work."""

    person_id: str
    person_ref: str
    taps: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Held:
    """The briefing whose roll is being called."""

    briefing: str
    until: str | None


@dataclass(frozen=True)
class Panel:
    """One visit of an instructor, after the PIN."""

    signer: Signer
    enrolled: Enrolled | None = None
    held: Held | None = None


@dataclass(frozen=True)
class Note:
    """What became of the last touch."""

    kind: str
    """`done` or `refused`: colour, icon and sound."""
    text: str


class Panels:
    """The opened panels, by the visit's token: they end with the visit. May be used from any thread."""

    def __init__(self) -> None:
        self.throttle = Throttle()
        self.codes = Throttle()
        self._lock = threading.Lock()
        self._by_token: OrderedDict[str, Panel] = OrderedDict()

    def of(self, token: str) -> Panel | None:
        """The panel of a visit, if its PIN was given."""
        with self._lock:
            return self._by_token.get(token)

    def keep(self, token: str, opened: Panel) -> None:
        """Opened, or something about it has changed."""
        with self._lock:
            self._by_token[token] = opened
            self._by_token.move_to_end(token)
            while len(self._by_token) > REMEMBERED:
                self._by_token.popitem(last=False)


@dataclass(frozen=True)
class Inside:
    """A request within an opened panel."""

    visit: Visit
    panel: Panel

    @property
    def by(self) -> str:
        """Whom the entries name."""
        return self.panel.signer.by

    @property
    def mark(self) -> str | None:
        """What they say of how that is known."""
        return self.panel.signer.mark

    def keep(self, **changes: Any) -> None:
        """Remember something until the panel closes."""
        panels().keep(self.visit.token, replace(self.panel, **changes))


@panel.record_once
def _begin(state: BlueprintSetupState) -> None:
    state.app.extensions["sheber"]["panels"] = Panels()


@panel.after_request
def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def panels() -> Panels:
    """Of this kiosk."""
    found: Panels = current_app.extensions["sheber"]["panels"]
    return found


def services() -> Services:
    """Of this kiosk."""
    return services_of_app(current_app)


def language() -> Words:
    """The instructor's."""
    return words(g.language)


@contextmanager
def reading() -> Iterator[Reading]:
    """The store, for one answer."""
    with closing(open_reader(services().database)) as connection:
        yield Reading(connection, services().lab)


def signer_of(person_ref: str) -> tuple[Signer | None, str, str | None]:
    """Who signs for a badge, else a code of `panel_words.NO_SIGNER`; and the hash of the PIN to ask, if one is."""
    wants_pin = services().lab.web.panel_pin
    with reading() as store:
        user = people.user_by_person(store.connection, person_ref)
    if user is None:
        return (None, "no_pin", None) if wants_pin else (Signer(person_ref, BADGE_ALONE), "", None)
    if not usable(services(), user):
        return None, "account_ended", None
    if user.role not in VOUCHING:
        return None, "not_instructor", None
    if not wants_pin:
        return Signer(user.user_ref, BADGE_ALONE), "", None
    return (Signer(user.user_ref, None), "", user.pin_hash) if user.pin_hash else (None, "no_pin", None)


def inside(token: str) -> Inside:
    """The opened panel of a live visit; else the answer is the page that opens it, or 410."""
    visit = require_visit(token, "instructor")
    opened = panels().of(token)
    if opened is None:
        signer, why, pin_hash = signer_of(visit.person_ref)
        if signer is None or pin_hash is not None:
            abort(make_response(pin_page(visit, why)))
        opened = Panel(signer)
        panels().keep(token, opened)
    return Inside(visit, opened)


def pin_page(visit: Visit, why: str = "", note: Note | None = None) -> str:
    """The number pad, or why there is nothing to open."""
    return sheet("pin", visit, note, why=gettext(NO_SIGNER[why]) if why else "")


def sheet(template: str, visit: Visit, note: Note | None = None, /, **values: Any) -> str:
    """A page of the panel, in the instructor's language."""
    here = f"/visit/{visit.token}/panel"
    return render_template(f"kiosk/panel_{template}.html", visit=visit, who=g.who, here=here, note=note, **values)


def done(text: str) -> Note:
    """It is on disk."""
    return Note("done", text)


def refused(text: str) -> Note:
    """It was not possible; nothing was changed."""
    return Note("refused", text)


def waits(wait_s: float) -> Note | None:
    """Too many were wrong: what to say; None where nobody need wait."""
    if wait_s <= 0:
        return None
    return refused(
        ngettext("Too many tries. Wait %(num)s second.", "Too many tries. Wait %(num)s seconds.", math.ceil(wait_s))
    )


def refusal(code: str) -> Note:
    """What the clerk's code means, in words."""
    known = REFUSALS.get(code) or phrases.COMMAND_REFUSALS.get(code)
    return refused(gettext(known) if known else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=code))


def perform(command: Command) -> tuple[Done | None, Note | None]:
    """The clerk's yes, or its refusal in words."""
    try:
        return services().submit(command), None
    except CommandRefused as error:
        return None, refusal(error.code)


def asked(command: Command, said: str) -> Note:
    """`said` where the clerk did it, else why not."""
    _, note = perform(command)
    return note or done(said)
