"""The keys that only this process can read: one that signs the log's checkpoints, one that signs webhooks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kiosk.signatures import SignatureError, Signer, webhook_keys, webhook_private_key


@dataclass(frozen=True)
class Keys:
    """What signs: `signer` for the checkpoints of one log, `webhook` for the `v1a` signature of every delivery."""

    signer: Signer
    webhook: Ed25519PrivateKey

    @property
    def webhook_public(self) -> str:
        """The public half of the webhook key, `whpk_...`, for the enterprise's configuration."""
        return webhook_keys(self.webhook)[1]


def load_or_make(folder: Path, origin: str) -> Keys:
    """The keys in `folder`, made where they are missing (0600, in a folder 0700); the public halves lie beside them.

    A log of another name gets a key of its own; the key of its predecessor is kept under another file name.
    Raises `SignatureError` where a key is damaged or readable by others.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = Keys(_signer(folder / "signing.key", origin), _webhook(folder / "webhook.key"))
    _publish(folder / "log.vkey", keys.signer.vkey)
    _publish(folder / "webhook.whpk", keys.webhook_public)
    return keys


def _signer(path: Path, origin: str) -> Signer:
    if path.exists():
        signer = Signer.load(path)
        if signer.name == origin:
            return signer
        path.rename(path.with_name(f"signing-{signer.verifier.key_hash.hex()}.key"))
    signer = Signer.generate(origin)
    with _beside(path) as new:
        signer.save(new)
    return signer


def _webhook(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        text, _ = webhook_keys(Ed25519PrivateKey.generate())
        with _beside(path) as new, os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    if path.stat().st_mode & 0o077:
        raise SignatureError(f"others may read the webhook key {path}: run chmod 600 on it, or make a new key")
    return webhook_private_key(path.read_text())


def _publish(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text + "\n":
        return
    with _beside(path) as new:
        new.write_text(text + "\n")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file that takes the place of `path` when it is whole: no power cut leaves half a key."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    yield new
    new.replace(path)
