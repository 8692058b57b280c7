"""A reader that says nothing unasked: what to ask it, and when, without a clock and without a port.

Its frames are framed by length and come with what is no badge: acknowledgements, "no card", errors. As a decoder it
reads what a sniffer recorded, too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from firmware_bridge.readers.base import Decoder, Event, Rejected


@dataclass(frozen=True)
class Request:
    """What to write on the line `after_ms` from now.

    The reader is taken for silent when no whole frame came for `silence_ms` since it was written or since the last one.
    """

    data: bytes
    after_ms: int = 0
    silence_ms: int = 500


@dataclass(frozen=True)
class Skip:
    """So many bytes at the front mean nothing and are no fault."""

    size: int


@dataclass(frozen=True)
class Stray:
    """So many bytes at the front belong to no frame; one stretch of them is one fault, however long."""

    size: int
    reason: str = "framing"


@dataclass(frozen=True)
class Whole:
    """A frame of that size stands at the front, and this is what it tells; nothing, where it carries no badge."""

    size: int
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Broken:
    """What stands at the front has the shape of a frame of that size but is none."""

    size: int
    reason: str


Found = Skip | Stray | Whole | Broken | None
"""None: more bytes are needed."""


class Asking(Decoder):
    """The base of all active readers.

    Whoever owns the port writes `opening()` when it opens, then after each `feed` what `following()` says, and
    `unanswered()` when the reader was silent. Of a frame that is rejected only its first byte is dropped: noise may
    have pretended its length, and a good frame may begin inside it.
    """

    padding: ClassVar[bytes] = b""
    """Bytes that may be left at the end of a capture without being the beginning of a frame."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = False
        self._told = 0
        """How many bytes at the front of the buffer belong to a frame that was already rejected."""
        self._understood = 0

    @property
    def understood(self) -> int:
        """How many whole, checked frames came, with a badge or without."""
        return self._understood

    @abstractmethod
    def opening(self) -> Request:
        """The first thing to say on a port that was just opened, or to a reader that was reset."""

    @abstractmethod
    def following(self) -> Request | None:
        """What to say after what was fed last; None while the answer is not there or nothing need be said."""

    def unanswered(self) -> Request:
        """What to say to a reader that was silent: it may have been reset, so begin anew."""
        return self.opening()

    @abstractmethod
    def _look(self, data: bytearray) -> Found:
        """What stands at the front of `data`, which is not empty. `Skip` and `Stray` take at least one byte."""

    def _take(self) -> Iterator[Event]:
        while self._buffer:
            match self._look(self._buffer):
                case None:
                    return
                case Skip(size):
                    self._drop(size)
                case Stray(size, reason):
                    if self._drop(size) and not self._lost:
                        self._lost = True
                        yield Rejected(reason)
                case Whole(size, events):
                    self._lost = False
                    self._understood += 1
                    self._drop(size)
                    yield from events
                case Broken(size, reason):
                    if size > self._told:
                        self._told = size
                        yield Rejected(reason)
                    self._lost = True
                    self._drop(1)

    def _drop(self, size: int) -> bool:
        """Take bytes off the front; True where some of them were not rejected before."""
        fresh = size > self._told
        self._told = max(0, self._told - size)
        del self._buffer[:size]
        return fresh

    def finish(self) -> list[Event]:
        """Nothing more comes: what was waited for never will, but whole frames may stand behind its beginning."""
        events: list[Event] = []
        while self._buffer.strip(self.padding):
            if self._drop(1) and not self._lost:
                self._lost = True
                events.append(Rejected("framing"))
            events.extend(self._take())
        self._cut_off()
        self._buffer.clear()
        self._count(events)
        return events

    def _cut_off(self) -> bool:
        self._lost, self._told = False, 0
        return bool(self._buffer)
