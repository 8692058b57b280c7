"""The hub's Flask application: the webhook, the API and the pages, each with its own kind of error."""

from __future__ import annotations

import hmac
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import flask
from flask import Blueprint, Flask, Response, current_app, request
from flask_babel import Babel
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import HTTPException

from kiosk.hub import views
from kiosk.hub.config import HubConfig, HubEnterprise
from kiosk.hub.login import Account, Doorkeeper
from kiosk.hub.receive import PARKED_RETRY_S, Refused, receive
from kiosk.hub.store import HubStore
from kiosk.records import BODY_LIMIT
from kiosk.refs import new_token
from lab_config.model import LANGUAGES

log = logging.getLogger(__name__)

API_LIMIT = 500
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
MACHINE_PATHS = ("/hooks/", "/api/")

hooks = Blueprint("hooks", __name__)
api = Blueprint("api", __name__, url_prefix="/api/v1")


@dataclass(frozen=True)
class Hub:
    """What a request works with."""

    config: HubConfig
    store: HubStore
    doorkeeper: Doorkeeper
    now_ms: Callable[[], int]


def the_hub() -> Hub:
    """The hub of the current application."""
    hub = current_app.extensions["sheber-hub"]
    assert isinstance(hub, Hub)
    return hub


def create_app(config: HubConfig, store: HubStore, now_ms: Callable[[], int], key: bytes) -> Flask:
    """The application; `key` signs the session cookies."""
    from kiosk.hub.pages import pages  # noqa: PLC0415 - pages and this module know each other

    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=key,
        MAX_CONTENT_LENGTH=2 * BODY_LIMIT,  # read, so that the refusal of what is a little over can be read too
        SESSION_COOKIE_NAME="sheber_hub",  # cookies know no ports: the kiosk on the same host has others
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=config.https,
        PERMANENT_SESSION_LIFETIME=8 * 3600,
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE="en",
        BABEL_TRANSLATION_DIRECTORIES=str(Path(__file__).parent / "locale"),
    )
    app.extensions["sheber-hub"] = Hub(config, store, Doorkeeper(config.enterprises, now_ms), now_ms)
    Babel(app, locale_selector=language)  # type: ignore[no-untyped-call]
    CSRFProtect(app).exempt(hooks)  # type: ignore[no-untyped-call]
    logins = LoginManager(app)  # type: ignore[no-untyped-call]
    logins.login_view = "pages.login"
    logins.login_message = ""
    logins.user_loader(  # type: ignore[no-untyped-call]
        lambda session_id: Account.of_session(config.enterprises, session_id)
    )
    for blueprint in (hooks, api, pages):
        app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _http_error)
    app.after_request(_harden)
    return app


def session_key(folder: Path) -> bytes:
    """The key of the session cookies in `folder`, made at the first start (0600)."""
    path = folder / "session.key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(new_token().encode())
    return path.read_bytes()


def language() -> str:
    """The visitor's language: chosen on the page, else the browser's wish."""
    chosen = flask.session.get("language")
    wishes = [chosen, *(tag.partition("-")[0].lower() for tag in request.accept_languages.values())]
    return next((wish for wish in wishes if wish in LANGUAGES), "en")


def problem(status: int, reason: str, detail: str, **members: object) -> Response:
    """An RFC 9457 answer."""
    body = {"type": "about:blank", "title": reason.replace("_", " "), "status": status, "reason": reason}
    text = json.dumps({**body, "detail": detail, **members}, ensure_ascii=False)
    return Response(text, status, mimetype="application/problem+json")


def _http_error(error: HTTPException) -> Response | tuple[str, int]:
    status = error.code or 500
    if request.path.startswith(MACHINE_PATHS):
        return problem(status, error.name.lower().replace(" ", "_"), error.description or error.name)
    return flask.render_template("error.html", status=status), status


def _harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"  # the protection against forged forms looks at it
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    if the_hub().config.https:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


# --- the webhook ----------------------------------------------------------------------------------------------------


@hooks.post("/hooks/<enterprise>")
def hook(enterprise: str) -> Response:
    """Take a delivery: 204 kept, 400 malformed, 401 not signed, 409 contradicts what is here, 503 log parked."""
    hub = the_hub()
    known = hub.config.enterprises.get(enterprise)
    if known is None:
        return problem(404, "no_enterprise", "this hub has no such enterprise")
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.get_data()
    if len(body) > BODY_LIMIT:
        return problem(413, "too_large", f"a delivery has at most {BODY_LIMIT} bytes")
    try:
        new = receive(hub.store, known, headers, body, hub.now_ms())
    except Refused as refusal:
        log.warning("%s: refused: %s", enterprise, refusal.reason)
        answer = problem(refusal.status, refusal.reason, refusal.detail, **refusal.members)
        if refusal.status == 503:
            answer.headers["Retry-After"] = str(PARKED_RETRY_S)
        return answer
    log.info("%s: %d new records", enterprise, new)
    return Response(status=204)


# --- the API --------------------------------------------------------------------------------------------------------


def _enterprise_of_token() -> HubEnterprise:
    """The enterprise whose token the request bears."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = None
    for enterprise in the_hub().config.enterprises.values():
        if hmac.compare_digest(enterprise.token.encode(), token.strip().encode()):
            found = enterprise
    if found is None or scheme.lower() != "bearer":
        answer = problem(401, "no_token", "send Authorization: Bearer with the token of your enterprise")
        answer.headers["WWW-Authenticate"] = "Bearer"
        flask.abort(answer)
    return found


def _number(name: str, default: int, least: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):
        flask.abort(problem(400, "bad_parameter", f"{name} must be a whole number from {least} to {most}"))
    return int(text)


@api.get("/records")
def api_records() -> Response:
    """The records in their order of arrival after number `after`, each with its proof; `next` is the next `after`."""
    enterprise = _enterprise_of_token()
    after, limit = _number("after", 0, 0, 2**53 - 1), _number("limit", 100, 1, API_LIMIT)
    with the_hub().store.read() as db:
        found = views.entries(db, enterprise.id, after=after, limit=limit)
    listed = [{"entry": json.loads(entry), "proof": proof} for _, entry, proof in found]
    return _json({"records": listed, "next": found[-1][0] if found else after})


@api.get("/hours")
def api_hours() -> Response:
    """Hours by person and process, over all logs."""
    enterprise = _enterprise_of_token()
    with the_hub().store.read() as db:
        return _json({"hours": [asdict(row) for row in views.hours(db, enterprise.id)]})


@api.get("/checkpoint")
def api_checkpoint() -> Response:
    """The newest signed head kept here, of the log named by `origin` or of the one heard last."""
    enterprise = _enterprise_of_token()
    with the_hub().store.read() as db:
        note = views.newest_checkpoint(db, enterprise.id, request.args.get("origin"))
    if note is None:
        return problem(404, "no_checkpoint", "nothing has been received from such a log")
    return Response(note, mimetype="text/plain")


def _json(value: object) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), mimetype="application/json")
