"""Signs the head of the log, and never a head that does not extend what it signed before."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kiosk.proofs import Checkpoint, ProofError, decode_base64, verify_consistency
from kiosk.signatures import SignatureError, Signer, open_note
from kiosk.sync.keys import Keys
from kiosk.sync.outbox import LogHead, Outbox
from kiosk.sync.store import SyncStore


class HistoryRewritten(Exception):
    """The kiosk's log is not the one whose head was signed before; nothing of it is signed or sent."""


class Notary:
    """One for the process; its threads take turns. `keys` gives the keys of a log by its origin."""

    def __init__(self, outbox: Outbox, store: SyncStore, keys: Callable[[str], Keys]) -> None:
        self._outbox = outbox
        self._store = store
        self._keys = keys
        self._lock = threading.Lock()

    def keys(self, origin: str) -> Keys:
        """The keys for that log."""
        with self._lock:
            return self._keys(origin)

    def checkpoint(self, head: LogHead) -> str:
        """The signed checkpoint of exactly `head.size` entries; the kiosk has it when this returns.

        Raises `HistoryRewritten`, and `NoKiosk` or `ControlRefused` of the calls it makes.
        """
        with self._lock:
            signer = self._keys(head.origin).signer
            last = self._store.signed(head.origin)
            reusable = last is not None and last[0] == head.size and _signed_by(signer, last[2])
            if last is not None and reusable and head.checkpoint == last[2]:
                return last[2]
            root = self._outbox.root(head.size)
            if last is not None:
                self._require_extension(last[0], last[1], head.size, root)
            if last is not None and reusable:
                note = last[2]
            else:
                note = signer.sign_note(Checkpoint(head.origin, head.size, root).text())
                self._store.keep_signed(head.origin, head.size, root, note)
            self._outbox.store_checkpoint(note)
            return note

    def _require_extension(self, first: int, first_root: bytes, second: int, second_root: bytes) -> None:
        try:
            if second < first:
                raise ProofError(f"it has {second} entries, and had {first}")
            path = [] if first == second else [decode_base64(step) for step in self._outbox.consistency(first, second)]
            verify_consistency(first, second, first_root, second_root, path)
        except ProofError as error:
            raise HistoryRewritten(f"the log is not the one that was signed before: {error}") from error


def _signed_by(signer: Signer, note: str) -> bool:
    """False where the key file was replaced since."""
    try:
        open_note(note, [signer.verifier])
    except SignatureError:
        return False
    return True
