"""Any reader that sends one badge a line, ended by CR, LF or both.

    hex      04:D7:A7:9A:97:37:80   the bytes of the number, with or without : - or space between them
    decimal  0008123456             10 digits: 32 bits; 8 digits: 24 bits; 13 digits: all 40 bits of an EM4100 card
    wiegand  123,45678              facility and card: 24 bits; 5 and 5 digits, 00123,45678: 32 bits

The digits are padded with zeros, so their count says how many bits they spell; a count that spells none is refused, not
guessed. Source of the decimal forms: what is printed on EM4100 cards (tests/captures/printed.jsonl).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.options import choice, known_only
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Decoder, Event, Rejected, is_zero

END = re.compile(rb"[\r\n]")
HEX = re.compile(r"[0-9A-Fa-f]+(?:[:\- ][0-9A-Fa-f]+)*")
DECIMAL_BITS = {8: 24, 10: 32, 13: 40}
"""Digits to the bits that they spell."""
WIEGAND = re.compile(r"([0-9]{1,3}),([0-9]{1,5})|([0-9]{5}),([0-9]{5})")
UID_BYTES = range(3, 33)
"""The shortest number is Wiegand's 24 bits, the longest a UHF code of 256."""


@dataclass(frozen=True)
class Options:
    """`format`: `hex`, `decimal` or `wiegand`."""

    format: str = "hex"

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Raises `OptionError` for anything but a known `format`."""
        known_only(table, ("format",))
        return cls(choice(table, "format", FORMATS, "hex"))


class Line(Decoder):
    """One badge a line; empty lines are nothing."""

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self._number = FORMATS[(options or Options()).format]
        self._skipping = False
        """In a line that was already rejected as too long."""

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """A decoder for the lines that `format` says."""
        return cls(Options.from_table(table))

    def _take(self) -> Iterator[Event]:
        while end := END.search(self._buffer):
            line = bytes(self._buffer[: end.start()])
            del self._buffer[: end.end()]
            if self._skipping:
                self._skipping = False
            elif len(line) >= FRAME_BYTES_MAX:
                yield Rejected("too_long")
            elif line.strip():
                yield self._read(line)
        if len(self._buffer) >= FRAME_BYTES_MAX:
            self._buffer.clear()
            if not self._skipping:
                self._skipping = True
                yield Rejected("too_long")

    def _cut_off(self) -> bool:
        skipping, self._skipping = self._skipping, False
        return bool(self._buffer.strip()) and not skipping

    def _read(self, line: bytes) -> Event:
        if not line.isascii() or not line.strip().decode("ascii").isprintable():
            return Rejected("noise")
        uid = self._number(line.strip().decode("ascii"))
        if uid is None:
            return Rejected("format")
        return Rejected("noise") if is_zero(uid) else Badge(uid)


def _hex(line: str) -> str | None:
    digits = re.sub(r"[:\- ]", "", line)
    if not HEX.fullmatch(line) or len(digits) % 2 or len(digits) // 2 not in UID_BYTES:
        return None
    return digits.upper()


def _decimal(line: str) -> str | None:
    bits = DECIMAL_BITS.get(len(line))
    if bits is None or not re.fullmatch("[0-9]+", line) or int(line) >> bits:
        return None
    return f"{int(line):0{bits // 4}X}"


def _wiegand(line: str) -> str | None:
    parts = WIEGAND.fullmatch(line)
    if parts is None:
        return None
    high, low, facility_bytes = (parts[1], parts[2], 1) if parts[1] else (parts[3], parts[4], 2)
    facility, card = int(high), int(low)
    if facility >> 8 * facility_bytes or card >> 16:
        return None
    return f"{facility:0{2 * facility_bytes}X}{card:04X}"


FORMATS = {"hex": _hex, "decimal": _decimal, "wiegand": _wiegand}
