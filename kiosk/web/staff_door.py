"""Who may follow the staff side's live stream: a browser whose cookie carries a sign-in, for as long as that lasts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature

from kiosk.store.schema import StoreError
from kiosk.web.access import allowed
from kiosk.web.accounts import SignIns
from kiosk.web.apps import cookie_name, find_account, services_of_app

PAGE = "board.show"
"""Whoever may look at it may be told that it changed."""


class StaffDoor:
    """Asked by the listener before a stream begins, and by the feed while it lasts."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._services = services_of_app(app)
        self._sign_ins: SignIns = app.extensions["sheber"]["sign_ins"]

    def admit(self, cookies: str, by_tls: bool) -> Callable[[], bool] | None:
        """Tells from now on whether the sign-in still lasts; None where there is none that may look."""
        token = self._token(cookies, by_tls)
        if token is None or not self._lasts(token):
            return None
        return lambda: self._lasts(token)

    def _token(self, cookies: str, by_tls: bool) -> str | None:
        """The sign-in that the session cookie names, if we wrote it."""
        interface = self._app.session_interface
        assert isinstance(interface, SecureCookieSessionInterface)
        signer = interface.get_signing_serializer(self._app)
        try:
            morsel = SimpleCookie(cookies).get(cookie_name(self._app.config["SESSION_COOKIE_NAME"], by_tls))
            if signer is None or morsel is None:
                return None
            said: Any = signer.loads(morsel.value, max_age=int(self._app.permanent_session_lifetime.total_seconds()))
        except (CookieError, BadSignature):
            return None
        token = said.get("_user_id") if isinstance(said, dict) else None
        return token if isinstance(token, str) else None

    def _lasts(self, token: str) -> bool:
        """A stream is no use of the sign-in: a board that nobody looks at is signed out like any page."""
        name = self._sign_ins.name_of(token, used=False)
        if name is None:
            return False
        if not self._services.status().recording:
            return True  # the disk is left alone while it is away; the sign-in itself needs none
        try:
            found = find_account(self._services, self._sign_ins, token, name)
        except (StoreError, sqlite3.Error):
            return True
        return found is not None and not found.must_change and found.role in allowed(PAGE, "GET")
