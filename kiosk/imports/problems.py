"""What is wrong in a file somebody hands in: where, what, and what to do, in words that can be translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kiosk.phrases import N_

MOST_SHOWN = 40
_SAFE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong. `what` and `remedy` are message ids, filled in with `values`; neither ends with a full stop."""

    line: int
    """As the spreadsheet program counts it; 0 where it is the whole file."""
    column: str
    """The name in the heading; empty where it is the whole line."""
    what: str
    remedy: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """The English sentence."""
        place = f"line {self.line}" if self.line else "the file"
        column = f", column {self.column}" if self.column else ""
        what, remedy = self.said(lambda text: text)
        return f"{place}{column}: {what}; {remedy}"

    def said(self, gettext: Callable[[str], str]) -> tuple[str, str]:
        """(what is wrong, what to do) in the language of `gettext`."""
        what, remedy = gettext(self.what), gettext(self.remedy)
        return (what % self.values, remedy % self.values) if self.values else (what, remedy)


@dataclass(frozen=True)
class Flaw:
    """Something wrong with one cell, found before anybody knows what its column means."""

    index: int
    """Of the cell, from 0; -1 for the whole line."""
    what: str
    remedy: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of a spreadsheet, as text."""

    line: int
    cells: tuple[str, ...]
    numbers: frozenset[int] = frozenset()
    """The cells that the spreadsheet program holds as numbers, whatever was typed."""
    flaws: tuple[Flaw, ...] = ()


class FileProblem(Exception):
    """The file cannot be read from here on."""

    def __init__(self, what: str, remedy: str, line: int = 0, **values: object) -> None:
        super().__init__(what)
        self.problem = Problem(line, "", what, remedy, values)


def shown(text: str) -> str:
    """A text from the file, safe and short enough for a message."""
    import unicodedata  # noqa: PLC0415 - only where something is wrong

    return "".join(_SAFE if unicodedata.category(c)[0] == "C" else c for c in text[:MOST_SHOWN])


NOT_A_WORKBOOK = N_("it is no workbook that can be read")
SAVE_AGAIN = N_("open it in a spreadsheet program and save it again as XLSX")
