"""The register of safety briefings, with the columns and the two signatures that inspectors look for (domain, 2.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from kiosk.reports.period import Period
from kiosk.reports.source import Source
from kiosk.reports.table import Column, Report, Row, Table
from kiosk.reports.ticks import Tick, untold
from kiosk.store.acts import Act, acts
from kiosk.words import local, qualification_name

BRIEFING = "briefing:"
AT_ONCE = 500
SIGNATURE_MM = 24.0


def register(source: Source, period: Period, group: str | None = None, tick: Tick = untold) -> Report:
    """Every briefing that was held in a period, of a group or of everybody, in the order they were held."""
    words = source.words
    whom = None if group is None else source.of_group(group)
    held = sorted(_held(source, period, whom, tick), key=lambda each: (each.at_ms, each.id))
    columns = (
        Column(words.gettext("No."), "number"),
        Column(words.gettext("Full name")),
        Column(words.gettext("Profession, programme")),
        Column(words.gettext("Date"), "date"),
        Column(words.gettext("Briefing")),
        Column(words.gettext("Valid until"), "date"),
        Column(words.gettext("Held by")),
        Column(words.gettext("Signature of the briefed person"), width_mm=SIGNATURE_MM),
        Column(words.gettext("Signature of the instructor"), width_mm=SIGNATURE_MM),
    )
    return Report(
        title=words.gettext("Register of safety briefings"),
        subtitle=(*source.heading(period), *([group] if group else [])),
        tables=(Table(columns, tuple(_row(source, n, each) for n, each in enumerate(held, start=1))),),
        signatures=(words.gettext("Instructor"),),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


def _held(source: Source, period: Period, whom: Collection[str] | None, tick: Tick) -> Iterator[Act]:
    first_ms, last_ms = period.utc_ms(source.zone)
    before: tuple[int, int] | None = None
    while True:
        found = acts(
            source.connection,
            limit=AT_ONCE,
            before=before,
            kinds=("qualification_granted",),
            first_ms=first_ms,
            last_ms=last_ms,
        )
        for each in found:
            if each.subject.startswith(BRIEFING) and (whom is None or each.person_ref in whom):
                yield each
        if len(found) < AT_ONCE:
            return
        before = (found[-1].at_ms, found[-1].id)
        tick(last_ms - before[0], last_ms - first_ms)


def _row(source: Source, number: int, held: Act) -> Row:
    name, _, until = held.subject.rpartition(":")
    person = source.roster.get(held.person_ref or "")
    return (
        number,
        source.full_name(held.person_ref or ""),
        source.programme(person.programme) if person else "",
        local(held.at_ms, source.zone).date(),
        qualification_name(source.lab, name, source.words),
        date.fromisoformat(until) if until else None,
        source.decider(held.by),
        None,
        None,
    )
