"""What anybody may know of a machine, as the kiosk publishes it: nothing about a person (contract, section 7)."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.domain.deadlines import machine_rule
from kiosk.domain.state import Session, State
from kiosk.domain.taps import missing_for, unwelcome
from kiosk.domain.timeline import Moment


@dataclass(frozen=True, slots=True)
class Notice:
    """One machine now."""

    state: str
    occupied: bool
    since_ms: int | None
    """UTC: since when it is occupied, or free; None where that is not known."""
    locked: bool
    permitted: bool
    """May it produce? It is not withdrawn, and an operator who may use it is on it."""


NOTHING_KNOWN = Notice("unknown", False, None, False, False)


def notices(state: State, now: Moment) -> dict[str, Notice]:
    """Every configured machine, as the entries so far say it is."""
    return {machine_id: _notice(state, machine_id, now) for machine_id in state.book.machines}


def _notice(state: State, machine_id: str, now: Moment) -> Notice:
    machine = state.machine(machine_id)
    present = state.on_machine(machine_id)
    since = present[0].opened if present else machine.ended[-1] if machine.ended else None
    return Notice(
        state=machine.state,
        occupied=bool(present),
        since_ms=state.timeline.utc_ms(since) if since is not None and state.timeline.certain(since) else None,
        locked=machine.locked,
        permitted=not machine.locked and any(_may_operate(state, each, now) for each in present),
    )


def _may_operate(state: State, session: Session, now: Moment) -> bool:
    """Would the operator still be admitted as one? A qualification ends at midnight, a lost badge is blocked."""
    person = state.people[session.person_ref]
    rule = machine_rule(state, session.machine)
    return (
        session.role == "operator"
        and not unwelcome(state, person, session.badge_ref)
        and not missing_for(state, person, rule, now)
    )
