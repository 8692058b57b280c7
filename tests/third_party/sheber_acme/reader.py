"""Acme's reader: `#`, four bytes as hex, `*`, their exclusive or as hex, line feed; 19200 baud.

#04A1B2C3*D4\n
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Event
from firmware_bridge.readers.framed import Framed, checked, xor_of


class AcmeReader(Framed):
    """`protocol = "acme-rfid"`; it has no options."""

    baud = 19_200
    start = ord("#")
    whole = re.compile(rb"#([0-9A-F]{8})\*([0-9A-F]{2})\n")
    begun = re.compile(rb"#[0-9A-F]{0,8}(?:(?<=#.{8})\*[0-9A-F]{0,2})?")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Raises `OptionError` for any option."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        number = bytes.fromhex(frame[1].decode("ascii"))
        return checked(number, int(frame[2], 16), xor_of(number))
