"""Sessions as the review pages show them: every number and name already in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kiosk import phrases
from kiosk.domain.flags import QUESTIONED
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.store import learners, people
from kiosk.store.views import SessionView
from kiosk.web.board import machine_name
from kiosk.web.reading import NAMELESS, Reading
from kiosk.web.strip import segments
from kiosk.words import Words, academic_hours, clock_time, day, hours_minutes, local_field, weekday_time, words
from lab_config.model import STATES, Programme


@dataclass(frozen=True)
class Item:
    """One session on the page."""

    session: int
    name: str
    own: bool
    """Is it the signed-in person's own? Then nobody here decides on it."""
    machine: str
    process: str | None
    process_title: str
    processes: Sequence[dict[str, str]]
    role: str
    date: str
    start: str
    end: str
    """Empty while open."""
    start_ms: int
    reason: str | None
    evidence: str
    flags: tuple[str, ...]
    review: str
    presence: str
    credited: str
    credited_academic: str
    unverified: str
    by_state: Sequence[tuple[str, str]]
    segments: Sequence[dict[str, Any]]
    counted: str
    """What counts after the decision."""
    counted_academic: str
    decided_process_title: str
    decided_at: str
    decided_reason: str
    decided_text: str
    entered: str
    """Of hours by hand: by whom and why; else empty."""
    began_field: str
    """Its beginning as a form's date and time."""
    began_at: str
    """The same with the weekday."""
    question: str
    """What the person wrote when they said that it is wrong; else empty."""


@dataclass(frozen=True)
class Choices:
    """What the form for hours by hand offers."""

    people: Sequence[tuple[str, str]]
    machines: Sequence[tuple[str, str]]
    programmes: Sequence[tuple[str, Sequence[dict[str, str]]]]
    reasons: Sequence[tuple[str, str]]


def choices(reading: Reading, language: str, own_ref: str | None) -> Choices:
    """Every active apprentice but oneself, every machine, every programme's processes, every reason."""
    said = words(language)
    return Choices(
        people=[
            (each.person_id, reading.full_name(each.person_ref))
            for each in people.people(reading.connection)
            if each.role == "apprentice" and each.active and each.person_ref != own_ref
        ],
        machines=[(each.id, machine_name(reading.lab, each.id, said)) for each in reading.lab.machines],
        programmes=[
            (each.title.in_language(language) or each.id, _processes(each, None, said))
            for each in reading.lab.programmes
        ],
        reasons=[(code, said.gettext(phrases.MANUAL_REASON_WORDS[code])) for code in MANUAL_REASONS],
    )


def worst_first(item: Item) -> tuple[int, int]:
    """The order of the exceptions: by the worst flag as hours.md ranks them, then by time."""
    order = list(phrases.FLAGS)
    return min(order.index(flag) if flag in order else len(order) for flag in item.flags), item.start_ms


def items(
    reading: Reading, rows: Iterable[SessionView], language: str, own_ref: str | None, strips: str = "flagged"
) -> list[Item]:
    """The rows in words; `strips` is `flagged` (only where somebody looks closely) or `all`."""
    said = words(language)
    return [_item(reading, row, said, own_ref, strips) for row in rows]


def _item(reading: Reading, row: SessionView, said: Words, own_ref: str | None, strips: str) -> Item:
    lab, zone = reading.lab, reading.zone
    programme = next((each for each in lab.programmes if each.id == row.programme), None)
    by_hand = row.evidence == "manual"
    # Of hours by hand the machine's states are no evidence, so none are shown.
    close_look = not by_hand and (strips == "all" or (row.review == "pending" and bool(row.flags)))
    counted_ms = reading.counted_ms(row)
    reason_word = phrases.REVIEW_REASON_WORDS.get(row.decided_reason or "")
    return Item(
        session=row.session,
        name=reading.full_name(row.person_ref),
        own=own_ref is not None and own_ref == row.person_ref,
        machine=machine_name(lab, row.machine, said),
        process=row.process,
        process_title=_title(programme, row.process, said),
        processes=_processes(programme, row.process, said),
        role=row.role,
        date=day(row.local_date),
        start=clock_time(row.start_ms, zone),
        end=clock_time(row.end_ms, zone) if row.end_ms is not None else "",
        start_ms=row.start_ms,
        reason=row.reason,
        evidence=row.evidence,
        flags=tuple(row.flags),
        review=row.review,
        presence=hours_minutes(row.presence_ms),
        credited=hours_minutes(row.credited_ms),
        credited_academic=academic_hours(row.credited_ms, lab.academic_hour_ms),
        unverified=hours_minutes(row.unverified_ms),
        by_state=[
            (state, hours_minutes(row.by_state[state])) for state in STATES if not by_hand and row.by_state.get(state)
        ],
        segments=_strip(reading, row) if close_look else [],
        counted=hours_minutes(counted_ms),
        counted_academic=academic_hours(counted_ms, lab.academic_hour_ms),
        decided_process_title=_title(programme, row.decided_process or row.process, said),
        decided_at=f"{day(reading.local_date(row.decided_at_ms))}, {clock_time(row.decided_at_ms, zone)}"
        if row.decided_at_ms is not None
        else "",
        decided_reason=said.gettext(reason_word) if reason_word else row.decided_reason or "",
        decided_text=reading.text(row.decided_text_hash) or "",
        entered=_entered(reading, row.session, said) if by_hand else "",
        began_field=local_field(row.start_ms, zone),
        began_at=weekday_time(row.start_ms, zone, said.language),
        question=_question(reading, row) if QUESTIONED in row.flags else "",
    )


def _entered(reading: Reading, session: int, said: Words) -> str:
    """`aigul. The kiosk did not work: power cut`."""
    (data,) = reading.connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (session,)).fetchone()
    body = json.loads(data)
    user = people.user_by_ref(reading.connection, body["by"])
    reason = phrases.MANUAL_REASON_WORDS.get(body["reason"])
    why = [said.gettext(reason) if reason else body["reason"], reading.text(body["text_hash"])]
    return f"{user.name if user else NAMELESS}. {': '.join(each for each in why if each)}"


def _question(reading: Reading, row: SessionView) -> str:
    asked = learners.of_person(reading.connection, row.person_ref).questions
    return next((reading.text(each.text_hash) or "" for each in asked if each.session == row.session), "")


def _strip(reading: Reading, row: SessionView) -> list[dict[str, Any]]:
    return [
        {
            "state": each.state,
            "x": each.x,
            "width": each.width,
            "start": clock_time(each.start_ms, reading.zone),
            "end": clock_time(each.end_ms, reading.zone),
        }
        for each in segments(reading.connection, row)
    ]


def _title(programme: Programme | None, process_id: str | None, said: Words) -> str:
    if process_id is None:
        return said.gettext("none")
    for each in programme.processes if programme else ():
        if each.id == process_id:
            return _titled(each.id, each.title.in_language(said.language))
    return process_id


def _titled(process_id: str, title: str) -> str:
    return f"{process_id} · {title}" if title else process_id


def _processes(programme: Programme | None, current: str | None, said: Words) -> list[dict[str, str]]:
    """What an adjustment may choose: the programme's processes, and the session's own where the plan has dropped it."""
    ids = [each.id for each in programme.processes] if programme else []
    if current is not None and current not in ids:
        ids.insert(0, current)
    return [{"id": each, "title": _title(programme, each, said)} for each in ids]
