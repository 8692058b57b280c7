"""Gwiot 7941E and its relatives 7941D and 7941B (125 kHz and 13.56 MHz), serial form, 9600 8N1.

    02  length  type  number  check  03

`length` counts the whole frame: 0A with a number of five bytes (EM4100, HID, T5567), 09 with the four of a Mifare card.
`check` is the XOR of all bytes between the start byte and itself. Numbers and check are raw and may be 02 or 03, so the
length frames, not the end byte. Sources: gutierrezps/gwiot7941e doc; makeitlabs/ratt-app RFID.py (a capture); vendors'
pages of the 7941E and 7941D (the length 09, the types above 11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from firmware_bridge.options import known_only
from firmware_bridge.readers.base import Badge, Event
from firmware_bridge.readers.framed import Framed, checked, xor_of

TYPES = rb"[\x01-\x03\x10\x11\x20-\x22\x30\x50]"
"""01 Mifare 1K, 02 EM4100, 03 Mifare 4K, 10 HID, 11 T5567; 20 ID card, 21 ISO 14443 B, 22 FeliCa, 30 15693, 50 CPU."""


class Gwiot7941(Framed):
    """The card's type is told as a detail: a number of one type is no number of another only by its length."""

    whole = re.compile(rb"\x02(?:\x0a(" + TYPES + rb")(.{5})|\x09(" + TYPES + rb")(.{4}))(.)\x03", re.DOTALL)
    begun = re.compile(rb"\x02(?:\x0a(?:" + TYPES + rb".{0,6})?|\x09(?:" + TYPES + rb".{0,5})?)?", re.DOTALL)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Self:
        """Takes no options."""
        known_only(table, ())
        return cls()

    def _read(self, frame: re.Match[bytes]) -> Event:
        kind, number = (frame[1], frame[2]) if frame[1] else (frame[3], frame[4])
        event = checked(number, frame[5][0], xor_of(frame[0][1:-2]))
        return replace(event, details={"card_type": kind[0]}) if isinstance(event, Badge) else event
