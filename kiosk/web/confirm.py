"""Who changes another's account is asked for their own password again, where they proved nothing for ten minutes.

A browser that somebody walked away from, or a stolen cookie, then opens no account and erases nobody. The form that
was sent is kept in the page that asks, and goes on with the password, also without JavaScript.
"""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from kiosk.web.apps import account, local_path
from kiosk.web.login import sign_ins
from kiosk.web.own_password import password, wrong_password

GUARDED = {
    "accounts.add": "accounts.show",
    "accounts.save": "accounts.show",
    "accounts.reset": "accounts.show",
    "accounts.clear_pin": "accounts.show",
    "backups.file": "backups.show",
    "people.forget": "people.roster",
}
"""What is asked for, by endpoint, and the page to go to for who thinks better of it."""
FIELD = "own_password"
CSRF = "csrf_token"


def ask_again() -> Response | None:
    """Before a request that needs it: the question, with the form that was sent; None where it may go on."""
    if request.endpoint not in GUARDED or sign_ins().proved_lately(account().token):
        return None
    if FIELD not in request.form:
        return _question("", 401)
    fault = wrong_password(request.form[FIELD])
    return None if fault is None else _question(fault, 400)


@password.post("/confirm")
def confirm() -> BaseResponse:
    """The password, for a page that is only looked at, and on to it."""
    fault = wrong_password(request.form.get(FIELD, ""))
    if fault is not None:
        return _question(fault, 400)
    return redirect(local_path(request.form.get("next", "")), 303)


def _question(fault: str, status: int) -> Response:
    sent = [(name, value) for name, value in request.form.items(multi=True) if name not in {FIELD, CSRF}]
    looking = request.method in {"GET", "HEAD"}
    page = render_template(
        "staff/confirm.html",
        action=url_for("password.confirm") if looking else request.path,
        sent=[("next", request.full_path.removesuffix("?"))] if looking else sent,
        field=FIELD,
        back=url_for(GUARDED.get(request.endpoint or "", "common.home")),
        message=fault,
    )
    return Response(page, status)
