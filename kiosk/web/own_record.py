"""What a person may see of themselves, and what an instructor sees of them: hours, competence, questions, briefings.

Reads the store and nothing else; who may look is asked elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from kiosk.domain.competence import Standing, ready
from kiosk.domain.deadlines import WARNING_MS
from kiosk.seen import SEEN_MS
from kiosk.store import learners, views
from kiosk.store.learners import QuestionRow, SignOffRow
from kiosk.store.views import SessionView
from kiosk.web.reading import LATEST_WITHIN, Reading
from lab_config.model import Lab, LocalText, Programme

BRIEFING = "briefing:"
WARN_DAYS = (1, 7, 14)
"""So many days ahead, or fewer, an end is warned of."""
USUAL_VALIDITY_DAYS = 365
"""What a form offers; how long a briefing holds, the instructor says."""


@dataclass(frozen=True)
class ProcessStanding(Standing):
    """A work process of the person's programme, with its title."""

    title: LocalText


@dataclass(frozen=True)
class CompetencyStanding:
    """A competency of the person's programme."""

    id: str
    process: str
    title: LocalText
    required_level: int
    history: tuple[SignOffRow, ...]
    """Newest first; the first one stands."""

    @property
    def level(self) -> int | None:
        """What stands; None where nobody has signed it."""
        return self.history[0].level if self.history else None

    @property
    def reached(self) -> bool:
        """Is the required level signed?"""
        return self.level is not None and self.level >= self.required_level


@dataclass(frozen=True)
class Held:
    """A qualification or briefing."""

    id: str
    until: date | None
    """The last valid day; None is for ever."""
    days_left: int | None
    """0 on the last valid day, below 0 once it is over."""

    @property
    def expired(self) -> bool:
        """Is it over?"""
        return self.days_left is not None and self.days_left < 0

    @property
    def warn(self) -> int | None:
        """1, 7 or 14: it is over within so many days; None where there is time, or it is over already."""
        if self.days_left is None or self.days_left < 0:
            return None
        return next((days for days in WARN_DAYS if self.days_left <= days), None)


@dataclass(frozen=True)
class OwnRecord:
    """Everything about one person against the plan of their programme."""

    programme: Programme | None
    processes: tuple[ProcessStanding, ...]
    competencies: tuple[CompetencyStanding, ...]
    questions: tuple[QuestionRow, ...]
    """Open ones, oldest first."""
    qualifications: tuple[Held, ...]

    @property
    def ready(self) -> bool:
        """Has every process its time and every competency its level (hours, section 9)?"""
        levels = ((each.required_level, each.level) for each in self.competencies)
        return self.programme is not None and ready(self.processes, levels)


@dataclass(frozen=True)
class Told:
    """A session that the system or somebody else closed; never says who."""

    session: int
    machine: str
    reason: str
    closed_by: str
    """`system` or `other`."""
    end_ms: int


@dataclass(frozen=True)
class IdleWarning:
    """An open session that will be closed soon because the machine stands idle."""

    session: int
    machine: str
    person_ref: str
    left_ms: int


@dataclass(frozen=True)
class UnknownSeen:
    """A badge that nobody has, refused at a reader a short while ago. Its number is not told."""

    seq: int
    """Of its last refused tap."""
    utc_ms: int
    badge_ref: str
    taps: int
    """How often it was refused of late."""


def own_record(
    reading: Reading, person_ref: str, now_ms: int, credited: Mapping[str | None, views.Credit] | None = None
) -> OwnRecord | None:
    """The whole record; None where nobody is known by the reference.

    `credited` is their time by work process where it was read already, of many people at once.
    """
    who = reading.who(person_ref)
    if who is None:
        return None
    known = learners.of_person(reading.connection, person_ref)
    programme = next((each for each in reading.lab.programmes if each.id == who.programme), None)
    if credited is None:
        credited = views.credited_by_process(reading.connection, person_ref)
    return OwnRecord(
        programme=programme,
        processes=tuple(_processes(credited, programme)),
        competencies=tuple(_competencies(programme, known.sign_offs)),
        questions=known.questions,
        qualifications=_held(known.qualifications, reading.local_date(now_ms)),
    )


def _processes(credited: Mapping[str | None, views.Credit], programme: Programme | None) -> Iterator[ProcessStanding]:
    for process in programme.processes if programme else ():
        credit = credited.get(process.id, views.Credit(0, 0))
        yield ProcessStanding(
            process=process.id,
            required_ms=process.required_ms,
            minimum_ms=process.minimum_ms,
            maximum_ms=process.maximum_ms,
            approved_ms=credit.decided_ms,
            waiting_ms=credit.pending_ms,
            title=process.title,
        )


def _competencies(programme: Programme | None, signed: tuple[SignOffRow, ...]) -> Iterator[CompetencyStanding]:
    for each in programme.competencies if programme else ():
        history = [row for row in signed if programme and (row.programme, row.competency) == (programme.id, each.id)]
        yield CompetencyStanding(each.id, each.process, each.title, each.level, tuple(reversed(history)))


def _held(qualifications: tuple[tuple[str, str | None], ...], today: date) -> tuple[Held, ...]:
    found = []
    for name, until in qualifications:
        last_day = None if until is None else date.fromisoformat(until)
        found.append(Held(name, last_day, None if last_day is None else (last_day - today).days))
    return tuple(found)


def expiring(reading: Reading, person_ref: str, now_ms: int) -> tuple[Held, ...]:
    """What is over, or will be within 14 days; the first to end first."""
    known = learners.of_person(reading.connection, person_ref)
    held = _held(known.qualifications, reading.local_date(now_ms))
    soon = [each for each in held if each.expired or each.warn is not None]
    return tuple(sorted(soon, key=lambda each: (each.until or date.max, each.id)))


def told(reading: Reading, person_ref: str, seq: int) -> tuple[Told, ...]:
    """What was closed for the person since their tap before; `seq` is the entry that answers this tap."""
    return tuple(
        Told(row.session, row.machine, row.reason or "", row.closed_by or "", row.end_ms or row.start_ms)
        for row in views.told_by(reading.connection, person_ref, seq)
    )


def warnings(reading: Reading, now_ms: int) -> tuple[IdleWarning, ...]:
    """Whom the screens must warn now, the first to be closed first (hours, section 4)."""
    return tuple(
        IdleWarning(row.session, row.machine, row.person_ref, max(0, end_ms - now_ms))
        for end_ms, row in _idle_ends(reading)
        if end_ms - now_ms <= WARNING_MS
    )


def next_warning_ms(reading: Reading, now_ms: int) -> int | None:
    """When the next warning becomes due if nothing happens, UTC; None where none will."""
    ahead = (end_ms - WARNING_MS for end_ms, _ in _idle_ends(reading))
    return next((due_ms for due_ms in ahead if due_ms > now_ms), None)


def _idle_ends(reading: Reading) -> list[tuple[int, SessionView]]:
    rows = views.open_sessions(reading.connection)
    ends = [(row.idle_at_ms, row) for row in rows if row.idle_at_ms is not None]
    return sorted(ends, key=lambda end: (end[0], end[1].session))


def unknown_seen(reading: Reading, reader: str, now_ms: int) -> UnknownSeen | None:
    """The unknown badge that was refused last at a reader, while it can still be enrolled by a touch."""
    rows = reading.connection.execute(
        "SELECT seq, bytes FROM ledger WHERE type = 'tap_refused' AND seq > ? ORDER BY seq DESC",
        (reading.newest_seq() - LATEST_WITHIN,),
    )
    taps = [(seq, body) for seq, body in ((seq, json.loads(data)) for seq, data in rows) if body["badge_ref"]]
    unknown = [(seq, body) for seq, body in taps if body["reason"] == "unknown_badge"]
    last = next(((seq, body) for seq, body in unknown if body["reader"] == reader), None)
    if last is None or now_ms - last[1]["stamp"]["wall_ms"] >= SEEN_MS:
        return None
    seq, body = last
    holder = reading.connection.execute(
        "SELECT person_ref FROM badges WHERE badge_ref = ?", (body["badge_ref"],)
    ).fetchone()
    if holder is not None and holder[0] is not None:
        return None  # enrolled since
    taps_of_it = sum(each["badge_ref"] == body["badge_ref"] for _, each in unknown)
    return UnknownSeen(seq, body["stamp"]["wall_ms"], body["badge_ref"], taps_of_it)


def briefings_known(lab: Lab) -> tuple[str, ...]:
    """The safety briefings that machines require, in the order of the configuration."""
    required = (name for machine in lab.machines for name in machine.requires)
    return tuple(dict.fromkeys(name for name in required if name.startswith(BRIEFING)))


def usual_until(today: date) -> date:
    """The last valid day that a form offers for a briefing held today."""
    return today + timedelta(days=USUAL_VALIDITY_DAYS)
