"""A badge read, resolved in the order of hours.md, section 3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kiosk.domain import entries as e
from kiosk.domain.deadlines import STRANGERS_ONE_BY_ONE, STRANGERS_WINDOW_MS, closed, machine_rule
from kiosk.domain.observations import BadgeRead, Picked
from kiosk.domain.rulebook import MachineRule
from kiosk.domain.state import Person, Session, State
from kiosk.domain.timeline import Moment
from kiosk.domain.watch import Strangers, Unpicked, Watch

CONFIRM_WITHIN_MS = 500


@dataclass(frozen=True)
class Read:
    """A known apprentice's badge at a machine."""

    person: Person
    badge_ref: str
    reader: str
    machine: str
    at: Moment
    process: str | None = None
    """A process chosen together with the machine."""


@dataclass(frozen=True)
class Admission:
    """May the person be on the machine, and as what? `handover` closes for them."""

    role: str | None
    reason: str = ""
    missing: tuple[str, ...] = ()
    handover: Session | None = None


def badge_read(state: State, watch: Watch, now: Moment, read: BadgeRead) -> Iterator[e.Body]:
    """Steps 0 to 4: confirmation, de-bounce, roster, then the machine."""
    if read.reader not in state.book.readers:
        return
    machine, confirm = state.book.readers[read.reader]
    first = _confirmed(watch, now, read) if confirm > 1 else now
    if first is None or _is_same_read(state, watch, first, now, read):
        return
    at = first if watch.entered is None else max(first, watch.entered)
    badge = state.badges.get(read.badge_ref)
    if badge is None:
        yield from _stranger(state, watch, at, read, machine)
        return
    person = state.people[badge.person_ref]
    reason = unwelcome(state, person, read.badge_ref)
    if reason:
        yield _refused(state, read.reader, read.badge_ref, person.ref, machine, reason, at)
    elif person.role == "instructor":
        yield e.TapRead(read.reader, read.badge_ref, person.ref, machine, "instructor")
    elif machine is None:
        watch.unpicked[read.reader] = Unpicked(person.ref, read.badge_ref, at)
        yield e.TapRead(read.reader, read.badge_ref, person.ref, None, "pick")
    else:
        yield from _at_machine(state, Read(person, read.badge_ref, read.reader, machine, at))


def picked(state: State, watch: Watch, now: Moment, pick: Picked) -> Iterator[e.Body]:
    """A touch: it takes the waiting read to a machine, or replaces the process of a session just opened."""
    if pick.reader not in state.book.readers or pick.machine not in state.book.machines:
        return
    waiting = watch.unpicked.get(pick.reader)
    if waiting is not None and pick.person_ref not in (None, waiting.person_ref):
        return  # another's read has come since; it goes on waiting for its own touch
    watch.unpicked.pop(pick.reader, None)
    if waiting is not None and now.ms - waiting.at.ms < state.book.rules_at(pick.reader).choice_timeout_ms:
        person = state.people[waiting.person_ref]
        # A pick is a read at its own moment: what happened to the badge since the tap counts.
        reason = unwelcome(state, person, waiting.badge_ref)
        if reason:
            yield _refused(state, pick.reader, waiting.badge_ref, person.ref, pick.machine, reason, now)
            return
        read = Read(person, waiting.badge_ref, pick.reader, pick.machine, now, pick.process)
        yield from _at_machine(state, read)
        return
    yield from _chosen(state, now, pick)


def _chosen(state: State, now: Moment, pick: Picked) -> Iterator[e.Body]:
    """Another work process for the session that the reader opened last, while the screen offers it."""
    here = [s for s in state.on_machine(pick.machine) if s.reader == pick.reader]
    if not here or pick.process is None or pick.process == here[-1].process:
        return
    session = here[-1]
    if pick.person_ref not in (None, session.person_ref):
        return
    age_ms = state.timeline.axis(now) - state.timeline.axis(session.opened)
    timeout_ms = machine_rule(state, session.machine).rules.choice_timeout_ms
    if age_ms < timeout_ms and pick.process in state.book.processes_on(session.programme, session.machine):
        yield e.ProcessChosen(session.id, session.person_ref, pick.process)


def unwelcome(state: State, person: Person, badge_ref: str) -> str:
    """Why a known badge is refused at any machine; empty where it is not."""
    if state.badges[badge_ref].blocked:
        return "badge_blocked"
    return "" if person.active else "person_inactive"


def _confirmed(watch: Watch, now: Moment, read: BadgeRead) -> Moment | None:
    """The moment of a read that two equal frames confirm: the first of them."""
    first = watch.frames.pop(read.reader, None)
    if first is None or first[0] != read.badge_ref or now.ms - first[1].ms >= CONFIRM_WITHIN_MS:
        watch.frames[read.reader] = (read.badge_ref, now)
        return None
    return first[1]


def _is_same_read(state: State, watch: Watch, first: Moment, now: Moment, read: BadgeRead) -> bool:
    """Is a read that began with the frame at `first` a card that was seen here just before?"""
    key = (read.reader, read.badge_ref)
    last = watch.sights.get(key)
    watch.sights[key] = now
    return last is not None and first.ms - last.ms < state.book.rules_at(read.reader).debounce_ms


def _stranger(state: State, watch: Watch, at: Moment, read: BadgeRead, machine: str | None) -> Iterator[e.Body]:
    strangers = watch.strangers
    if strangers is None or at.ms - strangers.since.ms >= STRANGERS_WINDOW_MS:
        strangers = watch.strangers = Strangers(at, read.reader)
    strangers.count += 1
    strangers.reader = read.reader
    if strangers.count <= STRANGERS_ONE_BY_ONE:
        yield _refused(state, read.reader, read.badge_ref, None, machine, "unknown_badge", at)


def _refused(
    state: State,
    reader: str,
    badge_ref: str,
    person_ref: str | None,
    machine: str | None,
    reason: str,
    at: Moment,
    missing: tuple[str, ...] = (),
) -> e.TapRefused:
    return e.TapRefused(reader, badge_ref, person_ref, machine, reason, state.timeline.at(at), missing)


def _at_machine(state: State, read: Read) -> Iterator[e.Body]:
    """A known apprentice at a machine: out, told, refused, or in."""
    here = next((s for s in state.of_person(read.person.ref) if s.machine == read.machine), None)
    if here is not None:
        yield from _again(state, read, here)
        return
    told = untold_handover(state, read)
    if told is not None:
        yield e.TapRead(read.reader, read.badge_ref, read.person.ref, read.machine, "handed_over", told.id)
        return
    admitted = admission(state, read)
    if admitted.role is None:
        yield _refused(
            state,
            read.reader,
            read.badge_ref,
            read.person.ref,
            read.machine,
            admitted.reason,
            read.at,
            admitted.missing,
        )
        return
    for elsewhere in list(state.of_person(read.person.ref)):
        yield from close(state, elsewhere, "moved", "person", read.at, reader=read.reader)
    if admitted.handover is not None:
        yield from close(state, admitted.handover, "handover", "other", read.at)
    yield from _open(state, read, admitted)


def _again(state: State, read: Read, here: Session) -> Iterator[e.Body]:
    if is_still_on(state, read, here):
        yield e.TapRead(read.reader, read.badge_ref, read.person.ref, read.machine, "still_on", here.id)
    else:
        yield from close(state, here, "tap_out", "person", read.at, reader=read.reader)


def is_still_on(state: State, read: Read, here: Session) -> bool:
    """Is the session so young that another read of the badge only tells of it?"""
    age_ms = state.timeline.axis(read.at) - state.timeline.axis(here.opened)
    return age_ms < machine_rule(state, read.machine).rules.no_toggle_ms


def untold_handover(state: State, read: Read) -> Session | None:
    """The session that ended here today by handover, if the person has not been told nor opened any since."""
    session_id = state.handed_over.get(read.person.ref, {}).get(read.machine)
    if session_id is None:
        return None
    session = state.sessions[session_id]
    assert session.closed is not None
    local_date = state.timeline.local_date
    return session if local_date(session.closed) == local_date(read.at) else None


def admission(state: State, read: Read) -> Admission:
    """Admission (hours, section 3.5)."""
    rule = machine_rule(state, read.machine)
    if state.machine(read.machine).locked:
        return Admission(None, "machine_locked")
    missing = missing_for(state, read.person, rule, read.at)
    if missing:
        if not rule.observers:
            return Admission(None, "not_qualified", missing)
        return _as_observer(state, read, missing)
    operators = state.operators(read.machine)
    if len(operators) < rule.crew:
        return Admission("operator")
    if rule.when_full == "handover":
        return Admission("operator", handover=operators[0])
    if rule.when_full == "observe":
        return _as_observer(state, read, ())
    return Admission(None, "machine_full")


def _as_observer(state: State, read: Read, missing: tuple[str, ...]) -> Admission:
    """Watching a neighbour ends nobody's hours."""
    if any(s.role == "operator" for s in state.of_person(read.person.ref)):
        return Admission(None, "busy_elsewhere", missing)
    return Admission("observer", missing=missing)


def missing_for(state: State, person: Person, rule: MachineRule, at: Moment) -> tuple[str, ...]:
    """What the machine requires and the person does not hold on the local date."""
    today = state.timeline.local_date(at).isoformat()
    held = person.qualifications
    return tuple(q for q in rule.requires if q not in held or (held[q] or today) < today)


def _open(state: State, read: Read, admitted: Admission) -> Iterator[e.Body]:
    choices = state.book.processes_on(read.person.programme, read.machine)
    last = state.last_process.get((read.person.ref, read.machine))
    process = next((p for p in (read.process, last, *choices) if p is not None and p in choices), None)
    at = state.timeline.at(read.at)
    yield e.SessionOpened(
        person_ref=read.person.ref,
        machine=read.machine,
        programme=read.person.programme,
        process=process,
        role=admitted.role or "operator",
        reader=read.reader,
        badge_ref=read.badge_ref,
        at=at,
        rules=state.rules.fingerprint,
        missing=admitted.missing,
    )
    yield from crew_changed(state, read.machine, at)


def close(
    state: State,
    session: Session,
    reason: str,
    closed_by: str,
    end: Moment,
    *,
    reader: str | None = None,
    by: str | None = None,
) -> Iterator[e.Body]:
    """Close a session, and say how many are left where a machine takes a crew."""
    body = closed(state, session, reason, closed_by, end, reader=reader, by=by)
    yield body
    yield from crew_changed(state, session.machine, body.at)


def crew_changed(state: State, machine_id: str, at: e.At) -> Iterator[e.Body]:
    """How many are on a machine now; a machine for one needs no such entry."""
    if machine_rule(state, machine_id).crew > 1:
        present = state.on_machine(machine_id)
        operators = sum(s.role == "operator" for s in present)
        yield e.CrewChanged(machine_id, operators, len(present) - operators, at)
