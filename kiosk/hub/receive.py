"""From a webhook's bytes to kept records: everything is verified, and then all of it is kept, or none.

Order: who sent it (Standard Webhooks), what it is (CloudEvent), whose log it is (signed checkpoint), whether that log
still is the one we know (consistency), and whether each record is a leaf of it (inclusion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from standardwebhooks import Webhook, WebhookVerificationError

from kiosk.hub.config import HubEnterprise
from kiosk.hub.store import Contradiction, HubStore, Kept, Writer
from kiosk.proofs import (
    Checkpoint,
    ProofError,
    canonical,
    decode_base64,
    leaf_hash,
    parse_tlog_proof,
    verify_consistency,
    verify_inclusion,
)
from kiosk.records import (
    ENTRY_TYPE,
    EVENT_TYPE,
    RECORDS_LIMIT,
    RecordError,
    fingerprint,
    parse_record,
    strict_json,
)
from kiosk.signatures import SignatureError, Verifier, open_note, verify_webhook_v1a

PARKED_RETRY_S = 30
KNOWN_HEADS = 100
"""How many of the newest heads are tried as the beginning of a consistency proof."""


class Refused(Exception):
    """The delivery is not taken. `reason` is stable; `detail` is one sentence; an alarm is kept where `alarm`."""

    def __init__(self, status: int, reason: str, detail: str, *, alarm: bool = False, **members: object) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.alarm = alarm
        self.origin = ""
        self.members = members


@dataclass(frozen=True)
class Event:
    """The `data` of a delivery, with types; nothing in it is believed yet."""

    checkpoint: Checkpoint
    note: str
    vkey: str | None
    consistency: tuple[bytes, ...]
    records: tuple[tuple[Mapping[str, object], str], ...]
    """(entry, proof) each."""
    people: Mapping[str, tuple[str | None, ...]] = field(repr=False)
    texts: Mapping[str, tuple[str | None, ...]] = field(repr=False)


def receive(store: HubStore, enterprise: HubEnterprise, headers: Mapping[str, str], body: bytes, now_ms: int) -> int:
    """Verify and keep one delivery; returns how many records were new. Raises `Refused`.

    `headers` are in lower case. A delivery that is here already changes nothing and is no error.
    """
    try:
        return _receive(store, enterprise, headers, body, now_ms)
    except Refused as refusal:
        if refusal.alarm:
            store.alarm(enterprise.id, refusal.reason, refusal.origin, refusal.detail, now_ms)
        raise


def _receive(store: HubStore, enterprise: HubEnterprise, headers: Mapping[str, str], body: bytes, now_ms: int) -> int:
    _require_sender(enterprise, headers, body)
    webhook_id, body_hash = headers["webhook-id"], sha256(body).digest()
    known = store.delivery_hash(enterprise.id, webhook_id)
    if known == body_hash:
        return 0
    if known is not None:
        detail = "a delivery of this webhook-id, with other content, is already here"
        raise Refused(409, "id_reused", detail, alarm=True)
    event = _parse(body)
    try:
        _require_log_key(store, enterprise, event, now_ms)
        kept = [_verified(enterprise, event, entry, proof) for entry, proof in event.records]
        with store.write() as writer:
            _require_same_history(writer, enterprise, event)
            return _keep(writer, enterprise, event, kept, webhook_id, body_hash, now_ms)
    except Refused as refusal:
        refusal.origin = event.checkpoint.origin
        raise


# --- who sent it ----------------------------------------------------------------------------------------------------


def _require_sender(enterprise: HubEnterprise, headers: Mapping[str, str], body: bytes) -> None:
    wanted = {name: headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    if not all(wanted.values()) or len(wanted["webhook-id"]) > 200 or len(wanted["webhook-signature"]) > 10_000:
        raise Refused(400, "malformed", "the headers webhook-id, webhook-timestamp and webhook-signature are needed")
    problem = "no signature is by a secret of this enterprise"
    for secret in enterprise.secrets:
        try:
            Webhook(secret).verify(body, wanted, json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            if "timestamp" in str(error):
                problem = "the timestamp is more than 5 minutes off; check the sender's clock"
            continue
        break
    else:
        raise Refused(401, "wrong_signature", problem, alarm=True)
    if enterprise.webhook_key is None:
        return
    try:
        verify_webhook_v1a(
            enterprise.webhook_key,
            wanted["webhook-id"],
            int(wanted["webhook-timestamp"]),
            body,
            wanted["webhook-signature"],
        )
    except (SignatureError, ValueError):
        detail = "the v1a signature is not by the key that is configured"
        raise Refused(401, "wrong_signature", detail, alarm=True) from None


# --- what it is -----------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> Event:
    """The event in `body`, or `Refused` with what is malformed about it."""
    try:
        event = _object(strict_json(body), "the body")
        if event.get("specversion") != "1.0" or event.get("type") != EVENT_TYPE:
            raise ValueError(f"it is not a CloudEvent 1.0 of type {EVENT_TYPE}")
        data = _object(event.get("data"), "data")
        note, vkey, steps, listed = (data.get(k) for k in ("checkpoint", "vkey", "consistency", "records"))
        if not isinstance(note, str) or not isinstance(vkey, str | None):
            raise ValueError("data.checkpoint or data.vkey is not text")
        if not isinstance(steps, list) or not isinstance(listed, list) or len(listed) > RECORDS_LIMIT:
            raise ValueError(f"data.consistency or data.records is not a list, or is longer than {RECORDS_LIMIT}")
        return Event(
            checkpoint=Checkpoint.of_note(note),
            note=note,
            vkey=vkey,
            consistency=tuple(decode_base64(str(step)) for step in steps),
            records=tuple(_record_and_proof(item) for item in listed),
            people=_beside(data.get("people"), "people", ("name", "personnel_number", "contract")),
            texts=_beside(data.get("texts"), "texts", ("salt", "text")),
        )
    except ValueError as error:  # ProofError is one
        raise Refused(400, "malformed", f"the delivery is malformed: {error}", alarm=True) from None


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")
    return value


def _record_and_proof(item: object) -> tuple[Mapping[str, object], str]:
    members = _object(item, "an item of data.records")
    proof = members.get("proof")
    if not isinstance(proof, str):
        raise ValueError("a record has no proof")
    return _object(members.get("entry"), "the entry of a record"), proof


def _beside(value: object, where: str, names: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
    rows = _object({} if value is None else value, f"data.{where}")
    return {key: tuple(_clean(_object(row, f"data.{where}").get(name)) for name in names) for key, row in rows.items()}


def _clean(value: object) -> str | None:
    """A text for people, without control and direction characters; None for anything that is no text."""
    if not isinstance(value, str):
        return None
    return "".join(c for c in value[:2_000] if c.isprintable() or c == "\n") or None


# --- whose log it is ------------------------------------------------------------------------------------------------


def _require_log_key(store: HubStore, enterprise: HubEnterprise, event: Event, now_ms: int) -> None:
    """The checkpoint is signed by a key that a person accepted for this log; a new key is parked."""
    origin = event.checkpoint.origin
    accepted = {key.vkey: key for key in enterprise.trusted if key.name == origin}
    accepted |= {vkey: Verifier.from_vkey(vkey) for vkey in store.accepted_keys(enterprise.id, origin)}
    try:
        shown = None if event.vkey is None else Verifier.from_vkey(event.vkey)
        if shown is None and not accepted:
            detail = "no key of this log is known here, and the delivery shows none"
            raise Refused(400, "no_log_key", detail, alarm=True)
        if shown is not None and shown.name != origin:
            raise SignatureError("the key shown is of another log")
        open_note(event.note, accepted.values() if shown is None else [shown])
    except SignatureError as error:
        raise Refused(
            400, "wrong_checkpoint_signature", f"the checkpoint does not verify: {error}", alarm=True
        ) from None
    if shown is not None and shown.vkey not in accepted:
        store.park(enterprise.id, origin, shown.vkey, now_ms)
        print_of_it = fingerprint(shown.vkey)
        detail = "this log is new here; a person must compare the fingerprint of its key and accept it"
        raise Refused(503, "log_parked", detail, fingerprint=print_of_it)


def _require_same_history(writer: Writer, enterprise: HubEnterprise, event: Event) -> None:
    """The checkpoint extends the last one kept; what cannot be told says from which size it wants the proof."""
    heads = writer.checkpoints(enterprise.id, event.checkpoint.origin, KNOWN_HEADS)
    size, root = event.checkpoint.size, event.checkpoint.root
    if not heads:
        return
    last = heads[0][0]
    if size in dict(heads):
        if dict(heads)[size] == root:
            return
        raise _rewritten(f"two different histories of {size} entries were signed")
    wanted = Refused(
        409, "consistency", f"the last head here has {last} entries; prove that yours extends it", size=last
    )
    if size < last or not event.consistency:
        raise wanted
    for known_size, known_root in heads:
        try:
            verify_consistency(known_size, size, known_root, root, event.consistency)
        except ProofError:
            continue
        if known_size == last:
            return
        raise wanted
    raise _rewritten(f"the log of {size} entries does not extend the one of {last} that is known here")


def _rewritten(detail: str) -> Refused:
    return Refused(409, "history_rewritten", detail, alarm=True)


# --- each record ----------------------------------------------------------------------------------------------------


def _verified(enterprise: HubEnterprise, event: Event, entry: Mapping[str, object], proof_text: str) -> Kept:
    """The record of an entry that is proved to be a leaf of the log."""
    try:
        proof = parse_tlog_proof(proof_text)
        if proof.checkpoint_note != event.note:
            raise ProofError("the proof leads to another checkpoint than the delivery's")
        data = canonical(entry)
        verify_inclusion(leaf_hash(data), proof.index, event.checkpoint.size, proof.path, event.checkpoint.root)
    except ValueError as error:
        raise Refused(400, "broken_proof", f"a record is not proved: {error}", alarm=True) from None
    try:
        if entry.get("type") != ENTRY_TYPE or entry.get("seq") != proof.index:
            raise RecordError(f"the entry is no {ENTRY_TYPE}, or not the one of its proof")
        if entry.get("enterprise") != enterprise.id:
            raise RecordError("the record was released to another enterprise")
        record = parse_record(entry.get("record"))
        if record.origin != event.checkpoint.origin:
            raise RecordError("the record says that it is of another log")
    except RecordError as error:
        raise Refused(400, "malformed", f"entry {proof.index} is no record for here: {error}", alarm=True) from None
    return Kept(proof.index, data, sha256(canonical(entry["record"])).digest(), proof_text, record)


def _keep(
    writer: Writer,
    enterprise: HubEnterprise,
    event: Event,
    kept: Sequence[Kept],
    webhook_id: str,
    body_hash: bytes,
    now_ms: int,
) -> int:
    new = 0
    origin = event.checkpoint.origin
    for one in kept:
        try:
            new += writer.keep_record(enterprise.id, one, now_ms)
        except Contradiction as error:
            raise Refused(409, "contradiction", str(error), alarm=True) from None
        if writer.numbered_twice(enterprise.id, one.record):
            detail = f"person_seq {one.record.person_seq} of {one.record.person_ref} was given to two records"
            writer.alarm(enterprise.id, "numbered_twice", origin, detail, now_ms)
    refs = {one.record.person_ref for one in kept}
    writer.keep_people(enterprise.id, origin, {ref: row for ref, row in event.people.items() if ref in refs})
    writer.keep_texts(enterprise.id, event.texts)
    writer.keep_checkpoint(enterprise.id, origin, event.checkpoint.size, event.checkpoint.root, event.note, now_ms)
    writer.keep_delivery(enterprise.id, webhook_id, body_hash, now_ms)
    return new
