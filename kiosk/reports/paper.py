"""How a table fits the width of a page: widths of columns, size of type, lines of a cell. Measures, draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiosk.reports.table import Column

SIZES = (9.0, 8.0, 7.0, 6.0, 5.0)
A_HAIR_MM = 0.01
"""Widths are sums of fractions: what was measured to fit exactly must not be broken for the last digit of one."""
LONGEST_WORD_MM = 40.0
"""A longer word is broken rather than given more room than this."""
Width = Callable[[str, float, bool], float]
"""(text, points, bold): its width in millimetres."""


@dataclass(frozen=True)
class Layout:
    """The widths of the columns, together as wide as the page, and the size of the type."""

    widths_mm: tuple[float, ...]
    points: float
    signed: bool
    """Is there a column to sign in, so that rows must be high?"""


def laid_out(
    columns: Sequence[Column],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    room_mm: float,
    padding_mm: float,
    width: Width,
) -> Layout:
    """The largest type in which no word need be broken; the smallest where there is none."""
    signed = any(column.width_mm is not None and column.kind == "text" for column in columns)
    for points in SIZES:
        least = _columns(columns, headings, rows, lambda text, bold: _longest_word(text, points, bold, width))  # noqa: B023
        least = [each + padding_mm for each in least]
        if sum(least) > room_mm and points != SIZES[-1]:
            continue
        most = _columns(columns, headings, rows, lambda text, bold: width(text, points, bold))  # noqa: B023
        wanted = [
            max(column.width_mm or 0.0, few) if column.width_mm is not None else max(few, many + padding_mm)
            for column, few, many in zip(columns, least, most, strict=True)
        ]
        return Layout(tuple(_shared(columns, least, wanted, room_mm)), points, signed)
    raise AssertionError  # the smallest size always returns


def _columns(
    columns: Sequence[Column],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    measure: Callable[[str, bool], float],
) -> list[float]:
    """The widest of each column by `measure`; the last row may be bold, so all are measured so."""
    widths = []
    for place, _ in enumerate(columns):
        texts = {row[place] for row in rows}
        heading = _longest(headings[place])
        widths.append(max([measure(heading, True), *(measure(text, True) for text in texts)]))
    return widths


def _shared(
    columns: Sequence[Column], least: Sequence[float], wanted: Sequence[float], room_mm: float
) -> Sequence[float]:
    """Everybody has what they need; what is left goes to those who want more, the modest first; then to texts."""
    widths = list(least)
    left = room_mm - sum(widths)
    if left <= 0:
        return [each * room_mm / sum(widths) for each in widths]
    hungry = sorted(range(len(widths)), key=lambda place: wanted[place] - least[place])
    for count, place in enumerate(hungry):
        more = min(wanted[place] - least[place], left / (len(hungry) - count))
        widths[place] += more
        left -= more
    texts = [place for place, column in enumerate(columns) if column.kind == "text" and column.width_mm is None]
    for place in texts:
        widths[place] += left / len(texts)
    return widths


def _longest_word(text: str, points: float, bold: bool, width: Width) -> float:
    return min(LONGEST_WORD_MM, max((width(word, points, bold) for word in text.split()), default=0.0))


def _longest(text: str) -> str:
    return max(text.split(), key=len, default="")


def wrapped(text: str, room_mm: float, width: Callable[[str], float]) -> list[str]:
    """The lines of a text; a word wider than the room is broken where it must be."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if width(joined) <= room_mm + A_HAIR_MM:
            line = joined
            continue
        if line:
            lines.append(line)
        pieces = _pieces(word, room_mm, width)
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line] if line else lines


def _pieces(word: str, room_mm: float, width: Callable[[str], float]) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and width(pieces[-1] + letter) > room_mm + A_HAIR_MM:
            pieces.append("")
        pieces[-1] += letter
    return pieces
