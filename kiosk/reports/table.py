"""What a report is: typed tables under a title. Nothing in it is rounded yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal, Protocol

Kind = Literal["text", "hours", "academic", "date", "moment", "number", "percent"]
Cell = str | int | date | Fraction | None
"""By the column's kind: a text; milliseconds for `hours` and `academic`; a date; the lab's clock as a `datetime`
without a zone; a whole number; a share of 1."""
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """One column: its heading, what its cells are, and the width it needs on paper where its content does not tell."""

    title: str
    kind: Kind = "text"
    width_mm: float | None = None
    """Of one of many narrow columns, or of an empty one to sign in."""


class AnyTable(Protocol):
    """What a writer asks of a table: the rows once, in order, and the totals only after them."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each cell of a row is."""

    @property
    def rows(self) -> Iterable[Row]:
        """To be read once."""

    @property
    def totals(self) -> Row | None:
        """The last row, if there is one; known after the others."""

    @property
    def title(self) -> str:
        """Empty where it has none."""


@dataclass(frozen=True)
class LongTable:
    """A table that no memory need hold: its rows are made as they are read, and its totals with them."""

    columns: tuple[Column, ...]
    rows: Iterable[Row]
    added_up: Callable[[], Row | None]
    title: str = ""

    @property
    def totals(self) -> Row | None:
        """Of the rows that were read so far."""
        return self.added_up()


@dataclass(frozen=True)
class Table:
    """Rows under columns; each row has a cell for every column."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    totals: Row | None = None
    title: str = ""
    """Where a report has several tables: what this one is."""


@dataclass(frozen=True)
class LongReport:
    """A title, what it covers, its tables, how to read them, and who signs. Its tables may be made as they are read."""

    title: str
    subtitle: tuple[str, ...]
    tables: Iterable[AnyTable]
    notes: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    """The posts of those who sign at the end."""
    academic_hour_ms: int = 45 * 60_000
    landscape: bool = True
    flowing: bool = False
    """On paper its tables follow one another; otherwise each begins a page."""


@dataclass(frozen=True)
class Report(LongReport):
    """One whose tables are there, to be counted and read again."""

    tables: tuple[Table, ...]


def whole(report: LongReport) -> Report:
    """The same with everything read: for what is short, and for a writer that must see all of it."""
    if isinstance(report, Report):
        return report
    tables = tuple(Table(each.columns, tuple(each.rows), each.totals, each.title) for each in report.tables)
    return Report(**{**vars(report), "tables": tables})
