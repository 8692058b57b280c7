"""Flags that need more than one session, or more than the ledger may hold (hours, section 6).

Birth dates are handed in and never kept: they live beside the ledger, where they can be erased. Pure; the same sessions
and dates give the same flags, whether all are looked at or only those that `reach` names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from kiosk.domain.deadlines import machine_rule
from kiosk.domain.state import FLAGS, Session, State
from kiosk.domain.timeline import Moment

PAIR_WITHIN_MS = 5_000
PAIR_OTHER_DAYS = 2
PAIR_OF_DAYS = 7
REACH_MS = 8 * 86_400_000
"""How far a session's flags can reach: the local week, and the seven days of a pair; a day more for any zone."""
Places = Mapping[int, Collection[tuple[int, int]]]
"""For each changed session the spans (UTC) where it was and where it is now."""
SHARED = ("minor_limit", "same_time_pair")
"""What other sessions, or a birth date, have a say in; never in the ledger."""


@dataclass(frozen=True)
class _Presence:
    session: int
    person_ref: str
    start_ms: int
    end_ms: int


QUESTIONED = "questioned"
TWO_PLACES = "two_places"
LIVE = (QUESTIONED, *FLAGS, TWO_PLACES)
"""All that makes an instructor look, worst first: the flags of hours.md, whose list is closed, between two marks that
only live rows carry. Neither a record nor a replay has them."""


def marks(state: State, session: Session) -> tuple[str, ...]:
    """What a live row carries beside the flags: the person's own word against it; a badge read at two places."""
    questioned = (QUESTIONED,) if session.id in state.questions else ()
    return (*questioned, TWO_PLACES) if session.id in state.two_places else questioned


def with_shared_flags(
    state: State, now: Moment, flags: Mapping[int, tuple[str, ...]], births: Mapping[str, date]
) -> dict[int, tuple[str, ...]]:
    """The flags of these sessions and those that `state.standing` cannot know: `minor_limit` and `same_time_pair`.

    `births` is by person. Worst first.
    """
    minors = minor_limits(state, now, births)
    pairs = same_time_pairs(state)
    return {session: joined(own, session in minors, session in pairs) for session, own in flags.items()}


def joined(own: Collection[str], minor: bool, pair: bool) -> tuple[str, ...]:
    """A session's own flags with those of `SHARED`, worst first; what `own` holds of them is replaced."""
    if not (own or minor or pair):
        return ()
    found = {*own} - {*SHARED} | {flag for flag, raised in zip(SHARED, (minor, pair), strict=True) if raised}
    return tuple(flag for flag in LIVE if flag in found)


def reach(state: State, batches: Iterable[Places]) -> tuple[set[int], set[int]]:
    """Whose shared flags can change with these sessions, and which sessions have a say in those.

    Each batch is of sessions that lie near each other: the weeks between them count. The answers may hold more than
    needed, never less; they grow with weeks, not with the history.
    """
    beside = cache(lambda session: [other.id for other in _beside(state, state.sessions[session])])
    spans = cache(lambda person: _presence_of(state, person))
    look: set[int] = set()
    say: set[int] = set()
    for places in batches:
        windows: dict[str, tuple[int, int]] = {}
        for session, held in places.items():
            left, right = min(start for start, _ in held) - REACH_MS, max(end for _, end in held) + REACH_MS
            for person in {state.sessions[each].person_ref for each in (session, *beside(session))}:
                known = windows.get(person, (left, right))
                windows[person] = (min(known[0], left), max(known[1], right))
        for person, (left, right) in windows.items():
            found = [span for span in spans(person) if span.start_ms <= right and left <= span.end_ms]
            look.update(span.session for span in found)
            left = min((span.start_ms for span in found), default=left) - REACH_MS  # noqa: PLW2901 - what they need
            right = max((span.end_ms for span in found), default=right) + REACH_MS  # noqa: PLW2901
            for span in spans(person):
                if span.start_ms <= right and left <= span.end_ms:
                    say.update((span.session, *beside(span.session)))
    return look, say


def _presence_of(state: State, person: str) -> list[_Presence]:
    sessions = [state.sessions[each] for each in state.sessions_by_person.get(person, ())]
    # A session that is open has not lasted yet.
    return [_Presence(s.id, person, *state.labelled(s, s.opened)) for s in sessions]


def _beside(state: State, session: Session) -> Iterator[Session]:
    """The sessions that opened at the same reader within seconds of this one, itself left out."""
    if session.manual:
        return
    reads = state.sessions_by_reader[session.reader]
    at_ms = state.timeline.axis(session.opened)

    def opened(session_id: int) -> int:
        return state.timeline.axis(state.sessions[session_id].opened)

    for session_id in reads[bisect_left(reads, at_ms - PAIR_WITHIN_MS + 1, key=opened) :]:
        if opened(session_id) - at_ms >= PAIR_WITHIN_MS:
            return
        if session_id != session.id:
            yield state.sessions[session_id]


def minor_limits(
    state: State, now: Moment, births: Mapping[str, date], among: Iterable[Session] | None = None
) -> set[int]:
    """Sessions of people under 18 with presence at night, or in a local week that holds too much of it.

    Of all sessions, or of those of `among`; each by the limits of its own machine.
    """
    zone = state.timeline.zone
    spans = [
        _Presence(s.id, s.person_ref, *state.labelled(s, now))
        for s in (state.sessions.values() if among is None else among)
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
        rules = machine_rule(state, state.sessions[span.session].machine).rules
        limit_ms = rules.minor_week_ms_16 if age >= 16 else rules.minor_week_ms_14
        too_much = any(weeks[span.person_ref, _monday(day)] > limit_ms for day, _ in _days(span, zone))
        if too_much or _at_night(span, zone, rules.minor_night):
            found.add(span.session)
    return found


def same_time_pairs(state: State, among: Iterable[Session] | None = None) -> set[int]:
    """Sessions opened together with another person's, where the same two did so on two other days of the last seven.

    Of all sessions, or of those of `among`.
    """
    pairs: dict[frozenset[str], list[tuple[date, Session]]] = defaultdict(list)
    for reads in _reads_by_reader(state, state.sessions.values() if among is None else among).values():
        reads.sort(key=lambda read: read[0])
        near: list[tuple[int, Session]] = []
        for at_ms, session in reads:
            near = [(before_ms, other) for before_ms, other in near if at_ms - before_ms < PAIR_WITHIN_MS]
            for _, other in near:
                if other.person_ref != session.person_ref:
                    day = state.timeline.local_date(other.opened)
                    pairs[frozenset((session.person_ref, other.person_ref))] += [(day, session), (day, other)]
            near.append((at_ms, session))
    found = set()
    for together in pairs.values():
        days = {day for day, _ in together}
        for day, session in together:
            others = sum(day - timedelta(days=back) in days for back in range(1, PAIR_OF_DAYS))
            if others >= PAIR_OTHER_DAYS:
                found.add(session.id)
    return found


def _reads_by_reader(state: State, sessions: Iterable[Session]) -> dict[str, list[tuple[int, Session]]]:
    reads: dict[str, list[tuple[int, Session]]] = defaultdict(list)
    for session in sessions:
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
