"""Entries about people, their papers and badges: always by reference, never by name. `by` is who did it.

Entries of before `by` was entered, and those that nobody in particular made, have None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kiosk.domain.entry_base import Body


@dataclass(frozen=True)
class PersonRecorded(Body):
    """A person is on the roster as described; replaces what was recorded before."""

    type: ClassVar[str] = "person_recorded"
    person_ref: str
    role: str
    programme: str | None
    active: bool
    by: str | None = None


@dataclass(frozen=True)
class BadgeAssigned(Body):
    """A badge belongs to a person from here on."""

    type: ClassVar[str] = "badge_assigned"
    badge_ref: str
    person_ref: str
    by: str | None = None


@dataclass(frozen=True)
class BadgeBlocked(Body):
    """A badge is refused from here on; its history stays with the person."""

    type: ClassVar[str] = "badge_blocked"
    badge_ref: str
    by: str | None = None


@dataclass(frozen=True)
class QualificationGranted(Body):
    """A qualification or briefing; `until` is the last valid local day, ISO, or None for ever.

    A `batch` is shared by those who were briefed together; see `MARKS` for `mark`.
    """

    type: ClassVar[str] = "qualification_granted"
    person_ref: str
    qualification: str
    until: str | None
    by: str
    batch: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class ConsentGiven(Body):
    """A person agrees that this enterprise receives records, until the last valid local day."""

    type: ClassVar[str] = "consent_given"
    person_ref: str
    enterprise: str
    until: str | None
    by: str | None = None


@dataclass(frozen=True)
class ConsentWithdrawn(Body):
    """Nothing more leaves for this enterprise."""

    type: ClassVar[str] = "consent_withdrawn"
    person_ref: str
    enterprise: str
    by: str | None = None


@dataclass(frozen=True)
class ContractRecorded(Body):
    """A contract with an enterprise, valid on the local days from `valid_from` to `valid_to`; None is open."""

    type: ClassVar[str] = "contract_recorded"
    person_ref: str
    enterprise: str
    valid_from: str | None
    valid_to: str | None
    by: str | None = None


@dataclass(frozen=True)
class PersonMerged(Body):
    """`person_ref` is the same person as `into`, who has their badges and hours from here on.

    What was entered and released under `person_ref` keeps that reference.
    """

    type: ClassVar[str] = "person_merged"
    person_ref: str
    into: str
    by: str


@dataclass(frozen=True)
class PersonErased(Body):
    """Nobody can say any more who this is: what was known beside the ledger is gone, the hours stay."""

    type: ClassVar[str] = "person_erased"
    person_ref: str
    by: str
