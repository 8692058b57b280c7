"""YRM100 and R200 (UHF, EPC Gen2 / ISO/IEC 18000-63), 115200 8N1.

    head  type  command  length (2)  parameters  sum  tail      BB ... 7E, or AA ... DD on other makes

`sum` is the sum of all bytes from the type to the last parameter, modulo 256. Head and tail may stand in parameters and
in the sum, so the length frames. Type 00 is the host's command, 01 the answer, 02 a notice: command 22 brings a tag as
RSSI, PC (2), EPC, CRC-16 (2). Sources: anteploon/yrm100lib doc; playfultechnology/arduino-rfid-R200 "R200 user protocol
V2.3.3"; the tag's CRC is CRC-16/GENIBUS over PC and EPC (GS1 EPC Gen2, annex F).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import choice, known_only
from firmware_bridge.readers.asking import Asking, Broken, Found, Request, Stray, Whole
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Event, Rejected, is_zero

TAILS = {0xBB: 0x7E, 0xAA: 0xDD}
HEADS = tuple(TAILS)
ANSWER, NOTICE = 0x01, 0x02
SINGLE_POLL, MULTI_POLL, FAILED = 0x22, 0x27, 0xFF
NO_TAG = 0x15
FRAME_AROUND = 7
"""Head, type, command, length, sum and tail."""
MULTI_POLL_TIMES = 0xFFFF
SILENCE_MS = 700
SINGLE_PAUSE_MS = 100
TAG_AROUND = 5
"""RSSI, PC and CRC."""


class Yrm100(Asking):
    """`poll = "multi"` starts it once and again when it falls silent; "single" asks ten times a second.

    Which of the two pairs of marks it speaks is found out: the other is tried after a silence.
    """

    baud = 115_200

    def __init__(self, poll: str = "multi") -> None:
        super().__init__()
        self._poll = poll
        self._head = HEADS[0]
        self._heard = False
        """Did a frame come since the last `following`?"""
        self._known = False
        """Did it ever answer with its head?"""

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """The option `poll`: multi (default) or single."""
        known_only(table, ("poll",))
        return cls(choice(table, "poll", ("multi", "single"), "multi"))

    def opening(self) -> Request:
        """Look for tags."""
        self._heard = False
        if self._poll == "single":
            return Request(framed(self._head, SINGLE_POLL, b""), silence_ms=SILENCE_MS)
        times = bytes((0x22,)) + MULTI_POLL_TIMES.to_bytes(2, "big")
        return Request(framed(self._head, MULTI_POLL, times), silence_ms=SILENCE_MS)

    def following(self) -> Request | None:
        """Nothing, while it speaks by itself."""
        heard, self._heard = self._heard, False
        if not heard or self._poll == "multi":
            return None
        return Request(self.opening().data, after_ms=SINGLE_PAUSE_MS, silence_ms=SILENCE_MS)

    def unanswered(self) -> Request:
        """Begin anew; with the other marks, unless it has answered with these before."""
        if not self._known:
            self._head = HEADS[1 - HEADS.index(self._head)]
        return self.opening()

    def _look(self, data: bytearray) -> Found:
        if data[0] not in TAILS:
            begins = [at for at in map(data.find, HEADS) if at > 0]
            return Stray(min(begins, default=len(data)))
        if len(data) > 1 and data[1] > NOTICE:
            return Broken(1, "framing")
        if len(data) < 5:
            return None
        length = int.from_bytes(data[3:5], "big")
        size = length + FRAME_AROUND
        if size >= FRAME_BYTES_MAX:
            return Broken(1, "framing")
        if len(data) < size:
            return None
        if data[size - 1] != TAILS[data[0]]:
            return Broken(1, "framing")
        if sum(data[1 : size - 2]) & 0xFF != data[size - 2]:
            return Broken(size, "checksum")
        self._heard, self._known, self._head = True, True, data[0]
        event = _meant(data[1], data[2], bytes(data[5 : 5 + length]))
        return Whole(size, () if event is None else (event,))


def framed(head: int, command: int, parameters: bytes) -> bytes:
    """A command of the host between the marks that belong to `head`."""
    body = bytes((0x00, command)) + len(parameters).to_bytes(2, "big") + parameters
    return bytes((head,)) + body + bytes((sum(body) & 0xFF, TAILS[head]))


def crc16(data: bytes) -> int:
    """CRC-16/GENIBUS: polynomial 1021, most significant bit first, begins with FFFF, inverted at the end."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc ^ 0xFFFF


def _meant(kind: int, command: int, parameters: bytes) -> Event | None:
    if (kind, command) == (NOTICE, SINGLE_POLL):
        return _tag(parameters)
    # AA 01 FF 00 01 15 16 DD between the hits of a multi-poll: no tag in the field.
    if (kind, command) == (ANSWER, FAILED) and parameters[:1] != bytes((NO_TAG,)):
        return Rejected("reader_error")
    return None


def _tag(parameters: bytes) -> Event:
    """RSSI, PC, EPC, CRC; the PC's first five bits count the EPC's words of two bytes."""
    told, check = parameters[1:-2], parameters[-2:]
    if len(parameters) <= TAG_AROUND or (told[0] >> 3) * 2 != len(told) - 2:
        return Rejected("format")
    if crc16(told) != int.from_bytes(check, "big"):
        return Rejected("checksum")
    epc = told[2:].hex().upper()
    rssi_dbm = int.from_bytes(parameters[:1], "big", signed=True)
    return Rejected("noise") if is_zero(epc) else Badge(epc, {"rssi_dbm": rssi_dbm, "pc": told[:2].hex().upper()})
