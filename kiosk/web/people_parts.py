"""The parts of a person's page, read and put into words: hours, skills, qualifications, sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from babel.dates import format_skeleton
from flask_babel import gettext, ngettext

from kiosk import phrases
from kiosk.domain.competence import LEVELS
from kiosk.domain.flags import QUESTIONED
from kiosk.domain.forecast import Forecast, monday
from kiosk.store.people import Person
from kiosk.store.views import SessionView
from kiosk.web.answers import ends_words
from kiosk.web.board import machine_name
from kiosk.web.charts import Column, Columns, Progress, columns, progress
from kiosk.web.own_record import CompetencyStanding, Held, OwnRecord, ProcessStanding, usual_until
from kiosk.web.people_frame import ADULT_YEARS, Choice, age_on, language, services, signer
from kiosk.web.reading import Reading
from kiosk.words import academic_hours, clock_time, day, hours_minutes, qualification_name
from lab_config.model import Lab

WEEKS_SHOWN = 12
CHILD_YEARS = 16
"""From this age on the longer weekly limit holds (hours, section 6)."""
Weeks = Mapping[date, tuple[int, int]]
"""By the Monday: approved and waiting milliseconds."""


@dataclass(frozen=True)
class Hours:
    """A time in both units, each converted once."""

    clock: str
    academic: str


@dataclass(frozen=True)
class ProcessPart:
    """One work process against its plan."""

    id: str
    title: str
    bar: Progress
    maximum: Hours | None
    over: Hours | None
    """Approved beyond the most that counts."""
    missing: Hours | None
    reached: bool


@dataclass(frozen=True)
class Signature:
    """One judgement on a competency."""

    level: str
    at: str
    by: str
    how: str
    note: str
    badge_only: bool


@dataclass(frozen=True)
class SkillPart:
    """A competency, what stands, and all that was signed before; newest first."""

    id: str
    title: str
    process: str
    required: str
    level: str
    reached: bool
    signed: bool
    history: Sequence[Signature]


@dataclass(frozen=True)
class PaperPart:
    """A qualification or briefing and how long it holds."""

    title: str
    words: str
    until: str
    kind: str
    """`over`, `soon` or `valid`."""


@dataclass(frozen=True)
class SessionPart:
    """One session as a line that leads to its review page."""

    session: int
    date: str
    times: str
    machine: str
    process: str
    counted: Hours | None
    """None while it is open."""
    review: str
    review_words: str
    flags: Sequence[tuple[str, str]]
    """(icon, words)."""


@dataclass(frozen=True)
class MinorPart:
    """What the law limits for somebody under 18; only told, never enforced."""

    age: int
    limit: str
    """Hours a week."""
    night: tuple[str, str]
    sessions: Sequence[SessionPart]
    """The latest that passed a limit."""


def hours(ms: int) -> Hours:
    """The time in both units."""
    return Hours(hours_minutes(ms), academic_hours(ms, services().lab.academic_hour_ms))


def process_part(each: ProcessStanding) -> ProcessPart:
    """A work process as it stands."""
    over_ms = each.approved_ms - each.counted_ms
    return ProcessPart(
        id=each.process,
        title=each.title.in_language(language().language) or each.process,
        bar=progress(
            each.approved_ms,
            each.waiting_ms,
            each.needed_ms or None,
            academic_hour_ms=services().lab.academic_hour_ms,
            minimum_ms=each.minimum_ms,
        ),
        maximum=hours(each.maximum_ms) if each.maximum_ms is not None else None,
        over=hours(over_ms) if over_ms else None,
        missing=hours(each.missing_ms) if each.missing_ms else None,
        reached=each.reached and each.needed_ms > 0,
    )


def forecast_words(found: Forecast) -> tuple[str, str]:
    """(what is to be expected, on what basis); the basis is empty where nothing was reckoned."""
    if found.outcome == "no_plan":
        return gettext("The plan requires no hours."), ""
    if found.outcome == "reached":
        return gettext("Every work process has its hours."), ""
    if found.outcome == "waiting":
        return gettext("Every work process has its hours as soon as what waits is approved."), ""
    missing = gettext("Still to be worked: %(hours)s h.", hours=hours_minutes(found.missing_ms))
    if found.outcome == "no_pace" or found.first_day is None or found.last_day is None:
        return gettext("There is no pace to reckon with: too little was worked in the last weeks."), missing
    basis = ngettext(
        "Basis: %(pace)s h a week in %(num)s whole week, %(first)s–%(last)s; waiting time counts as approved.",
        "Basis: %(pace)s h a week in %(num)s whole weeks, %(first)s–%(last)s; waiting time counts as approved.",
        found.weeks,
        pace=hours_minutes(found.pace_ms),
        first=day(found.first_day),
        last=day(found.last_day),
    )
    if found.reached_on is None:
        said = gettext("At this pace the plan is not reached within ten years.")
    else:
        month = format_skeleton("yMMMM", found.reached_on, locale=language().language)
        said = gettext("At this pace the last work process has its hours about: %(month)s", month=month)
    return said, f"{missing} {basis}"


def weeks_chart(weeks: Weeks, today: date) -> Columns:
    """The last weeks, this one included; one without work is an empty place."""
    last = monday(today)
    mondays = [last - timedelta(weeks=back) for back in range(WEEKS_SHOWN - 1, -1, -1)]
    series = [Column(each.strftime("%d.%m"), *weeks.get(each, (0, 0))) for each in mondays]
    return columns(series, academic_hour_ms=services().lab.academic_hour_ms)


def skill_part(here: Reading, record: OwnRecord, each: CompetencyStanding) -> SkillPart:
    """A competency with every judgement on it."""
    titles = {process.process: process.title for process in record.processes}
    process = titles.get(each.process)
    return SkillPart(
        id=each.id,
        title=each.title.in_language(language().language) or each.id,
        process=(process.in_language(language().language) if process else "") or each.process,
        required=gettext(phrases.LEVELS[each.required_level]),
        level=gettext(phrases.LEVELS[each.level] if each.level is not None else phrases.NO_LEVEL),
        reached=each.reached,
        signed=each.level is not None,
        history=[
            Signature(
                level=gettext(phrases.LEVELS[row.level]),
                at=moment(here, row.at_ms),
                by=signer(here, row.by),
                how=gettext(phrases.SIGNED_HOW.get(row.how, row.how)),
                note=here.text(row.text_hash) or "",
                badge_only=row.mark == "badge",
            )
            for row in each.history
        ],
    )


def levels() -> list[Choice]:
    """The levels as a form offers them."""
    return [Choice(str(level), gettext(phrases.LEVELS[level])) for level in LEVELS]


def moment(here: Reading, utc_ms: int) -> str:
    """`29.10.2026, 14:05`, local."""
    return f"{day(here.local_date(utc_ms))}, {clock_time(utc_ms, here.zone)}"


def paper_part(lab: Lab, each: Held) -> PaperPart:
    """How long it holds, in words."""
    said = language()
    return PaperPart(
        title=qualification_name(lab, each.id, said),
        words=ends_words(said, each),
        until=day(each.until) if each.until is not None and not each.expired else "",
        kind="over" if each.expired else "soon" if each.warn is not None else "valid",
    )


def first_to_end(each: Held) -> tuple[bool, int]:
    """The order of papers: what ended or ends soon first, what never ends last."""
    return each.days_left is None, each.days_left or 0


def grantable(lab: Lab, record: OwnRecord) -> list[Choice]:
    """What machines require, and what the person had already."""
    required = (name for machine in lab.machines for name in machine.requires)
    known = dict.fromkeys((*required, *(each.id for each in record.qualifications)))
    return [Choice(each, qualification_name(lab, each, language())) for each in known]


def until_offered(today: date) -> str:
    """The last valid day that the form begins with."""
    return usual_until(today).isoformat()


def session_part(here: Reading, row: SessionView) -> SessionPart:
    """One session in words."""
    ends = clock_time(row.end_ms, here.zone) if row.end_ms is not None else "…"
    process = row.process if row.decided_process is None else row.decided_process
    is_open = row.end_ms is None
    return SessionPart(
        session=row.session,
        date=day(row.local_date),
        times=f"{clock_time(row.start_ms, here.zone)}–{ends}",
        machine=machine_name(here.lab, row.machine, language()),
        process=process or gettext("none"),
        counted=None if is_open else hours(here.counted_ms(row)),
        review="" if is_open else row.review,
        review_words=gettext("running") if is_open else gettext(phrases.REVIEWS.get(row.review, row.review)),
        flags=[
            (phrases.FLAG_ICONS.get(flag, "alert"), gettext(phrases.FLAGS.get(flag, flag)))
            for flag in row.flags
            if row.review == "pending" or flag in ("minor_limit", QUESTIONED)
        ],
    )


def minor_part(here: Reading, person: Person, today: date, recent: Sequence[SessionView]) -> MinorPart | None:
    """The limits of the age; None for an adult, or where nobody wrote the day of birth."""
    age = age_on(today, person.birth_date)
    if age is None or age >= ADULT_YEARS:
        return None
    rules = here.lab.rules
    limit_ms = rules.minor_week_ms_16 if age >= CHILD_YEARS else rules.minor_week_ms_14
    passed = [session_part(here, row) for row in recent if "minor_limit" in row.flags]
    return MinorPart(age, hours_minutes(limit_ms), rules.minor_night, passed)
