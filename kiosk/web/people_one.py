"""`/people/<ref>`: all about one person on one page, and their sessions, 50 a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from flask import abort, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from kiosk.domain.forecast import forecast, monday
from kiosk.phrases import LANGUAGE_NAMES
from kiosk.store import views
from kiosk.store.people import Person
from kiosk.store.totals import process_totals, week_totals
from kiosk.web.apps import account
from kiosk.web.own_record import own_record
from kiosk.web.people_frame import (
    choices,
    enterprises,
    full_name,
    may,
    page_url,
    people,
    person_of,
    programmes,
    reading,
    services,
    titled,
)
from kiosk.web.people_list import credits_of, whole_plan
from kiosk.web.people_papers import agreement_acts, agreement_history, agreements, badge_parts, strangers
from kiosk.web.people_parts import (
    WEEKS_SHOWN,
    Weeks,
    first_to_end,
    forecast_words,
    grantable,
    hours,
    levels,
    minor_part,
    moment,
    paper_part,
    process_part,
    session_part,
    skill_part,
    until_offered,
    weeks_chart,
)
from kiosk.web.reading import Reading
from kiosk.words import day

FEW_SESSIONS = 6
PAGE = 50
CHANGES = ("save", "sign", "grant", "enrol", "assign", "block", "consent", "withdraw", "contract", "merge", "erase")
_PLACE = re.compile(r"([0-9]{1,15})-([0-9]{1,12})")


@people.get("/<string(length=16):ref>")
def one(ref: str) -> str | BaseResponse:
    """The whole page; what is left, of somebody who was erased."""
    return show(ref, {})


def show(ref: str, typed: Mapping[str, str]) -> str | BaseResponse:
    """`typed` is what somebody wrote into one of the forms and has to mend; its `form` says which."""
    with reading() as here:
        person = person_of(here, ref)
        if person.person_ref != ref:
            return redirect(page_url(person.person_ref))
        if not person.person_id:
            return _erased(here, person)
        return render_template(
            "staff/person.html", may={each: may(each) for each in CHANGES}, typed=typed, **_about(here, person)
        )


def _erased(here: Reading, person: Person) -> str:
    totals = process_totals(here.connection, [person.person_ref])
    return render_template(
        "staff/person_erased.html",
        approved=hours(sum(each.approved_ms for each in totals)),
        presence=hours(sum(each.presence_ms for each in totals)),
        sessions=sum(each.sessions for each in totals),
    )


def _about(here: Reading, person: Person) -> dict[str, Any]:
    ref, now_ms = person.person_ref, services().wall_ms()
    today = here.local_date(now_ms)
    totals = credits_of(process_totals(here.connection, [ref])).get(ref, {})
    record = own_record(here, ref, now_ms, totals)
    if record is None:
        abort(404)
    weeks = _weeks(here, ref, today)
    pace = {each: approved + waiting for each, (approved, waiting) in weeks.items()}
    recent = views.person_sessions_page(here.connection, ref, limit=PAGE)
    happened = agreement_acts(here, person)
    planned = {each.process for each in record.processes}
    outside = [credit for process, credit in totals.items() if process not in planned]
    return {
        "person": person,
        "ref": ref,
        "name": full_name(person),
        "own": account().person_ref == ref,
        "facts": _facts(person),
        "ready": person.role == "apprentice" and record.ready,
        "whole": whole_plan(record),
        "processes": [process_part(each) for each in record.processes],
        "outside": hours(sum(each.decided_ms + each.pending_ms for each in outside)) if outside else None,
        "expected": forecast_words(forecast(record.processes, pace, _first_day(here, ref), today)),
        "weeks": weeks_chart(weeks, today),
        "skills": [skill_part(here, record, each) for each in record.competencies],
        "levels": levels(),
        "papers": [paper_part(here.lab, each) for each in sorted(record.qualifications, key=first_to_end)],
        "grantable": grantable(here.lab, record),
        "until": until_offered(today),
        "badges": badge_parts(here, person, numbers=may("block")),
        "strangers": strangers(here) if may("enrol") else [],
        "agreements": list(agreements(happened, today.isoformat())),
        "agreed": agreement_history(here, happened),
        "enterprises": choices(enterprises()),
        "minor": minor_part(here, person, today, recent),
        "questions": [
            {"session": each.session, "at": moment(here, each.at_ms), "text": here.text(each.text_hash) or ""}
            for each in record.questions
        ],
        "sessions": [session_part(here, each) for each in recent[:FEW_SESSIONS]],
        "more_sessions": len(recent) > FEW_SESSIONS,
    }


def _facts(person: Person) -> dict[str, str]:
    return {
        "programme": titled(programmes(), person.programme),
        "enterprise": titled(enterprises(), person.enterprise),
        "language": LANGUAGE_NAMES.get(person.language or "", ""),
        "birth_date": day(person.birth_date) if person.birth_date else "",
        "contract_days": day(person.contract_to) if person.contract_to else "",
    }


def _weeks(here: Reading, ref: str, today: date) -> Weeks:
    first = monday(today) - timedelta(weeks=WEEKS_SHOWN - 1)
    return {
        date.fromisoformat(week): (approved, waiting)
        for week, approved, waiting in week_totals(here.connection, ref, first.isoformat(), today.isoformat())
    }


def _first_day(here: Reading, ref: str) -> date | None:
    """When the person worked first; found by the index, whatever the years behind it."""
    (found,) = here.connection.execute("SELECT min(local_date) FROM sessions WHERE person_ref = ?", (ref,)).fetchone()
    return date.fromisoformat(found) if found else None


@people.get("/<string(length=16):ref>/sessions")
def sessions(ref: str) -> str | BaseResponse:
    """Every session, newest first; `before` is the last one of the page before."""
    match = _PLACE.fullmatch(request.args.get("before", ""))
    before = (int(match[1]), int(match[2])) if match else None
    with reading() as here:
        person = person_of(here, ref)
        if person.person_ref != ref:
            return redirect(page_url(person.person_ref))
        rows = views.person_sessions_page(here.connection, ref, before=before, limit=PAGE + 1)
        shown = [session_part(here, each) for each in rows[:PAGE]]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return render_template(
        "staff/person_sessions.html",
        ref=ref,
        name=full_name(person),
        sessions=shown,
        older=f"{last.start_ms}-{last.session}" if last else "",
        began=before is not None,
    )
