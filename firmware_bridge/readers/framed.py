"""A protocol whose frames begin with one byte and have a shape: it is told by two patterns and what a frame means.

Noise may hold a start byte, and a frame that is rejected may hold the beginning of a good one. So of a rejected frame
only the start byte is dropped, and every byte behind it is looked at again; what is found broken in there was rejected
already and is not counted twice.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from functools import reduce
from operator import xor
from typing import ClassVar

from firmware_bridge.readers.base import Badge, Decoder, Event, Rejected, is_zero


class Framed(Decoder):
    """Takes what has the shape of `whole`, waits while what there is has the shape of `begun`, and drops the rest.

    The frames of one protocol are about equally long. So what noise pretends to begin is whole, or broken, by the time
    the good frame behind it ends: a card is never told only when more bytes come.
    """

    start: ClassVar[int] = 0x02
    """The byte that every frame begins with: STX."""
    whole: ClassVar[re.Pattern[bytes]]
    """A frame, from its start byte to its end."""
    begun: ClassVar[re.Pattern[bytes]]
    """All that may still become one, and shorter than one; its alternatives stand in order, the longest first."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = False
        """Between frames, in bytes that were already rejected: one stretch of stray bytes is one fault."""
        self._told = 0
        """How many bytes at the front of the buffer belong to a frame that was already rejected."""

    @abstractmethod
    def _read(self, frame: re.Match[bytes]) -> Event:
        """What a frame of the right shape means."""

    def _take(self) -> Iterator[Event]:
        while self._buffer:
            if self._buffer[0] != self.start:
                begin = self._buffer.find(self.start)
                if self._drop(begin if begin > 0 else len(self._buffer)) and not self._lost:
                    self._lost = True
                    yield Rejected("framing")
            elif frame := self.whole.match(self._buffer):
                yield from self._found(self._read(frame), frame.end())
            else:
                beginning = self.begun.match(self._buffer)
                size = beginning.end() if beginning else 1
                if size == len(self._buffer):
                    return
                yield from self._reject(Rejected("framing"), size)

    def _found(self, event: Event, size: int) -> Iterator[Event]:
        """A badge takes its bytes with it, a rejected frame only its first."""
        if isinstance(event, Rejected):
            yield from self._reject(event, size)
        else:
            self._lost = False
            self._drop(size)
            yield event

    def _reject(self, event: Rejected, size: int) -> Iterator[Event]:
        self._lost = event.reason == "framing"
        if size > self._told:
            self._told = size
            yield event
        self._drop(1)

    def _drop(self, size: int) -> bool:
        """Take bytes off the front; True where some of them were not rejected before."""
        fresh = size > self._told
        self._told = max(0, self._told - size)
        del self._buffer[:size]
        return fresh

    def _cut_off(self) -> bool:
        fresh = len(self._buffer) > self._told
        self._lost, self._told = False, 0
        return fresh


def xor_of(data: bytes) -> int:
    """All bytes, combined by exclusive or."""
    return reduce(xor, data, 0)


def checked(number: bytes, told: int, computed: int) -> Event:
    """The badge of these bytes, most significant first, where its checksum is the one that was told."""
    if told != computed:
        return Rejected("checksum")
    uid = number.hex().upper()
    return Rejected("noise") if is_zero(uid) else Badge(uid)
