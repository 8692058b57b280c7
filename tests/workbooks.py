"""Workbooks for tests, as spreadsheet programs write them and as nobody's program would."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import openpyxl
import xlsxwriter
from openpyxl.worksheet.worksheet import Worksheet

SHEET = "xl/worksheets/sheet1.xml"
XML = b'<?xml version="1.0" encoding="UTF-8"?>'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(rows: Iterable[Sequence[Any]], change: Callable[[Worksheet], None] = lambda sheet: None) -> bytes:
    """The rows on the first sheet, then whatever `change` does to it."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(row)
    change(sheet)
    return saved(book)


def other_workbook(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows as another writer has them: with a table of shared strings."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for line, row in enumerate(rows):
            sheet.write_row(line, 0, row)
    return out.getvalue()


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rewritten(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The same archive with each part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def with_part(name: str, text: bytes, data: bytes | None = None) -> bytes:
    """A workbook one part of which is this text."""
    whole = other_workbook([["a"], ["b"]]) if data is None else data
    return rewritten(whole, lambda each, content: text if each == name else content)


def with_rows(body: bytes) -> bytes:
    """A workbook whose sheet has just this inside its data."""
    return with_part(
        SHEET, XML + f'<worksheet xmlns="{MAIN}"><sheetData>'.encode() + body + b"</sheetData></worksheet>"
    )
