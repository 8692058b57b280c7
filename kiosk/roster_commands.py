"""Commands about people, their papers and badges, and about accounts; `kiosk.commands` has them all.

`by` is who asks: an account's `user_ref`, or `console` for somebody at the command line, who may do everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PersonRow:
    """One row of an import (contract, section 4), already checked. Dates are ISO `YYYY-MM-DD` or None."""

    person_id: str
    role: str
    surname: str
    given: str
    patronymic: str | None = None
    group: str | None = None
    active: bool = True
    language: str | None = None
    birth_date: str | None = None
    programme: str | None = None
    enterprise: str | None = None
    personnel_number: str | None = None
    contract: str | None = None
    contract_from: str | None = None
    contract_to: str | None = None
    consent_until: str | None = None
    badges: tuple[str, ...] = ()
    """Canonical badge numbers."""
    qualifications: tuple[tuple[str, str | None], ...] = ()
    """(id, last valid day or None)."""


@dataclass(frozen=True)
class ImportPeople:
    """All rows or none.

    Of contract and consent only what changed in the roster since it was last told is recorded: a consent that was
    withdrawn meanwhile does not come back because an old file repeats it.
    """

    rows: tuple[PersonRow, ...]
    by: str = "import"


@dataclass(frozen=True)
class SavePerson:
    """One person from a form, as an import of one row; its badges and qualifications are not looked at.

    Of a known person contract and consent stay as they are. `Done.value` is the `person_ref`. Refused: `person_exists`
    where `new`, `unknown_person` where not, `merged_person`, `changed_meanwhile` where `seen` is of another state.
    """

    row: PersonRow
    by: str
    new: bool = False
    seen: str = ""
    """The `version` of the person that the form was filled with; empty where nobody looked."""


@dataclass(frozen=True)
class MergePeople:
    """Two rows of the roster are one person: the double goes off the roster, its badges and hours to the kept one.

    For leads and administrators; there is no way back. What the kept person has stands, of qualifications and contracts
    what only the double has is added, and no consent is taken over. Refused: `same_person`, `unknown_person`,
    `session_open`, `other_role`.
    """

    keep_id: str
    double_id: str
    by: str


@dataclass(frozen=True)
class ErasePerson:
    """A person's names, numbers, birth date and free texts go for ever; the hours stay, nameless.

    For administrators. Refused: `unknown_person`, `session_open`, `has_account` while an active account is theirs.
    """

    person_id: str
    by: str


@dataclass(frozen=True)
class GiveConsent:
    """A person agrees that an enterprise receives records, until the last valid day (ISO), or None for ever.

    Refused: `unknown_person`, `unknown_enterprise`, `bad_date`.
    """

    person_id: str
    enterprise: str
    until: str | None
    by: str


@dataclass(frozen=True)
class WithdrawConsent:
    """Nothing more leaves for an enterprise from now on. Refused: `unknown_person`, `unknown_enterprise`."""

    person_id: str
    enterprise: str
    by: str


@dataclass(frozen=True)
class RecordContract:
    """A contract with an enterprise, on the days (ISO) from `valid_from` to `valid_to`; None is open.

    Its number and the personnel number live beside the ledger; None leaves what is known. Refused: `unknown_person`,
    `unknown_enterprise`, `bad_date`, `wrong_order`.
    """

    person_id: str
    enterprise: str
    valid_from: str | None
    valid_to: str | None
    number: str | None
    personnel_number: str | None
    by: str


@dataclass(frozen=True)
class BlockBadge:
    """A lost badge: refused from now on."""

    uid: str
    by: str = "console"


@dataclass(frozen=True)
class RetireBadge:
    """The same by the badge's reference, for pages that show no numbers. Refused: `unknown_badge`."""

    badge_ref: str
    by: str


@dataclass(frozen=True)
class AssignBadge:
    """A badge is given to a person; taken from nobody."""

    uid: str
    person_id: str
    by: str = "console"


@dataclass(frozen=True)
class AddUser:
    """An account for the staff side. The password is already an argon2id hash. `Done.value` is the `user_ref`.

    Refused: `user_exists`, `unknown_role`, `unknown_person`, `bad_date`.
    """

    name: str
    role: str
    """`instructor`, `lead`, `admin` or `auditor`."""
    password_hash: str = field(repr=False)
    person_id: str | None = None
    until: str | None = None
    """The last day it may be used, ISO."""
    must_change: bool = False
    """Must the owner choose another password at the first sign-in?"""
    by: str = "console"


@dataclass(frozen=True)
class SaveUser:
    """Everything about an account but its name, password and PIN.

    Refused: `unknown_user`, `unknown_role`, `unknown_person`, `bad_date`, `last_admin` where no active administrator
    without a last day would be left.
    """

    name: str
    role: str
    until: str | None
    active: bool
    person_id: str | None
    by: str


@dataclass(frozen=True)
class LinkUser:
    """An account is a person's: their badge opens the panel for it, and nobody decides on their own sessions."""

    name: str
    person_id: str
    by: str = "console"


@dataclass(frozen=True)
class SetPin:
    """Replaces the PIN that an account's owner types at the panel, beside their badge; an argon2id hash, or none."""

    name: str
    pin_hash: str | None = field(repr=False)
    by: str = "console"


@dataclass(frozen=True)
class SetPassword:
    """Replaces an account's password hash; see `AddUser.must_change`."""

    name: str
    password_hash: str = field(repr=False)
    must_change: bool = False
    by: str = "console"


@dataclass(frozen=True)
class NoteAct:
    """Something that people did and no entry tells of (a sign-in, an export), for `/audit`.

    `subject` never holds a person's name, badge number or birth date. Refused: `unknown_act`.
    """

    kind: str
    by: str | None
    subject: str = ""
