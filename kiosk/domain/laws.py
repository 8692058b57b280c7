"""The laws of hours.md, section 5, asked of a folded ledger. What keeps them yields nothing; a breach is a sentence.

The property tests hold the same laws for generated histories; here they are held against what a workshop really has.
Sessions are named by their numbers, never people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from kiosk.domain.credit import Credit, Stretch, crew_changes, cut
from kiosk.domain.state import Session, State, standing
from kiosk.domain.timeline import Moment

Shares = dict[str, Fraction]
"""Machine time in milliseconds by state; a share of a crew's time is a fraction."""


def breaches(state: State) -> Iterator[str]:
    """Everything in the log that breaks a law, as sentences; a session that is still open counts up to the last entry.

    Hours that an instructor entered are on no machine's clock (`timeline.stated`), so laws 2 and 3 leave them out.
    """
    now = state.last
    if now is None:
        return
    for session in state.sessions.values():
        yield from _session(state, session, now)
    yield from twice_at_work(
        # Who was found twice may have been on two machines under two references: flagged, and no fault of the fold.
        (session.recorded_as, session.id, *state.span(session, now))
        for session in state.sessions.values()
        if session.role == "operator" and not session.manual
    )
    for machine in state.machines:
        yield from _machine(state, machine, now)


def unbalanced(session: int, numbers: Credit) -> Iterator[str]:
    """Laws 1 and 4 for one session's numbers: states sum to the presence, and each millisecond is credited or not."""
    states, rest = sum(numbers.by_state_ms.values()), sum(numbers.uncredited_ms.values())
    if states != numbers.presence_ms:
        yield f"session {session}: the machine time by state is {states} ms, the presence {numbers.presence_ms} ms"
    if not 0 <= numbers.credited_ms <= numbers.presence_ms:
        yield f"session {session}: {numbers.credited_ms} ms are credited of a presence of {numbers.presence_ms} ms"
    if numbers.credited_ms + rest != numbers.presence_ms or min(numbers.uncredited_ms.values(), default=0) < 0:
        yield (
            f"session {session}: {numbers.credited_ms} ms credited and {rest} ms not "
            f"do not make the presence of {numbers.presence_ms} ms"
        )


def twice_at_work(spans: Iterable[tuple[str, int, int, int]]) -> Iterator[str]:
    """Law 3, for operators' (person, session, start, end) on the axis: nobody is at work twice at one instant."""
    by_person: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for person, session, start, end in spans:
        if start < end:
            by_person[person].append((start, end, session))
    for own in by_person.values():
        own.sort()
        latest_end, latest = own[0][1], own[0][2]
        for start, end, session in own[1:]:
            if start < latest_end:
                ms = min(end, latest_end) - start
                yield f"sessions {latest} and {session} have one person at work twice for {ms} ms"
            if end > latest_end:
                latest_end, latest = end, session


def unconserved(machine: str, machine_ms: Shares, shares: Shares, unattributed: Shares) -> Iterator[str]:
    """Law 2: operators' shares and the time with nobody make the machine's time, in each state."""
    for name in sorted({*machine_ms, *shares, *unattributed}):
        whole = machine_ms.get(name, Fraction(0))
        parts = shares.get(name, Fraction(0)) + unattributed.get(name, Fraction(0))
        if whole != parts:
            what = "invented" if parts > whole else "lost"
            yield (
                f"machine {machine} was in state {name} for {whole} ms, but its operators' shares and the time "
                f"without any make {parts} ms: time was {what}"
            )


def _session(state: State, session: Session, now: Moment) -> Iterator[str]:
    if session.closed is not None and session.closed < session.opened:
        yield f"session {session.id} ends before it begins"
    if (session.closed or now) > now:
        yield f"session {session.id} ends after the last entry of the log"
    numbers, _ = standing(state, session, now)
    yield from unbalanced(session.id, numbers)
    for decision in session.decisions:
        if not 0 <= decision.credited_ms <= decision.numbers.presence_ms:
            yield (
                f"session {session.id}: entry {decision.seq} decided on {decision.credited_ms} ms "
                f"of a presence of {decision.numbers.presence_ms} ms"
            )


def _machine(state: State, machine: str, now: Moment) -> Iterator[str]:
    """Conservation from two sides: the machine's whole time at once, and every session's stretches on their own."""
    first = Moment(0, state.timeline.boots[0].first_ms)
    operators = [s for s in state.sessions.values() if s.machine == machine and s.role == "operator" and not s.manual]
    present = crew_changes(state.span(session, now) for session in operators)
    crew = [(state.timeline.axis(first), "0"), *((moment, str(count)) for moment, count in present)]
    shares: Shares = defaultdict(Fraction)
    for session in operators:
        for stretch in state.stretches(machine, session.opened, session.closed or now):
            for piece in _crewed(crew, stretch):
                shares[stretch.state] += Fraction(piece.length_ms, max(int(piece.state), 1))
    machine_ms: Shares = defaultdict(Fraction)
    unattributed: Shares = defaultdict(Fraction)
    for stretch in state.stretches(machine, first, now):
        machine_ms[stretch.state] += stretch.length_ms
        unattributed[stretch.state] += sum(p.length_ms for p in _crewed(crew, stretch) if p.state == "0")
    yield from unconserved(machine, machine_ms, shares, unattributed)


def _crewed(crew: Sequence[tuple[int, str]], stretch: Stretch) -> list[Stretch]:
    """The stretch in pieces whose `state` is how many operators are present."""
    return cut(crew, stretch.start, stretch.end)
