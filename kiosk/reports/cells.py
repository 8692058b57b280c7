"""How a cell is shown: converted once, here, for the screen, for paper and for a spreadsheet alike."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from kiosk.reports.table import AnyTable, Cell, Kind, LongReport, Row
from kiosk.words import academic_hours, day, decimal_comma, hours_minutes

NUMERIC = frozenset({"hours", "academic", "number", "percent"})
STARTS = frozenset("=+-@\t\r\n")
"""What makes a spreadsheet take a text for a formula (OWASP, CSV injection); full-width forms fold to these."""
QUOTES = frozenset("'\"`´‘’‚‛“”„‟«»‹›")


def shown(cell: Cell, kind: Kind, academic_hour_ms: int) -> str:
    """The text of one cell: `41:20`, `55,1`, `29.10.2026`, `29.10.2026 08:05`, `57,3`; empty where there is nothing."""
    if cell is None:
        return ""
    if kind == "hours" and isinstance(cell, int):
        return hours_minutes(cell)
    if kind == "academic" and isinstance(cell, int):
        return academic_hours(cell, academic_hour_ms)
    if kind == "percent" and isinstance(cell, (int, Fraction)):
        share = Fraction(cell) * 100
        return decimal_comma(Decimal(share.numerator) / Decimal(share.denominator))
    if isinstance(cell, datetime):
        return f"{day(cell)} {cell:%H:%M}"
    if isinstance(cell, date):
        return day(cell)
    return str(cell)


def shown_row(row: Row, table: AnyTable, report: LongReport) -> tuple[str, ...]:
    """The texts of one row."""
    return tuple(
        shown(cell, column.kind, report.academic_hour_ms) for cell, column in zip(row, table.columns, strict=True)
    )


def defused(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would take it for a formula; else unchanged.

    Spaces, quotes and characters without a width do not hide the sign that begins one.
    """
    for letter in text:
        if letter in STARTS or unicodedata.normalize("NFKC", letter)[:1] in STARTS:
            return "'" + text
        if not (letter in QUOTES or letter.isspace() or unicodedata.category(letter) in {"Cf", "Cc"}):
            return text
    return text
