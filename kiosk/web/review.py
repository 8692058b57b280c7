"""`/review`: exceptions first, the clean rest in one gesture. Needs no JavaScript; the clerk makes every change."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import ApproveSessions, Command, CommandRefused, DecideSession, Done
from kiosk.domain.entries import REVIEW_REASONS
from kiosk.domain.flags import QUESTIONED
from kiosk.store.schema import open_reader
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.machines import troubles
from kiosk.web.reading import Reading
from kiosk.web.review_items import Item, choices, items, worst_first
from kiosk.words import parse_hours_minutes, words

review = Blueprint("review", __name__, url_prefix="/review")
TEXT_LIMIT = 500
MAX_AT_ONCE = 500


@review.get("", strict_slashes=False)
def day() -> str:
    """Yesterday, today, and whatever older still waits."""
    return page({})


def page(typed: Mapping[str, str]) -> str:
    """The list; `typed` is what somebody wrote into the form for hours by hand and has to mend."""
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        rows = reading.sessions_to_review(services.wall_ms())
        language = request_language(services)
        shown = items(reading, rows, language, account().person_ref)
        offered = choices(reading, language, account().person_ref) if account().decides else None
    waiting = [each for each in shown if each.end and (each.review == "pending" or QUESTIONED in each.flags)]
    clean = [each for each in waiting if not each.flags]
    return render_template(
        "staff/review.html",
        exceptions=sorted((each for each in waiting if each.flags), key=worst_first),
        clean=clean,
        approvable=sum(not each.own for each in clean),
        open=[each for each in shown if not each.end],
        decided=[each for each in shown if each.review != "pending" and QUESTIONED not in each.flags],
        review_reasons=REVIEW_REASONS,
        choices=offered,
        typed=typed,
        troubles=troubles(services, words(language)),
    )


@review.get("/<int:session>")
def one(session: int) -> str:
    """One session, decided or not."""
    return render_template("staff/one.html", item=_item(session), review_reasons=REVIEW_REASONS)


@review.post("/<int:session>")
def decide(session: int) -> BaseResponse:
    """Approve, adjust or reject."""
    decision = request.form.get("decision", "")
    if decision not in {"approved", "adjusted", "rejected"}:
        abort(400)
    credited_ms, process, reason = None, None, None
    if decision != "approved":
        reason = request.form.get("reason", "")
        if reason not in REVIEW_REASONS:
            flash(gettext("Choose a reason."), "refused")
            return _back(session)
    if decision == "adjusted":
        credited_ms = parse_hours_minutes(request.form.get("credited", ""))
        process = request.form.get("process") or None
        if credited_ms is None:
            flash(gettext("Write the credited time as hours and minutes, as in 2:05."), "refused")
            return _back(session)
    command = DecideSession(
        session=session,
        decision=decision,
        by=account().user_ref,
        reason=reason,
        text=request.form.get("text", "").strip()[:TEXT_LIMIT] if reason else "",
        credited_ms=credited_ms,
        process=process,
    )
    if submit(command) is not None:
        said = {
            "approved": gettext("Approved."),
            "adjusted": gettext("Adjusted."),
            "rejected": gettext("Rejected."),
        }
        flash(said[decision], "done")
        return redirect(url_for("review.day"))
    return _back(session)


@review.post("/approve")
def approve_clean() -> BaseResponse:
    """The clean ones that were left ticked, all or none."""
    chosen = tuple(dict.fromkeys(int(each) for each in request.form.getlist("session") if each.isdecimal()))
    if not chosen:
        flash(gettext("No session was chosen."), "refused")
    elif len(chosen) > MAX_AT_ONCE:
        abort(400)
    elif submit(ApproveSessions(chosen, account().user_ref)) is not None:
        flash(ngettext("%(num)s session approved.", "%(num)s sessions approved.", len(chosen)), "done")
    return redirect(url_for("review.day"))


def submit(command: Command) -> Done | None:
    """The clerk's yes, or `None` after its no was put into words."""
    try:
        return services_of_app(current_app).submit(command)
    except CommandRefused as refused:
        words = phrases.COMMAND_REFUSALS.get(refused.code)
        flash(gettext(words) if words else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=refused.code), "refused")
        return None


def _back(session: int) -> Response | BaseResponse:
    return redirect(url_for("review.one", session=session))


def _item(session: int) -> Item:
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        row = reading.session(session)
        if row is None:
            abort(404)
        return items(reading, [row], request_language(services), account().person_ref, strips="all")[0]
