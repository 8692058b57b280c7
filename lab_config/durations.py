"""Durations as people write them: `"3s"`, `"1h30min"`, `"2d"`, `"500ms"`, or a number of seconds."""

from __future__ import annotations

import math
import re
from fractions import Fraction

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000, "ms": 1}
"""The units there are, largest first, as they must be written."""

LONGEST_MS = 36_500 * UNITS_MS["d"]
"""A hundred years: longer is a slip of the keyboard."""

_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([A-Za-z]+)\s*", re.ASCII)


def parse_duration(value: object) -> int:
    """The whole milliseconds of a text like `1h30min` or a number of seconds.

    Raises `ValueError`, with a sentence about what is wrong, for anything else.
    """
    if isinstance(value, str):
        milliseconds = _parse_text(value)
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("it is not a duration.")
    else:
        milliseconds = Fraction(str(value)) * 1000
    if milliseconds < 0:
        raise ValueError("a duration cannot be negative.")
    if milliseconds > LONGEST_MS:
        raise ValueError("it is longer than a hundred years.")
    if milliseconds.denominator != 1:
        raise ValueError("it is finer than a millisecond.")
    return int(milliseconds)


def format_duration(milliseconds: int) -> str:
    """The shortest text that `parse_duration` reads as these milliseconds, in hours and below: `168h45min`."""
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit in ("h", "min", "s", "ms"):
        count, milliseconds = divmod(milliseconds, UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _parse_text(text: str) -> Fraction:
    units = list(UNITS_MS)
    total, position, last = Fraction(0), 0, -1
    text = text.strip()
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f"“{text}” is not a duration.")
        number, unit = match.groups()
        if unit not in UNITS_MS:
            raise ValueError(f"“{unit}” is not a unit of time.")
        if units.index(unit) <= last:
            raise ValueError("the units go from large to small, each once.")
        last = units.index(unit)
        total += Fraction(number) * UNITS_MS[unit]
        position = match.end()
    if last < 0:
        raise ValueError("it is empty.")
    return total
