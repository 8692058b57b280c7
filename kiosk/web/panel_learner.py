"""Both badges, on the floor: what the apprentice who tapped last can do, and what they did today.

The apprentice's tap stands in the ledger just before the instructor's, so a sign-off says `panel_both_badges`.
"""

from __future__ import annotations

import json
from typing import Any

from flask import abort, request
from flask_babel import gettext

from kiosk import phrases
from kiosk.commands import CloseSession, DecideSession, SignCompetency
from kiosk.domain.competence import LEVELS
from kiosk.store import people, views
from kiosk.store.views import SessionView
from kiosk.web.board import machine_name
from kiosk.web.own_record import CompetencyStanding, OwnRecord, own_record
from kiosk.web.panel_frame import Inside, Note, asked, inside, language, panel, reading, refusal, services, sheet
from kiosk.web.panel_words import NOTES
from kiosk.web.reading import LATEST_WITHIN, Reading
from kiosk.web.visit_pages import page_of
from kiosk.web.visits import Visit
from kiosk.words import clock_time, hours_minutes

TOGETHER_MS = 10 * 60_000
"""The two taps belong together for so long."""
SKILLS_SHOWN = 8
SESSIONS_SHOWN = 4


def last_learner(store: Reading, visit: Visit) -> str | None:
    """The apprentice whose badge was read at this reader last before the instructor's, a short while ago."""
    rows = store.connection.execute(
        "SELECT seq, bytes FROM ledger WHERE seq <= ? AND seq > ? AND type IN"
        " ('session_opened', 'session_closed', 'tap_read', 'tap_refused') ORDER BY seq DESC",
        (visit.seq, visit.seq - LATEST_WITHIN),
    )
    taps = (json.loads(data) for _, data in rows)
    here = (body for body in taps if body.get("reader") == visit.reader and body.get("person_ref"))
    own = next(here, None)
    if own is None:
        return None
    for body in here:
        if own["stamp"]["wall_ms"] - body["stamp"]["wall_ms"] >= TOGETHER_MS:
            return None
        person = people.person_by_ref(store.connection, body["person_ref"])
        if person is not None and person.role == "apprentice":
            return person.person_ref
    return None


@panel.get("/learner")
def learner(token: str) -> str:
    """Skills to sign, or today's sessions."""
    return _page(inside(token), request.args.get("part", "skills"))


def _page(at: Inside, part: str, note: Note | None = None) -> str:
    if part not in {"skills", "sessions"}:
        abort(404)
    with reading() as store:
        person_ref, record = _record(store, at)
        rows: list[dict[str, Any]] = (
            [_skill(each) for each in record.competencies]
            if part == "skills"
            else [_session(store, row) for row in _today(store, person_ref)]
        )
        name = store.short_name(person_ref)
    shown, where = page_of(rows, SKILLS_SHOWN if part == "skills" else SESSIONS_SHOWN)
    return sheet("learner", at.visit, note, part=part, rows=shown, learner=name, **where)


def _record(store: Reading, at: Inside) -> tuple[str, OwnRecord]:
    person_ref = last_learner(store, at.visit)
    record = own_record(store, person_ref, services().wall_ms()) if person_ref else None
    if person_ref is None or record is None:
        abort(410)  # erased meanwhile, perhaps: the panel begins anew with the next tap
    return person_ref, record


def _skill(each: CompetencyStanding) -> dict[str, Any]:
    return {
        "id": each.id,
        "title": each.title.in_language(language().language) or each.id,
        "level": each.level or 0,
        "required": each.required_level,
        "reached": each.reached,
        "words": gettext(phrases.LEVELS[each.level] if each.level is not None else phrases.NO_LEVEL),
    }


def _today(store: Reading, person_ref: str) -> list[SessionView]:
    """What waits or runs first."""
    date = store.local_date(services().wall_ms()).isoformat()
    rows = views.person_day(store.connection, person_ref, date)
    return sorted(rows, key=lambda row: (row.review != "pending", row.start_ms))


def _session(store: Reading, row: SessionView) -> dict[str, Any]:
    ends = clock_time(row.end_ms, store.zone) if row.end_ms is not None else "…"
    return {
        "session": row.session,
        "machine": machine_name(store.lab, row.machine, language()),
        "times": f"{clock_time(row.start_ms, store.zone)}–{ends}",
        "counted": hours_minutes(store.counted_ms(row)) if row.end_ms is not None else "",
        "open": row.end_ms is None,
        "waits": row.end_ms is not None and row.review == "pending",
        "review": gettext(phrases.REVIEWS.get(row.review, row.review)),
        "flags": [gettext(phrases.FLAGS[each]) for each in row.flags if each in phrases.FLAGS],
    }


@panel.get("/learner/skills/<competency>")
def levels(token: str, competency: str) -> str:
    """Which level? A phrase may go with it."""
    at = inside(token)
    with reading() as store:
        person_ref, record = _record(store, at)
        name = store.short_name(person_ref)
    found = next((each for each in record.competencies if each.id == competency), None)
    if found is None:
        return _page(at, "skills", refusal("unknown_competency"))
    choices = [(level, gettext(phrases.LEVELS[level])) for level in LEVELS]
    notes = [gettext(each) for each in NOTES]
    return sheet("level", at.visit, skill=_skill(found), learner=name, levels=choices, notes=notes)


@panel.post("/learner/skills/<competency>")
def sign(token: str, competency: str) -> str:
    """The level that was touched is the instructor's judgement."""
    at = inside(token)
    level = request.form.get("level", "")
    if level not in {str(each) for each in LEVELS}:
        abort(400)
    with reading() as store:
        person_ref, _ = _record(store, at)
    note = request.form.get("note", "")
    command = SignCompetency(
        person_ref,
        competency,
        int(level),
        at.by,
        note if note in {gettext(each) for each in NOTES} else "",
        "panel_both_badges",
        at.mark,
    )
    words_of_level = gettext(phrases.LEVELS[int(level)])
    return _page(at, "skills", asked(command, gettext("Signed: %(level)s", level=words_of_level)))


@panel.post("/learner/sessions/<int:session>")
def decide(token: str, session: int) -> str:
    """Confirm what waits, or end what runs; only of the apprentice who stands there."""
    at = inside(token)
    with reading() as store:
        person_ref, _ = _record(store, at)
        row = store.session(session)
    if row is None or row.person_ref != person_ref:
        return _page(at, "sessions", refusal("unknown_session"))
    if (row.end_ms is None) != (request.form.get("do") == "end"):
        return _page(at, "sessions")  # it has ended since: what was touched is no answer to what is there now
    if row.end_ms is None:
        return _page(at, "sessions", asked(CloseSession(session, at.by), gettext("Ended.")))
    if row.review != "pending":
        return _page(at, "sessions")  # somebody has decided since: that stands beside it now
    command = DecideSession(session, "approved", at.by, mark=at.mark)
    return _page(at, "sessions", asked(command, gettext("Confirmed.")))
