"""The fold: entries to sessions. `evolve` only follows entries and never decides."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any, TypeVar, cast

from kiosk.domain import entries as e
from kiosk.domain.merging import merge
from kiosk.domain.rulebook import credit_rules, rule_book
from kiosk.domain.state import (
    Badge,
    Decision,
    LastRead,
    MachineState,
    Person,
    Question,
    Released,
    Session,
    SignOff,
    State,
)
from kiosk.domain.timeline import Moment, stated

TWO_PLACES_MS = 2_000
"""Nobody walks from one reader to another within it."""


def evolve(state: State, entry: e.Entry) -> State:
    """Follow one entry."""
    seq, stamp, _, body = entry
    # The first stamp of a boot begins it, but its predecessor's last sign of life must be known before.
    timeline = state.timeline
    if type(body) is e.BootStarted and body.last_alive is not None:
        timeline.alive_until(body.last_alive)
    version = timeline.version
    now = state.last = timeline.hear(stamp)
    if timeline.steps(now, stamp.wall_ms) and not _tells_of_the_past(body):
        timeline.set_wall(now, stamp.wall_ms)
    if timeline.version != version:
        _relabelled(state, now.boot)
    state.size = seq + 1
    follow = _FOLLOW.get(type(body))
    if follow is not None:
        follow(state, entry, body)
    return state


def _tells_of_the_past(body: e.Body) -> bool:
    """Did it pass before it was written down? What else passed then goes by the clock as it stood, not as it stands."""
    kind = type(body)
    if kind is e.StateChanged:
        return cast(e.StateChanged, body).cause == "silence"
    if kind is e.SessionClosed:
        return cast(e.SessionClosed, body).closed_by == "system"
    return kind is e.CrewChanged or (kind is e.TapRefused and cast(e.TapRefused, body).count > 1)


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
    _relabelled(state, state.timeline.moment(body.at).boot)


def _relabelled(state: State, boot: int) -> None:
    """From this boot on, moments have other labels: the rows of every session that reaches into it follow."""
    for ids in state.open_by_machine.values():
        state.touched.update(ids)
    for later in range(boot, len(state.timeline.boots)):
        state.touched.update(state.closed_in.get(later, ()))


@_follows(e.ConfigAdopted)
def _config_adopted(state: State, _entry: e.Entry, body: e.ConfigAdopted) -> None:
    before = state.book
    state.adopted_config = body.config
    state.book = rule_book(body.config)
    state.timeline.set_zone(state.book.timezone)
    if (before.timezone, before.for_minors) != (state.book.timezone, state.book.for_minors):
        state.touched.update(state.sessions)  # local days, or what a minor may work, are others now
    for ids in state.open_by_machine.values():
        state.touched.update(ids)  # when they will have stood idle too long may be another moment now
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


@_follows(e.PersonMerged)
def _person_merged(state: State, _entry: e.Entry, body: e.PersonMerged) -> None:
    merge(state, body.person_ref, body.into)


@_follows(e.PersonErased)
def _person_erased(state: State, _entry: e.Entry, body: e.PersonErased) -> None:
    state.people[body.person_ref].active = False


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
    state.touched_people.add(body.person_ref)


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
def _tap_read(state: State, entry: e.Entry, body: e.TapRead) -> None:
    _tell(state, entry, body.person_ref)
    if body.outcome == "handed_over" and body.machine is not None:
        state.handed_over.get(body.person_ref, {}).pop(body.machine, None)


@_follows(e.TapRefused)
def _tap_refused(state: State, entry: e.Entry, body: e.TapRefused) -> None:
    if body.person_ref is not None:
        _tell(state, entry, body.person_ref)


def _tell(state: State, entry: e.Entry, person_ref: str) -> None:
    """A person taps: they are told now what others or the system closed since they did so last."""
    for session_id in state.untold.pop(person_ref, ()):
        state.sessions[session_id].told = entry.seq
        state.touched.add(session_id)


def _read_at(state: State, session: Session, at: Moment, reader: str) -> None:
    """A badge opened or ended a session; at two readers within an impossible time, both sessions are marked."""
    last = state.last_reads.get(session.person_ref)
    elsewhere = last is not None and last.reader != reader and last.at.boot == at.boot
    if last is not None and elsewhere and abs(at.ms - last.at.ms) < TWO_PLACES_MS:
        state.two_places.update((last.session, session.id))
        state.touched.update((last.session, session.id))
    state.last_reads[session.person_ref] = LastRead(at, reader, session.id)


@_follows(e.SessionOpened)
def _session_opened(state: State, entry: e.Entry, body: e.SessionOpened) -> None:
    # The same few words stand in a hundred thousand sessions: each is kept once.
    session = Session(
        id=entry.seq,
        person_ref=intern(body.person_ref),
        machine=intern(body.machine),
        programme=body.programme and intern(body.programme),
        process=body.process and intern(body.process),
        role=intern(body.role),
        reader=intern(body.reader),
        badge_ref=intern(body.badge_ref),
        opened=state.timeline.moment(body.at),
        rules=state.credit_rules[body.rules],
    )
    state.sessions[session.id] = session
    machine = state.machine(body.machine)
    machine.sessions.append(session.id)
    beside = state.open_by_machine.setdefault(body.machine, [])
    beside.append(session.id)
    state.open_by_person.setdefault(body.person_ref, []).append(session.id)
    state.sessions_by_person.setdefault(body.person_ref, []).append(session.id)
    state.sessions_by_reader.setdefault(body.reader, []).append(session.id)
    state.opened_in.setdefault(session.opened.boot, []).append(session.id)
    state.handed_over.pop(body.person_ref, None)
    _tell(state, entry, body.person_ref)
    _read_at(state, session, session.opened, session.reader)
    if body.process is not None:
        state.last_process[body.person_ref, body.machine] = body.process
    state.touched.update(beside)


@_follows(e.ManualSessionEntered)
def _manual_session_entered(state: State, entry: e.Entry, body: e.ManualSessionEntered) -> None:
    # On no list of the machine's: nobody saw the person there, so it shares no crew and closes for nobody.
    state.sessions[entry.seq] = Session(
        id=entry.seq,
        person_ref=body.person_ref,
        machine=body.machine,
        programme=state.people[body.person_ref].programme,
        process=body.process,
        role="operator",
        reader="",
        badge_ref="",
        opened=stated(body.start_ms),
        rules=state.rules,
        closed=stated(body.end_ms),
        manual=True,
    )
    state.sessions_by_person.setdefault(body.person_ref, []).append(entry.seq)
    state.touched.add(entry.seq)


@_follows(e.ProcessChosen)
def _process_chosen(state: State, _entry: e.Entry, body: e.ProcessChosen) -> None:
    session = state.sessions[body.session]
    session.process = body.process
    state.last_process[session.person_ref, session.machine] = body.process
    state.touched.add(session.id)


@_follows(e.SessionClosed)
def _session_closed(state: State, entry: e.Entry, body: e.SessionClosed) -> None:
    session = state.sessions[body.session]
    machine = state.machine(session.machine)
    session.closed = state.timeline.moment(body.at)
    if machine.last_end is None or machine.last_end < session.closed:
        machine.last_end = session.closed
    session.reason = intern(body.reason)
    session.closed_by = intern(body.closed_by)
    state.closed_in.setdefault(session.closed.boot, []).append(session.id)
    _note_end(machine, state.sessions)
    _touch_since(state, session.machine, session.closed)
    state.open_by_machine[session.machine].remove(session.id)
    state.open_by_person[session.person_ref].remove(session.id)
    state.touched.add(session.id)
    if session.closed_by != "person":
        state.untold.setdefault(session.person_ref, []).append(session.id)
    elif body.reason == "tap_out":
        _tell(state, entry, session.person_ref)
        _read_at(state, session, session.closed, body.reader or session.reader)
    if body.reason == "handover":
        state.handed_over.setdefault(session.person_ref, {})[session.machine] = session.id


@_follows(e.StillHere)
def _still_here(state: State, _entry: e.Entry, body: e.StillHere) -> None:
    state.sessions[body.session].still_here = state.timeline.moment(body.at)
    state.touched.add(body.session)


@_follows(e.StateChanged)
def _state_changed(state: State, _entry: e.Entry, body: e.StateChanged) -> None:
    moment = state.timeline.moment(body.at)
    state.machine(body.machine).history.append((moment, intern(body.state)))
    state.touched_machines.add(body.machine)
    _touch_since(state, body.machine, moment)


def _note_end(machine: MachineState, sessions: Mapping[int, Session]) -> None:
    """Every session before a place in `machine.ended` was over by the moment there."""
    while len(machine.ended) < len(machine.sessions):
        closed = sessions[machine.sessions[len(machine.ended)]].closed
        if closed is None:
            return
        machine.ended.append(max(closed, machine.ended[-1]) if machine.ended else closed)


def _touch_since(state: State, machine_id: str, moment: Moment) -> None:
    """The sessions on a machine that were there after a moment and are not decided are cut again."""
    state.touched.update(state.open_by_machine.get(machine_id, ()))
    machine = state.machine(machine_id)
    if machine.last_end is None or machine.last_end <= moment:
        return
    for session_id in machine.sessions[bisect_right(machine.ended, moment) :]:
        session = state.sessions[session_id]
        if session.closed is not None and session.closed > moment and not session.decisions:
            state.touched.add(session_id)


@_follows(e.MachineLocked)
def _machine_locked(state: State, _entry: e.Entry, body: e.MachineLocked) -> None:
    state.machine(body.machine).locked = body.locked
    state.touched_machines.add(body.machine)


@_follows(e.SessionReviewed)
def _session_reviewed(state: State, entry: e.Entry, body: e.SessionReviewed) -> None:
    session = state.sessions[body.session]
    now = state.last
    assert now is not None  # the moment of this entry
    # The first decision freezes what the rules made of the session; a later one decides on the same numbers.
    if session.decisions:
        numbers, flags = session.decisions[-1].numbers, session.decisions[-1].flags
    else:
        numbers = state.numbers(session, now)
        flags = state.flags(session, numbers)
    if body.decision == "approved":
        credited_ms = numbers.credited_ms
    else:
        credited_ms = 0 if body.decision == "rejected" else body.credited_ms or 0
    made = Decision(
        seq=entry.seq,
        decision=intern(body.decision),
        by=intern(body.by),
        at_utc_ms=state.timeline.utc_ms(now),
        reason=body.reason and intern(body.reason),
        text_hash=body.text_hash,
        credited_ms=credited_ms,
        process=body.process if body.process is not None else session.process,
        batch=body.batch,
        lag_ms=body.lag_ms,
        numbers=numbers,
        flags=flags,
        mark=body.mark,
    )
    session.decisions = (*session.decisions, made)
    state.touched.add(session.id)
    _settle(state, session, entry.seq, body)


def _settle(state: State, session: Session, seq: int, body: e.SessionReviewed) -> None:
    """A decision answers what the person asked; an undo lets the question it answered stand again, and answers none."""
    asked = state.settled.pop(session.id, None)
    if not body.undo:
        question = state.questions.pop(session.id, None)
        if question is not None:
            state.settled[session.id] = (seq, question)
            state.touched_people.add(session.person_ref)
    elif asked is not None and asked[0] == body.supersedes and session.id not in state.questions:
        state.questions[session.id] = asked[1]
        state.touched_people.add(session.person_ref)


@_follows(e.SessionQuestioned)
def _session_questioned(state: State, entry: e.Entry, body: e.SessionQuestioned) -> None:
    assert state.last is not None  # the moment of this entry
    at_utc_ms = state.timeline.utc_ms(state.last)
    state.questions[body.session] = Question(entry.seq, body.person_ref, at_utc_ms, body.text_hash)
    state.touched.add(body.session)
    state.touched_people.add(body.person_ref)


@_follows(e.CompetencySigned)
def _competency_signed(state: State, entry: e.Entry, body: e.CompetencySigned) -> None:
    assert state.last is not None  # the moment of this entry
    signed = SignOff(
        seq=entry.seq,
        programme=body.programme,
        process=body.process,
        competency=body.competency,
        level=body.level,
        by=body.by,
        at_utc_ms=state.timeline.utc_ms(state.last),
        how=body.how,
        text_hash=body.text_hash,
        mark=body.mark,
    )
    state.people[body.person_ref].sign_offs.append(signed)
    state.touched_people.add(body.person_ref)


@_follows(e.RecordReleased)
def _record_released(state: State, _entry: e.Entry, body: e.RecordReleased) -> None:
    session = state.sessions[body.session]
    made = Released(intern(body.enterprise), session.decisions[-1].seq)
    session.released = (*session.released, made)
    state.person_seq[session.recorded_as, body.enterprise] = body.record["person_seq"]
