"""A person's own record as rows of words: hours against the plan, skills, sessions, briefings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kiosk import phrases
from kiosk.store import views
from kiosk.store.views import SessionView
from kiosk.web.answers import ends_words
from kiosk.web.board import machine_name
from kiosk.web.own_record import Held, OwnRecord
from kiosk.web.reading import Reading
from kiosk.words import Words, clock_time, day, hours_minutes, qualification_name

ROWS = {"hours": 6, "skills": 6, "sessions": 3, "papers": 6}
"""Rows of one page, by part: what fits 800x480 and can be touched with a glove."""
LOOK_BACK = 30
"""Sessions that can still be asked about at the screen."""


def hours(_reading: Reading, _person_ref: str, record: OwnRecord, language: Words) -> list[dict[str, Any]]:
    """Each work process against its plan: approved, waiting, still to do."""
    return [
        {
            "title": each.title.in_language(language.language) or each.process,
            "approved": hours_minutes(each.approved_ms),
            "waiting": hours_minutes(each.waiting_ms),
            "required": hours_minutes(each.needed_ms) if each.needed_ms else "",
            "missing": hours_minutes(each.missing_ms),
            "reached": each.reached and each.needed_ms > 0,
            "percent": _percent(each.counted_ms, each.needed_ms),
            "waiting_percent": _percent(each.counted_ms + each.waiting_ms, each.needed_ms),
        }
        for each in record.processes
    ]


def _percent(part_ms: int, whole_ms: int) -> int:
    return min(100, part_ms * 100 // whole_ms) if whole_ms else 0


def skills(_reading: Reading, _person_ref: str, record: OwnRecord, language: Words) -> list[dict[str, Any]]:
    """Each competency with the level that an instructor signed."""
    return [
        {
            "title": each.title.in_language(language.language) or each.id,
            "level": each.level or 0,
            "required": each.required_level,
            "reached": each.reached,
            "words": language.gettext(phrases.LEVELS[each.level] if each.level is not None else phrases.NO_LEVEL),
        }
        for each in record.competencies
    ]


def sessions(reading: Reading, person_ref: str, record: OwnRecord, language: Words) -> list[dict[str, Any]]:
    """The person's last sessions, the newest first; those they have asked about say so."""
    asked = frozenset(each.session for each in record.questions)
    rows = views.person_sessions_page(reading.connection, person_ref, limit=LOOK_BACK)
    return [session_row(reading, row, language, asked) for row in rows if row.end_ms is not None]


def session_row(reading: Reading, row: SessionView, language: Words, asked: frozenset[int]) -> dict[str, Any]:
    """One session in words."""
    times = (clock_time(each, reading.zone) for each in (row.start_ms, row.end_ms) if each is not None)
    return {
        "session": row.session,
        "day": day(row.local_date),
        "times": "–".join(times),
        "machine": machine_name(reading.lab, row.machine, language),
        "counted": hours_minutes(reading.counted_ms(row)),
        "state": language.gettext(phrases.REVIEWS.get(row.review, row.review)),
        "asked": row.session in asked,
    }


def papers(reading: Reading, _person_ref: str, record: OwnRecord, language: Words) -> list[dict[str, Any]]:
    """Briefings and qualifications, and how long they hold."""
    return [
        {
            "title": qualification_name(reading.lab, each.id, language),
            "words": ends_words(language, each),
            "until": day(each.until) if each.until is not None and not each.expired else "",
            "kind": "over" if each.expired else "soon" if each.warn is not None else "valid",
        }
        for each in sorted(
            record.qualifications, key=lambda each: each.days_left if each.days_left is not None else 10**6
        )
    ]


def _first_to_end(held: Held) -> tuple[bool, int]:
    return (held.days_left is None, held.days_left or 0)


PARTS: dict[str, Callable[[Reading, str, OwnRecord, Words], Sequence[dict[str, Any]]]] = {
    "hours": hours,
    "skills": skills,
    "sessions": sessions,
    "papers": papers,
}
