"""Ledger to state, and state to the rows that screens read. Everything here can be thrown away and made again."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date

from kiosk.domain.deadlines import idle_timeout
from kiosk.domain.entries import ClockAnchored, Entry, RecordReleased, SessionClosed, from_object
from kiosk.domain.flags import joined, marks, minor_limits, reach, same_time_pairs
from kiosk.domain.sessions import evolve
from kiosk.domain.state import Session, State, standing
from kiosk.proofs import read
from kiosk.store import acts, learners, outbox, people, totals, views
from kiosk.store.ledger import Ledger

AT_ONCE = 200
"""Sessions that change together whose neighbours are looked for in one go."""


def fold(connection: sqlite3.Connection, state: State) -> State:
    """Follow every entry of the ledger that the state does not hold yet; decides nothing."""
    with undisturbed():
        for _, data in Ledger(connection).entries(after=state.size - 1):
            evolve(state, from_object(read(data)))
    return state


@contextmanager
def undisturbed() -> Iterator[None]:
    """No search for cycles meanwhile: a fold makes none, and each search goes through all of a growing state."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def project(connection: sqlite3.Connection, state: State) -> None:
    """Write the rows of every session and machine that changed since the last call. The caller commits.

    A closed session also changes what is flagged of the same person's week, and of the same two badges: those rows are
    looked at again, and no others. Birth dates are read from the people tables and go nowhere.
    """
    look, minors, pairs = _shared_flags(connection, state)
    changed = [state.sessions[session_id] for session_id in sorted(state.touched)]
    many = len(changed) > max(AT_ONCE, len(state.sessions) // 2)
    with totals.added_up_at_the_end(connection) if many else nullcontext():
        views.put_sessions(
            connection, (session_view(state, each, each.id in minors, each.id in pairs) for each in changed)
        )
    for session_id in sorted(look - state.touched):
        row = views.session(connection, session_id)
        if row is None or row.end_ms is None:
            continue
        flags = joined(row.flags, session_id in minors, session_id in pairs)
        if flags != row.flags:
            views.put_session(connection, row._replace(flags=flags))
    state.touched.clear()
    for machine_id in sorted(state.touched_machines):
        machine = state.machine(machine_id)
        since_ms = state.timeline.utc_ms(machine.history[-1][0]) if machine.history else 0
        views.put_machine(connection, machine_id, machine.state, since_ms, machine.locked)
    state.touched_machines.clear()
    # Of two who were found to be one, whose rows go comes first: a sign-off has one row.
    for person_ref in sorted(state.touched_people, key=lambda ref: (ref not in state.merged, ref)):
        learners.put_person(connection, _person_record(state, person_ref))
    state.touched_people.clear()


def _person_record(state: State, person_ref: str) -> learners.PersonRecord:
    """What the ledger says of somebody beside their hours."""
    person = state.people[person_ref]
    questions = (
        learners.QuestionRow(asked.seq, session, person_ref, asked.at_utc_ms, asked.text_hash)
        for session, asked in state.questions.items()
        if asked.person_ref == person_ref
    )
    signed = (
        learners.SignOffRow(
            seq=each.seq,
            person_ref=person_ref,
            programme=each.programme,
            process=each.process,
            competency=each.competency,
            level=each.level,
            by=each.by,
            at_ms=each.at_utc_ms,
            how=each.how,
            text_hash=each.text_hash,
            mark=each.mark,
        )
        for each in person.sign_offs
    )
    return learners.PersonRecord(person_ref, tuple(person.qualifications.items()), tuple(signed), tuple(questions))


def _idle_at_ms(state: State, session: Session) -> int | None:
    place = idle_timeout(state, session)
    return None if place is None else state.timeline.utc_ms(state.timeline.on_axis(place))


def _shared_flags(connection: sqlite3.Connection, state: State) -> tuple[set[int], set[int], set[int]]:
    """(whose flags may have changed, the `minor_limit` of them, the `same_time_pair` of them)."""
    if not state.touched:
        return set(), set(), set()
    look, say = _reach(connection, state, sorted(state.touched))
    assert state.last is not None
    among = [state.sessions[each] for each in sorted(say)]
    # What a session that is open adds to its week is not known yet; that it opened beside another one is.
    closed = [session for session in among if not session.is_open]
    births = _births(connection, {session.person_ref for session in closed if session.id in look})
    return look, minor_limits(state, state.last, births, closed), same_time_pairs(state, among)


def _reach(connection: sqlite3.Connection, state: State, touched: list[int]) -> tuple[set[int], set[int]]:
    """Whose shared flags can change, and who has a say in them: everybody where many change (a start, a rebuild)."""
    if len(touched) > max(AT_ONCE, len(state.sessions) // 8):
        return set(state.sessions), set(state.sessions)
    held = ((each, _places(connection, state, each)) for each in touched)
    known = [(each, spans) for each, spans in held if spans]
    return reach(state, (dict(known[first : first + AT_ONCE]) for first in range(0, len(known), AT_ONCE)))


def minors_again(connection: sqlite3.Connection, state: State, person_ref: str) -> None:
    """A birth date was told, corrected or erased: what a minor may work is asked again of this person, and no other."""
    if state.last is None:
        return
    rows = [row for row in views.person_sessions(connection, person_ref) if row.end_ms is not None]
    births = _births(connection, {person_ref})
    minors = minor_limits(state, state.last, births, [state.sessions[row.session] for row in rows])
    for row in rows:
        flags = joined(row.flags, row.session in minors, "same_time_pair" in row.flags)
        if flags != row.flags:
            views.put_session(connection, row._replace(flags=flags))


def _places(connection: sqlite3.Connection, state: State, session_id: int) -> list[tuple[int, int]]:
    """Where a session is now, and where its row still has it: a clock may have been set since.

    Nowhere, while it merely goes on: a machine's every change of state touches it, and no flag of any session.
    """
    session = state.sessions[session_id]
    row = views.session(connection, session_id)
    here = state.labelled(session, session.opened)
    if row is None:
        return [here]
    if session.is_open and row.start_ms == here[0]:
        return []
    return [here, (row.start_ms, row.start_ms if row.end_ms is None else row.end_ms)]


def _births(connection: sqlite3.Connection, refs: set[str]) -> dict[str, date]:
    known = ((ref, people.person_by_ref(connection, ref)) for ref in refs)
    return {ref: date.fromisoformat(found.birth_date) for ref, found in known if found and found.birth_date}


def note_act(connection: sqlite3.Connection, entry: Entry) -> None:
    """What somebody did is listed, in the same transaction as the fact; most closings and anchors nobody did."""
    body = entry.body
    if body.type in acts.LEDGER_KINDS and not (isinstance(body, SessionClosed | ClockAnchored) and body.by is None):
        acts.follow(connection, entry.seq)


def queue_released(connection: sqlite3.Connection, entry: Entry) -> None:
    """A released record waits in the outbox, in the same transaction as the fact."""
    if isinstance(entry.body, RecordReleased):
        ref = str(entry.body.record["person_ref"])
        outbox.put(connection, entry.seq, entry.body.enterprise, ref, entry.body.session)


def session_view(state: State, session: Session, minor: bool, pair: bool) -> views.SessionView:
    """The row of one session. An open one has no numbers yet: they are what it is worth once it ends.

    `minor` and `pair` are the flags that other sessions have a say in.
    """
    assert state.last is not None
    is_open = session.is_open
    numbers, flags = standing(state, session, session.opened if is_open else state.last)
    start_ms = state.timeline.utc_ms(session.opened)
    decision = session.decisions[-1] if session.decisions else None
    return views.SessionView(
        session=session.id,
        person_ref=session.person_ref,
        machine=session.machine,
        programme=session.programme,
        process=session.process,
        role=session.role,
        start_ms=start_ms,
        end_ms=None if is_open else start_ms + numbers.presence_ms,
        local_date=state.timeline.local_date(session.opened).isoformat(),
        reason=session.reason,
        closed_by=session.closed_by,
        presence_ms=numbers.presence_ms,
        by_state=numbers.by_state_ms,
        credited_ms=numbers.credited_ms,
        unverified_ms=numbers.unverified_ms,
        uncredited=numbers.uncredited_ms,
        evidence=state.evidence(session, numbers),
        flags=() if is_open else joined((*flags, *marks(state, session)), minor, pair),
        review=session.review,
        decided_by=decision.by if decision else None,
        decided_at_ms=decision.at_utc_ms if decision else None,
        decided_reason=decision.reason if decision else None,
        decided_text_hash=decision.text_hash if decision else None,
        decided_credited_ms=decision.credited_ms if decision else None,
        decided_process=decision.process if decision else None,
        batch=decision.batch if decision else None,
        decided_mark=decision.mark if decision else None,
        told=session.told,
        idle_at_ms=_idle_at_ms(state, session) if is_open else None,
    )
