"""What a report is: typed tables under a title. Nothing in it is rounded yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

Kind = Literal["text", "hours", "academic", "date", "number", "percent"]
Cell = str | int | date | Fraction | None
"""By the column's kind: a text; milliseconds for `hours` and `academic`; a date; a whole number; a share of 1."""
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """One column: its heading, what its cells are, and the width it needs on paper where its content does not tell."""

    title: str
    kind: Kind = "text"
    width_mm: float | None = None
    """Of one of many narrow columns, or of an empty one to sign in."""


@dataclass(frozen=True)
class Table:
    """Rows under columns; each row has a cell for every column."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    totals: Row | None = None
    title: str = ""
    """Where a report has several tables: what this one is."""


@dataclass(frozen=True)
class Report:
    """A title, what it covers, its tables, how to read them, and who signs."""

    title: str
    subtitle: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    """The posts of those who sign at the end."""
    academic_hour_ms: int = 45 * 60_000
    landscape: bool = True
    flowing: bool = False
    """On paper its tables follow one another; otherwise each begins a page."""
