"""What a person could do at each machine if their badge were read there now, for a screen that offers the choice."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.domain.state import Session, State
from kiosk.domain.taps import Read, admission, is_still_on, untold_handover
from kiosk.domain.timeline import Moment

LOOK_BACK = 50
"""Sessions that say which machines somebody chose last."""
OUTCOMES = ("in", "observer", "out", "told", "still_on", "refused")
"""A session opens (as operator or observer), ends, is only told of, goes on; or the tap is refused."""


@dataclass(frozen=True)
class MachineChoice:
    """One machine for one person now."""

    machine: str
    outcome: str
    """One of `OUTCOMES`."""
    reason: str
    """Why it would be refused, as `tap_refused` says it; else empty."""
    missing: tuple[str, ...]
    """What the person would need and does not hold."""
    processes: tuple[str, ...]
    """The work processes of their programme that are done there, their last one first."""


def machine_choices(state: State, person_ref: str, now: Moment) -> tuple[MachineChoice, ...]:
    """Every machine, those of the person's last sessions first, and what would be refused after all others.

    Only looks; what a touch comes to is decided when it comes.
    """
    person = state.people[person_ref]
    recent: dict[str, None] = {}
    for session_id in state.sessions_by_person.get(person_ref, [])[: -LOOK_BACK - 1 : -1]:
        recent.setdefault(state.sessions[session_id].machine)
    order = dict.fromkeys([*recent, *state.book.machines])
    found = [_choice(state, Read(person, "", "", machine, now)) for machine in order if machine in state.book.machines]
    return tuple(sorted(found, key=lambda choice: choice.outcome == "refused"))


def _choice(state: State, read: Read) -> MachineChoice:
    here = next((s for s in state.of_person(read.person.ref) if s.machine == read.machine), None)
    outcome, reason, missing = _outcome(state, read, here)
    choices = state.book.processes_on(read.person.programme, read.machine)
    last = state.last_process.get((read.person.ref, read.machine)) if here is None else here.process
    processes = tuple(dict.fromkeys([*([last] if last in choices and last is not None else ()), *choices]))
    return MachineChoice(read.machine, outcome, reason, missing, processes)


def _outcome(state: State, read: Read, here: Session | None) -> tuple[str, str, tuple[str, ...]]:
    if not read.person.active:
        return "refused", "person_inactive", ()
    if here is not None:
        return ("still_on" if is_still_on(state, read, here) else "out"), "", ()
    if untold_handover(state, read) is not None:
        return "told", "", ()
    admitted = admission(state, read)
    if admitted.role is None:
        return "refused", admitted.reason, admitted.missing
    return ("observer" if admitted.role == "observer" else "in"), "", admitted.missing
