"""The practice diary: what one person did, day by day, on what evidence, and who decided."""

from __future__ import annotations

from kiosk import phrases
from kiosk.reports.hours import Part, parts
from kiosk.reports.period import Period
from kiosk.reports.source import Source, full_name
from kiosk.reports.table import Column, Report, Row, Table
from kiosk.reports.ticks import Tick, untold
from kiosk.store import views
from kiosk.store.people import Person
from kiosk.words import clock_time, local


def diary(source: Source, period: Period, person: Person, tick: Tick = untold) -> Report:
    """One row for each session, or for each day of one that went over midnight."""
    words = source.words
    found = list(parts(source, period, [person.person_ref], tick))
    approved_ms, waiting_ms = sum(each.approved_ms for each in found), sum(each.waiting_ms for each in found)
    columns = (
        Column(words.gettext("Date"), "date"),
        Column(words.gettext("Time")),
        Column(words.gettext("Machine")),
        Column(words.gettext("Work process")),
        Column(words.gettext("Hours"), "hours"),
        Column(words.gettext("Ac. hours"), "academic"),
        Column(words.gettext("Waiting, hours"), "hours"),
        Column(words.gettext("Evidence")),
        Column(words.gettext("Decision")),
        Column(words.gettext("Decided by")),
        Column(words.gettext("Decided on"), "date"),
    )
    totals: Row = (None, words.gettext("In all"), None, None, approved_ms, approved_ms, waiting_ms, *[None] * 4)
    about = (full_name(person), person.group, source.programme(person.programme))
    return Report(
        title=words.gettext("Practice diary"),
        subtitle=(*source.heading(period), " · ".join(filter(None, about))),
        tables=(Table(columns, tuple(_row(source, person, each) for each in found), totals),),
        notes=(
            words.gettext("Approved hours only; what waits for a decision stands in its own column."),
            *source.rule(),
        ),
        signatures=(words.gettext("Instructor"), words.gettext("Apprentice")),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


def _row(source: Source, person: Person, part: Part) -> Row:
    words = source.words
    row = views.session(source.connection, part.session)
    assert row is not None, "the same reading that found it sees it"
    decided = row.review != "pending" and row.decided_at_ms is not None
    return (
        part.day,
        f"{clock_time(part.start_ms, source.zone)}–{clock_time(part.end_ms, source.zone)}",
        source.machine(part.machine),
        source.process(row.programme or person.programme, part.process),
        part.approved_ms,
        part.approved_ms,
        part.waiting_ms or None,
        words.gettext(phrases.EVIDENCE[row.evidence]) if row.evidence in phrases.EVIDENCE else row.evidence,
        words.gettext(phrases.REVIEWS[row.review]),
        source.decider(row.decided_by) if decided else None,
        local(row.decided_at_ms, source.zone).date() if decided and row.decided_at_ms is not None else None,
    )
