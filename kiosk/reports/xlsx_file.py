"""A report as a workbook: a sheet for each table, real numbers and dates, ready to print on A4, no formula in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, cast

from kiosk.reports.cells import defused, shown
from kiosk.reports.table import AnyTable, Cell, Column, Kind, LongReport, Row

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

DAY_MS = 86_400_000
A4 = 9
WIDEST = 48
MM_A_LETTER = 1.9
FORMATS: Mapping[Kind, str] = {
    "hours": "[h]:mm",
    "academic": "0.0",
    "date": "dd.mm.yyyy",
    "moment": "dd.mm.yyyy hh:mm",
    "percent": "0.0",
}
"""How a spreadsheet shows a number; the comma is its reader's own setting."""
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
LONGEST_NAME = 31
"""Of a sheet, as Excel counts: in units of UTF-16."""


def write_xlsx(report: LongReport, out: BinaryIO, folder: Path | None = None) -> None:
    """`folder` takes what is kept on disk meanwhile; without one the system's does. Raises OSError where it is full."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - only who makes a file pays for it
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    sink = _Sink(out)
    with TemporaryDirectory(dir=folder) as kept:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "tmpdir": kept,
        }
        book = Workbook(cast("BinaryIO", sink), options)
        try:
            looks = _Looks(book)
            names: list[str] = []
            for table in report.tables:
                names.append(_sheet_name(table.title or report.title, names))
                _sheet(book.add_worksheet(names[-1]), report, table, looks)
            book.close()
        except FileCreateError as error:
            raise OSError(*error.args[0].args) from error
        finally:
            sink.over = True


class _Sink:
    """A file, until the workbook is over: an archive that was given up still writes an end when it is thrown away."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.over = False

    def write(self, data: bytes) -> int:
        """As a file does."""
        return len(data) if self.over else self._out.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file does."""
        return 0 if self.over else self._out.seek(offset, whence)

    def tell(self) -> int:
        """As a file does."""
        return 0 if self.over else self._out.tell()

    def flush(self) -> None:
        """As a file does."""
        if not self.over:
            self._out.flush()


class _Looks:
    """The formats of a workbook, each made once."""

    def __init__(self, book: Workbook) -> None:
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.plain = book.add_format()
        self.heading = book.add_format(
            {"bold": True, "border": 1, "bg_color": "#E8ECF0", "text_wrap": True, "valign": "top"}
        )
        self.cells: dict[str, Format] = {kind: book.add_format(_look(kind)) for kind in ("text", "number", *FORMATS)}
        self.totals: dict[str, Format] = {
            kind: book.add_format({**_look(kind), "bold": True, "bg_color": "#F3F5F7"})
            for kind in ("text", "number", *FORMATS)
        }


def _look(kind: str) -> dict[str, object]:
    known = {str(name): text for name, text in FORMATS.items()}
    look: dict[str, object] = {"border": 1, "valign": "top"}
    return (
        look | ({"num_format": known[kind]} if kind in known else {}) | ({"text_wrap": True} if kind == "text" else {})
    )


def _sheet(sheet: Worksheet, report: LongReport, table: AnyTable, looks: _Looks) -> None:
    longest = [0] * len(table.columns)
    line = 0
    for text in (report.title, *report.subtitle, *((table.title,) if table.title else ())):
        sheet.write_string(line, 0, defused(text), looks.plain if line else looks.title)
        line += 1
    line += 1
    for place, column in enumerate(table.columns):
        sheet.write_string(line, place, defused(column.title), looks.heading)
    _print_setup(sheet, report, line)
    for row in table.rows:
        line += 1
        _row(sheet, line, row, table, report, looks.cells)
        _measure(longest, row, table, report)
    if (totals := table.totals) is not None:
        line += 1
        _row(sheet, line, totals, table, report, looks.totals)
        _measure(longest, totals, table, report)
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, _width(column, longest[place]))
    for text in _below(report):
        line += 1
        if text:
            sheet.write_string(line, 0, defused(text), looks.plain)


def _below(report: LongReport) -> Iterator[str]:
    if report.notes:
        yield ""
        yield from report.notes
    for post in report.signatures:
        yield ""
        yield f"{post}: ____________________ / ____________________ /"


def _print_setup(sheet: Worksheet, report: LongReport, heading: int) -> None:
    sheet.freeze_panes(heading + 1, 0)
    sheet.repeat_rows(heading)
    if report.landscape:
        sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.set_margins(0.4, 0.4, 0.5, 0.6)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&C&P / &N")


def _row(
    sheet: Worksheet, line: int, row: Row, table: AnyTable, report: LongReport, looks: Mapping[str, Format]
) -> None:
    for place, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
        value = _value(cell, column.kind, report.academic_hour_ms)
        look = looks["text" if isinstance(value, str) else column.kind]
        if value is None:
            sheet.write_blank(line, place, None, look)
        elif isinstance(value, str):
            sheet.write_string(line, place, value, look)
        elif isinstance(value, datetime):
            sheet.write_datetime(line, place, value, look)
        else:
            sheet.write_number(line, place, value, look)


def _value(cell: Cell, kind: Kind, academic_hour_ms: int) -> str | float | datetime | None:
    """What the spreadsheet holds: unrounded, so that sums of cells are the sums of what was worked."""
    if isinstance(cell, str):
        return defused(cell)
    if cell is None:
        return None
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime.combine(cell, time())
    if kind == "percent":
        return float(cell * 100)
    if kind == "hours":
        return float(cell / DAY_MS)
    if kind == "academic":
        return float(cell / academic_hour_ms)
    return float(cell)


def _measure(longest: list[int], row: Row, table: AnyTable, report: LongReport) -> None:
    for place, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
        if column.width_mm is None:
            longest[place] = max(longest[place], len(shown(cell, column.kind, report.academic_hour_ms)))


def _width(column: Column, longest: int) -> float:
    if column.width_mm is not None:
        return max(4.0, column.width_mm / MM_A_LETTER)
    longest_word = max((len(word) for word in column.title.split()), default=0)
    return float(min(WIDEST, max(longest_word, longest) + 3))


def _sheet_name(title: str, taken: list[str]) -> str:
    """Short, allowed, and not taken, whatever the table is called."""
    wanted = _cut(_FORBIDDEN.sub(" ", title), LONGEST_NAME) or str(len(taken) + 1)
    name, again = wanted, 2
    while name.casefold() in {each.casefold() for each in taken} or name.casefold() == "history":
        tail = f" {again}"
        name, again = _cut(wanted, LONGEST_NAME - len(tail)) + tail, again + 1
    return name


def _cut(text: str, units: int) -> str:
    """Without spaces and apostrophes at either end (Excel refuses these), and no longer than so many units."""
    text = text.strip("' ")
    while len(text.encode("utf-16-le")) > 2 * units:
        text = text[:-1].rstrip("' ")
    return text
