"""The fold: entries to sessions. `evolve` only follows entries and never decides.

The state is changed in place, one entry after another, because a ledger has a million of them; whoever needs an older
state folds again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from kiosk.domain import entries as e
from kiosk.domain.credit import Credit, Stretch, Terms, credit, crew_changes, cut
from kiosk.domain.rulebook import NO_CREDIT_RULES, CreditRules, RuleBook, credit_rules, rule_book
from kiosk.domain.timeline import Moment, Timeline

FLAGS = (
    "clock_uncertain",
    "overlap",
    "status_lost",
    "closed_by_system",
    "no_machine_time",
    "too_long",
    "no_process",
    "corrected",
    "minor_limit",
    "same_time_pair",
)
"""Worst first (hours, section 6)."""


@dataclass
class Person:
    """Who a reference stands for, as far as hours depend on it."""

    ref: str
    role: str
    programme: str | None
    active: bool
    qualifications: dict[str, str | None] = field(default_factory=dict)
    contracts: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    consents: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Badge:
    """Whose a badge is, and whether it is refused."""

    person_ref: str
    blocked: bool = False


@dataclass
class MachineState:
    """A machine's past and whether an instructor withdrew it."""

    history: list[tuple[Moment, str]] = field(default_factory=list)
    locked: bool = False
    sessions: list[int] = field(default_factory=list)
    settled: int = 0
    """How many of `sessions`, from the first, ended before the latest change of state: nothing can re-cut those."""

    @property
    def state(self) -> str:
        """What holds now; `unknown` before anything was heard."""
        return self.history[-1][1] if self.history else "unknown"


@dataclass(frozen=True)
class Decision:
    """An instructor's decision and the numbers it froze."""

    seq: int
    decision: str
    by: str
    at_utc_ms: int
    reason: str | None
    text_hash: str | None
    credited_ms: int
    process: str | None
    batch: int
    lag_ms: int
    numbers: Credit
    flags: tuple[str, ...]


@dataclass
class Session:
    """One person on one machine, for one work process, in one role."""

    id: int
    person_ref: str
    machine: str
    programme: str | None
    process: str | None
    role: str
    reader: str
    badge_ref: str
    opened: Moment
    rules: CreditRules
    closed: Moment | None = None
    reason: str | None = None
    closed_by: str | None = None
    still_here: Moment | None = None
    decisions: list[Decision] = field(default_factory=list)
    released: dict[str, list[int]] = field(default_factory=dict)
    """By enterprise: the decisions (their entries' numbers) whose records were released."""
    released_seqs: dict[str, list[int]] = field(default_factory=dict)
    """By enterprise: the entries' numbers of those records."""

    @property
    def is_open(self) -> bool:
        """Is the person still there?"""
        return self.closed is None

    @property
    def review(self) -> str:
        """`pending`, or the latest decision."""
        return self.decisions[-1].decision if self.decisions else "pending"

    @property
    def counts(self) -> tuple[str, ...]:
        """The states that count for it."""
        return self.rules.counts_for(self.machine, self.programme, self.process)

    @property
    def presence_counts(self) -> bool:
        """Is the whole presence credited?"""
        return self.rules.presence_counts(self.programme, self.process)


class State:
    """Everything the ledger says, folded."""

    def __init__(self) -> None:
        self.log = ""
        self.size = 0
        self.timeline = Timeline()
        self.last: Moment | None = None
        self.book = RuleBook()
        self.adopted_config: Mapping[str, Any] = {}
        self.adopted_rules: Mapping[str, Any] = {}
        self.credit_rules: dict[str, CreditRules] = {}
        self.rules = NO_CREDIT_RULES
        self.people: dict[str, Person] = {}
        self.badges: dict[str, Badge] = {}
        self.machines: dict[str, MachineState] = {}
        self.sessions: dict[int, Session] = {}
        self.open_by_machine: dict[str, list[int]] = {}
        self.open_by_person: dict[str, list[int]] = {}
        self.sessions_by_person: dict[str, list[int]] = {}
        self.last_process: dict[tuple[str, str], str] = {}
        self.handed_over: dict[str, dict[str, int]] = {}
        """Person to machine to the session that was handed over there and not yet told of."""
        self.person_seq: dict[tuple[str, str], int] = {}
        self.touched: set[int] = set()
        """Sessions whose numbers may have changed since the views were last written."""
        self.touched_machines: set[str] = set()

    def machine(self, machine_id: str) -> MachineState:
        """A machine's state; made when first asked for, since a machine may leave the configuration."""
        return self.machines.setdefault(machine_id, MachineState())

    def on_machine(self, machine_id: str) -> list[Session]:
        """The open sessions on a machine, longest present first."""
        return [self.sessions[s] for s in self.open_by_machine.get(machine_id, ())]

    def of_person(self, person_ref: str) -> list[Session]:
        """The open sessions of a person."""
        return [self.sessions[s] for s in self.open_by_person.get(person_ref, ())]

    def operators(self, machine_id: str) -> list[Session]:
        """The operators present on a machine, longest present first."""
        return [s for s in self.on_machine(machine_id) if s.role == "operator"]

    def span(self, session: Session, now: Moment) -> tuple[int, int]:
        """The session on the axis; an open one up to `now`."""
        start = self.timeline.axis(session.opened)
        end = self.timeline.axis(session.closed if session.closed is not None else now)
        return start, max(start, end)

    def numbers(self, session: Session, now: Moment) -> Credit:
        """What the rules make of a session now, whatever was decided on it."""
        terms = Terms(
            counts=frozenset(session.counts),
            idle_grace_ms=session.rules.of_machine(session.machine, "idle_grace_ms"),
            presence_counts=session.presence_counts,
            split=session.rules.of_machine(session.machine, "crew_credit") == "split",
            observer=session.role == "observer",
        )
        crew = self.crew(session.machine, now) if terms.split else []
        end = session.closed if session.closed is not None else now
        return credit(self.stretches(session.machine, session.opened, end), terms, crew)

    def stretches(self, machine_id: str, start: Moment, end: Moment) -> list[Stretch]:
        """A machine's states from one moment to another, on the axis."""
        history = self.machine(machine_id).history
        axis = self.timeline.axis
        first = max(bisect_right(history, start, key=lambda change: change[0]) - 1, 0)
        last = bisect_right(history, end, key=lambda change: change[0])
        known = [(axis(moment), state) for moment, state in history[first:last]]
        if not known or known[0][0] > axis(start):
            known.insert(0, (axis(start), "unknown"))
        return cut(known, axis(start), axis(end))

    def crew(self, machine_id: str, now: Moment) -> list[tuple[int, int]]:
        """How many operators were on a machine, from each moment of the axis on."""
        sessions = (self.sessions[s] for s in self.machine(machine_id).sessions)
        return crew_changes(self.span(s, now) for s in sessions if s.role == "operator")

    def flags(self, session: Session, numbers: Credit) -> tuple[str, ...]:
        """Why an instructor should look, worst first; empty is clean."""
        has_source = session.rules.of_machine(session.machine, "has_source")
        raised = {
            "clock_uncertain": not self.timeline.certain(session.opened),
            "status_lost": has_source and numbers.by_state_ms.get("unknown", 0) * 10 > numbers.presence_ms,
            "closed_by_system": session.closed_by == "system",
            "no_machine_time": has_source and numbers.counted_ms == 0,
            "too_long": numbers.presence_ms > session.rules.of_machine(session.machine, "long_session_ms"),
            "no_process": session.process is None,
            "corrected": any(d.decision == "adjusted" for d in session.decisions),
        }
        return tuple(flag for flag in FLAGS if raised.get(flag))

    def evidence(self, session: Session, numbers: Credit) -> str:
        """`badge+machine` where any state was known and counts for something, else `badge`."""
        known = numbers.presence_ms - numbers.by_state_ms.get("unknown", 0)
        return "badge+machine" if known > 0 and not session.presence_counts else "badge"


def evolve(state: State, entry: e.Entry) -> State:
    """Follow one entry."""
    body = entry.body
    # The first stamp of a boot begins it, but its predecessor's last sign of life must be known before.
    if isinstance(body, e.BootStarted) and body.last_alive is not None:
        state.timeline.alive_until(body.last_alive)
    state.last = state.timeline.hear(entry.stamp)
    state.size = entry.seq + 1
    follow = _FOLLOW.get(type(body))
    if follow is not None:
        follow(state, entry, body)
    return state


_BodyType = TypeVar("_BodyType", bound=e.Body)
_Follow = Callable[[State, e.Entry, Any], None]
_FOLLOW: dict[type[e.Body], _Follow] = {}


def _follows(
    body_type: type[_BodyType],
) -> Callable[[Callable[[State, e.Entry, _BodyType], None]], Callable[[State, e.Entry, _BodyType], None]]:
    def register(function: Callable[[State, e.Entry, _BodyType], None]) -> Any:
        _FOLLOW[body_type] = cast(_Follow, function)
        return function

    return register


@_follows(e.LogStarted)
def _log_started(state: State, _entry: e.Entry, body: e.LogStarted) -> None:
    state.log = body.log


@_follows(e.ClockAnchored)
def _clock_anchored(state: State, _entry: e.Entry, body: e.ClockAnchored) -> None:
    state.timeline.anchor(body.at, body.utc_ms)
    # A first anchor dates every session of its boot, and a span across boots may have another length.
    boot = state.timeline.moment(body.at).boot
    state.touched.update(s.id for s in state.sessions.values() if s.closed is None or s.closed.boot >= boot)


@_follows(e.ConfigAdopted)
def _config_adopted(state: State, _entry: e.Entry, body: e.ConfigAdopted) -> None:
    state.adopted_config = body.config
    state.book = rule_book(body.config)
    state.timeline.set_zone(state.book.timezone)
    for machine_id in state.book.machines:
        state.machine(machine_id)
        state.touched_machines.add(machine_id)


@_follows(e.RulesAdopted)
def _rules_adopted(state: State, _entry: e.Entry, body: e.RulesAdopted) -> None:
    state.adopted_rules = body.rules
    state.rules = credit_rules(body.rules)
    state.credit_rules[state.rules.fingerprint] = state.rules


@_follows(e.PersonRecorded)
def _person_recorded(state: State, _entry: e.Entry, body: e.PersonRecorded) -> None:
    person = state.people.setdefault(body.person_ref, Person(body.person_ref, body.role, body.programme, body.active))
    person.role, person.programme, person.active = body.role, body.programme, body.active


@_follows(e.BadgeAssigned)
def _badge_assigned(state: State, _entry: e.Entry, body: e.BadgeAssigned) -> None:
    state.badges[body.badge_ref] = Badge(body.person_ref)


@_follows(e.BadgeBlocked)
def _badge_blocked(state: State, _entry: e.Entry, body: e.BadgeBlocked) -> None:
    if body.badge_ref in state.badges:
        state.badges[body.badge_ref].blocked = True


@_follows(e.QualificationGranted)
def _qualification_granted(state: State, _entry: e.Entry, body: e.QualificationGranted) -> None:
    state.people[body.person_ref].qualifications[body.qualification] = body.until


@_follows(e.ConsentGiven)
def _consent_given(state: State, _entry: e.Entry, body: e.ConsentGiven) -> None:
    state.people[body.person_ref].consents[body.enterprise] = body.until


@_follows(e.ConsentWithdrawn)
def _consent_withdrawn(state: State, _entry: e.Entry, body: e.ConsentWithdrawn) -> None:
    state.people[body.person_ref].consents.pop(body.enterprise, None)


@_follows(e.ContractRecorded)
def _contract_recorded(state: State, _entry: e.Entry, body: e.ContractRecorded) -> None:
    state.people[body.person_ref].contracts[body.enterprise] = (body.valid_from, body.valid_to)


@_follows(e.TapRead)
def _tap_read(state: State, _entry: e.Entry, body: e.TapRead) -> None:
    if body.outcome == "handed_over" and body.machine is not None:
        state.handed_over.get(body.person_ref, {}).pop(body.machine, None)


@_follows(e.SessionOpened)
def _session_opened(state: State, entry: e.Entry, body: e.SessionOpened) -> None:
    session = Session(
        id=entry.seq,
        person_ref=body.person_ref,
        machine=body.machine,
        programme=body.programme,
        process=body.process,
        role=body.role,
        reader=body.reader,
        badge_ref=body.badge_ref,
        opened=state.timeline.moment(body.at),
        rules=state.credit_rules[body.rules],
    )
    state.sessions[session.id] = session
    machine = state.machine(body.machine)
    machine.sessions.append(session.id)
    state.open_by_machine.setdefault(body.machine, []).append(session.id)
    state.open_by_person.setdefault(body.person_ref, []).append(session.id)
    state.sessions_by_person.setdefault(body.person_ref, []).append(session.id)
    state.handed_over.pop(body.person_ref, None)
    if body.process is not None:
        state.last_process[body.person_ref, body.machine] = body.process
    state.touched.update(state.open_by_machine[body.machine])


@_follows(e.ProcessChosen)
def _process_chosen(state: State, _entry: e.Entry, body: e.ProcessChosen) -> None:
    session = state.sessions[body.session]
    session.process = body.process
    state.last_process[session.person_ref, session.machine] = body.process
    state.touched.add(session.id)


@_follows(e.SessionClosed)
def _session_closed(state: State, _entry: e.Entry, body: e.SessionClosed) -> None:
    session = state.sessions[body.session]
    session.closed = state.timeline.moment(body.at)
    session.reason = body.reason
    session.closed_by = body.closed_by
    _touch_since(state, session.machine, session.closed)
    state.open_by_machine[session.machine].remove(session.id)
    state.open_by_person[session.person_ref].remove(session.id)
    state.touched.add(session.id)
    if body.reason == "handover":
        state.handed_over.setdefault(session.person_ref, {})[session.machine] = session.id


@_follows(e.StillHere)
def _still_here(state: State, _entry: e.Entry, body: e.StillHere) -> None:
    state.sessions[body.session].still_here = state.timeline.moment(body.at)


@_follows(e.StateChanged)
def _state_changed(state: State, _entry: e.Entry, body: e.StateChanged) -> None:
    moment = state.timeline.moment(body.at)
    state.machine(body.machine).history.append((moment, body.state))
    state.touched_machines.add(body.machine)
    _touch_since(state, body.machine, moment)


def _touch_since(state: State, machine_id: str, moment: Moment) -> None:
    """The sessions on a machine that were there after a moment and are not decided are cut again."""
    machine = state.machine(machine_id)
    for session_id in machine.sessions[machine.settled :]:
        session = state.sessions[session_id]
        if session.closed is None or (session.closed > moment and not session.decisions):
            state.touched.add(session_id)
    if machine.history:
        latest = machine.history[-1][0]
        while machine.settled < len(machine.sessions):
            closed = state.sessions[machine.sessions[machine.settled]].closed
            if closed is None or closed > latest:
                break
            machine.settled += 1


@_follows(e.MachineLocked)
def _machine_locked(state: State, _entry: e.Entry, body: e.MachineLocked) -> None:
    state.machine(body.machine).locked = body.locked
    state.touched_machines.add(body.machine)


@_follows(e.SessionReviewed)
def _session_reviewed(state: State, entry: e.Entry, body: e.SessionReviewed) -> None:
    session = state.sessions[body.session]
    now = state.timeline.moment(e.At(entry.stamp.boot, entry.stamp.boot_ms))
    # The first decision freezes what the rules made of the session; a later one decides on the same numbers.
    numbers = session.decisions[-1].numbers if session.decisions else state.numbers(session, now)
    credited = {"approved": numbers.credited_ms, "rejected": 0}.get(body.decision, body.credited_ms or 0)
    flags = session.decisions[-1].flags if session.decisions else state.flags(session, numbers)
    session.decisions.append(
        Decision(
            seq=entry.seq,
            decision=body.decision,
            by=body.by,
            at_utc_ms=state.timeline.utc_ms(now),
            reason=body.reason,
            text_hash=body.text_hash,
            credited_ms=credited,
            process=body.process if body.process is not None else session.process,
            batch=body.batch,
            lag_ms=body.lag_ms,
            numbers=numbers,
            flags=flags,
        )
    )
    state.touched.add(session.id)


@_follows(e.RecordReleased)
def _record_released(state: State, entry: e.Entry, body: e.RecordReleased) -> None:
    session = state.sessions[body.session]
    session.released.setdefault(body.enterprise, []).append(session.decisions[-1].seq)
    session.released_seqs.setdefault(body.enterprise, []).append(entry.seq)
    state.person_seq[session.person_ref, body.enterprise] = body.record["person_seq"]


def standing(state: State, session: Session, now: Moment) -> tuple[Credit, tuple[str, ...]]:
    """The numbers and flags that stand for a session: frozen by a decision, else what the rules make of it now."""
    if not session.decisions:
        numbers = state.numbers(session, now)
        return numbers, state.flags(session, numbers)
    flags = set(session.decisions[-1].flags)
    if any(d.decision == "adjusted" for d in session.decisions):
        flags.add("corrected")
    return session.decisions[-1].numbers, tuple(f for f in FLAGS if f in flags)
