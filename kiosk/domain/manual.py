"""Hours that an instructor enters, because the kiosk was broken or the work was elsewhere (hours, section 7)."""

from __future__ import annotations

from collections.abc import Iterator

from kiosk.domain import entries as e
from kiosk.domain.observations import DecisionRefused, ManualAsked
from kiosk.domain.reviews import may_decide
from kiosk.domain.state import State
from kiosk.domain.timeline import Moment

MANUAL_REASONS = ("kiosk_down", "work_elsewhere", "forgot_card", "other")
"""Why no badge told of the hours, as the staff side offers it."""


def manual_entered(state: State, now: Moment, asked: ManualAsked) -> Iterator[e.Body]:
    """The entry, or `DecisionRefused` where it cannot be, or would credit the person twice for an instant."""
    person = state.people.get(asked.person_ref)
    if person is None or person.role != "apprentice":
        raise DecisionRefused("unknown_person", asked.person_ref)
    if person.ref == asked.by:
        raise DecisionRefused("own_session", asked.person_ref)
    if not may_decide(state, asked.by):
        raise DecisionRefused("not_instructor", asked.by)
    if asked.machine not in state.book.machines:
        raise DecisionRefused("unknown_machine", asked.machine)
    if asked.process is not None and asked.process not in {
        p.id for p in state.book.processes if p.programme == person.programme
    }:
        raise DecisionRefused("unknown_process", asked.process)
    if not asked.reason:
        raise DecisionRefused("no_reason", asked.person_ref)
    if not asked.start_ms < asked.end_ms <= state.timeline.utc_ms(now):
        raise DecisionRefused("not_past", f"{asked.start_ms} to {asked.end_ms}")
    for session_id in state.sessions_by_person.get(person.ref, ()):
        session = state.sessions[session_id]
        start_ms, end_ms = state.labelled(session, now)
        # A session that an outage ended as it began has no time that could be entered twice.
        if session.role == "operator" and max(start_ms, asked.start_ms) < min(end_ms, asked.end_ms):
            raise DecisionRefused("overlap", str(session_id))
    yield e.ManualSessionEntered(
        person_ref=person.ref,
        machine=asked.machine,
        process=asked.process,
        start_ms=asked.start_ms,
        end_ms=asked.end_ms,
        by=asked.by,
        reason=asked.reason,
        text_hash=asked.text_hash,
        mark=asked.mark,
    )
