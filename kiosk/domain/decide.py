"""Observations to entries: looks at what was heard and says what happened.

`decide` yields one body at a time. Each must be given its number and be evolved before the next is asked for: what
happens next may depend on it. At one instant the order is deadlines, silence, then the observation (hours.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.competence import questioned, signed
from kiosk.domain.deadlines import machine_rule, next_due
from kiosk.domain.machine_watch import heard_power, heard_state
from kiosk.domain.manual import manual_entered
from kiosk.domain.reviews import releases_of_boot, reviewed, undone
from kiosk.domain.roster import told_of_people
from kiosk.domain.state import State
from kiosk.domain.taps import badge_read, close, crew_changed, picked
from kiosk.domain.timeline import Moment
from kiosk.domain.watch import Watch


def decide(state: State, watch: Watch, stamp: e.Stamp, heard: o.Observation) -> Iterator[e.Body]:
    """Everything that happened up to an observation, and what comes of it.

    Raises `observations.DecisionRefused` where a person asked for what cannot be; what was yielded before stands.
    """
    if isinstance(heard, o.Booted):
        yield from _boot(state, watch, stamp, heard)
        return
    now = state.timeline.moment(e.At(stamp.boot, stamp.boot_ms))
    yield from _pass(state, watch, now)
    size = state.size
    yield from _heard(state, watch, now, stamp, heard)
    # A change dated back, or a clock set forward, may bring deadlines that have passed already.
    if state.size != size:
        yield from _pass(state, watch, now)
        watch.entered = now


def _pass(state: State, watch: Watch, until: Moment) -> Iterator[e.Body]:
    """Everything that was due up to a moment, in order."""
    limit = state.timeline.axis(until)
    while (due := next_due(state, watch)) is not None and due.axis_ms <= limit:
        body = due.body
        yield body
        watch.entered = state.timeline.on_axis(due.axis_ms)
        if isinstance(body, e.SessionClosed):
            yield from crew_changed(state, body.machine, body.at)
        elif isinstance(body, e.StateChanged):
            watch.machines.ear(body.machine).pending = None
        elif isinstance(body, e.TapRefused):
            watch.strangers = None


def _boot(state: State, watch: Watch, stamp: e.Stamp, booted: o.Booted) -> Iterator[e.Body]:
    """A start: what passed before the stop, then the outage, then what passed during it (hours, section 4)."""
    before = _last_alive(state, booted)
    yield e.BootStarted(state.timeline.at(before) if before is not None else None)
    now = state.timeline.moment(e.At(stamp.boot, stamp.boot_ms))
    yield from _anchor(state, now, stamp)
    if before is not None:
        yield from _pass(state, watch, before)
        for machine_id, machine in state.machines.items():
            if machine.state != "unknown":
                yield e.StateChanged(machine_id, "unknown", state.timeline.at(before), "down")
    watch.forget()
    if before is not None:
        down_ms = state.timeline.axis(now) - state.timeline.axis(before)
        for session in [state.sessions[s] for ids in state.open_by_machine.values() for s in ids]:
            if down_ms > machine_rule(state, session.machine).rules.resume_within_ms:
                yield from close(state, session, "outage", "system", before)
    yield from _pass(state, watch, now)


def _last_alive(state: State, booted: o.Booted) -> Moment | None:
    """The later of the heartbeat and the last entry."""
    if state.last is None or booted.last_alive is None:
        return state.last
    return max(state.last, state.timeline.moment(booted.last_alive))


def _anchor(state: State, now: Moment, stamp: e.Stamp) -> Iterator[e.Body]:
    """A synchronised clock that the timeline does not follow yet is written down."""
    if state.timeline.follows(stamp):
        return
    first = not state.timeline.certain(now)
    yield e.ClockAnchored(state.timeline.at(now), stamp.wall_ms, "ntp" if first else "step")
    if first:
        yield from releases_of_boot(state, now.boot, now)


def _heard(state: State, watch: Watch, now: Moment, stamp: e.Stamp, heard: o.Observation) -> Iterator[e.Body]:
    match heard:
        case o.BadgeRead():
            yield from badge_read(state, watch, now, heard)
        case o.Picked():
            yield from picked(state, watch, now, heard)
        case o.MachineHeard():
            yield from _machine_heard(state, watch, now, heard)
        case o.MachineGone(machine=machine_id):
            yield from _machine_unknown(state, watch, now, machine_id, "lost")
        case o.BrokerHeard():
            yield from _broker(state, watch, now, heard)
        case o.ClockChanged():
            yield from _anchor(state, now, stamp)
        case o.Adopted():
            yield from _adopted(state, heard)
        case o.ReviewAsked():
            yield from reviewed(state, now, heard)
        case o.UndoAsked():
            yield from undone(state, now, heard)
        case o.Lost():
            yield e.ObservationsLost(heard.count, heard.reason)
        case o.Alive() | o.Booted():
            return
        case _:
            yield from _asked(state, now, heard)


def _machine_heard(state: State, watch: Watch, now: Moment, heard: o.MachineHeard) -> Iterator[e.Body]:
    """A report, a sample or a mere sign of life (hours, section 2)."""
    rule = state.book.machines.get(heard.machine)
    if rule is None or not rule.has_source:
        return
    if heard.retained and rule.rules.stale_after_ms is not None:
        return  # says what was last published, not when: no evidence, not even of life
    ear = watch.machines.ear(heard.machine)
    ear.last_heard = now
    state_now = state.machine(heard.machine).state
    if heard.state is not None:
        since = heard_state(ear, state_now, heard.state, now)
        if since is not None:
            yield e.StateChanged(heard.machine, heard.state, state.timeline.at(since), "report")
    elif heard.power_w is not None:
        change = heard_power(ear, rule, state_now, heard.power_w, now)
        if change is not None:
            yield e.StateChanged(heard.machine, change[0], state.timeline.at(change[1]), "power")


def _machine_unknown(state: State, watch: Watch, now: Moment, machine_id: str, cause: str) -> Iterator[e.Body]:
    watch.machines.ear(machine_id).pending = None
    if state.machine(machine_id).state != "unknown":
        yield e.StateChanged(machine_id, "unknown", state.timeline.at(now), cause)


def _broker(state: State, watch: Watch, now: Moment, heard: o.BrokerHeard) -> Iterator[e.Body]:
    """For a source that speaks only of changes, the connection is its sign of life; for others it is mere silence."""
    watch.machines.connected = heard.connected
    if heard.connected:
        return
    for machine_id, rule in state.book.machines.items():
        if rule.has_source and rule.rules.stale_after_ms is None:
            yield from _machine_unknown(state, watch, now, machine_id, "broker")


def _adopted(state: State, heard: o.Adopted) -> Iterator[e.Body]:
    """Configuration and rules are entered apart, and only where they differ from those in force."""
    new_config = e.ConfigAdopted(heard.config)
    if state.adopted_config != heard.config:
        yield new_config
    if state.adopted_rules != heard.rules:
        yield e.RulesAdopted(heard.rules)


def _asked(state: State, now: Moment, heard: o.Observation) -> Iterator[e.Body]:
    """What people ask of the machines and of what is recorded."""
    match heard:
        case o.LockAsked():
            if heard.machine not in state.book.machines:
                raise o.DecisionRefused("unknown_machine", heard.machine)
            if state.machine(heard.machine).locked != heard.locked:
                yield e.MachineLocked(heard.machine, heard.locked, heard.by)
        case o.CloseAsked():
            session = next((s for s in state.of_person(heard.person_ref) if s.machine == heard.machine), None)
            if session is None:
                raise o.DecisionRefused("no_open_session", heard.machine)
            yield from close(state, session, "closed_by_instructor", "other", now, by=heard.by)
        case o.QuestionAsked():
            yield from questioned(state, heard)
        case o.SignOffAsked():
            yield from signed(state, heard)
        case o.ManualAsked():
            yield from manual_entered(state, now, heard)
        case o.BootDated():
            yield from _boot_dated(state, now, heard)
        case o.StillHereTouched():
            session = next((s for s in state.of_person(heard.person_ref) if s.machine == heard.machine), None)
            if session is not None:
                yield e.StillHere(session.id, session.person_ref, state.timeline.at(now))
        case _:
            yield from told_of_people(state, now, heard)


def _boot_dated(state: State, now: Moment, heard: o.BootDated) -> Iterator[e.Body]:
    """An instructor dates a boot, once, and only where no clock did (hours, section 8)."""
    if heard.boot not in state.timeline.boot_ids:
        raise o.DecisionRefused("unknown_boot", heard.boot)
    if state.timeline.dated(heard.boot):
        raise o.DecisionRefused("already_dated", heard.boot)
    at = e.At(heard.boot, heard.boot_ms)
    yield e.ClockAnchored(at, heard.utc_ms, "instructor", heard.by)
    yield from releases_of_boot(state, state.timeline.moment(at).boot, now)
