"""The shared secrets of Standard Webhooks, as both ends keep them: a file with one `whsec_...` a line."""

from __future__ import annotations

from pathlib import Path

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

PREFIX = "whsec_"


class SecretError(Exception):
    """The file holds no usable secret; the message says which file and why, never what is in it."""


def read_secrets(path: Path) -> tuple[str, ...]:
    """The secrets in `path`, all of them good: several senders, or a new one beside the old while they change over."""
    try:
        lines = tuple(path.read_text(encoding="utf-8").split())
        for line in lines:
            Webhook(line)
        usable = bool(lines) and all(line.startswith(PREFIX) for line in lines)
    except OSError as error:
        raise SecretError(f"the webhook secret {path} cannot be read: {error.strerror}") from error
    except (ValueError, EmptyWebhookSecretError):
        usable = False
    if not usable:
        raise SecretError(f"the webhook secret {path} must hold nothing but {PREFIX}... lines")
    return lines
