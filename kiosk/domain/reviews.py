"""Decisions of instructors, and the records that may leave because of them (hours, section 7; contract, section 9)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from kiosk.domain import entries as e
from kiosk.domain.observations import DecisionRefused, ReviewAsked, UndoAsked
from kiosk.domain.state import Decision, Person, Session, State, standing
from kiosk.domain.timeline import Moment
from kiosk.domain.utc import utc_text

_RECORD_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:sheber:record")


def reviewed(state: State, now: Moment, asked: ReviewAsked) -> Iterator[e.Body]:
    """Decide on sessions: all of them or, where one cannot be, none."""
    sessions = [_decidable(state, now, session_id, asked) for session_id in asked.sessions]
    for session in sessions:
        latest = session.decisions[-1] if session.decisions else None
        again = latest is not None and latest.decision == asked.decision == "approved"
        if again and session.id not in state.questions:  # what its person asked since is answered, if only by the same
            continue
        yield e.SessionReviewed(
            session=session.id,
            person_ref=session.person_ref,
            decision=asked.decision,
            by=asked.by,
            reason=asked.reason,
            text_hash=asked.text_hash,
            credited_ms=asked.credited_ms,
            process=asked.process,
            batch=len(sessions),
            lag_ms=_lag_ms(state, session, now),
            supersedes=latest.seq if latest else None,
            mark=asked.mark,
        )
        yield from _releases_of(state, session, now)


def undone(state: State, now: Moment, asked: UndoAsked) -> Iterator[e.Body]:
    """Take back the last decision on each session, by decisions that supersede: all of them, or none.

    What stood before stands again, whoever decided it; where nothing did, the session waits anew. So the second of two
    undos takes back the first.
    """
    sessions = [_undoable(state, session_id, asked) for session_id in asked.sessions]
    for session in sessions:
        before = session.decisions[-2] if len(session.decisions) > 1 else None
        adjusted = before is not None and before.decision == "adjusted"
        yield e.SessionReviewed(
            session=session.id,
            person_ref=session.person_ref,
            decision=before.decision if before else "rejected",
            by=asked.by,
            reason=before.reason if before else e.UNDONE,
            text_hash=before.text_hash if before else None,
            credited_ms=before.credited_ms if before and adjusted else None,
            process=before.process if before and adjusted else None,
            batch=len(sessions),
            lag_ms=_lag_ms(state, session, now),
            supersedes=session.decisions[-1].seq,
            undo=True,
        )
        yield from _releases_of(state, session, now)


def _undoable(state: State, session_id: int, asked: UndoAsked) -> Session:
    session = state.sessions.get(session_id)
    if session is None:
        raise DecisionRefused("unknown_session", str(session_id))
    if session.person_ref == asked.by:
        raise DecisionRefused("own_session", str(session_id))
    if not may_decide(state, asked.by):
        raise DecisionRefused("not_instructor", asked.by)
    if not session.decisions:
        raise DecisionRefused("not_decided", str(session_id))
    return session


def _lag_ms(state: State, session: Session, now: Moment) -> int:
    """How long after the session's end it is decided on."""
    assert session.closed is not None
    # What was stated lies on the wall's clock alone, which may have stepped since the log began.
    measure = state.timeline.utc_ms if session.manual else state.timeline.axis
    return max(0, measure(now) - measure(session.closed))


def _decidable(state: State, now: Moment, session_id: int, asked: ReviewAsked) -> Session:
    session = state.sessions.get(session_id)
    if session is None:
        raise DecisionRefused("unknown_session", str(session_id))
    if session.is_open:
        raise DecisionRefused("session_open", str(session_id))
    if session.person_ref == asked.by:
        raise DecisionRefused("own_session", str(session_id))
    if not may_decide(state, asked.by):
        raise DecisionRefused("not_instructor", asked.by)
    if asked.decision not in ("approved", "adjusted", "rejected"):
        raise DecisionRefused("unknown_decision", asked.decision)
    if asked.reason == e.UNDONE:
        raise DecisionRefused("reason_missing", asked.reason)
    numbers, flags = standing(state, session, now)
    if len(asked.sessions) > 1 and (flags or session.review != "pending"):
        raise DecisionRefused("not_clean", str(session_id))
    if asked.decision == "adjusted":
        credited_ms = asked.credited_ms
        if credited_ms is None or not 0 <= credited_ms <= numbers.presence_ms:
            raise DecisionRefused("credited_out_of_range", str(credited_ms))
        processes = {p.id for p in state.book.processes if p.programme == session.programme}
        # What the session was opened for stays a choice, also where the plan has dropped it since.
        if asked.process not in {None, session.process, *processes}:
            raise DecisionRefused("unknown_process", str(asked.process))
    return session


def may_decide(state: State, by: str) -> bool:
    """An account may; of the people on the roster, only instructors."""
    return by not in state.people or state.people[by].role == "instructor"


def releases(state: State, person_ref: str, now: Moment) -> Iterator[e.Body]:
    """What may leave about a person now and has not yet: after a consent, say."""
    for session_id in state.sessions_by_person.get(person_ref, ()):
        yield from _releases_of(state, state.sessions[session_id], now)


def releases_of_boot(state: State, boot: int, now: Moment) -> Iterator[e.Body]:
    """What waited only for the date of its boot, now that there is one."""
    for session_id in state.opened_in.get(boot, ()):
        yield from _releases_of(state, state.sessions[session_id], now)


def _releases_of(state: State, session: Session, now: Moment) -> Iterator[e.Body]:
    if not session.decisions or not state.timeline.certain(session.opened):
        return
    decision = session.decisions[-1]
    person = state.people[session.person_ref]
    for enterprise in person.contracts:
        released = [each.decision for each in session.released if each.enterprise == enterprise]
        if decision.seq in released or (decision.decision == "rejected" and not released):
            continue
        if may_leave(state, person, session, enterprise, now):
            yield e.RecordReleased(enterprise, session.id, _record(state, session, decision, enterprise))


def may_leave(state: State, person: Person, session: Session, enterprise: str, now: Moment) -> bool:
    """Is there a contract with this enterprise for that day, consent today, and evidence it takes?"""
    rule = state.book.enterprises.get(enterprise)
    if rule is None or state.evidence(session, session.decisions[-1].numbers) not in rule.accepts:
        return False
    if enterprise not in person.contracts or not consents(state, person, enterprise, now):
        return False
    first, last = person.contracts[enterprise]
    day = state.timeline.local_date(session.opened).isoformat()
    return (first or day) <= day <= (last or day)


def consents(state: State, person: Person, enterprise: str, now: Moment) -> bool:
    """Does the person agree today that this enterprise receives records?"""
    if enterprise not in person.consents:
        return False
    today = state.timeline.local_date(now).isoformat()
    return (person.consents[enterprise] or today) >= today


def _record(state: State, session: Session, decision: Decision, enterprise: str) -> dict[str, Any]:
    """The record of a decided session, literally as contract.md, section 9, has it.

    Its flags are those that stood at the decision and that the ledger tells of. `minor_limit` is none of them: it would
    tell the enterprise an age. Nor is `same_time_pair`, a hint for the instructor that rests on another person's reads.
    """
    start_ms = state.timeline.utc_ms(session.opened)
    numbers = decision.numbers
    revision = sum(each.enterprise == enterprise for each in session.released) + 1
    machine = state.book.machines.get(session.machine)
    return {
        "v": 1,
        "type": "hours.session",
        "id": str(uuid.uuid5(_RECORD_NAMESPACE, f"{state.log}/{session.id}/{enterprise}")),
        "revision": revision,
        "supersedes": revision - 1 or None,
        "lab": state.book.lab,
        "log": state.log,
        "person_seq": state.person_seq.get((session.recorded_as, enterprise), 0) + 1,
        "person_ref": session.recorded_as,
        "machine": {"id": session.machine, "class": machine.machine_class if machine else None},
        "programme": session.programme,
        "process": decision.process,
        "start": utc_text(start_ms),
        "end": utc_text(start_ms + numbers.presence_ms),
        "local_date": state.timeline.local_date(session.opened).isoformat(),
        "presence_ms": numbers.presence_ms,
        "by_state_ms": {name: ms for name, ms in numbers.by_state_ms.items() if ms},
        "credited_ms": decision.credited_ms,
        "unverified_ms": numbers.unverified_ms,
        "evidence": state.evidence(session, numbers),
        "flags": list(standing(state, session, session.opened)[1]),
        "review": {
            "decision": decision.decision,
            "by": decision.by,
            "at": utc_text(decision.at_utc_ms),
            "reason": decision.reason,
        },
        "rules": session.rules.fingerprint,
    }
