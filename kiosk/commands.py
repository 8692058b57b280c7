"""What a person asks the clerk to do. The web, the control socket and the command line build these; the clerk acts.

Every command is answered: with the sequence numbers of the entries it made, or with `CommandRefused`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.roster_commands import (
    AddUser,
    AssignBadge,
    BlockBadge,
    ErasePerson,
    GiveConsent,
    ImportPeople,
    LinkUser,
    MergePeople,
    NoteAct,
    PersonRow,
    RecordContract,
    RetireBadge,
    SavePerson,
    SaveUser,
    SetPassword,
    SetPin,
    WithdrawConsent,
)

__all__ = [
    "AddUser",
    "ApproveSessions",
    "AskChoices",
    "AssignBadge",
    "BlockBadge",
    "CheckDisclosure",
    "CloseSession",
    "Command",
    "CommandRefused",
    "DateBoot",
    "DecideSession",
    "Done",
    "EnrolSeen",
    "EnterManual",
    "ErasePerson",
    "GiveConsent",
    "GrantQualification",
    "HoldBriefing",
    "ImportPeople",
    "LinkUser",
    "LockMachine",
    "MergePeople",
    "NoteAct",
    "PersonRow",
    "PickMachine",
    "QuestionSession",
    "RecordContract",
    "RetireBadge",
    "SavePerson",
    "SaveUser",
    "SetPassword",
    "SetPin",
    "SignCompetency",
    "StoreCheckpoint",
    "StoreReceipt",
    "TouchStillHere",
    "UndoReview",
    "WithdrawConsent",
]


class CommandRefused(Exception):
    """The clerk said no. `code` is stable and translatable (`unknown_session`, ...); `detail` is for logs."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Done:
    """The clerk said yes, and it is on disk."""

    seqs: tuple[int, ...] = ()
    value: object = None


@dataclass(frozen=True)
class DecideSession:
    """An instructor's decision on one session (hours, section 7). `by` is the account's `user_ref`."""

    session: int
    decision: str
    """`approved`, `adjusted` or `rejected`."""
    by: str
    reason: str | None = None
    """A code of `kiosk.domain.entries.REVIEW_REASONS`; required unless approved."""
    text: str = ""
    """Free text; kept beside the ledger, which gets its salted hash."""
    credited_ms: int | None = None
    process: str | None = None
    mark: str | None = None
    """`badge` where the panel asked for no PIN (contract, section 8)."""
    seen: str | None = None
    """What the page showed (`kiosk.store.unchanged.look`): refused where the session is no longer that."""


@dataclass(frozen=True)
class ApproveSessions:
    """Several clean sessions approved in one gesture; one that is not clean and pending refuses them all."""

    sessions: tuple[int, ...]
    by: str
    seen: tuple[str, ...] = ()
    """What the page showed of each, in the same order; empty where it does not say."""


@dataclass(frozen=True)
class UndoReview:
    """An instructor takes back their own last decision on each of these sessions; all of them or none.

    It is a decision that supersedes: what stood before stands again, and where nothing did the session waits anew
    (`kiosk.domain.entries.UNDONE`). A second undo takes back the first.
    """

    sessions: tuple[int, ...]
    by: str
    decided: tuple[int, ...] = ()
    """The entry of the decision that is meant, of each in the same order: refused where another one came after it, and
    done once however often it is asked. Empty where the last one is meant, whatever it is."""


@dataclass(frozen=True)
class EnterManual:
    """Hours that no badge told of, by an instructor (hours, section 7); they wait for a decision like others.

    The times are UTC milliseconds. Nobody enters hours of their own. Whoever entered them may decide on them too: what
    nobody decides on is the time they worked themselves, and both entries name the account.
    """

    person_id: str
    machine: str
    process: str | None
    start_ms: int
    end_ms: int
    by: str
    reason: str
    """A code of `kiosk.domain.manual.MANUAL_REASONS`."""
    text: str = ""
    """Free text; kept beside the ledger, which gets its salted hash."""
    mark: str | None = None
    """`badge` where the panel asked for no PIN (contract, section 8)."""


@dataclass(frozen=True)
class DateBoot:
    """This session began at `utc_ms`, says an instructor; that dates its whole boot, once (hours, section 8)."""

    session: int
    utc_ms: int
    by: str


@dataclass(frozen=True)
class CloseSession:
    """An instructor ends an open session now."""

    session: int
    by: str


@dataclass(frozen=True)
class LockMachine:
    """An instructor withdraws a machine, or gives it back; sessions that are open go on."""

    machine: str
    locked: bool
    by: str


@dataclass(frozen=True)
class GrantQualification:
    """An instructor grants a qualification or a briefing; `until` is its last valid day, ISO, or None for ever."""

    person_id: str
    qualification: str
    until: str | None
    by: str
    mark: str | None = None
    """`badge` where the panel asked for no PIN (contract, section 8)."""


@dataclass(frozen=True)
class PickMachine:
    """A touch on a reader's screen: a machine for the read that waits, or another process for the session just opened.

    Where `person_ref` says whose screen was touched, another's read is never taken.
    """

    reader: str
    machine: str
    process: str | None = None
    person_ref: str | None = None


@dataclass(frozen=True)
class AskChoices:
    """What could this person do where? Answered by `Done.value`, a tuple of `kiosk.domain.choices.MachineChoice`."""

    person_ref: str


@dataclass(frozen=True)
class TouchStillHere:
    """The idle warning of an open session was touched."""

    session: int


@dataclass(frozen=True)
class QuestionSession:
    """The person says that what is recorded of their own session is wrong."""

    session: int
    person_ref: str
    text: str = ""
    """Free text; kept beside the ledger, which gets its salted hash."""


@dataclass(frozen=True)
class SignCompetency:
    """An instructor's judgement on one competency of the person's programme (hours, section 9)."""

    person_ref: str
    competency: str
    level: int
    """0 not shown, 1 with help, 2 alone, 3 can teach it."""
    by: str
    text: str = ""
    how: str = "web"
    """One of `kiosk.domain.competence.HOW`."""
    mark: str | None = None
    """`badge` where the panel asked for no PIN (contract, section 8)."""


@dataclass(frozen=True)
class HoldBriefing:
    """A safety briefing for a group; `until` is its last valid day, ISO, or None for ever. All of them or none.

    `Done.value` is the batch that the entries have in common.
    """

    briefing: str
    """As machines require it: `briefing:cnc`."""
    person_refs: tuple[str, ...]
    until: str | None
    by: str
    mark: str | None = None
    """`badge` where the panel asked for no PIN (contract, section 8)."""


@dataclass(frozen=True)
class EnrolSeen:
    """The unknown badge seen last at a reader is given to a person; `replace` blocks those they had.

    `Done.value` is `{"badge_ref": .., "refused": [{"seq", "utc_ms", "reader", "machine"}, ..]}`: the taps of that badge
    that were refused before, oldest first. Its number never leaves the clerk.
    """

    reader: str
    person_id: str
    by: str
    replace: bool = False


@dataclass(frozen=True)
class StoreCheckpoint:
    """`sync` hands over a signed checkpoint of a size that the log has reached."""

    note: str


@dataclass(frozen=True)
class StoreReceipt:
    """`sync` hands over an enterprise's receipt for released records."""

    enterprise: str
    seqs: tuple[int, ...]
    webhook_id: str


@dataclass(frozen=True)
class CheckDisclosure:
    """Which of these released records may leave for the enterprise today? Answered by `Done.value`, a tuple of seqs."""

    enterprise: str
    seqs: tuple[int, ...]


Command = (
    DecideSession
    | ApproveSessions
    | UndoReview
    | EnterManual
    | DateBoot
    | CloseSession
    | LockMachine
    | GrantQualification
    | PickMachine
    | AskChoices
    | TouchStillHere
    | QuestionSession
    | SignCompetency
    | HoldBriefing
    | EnrolSeen
    | ImportPeople
    | SavePerson
    | MergePeople
    | ErasePerson
    | GiveConsent
    | WithdrawConsent
    | RecordContract
    | BlockBadge
    | RetireBadge
    | AssignBadge
    | AddUser
    | SaveUser
    | SetPassword
    | LinkUser
    | SetPin
    | NoteAct
    | StoreCheckpoint
    | StoreReceipt
    | CheckDisclosure
)
