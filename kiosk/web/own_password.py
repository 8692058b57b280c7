"""`/password`: one's own password, which has to be the first page where somebody else made it."""

from __future__ import annotations

import math
from contextlib import closing

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import passwords, phrases
from kiosk.commands import CommandRefused, SetPassword
from kiosk.phrases import N_
from kiosk.store import people
from kiosk.store.schema import open_reader
from kiosk.web.accounts import PASSWORD, TooBusy, password_is_right
from kiosk.web.apps import account, services_of_app
from kiosk.web.known_devices import known_device
from kiosk.web.login import LONGEST, note, sign_ins, throttle
from kiosk.web.services import Services

password = Blueprint("password", __name__, url_prefix="/password")

WEAKNESSES = {
    passwords.TOO_SHORT: N_("A password has at least ten characters. Several words are easy to remember."),
    passwords.TOO_LONG: N_("A password has at most two hundred characters. Choose a shorter one."),
    passwords.NAMED: N_("The name of the account is no secret. Choose a password without it."),
    passwords.COMMON: N_("Others would guess this password: it is common, or made of words everybody here knows."),
    passwords.WALK: N_("Others would guess this password: it only walks along the keys or repeats itself."),
}
"""Why a password may not be, by `passwords.weakness`."""


@password.get("")
def ask() -> str:
    """The form."""
    return render_template("staff/password.html")


@password.post("")
def change() -> BaseResponse | tuple[str, int]:
    """Another password; every other sign-in of the account ends with the old one."""
    chosen = request.form.get("new", "")
    fault = wrong_password(request.form.get("current", "")) or _fault(chosen)
    if fault is None:
        fault = _set(chosen)
    if fault is not None:
        return render_template("staff/password.html", message=fault), 400
    sign_ins().end_others(account().name, but=account().token, why=PASSWORD)
    flash(gettext("The password is changed. All other devices are signed out."), "done")
    return redirect(url_for("common.home" if account().must_change else "settings.show"), 303)


def wrong_password(typed: str) -> str | None:
    """Why the signed-in account is not believed to be at the keyboard; None where its password was right."""
    name, source = account().name, request.remote_addr or ""
    device = known_device(account().user_ref)
    wait = math.ceil(throttle().take(name, source, device))
    if wait > 0:
        return gettext("Too many tries. Wait %(seconds)s s and try again.", seconds=wait)
    with closing(open_reader(services_of_app(current_app).database)) as connection:
        user = people.user_by_name(connection, name)
    try:
        right = user is not None and len(typed) <= LONGEST and password_is_right(user.password_hash, typed)
    except TooBusy:
        throttle().unseen(name, source, device)
        return gettext("Busy at the moment. Try again.")
    if not right:
        note("sign_in_failed", account().user_ref, source)
        return gettext("The present password is not right.")
    throttle().succeeded(name, source, device)
    sign_ins().prove(account().token)
    return None


def known_words(services: Services) -> tuple[str, ...]:
    """What everybody at this place would guess first."""
    lab = services.lab
    return (lab.id, *lab.name.by_language.values(), *lab.organisation.by_language.values())


def refusal(error: CommandRefused) -> str:
    """The clerk's no, in words."""
    known = phrases.COMMAND_REFUSALS.get(error.code)
    return gettext(known) if known else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=error.code)


def _fault(chosen: str) -> str | None:
    if chosen != request.form.get("again", ""):
        return gettext("The two passwords differ. Type the new one twice.")
    if passwords.as_hashed(chosen) == passwords.as_hashed(request.form.get("current", "")):
        return gettext("That is the present password. Choose another one.")
    why = passwords.weakness(chosen, account().name, known_words(services_of_app(current_app)))
    return None if why is None else gettext(WEAKNESSES[why])


def _set(chosen: str) -> str | None:
    password_hash = passwords.hash_password(chosen)
    command = SetPassword(account().name, password_hash, must_change=False, by=account().user_ref)
    sign_ins().stay_with(account().token, password_hash)
    try:
        services_of_app(current_app).submit(command)
    except CommandRefused as error:
        return refusal(error)
    return None
