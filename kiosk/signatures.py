"""Ed25519 over text: C2SP signed notes (which Go's `sumdb/note` reads too) and Standard Webhooks `v1a`.

Only the sending and the receiving processes import this; the kiosk itself signs nothing and stays small.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kiosk.proofs import SIGNATURE_MARK, ProofError, decode_base64, encode_base64, split_note

MAX_SIGNATURES = 100
_ED25519 = b"\x01"
_PRIVATE_PREFIX = "PRIVATE+KEY+"
_WEBHOOK_SECRET = "whsk_"  # noqa: S105 - the public prefix of the serialisation, not a secret
_WEBHOOK_PUBLIC = "whpk_"


class SignatureError(Exception):
    """A key, a note or a webhook signature is not what it should be; the message says why."""


@dataclass(frozen=True)
class Verifier:
    """A public key under its name: what an enterprise keeps to check a kiosk's checkpoints."""

    name: str
    public_key: Ed25519PublicKey

    @property
    def key_hash(self) -> bytes:
        """The 4 bytes that mark this key's signatures: SHA-256(name, newline, type, public key), cut."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key.public_bytes_raw()).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: name, hash and key, joined by `+`."""
        key = encode_base64(_ED25519 + self.public_key.public_bytes_raw())
        return f"{self.name}+{self.key_hash.hex()}+{key}"

    @classmethod
    def from_vkey(cls, text: str) -> Verifier:
        """The key that `vkey` wrote; SignatureError where the text is damaged or of another kind."""
        name, key_hash, key = _split_key(text.strip())
        verifier = cls(name, Ed25519PublicKey.from_public_bytes(key))
        if verifier.key_hash.hex() != key_hash:
            raise SignatureError(f"the verifier key of {name} does not fit its key hash; fetch the key again")
        return verifier


class Signer:
    """A private key under its name; made once for a log, kept in a file that only its owner reads."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        _require_name(name)
        self.name = name
        self.private_key = private_key
        self.verifier = Verifier(name, private_key.public_key())

    @classmethod
    def generate(cls, name: str) -> Signer:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    def save(self, path: Path) -> None:
        """Write the key to a new file of mode 0600, as Go's `note` writes private keys; never over an existing file."""
        seed = encode_base64(_ED25519 + self.private_key.private_bytes_raw())
        text = f"{_PRIVATE_PREFIX}{self.name}+{self.verifier.key_hash.hex()}+{seed}\n"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise SignatureError(f"cannot write the signing key {path}: {error.strerror}; choose a new file") from error
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> Signer:
        """Read a key that `save` wrote, or an unencrypted PEM, which carries no name and so wants `name`.

        Raises SignatureError where the file is missing, readable by others, damaged, or of another name.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(10_000)
        except OSError as error:
            raise SignatureError(f"cannot read the signing key {path}: {error.strerror}") from error
        if mode & 0o077:
            raise SignatureError(f"others may read the signing key {path}: run chmod 600 on it, or make a new key")
        if data.startswith(b"-----BEGIN"):
            return cls(*_from_pem(path, data, name))
        try:
            stored_name, key_hash, seed = _split_key(data.decode("utf-8").strip().removeprefix(_PRIVATE_PREFIX))
        except UnicodeDecodeError as error:
            raise SignatureError(f"{path} is not a signing key: put the right file there") from error
        signer = cls(stored_name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.verifier.key_hash.hex() != key_hash:
            raise SignatureError(f"the signing key {path} is damaged: put back its copy, or make a new key")
        if name is not None and name != stored_name:
            raise SignatureError(f"the signing key {path} belongs to {stored_name}, not to {name}")
        return signer

    def sign_note(self, text: str) -> str:
        """A signed note of `text`, which ends with a newline."""
        if not text.endswith("\n"):
            raise SignatureError("the text of a note must end with a newline")
        signature = encode_base64(self.verifier.key_hash + self.private_key.sign(text.encode("utf-8")))
        note = f"{text}\n{SIGNATURE_MARK}{self.name} {signature}\n"
        try:
            split_note(note)
        except ProofError as error:
            raise SignatureError(str(error)) from error
        return note


def open_note(note: str, verifiers: Iterable[Verifier]) -> str:
    """The text of a note that at least one known key signed and no known key signed wrongly; else SignatureError."""
    try:
        text, lines = split_note(note)
        if len(lines) > MAX_SIGNATURES:
            raise SignatureError(f"the note has more than {MAX_SIGNATURES} signatures")
        signatures = [_signature_of(line) for line in lines]
    except ProofError as error:
        raise SignatureError(str(error)) from error
    known = {(verifier.name, verifier.key_hash): verifier for verifier in verifiers}
    verified = False
    for name, key_hash, signature in signatures:
        verifier = known.get((name, key_hash))
        if verifier is None:
            continue
        try:
            verifier.public_key.verify(signature, text.encode("utf-8"))
        except InvalidSignature as error:
            raise SignatureError(f"the signature of {name} does not fit the note") from error
        verified = True
    if not verified:
        raise SignatureError("no known key signed the note")
    return text


def webhook_keys(private_key: Ed25519PrivateKey) -> tuple[str, str]:
    """(`whsk_...`, `whpk_...`): the secret (seed and public key joined) and the public key, for Standard Webhooks."""
    public = private_key.public_key().public_bytes_raw()
    secret = private_key.private_bytes_raw() + public
    return _WEBHOOK_SECRET + encode_base64(secret), _WEBHOOK_PUBLIC + encode_base64(public)


def webhook_private_key(text: str) -> Ed25519PrivateKey:
    """The private key in `whsk_...` text (32 bytes of seed, or 64 with the public key behind it)."""
    data = _webhook_bytes(text, _WEBHOOK_SECRET, (32, 64))
    key = Ed25519PrivateKey.from_private_bytes(data[:32])
    if data[32:] not in (b"", key.public_key().public_bytes_raw()):
        raise SignatureError("the two halves of the webhook key do not belong together; copy the key again")
    return key


def webhook_public_key(text: str) -> Ed25519PublicKey:
    """The public key in `whpk_...` text."""
    return Ed25519PublicKey.from_public_bytes(_webhook_bytes(text, _WEBHOOK_PUBLIC, (32,)))


def sign_webhook_v1a(private_key: Ed25519PrivateKey, msg_id: str, timestamp: int, body: bytes) -> str:
    """One signature for the `webhook-signature` header, over `id.timestamp.body`; `timestamp` in seconds of UTC."""
    return "v1a," + encode_base64(private_key.sign(_webhook_content(msg_id, timestamp, body)))


def verify_webhook_v1a(public_key: Ed25519PublicKey, msg_id: str, timestamp: int, body: bytes, header: str) -> None:
    """Raise SignatureError unless one of the header's space-separated signatures is this key's `v1a`.

    How old `timestamp` may be is the caller's to decide.
    """
    content = _webhook_content(msg_id, timestamp, body)
    for part in header.split(" ")[:MAX_SIGNATURES]:
        version, _, signature = part.partition(",")
        if version != "v1a":
            continue
        try:
            public_key.verify(decode_base64(signature), content)
        except (InvalidSignature, ProofError):
            continue
        return
    raise SignatureError("no v1a signature of the webhook is by the known key")


def _webhook_content(msg_id: str, timestamp: int, body: bytes) -> bytes:
    return f"{msg_id}.{timestamp}.".encode() + body


def _webhook_bytes(text: str, prefix: str, lengths: tuple[int, ...]) -> bytes:
    text = text.strip()
    try:
        data = decode_base64(text.removeprefix(prefix))
    except ProofError as error:
        raise SignatureError(f"the webhook key is not base64 after {prefix}; copy it again") from error
    if not text.startswith(prefix) or len(data) not in lengths:
        raise SignatureError(f"the webhook key is not a {prefix} key of Ed25519; copy it again")
    return data


def _split_key(text: str) -> tuple[str, str, bytes]:
    """(name, hash in hex, 32 bytes) of `name+hash+base64(type || key)`."""
    parts = text.split("+", 2)  # base64 may hold a plus, names and hashes may not
    if len(parts) != 3:
        raise SignatureError("a key is written name+hash+key; copy it again")
    name, key_hash, encoded = parts
    _require_name(name)
    try:
        data = decode_base64(encoded)
    except ProofError as error:
        raise SignatureError(f"the key of {name} is not base64; copy it again") from error
    if data[:1] != _ED25519 or len(data) != 33:
        raise SignatureError(f"the key of {name} is not an Ed25519 key")
    return name, key_hash, data[1:]


def _require_name(name: str) -> None:
    if not name or any(c in "+\n" or c.isspace() or unicodedata.category(c) == "Cc" for c in name):
        raise SignatureError("a key name must not be empty and holds neither spaces nor a plus")


def _signature_of(line: str) -> tuple[str, bytes, bytes]:
    """(name, key hash, signature) of one signature line."""
    name, separator, encoded = line.removeprefix(SIGNATURE_MARK).partition(" ")
    data = decode_base64(encoded)
    if not separator or not name or "+" in name or any(c.isspace() for c in name) or len(data) < 5:
        raise ProofError("a signature line of the note is damaged")
    return name, data[:4], data[4:]


def _from_pem(path: Path, data: bytes, name: str | None) -> tuple[str, Ed25519PrivateKey]:
    if name is None:
        raise SignatureError(f"the PEM file {path} carries no key name: say which log it signs for")
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"{path} is not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"the key in {path} is not an Ed25519 key")
    return name, key
