"""ID-2, ID-12 and ID-20, LA and older (EM4100, 125 kHz), ASCII output, 9600 8N1.

    02  10 hex digits  2 hex digits  CR LF  03      16 bytes

The checksum is the RDM6300's: the XOR of the five bytes that the ten digits spell. Sources: ID-2LA/12LA/20LA data
sheet (SparkFun DS-11828); esphome/esphome #13753. Copies that leave out one of CR and LF, or turn them round, are read
as well; without either the frame is an RDM6300's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Event
from firmware_bridge.readers.framed import Framed, checked, xor_of


class Id12(Framed):
    """One frame a card, when it comes near; the reader itself does not repeat it."""

    whole = re.compile(rb"\x02([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})(?:\r\n?|\n\r?)\x03")
    begun = re.compile(rb"\x02(?:[0-9A-Fa-f]{12}(?:\r\n?|\n\r?)|[0-9A-Fa-f]{0,12})")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        number = bytes.fromhex(frame[1].decode("ascii"))
        return checked(number, int(frame[2], 16), xor_of(number))
