"""Elatec TWN4 with the Simple Protocol's firmware, 9600 8N1 on its COM port, any speed on USB.

    text     hex digits, CR                          "000104200412345678" CR
    binary   length (2, low byte first), bytes       0D 00 00 01 ...

The first byte of an answer is an error code, 00 for none. Either form may end with a CRC-16 over all bytes before it
(reflected polynomial 8408, begins with FFFF, low byte first), which the binary length counts. SearchTag (05 00) is
answered with: found, type, bits of the number, length, number; ISO14443_SearchMultiTag with: found, count, bytes in
all, then length and number of each. Sources: Elatec TWN4 Simple Protocol DocRev17 (in thenewwazoo/elatec-twn4-simple);
the reference messages of Elatec's own firmware for GetUSBType.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.options import OptionError, choice, known_only
from firmware_bridge.readers.asking import Asking, Broken, Found, Request, Skip, Stray, Whole
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Event, Rejected, is_zero

SEARCH_TAG = b"\x05\x00"
NUMBER_BYTES_MIN, NUMBER_BYTES_MAX = 3, 32
PAUSE_MS = 200
SILENCE_MS = 700
"""A search over every kind of tag takes its time."""
ERROR_CODES = 0x20
"""All that are known lie below; in the binary form this tells a frame from noise."""
LINE_END = b"\r\n"
TEXT = re.compile(rb"[0-9A-Fa-f]*")
CRC_BYTES = 2
FOUND = b"\0\x01"
"""No error, and yes."""


@dataclass(frozen=True)
class Options:
    """How the firmware was built: what is asked. Answers are understood in every form."""

    form: str = "text"
    """text or binary."""
    crc: bool = False
    """True: an answer without its CRC is rejected."""


class Twn4(Asking):
    """Asks for a tag five times a second."""

    padding = LINE_END

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self._options = options or Options()
        self._heard = False

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """The options `form` (text or binary) and `crc` (true or false)."""
        known_only(table, ("form", "crc"))
        crc = table.get("crc", False)
        if not isinstance(crc, bool):
            raise OptionError("crc", "must be true or false")
        return cls(Options(choice(table, "form", ("text", "binary"), "text"), crc))

    def opening(self) -> Request:
        """Look for a tag. A line end first would be an empty command to the reader, so there is none."""
        self._heard = False
        return Request(framed(SEARCH_TAG + bytes((NUMBER_BYTES_MAX,)), self._options), silence_ms=SILENCE_MS)

    def following(self) -> Request | None:
        """The next search, after the answer to the last one."""
        heard, self._heard = self._heard, False
        return Request(self.opening().data, after_ms=PAUSE_MS, silence_ms=SILENCE_MS) if heard else None

    def _look(self, data: bytearray) -> Found:
        if len(data) == 1:
            return None
        # The high byte of a length is zero in every frame that we take, and no digit is; a length may be a line end.
        if data[1] == 0:
            return self._binary(data)
        return Skip(1) if data[0] in LINE_END else self._text(data)

    def _binary(self, data: bytearray) -> Found:
        size = 2 + data[0]
        if data[0] == 0 or size >= FRAME_BYTES_MAX or (len(data) > 2 and data[2] >= ERROR_CODES):
            return Stray(1)
        return self._meant(bytes(data[2:size]), size) if len(data) >= size else None

    def _text(self, data: bytearray) -> Found:
        line = TEXT.match(data)
        digits = line.end() if line else 0
        if digits >= FRAME_BYTES_MAX - 1:
            return Stray(FRAME_BYTES_MAX - 1, "too_long")
        if digits == len(data):
            return None
        if digits == 0 or data[digits] not in LINE_END:
            return Stray(max(1, digits))
        if digits % 2:
            return Stray(digits)
        return self._meant(bytes.fromhex(data[:digits].decode("ascii")), digits + 1)

    def _meant(self, told: bytes, size: int) -> Found:
        events = _answer(told, must_check=self._options.crc)
        if events == (Rejected("checksum"),):
            return Broken(size, "checksum")
        self._heard = True
        return Whole(size, events)


def framed(command: bytes, options: Options) -> bytes:
    """A command of the host in the form that the reader was built for."""
    data = command + crc16(command).to_bytes(CRC_BYTES, "little") if options.crc else command
    if options.form == "binary":
        return len(data).to_bytes(2, "little") + data
    return data.hex().upper().encode("ascii") + b"\r"


def crc16(data: bytes) -> int:
    """Elatec's: reflected polynomial 8408, begins with FFFF, not inverted; 00 01 gives E131, sent 31 E1."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
    return crc


def _answer(told: bytes, *, must_check: bool) -> tuple[Event, ...]:
    """What an answer says, with its CRC or without; nothing for answers to other questions."""
    body, check = told[:-CRC_BYTES], told[-CRC_BYTES:]
    checks = len(told) > CRC_BYTES and crc16(body) == int.from_bytes(check, "little")
    if not checks and (must_check or (_numbers(body) and not _numbers(told))):
        return (Rejected("checksum"),)
    answer = body if checks else told
    if answer[0]:
        return (Rejected("reader_error"),)
    return tuple(Rejected("noise") if is_zero(uid) else Badge(uid) for uid in _numbers(answer))


def _numbers(answer: bytes) -> list[str]:
    """The numbers of the tags, where the answer is one to a search and every length in it fits."""
    # 00 01 | 80 20 04 | 12345678
    if answer[:2] != FOUND or len(answer) < 5 + NUMBER_BYTES_MIN:
        return []
    if len(answer) == 5 + answer[4] and (answer[3] + 7) // 8 == answer[4]:
        return [answer[5:].hex().upper()]
    # 00 01 | 03 18 | 07 04D7A79A973780 07 042DA79A973780 07 0450A79A973780
    return _list(answer[4:], answer[2]) if len(answer) == 4 + answer[3] else []


def _list(data: bytes, count: int) -> list[str]:
    numbers: list[str] = []
    while data and data[0] >= NUMBER_BYTES_MIN and len(data) > data[0]:
        numbers.append(data[1 : 1 + data[0]].hex().upper())
        data = data[1 + data[0] :]
    return numbers if not data and len(numbers) == count else []
