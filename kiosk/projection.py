"""Ledger to state, and state to the rows that screens read. Everything here can be thrown away and made again."""

from __future__ import annotations

import json
import sqlite3

from kiosk.domain.entries import Entry, RecordReleased, from_object
from kiosk.domain.sessions import evolve
from kiosk.domain.state import Session, State, standing
from kiosk.store import outbox, views
from kiosk.store.ledger import Ledger


def fold(connection: sqlite3.Connection, state: State) -> State:
    """Follow every entry of the ledger that the state does not hold yet; decides nothing."""
    for _, data in Ledger(connection).entries(after=state.size - 1):
        evolve(state, from_object(json.loads(data)))
    return state


def project(connection: sqlite3.Connection, state: State) -> None:
    """Write the rows of every session and machine that changed since the last call. The caller commits."""
    for session_id in sorted(state.touched):
        views.put_session(connection, session_view(state, state.sessions[session_id]))
    state.touched.clear()
    for machine_id in sorted(state.touched_machines):
        machine = state.machine(machine_id)
        since_ms = state.timeline.utc_ms(machine.history[-1][0]) if machine.history else 0
        views.put_machine(connection, machine_id, machine.state, since_ms, machine.locked)
    state.touched_machines.clear()


def queue_released(connection: sqlite3.Connection, entry: Entry) -> None:
    """A released record waits in the outbox, in the same transaction as the fact."""
    if isinstance(entry.body, RecordReleased):
        ref = str(entry.body.record["person_ref"])
        outbox.put(connection, entry.seq, entry.body.enterprise, ref, entry.body.session)


def session_view(state: State, session: Session) -> views.SessionView:
    """The row of one session. An open one has no numbers yet: they are what it is worth once it ends."""
    assert state.last is not None
    now = session.opened if session.is_open else state.last
    numbers, flags = standing(state, session, now)
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
        end_ms=None if session.is_open else start_ms + numbers.presence_ms,
        local_date=state.timeline.local_date(session.opened).isoformat(),
        reason=session.reason,
        closed_by=session.closed_by,
        presence_ms=numbers.presence_ms,
        by_state=numbers.by_state_ms,
        credited_ms=numbers.credited_ms,
        unverified_ms=numbers.unverified_ms,
        uncredited=numbers.uncredited_ms,
        evidence=state.evidence(session, numbers),
        flags=() if session.is_open else flags,
        review=session.review,
        decided_by=decision.by if decision else None,
        decided_at_ms=decision.at_utc_ms if decision else None,
        decided_reason=decision.reason if decision else None,
        decided_text_hash=decision.text_hash if decision else None,
        decided_credited_ms=decision.credited_ms if decision else None,
        decided_process=decision.process if decision else None,
        batch=decision.batch if decision else None,
    )
