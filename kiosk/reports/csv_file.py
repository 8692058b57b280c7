"""A report as CSV that Excel opens with Russian or Kazakh settings: UTF-8 with BOM, `;`, decimal comma (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from kiosk.reports.cells import defused, shown
from kiosk.reports.table import AnyTable, LongReport, Row

BOM = b"\xef\xbb\xbf"


def write_csv(report: LongReport, out: BinaryIO) -> None:
    """The tables, heading first; after an empty line what the report is and how to read it."""
    out.write(BOM)
    wrapped = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    csv.writer(wrapped, delimiter=";", lineterminator="\r\n").writerows(_lines(report))
    wrapped.detach()


def _lines(report: LongReport) -> Iterator[list[str]]:
    for table in report.tables:
        if table.title:
            yield [defused(table.title)]
        yield [defused(column.title) for column in table.columns]
        for row in table.rows:
            yield _cells(row, table, report)
        if (totals := table.totals) is not None:
            yield _cells(totals, table, report)
        yield []
    for line in (report.title, *report.subtitle, *report.notes):
        yield [defused(line)]


def _cells(row: Row, table: AnyTable, report: LongReport) -> list[str]:
    """Texts are defused; what was computed here cannot be a formula."""
    return [
        defused(cell) if isinstance(cell, str) else shown(cell, column.kind, report.academic_hour_ms)
        for cell, column in zip(row, table.columns, strict=True)
    ]
