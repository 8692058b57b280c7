"""`/review`: exceptions first, the clean rest in one gesture. Needs no JavaScript; the clerk makes every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import ApproveSessions, Command, CommandRefused, DecideSession, Done, UndoReview
from kiosk.domain.entries import REVIEW_REASONS
from kiosk.store import views, waiting
from kiosk.store.schema import open_reader
from kiosk.store.unchanged import LETTERS, last_decisions
from kiosk.store.waiting import Only
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.machines import troubles
from kiosk.web.reading import Reading
from kiosk.web.review_items import Item, choices, items, worst_first
from kiosk.web.review_words import history
from kiosk.words import day as written_day
from kiosk.words import hours_minutes, parse_hours_minutes, words

review = Blueprint("review", __name__, url_prefix="/review")
TEXT_LIMIT = 500
MAX_AT_ONCE = 200
SHOWN_EXCEPTIONS = 10
"""More than a group has; each decision brings the next one of a longer backlog onto the page."""
SHOWN_CLEAN = 60
"""A day of two groups in one gesture."""
SHOWN_DECIDED = 20
APPROVE_ALL = "approve-all"
"""The place on the page where the exceptions end: the button under the clean ones, so that a browser focuses it."""
UNDO = "gesture"
"""In the sign-in's cookie: what its last gesture decided, and what was said of it."""


@dataclass(frozen=True)
class Wanted:
    """What the page was asked to show."""

    only: Only
    oldest: bool
    args: Mapping[str, str]
    """The same as arguments of a link."""

    @property
    def day(self) -> str:
        """The chosen date, or empty."""
        return self.only.first_date or ""


@review.get("", strict_slashes=False)
def day() -> str:
    """Whatever waits, and what was decided of yesterday's and today's sessions; or one day, one group."""
    return page({})


def page(typed: Mapping[str, str]) -> str:
    """The list; `typed` is what somebody wrote into the form for hours by hand and has to mend."""
    services = services_of_app(current_app)
    who = account()
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        language = request_language(services)
        wanted = _wanted(reading)
        shown: dict[str, Any] = {
            "choices": choices(reading, language, who.person_ref) if who.decides else None,
            "groups": waiting.groups(connection),
            "open": len(views.open_sessions(connection)),
        }
        flagged = waiting.exceptions(connection, wanted.only, SHOWN_EXCEPTIONS, oldest=wanted.oldest)
        fine = waiting.clean(connection, wanted.only, SHOWN_CLEAN, oldest=wanted.oldest)
        done = waiting.decided(connection, _decided_days(wanted, reading.local_date(services.wall_ms())), SHOWN_DECIDED)
        exceptions = sorted(items(reading, flagged.rows, language, who, closely=True), key=worst_first)
        clean = items(reading, fine.rows, language, who)
        decided = items(reading, done.rows, language, who)
        oldest_day = waiting.oldest_day(connection)
    return render_template(
        "staff/review.html",
        wanted=wanted,
        programmes=[(each.id, each.title.in_language(language) or each.id) for each in services.lab.programmes],
        exceptions=exceptions,
        nexts=_nexts(exceptions),
        exceptions_count=flagged.count,
        clean=clean,
        clean_count=fine.count,
        approvable=sum(not each.own for each in clean),
        decided=decided,
        decided_count=done.count,
        counted=waiting.COUNTED,
        oldest_day=written_day(oldest_day) if oldest_day else "",
        review_reasons=REVIEW_REASONS,
        typed=typed,
        undo=_last_gesture(),
        troubles=troubles(services, words(language)),
        **shown,
    )


def _wanted(reading: Reading) -> Wanted:
    """The filters of the address; what they do not know is left out."""
    try:
        chosen = date.fromisoformat(request.args.get("day", "")).isoformat()
    except ValueError:
        chosen = ""
    group = request.args.get("group", "")
    programme = request.args.get("programme", "")
    known = programme in {each.id for each in reading.lab.programmes}
    oldest = request.args.get("order") == "oldest"
    only = Only(chosen or None, chosen or None, group or None, programme if known else None)
    said = {"day": chosen, "group": group, "programme": only.programme or "", "order": "oldest" if oldest else ""}
    return Wanted(only, oldest, {name: value for name, value in said.items() if value})


def _decided_days(wanted: Wanted, today: date) -> Only:
    """Of the chosen day, else of yesterday and today."""
    only = wanted.only
    if only.first_date:
        return only
    return Only((today - timedelta(days=1)).isoformat(), today.isoformat(), only.group, only.programme)


def _nexts(exceptions: Sequence[Item]) -> dict[int, str]:
    """Where to go on after each: to the next one, from the last to the first that is left, then to the clean ones."""
    open_to_me = [each.session for each in exceptions if not each.closed_to]
    nexts = {}
    for place, number in enumerate(open_to_me):
        rest = [*open_to_me[place + 1 :], *open_to_me[:place]]
        nexts[number] = f"s{rest[0]}" if rest else APPROVE_ALL
    return nexts


@review.get("/<int:session>")
def one(session: int) -> str:
    """One session, decided or not, with everything that was decided on it so far."""
    return _one(session, {})


def _one(session: int, typed: Mapping[str, str]) -> str:
    services = services_of_app(current_app)
    language = request_language(services)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        row = reading.session(session)
        if row is None:
            abort(404)
        (item,) = items(reading, [row], language, account(), closely=True)
        steps = history(reading, session, words(language))
    return render_template(
        "staff/one.html", item=item, steps=steps, review_reasons=REVIEW_REASONS, typed=typed, undo=_last_gesture()
    )


@review.post("/<int:session>")
def decide(session: int) -> BaseResponse | tuple[str, int]:
    """Approve, adjust or reject. What was typed stays where it cannot be."""
    decision = request.form.get("decision", "")
    if decision not in {"approved", "adjusted", "rejected"}:
        abort(400)
    credited_ms, process, reason = None, None, None
    if decision != "approved":
        reason = request.form.get("reason", "")
        if reason not in REVIEW_REASONS:
            flash(gettext("Choose a reason."), "refused")
            return _one(session, request.form), 422
    if decision == "adjusted":
        credited_ms = _credited_ms(request.form)
        process = request.form.get("process") or None
        if credited_ms is None:
            flash(gettext("Write the credited time as hours and minutes, as in 2:05."), "refused")
            return _one(session, request.form), 422
    command = DecideSession(
        session=session,
        decision=decision,
        by=account().user_ref,
        reason=reason,
        text=request.form.get("text", "").strip()[:TEXT_LIMIT] if reason else "",
        credited_ms=credited_ms,
        process=process,
        seen=request.form.get("seen", "")[:LETTERS] or None,
    )
    if submit(command) is None:
        return _one(session, request.form), 422
    said = {"approved": gettext("Approved."), "adjusted": gettext("Adjusted."), "rejected": gettext("Rejected.")}
    _remember(said[decision], (session,))
    return _back()


@review.post("/approve")
def approve_clean() -> BaseResponse:
    """The clean ones that were left ticked, all or none."""
    chosen = _chosen()
    if not chosen:
        flash(gettext("No session was chosen."), "refused")
    elif submit(ApproveSessions(chosen, account().user_ref, _seen(chosen))) is not None:
        _remember(ngettext("%(num)s session approved.", "%(num)s sessions approved.", len(chosen)), chosen)
    return _back()


@review.post("/undo")
def undo() -> BaseResponse:
    """Takes back the decisions of one gesture: what stood before stands again, or the sessions wait anew."""
    chosen = _chosen()
    if not chosen:
        flash(gettext("No session was chosen."), "refused")
    elif submit(UndoReview(chosen, account().user_ref, _meant(chosen))) is not None:
        _remember(ngettext("Taken back: %(num)s decision.", "Taken back: %(num)s decisions.", len(chosen)), ())
        return _to_list(f"s{chosen[0]}")
    else:
        cookie.pop(UNDO, None)
    return _back()


def submit(command: Command) -> Done | None:
    """The clerk's yes, or `None` after its no was put into words."""
    try:
        return services_of_app(current_app).submit(command)
    except CommandRefused as refused:
        words = phrases.COMMAND_REFUSALS.get(refused.code)
        flash(gettext(words) if words else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=refused.code), "refused")
        return None


def _credited_ms(form: Mapping[str, str]) -> int | None:
    """To the millisecond, where a proposal was taken or the time was left as the form showed it."""
    taken, shown, typed = (form.get(name, "").strip() for name in ("credited_ms", "exactly", "credited"))
    if _number(taken):
        return int(taken)
    return int(shown) if _number(shown) and hours_minutes(int(shown)) == typed else parse_hours_minutes(typed)


def _chosen() -> tuple[int, ...]:
    chosen = tuple(dict.fromkeys(int(each) for each in request.form.getlist("session") if _number(each)))
    if len(chosen) > MAX_AT_ONCE:
        abort(400)
    return chosen


def _seen(chosen: Sequence[int]) -> tuple[str, ...]:
    """What the page showed of each; nothing where it does not say."""
    seen = tuple(request.form.get(f"seen{each}", "")[:LETTERS] for each in chosen)
    return seen if any(seen) else ()


def _meant(chosen: Sequence[int]) -> tuple[int, ...]:
    """The decision on each that the page offered to take back; nothing where it does not say."""
    said = [request.form.get(f"decided{each}", "") for each in chosen]
    return tuple(int(each) if _number(each) else 0 for each in said) if any(said) else ()


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15


def _args() -> dict[str, Any]:
    return {name: request.args[name] for name in ("day", "group", "programme", "order") if name in request.args}


def _back() -> BaseResponse:
    """To the list as it was narrowed, at the place where the work goes on."""
    anchor = request.form.get("next", "")
    known = anchor == APPROVE_ALL or (anchor[:1] == "s" and _number(anchor[1:]))
    return _to_list(anchor if known else None)


def _to_list(anchor: str | None) -> BaseResponse:
    return redirect(url_for("review.day", _anchor=anchor, **_args()))


def _remember(said: str, decided: tuple[int, ...]) -> None:
    """For the bar at the foot of the page: what was done, and what can be taken back by the same account."""
    with closing(open_reader(services_of_app(current_app).database)) as connection:
        entries = last_decisions(connection, decided)
    cookie[UNDO] = {"said": said, "sessions": [[each, entries.get(each, 0)] for each in decided]}


def _last_gesture() -> Mapping[str, Any] | None:
    """What there is to say and to take back; what cannot be taken back is said once."""
    found: dict[str, Any] | None = cookie.get(UNDO)
    if found is not None and not found["sessions"]:
        cookie.pop(UNDO)
    return found
