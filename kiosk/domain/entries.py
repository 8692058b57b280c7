"""Everything the ledger can say: one frozen record a type, past tense (contract, section 5).

An entry never changes its meaning once released; new meaning is a new type. Numbers are integers. An entry names at
most one apprentice, by a random reference, and no free text: what must be erasable lives beside the ledger.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

from kiosk.domain.entry_base import At, Body, Stamp
from kiosk.domain.person_entries import (
    BadgeAssigned,
    BadgeBlocked,
    ConsentGiven,
    ConsentWithdrawn,
    ContractRecorded,
    PersonErased,
    PersonMerged,
    PersonRecorded,
    QualificationGranted,
)

__all__ = [
    "At",
    "BadgeAssigned",
    "BadgeBlocked",
    "Body",
    "ConsentGiven",
    "ConsentWithdrawn",
    "ContractRecorded",
    "PersonErased",
    "PersonMerged",
    "PersonRecorded",
    "QualificationGranted",
    "Stamp",
]

VERSION = 1

MARKS = (None, "badge")
"""How an instructor was known: by an account's password or PIN, or (marked) by a badge alone (contract, section 8)."""
REVIEW_REASONS = ("equipment_fault", "forgot_tap", "wrong_process", "not_present", "setup_counts", "other")
"""Why an instructor adjusted or rejected a session."""
UNDONE = "undone"
"""The reason of a rejection that only says: no decision stands, the session waits anew. Nobody chooses it."""


class EntryError(ValueError):
    """An entry that this program cannot read: written by a newer one, or damaged."""


@dataclass(frozen=True)
class LogStarted(Body):
    """The first entry of every log; `predecessor` is the last known head of the log it continues."""

    type: ClassVar[str] = "log_started"
    log: str
    predecessor: Mapping[str, object] | None = None


@dataclass(frozen=True)
class BootStarted(Body):
    """The kiosk began a boot; `last_alive` is the last sign of life before it."""

    type: ClassVar[str] = "boot_started"
    last_alive: At | None


@dataclass(frozen=True)
class ClockAnchored(Body):
    """At `at` it was `utc_ms`, says `source` (`ntp`, `step`, `rtc`, `instructor`)."""

    type: ClassVar[str] = "clock_anchored"
    at: At
    utc_ms: int
    source: str
    by: str | None = None


@dataclass(frozen=True)
class ConfigAdopted(Body):
    """The workshop as configured from here on, but for the rules of credit."""

    type: ClassVar[str] = "config_adopted"
    config: Mapping[str, Any]


@dataclass(frozen=True)
class RulesAdopted(Body):
    """The rules of credit from here on; sessions opened later are credited by them."""

    type: ClassVar[str] = "rules_adopted"
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class TapRead(Body):
    """A badge read that changed no session: `still_on`, `handed_over`, `instructor` or `pick`."""

    type: ClassVar[str] = "tap_read"
    reader: str
    badge_ref: str
    person_ref: str
    machine: str | None
    outcome: str
    session: int | None = None


@dataclass(frozen=True)
class TapRefused(Body):
    """A badge read, or `count` reads of unknown badges, that was refused, and why."""

    type: ClassVar[str] = "tap_refused"
    reader: str
    badge_ref: str | None
    person_ref: str | None
    machine: str | None
    reason: str
    at: At
    missing: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class SessionOpened(Body):
    """A person is on a machine. The entry's number is the session's name everywhere.

    `rules` is the fingerprint of the rules of credit in force; `missing` says why an observer is one.
    """

    type: ClassVar[str] = "session_opened"
    person_ref: str
    machine: str
    programme: str | None
    process: str | None
    role: str
    reader: str
    badge_ref: str
    at: At
    rules: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProcessChosen(Body):
    """A choice on the screen replaced the session's work process."""

    type: ClassVar[str] = "process_chosen"
    session: int
    person_ref: str
    process: str


@dataclass(frozen=True)
class SessionClosed(Body):
    """A session ended at `at`, which may lie before the entry; never says who came next."""

    type: ClassVar[str] = "session_closed"
    session: int
    person_ref: str
    machine: str
    reason: str
    closed_by: str
    at: At
    reader: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class StillHere(Body):
    """The idle warning was touched: the unbroken idle stretch starts anew."""

    type: ClassVar[str] = "still_here"
    session: int
    person_ref: str
    at: At


@dataclass(frozen=True)
class StateChanged(Body):
    """A machine is in another state since `at`; `cause` is `report`, `power`, `silence`, `lost` or `broker`."""

    type: ClassVar[str] = "state_changed"
    machine: str
    state: str
    at: At
    cause: str


@dataclass(frozen=True)
class CrewChanged(Body):
    """How many are on a machine that takes a crew; counts only, so evidence about one never shows another."""

    type: ClassVar[str] = "crew_changed"
    machine: str
    operators: int
    observers: int
    at: At


@dataclass(frozen=True)
class MachineLocked(Body):
    """An instructor withdrew a machine, or gave it back."""

    type: ClassVar[str] = "machine_locked"
    machine: str
    locked: bool
    by: str


@dataclass(frozen=True)
class SessionReviewed(Body):
    """An instructor's decision (hours, section 7). `supersedes` is the number of the decision it replaces.

    `batch` says how many were decided in the same gesture, `lag_ms` how long after the session's end. An `undo` brings
    back what stood before the decision it supersedes.
    """

    type: ClassVar[str] = "session_reviewed"
    session: int
    person_ref: str
    decision: str
    by: str
    reason: str | None = None
    text_hash: str | None = None
    credited_ms: int | None = None
    process: str | None = None
    batch: int = 1
    lag_ms: int = 0
    supersedes: int | None = None
    mark: str | None = None
    undo: bool = False


@dataclass(frozen=True)
class SessionQuestioned(Body):
    """The person says that what is recorded of their session is wrong; it stands until a decision after it."""

    type: ClassVar[str] = "session_questioned"
    session: int
    person_ref: str
    text_hash: str | None = None


@dataclass(frozen=True)
class CompetencySigned(Body):
    """An instructor's judgement on one competency (hours, section 9); a later one supersedes.

    `level` is 0 not shown, 1 with help, 2 alone, 3 can teach it; `how` is one of `competence.HOW`.
    """

    type: ClassVar[str] = "competency_signed"
    person_ref: str
    programme: str
    process: str
    competency: str
    level: int
    by: str
    how: str
    text_hash: str | None = None
    mark: str | None = None


@dataclass(frozen=True)
class ManualSessionEntered(Body):
    """An instructor enters a session that no badge told of, with a reason. The times are UTC, as stated."""

    type: ClassVar[str] = "manual_session_entered"
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
class RecordReleased(Body):
    """A record may leave for an enterprise; the entry is the record's leaf (contract, section 9)."""

    type: ClassVar[str] = "record_released"
    enterprise: str
    session: int
    record: Mapping[str, Any]


@dataclass(frozen=True)
class ObservationsLost(Body):
    """So many observations could not be kept, and why."""

    type: ClassVar[str] = "observations_lost"
    count: int
    reason: str


TYPES: dict[str, type[Body]] = {body.type: body for body in Body.__subclasses__()}


class Entry(NamedTuple):
    """One line of the ledger."""

    seq: int
    stamp: Stamp
    nonce: str
    body: Body


def to_object(entry: Entry) -> dict[str, Any]:
    """The entry as the JSON object whose canonical bytes are kept."""
    common: dict[str, Any] = {
        "v": VERSION,
        "seq": entry.seq,
        "type": entry.body.type,
        "stamp": entry.stamp._asdict(),
        "nonce": entry.nonce,
    }
    return common | {f.name: _plain(getattr(entry.body, f.name)) for f in dataclasses.fields(entry.body)}


def from_object(value: Mapping[str, Any]) -> Entry:
    """The entry of a JSON object; `EntryError` for one that this program does not know."""
    reading = _READING.get(value.get("type", ""))
    if value.get("v") != VERSION or reading is None:
        raise EntryError(
            f"entry {value.get('seq')} is of type {value.get('type')!r} version {value.get('v')}, which this program "
            "does not know: it was written by a newer one; update this program"
        )
    fields = dict(value)
    seq, stamp, nonce = fields.pop("seq"), fields.pop("stamp"), fields.pop("nonce")
    del fields["v"], fields["type"]
    if fields.keys() != reading.names:  # a field that was added later has a default
        fields = {name: fields[name] if name in fields else reading.defaults[name] for name in reading.names}
    for name, read in reading.readers:
        fields[name] = read(fields[name])
    # The constructors of frozen records and of named tuples would take as long as all the rest.
    body = _new(reading.body_type)
    _set(body, "__dict__", fields)
    return _entry((seq, _stamp(_stamp_of(stamp)), nonce, body))


def _plain(value: Any) -> Any:
    if isinstance(value, At):
        return {"boot": value.boot, "boot_ms": value.boot_ms}
    return list(value) if isinstance(value, tuple) else value


_new, _set = object.__new__, object.__setattr__
_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)
_stamp: Callable[[tuple[Any, ...]], Stamp] = partial(tuple.__new__, Stamp)
_at: Callable[[tuple[Any, ...]], At] = partial(tuple.__new__, At)
_stamp_of = itemgetter(*Stamp._fields)
_at_of = itemgetter(*At._fields)


def _read_at(value: Mapping[str, Any] | None) -> At | None:
    return None if value is None else _at(_at_of(value))


_READ_AS: dict[str, Callable[[Any], Any]] = {"At": _read_at, "At | None": _read_at, "tuple[str, ...]": tuple}
"""By annotation: what JSON has no word for."""


class _Reading:
    """How an entry of one type is read. There are a million of them: what a type consists of is looked up once."""

    def __init__(self, body_type: type[Body]) -> None:
        fields = dataclasses.fields(body_type)
        self.body_type = body_type
        self.names = frozenset(f.name for f in fields)
        self.readers = tuple((f.name, _READ_AS[str(f.type)]) for f in fields if str(f.type) in _READ_AS)
        self.defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


_READING = {name: _Reading(body_type) for name, body_type in TYPES.items()}
