"""What happens without a tap: closings, silence, counted strangers (hours, section 4).

Deadlines are data: `next_due` tells the earliest one and its entry. Nothing here waits, so replay is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from kiosk.domain import entries as e
from kiosk.domain.machine_watch import silent_from
from kiosk.domain.rulebook import MachineRule
from kiosk.domain.state import Session, State
from kiosk.domain.timeline import Moment
from kiosk.domain.watch import Watch

WARNING_MS = 300_000
"""The screen warns so long before a session is closed for standing idle (hours, section 4)."""
STRANGERS_WINDOW_MS = 60_000
STRANGERS_ONE_BY_ONE = 10

_RANKS = ("machine_off", "idle_timeout", "max_session", "day_end")
MACHINE_OFF, IDLE_TIMEOUT, MAX_SESSION, DAY_END = range(len(_RANKS))


class Due(NamedTuple):
    """Something that happens at a place on the axis; ascending order is the order of hours.md."""

    axis_ms: int
    kind: int
    """0 a deadline, 1 silence, 2 the end of a minute of strangers."""
    rank: int
    name: str
    body: e.Body


def machine_rule(state: State, machine_id: str) -> MachineRule:
    """A machine's rules; the lab's defaults for one that has left the configuration."""
    known = state.book.machines.get(machine_id)
    return known or MachineRule(machine_id, None, 1, "handover", False, (), False, None, state.book.rules)


def next_due(state: State, watch: Watch) -> Due | None:
    """The earliest thing that happens if nothing is heard."""
    # Closings follow from entries alone; most observations make none, so their answer is kept until the next entry.
    if watch.closing is None or watch.closing[0] != state.size:
        watch.closing = (state.size, _next_closing(state, watch))
    found = (watch.closing[1], _next_silence(state, watch), _end_of_strangers(state, watch))
    return min((due for due in found if due is not None), key=_order, default=None)


def _order(due: Due) -> tuple[int, int, int, str]:
    return due[:4]


def _next_closing(state: State, watch: Watch) -> Due | None:
    """The earliest closing of an open session; only of that one the entry is made."""
    sessions = (state.sessions[s] for ids in state.open_by_machine.values() for s in ids)
    # An end that is not known by itself is the moment, and is not compared: a rank comes once in a session.
    found = min(
        (
            (due_ms, rank, session.id, end)
            for session in sessions
            for rank, due_ms, end in _closings(state, watch, session)
        ),
        default=None,
    )
    if found is None:
        return None
    due_ms, rank, session_id, end = found
    session = state.sessions[session_id]
    body = closed(state, session, _RANKS[rank], "system", end or state.timeline.on_axis(due_ms))
    return Due(due_ms, 0, rank, f"{session_id:012}", body)


def _next_silence(state: State, watch: Watch) -> Due | None:
    first: tuple[Moment, str] | None = None
    for machine_id, ear in watch.machines.ears.items():
        silent = silent_from(ear, machine_rule(state, machine_id).rules.stale_after_ms, state.machine(machine_id).state)
        if silent is not None and (first is None or (silent, machine_id) < first):
            first = (silent, machine_id)
    if first is None:
        return None
    moment, machine_id = first
    unknown = e.StateChanged(machine_id, "unknown", state.timeline.at(moment), "silence")
    return Due(_after(state, watch.machines.ear(machine_id).last_heard or moment, moment), 1, 0, machine_id, unknown)


def _end_of_strangers(state: State, watch: Watch) -> Due | None:
    strangers = watch.strangers
    if strangers is None or strangers.count <= STRANGERS_ONE_BY_ONE:
        return None
    end = Moment(strangers.since.boot, strangers.since.ms + STRANGERS_WINDOW_MS)
    at, counted = state.timeline.at(end), strangers.count - STRANGERS_ONE_BY_ONE
    refused = e.TapRefused(strangers.reader, None, None, None, "unknown_badge", at, count=counted)
    return Due(_after(state, strangers.since, end), 2, 0, strangers.reader, refused)


def _after(state: State, since: Moment, due: Moment) -> int:
    """The place of a moment that is due so long after another, also where the boot ended in between."""
    return state.timeline.axis(since) + due.ms - since.ms


def closed(
    state: State,
    session: Session,
    reason: str,
    closed_by: str,
    end: Moment,
    *,
    reader: str | None = None,
    by: str | None = None,
) -> e.SessionClosed:
    """The entry that closes a session at `end`, never before it opened."""
    return e.SessionClosed(
        session=session.id,
        person_ref=session.person_ref,
        machine=session.machine,
        reason=reason,
        closed_by=closed_by,
        at=state.timeline.at(max(end, session.opened)),
        reader=reader,
        by=by,
    )


def _closings(state: State, watch: Watch, session: Session) -> Iterator[tuple[int, int, Moment | None]]:
    """(rank, moment on the axis, effective end where it is another) of everything that would close a session."""
    rules = machine_rule(state, session.machine).rules
    axis = state.timeline.axis
    history = state.machine(session.machine).history
    counts = session.counts
    opened = axis(session.opened)
    if "off" not in counts:
        since = unbroken_since(history, lambda s: s == "off", axis)
        # By place, not by moment: two boots without a gap between them share a place.
        if since is not None and axis(since) > opened:
            yield MACHINE_OFF, axis(since) + rules.off_grace_ms, since
    idle_end = idle_timeout(state, session)
    if idle_end is not None:
        yield IDLE_TIMEOUT, idle_end, None
    yield MAX_SESSION, opened + rules.max_session_ms, None
    day_end = _day_end(state, watch, session, rules.day_end)
    if day_end is not None:
        yield DAY_END, day_end, None


def idle_timeout(state: State, session: Session) -> int | None:
    """Where on the axis an open session will have stood idle too long if nothing changes; None where it will not."""
    rules = machine_rule(state, session.machine).rules
    if rules.idle_timeout_ms is None or session.presence_counts:
        return None
    counts = session.counts
    history = state.machine(session.machine).history
    since = unbroken_since(history, lambda s: s != "unknown" and s not in counts, state.timeline.axis)
    if since is None:
        return None
    start = max(since, session.opened, session.still_here or session.opened)
    return state.timeline.axis(start) + rules.idle_timeout_ms


def unbroken_since(
    history: list[tuple[Moment, str]], holds: Callable[[str], bool], axis: Callable[[Moment], int]
) -> Moment | None:
    """Where the last stretch of states that satisfy `holds` began; None if the present state does not.

    A state that was replaced at the very moment it began does not exist and breaks nothing.
    """
    since = None
    after: int | None = None
    for moment, state in reversed(history):
        place = axis(moment)
        if holds(state):
            since = moment
        elif place != after:
            break
        after = place
    return since


def _day_end(state: State, watch: Watch, session: Session, times: tuple[str, ...]) -> int | None:
    version = state.timeline.version
    cached = watch.day_ends.get(session.id)
    if cached is not None and cached[0] == version:
        return cached[1]
    utc_ms = state.timeline.next_local_time(session.opened, times)
    place = None if utc_ms is None else state.timeline.when(utc_ms, session.opened)
    watch.day_ends[session.id] = (version, place)
    return place
