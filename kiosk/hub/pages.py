"""The pages: hours, records, logs and alarms of the enterprise that is logged in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import flask
from flask import Blueprint, request
from flask_babel import gettext
from flask_login import current_user, login_user, logout_user
from werkzeug.wrappers import Response

from kiosk.hub import views
from kiosk.hub.config import HubEnterprise
from kiosk.hub.login import Account
from kiosk.hub.web import language, the_hub
from lab_config.model import LANGUAGES

PAGE = 100
LANGUAGE_NAMES = {"kk": "Қазақша", "ru": "Русский", "en": "English"}

pages = Blueprint("pages", __name__)


OPEN_TO_ALL = ("pages.login", "pages.health")


def account() -> Account | None:
    """Who is logged in."""
    found = current_user._get_current_object()  # what is behind flask-login's proxy
    return found if isinstance(found, Account) else None


def enterprise() -> HubEnterprise:
    """The enterprise that is logged in; `before_request` let nobody else in."""
    found = account()
    assert found is not None
    return found.enterprise


@pages.app_template_filter("hours")
def hours_and_minutes(milliseconds: int) -> str:
    """A total as h:min; the one place where it is rounded, downwards."""
    return f"{milliseconds // 3_600_000}:{milliseconds // 60_000 % 60:02d}"


@pages.app_template_filter("moment")
def moment(utc_ms: int) -> str:
    """UTC, to the minute."""
    return f"{datetime.fromtimestamp(utc_ms / 1000, UTC):%d.%m.%Y %H:%M} UTC"


@pages.app_template_filter("day")
def day(iso: str) -> str:
    """An ISO date as it is written here in every language: 29.10.2026."""
    return f"{date.fromisoformat(iso):%d.%m.%Y}"


@pages.app_template_filter("evidence")
def evidence_in_words(evidence: str) -> str:
    """What the time is proved by."""
    words = {
        "badge+machine": gettext("badge and machine"),
        "badge": gettext("badge only"),
        "manual": gettext("entered by hand"),
    }
    return words[evidence]


@pages.app_template_filter("decision")
def decision_in_words(decision: str) -> str:
    """What the instructor decided."""
    words = {
        "approved": gettext("approved"),
        "adjusted": gettext("adjusted"),
        "rejected": gettext("rejected"),
        "pending": gettext("not decided yet"),
    }
    return words[decision]


@pages.app_template_filter("alarm")
def alarm_in_words(kind: str) -> str:
    """What an alarm means."""
    words = {
        "wrong_signature": gettext("A delivery was not signed by a known sender."),
        "malformed": gettext("A delivery could not be read."),
        "no_log_key": gettext("A delivery came from a log whose key is not known."),
        "wrong_checkpoint_signature": gettext("The head of a log was not signed by its key."),
        "broken_proof": gettext("A record is not what its log was made of."),
        "history_rewritten": gettext("The history of a log was rewritten."),
        "contradiction": gettext("A record came a second time with other content."),
        "id_reused": gettext("A delivery came a second time with other content."),
        "numbered_twice": gettext("Two records of one person have the same number."),
    }
    return words.get(kind, kind)


@pages.app_context_processor
def around() -> dict[str, object]:
    """What every page shows: who is logged in, the languages, and how much waits for a person."""
    if account() is None:
        return {"languages": LANGUAGE_NAMES, "language": language(), "enterprise": None, "demo": the_hub().config.demo}
    with the_hub().store.read() as db:
        alarms = len(views.alarms(db, enterprise().id)) + len(views.withheld(db, enterprise().id))
        parked = sum(row["accepted_ms"] is None for row in views.logs(db, enterprise().id))
    return {
        "languages": LANGUAGE_NAMES,
        "language": language(),
        "enterprise": enterprise(),
        "demo": the_hub().config.demo,
        "alarm_count": alarms,
        "parked_count": parked,
    }


@pages.before_request
def let_in() -> Response | None:
    """`?lang=` on any page is remembered; every page but the open ones wants a login."""
    if request.args.get("lang") in LANGUAGES:
        flask.session["language"] = request.args["lang"]
    if account() is None and request.endpoint not in OPEN_TO_ALL:
        return flask.redirect(flask.url_for("pages.login", next=request.full_path.rstrip("?")))
    return None


@pages.get("/")
def hours() -> str:
    """Hours by person and process."""
    with the_hub().store.read() as db:
        rows = views.hours(db, enterprise().id)
    return flask.render_template("hours.html", rows=rows, total_ms=sum(row.credited_ms for row in rows))


@pages.get("/records")
def records() -> str:
    """Every record, the newest first."""
    before = request.args.get("before", type=int)
    with the_hub().store.read() as db:
        rows = views.records(db, enterprise().id, before=before, limit=PAGE)
    return flask.render_template("records.html", rows=rows, more=rows[-1]["n"] if len(rows) == PAGE else None)


@pages.get("/logs")
def logs() -> str:
    """The logs that deliver here, and those that wait for a person."""
    with the_hub().store.read() as db:
        rows = views.logs(db, enterprise().id)
    listed = {row["vkey"] for row in rows}
    trusted = [key for key in enterprise().trusted if key.vkey not in listed]
    return flask.render_template("logs.html", rows=rows, trusted=trusted)


@pages.post("/logs/accept")
def accept() -> Response:
    """Trust a parked log: a person has compared the fingerprint."""
    hub = the_hub()
    fingerprint = request.form.get("fingerprint", "")
    if not hub.store.accept(fingerprint, f"account {enterprise().id}", hub.now_ms(), enterprise().id):
        flask.abort(404)
    return flask.redirect(flask.url_for("pages.logs"))


@pages.get("/alarms")
def alarms() -> str:
    """What was refused, and what is missing."""
    with the_hub().store.read() as db:
        found, gaps = views.alarms(db, enterprise().id), views.withheld(db, enterprise().id)
    return flask.render_template("alarms.html", alarms=found, gaps=gaps)


@pages.route("/login", methods=["GET", "POST"])
def login() -> Response | str | tuple[str, int]:
    """Name and password."""
    if request.method == "GET":
        return flask.render_template("login.html", problem=None, user="")
    hub, user = the_hub(), request.form.get("user", "")[:100]
    address = request.remote_addr or ""
    known = hub.doorkeeper.account(user, request.form.get("password", "")[:1000], address)
    if known is None:
        wait_s = -(-hub.doorkeeper.wait_ms(user, address) // 1000)
        problem = gettext("The name or the password is wrong.")
        if wait_s:
            problem = gettext("Too many tries. Wait %(seconds)d s, then try again.", seconds=wait_s)
        return flask.render_template("login.html", problem=problem, user=user), 429 if wait_s else 401
    chosen = flask.session.get("language")
    flask.session.clear()
    if chosen:
        flask.session["language"] = chosen
    flask.session.permanent = True
    login_user(known)  # type: ignore[no-untyped-call]
    return flask.redirect(_own_path(request.args.get("next")))


@pages.post("/logout")
def logout() -> Response:
    """End the session."""
    logout_user()  # type: ignore[no-untyped-call]
    return flask.redirect(flask.url_for("pages.login"))


@pages.get("/health")
def health() -> dict[str, object]:
    """For a service manager."""
    with the_hub().store.read() as db:
        db.execute("SELECT 1 FROM records LIMIT 1")
    return {"status": "ok"}


def _own_path(target: str | None) -> str:
    """Where to go after the login: a path of this site, nothing else."""
    parts = urlsplit(target or "/")
    safe = not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in (target or "")
    return target if target and safe and not target.startswith("//") else "/"
