"""What a person sees in a cell of a workbook, as text: dates, times and numbers by their format. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from kiosk.phrases import N_

DATE, TIME, SPAN, DATE_TIME, NUMBER = "date", "time", "span", "date and time", "number"

_BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)), DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35), TIME),
    22: DATE_TIME,
    45: SPAN,  # mm:ss
    46: SPAN,
    47: SPAN,
}
"""Number formats that have no code in the file (ECMA-376 part 1, 18.8.30, and its lists for other languages)."""

_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_ZEROS = re.compile(r"0{2,40}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2})(?::[0-9.]*)?Z?)?")
_DAY_MS = 86_400_000
_FIRST, _LAST = 61, 2_958_465
"""Serial days from 1900-03-01, the first that every program counts alike, to 9999-12-31."""
_MOST_EXACT = 10**15
"""Spreadsheet programs keep 15 digits of a number."""
_AS_TEXT = N_("format the column as text and type it anew")


@dataclass(frozen=True)
class Style:
    """How a cell's number is shown."""

    kind: str = NUMBER
    width: int = 0
    """Digits it is filled up to with zeros."""


@dataclass(frozen=True)
class Seen:
    """What a person sees in a cell, or what is wrong with it (`what` and `remedy`, message ids)."""

    text: str
    number: bool = False
    """Does the workbook hold a number here, so that zeros before it are lost?"""
    what: str = ""
    remedy: str = ""


def style_of(number: str, code: str | None) -> Style:
    """The style of a number format: `number` is its id, `code` its text where the file has one."""
    if code is None:
        return Style(_BUILT_IN.get(int(number), NUMBER)) if re.fullmatch("[0-9]{1,9}", number) else Style()
    plain = _QUOTED.sub("", code.split(";")[0])
    if _ELAPSED.search(plain):
        return Style(SPAN)
    plain = _BRACKETS.sub("", plain).lower().replace("general", "")
    if _ZEROS.fullmatch(plain):
        return Style(NUMBER, len(plain))
    letters = set(plain) & set("dmyhs")
    if not letters:
        return Style()
    if letters & set("hs"):
        return Style(DATE_TIME if letters & set("dy") else TIME)
    return Style(DATE)


def cell_text(kind: str, value: str, style: Style, from_1904: bool, formula: bool) -> Seen:
    """The text of a cell of `kind` (its `t`), whose `value` is already looked up where it is a shared string."""
    if formula and not value and kind != "str":
        return _flawed(
            value,
            N_("the cell holds a formula that was never computed"),
            N_("open the file in a spreadsheet program and save it, or type the value"),
        )
    if kind in {"s", "str", "inlineStr"}:
        return Seen(value)
    if kind == "e":
        return _flawed(value, N_("the cell shows an error: %(seen)s"), N_("type the value"))
    if not value:
        return Seen("")
    if kind == "b":
        return Seen("TRUE" if value.strip() in {"1", "true"} else "FALSE")
    if kind == "d":
        return _iso(value.strip())
    return _number(value.strip(), style, from_1904)


def _flawed(text: str, what: str, remedy: str) -> Seen:
    return Seen("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:40]), False, what, remedy)


def _iso(value: str) -> Seen:
    match = _ISO.fullmatch(value)
    if match is None:
        return _flawed(value, N_("the cell holds a date that is none: %(seen)s"), N_("write a day as 2026-09-01"))
    return Seen(match[1] if match[2] in (None, "00:00") else f"{match[1]} {match[2]}")


def _number(value: str, style: Style, from_1904: bool) -> Seen:
    if not _NUMBER.fullmatch(value) or not math.isfinite(float(value)):
        return _flawed(value, N_("the cell holds a number that is none: %(seen)s"), N_("type the value"))
    found = Fraction(float(value))
    if style.kind == NUMBER:
        return _plain(found, style)
    if style.kind == SPAN:
        return Seen(_span(found), True) if 0 <= found < 10_000 else _no_time(value)
    if style.kind == TIME:
        return Seen(_span(found), True) if 0 <= found < 1 else _no_time(value)
    return _dated(found, style, from_1904)


def _plain(found: Fraction, style: Style) -> Seen:
    if abs(found) >= _MOST_EXACT:
        what = N_("the number has more than 15 digits, of which spreadsheet programs keep only the first 15")
        return _flawed(f"{float(found):.15g}", what, _AS_TEXT)
    text = f"{float(found):.15g}"
    if "e" in text:
        text = f"{float(found):.20f}".rstrip("0").rstrip(".")
    return Seen(text.zfill(style.width) if found.denominator == 1 and found >= 0 else text, True)


def _no_time(value: str) -> Seen:
    return _flawed(
        value, N_("the cell holds a time that cannot be shown as one: %(seen)s"), N_("format the column as [h]:mm")
    )


def _span(found: Fraction) -> str:
    """`168:45`, or `168:45:30` where there are seconds, of days."""
    seconds = round(found * _DAY_MS / 1000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60}:{minutes % 60:02}"
    return f"{text}:{second:02}" if second else text


def _dated(found: Fraction, style: Style, from_1904: bool) -> Seen:
    days = int(found) + (1462 if from_1904 else 0)
    if not _FIRST <= days <= _LAST:
        return _flawed(
            f"{float(found):g}", N_("the cell holds a date that is none: %(seen)s"), N_("write a day as 2026-09-01")
        )
    day = (date(1899, 12, 30) + timedelta(days)).isoformat()
    rest = found - int(found)
    return Seen(f"{day} {_span(rest)}" if style.kind == DATE_TIME and rest else day, True)
