"""One webhook: what is in it, and how it is signed. Pure but for the webhook-id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from kiosk.domain.utc import utc_text
from kiosk.proofs import decode_base64, tlog_proof
from kiosk.records import DELIVERY_LIMIT, EVENT_TYPE, RECORDS_LIMIT
from kiosk.refs import new_ref
from kiosk.signatures import sign_webhook_v1a
from kiosk.sync.outbox import Pending, PendingRecord
from kiosk.sync.store import Delivery

ENVELOPE_BYTES = 2_000
"""More than everything in the event that is not a record, a person, a text or the consistency proof."""


@dataclass(frozen=True)
class Proofs:
    """What a delivery is proved with: the signed head, its verifier key, and the way from the head last receipted."""

    origin: str
    size: int
    checkpoint: str
    vkey: str
    consistency: Sequence[str]


def new_webhook_id() -> str:
    """An id no other delivery has."""
    return f"msg_{new_ref()}{new_ref()}"


def build(enterprise: str, pending: Pending, proofs: Proofs, now_ms: int) -> Delivery:
    """As many of the pending records, in their order, as one delivery holds; at least one."""
    webhook_id = new_webhook_id()
    left = DELIVERY_LIMIT - ENVELOPE_BYTES - _size([proofs.checkpoint, proofs.vkey, *proofs.consistency])
    records: list[dict[str, object]] = []
    seqs: list[int] = []
    people: dict[str, Mapping[str, object]] = {}
    texts: dict[str, Mapping[str, object]] = {}
    for pending_record in pending.records[:RECORDS_LIMIT]:
        record = _with_proof(pending_record, proofs.checkpoint)
        strings = set(_strings(pending_record.entry))
        new_people = {ref: pending.people[ref] for ref in strings & pending.people.keys() - people.keys()}
        new_texts = {digest: pending.texts[digest] for digest in strings & pending.texts.keys() - texts.keys()}
        left -= _size(record) + _size(new_people) + _size(new_texts) + 3
        if left < 0 and records:
            break
        records.append(record)
        seqs.append(pending_record.seq)
        people.update(new_people)
        texts.update(new_texts)
    data = {
        "records": records,
        "people": people,
        "texts": texts,
        "checkpoint": proofs.checkpoint,
        "vkey": proofs.vkey,
        "consistency": list(proofs.consistency),
    }
    event = {
        "specversion": "1.0",
        "id": webhook_id,
        "source": proofs.origin,
        "type": EVENT_TYPE,
        "subject": enterprise,
        "time": utc_text(now_ms),
        "datacontenttype": "application/json",
        "data": data,
    }
    return Delivery(webhook_id, enterprise, proofs.origin, _json(event), tuple(seqs), proofs.size, now_ms)


def headers(
    delivery: Delivery, secrets_of_enterprise: Sequence[str], key: Ed25519PrivateKey, now_ms: int
) -> dict[str, str]:
    """The Standard Webhooks headers of one attempt: a fresh timestamp, `v1` for each shared secret, and `v1a`."""
    seconds = now_ms // 1000
    moment = datetime.fromtimestamp(seconds, UTC)
    text = delivery.body.decode()
    signatures = [Webhook(secret).sign(delivery.id, moment, text) for secret in secrets_of_enterprise]
    signatures.append(sign_webhook_v1a(key, delivery.id, seconds, delivery.body))
    return {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "user-agent": "sheber-sync",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def _with_proof(record: PendingRecord, checkpoint: str) -> dict[str, object]:
    path = [decode_base64(step) for step in record.path]
    return {"entry": record.entry, "proof": tlog_proof(record.seq, path, checkpoint)}


def _strings(value: object) -> Iterator[str]:
    """Every text in it: the references to people and the hashes of texts are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _size(value: object) -> int:
    return len(_json(value))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
