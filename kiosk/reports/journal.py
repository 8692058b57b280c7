"""The training journal: a group's people by the days of a month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from kiosk.reports.hours import Part, parts
from kiosk.reports.period import Period
from kiosk.reports.source import NAMELESS, NO_GROUP, Source, full_name
from kiosk.reports.table import Column, Kind, LongReport, Report, Row, Table, whole
from kiosk.reports.ticks import Tick, untold
from kiosk.store.people import Person

DAY_MM = 5.6


@dataclass
class Worked:
    """One person's approved time by day, and what waits."""

    by_day: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    waiting_ms: int = 0

    @property
    def approved_ms(self) -> int:
        """Of all days."""
        return sum(self.by_day.values())


@dataclass(frozen=True)
class Sheet:
    """What one page of the journal is made of: a month, a group, and their hours by person."""

    month: Period
    group: str | None
    people: Mapping[str, Person]
    hours: Mapping[str, Worked]


def sheets(source: Source, period: Period, groups: Sequence[str | None], tick: Tick = untold) -> list[Sheet]:
    """The hours of each group (None: everybody together) in each month of a period."""
    everybody = source.whom is None and {None, NO_GROUP} & set(groups)
    refs = None if everybody else [ref for each in groups for ref in source.of_group(each)]
    by_month: dict[tuple[int, int], list[Part]] = defaultdict(list)
    for part in parts(source, period, refs, tick):
        by_month[part.day.year, part.day.month].append(part)
    return [
        _sheet(source, month, group, by_month[month.first.year, month.first.month])
        for month in period.months()
        for group in groups
    ]


def _sheet(source: Source, month: Period, group: str | None, found: Iterable[Part]) -> Sheet:
    known = source.of_group(group)
    everybody = source.roster
    hours: dict[str, Worked] = defaultdict(Worked)
    for part in found:
        nobody = part.person_ref not in everybody
        if part.person_ref not in known and not (nobody and group in {None, NO_GROUP}):
            continue
        row = hours["" if nobody else part.person_ref]
        row.by_day[part.day] += part.approved_ms
        row.waiting_ms += part.waiting_ms
    return Sheet(month, group, source.listed(group, hours), hours)


def journal(
    source: Source, period: Period, groups: Sequence[str | None], unit: Kind = "academic", tick: Tick = untold
) -> Report:
    """A table for each group and month; days in `unit`, sums in hours and in academic hours."""
    return journal_of(source, period, sheets(source, period, groups, tick), unit)


def journal_of(source: Source, period: Period, made: Sequence[Sheet], unit: Kind = "academic") -> Report:
    """The same of sheets that were read already. Of several, those without people are left out."""
    kept = [each for each in made if each.people or each.hours] if len(made) > 1 else list(made)
    about = (_title(source, kept[0]),) if len(kept) == 1 else ()
    return whole(
        _paper(source, period, about, (_table(source, each, unit, titled=len(kept) > 1) for each in kept), unit)
    )


def long_journal(
    source: Source, period: Period, groups: Sequence[str | None], unit: Kind = "academic", tick: Tick = untold
) -> LongReport:
    """The same of any period: each month is read when its tables are."""
    read = each_sheet(source, period, groups, tick)
    return _paper(source, period, (), (_table(source, each, unit, titled=True) for each in read), unit)


def each_sheet(source: Source, period: Period, groups: Sequence[str | None], tick: Tick = untold) -> Iterator[Sheet]:
    """The sheets with people on them, month by month, with no more than one month in memory."""
    months = list(period.months())
    for number, month in enumerate(months):
        tick(number, len(months))
        yield from (each for each in sheets(source, month, groups) if each.people or each.hours)
    tick(len(months), len(months))


def _paper(source: Source, period: Period, about: tuple[str, ...], tables: Iterable[Table], unit: Kind) -> LongReport:
    words = source.words
    days = words.gettext("Days are in academic hours.") if unit == "academic" else words.gettext("Days are in hours.")
    return LongReport(
        title=words.gettext("Training journal"),
        subtitle=(*source.heading(period), *about),
        tables=tables,
        notes=(
            words.gettext("Approved hours only; what waits for a decision stands in its own column."),
            days,
            *source.rule(),
        ),
        signatures=(words.gettext("Instructor"), words.gettext("Deputy director")),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


def weeks(made: Iterable[Sheet]) -> list[tuple[date, int]]:
    """(Monday, approved milliseconds) of every week from the first day to the last, also of empty ones."""
    found: dict[date, int] = {}
    for sheet in made:
        for each in sheet.month:
            found.setdefault(each - timedelta(days=each.weekday()), 0)
        for worked in sheet.hours.values():
            for each, ms in worked.by_day.items():
                found[each - timedelta(days=each.weekday())] += ms
    return sorted(found.items())


def group_name(source: Source, group: str | None) -> str:
    """What a group is called on paper."""
    if group is None:
        return source.words.gettext("All groups")
    return group or source.words.gettext("No group")


def _title(source: Source, sheet: Sheet) -> str:
    return f"{group_name(source, sheet.group)} · {source.month_name(sheet.month)}"


def _table(source: Source, sheet: Sheet, unit: Kind, *, titled: bool) -> Table:
    words = source.words
    days = list(sheet.month)
    columns = (
        Column(words.gettext("No."), "number"),
        Column(words.gettext("Full name")),
        *(Column(str(each.day), unit, DAY_MM) for each in days),
        Column(words.gettext("Hours"), "hours"),
        Column(words.gettext("Ac. hours"), "academic"),
        Column(words.gettext("Waiting, hours"), "hours"),
    )
    names = {ref: full_name(each) for ref, each in sheet.people.items()}
    if "" in sheet.hours:
        names[""] = NAMELESS
    rows = tuple(
        _row(number, name, sheet.hours.get(ref, Worked()), days)
        for number, (ref, name) in enumerate(names.items(), start=1)
    )
    totals = Worked()
    for worked in sheet.hours.values():
        totals.waiting_ms += worked.waiting_ms
        for each, ms in worked.by_day.items():
            totals.by_day[each] += ms
    return Table(
        columns,
        rows,
        (None, *_row(0, words.gettext("In all"), totals, days)[1:]),
        title=_title(source, sheet) if titled else "",
    )


def _row(number: int, name: str, worked: Worked, days: Sequence[date]) -> Row:
    sum_ms = worked.approved_ms
    return (number, name, *(worked.by_day.get(each) or None for each in days), sum_ms, sum_ms, worked.waiting_ms)
