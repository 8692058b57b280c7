"""WL-134 and WL-134A (FDX-B and HDX, 134.2 kHz; ISO 11784/11785), 9600 8N1.

    02  10 digits: national id   4: country   1: data flag   1: animal flag   10: reserved   check  ~check  03 or 07

The digits are hexadecimal, each field with its least significant digit first. `check` is the XOR of the 26 digits'
bytes and is followed by its complement, both raw: they may be 02 or 03, so the frame is 30 bytes, whatever is in them.
The end byte is 03 after an FDX-B tag, 07 after an HDX one. Sources: forum.arduino.cc/t/912859; Makuna/Rfid134 #10, #16.

The badge number is country (16 bits) and national id (40 bits), most significant digit first, as other FDX-B readers
send it: `03843A3529A171` is the tag printed 900 250000023921. ISO 11784 gives them 10 and 38 bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Badge, Event, Rejected
from firmware_bridge.readers.framed import Framed, xor_of

COUNTRY_BITS, NATIONAL_BITS = 10, 38


class Wl134a(Framed):
    """Sends a tag's frame once when it comes near, in reset mode again and again."""

    whole = re.compile(rb"\x02([0-9A-Fa-f]{26})(.)(.)[\x03\x07]", re.DOTALL)
    begun = re.compile(rb"\x02(?:[0-9A-Fa-f]{26}.{1,2}|[0-9A-Fa-f]{0,26})", re.DOTALL)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        check = xor_of(frame[1])
        if frame[2][0] != check or frame[3][0] != check ^ 0xFF:
            return Rejected("checksum")
        national_id, country = _number(frame[1][:10]), _number(frame[1][10:14])
        # Nothing that ISO 11784 lets a tag hold: zeros, or more than its bits.
        if not national_id or national_id >> NATIONAL_BITS or country >> COUNTRY_BITS:
            return Rejected("noise")
        details: dict[str, str | int] = {"country": country, "national_id": f"{national_id:012d}"}
        return Badge(f"{country:04X}{national_id:010X}", details)


def _number(digits: bytes) -> int:
    """The number that hex digits spell, least significant first."""
    return int(digits[::-1], 16)
