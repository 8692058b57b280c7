"""Two references are one person: what was the double's is the kept person's from then on.

Entries and released records keep the reference they name (`Session.recorded_as`). What the kept person has stands; of
qualifications and contracts what only the double had is added. A consent is never taken over: the kept person may have
withdrawn theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kiosk.domain.state import Session, State
from kiosk.domain.timeline import Moment


def merge(state: State, double: str, into: str) -> None:
    """Follow a `person_merged`. Neither of the two is at work now."""
    assert state.last is not None  # the moment of the entry
    _hand_over_sessions(state, double, into, state.last)
    _hand_over_papers(state, double, into)
    for badge in state.badges.values():
        if badge.person_ref == double:
            badge.person_ref = into
    for session, asked in state.questions.items():
        if asked.person_ref == double:
            state.questions[session] = asked._replace(person_ref=into)
    for session, (seq, asked) in state.settled.items():
        if asked.person_ref == double:
            state.settled[session] = (seq, asked._replace(person_ref=into))
    for before, of_whom in state.merged.items():
        if of_whom == double:
            state.merged[before] = into
    state.merged[double] = into
    state.touched_people.update((double, into))


def _hand_over_sessions(state: State, double: str, into: str, now: Moment) -> None:
    theirs, own = state.sessions_by_person.pop(double, []), state.sessions_by_person.get(into, [])
    shared = set(shared_time(_worked(state, theirs, now), _worked(state, own, now)))
    state.overlapping.update(shared)
    state.touched.update(theirs, shared)
    for session_id in theirs:
        session = state.sessions[session_id]
        session.tapped_as, session.person_ref = session.recorded_as, into
    if theirs:
        state.sessions_by_person[into] = sorted([*own, *theirs])
    for (person_ref, machine), process in list(state.last_process.items()):
        if person_ref == double:
            del state.last_process[double, machine]
            state.last_process.setdefault((into, machine), process)
    if double in state.untold:
        state.untold.setdefault(into, []).extend(state.untold.pop(double))
    state.handed_over.pop(double, None)
    state.last_reads.pop(double, None)
    state.open_by_person.pop(double, None)


def _hand_over_papers(state: State, double: str, into: str) -> None:
    person, gone = state.people[into], state.people[double]
    gone.active = False
    person.qualifications = gone.qualifications | person.qualifications
    person.contracts = gone.contracts | person.contracts
    person.sign_offs = sorted([*person.sign_offs, *gone.sign_offs])
    gone.qualifications, gone.contracts, gone.consents, gone.sign_offs = {}, {}, {}, []


def _worked(state: State, sessions: Sequence[int], now: Moment) -> list[tuple[int, int, int]]:
    """(start, end, session) in UTC of those who worked, by start."""
    found: list[Session] = [state.sessions[each] for each in sessions]
    return sorted((*state.labelled(each, now), each.id) for each in found if each.role == "operator")


def shared_time(one: Sequence[tuple[int, int, int]], other: Sequence[tuple[int, int, int]]) -> Iterator[int]:
    """The sessions of either list that share time with one of the other list; both are sorted by start."""
    first = 0
    reach = max((end - start for start, end, _ in other), default=0)
    for start, end, session in one:
        while first < len(other) and other[first][0] + reach <= start:
            first += 1
        for begin, until, beside in other[first:]:
            if begin >= end:
                break
            if start < until and start < end and begin < until:
                yield session
                yield beside
