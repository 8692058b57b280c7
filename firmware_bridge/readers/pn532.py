"""PN532 on its high speed UART (13.56 MHz, ISO/IEC 14443 A), 115200 8N1.

    00 00 FF  LEN LCS           D5 code data...  DCS 00      LEN + LCS = 0 and D5 + ... + DCS = 0, modulo 256
    00 00 FF  FF FF LEN16 LCS   D5 code data...  DCS 00      the same for more than 255 bytes
    00 00 FF  00 FF 00  ACK     00 00 FF FF 00 00  NACK      00 00 FF 01 FF 7F 81 00  syntax error

The zeros before and behind are any number, none at the end of a read included. D4 in place of D5 is the host's own
word, which a sniffer hears as well. Sources: PN532 user manual UM0701-02, sections 6.2.1 (frames), 7.2.10
SAMConfiguration, 7.3.1 RFConfiguration, 7.3.5 InListPassiveTarget; nfcpy
tests/base_clf_pn53x.py; libnfc #85, #355, #739.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.asking import Asking, Broken, Found, Request, Skip, Stray, Whole
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Event, Rejected, is_zero

TO_READER, FROM_READER, SYNTAX_ERROR = 0xD4, 0xD5, 0x7F
SAM_CONFIGURATION, RF_CONFIGURATION, IN_LIST_PASSIVE_TARGET = 0x14, 0x32, 0x4A
WAKE_UP = b"\x55\x55" + bytes(14)
"""A sleeping PN532 needs a rising edge and 2 ms before the first frame: zeros that it skips."""
SIX_TRIES = bytes((RF_CONFIGURATION, 0x05, 0xFF, 0x01, 0x05))
"""Six tries at a card, then the answer "none": a reader that says so is alive, one that waits for ever might not be."""
POLL = bytes((IN_LIST_PASSIVE_TARGET, 0x02, 0x00))
"""Two cards at 106 kbit/s, type A: as many as it can hold."""
POLL_PAUSE_MS = 200
"""A card that stays is seen some four times a second, far more often than the domain's de-bounce asks for."""
HAS_ATS = 0x20
"""In SAK: the card speaks ISO/IEC 14443-4, and its answer to select follows the number."""
CASCADE_TAG = 0x88
ATS_COUNTS_ITSELF = 1


class Pn532(Asking):
    """Wakes the reader, sets it up, then asks for cards for ever; begins anew after silence, a reset or an error.

    The number is what the card says in its anticollision, whatever follows it: 4, 7 or 10 bytes.
    """

    baud = 115_200
    padding = b"\0"

    def __init__(self) -> None:
        super().__init__()
        self._answer: int | None = None
        """The code of the answer that nothing was said to yet; `SYNTAX_ERROR` for what asks for a new beginning."""

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def opening(self) -> Request:
        """Wake it; normal mode, no SAM."""
        self._answer = None
        return Request(WAKE_UP + framed(bytes((SAM_CONFIGURATION, 0x01, 0x14, 0x01))))

    def following(self) -> Request | None:
        """The next step of the set-up, then card after card."""
        answer, self._answer = self._answer, None
        match answer:
            case None:
                return None
            case 0x15:
                return Request(framed(SIX_TRIES))
            case 0x33:
                return Request(framed(POLL))
            case 0x4B:
                return Request(framed(POLL), after_ms=POLL_PAUSE_MS)
            case _:
                begin = self.opening()
                return Request(begin.data, after_ms=POLL_PAUSE_MS)

    def _look(self, data: bytearray) -> Found:
        zeros = len(data) - len(data.lstrip(b"\0"))
        if zeros == 0:
            return _stray(data)
        if zeros > 1:
            return Skip(zeros - 1)
        if len(data) == 1:
            return None
        return self._frame(data) if data[1] == 0xFF else Skip(1)

    def _frame(self, data: bytearray) -> Found:
        """`data` begins with 00 FF."""
        if len(data) < 4:
            return None
        # 00 00 FF 00 FF 00 and 00 00 FF FF 00 00
        if bytes(data[2:4]) in (b"\x00\xff", b"\xff\x00"):
            return Whole(4)
        begin = 7 if data[2:4] == b"\xff\xff" else 4
        if len(data) < begin:
            return None
        if sum(data[begin - (3 if begin == 7 else 2) : begin]) & 0xFF:
            return Broken(begin, "length_checksum")
        length = int.from_bytes(data[4:6], "big") if begin == 7 else data[2]
        if begin + length + 1 >= FRAME_BYTES_MAX:
            return Broken(begin, "too_long")
        if len(data) < begin + length + 1:
            return None
        size = begin + length + 1
        if length == 0:
            return Broken(size, "framing")
        if sum(data[begin:size]) & 0xFF:
            return Broken(size, "data_checksum")
        return self._meant(bytes(data[begin : size - 1]), size)

    def _meant(self, told: bytes, size: int) -> Found:
        if told[0] == TO_READER:
            return Whole(size)
        if told == bytes((SYNTAX_ERROR,)):
            self._answer = SYNTAX_ERROR
            return Whole(size, (Rejected("reader_error"),))
        if told[0] != FROM_READER or len(told) == 1:
            return Broken(size, "tfi")
        self._answer = told[1]
        listed = told[1] == IN_LIST_PASSIVE_TARGET + 1
        return Whole(size, tuple(_targets(told[2:])) if listed else ())


def framed(command: bytes) -> bytes:
    """A command of the host as the reader wants it."""
    data = bytes((TO_READER,)) + command
    return b"\0\0\xff" + bytes((len(data), -len(data) & 0xFF)) + data + bytes((-sum(data) & 0xFF, 0))


def _stray(data: bytearray) -> Found:
    """Bytes before any start code; a frame that only lost its own is told as that."""
    if len(data) < 2 or (not sum(data[:2]) & 0xFF and len(data) < 3):
        return None
    # 00 00 [00 for FF] 05 FB D5 01 ...
    without_start = not sum(data[:2]) & 0xFF and data[2] == FROM_READER
    zero = data.find(b"\0")
    return Stray(zero if zero > 0 else len(data), "no_sof" if without_start else "noise")


def _targets(listed: bytes) -> Iterator[Event]:
    """The cards of an answer: number of them, then of each its number, SENS_RES (2), SEL_RES, length, NFCID1, ATS."""
    count, at = listed[0] if listed else 0, 1
    for _ in range(count):
        target = listed[at : at + 5]
        uid = listed[at + 5 : at + 5 + (target[4] if len(target) == 5 else 0)]
        # Four bytes that begin with a cascade tag are three bytes of a longer number, which many cards share.
        if len(uid) not in (4, 7, 10) or len(uid) != target[4] or (len(uid) == 4 and uid[0] == CASCADE_TAG):
            yield Rejected("format")
            return
        number = uid.hex().upper()
        details = {"atqa": target[1:3].hex().upper(), "sak": target[3:4].hex().upper()}
        yield Rejected("noise") if is_zero(number) else Badge(number, details)
        at += 5 + len(uid)
        if target[3] & HAS_ATS and at < len(listed):
            at += max(ATS_COUNTS_ITSELF, listed[at])
