"""Browsers that an account was signed in from before: whoever guesses elsewhere does not keep its owner out there.

A cookie that only a right password gives (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). It opens
nothing: its bearer's tries are counted apart from those of strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from flask import current_app, request
from itsdangerous import BadData, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from kiosk.refs import new_ref
from kiosk.web.apps import cookie_name, services_of_app

COOKIE = "sheber_device"
DAY_S = 24 * 3600
KEPT_S = 180 * DAY_S
MOST_ACCOUNTS = 8
"""Of one browser: an office has one computer for several people."""


@dataclass(frozen=True)
class _Known:
    """One account that was signed in from this browser."""

    user_ref: str
    device: str
    """A new one at every sign-in."""
    given_ms: int


def known_device(user_ref: str) -> str:
    """The device that this request comes from where the account was signed in from it, else empty."""
    return next((each.device for each in _known() if each.user_ref == user_ref), "")


def remember_device(response: BaseResponse, user_ref: str) -> None:
    """The account was signed in from this browser just now."""
    newest = _Known(user_ref, new_ref(), services_of_app(current_app).wall_ms())
    others = [each for each in _known() if each.user_ref != user_ref]
    response.set_cookie(
        cookie_name(COOKIE, request.is_secure),
        str(_signer().dumps([astuple(each) for each in (newest, *others)][:MOST_ACCOUNTS])),
        max_age=KEPT_S,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def _known() -> Sequence[_Known]:
    now_ms = services_of_app(current_app).wall_ms()
    try:
        said = _signer().loads(request.cookies.get(cookie_name(COOKIE, request.is_secure), ""))
    except BadData:
        return ()
    return [each for each in (_Known(*fields) for fields in said) if now_ms - each.given_ms < KEPT_S * 1000]


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(services_of_app(current_app).secret_key, salt=COOKIE)
