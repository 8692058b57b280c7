"""RDM6300 / RDM630 (EM4100, 125 kHz), 9600 8N1, and its clone with a raw checksum byte.

    module  02  10 hex digits  2 hex digits  03     14 bytes
    clone   02  10 hex digits  1 raw byte    03     13 bytes

The checksum is the XOR of the five bytes that the ten digits spell, version byte included. Sources: Seeed-WiKi
125Khz_RFID_module-UART.md; BruceDevices/firmware #2014 (version byte); esphome/issues #3610 (clone).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Event, Rejected
from firmware_bridge.readers.framed import Framed, checked, xor_of

HEX_DIGITS = b"0123456789ABCDEFabcdef"


class Rdm6300(Framed):
    """Decodes both forms at once: only one of them can have its end byte in place.

    They are told apart by length: a raw checksum may itself be 02 or 03. Valid frames without a card near are real
    (esp-rfid #411 logged eight): a checksum is no proof, `confirm = 2` in the lab asks for two equal ones. Only zeros
    are rejected here.
    """

    whole = re.compile(rb"\x02([0-9A-Fa-f]{10})(?:([0-9A-Fa-f]{2})|(.))\x03", re.DOTALL)
    begun = re.compile(rb"\x02(?:[0-9A-Fa-f]{12}|[0-9A-Fa-f]{10}.|[0-9A-Fa-f]{0,10})", re.DOTALL)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        number = bytes.fromhex(frame[1].decode("ascii"))
        if frame[2]:  # 02 "67003B51C6" "CB" 03
            return checked(number, int(frame[2], 16), xor_of(number))
        event = checked(number, frame[3][0], xor_of(number))  # 02 "0114AE3BBC" 3c 03
        # A module's frame that lost one digit looks like this too, with a digit where a clone has its raw byte.
        lost_digit = event == Rejected("checksum") and frame[3] in HEX_DIGITS
        return Rejected("framing") if lost_digit else event
