"""Parallax RFID card reader 28140 (serial) and 28340 (USB) (EM4100, 125 kHz), 2400 8N1.

    LF  10 hex digits  CR       12 bytes

There is no checksum: ten digits between LF and CR are believed. A lab that wants more writes `confirm = 2`; the reader
repeats its frame while the card stays. Source: Parallax RFID Card Reader manual v2.1, page 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Badge, Event, Rejected, is_zero
from firmware_bridge.readers.framed import Framed


class Parallax(Framed):
    """A start byte is the only thing that tells a frame from digits on the line."""

    baud = 2400
    start = 0x0A
    whole = re.compile(rb"\n([0-9A-Fa-f]{10})\r")
    begun = re.compile(rb"\n[0-9A-Fa-f]{0,10}")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        uid = frame[1].decode("ascii").upper()
        return Rejected("noise") if is_zero(uid) else Badge(uid)
