"""What the domain can hear: wires, clocks and people, in the domain's own words.

`clerk.py` makes these out of what the links delivered; `decide` turns them into entries. They are commands to look at
the world, so they may still be refused; entries are what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiosk.domain.entries import At


class DecisionRefused(Exception):
    """What a person asked cannot be; `code` is stable (`unknown_session`, `own_session`, ...)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Adopted:
    """The configuration and the rules of credit in force from now on."""

    config: Mapping[str, Any]
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class Booted:
    """The kiosk starts; nothing is known of any machine. `last_alive` is the last sign of life before."""

    last_alive: At | None


@dataclass(frozen=True)
class Alive:
    """Time has passed and nothing was heard: a heartbeat, the moment of going down, or a deadline's moment."""


@dataclass(frozen=True)
class ClockChanged:
    """The wall clock became synchronised, or stepped; the stamp says what it shows now."""


@dataclass(frozen=True)
class BadgeRead:
    """A reader decoded a badge."""

    reader: str
    badge_ref: str


@dataclass(frozen=True)
class Picked:
    """A touch on the screen of `reader`: a machine for the read that waits there, or another work process.

    Where the screen says whose touch it is, nobody else's read or session is meant.
    """

    reader: str
    machine: str
    process: str | None
    person_ref: str | None = None


@dataclass(frozen=True)
class StillHereTouched:
    """The idle warning of a person's session was touched."""

    machine: str
    person_ref: str


@dataclass(frozen=True)
class MachineHeard:
    """A machine's source said something; see `firmware_bridge.observations.MachineReported`."""

    machine: str
    state: str | None = None
    power_w: float | None = None
    retained: bool = False


@dataclass(frozen=True)
class MachineGone:
    """A last will, offline or death message."""

    machine: str


@dataclass(frozen=True)
class BrokerHeard:
    """The connection to the broker came or went."""

    connected: bool


@dataclass(frozen=True)
class Lost:
    """Observations were dropped before they could be kept."""

    count: int
    reason: str


@dataclass(frozen=True)
class PersonListed:
    """A roster row: the person as they are from now on. Dates are local ISO days."""

    person_ref: str
    role: str
    programme: str | None
    active: bool
    badges: tuple[str, ...] = ()
    qualifications: tuple[tuple[str, str | None], ...] = ()
    contract: tuple[str, str | None, str | None] | None = None
    """Enterprise, first and last day."""
    consent: tuple[str, str | None] | None = None
    """Enterprise and last day."""
    by: str = "import"


@dataclass(frozen=True)
class BadgeLost:
    """Somebody says that this badge is lost."""

    badge_ref: str
    by: str | None = None


@dataclass(frozen=True)
class ConsentTold:
    """A person agrees that an enterprise receives records until that local ISO day, or for ever."""

    person_ref: str
    enterprise: str
    until: str | None
    by: str


@dataclass(frozen=True)
class ConsentEnded:
    """They agree no longer."""

    person_ref: str
    enterprise: str
    by: str


@dataclass(frozen=True)
class ContractTold:
    """A contract with an enterprise on these local ISO days, both included; None is open."""

    person_ref: str
    enterprise: str
    valid_from: str | None
    valid_to: str | None
    by: str


@dataclass(frozen=True)
class FoundTwice:
    """Somebody says that `double` is the same person as `person_ref`, whom everything is kept with."""

    person_ref: str
    double: str
    by: str


@dataclass(frozen=True)
class ErasureAsked:
    """Nobody is to know any more who this person is."""

    person_ref: str
    by: str


@dataclass(frozen=True)
class QualificationHeld:
    """An instructor grants a qualification or a briefing."""

    person_ref: str
    qualification: str
    until: str | None
    by: str
    batch: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class LockAsked:
    """An instructor withdraws a machine or gives it back."""

    machine: str
    locked: bool
    by: str


@dataclass(frozen=True)
class CloseAsked:
    """An instructor closes a person's session on a machine."""

    person_ref: str
    machine: str
    by: str


@dataclass(frozen=True)
class ReviewAsked:
    """An instructor decides on sessions; several at once only where all are clean and pending."""

    sessions: tuple[int, ...]
    decision: str
    by: str
    reason: str | None = None
    text_hash: str | None = None
    credited_ms: int | None = None
    process: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class UndoAsked:
    """An instructor takes back the last decision on each of these sessions; all of them or none."""

    sessions: tuple[int, ...]
    by: str


@dataclass(frozen=True)
class QuestionAsked:
    """A person says that their own session is recorded wrongly."""

    session: int
    person_ref: str
    text_hash: str | None = None


@dataclass(frozen=True)
class SignOffAsked:
    """An instructor judges one competency of a person; see `entries.CompetencySigned`."""

    person_ref: str
    competency: str
    level: int
    by: str
    how: str
    text_hash: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class ManualAsked:
    """An instructor enters a session that no badge told of; the times are UTC milliseconds."""

    person_ref: str
    machine: str
    process: str | None
    start_ms: int
    end_ms: int
    by: str
    reason: str
    text_hash: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class BootDated:
    """An instructor says what time it was at a moment of a boot that no clock dated."""

    boot: str
    boot_ms: int
    utc_ms: int
    by: str


Observation = (
    Adopted
    | Booted
    | Alive
    | ClockChanged
    | BadgeRead
    | Picked
    | StillHereTouched
    | MachineHeard
    | MachineGone
    | BrokerHeard
    | Lost
    | PersonListed
    | BadgeLost
    | ConsentTold
    | ConsentEnded
    | ContractTold
    | FoundTwice
    | ErasureAsked
    | QualificationHeld
    | LockAsked
    | CloseAsked
    | ReviewAsked
    | UndoAsked
    | QuestionAsked
    | SignOffAsked
    | ManualAsked
    | BootDated
)
