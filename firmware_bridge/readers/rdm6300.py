"""RDM6300 / RDM630 (EM4100, 125 kHz), 9600 8N1, and its clone with a raw checksum byte.

    module  02  10 hex digits  2 hex digits  03     14 bytes
    clone   02  10 hex digits  1 raw byte    03     13 bytes

The checksum is the XOR of the five bytes that the ten digits spell, version byte included. Sources: Seeed-WiKi
125Khz_RFID_module-UART.md; BruceDevices/firmware #2014 (version byte); esphome/issues #3610 (clone).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import xor
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Badge, Decoder, Event, Rejected, is_zero

STX = 0x02
MODULE = re.compile(rb"\x02([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})\x03")
CLONE = re.compile(rb"\x02([0-9A-Fa-f]{10})(.)\x03", re.DOTALL)
BEGUN = re.compile(rb"\x02(?:[0-9A-Fa-f]{0,10}|[0-9A-Fa-f]{10}.|[0-9A-Fa-f]{12})", re.DOTALL)
"""What may still become one of the two. They are told apart by length: a raw checksum may itself be 02 or 03."""
HEX_DIGITS = b"0123456789ABCDEFabcdef"
BROKEN = (1, Rejected("framing"))
"""Only the start byte is dropped: the next one may be anywhere behind it."""


class Rdm6300(Decoder):
    """Decodes both forms at once: only one of them can have its end byte in place.

    Valid frames without a card near are real (esp-rfid #411 logged eight): a checksum is no proof, `confirm = 2` in the
    lab asks for two equal ones. Only zeros are rejected here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lost = False
        """Between frames, in bytes that were already rejected."""

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _take(self) -> Iterator[Event]:
        while self._buffer:
            if self._buffer[0] != STX:
                # One stretch of stray bytes is one fault, however long: 36 37 ... 42 03 before the first 02.
                start = self._buffer.find(STX)
                del self._buffer[: start if start > 0 else len(self._buffer)]
                if not self._lost:
                    self._lost = True
                    yield Rejected("framing")
                continue
            frame = _frame(self._buffer)
            if frame is None:
                return
            size, event = frame
            del self._buffer[:size]
            self._lost = frame == BROKEN
            yield event

    def _cut_off(self) -> bool:
        self._lost = False
        return bool(self._buffer)


def _frame(data: bytearray) -> tuple[int, Event] | None:
    """How many bytes to take off the front, and what they were; None while more bytes are needed."""
    # 02 "67003B51C6" "CB" 03
    if whole := MODULE.match(data):
        return whole.end(), _checked(whole[1], int(whole[2], 16))
    # 02 "0114AE3BBC" 3c 03
    if whole := CLONE.match(data):
        event = _checked(whole[1], whole[2][0])
        # A module's frame that lost one digit looks like this too, with a digit where a clone has its raw byte.
        lost_digit = event == Rejected("checksum") and whole[2] in HEX_DIGITS
        return BROKEN if lost_digit else (whole.end(), event)
    return None if BEGUN.fullmatch(data) else BROKEN


def _checked(digits: bytes, told: int) -> Event:
    uid = digits.decode("ascii").upper()
    if reduce(xor, bytes.fromhex(uid)) != told:
        return Rejected("checksum")
    return Rejected("noise") if is_zero(uid) else Badge(uid)
