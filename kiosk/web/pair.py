"""Who may see the workshop screen: the kiosk itself, and screens that an instructor has let in with a code.

The kiosk's listener guards itself with `guard`; the staff side has the page `/screens` where the code is typed.
"""

from __future__ import annotations

import math

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.web.accounts import Throttle
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.board import machine_name
from kiosk.web.pairings import (
    ASKER_COOKIE,
    CODE_S,
    EVERY_READER,
    SCREEN_COOKIE,
    is_at_the_kiosk,
    pass_for,
    screen_of_pass,
)
from kiosk.words import words

screens = Blueprint("screens", __name__, url_prefix="/screens")
YEARS_10_S = 10 * 365 * 24 * 3600
LOCAL_ONLY = frozenset({"screen.health", "screen.metrics"})


def guard() -> BaseResponse | None:
    """Before every request to the kiosk's listener; None lets it through."""
    if is_at_the_kiosk(request.remote_addr or "") or request.endpoint == "static":
        return None
    if request.endpoint in LOCAL_ONLY:
        abort(403)
    services = services_of_app(current_app)
    screen = screen_of_pass(services.secret_key, request.cookies.get(SCREEN_COOKIE))
    if request.endpoint != "screen.show":
        return None if screen is not None else Response(status=403)
    if screen is not None:
        return _at_its_own(screen)
    screen = services.pairings.claim(request.cookies.get(ASKER_COOKIE))
    if screen is None:
        return _ask()
    response = redirect(url_for("screen.show", screen=screen or None))
    response.set_cookie(
        SCREEN_COOKIE,
        pass_for(services.secret_key, screen),
        max_age=YEARS_10_S,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    response.delete_cookie(ASKER_COOKIE)
    return response


def _at_its_own(screen: str) -> BaseResponse | None:
    """A paired screen is the one it was paired as."""
    asked = request.args.get("screen", EVERY_READER)
    return None if asked == screen else redirect(url_for("screen.show", screen=screen or None))


def _ask() -> Response:
    """Six digits in all languages; the page asks again by itself."""
    services = services_of_app(current_app)
    found = services.pairings.ask(request.cookies.get(ASKER_COOKIE), request.remote_addr or "")
    page = render_template(
        "kiosk/pair.html",
        code=found[1] if found else None,
        languages=[words(each) for each in services.lab.languages],
    )
    response = Response(page, 200 if found else 429, {"Cache-Control": "no-store"})
    if found:
        response.set_cookie(ASKER_COOKIE, found[0], max_age=int(CODE_S), httponly=True, samesite="Strict")
    return response


@screens.get("")
def show() -> str:
    """The form for the six digits."""
    services = services_of_app(current_app)
    language = request_language(services)
    choices = [(EVERY_READER, gettext("It answers to every reader"))]
    choices += [(each.id, ", ".join([each.id, *_places(each.readers, language)])) for each in services.lab.screens]
    return render_template("staff/screens.html", choices=choices)


def _places(readers: tuple[str, ...], language: str) -> list[str]:
    lab = services_of_app(current_app).lab
    by_id = {each.id: each for each in lab.readers}
    known = (by_id[each] for each in readers if each in by_id)
    return [machine_name(lab, each.machine, words(language)) or each.id for each in known]


@screens.post("")
def confirm() -> BaseResponse | tuple[str, int]:
    """Lets the screen in that shows these digits; guessing slows down."""
    services = services_of_app(current_app)
    throttle: Throttle = current_app.extensions["sheber"]["pairing_throttle"]
    source = request.remote_addr or ""
    name = account().name
    wait = math.ceil(throttle.wait_s(name, source))
    if wait > 0:
        flash(gettext("Too many tries. Wait %(seconds)s s and try again.", seconds=wait), "refused")
        return redirect(url_for("screens.show"))
    code = "".join(each for each in request.form.get("code", "") if each.isdigit())
    screen = request.form.get("screen", EVERY_READER)
    if screen not in {EVERY_READER, *(each.id for each in services.lab.screens)}:
        abort(400)
    if services.pairings.confirm(code, screen):
        throttle.succeeded(name)
        flash(gettext("The screen is paired."), "done")
    else:
        throttle.failed(name, source)
        flash(gettext("No screen shows this code now. Codes change every five minutes."), "refused")
    return redirect(url_for("screens.show"))
