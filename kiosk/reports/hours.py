"""Hours by person and local day: the one reading that journal, diary and attendance have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kiosk.reports.period import ONE_DAY, Period, midnight_ms
from kiosk.reports.source import Source
from kiosk.reports.ticks import Tick, untold
from kiosk.store.worked import Worked, worked
from kiosk.words import local

LOOK_BACK = timedelta(days=7)
"""A session that began longer before the period does not reach into it: it is closed within a day or two."""


class Part(NamedTuple):
    """What of a session lies on one local day."""

    day: date
    session: int
    person_ref: str
    machine: str
    process: str | None
    start_ms: int
    end_ms: int
    approved_ms: int
    waiting_ms: int


def parts(
    source: Source, period: Period, person_refs: Collection[str] | None = None, tick: Tick = untold
) -> Iterator[Part]:
    """Everything worked in a period, month by month; a session over midnight comes in parts, one for each day.

    A row's own date was made when it was written: where the zone has changed since, it may be the day before or after.
    """
    months = list(period.months())
    for number, each in enumerate(months):
        tick(number, len(months))
        first = each.first - LOOK_BACK if number == 0 else each.first
        last = each.last + ONE_DAY if number == len(months) - 1 else each.last
        for row in worked(source.connection, first.isoformat(), last.isoformat(), person_refs):
            yield from (part for part in by_day(row, source.zone) if part.day in period)
    tick(len(months), len(months))


def by_day(row: Worked, zone: ZoneInfo) -> list[Part]:
    """The parts of a session: hours credited are shared by the time on each side of midnight, to the millisecond."""
    cuts = [row.start_ms]
    day = local(row.start_ms, zone).date()
    days = [day]
    while (midnight := midnight_ms(day + ONE_DAY, zone)) < row.end_ms:
        day += ONE_DAY
        cuts.append(midnight)
        days.append(day)
    cuts.append(max(row.end_ms, row.start_ms))
    lasted = [right - left for left, right in pairwise(cuts)]
    approved, waiting = shared(row.approved_ms, lasted), shared(row.waiting_ms, lasted)
    return [
        Part(
            days[n],
            row.session,
            row.person_ref,
            row.machine,
            row.process,
            cuts[n],
            cuts[n + 1],
            approved[n],
            waiting[n],
        )
        for n in range(len(days))
    ]


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts in proportion to `weights`, adding up to it; the first has all of it where none weighs."""
    whole = sum(weights)
    if not whole:
        return [total, *[0] * (len(weights) - 1)]
    reached = [0]
    for weight in weights:
        reached.append(reached[-1] + weight)
    bounds = [total * each // whole for each in reached]
    return [right - left for left, right in pairwise(bounds)]
