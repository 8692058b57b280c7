"""`/login` and `/logout`: the answer never tells whether the account exists."""

from __future__ import annotations

import math
from contextlib import closing

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_login import login_required, login_user, logout_user
from werkzeug.wrappers import Response

from kiosk.store import people
from kiosk.store.schema import open_reader
from kiosk.web.accounts import Account, SignIns, Throttle, TooBusy, password_is_right
from kiosk.web.apps import account, error_page, forget_session, local_path, services_of_app, usable

login = Blueprint("login", __name__)
LONGEST = 200
"""Characters of a name or password that are looked at; longer ones are wrong."""


@login.get("/login")
def ask() -> str | Response:
    """The form."""
    if account().is_authenticated:
        return redirect(local_path(request.args.get("next", "")))
    return render_template("staff/login.html", next=request.args.get("next", ""), name="")


@login.post("/login")
def enter() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """A name and a password: in, or a word that says nothing more than that they do not fit."""
    services = services_of_app(current_app)
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    throttle: Throttle = current_app.extensions["sheber"]["throttle"]
    source = request.remote_addr or ""
    wait = math.ceil(throttle.wait_s(name, source))
    if wait > 0:
        message = gettext("Too many tries. Wait %(seconds)s s and try again.", seconds=wait)
        return _again(name, message), 429, {"Retry-After": str(wait)}
    with closing(open_reader(services.database)) as connection:
        user = people.user_by_name(connection, name) if len(name) <= LONGEST else None
    known = user is not None and usable(services, user) and len(password) <= LONGEST
    try:
        right = password_is_right(user.password_hash if user is not None and known else None, password[:LONGEST])
    except TooBusy:
        return error_page(503), 503, {"Retry-After": "5"}
    if user is None or not right:
        throttle.failed(name, source)
        return _again(name, gettext("Name and password do not fit.")), 401
    throttle.succeeded(name)
    forget_session()
    sign_ins: SignIns = current_app.extensions["sheber"]["sign_ins"]
    login_user(  # type: ignore[no-untyped-call]
        Account(sign_ins.begin(user.name), user.user_ref, user.name, user.role, user.person_ref)
    )
    return redirect(local_path(request.form.get("next", "")))


@login.post("/logout")
@login_required  # type: ignore[untyped-decorator]
def leave() -> Response:
    """Ends the sign-in here and for every copy of its cookie."""
    sign_ins: SignIns = current_app.extensions["sheber"]["sign_ins"]
    sign_ins.end(account().token)
    logout_user()  # type: ignore[no-untyped-call]
    forget_session()
    return redirect(url_for("login.ask"))


def _again(name: str, message: str) -> str:
    return render_template("staff/login.html", next=request.form.get("next", ""), name=name, message=message)
