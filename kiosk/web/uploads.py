"""Files that people hand in: how large a request may be for it, and what was read of them until somebody says yes.

What was read is kept in memory only: for a quarter of an hour, for the account that handed it in, one of a kind each, a
few in all. A restart forgets it, and the file is handed in again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import BinaryIO, TypeVar

from flask import current_app, flash, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import refs
from kiosk.web.access import guard
from kiosk.web.apps import account
from kiosk.web.server import LARGE_BODIES

LIFETIME_S = 15 * 60
MOST = 8
LONGEST_NAME = 80
T = TypeVar("T")


@dataclass(frozen=True)
class _Upload:
    owner: str
    ends: float
    value: object


class Uploads:
    """What was read and waits for a yes, by a token that only its owner can use."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, _Upload] = {}

    def keep(self, owner: str, value: object) -> str:
        """The token under which `value` can be had; what the owner had of this kind is forgotten."""
        token = refs.new_token()
        with self._lock:
            self._forget_old()
            for other in [
                key for key, each in self._kept.items() if each.owner == owner and type(each.value) is type(value)
            ]:
                del self._kept[other]
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[token] = _Upload(owner, self._now() + LIFETIME_S, value)
        return token

    def get(self, token: str, owner: str, kind: type[T]) -> T | None:
        """What the owner handed in, where it is still there."""
        with self._lock:
            self._forget_old()
            found = self._kept.get(token)
        if found is None or found.owner != owner or not isinstance(found.value, kind):
            return None
        return found.value

    def forget(self, token: str) -> None:
        """It is done."""
        with self._lock:
            self._kept.pop(token, None)

    def _forget_old(self) -> None:
        now = self._now()
        self._kept = {token: each for token, each in self._kept.items() if each.ends > now}


def expect_large_body() -> BaseResponse | None:
    """Before anything reads the request: who hands in a file must be allowed to, and may then send more than others."""
    limit = LARGE_BODIES.get(request.path.encode("utf-8", "replace"))
    if limit is None or request.method != "POST":
        return None
    request.max_content_length = limit
    return guard()


def handed_in() -> tuple[BinaryIO, str] | None:
    """The file of this request, on disk where it is large, and its name for showing.

    None where none was chosen, which the next page says.
    """
    file = request.files.get("file")
    if file is None or not file.filename:
        flash(gettext("Choose a file."), "refused")
        return None
    name = file.filename.replace("\\", "/").rpartition("/")[2][:LONGEST_NAME]
    return file.stream, "".join(letter for letter in name if letter.isprintable())  # type: ignore[return-value]


def uploads() -> Uploads:
    """What waits for a yes, of this application."""
    kept: Uploads = current_app.extensions["sheber"].setdefault("uploads", Uploads())
    return kept


def keep(value: object) -> str:
    """The token under which the signed-in account finds again what was read of its file."""
    return uploads().keep(account().user_ref, value)


def kept(token: str, kind: type[T]) -> T | None:
    """What the signed-in account handed in; None where it is no more there, which the next page says."""
    found = uploads().get(token, account().user_ref, kind)
    if found is None:
        flash(gettext("This file was handed in too long ago, or by somebody else. Hand it in again."), "refused")
    return found
