"""What `sync` asks of a running kiosk, over the control socket, with types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kiosk.commands import StoreCheckpoint, StoreReceipt
from kiosk.control import ControlClient, ControlRefused
from kiosk.proofs import HASH_BYTES, ProofError, decode_base64


@dataclass(frozen=True)
class LogHead:
    """How far the log is, and its newest signed checkpoint."""

    origin: str
    size: int
    checkpoint: str | None


@dataclass(frozen=True)
class PendingRecord:
    """A released entry that may leave now and has no receipt; `path` is its inclusion proof, in base64."""

    seq: int
    entry: Mapping[str, object]
    path: tuple[str, ...]


@dataclass(frozen=True)
class Pending:
    """Records for one enterprise, and what travels beside them: who a person_ref is, and the texts behind hashes."""

    records: tuple[PendingRecord, ...]
    people: Mapping[str, Mapping[str, object]]
    texts: Mapping[str, Mapping[str, object]]


class Outbox:
    """The kiosk's side of the deliveries. Every call may raise `NoKiosk` or `ControlRefused`."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def head(self) -> LogHead:
        """The log as it stands."""
        value = self._ask("log")
        origin, size, checkpoint = value.get("origin"), value.get("size"), value.get("checkpoint")
        if not isinstance(origin, str) or type(size) is not int or not isinstance(checkpoint, str | None):
            raise _strange("log")
        return LogHead(origin, size, checkpoint)

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries."""
        value = self._ask("head", size=size)
        try:
            root = decode_base64(str(value.get("root")))
        except ProofError:
            root = b""
        if value.get("size") != size or len(root) != HASH_BYTES:
            raise _strange("head")
        return root

    def pending(self, enterprise: str, size: int, limit: int) -> Pending:
        """The first records for that enterprise below `size` that may leave now and have no receipt."""
        value = self._ask("pending", enterprise=enterprise, size=size, limit=limit)
        people, texts, listed = value.get("people"), value.get("texts"), value.get("records")
        if not isinstance(people, dict) or not isinstance(texts, dict) or not isinstance(listed, list):
            raise _strange("pending")
        return Pending(tuple(_pending_record(item) for item in listed), people, texts)

    def may_send(self, enterprise: str, seqs: Iterable[int]) -> frozenset[int]:
        """Which of these may still leave: consent can have been withdrawn since they were queued."""
        value = self._ask("may_send", enterprise=enterprise, seqs=list(seqs))
        allowed = value.get("seqs")
        if not isinstance(allowed, list):
            raise _strange("may_send")
        return frozenset(allowed)

    def consistency(self, first: int, second: int) -> list[str]:
        """The proof, in base64, that the log of `second` entries extends the one of `first`."""
        path = self._ask("consistency", **{"from": first, "to": second}).get("path")
        if not isinstance(path, list) or not all(isinstance(step, str) for step in path):
            raise _strange("consistency")
        return path

    def store_checkpoint(self, note: str) -> None:
        """Hand over a signed checkpoint."""
        self._client.command(StoreCheckpoint(note))

    def store_receipt(self, enterprise: str, seqs: tuple[int, ...], webhook_id: str) -> None:
        """Hand over an enterprise's receipt."""
        self._client.command(StoreReceipt(enterprise, seqs, webhook_id))

    def stopped(self, enterprise: str, reason: str) -> None:
        """Tell that an enterprise wants nothing more."""
        self._client.call("stopped", enterprise=enterprise, reason=reason)

    def _ask(self, op: str, **params: object) -> dict[str, object]:
        value = self._client.call(op, **params)
        if not isinstance(value, dict):
            raise _strange(op)
        return value


def _pending_record(item: object) -> PendingRecord:
    if isinstance(item, dict):
        seq, entry, path = item.get("seq"), item.get("entry"), item.get("path")
        if type(seq) is int and isinstance(entry, dict) and isinstance(path, list):
            return PendingRecord(seq, entry, tuple(str(step) for step in path))
    raise _strange("pending")


def _strange(op: str) -> ControlRefused:
    return ControlRefused("bad_answer", f"the kiosk's answer to {op!r} is not the expected one")
