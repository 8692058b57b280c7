"""CSV or XLSX to lines of text. What another encoding or program made is recognised, and told in words."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

from kiosk.imports.problems import FileProblem, Row
from kiosk.imports.xlsx import read_workbook
from kiosk.phrases import N_

MAX_BYTES = 20_000_000
"""Contract, section 10."""
MAX_ROWS = 20_000
DELIMITERS = ",;\t"
Source = Path | bytes | BinaryIO

_BLOCK = 64 * 1024
_HEAD = 4_096
_FEW = 4
_SPLIT = N_("split it, or leave out what does not belong to it")
_SAVE = N_("save it as XLSX, or as CSV UTF-8")
_CLOSE_QUOTES = N_("close every quotation mark")
_CYRILLIC_BYTES = frozenset(range(0xC0, 0x100)) | {0xA8, 0xB8}
"""Where Windows-1251 has the Russian letters."""


def read_rows(source: Source) -> Iterator[Row]:
    """Each line that has something in it; `FileProblem` where the file cannot be read from here on."""
    try:
        with _opened(source) as file:
            head = _sized_head(file)
            rows = read_workbook(file) if head.startswith(b"PK") else _csv_rows(file, head)
            for place, row in enumerate(rows):
                if place > MAX_ROWS:
                    raise FileProblem(N_("it has more than %(count)s lines"), _SPLIT, row.line, count=MAX_ROWS)
                yield row
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FileProblem(N_("it cannot be read: %(reason)s"), N_("check its name and mode"), reason=reason) from error


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """The file; one that was handed over open stays open."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield io.BytesIO(source) if isinstance(source, bytes) else source


def _sized_head(file: BinaryIO) -> bytes:
    if file.seek(0, io.SEEK_END) > MAX_BYTES:
        raise FileProblem(N_("it is larger than %(size)s MB"), _SPLIT, size=MAX_BYTES // 1_000_000)
    file.seek(0)
    head = file.read(_HEAD)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        what = N_("it is an old workbook (%(kind)s), or one that a password protects")
        raise FileProblem(what, N_("open it and save it as XLSX, without a password"), kind="XLS")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"%PDF", b"{\\rtf")):
        raise FileProblem(
            N_("it is a page or a document, not a table, whatever its name says"),
            N_("open it in a spreadsheet program and save it as XLSX"),
        )
    return head


def _csv_rows(file: BinaryIO, head: bytes) -> Iterator[Row]:
    _require_utf8(file, head)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = text.readline(_HEAD)
        told = first.strip().lower().removeprefix("sep=") if first.lower().startswith("sep=") else ""
        if told or first.strip().lower() == "sep=":  # a line for Excel alone; a TAB is lost with the spaces
            delimiter = told or "\t"
        else:
            delimiter = max(DELIMITERS, key=first.count)
            text.seek(0)
        if len(delimiter) != 1 or delimiter not in DELIMITERS:
            raise FileProblem(N_("its first line names a separator that is not known"), _SAVE, 1)
        yield from _records(text, delimiter)
    finally:
        text.detach()


def _records(text: io.TextIOWrapper, delimiter: str) -> Iterator[Row]:
    """Each with the number that a spreadsheet program shows beside it: a cell of several lines makes no more rows."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    for line in count(1):
        try:
            cells = next(reader, None)
        except csv.Error as error:
            what = N_("it is not CSV from here on (%(reason)s)")
            raise FileProblem(what, _CLOSE_QUOTES, line, reason=error) from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield Row(line, tuple(cells))


def _require_utf8(file: BinaryIO, head: bytes) -> None:
    """`FileProblem` with the first line that is not UTF-8, and with what it seems to be instead."""
    # Without a mark too: there is a zero byte, and every other byte is one of few.
    halves = 0 in head and min(len({*head[0::2]}), len({*head[1::2]})) <= _FEW
    if halves or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileProblem(N_("it is Unicode text (%(encoding)s), not UTF-8"), _SAVE, encoding="UTF-16")
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    while True:
        block = file.read(_BLOCK)
        try:
            line += decoder.decode(block, final=not block).count("\n")
        except UnicodeDecodeError as error:
            bad = error.object[: error.start].count(b"\n")
            raise _other_encoding(line + bad, error.object[error.start :]) from error
        if not block:
            return


def _other_encoding(line: int, rest: bytes) -> FileProblem:
    high = [byte for byte in rest if byte >= 0x80]
    if len(high) > 2 and sum(byte in _CYRILLIC_BYTES for byte in high) * 10 > len(high) * 8:
        what = N_(
            "this file is not UTF-8 but, it seems, %(encoding)s, which has no Kazakh letters: they are lost in it"
        )
        return FileProblem(what, N_("go back to where it was made, and save it as XLSX or as CSV UTF-8"), line,
                           encoding="Windows-1251")  # fmt: skip
    return FileProblem(N_("this file is not UTF-8"), _SAVE, line)
