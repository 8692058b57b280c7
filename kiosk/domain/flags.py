"""Flags that need more than one session, or more than the ledger may hold (hours, section 6).

Birth dates are handed in and never kept: they live beside the ledger, where they can be erased. Pure; the same sessions
and dates give the same flags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kiosk.domain.state import FLAGS, Session, State
from kiosk.domain.timeline import Moment
from lab_config.model import Rules

PAIR_WITHIN_MS = 5_000
PAIR_OTHER_DAYS = 2
PAIR_OF_DAYS = 7


@dataclass(frozen=True)
class _Presence:
    session: int
    person_ref: str
    start_ms: int
    end_ms: int


def with_shared_flags(
    state: State, now: Moment, flags: Mapping[int, tuple[str, ...]], births: Mapping[str, date], rules: Rules
) -> dict[int, tuple[str, ...]]:
    """The flags of these sessions and those that `state.standing` cannot know: `minor_limit` and `same_time_pair`.

    `births` is by person; `rules` are the lab's, for the limits of minors. Worst first.
    """
    minors = minor_limits(state, now, births, rules)
    pairs = same_time_pairs(state)
    raised = {
        session: {*own, *(["minor_limit"] * (session in minors)), *(["same_time_pair"] * (session in pairs))}
        for session, own in flags.items()
    }
    return {session: tuple(flag for flag in FLAGS if flag in found) for session, found in raised.items()}


def minor_limits(state: State, now: Moment, births: Mapping[str, date], rules: Rules) -> set[int]:
    """Sessions of people under 18 with presence at night, or in a local week that holds too much of it."""
    zone = state.timeline.zone
    spans = [
        _Presence(s.id, s.person_ref, *state.labelled(s, now))
        for s in state.sessions.values()
        if s.person_ref in births
    ]
    weeks: dict[tuple[str, date], int] = defaultdict(int)
    for span in spans:
        for day, ms in _days(span, zone):
            weeks[span.person_ref, _monday(day)] += ms
    found = set()
    for span in spans:
        day = _local(span.start_ms, zone).date()
        age = _age(births[span.person_ref], day)
        if age >= 18:
            continue
        limit_ms = rules.minor_week_ms_16 if age >= 16 else rules.minor_week_ms_14
        too_much = any(weeks[span.person_ref, _monday(day)] > limit_ms for day, _ in _days(span, zone))
        if too_much or _at_night(span, zone, rules.minor_night):
            found.add(span.session)
    return found


def same_time_pairs(state: State) -> set[int]:
    """Sessions opened together with another person's, where the same two did so on two other days of the last seven."""
    pairs: dict[frozenset[str], list[tuple[date, Session]]] = defaultdict(list)
    for reads in _reads_by_reader(state).values():
        reads.sort(key=lambda read: read[0])
        for index, (at_ms, session) in enumerate(reads):
            for later_ms, other in reads[index + 1 :]:
                if later_ms - at_ms >= PAIR_WITHIN_MS:
                    break
                if other.person_ref != session.person_ref:
                    day = state.timeline.local_date(session.opened)
                    pairs[frozenset((session.person_ref, other.person_ref))] += [(day, session), (day, other)]
    found = set()
    for together in pairs.values():
        days = {day for day, _ in together}
        for day, session in together:
            others = [other for other in days if 0 < (day - other).days < PAIR_OF_DAYS]
            if len(others) >= PAIR_OTHER_DAYS:
                found.add(session.id)
    return found


def _reads_by_reader(state: State) -> dict[str, list[tuple[int, Session]]]:
    reads: dict[str, list[tuple[int, Session]]] = defaultdict(list)
    for session in state.sessions.values():
        if not session.manual:
            reads[session.reader].append((state.timeline.axis(session.opened), session))
    return reads


def _days(span: _Presence, zone: ZoneInfo) -> Iterable[tuple[date, int]]:
    """The presence of each local day; split at local midnight."""
    left = span.start_ms
    while left < span.end_ms:
        day = _local(left, zone).date()
        right = min(_utc_ms(day + timedelta(days=1), time(), zone), span.end_ms)
        yield day, right - left
        left = right


def _at_night(span: _Presence, zone: ZoneInfo, night: tuple[str, str]) -> bool:
    begin, end = (time.fromisoformat(text) for text in night)
    day = _local(span.start_ms, zone).date() - timedelta(days=1)
    last = _local(span.end_ms, zone).date()
    while day <= last:
        left = _utc_ms(day, begin, zone)
        right = _utc_ms(day if begin < end else day + timedelta(days=1), end, zone)
        if max(left, span.start_ms) < min(right, span.end_ms):
            return True
        day += timedelta(days=1)
    return False


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _age(birth: date, day: date) -> int:
    """Whole years on a day; somebody born on 29 February has their birthday on 1 March of common years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _local(utc_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(zone)


def _utc_ms(day: date, at: time, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, at, zone).timestamp() * 1000)
