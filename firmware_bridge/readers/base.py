"""What every reader's decoder is: bytes are fed to it, badges and rejections come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

FRAME_BYTES_MAX = 256
"""Contract, section 10."""


@dataclass(frozen=True)
class Badge:
    """A whole, checked frame; `uid` is upper-case hex as the reader sends it.

    `details` is what the frame tells beside the number, for people who look for faults; the number alone is who it is.
    """

    uid: str
    details: Mapping[str, str | int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Rejected:
    """Bytes that are no badge.

    `reason`: `framing` (no whole frame: cut off, lost bytes, start in mid-frame), `checksum`, `too_long` (no end within
    256 bytes), `format` (a whole line, but no number of the configured form), `noise` (an id of zeros, or bytes that
    nothing would send), `reader_error` (the reader itself reports a fault) or, of a PN532, `length_checksum`,
    `data_checksum`, `no_sof` (a frame without its start code) and `tfi` (a frame of neither side).
    """

    reason: str


Event = Badge | Rejected


class Decoder(ABC):
    """One protocol. Holds the bytes of one unfinished frame and nothing else, so it can be fed in any pieces."""

    baud: ClassVar[int] = 9600
    """The line's speed where the lab does not say another."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._rejected: Counter[str] = Counter()
        self._badges = 0

    @classmethod
    @abstractmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """A decoder with the options of `table`; raises `OptionError`."""

    @abstractmethod
    def _take(self) -> Iterator[Event]:
        """Take every frame that is complete, and all that can never become one, out of the front of `_buffer`.

        What stays must be shorter than `FRAME_BYTES_MAX`.
        """

    @abstractmethod
    def _cut_off(self) -> bool:
        """The input ends here: forget the line's state. True where a frame had begun."""

    @property
    def badges(self) -> int:
        """How many badges were decoded."""
        return self._badges

    @property
    def rejected(self) -> dict[str, int]:
        """How often each reason of rejection occurred."""
        return dict(self._rejected)

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete. Never raises, whatever the bytes are."""
        events: list[Event] = []
        # In slices of a frame, so that a megabyte at once cannot grow the buffer.
        for start in range(0, len(data), FRAME_BYTES_MAX):
            self._buffer += data[start : start + FRAME_BYTES_MAX]
            events.extend(self._take())
        self._count(events)
        return events

    def finish(self) -> list[Event]:
        """The line is gone or the capture ends: an unfinished frame is rejected, never joined to what comes later."""
        events: list[Event] = [Rejected("framing")] if self._cut_off() else []
        self._buffer.clear()
        self._count(events)
        return events

    def _count(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Rejected):
                self._rejected[event.reason] += 1
            else:
                self._badges += 1


def is_zero(uid: str) -> bool:
    """An id of zeros is what coils read out of thin air (hours, section 3; esp-rfid #411)."""
    return not uid.strip("0")
