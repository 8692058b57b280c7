"""The record an enterprise receives (contract, section 9): the one format that the kiosk writes and the hub reads.

Beside it, what else both ends of a delivery share: limits, fingerprints, secrets and strict JSON. A record is the
`record` member of a `record_released` entry; here it is only read, strictly, and its times are written.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from kiosk.domain.utc import EPOCH
from lab_config.model import STATES

EVENT_TYPE = "sheber.records.v1"
"""The CloudEvent that carries records."""
ENTRY_TYPE = "record_released"
RECORD_TYPE = "hours.session"
RECORDS_LIMIT = 500
"""Records of one delivery at most (contract, section 9)."""
DELIVERY_LIMIT = 768_000
"""Bytes of one delivery at most."""
BODY_LIMIT = 1_048_576
"""Bytes of any request body at most (contract, section 10)."""
JSON_DEPTH = 32

EVIDENCE = ("badge+machine", "badge", "manual")
DECISIONS = ("approved", "adjusted", "rejected", "pending")
COUNTED_DECISIONS = ("approved", "adjusted")
"""Only these hours count; pending ones may be shown beside them, never added."""

_LARGEST = 2**53 - 1
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class RecordError(ValueError):
    """What was received is not what the contract describes; the message says which member and why."""


class SecretError(Exception):
    """The file holds no usable webhook secret; the message says which file and why, never what is in it."""


@dataclass(frozen=True)
class Record:
    """One decided session as an enterprise sees it. Times are UTC milliseconds."""

    id: str
    revision: int
    supersedes: str | int | None
    lab: str
    log: str
    person_seq: int
    person_ref: str
    machine: str
    machine_class: str | None
    programme: str | None
    process: str | None
    start_ms: int
    end_ms: int
    local_date: str
    presence_ms: int
    by_state_ms: Mapping[str, int]
    credited_ms: int
    unverified_ms: int
    evidence: str
    flags: tuple[str, ...]
    decision: str
    decided_by: str | None
    decided_at_ms: int | None
    reason: str | None
    rules: str

    @property
    def origin(self) -> str:
        """The origin of the log that this record says it is a leaf of."""
        return f"sheber/{self.log}"


def parse_record(value: object) -> Record:
    """The record in `value`, or `RecordError`. Members we do not know are left alone: new meaning is a new type."""
    record = _Members(value, "record")
    record.exactly("v", 1)
    record.exactly("type", RECORD_TYPE)
    machine = _Members(record.take("machine"), "record.machine")
    review = _Members(record.take("review"), "record.review")
    parsed = Record(
        id=record.uuid("id"),
        revision=record.count("revision", least=1),
        supersedes=record.supersedes(),
        lab=record.text("lab"),
        log=record.text("log"),
        person_seq=record.count("person_seq"),
        person_ref=record.text("person_ref"),
        machine=machine.text("id"),
        machine_class=machine.text_or_none("class"),
        programme=record.text_or_none("programme"),
        process=record.text_or_none("process"),
        start_ms=record.moment("start"),
        end_ms=record.moment("end"),
        local_date=record.day("local_date"),
        presence_ms=record.count("presence_ms"),
        by_state_ms=record.by_state(),
        credited_ms=record.count("credited_ms"),
        unverified_ms=record.count("unverified_ms"),
        evidence=record.one_of("evidence", EVIDENCE),
        flags=record.texts("flags"),
        decision=review.one_of("decision", DECISIONS),
        decided_by=review.text_or_none("by"),
        decided_at_ms=None if review.take("at") is None else review.moment("at"),
        reason=review.text_or_none("reason"),
        rules=record.hash("rules"),
    )
    if not parsed.log.startswith(f"{parsed.lab}/"):
        raise RecordError("record.log does not belong to record.lab")
    if parsed.end_ms < parsed.start_ms:
        raise RecordError("record.end lies before record.start")
    return parsed


class _Members:
    """The members of one JSON object, taken one by one with their types."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise RecordError(f"{where} is not an object")
        self._value = value
        self._where = where

    def take(self, name: str) -> object:
        if name not in self._value:
            raise RecordError(f"{self._where}.{name} is missing")
        return self._value[name]

    def _wrong(self, name: str, wanted: str) -> RecordError:
        return RecordError(f"{self._where}.{name} is not {wanted}")

    def exactly(self, name: str, wanted: str | int) -> None:
        value = self.take(name)
        if type(value) is not type(wanted) or value != wanted:
            raise self._wrong(name, f"{wanted!r}, the only one this version understands")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not 0 < len(value) <= 500 or not value.isprintable():
            raise self._wrong(name, "a text of 1 to 500 printable characters")
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self.take(name) is None else self.text(name)

    def count(self, name: str, least: int = 0) -> int:
        value = self.take(name)
        if type(value) is not int or not least <= value <= _LARGEST:
            raise self._wrong(name, f"a whole number from {least}")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            raise self._wrong(name, f"one of {', '.join(choices)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts")
        return tuple(value)

    def uuid(self, name: str) -> str:
        value = self.text(name)
        try:
            canonical = str(uuid.UUID(value))
        except ValueError:
            canonical = ""
        if canonical != value:
            raise self._wrong(name, "a UUID in its canonical form")
        return value

    def hash(self, name: str) -> str:
        value = self.text(name)
        if not _HASH.fullmatch(value):
            raise self._wrong(name, "a SHA-256 in lower-case hexadecimal")
        return value

    def day(self, name: str) -> str:
        value = self.text(name)
        try:
            canonical = date.fromisoformat(value).isoformat()
        except ValueError:
            canonical = ""
        if canonical != value:
            raise self._wrong(name, "a date as YYYY-MM-DD")
        return value

    def moment(self, name: str) -> int:
        try:
            return utc_ms(self.text(name))
        except ValueError:
            raise self._wrong(name, "a moment as 2026-10-29T11:05:00.000Z") from None

    def by_state(self) -> dict[str, int]:
        states = _Members(self.take("by_state_ms"), f"{self._where}.by_state_ms")
        if strange := sorted(set(states._value) - set(STATES)):
            raise RecordError(f"{self._where}.by_state_ms names no state: {strange[0][:40]!r}")
        return {state: states.count(state) for state in states._value}

    def supersedes(self) -> str | int | None:
        value = self.take("supersedes")
        if (value is None) != (self.count("revision", least=1) == 1):
            raise self._wrong("supersedes", "given exactly where revision is above 1")
        if type(value) is int:
            return self.count("supersedes")
        return self.text_or_none("supersedes")


# --- moments and fingerprints ---------------------------------------------------------------------------------------


def utc_ms(text: str) -> int:
    """The UTC milliseconds of a text that `utc_text` could have written; `ValueError` for any other."""
    if not _UTC.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a moment as 2026-10-29T11:05:00.000Z")
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def fingerprint(vkey: str) -> str:
    """What two people compare before a log is trusted: SHA-256 of the verifier key's text, in groups of four."""
    digest = sha256(vkey.encode()).hexdigest()
    return " ".join(digest[n : n + 4] for n in range(0, len(digest), 4))


# --- the secret both ends of a delivery keep (Standard Webhooks) ------------------------------------------------------


def read_secrets(path: Path) -> tuple[str, ...]:
    """The secrets in `path`, all of them good: several senders, or a new one beside the old while they change over."""
    from standardwebhooks import Webhook  # noqa: PLC0415 - only who sends or receives has it
    from standardwebhooks.webhooks import EmptyWebhookSecretError  # noqa: PLC0415

    try:
        lines = tuple(path.read_text(encoding="utf-8").split())
        for line in lines:
            Webhook(line)
        usable = bool(lines) and all(line.startswith("whsec_") for line in lines)
    except OSError as error:
        raise SecretError(f"the webhook secret {path} cannot be read: {error.strerror}") from error
    except (ValueError, EmptyWebhookSecretError):
        usable = False
    if not usable:
        raise SecretError(f"the webhook secret {path} must hold nothing but whsec_... lines")
    return lines


# --- JSON that was received -----------------------------------------------------------------------------------------


def strict_json(data: bytes) -> object:
    """JSON from outside: UTF-8, no key twice, no NaN, whole characters, at most 32 deep. `ValueError` otherwise."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    _check_depth(value, JSON_DEPTH)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one JSON object")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: object, left: int) -> None:
    if isinstance(value, str):
        value.encode()  # half a surrogate pair is UnicodeEncodeError, which is a ValueError
    elif isinstance(value, list | dict):
        if left == 0:
            raise ValueError(f"the JSON is nested deeper than {JSON_DEPTH}")
        for member in value if isinstance(value, list) else [*value, *value.values()]:
            _check_depth(member, left - 1)
