"""What the ledger says once it is folded: people, badges, machines, sessions, and the numbers that follow from them.

The state is changed in place, one entry after another, because a ledger has a million of them; whoever needs an older
state folds again. `sessions.evolve` alone changes it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kiosk.domain.credit import AFTER_ALL, Credit, Stretch, Terms, credit, crew_changes, cut, stated_credit, stretched
from kiosk.domain.entries import UNDONE
from kiosk.domain.rulebook import NO_CREDIT_RULES, CreditRules, RuleBook
from kiosk.domain.shelf import Shelf
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


class SignOff(NamedTuple):
    """An instructor's judgement on a competency."""

    seq: int
    programme: str
    process: str
    competency: str
    level: int
    by: str
    at_utc_ms: int
    how: str
    text_hash: str | None
    mark: str | None


class Question(NamedTuple):
    """What a person says is wrong about their session, until a decision after it."""

    seq: int
    person_ref: str
    at_utc_ms: int
    text_hash: str | None


class LastRead(NamedTuple):
    """Where a person's badge opened or ended a session last."""

    at: Moment
    reader: str
    session: int


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
    sign_offs: list[SignOff] = field(default_factory=list)
    """In the order of signing; of each competency the last one stands."""


@dataclass
class Badge:
    """Whose a badge is, and whether it is refused."""

    person_ref: str
    blocked: bool = False


@dataclass(slots=True)
class MachineState:
    """A machine's past and whether an instructor withdrew it."""

    history: list[tuple[Moment, str]] = field(default_factory=list)
    locked: bool = False
    sessions: list[int] = field(default_factory=list)
    ended: list[Moment] = field(default_factory=list)
    """For the first of `sessions`, as far as all are closed: when the last of those up to each ended."""
    last_end: Moment | None = None
    """When the last that is closed ended, whoever is still there."""

    @property
    def state(self) -> str:
        """What holds now; `unknown` before anything was heard."""
        return self.history[-1][1] if self.history else "unknown"


class Decision(NamedTuple):
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
    mark: str | None = None


class Released(NamedTuple):
    """A record of a session was released to an enterprise, because of a decision (its entry's number)."""

    enterprise: str
    decision: int


@dataclass(slots=True)
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
    manual: bool = False
    """Entered by an instructor: nothing but their word says that it was."""
    told: int | None = None
    """Closed by others: the entry of the person's next tap, which tells them."""
    decisions: tuple[Decision, ...] = ()
    released: tuple[Released, ...] = ()
    tapped_as: str | None = None
    """Of a person who was found twice: the reference that it was recorded under, no longer theirs."""

    @property
    def is_open(self) -> bool:
        """Is the person still there?"""
        return self.closed is None

    @property
    def recorded_as(self) -> str:
        """The reference that its entries and released records name."""
        return self.tapped_as or self.person_ref

    @property
    def review(self) -> str:
        """`pending`, or the latest decision; what was undone waits anew."""
        undone = not self.decisions or self.decisions[-1].reason == UNDONE
        return "pending" if undone else self.decisions[-1].decision

    @property
    def corrected(self) -> bool:
        """Did a decision change the numbers?"""
        return any(decision.decision == "adjusted" for decision in self.decisions)

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
        self.sessions: Shelf[Session] = Shelf()
        self.open_by_machine: dict[str, list[int]] = {}
        self.open_by_person: dict[str, list[int]] = {}
        self.sessions_by_person: dict[str, list[int]] = {}
        self.sessions_by_reader: dict[str, list[int]] = {}
        """In the order of their opening; none that was entered by hand."""
        self.opened_in: dict[int, list[int]] = {}
        """Boot to the sessions that were opened in it."""
        self.closed_in: dict[int, list[int]] = {}
        """Boot to the sessions whose end lies in it."""
        self.last_process: dict[tuple[str, str], str] = {}
        self.handed_over: dict[str, dict[str, int]] = {}
        """Person to machine to the session that was handed over there and not yet told of."""
        self.person_seq: dict[tuple[str, str], int] = {}
        self.questions: dict[int, Question] = {}
        """By session, while no decision was made after it."""
        self.settled: dict[int, tuple[int, Question]] = {}
        """By session: the question that its last decision settled, and that decision's number, should it be undone."""
        self.merged: dict[str, str] = {}
        """By reference that is no longer anybody's own: whose it is."""
        self.overlapping: set[int] = set()
        """Sessions of a person who was found twice that share time with one under the other reference."""
        self.untold: dict[str, list[int]] = {}
        """By person: sessions that others or the system closed since their last tap."""
        self.last_reads: dict[str, LastRead] = {}
        self.two_places: set[int] = set()
        """Sessions whose person's badge was read at two places within an impossible time."""
        self._terms: dict[tuple[str, str, str | None, str | None, str], Terms] = {}
        self.touched: set[int] = set()
        """Sessions whose numbers may have changed since the views were last written."""
        self.touched_machines: set[str] = set()
        self.touched_people: set[str] = set()
        """Whose qualifications, sign-offs or questions changed since then."""

    def machine(self, machine_id: str) -> MachineState:
        """A machine's state; made when first asked for, since a machine may leave the configuration."""
        known = self.machines.get(machine_id)
        if known is None:
            known = self.machines[machine_id] = MachineState()
        return known

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

    def labelled(self, session: Session, now: Moment) -> tuple[int, int]:
        """The session's start and end in UTC; the end is the start plus the presence (hours, section 8)."""
        left, right = self.span(session, now)
        start_ms = self.timeline.utc_ms(session.opened)
        return start_ms, start_ms + right - left

    def numbers(self, session: Session, now: Moment) -> Credit:
        """What the rules make of a session now, whatever was decided on it."""
        if session.manual:
            left, right = self.span(session, now)
            return stated_credit(right - left)
        terms = self._terms_of(session)
        crew = self.crew(session, now) if terms.split else []
        end = session.closed if session.closed is not None else now
        return credit(self.stretches(session.machine, session.opened, end), terms, crew)

    def _terms_of(self, session: Session) -> Terms:
        """The rules one session is credited by; looked up once for all that share them."""
        rules = session.rules
        key = (rules.fingerprint, session.machine, session.programme, session.process, session.role)
        terms = self._terms.get(key)
        if terms is None:
            terms = self._terms[key] = Terms(
                counts=frozenset(session.counts),
                idle_grace_ms=rules.of_machine(session.machine, "idle_grace_ms"),
                presence_counts=session.presence_counts,
                split=rules.of_machine(session.machine, "crew_credit") == "split",
                observer=session.role == "observer",
                has_source=rules.of_machine(session.machine, "has_source"),
                long_session_ms=rules.of_machine(session.machine, "long_session_ms"),
            )
        return terms

    def stretches(self, machine_id: str, start: Moment, end: Moment) -> list[Stretch]:
        """A machine's states from one moment to another, on the axis."""
        history = self.machine(machine_id).history
        first = bisect_right(history, (start, AFTER_ALL))
        last = bisect_left(history, (end, ""), first)
        before = history[first - 1][1] if first else "unknown"
        base_ms = self.timeline.base_ms(start, end)
        if base_ms is not None:
            left = base_ms + start.ms
            changes = [(base_ms + ms, state) for (_, ms), state in history[first:last]]
            return stretched([(left, before), *changes, (base_ms + end.ms, "")], left)
        axis = self.timeline.axis
        left = axis(start)
        changes = [(axis(moment), state) for moment, state in history[first:last]]
        return cut([(left, before), *changes], left, axis(end))

    def crew(self, session: Session, now: Moment) -> list[tuple[int, int]]:
        """How many operators were on the machine during a session, from each moment of the axis on."""
        _, end = self.span(session, now)
        machine = self.machine(session.machine)
        spans = []
        # A log has years of sessions on a machine: only those that can overlap are looked at.
        for session_id in machine.sessions[bisect_right(machine.ended, session.opened) :]:
            other = self.sessions[session_id]
            span = self.span(other, now)
            if span[0] >= end:
                break
            if other.role == "operator":
                spans.append(span)
        return crew_changes(spans)

    def flags(self, session: Session, numbers: Credit) -> tuple[str, ...]:
        """Why an instructor should look, worst first; empty is clean."""
        terms = self._terms_of(session)
        has_source = terms.has_source and not session.manual
        raised = []  # in the order of FLAGS
        if not self.timeline.certain(session.opened):
            raised.append("clock_uncertain")
        if session.id in self.overlapping:
            raised.append("overlap")
        if has_source and numbers.by_state_ms.get("unknown", 0) * 10 > numbers.presence_ms:
            raised.append("status_lost")
        if session.closed_by == "system":
            raised.append("closed_by_system")
        if has_source and numbers.counted_ms == 0:
            raised.append("no_machine_time")
        if numbers.presence_ms > terms.long_session_ms:
            raised.append("too_long")
        if session.process is None:
            raised.append("no_process")
        if session.corrected:
            raised.append("corrected")
        return tuple(raised)

    def evidence(self, session: Session, numbers: Credit) -> str:
        """`manual`, or `badge+machine` where any state was known and counts for something, else `badge`."""
        if session.manual:
            return "manual"
        known = numbers.presence_ms - numbers.by_state_ms.get("unknown", 0)
        return "badge+machine" if known > 0 and not self._terms_of(session).presence_counts else "badge"


def standing(state: State, session: Session, now: Moment) -> tuple[Credit, tuple[str, ...]]:
    """The numbers and flags that stand for a session: frozen by a decision, else what the rules make of it now."""
    if not session.decisions:
        numbers = state.numbers(session, now)
        return numbers, state.flags(session, numbers)
    flags = set(session.decisions[-1].flags)
    if session.corrected:
        flags.add("corrected")
    if session.id in state.overlapping:
        flags.add("overlap")  # found out after the decision
    if state.timeline.certain(session.opened):
        flags.discard("clock_uncertain")  # dated after the decision
    return session.decisions[-1].numbers, tuple(f for f in FLAGS if f in flags) if flags else ()
