"""The two applications: the kiosk screen, which has no accounts, and the staff side, which has nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Flask, Response, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask_babel import Babel
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases, words
from kiosk.phrases import N_
from kiosk.store import acts, people
from kiosk.store.schema import StoreError, open_reader
from kiosk.web import page_words
from kiosk.web.accounts import CLOSED, HOUR_S, MOST_IN_AN_HOUR, Account, SignIns, Throttle
from kiosk.web.announce import Announcer
from kiosk.web.board import static_folder
from kiosk.web.feed import Feed
from kiosk.web.jobs import FOLDER as JOBS_FOLDER
from kiosk.web.jobs import Jobs
from kiosk.web.reading import disk_is_away, today
from kiosk.web.server import BODY_LIMIT, is_loopback
from kiosk.web.services import Services
from lab_config.model import LANGUAGES

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
    ),
}
STRICT_TRANSPORT = "max-age=31536000"
LANGUAGE_COOKIE = "sheber_language"
YEAR_S = 365 * 24 * 3600

ERROR_WORDS = {
    400: (N_("This request was not understood"), N_("Go back, load the page again and repeat.")),
    403: (N_("Not for this account"), N_("Your role may not do this. Nothing was changed.")),
    404: (N_("There is no such page"), N_("Check the address.")),
    405: (N_("There is no such page"), N_("Check the address.")),
    413: (N_("Too large"), N_("Send less at once.")),
    500: (
        N_("Something went wrong here"),
        N_("The recording goes on. Try again; if it stays, tell the administrator."),
    ),
    503: (N_("Busy at the moment"), N_("Wait a little and try again.")),
}

OLD_PAGE = (
    N_("This page is from before you signed in"),
    N_("Nothing was changed. Go back: what you typed is still there. Copy it, load the page again and repeat."),
)
"""A form whose token belongs to another sign-in."""


def create_kiosk_app(services: Services, feed: Feed | None = None) -> Flask:
    """The screen in the workshop, `/health` and `/metrics`; plain, local, without accounts."""
    from kiosk.web.pair import guard  # noqa: PLC0415
    from kiosk.web.panel import panel  # noqa: PLC0415 - the blueprints know this module
    from kiosk.web.screen import screen  # noqa: PLC0415
    from kiosk.web.visit_pages import visit_pages  # noqa: PLC0415

    app = _plain_app(services)
    announcer = Announcer(services)
    app.extensions["sheber"] = {"services": services, "feed": feed, "board": announcer.board_view}
    app.before_request(guard)
    app.register_blueprint(screen)
    app.register_blueprint(visit_pages)
    app.register_blueprint(panel)
    return app


def create_staff_app(services: Services, now: Callable[[], float] = monotonic) -> Flask:
    """The instructors' side: everything behind an account. Sign-ins and throttles go by `now`, in seconds."""
    from kiosk.web.access import BY_THEMSELVES, guard, menu  # noqa: PLC0415 - they know this module
    from kiosk.web.confirm import ask_again  # noqa: PLC0415
    from kiosk.web.staff_rooms import STAFF_ROOMS  # noqa: PLC0415
    from kiosk.web.uploads import expect_large_body  # noqa: PLC0415

    app = _plain_app(services)
    app.config.update(
        SESSION_COOKIE_NAME="sheber_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # lives as long as the sign-in, which ends by itself
    )
    app.session_interface = _SecureWhereTls()
    app.before_request(expect_large_body)  # before the token is looked for in the form
    CSRFProtect(app)  # type: ignore[no-untyped-call]
    sign_ins, throttle = SignIns(now), Throttle(now)
    recall_failures(services, throttle)
    app.extensions["sheber"] = {
        "services": services,
        "sign_ins": sign_ins,
        "throttle": throttle,
        "pairing_throttle": Throttle(now),
        "jobs": Jobs(services.database.parent / JOBS_FOLDER),
    }
    manager = LoginManager(app)  # type: ignore[no-untyped-call]
    manager.login_view = "login.ask"
    manager.login_message = ""

    @manager.user_loader  # type: ignore[untyped-decorator]
    def _load(token: str) -> Account | None:
        name = sign_ins.name_of(token, used=request.endpoint not in BY_THEMSELVES)
        found = find_account(services, sign_ins, token, name) if name is not None else None
        if name is not None and found is None:
            sign_ins.end(token, CLOSED)
        return found

    @app.errorhandler(CSRFError)
    def _csrf(_error: CSRFError) -> tuple[str, int]:
        return error_page(400, OLD_PAGE if request.form.get("csrf_token") else None), 400

    @app.after_request
    def _private(response: Response) -> Response:
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        if request.is_secure and _lasting_tls(services):
            response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        return response

    app.before_request(guard)
    app.before_request(ask_again)
    app.context_processor(lambda: {"menu": menu() if account().is_authenticated else []})
    app.register_blueprint(_common_pages())
    for room in STAFF_ROOMS:
        app.register_blueprint(room)
    return app


def _common_pages() -> Blueprint:
    """The first page, and the choice of a language."""
    common = Blueprint("common", __name__)

    @common.get("/")
    def home() -> BaseResponse:
        return redirect(url_for("review.day"))

    @common.get("/language/<code>")
    def language(code: str) -> BaseResponse:
        response = redirect(local_path(request.args.get("next", "")))
        if code in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, code, max_age=YEAR_S, httponly=True, samesite="Lax", secure=request.is_secure
            )
        return response

    return common


def find_account(services: Services, sign_ins: SignIns, token: str, name: str) -> Account | None:
    """The account behind a sign-in as it is now: blocked, out of date or with another password, it is none."""
    connection = open_reader(services.database)
    try:
        user = people.user_by_name(connection, name)
    finally:
        connection.close()
    if user is None or not usable(services, user) or not sign_ins.is_of(token, user.password_hash):
        return None
    return Account(token, user.user_ref, user.name, user.role, user.person_ref, user.must_change)


def usable(services: Services, user: people.User) -> bool:
    """May this account be used today? `until` is its last day."""
    return bool(user.active) and (user.until is None or today(services.lab, services.wall_ms()) <= user.until)


def services_of_app(app: Flask) -> Services:
    """What the app was made with."""
    found: Services = app.extensions["sheber"]["services"]
    return found


def local_path(target: str) -> str:
    """`target` where it is a path of ours, else the first page: nobody is sent elsewhere by a link."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    return target if plain and target.isprintable() else url_for("common.home")


def recall_failures(services: Services, throttle: Throttle) -> None:
    """Whoever guessed before a restart goes on waiting: the last hour's wrong passwords, as they were noted."""
    now_ms = services.wall_ms()
    first_ms, kinds = now_ms - round(HOUR_S * 1000), ("sign_in_failed",)
    with suppress(StoreError, sqlite3.Error), closing(open_reader(services.database)) as connection:
        for user in people.users(connection):
            failed = acts.acts(connection, limit=MOST_IN_AN_HOUR, by=user.user_ref, kinds=kinds, first_ms=first_ms)
            throttle.recall((user.name, max(0, now_ms - each.at_ms) / 1000) for each in reversed(failed))


def _lasting_tls(services: Services) -> bool:
    """May a browser be told to ask this host by TLS only, for a year?

    Not with a certificate of our own making, which it would then refuse for good. Nor where the workshop's screens are
    served on the same host without TLS: the word is for every port.
    """
    made = services.certificate
    return made is not None and not made.self_made and is_loopback(services.lab.web.kiosk_listen)


class _SecureWhereTls(SecureCookieSessionInterface):
    """The session cookie is `Secure`, and bound to this host by its name, exactly where the request came by TLS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return bool(request.is_secure)

    def get_cookie_name(self, app: Flask) -> str:
        return cookie_name(super().get_cookie_name(app), request.is_secure)


def cookie_name(name: str, by_tls: bool) -> str:
    """What a cookie of the staff side is called: over TLS its name binds it to this host (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-{name}" if by_tls else name


class _Number(IntegerConverter):
    """A number in an address: none that the database could not hold, which would be no page of anything."""

    regex = r"\d{1,15}"


def _plain_app(services: Services) -> Flask:
    app = Flask("kiosk.web", static_folder=str(static_folder()))
    app.url_map.converters["int"] = _Number
    app.config.update(SECRET_KEY=services.secret_key, MAX_CONTENT_LENGTH=BODY_LIMIT, SEND_FILE_MAX_AGE_DEFAULT=300)
    app.jinja_options = {"trim_blocks": True}
    Babel(  # type: ignore[no-untyped-call]
        app,
        default_locale=services.lab.languages[0],
        default_translation_directories=str(words.LOCALE_FOLDER),
        locale_selector=lambda: request_language(services),
    )
    page_words.install(app, lambda: request_language(services))

    @app.after_request
    def _secure(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.errorhandler(HTTPException)
    def _error(error: HTTPException) -> tuple[str, int] | HTTPException | BaseResponse:
        if error.code is None or error.code < 400:
            return error
        return error_page(error.code), error.code

    @app.errorhandler(Exception)
    def _failure(error: Exception) -> tuple[str, int]:
        if disk_is_away(services, error):
            return error_page(503), 503
        app.logger.exception("a page failed: %s %s", request.method, quote(request.path))
        return error_page(500), 500

    @app.context_processor
    def _everywhere() -> dict[str, Any]:
        language = request_language(services)
        return {
            "lab": services.lab,
            "place": services.lab.name.in_language(language) or services.lab.id,
            "language": language,
            "language_names": phrases.LANGUAGE_NAMES,
            "phrases": phrases,
            "all_languages": [words.words(each) for each in services.lab.languages],
        }

    return app


def error_page(code: int, said: tuple[str, str] | None = None) -> str:
    """A plain page that says what is the matter and what to do (`said`, else by the code); never a traceback."""
    try:
        status = HTTPStatus(code)
    except ValueError:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    headline, remedy = said or ERROR_WORDS.get(code) or ERROR_WORDS[400 if status < 500 else 500]
    return render_template("error.html", code=code, headline=headline, remedy=remedy)


def request_language(services: Services) -> str:
    """The cookie's language, else the browser's, else the lab's first."""
    if "language" not in g:
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        if chosen not in LANGUAGES:
            chosen = request.accept_languages.best_match(LANGUAGES, services.lab.languages[0])
        g.language = chosen
    found: str = g.language
    return found


def forget_session() -> None:
    """A new session for a new sign-in (and none for an ended one)."""
    session.clear()


def account() -> Account:
    """The signed-in account of this request."""
    found: Account = current_user._get_current_object()
    return found
