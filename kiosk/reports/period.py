"""What a report covers: local dates, both included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
LONGEST_DAYS = 2 * 366
"""Two school years; more is asked for in parts."""


@dataclass(frozen=True)
class Period:
    """From the first to the last day."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1

    @property
    def one_month(self) -> bool:
        """Does it lie within one month?"""
        return (self.first.year, self.first.month) == (self.last.year, self.last.month)

    def __iter__(self) -> Iterator[date]:
        """Its days in order."""
        return (self.first + ONE_DAY * place for place in range(self.days))

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def months(self) -> Iterator[Period]:
        """The parts of it that lie in one month each."""
        first = self.first
        while first <= self.last:
            month = month_of(first)
            yield Period(first, min(month.last, self.last))
            first = month.last + ONE_DAY

    def utc_ms(self, zone: ZoneInfo) -> tuple[int, int]:
        """Its first and its last millisecond."""
        return midnight_ms(self.first, zone), midnight_ms(self.last + ONE_DAY, zone) - 1


def month_of(day: date) -> Period:
    """The whole month that a day lies in."""
    first = day.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return Period(first, after - ONE_DAY)


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """UTC milliseconds of the beginning of a local day."""
    return round(datetime.combine(day, time(), zone).astimezone(UTC).timestamp() * 1000)


def period(first: str, last: str) -> Period | None:
    """From ISO dates; None where they are none, stand the wrong way round or lie too far apart."""
    days = a_day(first), a_day(last)
    if days[0] is None or days[1] is None:
        return None
    found = Period(days[0], days[1])
    return found if 1 <= found.days <= LONGEST_DAYS else None


def a_day(text: str) -> date | None:
    """From `2026-10-29`; None for anything else, a year mistyped and the ends of the calendar."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text and 1990 <= found.year <= 2999 else None


def month(text: str) -> Period | None:
    """From `2026-10`, as browsers send it; None for anything else."""
    found = period(f"{text}-01", f"{text}-01") if len(text) == 7 else None
    return None if found is None else month_of(found.first)
