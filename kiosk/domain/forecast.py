"""When somebody will have the hours of the plan, if they go on as in the last weeks; and on what basis that is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from kiosk.domain.competence import Standing

WEEKS = 8
"""So many whole weeks tell the pace; of somebody who came later, those since then."""
LEAST_WEEKS = 2
"""Fewer weeks are no pace."""
FARTHEST_DAYS = 10 * 365
"""What lies farther away is no forecast."""
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Forecast:
    """What can be said today about the hours that are still missing."""

    outcome: str
    """`no_plan` (nothing is required), `reached`, `waiting` (reached as soon as what waits is approved), `no_pace`,
    `far` (more than ten years away) or `dated`."""
    missing_ms: int = 0
    """Still to be worked, in all processes together: neither approved nor waiting."""
    pace_ms: int = 0
    """A week's time, approved and waiting together, on the average of `weeks`."""
    weeks: int = 0
    first_day: date | None = None
    """A Monday: where the weeks of the basis begin."""
    last_day: date | None = None
    """A Sunday: where they end."""
    reached_on: date | None = None
    """About when the last process has its time; only where the outcome is `dated`."""


def forecast(standings: Iterable[Standing], weeks: Mapping[date, int], since: date | None, today: date) -> Forecast:
    """The forecast from the pace of the last whole weeks before this one.

    `weeks` is credited time (milliseconds, approved and waiting) by the Monday of its week, `since` the first day the
    person ever worked. Hours go where they are missing: the plan is reached once all that is missing has been worked.
    """
    plans = [each for each in standings if each.needed_ms]
    if not plans:
        return Forecast("no_plan")
    if all(each.reached for each in plans):
        return Forecast("reached")
    missing_ms = sum(max(0, each.missing_ms - each.waiting_ms) for each in plans)
    if missing_ms == 0:
        return Forecast("waiting")
    this_monday = monday(today)
    first = this_monday - WEEKS * WEEK
    if since is not None:
        first = max(first, monday(since))
    whole = (this_monday - first).days // 7
    worked_ms = sum(ms for day, ms in weeks.items() if first <= day < this_monday)
    if since is None or whole < LEAST_WEEKS or worked_ms <= 0:
        return Forecast("no_pace", missing_ms)
    last = this_monday - timedelta(days=1)
    pace_ms = worked_ms // whole
    # Whole numbers only: the days that `missing_ms` takes at this pace, rounded up.
    days = -(-missing_ms * whole * 7 // worked_ms)
    if days > FARTHEST_DAYS:
        return Forecast("far", missing_ms, pace_ms, whole, first, last)
    return Forecast("dated", missing_ms, pace_ms, whole, first, last, today + timedelta(days=days))


def monday(day: date) -> date:
    """The Monday of its week."""
    return day - timedelta(days=day.weekday())
