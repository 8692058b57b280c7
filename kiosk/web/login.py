"""`/login` and `/logout`: the answer never tells whether the account exists, and says why a sign-in is over."""

from __future__ import annotations

import logging
import math
import re
from contextlib import closing
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, session, url_for
from flask_babel import gettext
from flask_login import login_user, logout_user
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import CommandRefused, NoteAct
from kiosk.phrases import N_
from kiosk.store import people
from kiosk.store.schema import open_reader
from kiosk.web.accounts import (
    CLOSED,
    ELSEWHERE,
    IDLE,
    PASSWORD,
    TOO_LONG,
    Account,
    SignIns,
    Throttle,
    TooBusy,
    password_is_right,
)
from kiosk.web.apps import account, error_page, forget_session, local_path, services_of_app, usable
from kiosk.web.known_devices import known_device, remember_device

LOG = logging.getLogger(__name__)
login = Blueprint("login", __name__)
LONGEST = 200
"""Characters of a name or password that are looked at; longer ones are wrong."""
TOLD_CHARACTERS = 20_000
WHY_OVER = {
    IDLE: N_("You were signed out because nobody used these pages for half an hour."),
    TOO_LONG: N_("You were signed out because twelve hours have passed."),
    ELSEWHERE: N_("You were signed out from another device."),
    PASSWORD: N_("You were signed out because the password of this account was changed."),
    CLOSED: N_("You were signed out because this account is blocked or its last day is over."),
}
RESTARTED = N_("You were signed out because the kiosk was started again.")
HIDDEN = re.compile(r"csrf_token|next|password|pin|code", re.IGNORECASE)
"""Fields whose content is never shown again."""
CHOSEN = re.compile(r"[\w.:+-]*", re.ASCII)
"""What a list or a box sends, which is no work to repeat."""


@login.get("/login")
def ask() -> str | BaseResponse:
    """The form, and why it is shown again."""
    if account().is_authenticated:
        return redirect(local_path(request.args.get("next", "")))
    return render_template("staff/login.html", next=request.args.get("next", ""), name="", why=_why_over())


@login.post("/login")
def enter() -> BaseResponse | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """A name and a password: in, or a word that says nothing more than that they do not fit."""
    services = services_of_app(current_app)
    name, password = request.form.get("name", "").strip()[: LONGEST + 1], request.form.get("password", "")
    source = request.remote_addr or ""
    with closing(open_reader(services.database)) as connection:
        user = people.user_by_name(connection, name) if len(name) <= LONGEST else None
    device = known_device(user.user_ref) if user is not None else ""
    wait = math.ceil(throttle().take(name, source, device))
    if wait > 0:
        message = gettext("Too many tries. Wait %(seconds)s s and try again.", seconds=wait)
        return _again(name, message), 429, {"Retry-After": str(wait)}
    known = user is not None and usable(services, user) and len(password) <= LONGEST
    try:
        right = password_is_right(user.password_hash if user is not None and known else None, password[:LONGEST])
    except TooBusy:
        throttle().unseen(name, source, device)
        return error_page(503), 503, {"Retry-After": "5"}
    note("signed_in" if user is not None and right else "sign_in_failed", user.user_ref if user else None, source)
    if user is None or not right:
        return _again(name, gettext("Name and password do not fit.")), 401
    throttle().succeeded(name, source, device)
    begin_session(user)
    answer = redirect(local_path(request.form.get("next", "")))
    remember_device(answer, user.user_ref)
    return answer


@login.post("/logout")
def leave() -> BaseResponse:
    """Ends the sign-in here and for every copy of its cookie."""
    note("signed_out", account().user_ref, request.remote_addr or "")
    sign_ins().end(account().token)
    logout_user()  # type: ignore[no-untyped-call]
    forget_session()
    return redirect(url_for("login.ask"))


def begin_session(user: people.User) -> None:
    """A new session for a new sign-in: nothing of the one before is left, so nobody can have prepared it."""
    services = services_of_app(current_app)
    token = sign_ins().begin(
        user.name,
        services.wall_ms(),
        request.remote_addr or "",
        request.headers.get("User-Agent", ""),
        user.password_hash,
    )
    forget_session()
    login_user(  # type: ignore[no-untyped-call]
        Account(token, user.user_ref, user.name, user.role, user.person_ref, user.must_change)
    )


def turned_away() -> BaseResponse:
    """What somebody who is not signed in gets: the login, and back to the page afterwards.

    A form is not sent on: the answer says that nothing was saved, and shows what had been typed.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return redirect(url_for("login.ask", next=request.full_path.removesuffix("?")))
    page = urlsplit(request.referrer or "")
    back = f"{page.path}?{page.query}" if page.query else page.path
    typed = _typed() if g.get("csrf_valid") else ""  # else nobody knows whose page sent it
    again = render_template("staff/login.html", next=back, name="", why=_why_over(), lost=True, typed=typed)
    return Response(again, 401)


def note(kind: str, by: str | None, subject: str = "") -> None:
    """For the list of who did what; nobody is kept out because it cannot be written just now."""
    try:
        services_of_app(current_app).submit(NoteAct(kind, by, subject))
    except CommandRefused as error:
        LOG.warning("%s was not noted: the clerk says %s", kind, error.code)


def sign_ins() -> SignIns:
    """Of the staff side."""
    found: SignIns = current_app.extensions["sheber"]["sign_ins"]
    return found


def throttle() -> Throttle:
    """Of passwords on the staff side."""
    found: Throttle = current_app.extensions["sheber"]["throttle"]
    return found


def _why_over() -> str | None:
    token = session.get("_user_id")
    if not token:
        return None
    why = sign_ins().why_over(token)
    return gettext(WHY_OVER[why]) if why in WHY_OVER else gettext(RESTARTED) if why is None else None


def _typed() -> str:
    """What people had written into a form, a line each, without what was only chosen and what is secret."""
    lines = (
        value.strip()
        for field, value in request.form.items(multi=True)
        if not HIDDEN.search(field) and not CHOSEN.fullmatch(value.strip())
    )
    return "\n".join(lines)[:TOLD_CHARACTERS]


def _again(name: str, message: str) -> str:
    return render_template("staff/login.html", next=request.form.get("next", ""), name=name, message=message)
