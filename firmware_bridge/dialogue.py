"""Whose turn it is between us and a reader that must be asked. Knows no clock and no port: both are its caller's."""

from __future__ import annotations

from firmware_bridge.readers.asking import Asking, Request

SILENCES = 2
"""So many requests without an answer, and the reader is told as dead: with at most 0.7 s each, within two seconds."""


class Dialogue:
    """One conversation, from the opening of the port to its loss. Times are seconds of any one clock."""

    def __init__(self, reader: Asking, now_s: float) -> None:
        self._reader = reader
        self._understood = reader.understood
        self._silences = 0
        self._said = False
        self._say_at_s = self._silent_at_s = now_s
        self._plan(reader.opening(), now_s)

    @property
    def silent(self) -> bool:
        """Did it leave several requests unanswered, and nothing since?"""
        return self._silences >= SILENCES

    def heard(self, now_s: float) -> None:
        """Bytes were fed to the reader's decoder. Only whole frames count: a line that babbles is still silent."""
        if self._reader.understood == self._understood:
            return
        self._understood = self._reader.understood
        self._silences = 0
        self._silent_at_s = now_s + self._request.silence_ms / 1000
        following = self._reader.following()
        if following is not None:
            self._plan(following, now_s)

    def overdue(self, now_s: float) -> bool:
        """Was the answer waited for in vain?"""
        return self._said and now_s >= self._silent_at_s

    def due(self, now_s: float) -> bytes:
        """What to write now; nothing most of the time."""
        if self.overdue(now_s):
            self._silences += 1
            self._plan(self._reader.unanswered(), now_s)
        if self._said or now_s < self._say_at_s:
            return b""
        self._said = True
        self._silent_at_s = now_s + self._request.silence_ms / 1000
        return self._request.data

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to do, if nothing comes."""
        return max(0.0, (self._silent_at_s if self._said else self._say_at_s) - now_s)

    def _plan(self, request: Request, now_s: float) -> None:
        self._request = request
        self._said = False
        self._say_at_s = now_s + request.after_ms / 1000
        self._silent_at_s = self._say_at_s
