"""The only home of randomness: references that mean nothing, so that forgetting a person is possible."""

from __future__ import annotations

import base64
import secrets
import uuid

UNLIKE = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody takes for another when they are read from paper."""


def new_ref() -> str:
    """A reference to a person, a badge or an account, or the random part of a log id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def new_nonce() -> str:
    """The nonce of a ledger entry: base64 of 16 bytes, so that an entry cannot be guessed from its hash."""
    return base64.b64encode(secrets.token_bytes(16)).decode("ascii")


def new_boot_id() -> str:
    """A UUID (version 4) that names one run of the machine, where the system gives none."""
    return _uuid4()


def new_salt() -> bytes:
    """16 bytes that keep a short free text from being guessed from its hash."""
    return secrets.token_bytes(16)


def new_code() -> str:
    """Six decimal digits that somebody reads from one screen and types at another."""
    return f"{secrets.randbelow(1_000_000):06}"


def new_password() -> str:
    """A password to be handed over on paper and used once: three groups of four letters and digits, 59 bits."""
    letters = "".join(secrets.choice(UNLIKE) for _ in range(12))
    return "-".join(letters[at : at + 4] for at in range(0, 12, 4))


def new_token() -> str:
    """A bearer token or session secret of 256 bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def _uuid4() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
