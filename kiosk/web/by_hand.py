"""What instructors do about sessions besides deciding: enter one by hand, say when one began, close one.

The pages need no JavaScript; the clerk makes every change, and refuses what cannot be.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import CloseSession, DateBoot, EnterManual
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.review import TEXT_LIMIT, page, submit
from kiosk.words import parse_local, weekday_time

by_hand = Blueprint("by_hand", __name__, url_prefix="/review")
_FIELDS = ("person", "machine", "process", "start", "end", "reason", "text")


@by_hand.post("/by-hand")
def enter() -> BaseResponse | tuple[str, int]:
    """A session that no badge told of. What was typed stays on the page where it cannot be entered."""
    zone = ZoneInfo(services_of_app(current_app).lab.timezone)
    typed = {name: request.form.get(name, "").strip() for name in _FIELDS}
    start_ms, end_ms = parse_local(typed["start"], zone), parse_local(typed["end"], zone)
    if start_ms is None or end_ms is None:
        flash(gettext("Write both times as date and time."), "refused")
        return page(typed), 422
    if typed["reason"] not in MANUAL_REASONS:
        flash(gettext("Choose a reason."), "refused")
        return page(typed), 422
    command = EnterManual(
        person_id=typed["person"],
        machine=typed["machine"],
        process=typed["process"] or None,
        start_ms=start_ms,
        end_ms=end_ms,
        by=account().user_ref,
        reason=typed["reason"],
        text=typed["text"][:TEXT_LIMIT],
    )
    if submit(command) is None:
        return page(typed), 422
    flash(gettext("Entered. It waits for a decision."), "done")
    return redirect(url_for("review.day"))


@by_hand.post("/<int:session>/began")
def began(session: int) -> BaseResponse:
    """A session's beginning by the clock on the wall, which dates everything of its boot."""
    services = services_of_app(current_app)
    zone = ZoneInfo(services.lab.timezone)
    utc_ms = parse_local(request.form.get("began", ""), zone)
    if utc_ms is None:
        flash(gettext("Write the date and the time."), "refused")
    elif submit(DateBoot(session, utc_ms, account().user_ref)) is not None:
        moment = weekday_time(utc_ms, zone, request_language(services))
        flash(gettext("Dated. The session began: %(moment)s", moment=moment), "done")
        return redirect(url_for("review.day"))
    return redirect(url_for("review.one", session=session))


@by_hand.post("/<int:session>/close")
def close(session: int) -> BaseResponse:
    """Somebody has gone and forgot to tap."""
    if submit(CloseSession(session, account().user_ref)) is not None:
        flash(gettext("Closed."), "done")
    return redirect(url_for("board.show" if request.form.get("back") == "board" else "review.day"))
