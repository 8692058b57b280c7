"""An XLSX workbook as rows of text: its first visible sheet, as a person sees it (ECMA-376 part 1, section 18).

It is read as a stream: no tree is built, no DTD accepted, no formula computed, and every size is bounded before
anything is unpacked. So a file that was made to do harm costs no more than a large honest one.
"""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.parsers import expat

from kiosk.imports.cells import Style, cell_text, style_of
from kiosk.imports.problems import NOT_A_WORKBOOK, SAVE_AGAIN, FileProblem, Flaw, Row
from kiosk.phrases import N_

MAX_UNPACKED = 50_000_000
MAX_RATIO = 200
"""Of sizes unpacked and packed, above `RATIO_FROM`: Excel's own files stay below 50."""
RATIO_FROM = 5_000_000
MAX_PARTS = 1_000
MAX_DEPTH = 64
MAX_STRINGS = 200_000
MAX_LETTERS = 10_000_000
MAX_STYLES = 65_536
MAX_ELEMENTS = 300_000
"""Of one part: 5,000 lines of 25 columns are 250,000, and each costs some microseconds."""
LONGEST_CODE = 255
"""Letters of a number format, by Excel's own specification."""
MAX_COLUMNS = 64
MAX_MERGES = 20
LONGEST_CELL = 32_767
"""Letters, by Excel's own specification."""
CHUNK = 64 * 1024

_ENTRY = b"PK\x01\x02"
_ZIP64 = b"PK\x06\x07"
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PLACE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    expat.ExpatError,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the standard library says of damaged or hostile archives and XML."""
TOO_MUCH = N_("the workbook holds more than a list of people or programmes does")
_SPLIT = N_("split it, or leave out what does not belong to it")
_UNMERGE = N_("unmerge them and fill in each cell")
_SHOW = N_("show it, or delete it")


def read_workbook(file: BinaryIO) -> Iterator[Row]:
    """The rows of the first visible sheet that have something in them; `FileProblem` where it cannot be read."""
    try:
        yield from _rows(file)
    except _BROKEN as error:
        raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN) from error


def _rows(file: BinaryIO) -> Iterator[Row]:
    with _opened(file) as archive:
        book = _Book()
        root = _relations(archive, "")
        path = next((target for kind, target in root.values() if kind == "officeDocument"), "")
        if not path.endswith(".xml"):
            raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN)
        _read(archive, path, book)
        parts = _relations(archive, path)
        strings, styles = _Strings(), _Styles()
        for kind, target in parts.values():
            if kind == "sharedStrings":
                _read(archive, target, strings)
            elif kind == "styles":
                _read(archive, target, styles)
        sheet = _Sheet(strings.found, styles.found, book.from_1904)
        for _ in _pieces(archive, parts[book.sheet()][1], sheet):
            while sheet.rows:
                yield sheet.rows.popleft()
        yield from sheet.merged()


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    """The archive, after a look at what unpacking it would cost."""
    entries = packed = 0
    tail = b""
    file.seek(0)
    while block := file.read(CHUNK):
        packed += len(block)
        entries += (tail + block).count(_ENTRY) - tail.count(_ENTRY)
        tail = block[-3:]
    file.seek(max(0, packed - 2 * CHUNK))
    if entries > MAX_PARTS or _ZIP64 in file.read():
        raise FileProblem(N_("the workbook has more parts than any that a person made"), SAVE_AGAIN)
    archive = zipfile.ZipFile(file)
    unpacked = sum(each.file_size for each in archive.infolist())
    names = archive.namelist()
    if "mimetype" in names and "content.xml" in names:
        raise FileProblem(
            N_("it is a workbook of another kind (%(kind)s)"), N_("save it as XLSX or as CSV UTF-8"), kind="ODS"
        )
    if any(name.lower().endswith("workbook.bin") for name in names):
        raise FileProblem(
            N_("it is a workbook of another kind (%(kind)s)"), N_("save it as XLSX or as CSV UTF-8"), kind="XLSB"
        )
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed):
        raise FileProblem(N_("unpacked the workbook would be %(size)s MB large"), _SPLIT, size=unpacked // 1_000_000)
    return archive


# --- XML, piece by piece ----------------------------------------------------------------------------------------------


class _Part:
    """One part of the workbook. Names lose their namespace: strict and transitional files differ in it alone."""

    TEXTS: frozenset[str] = frozenset()
    """Elements whose text is wanted."""

    def __init__(self) -> None:
        self._depth = 0
        self._elements = 0
        self._wanted = False
        self._text: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def end(self, name: str, text: str) -> None:
        """An element ends; `text` is what stood in it, where it is one of `TEXTS`."""

    def _starts(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN)
        if self._elements > MAX_ELEMENTS:
            raise FileProblem(TOO_MUCH, _SPLIT)
        local = name.rpartition(" ")[2]
        self._wanted = local in self.TEXTS
        if self._wanted:
            self._text.clear()
            self._length = 0
        if any(" " in key for key in attributes):
            attributes = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        self.start(local, attributes)

    def _ends(self, name: str) -> None:
        self._depth -= 1
        local = name.rpartition(" ")[2]
        self.end(local, "".join(self._text) if local in self.TEXTS else "")
        self._text.clear()
        self._wanted = False

    def _hears(self, data: str) -> None:
        if self._wanted:
            self._length += len(data)
            if self._length > LONGEST_CELL:
                raise FileProblem(N_("a cell holds more text than a spreadsheet program allows"), SAVE_AGAIN)
            self._text.append(data)


def _refuse_doctype(*_: object) -> None:
    raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN)


def _pieces(archive: zipfile.ZipFile, name: str, part: _Part) -> Iterator[None]:
    """Reads one part of the archive into `part`, giving way after each piece."""
    info = archive.getinfo(name)
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = part._starts
    parser.EndElementHandler = part._ends
    parser.CharacterDataHandler = part._hears
    with archive.open(info) as stream:
        while piece := stream.read(CHUNK):
            parser.Parse(piece, False)
            yield
    parser.Parse(b"", True)
    yield


def _read(archive: zipfile.ZipFile, name: str, part: _Part) -> None:
    for _ in _pieces(archive, name, part):
        pass


def _relations(archive: zipfile.ZipFile, path: str) -> dict[str, tuple[str, str]]:
    """By id: (the last word of the type, the path in the archive) of what a part refers to."""
    folder, name = posixpath.split(path)
    relations = _Relations(folder)
    _read(archive, posixpath.join(folder, "_rels", f"{name}.rels"), relations)
    return relations.found


class _Relations(_Part):
    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External" and len(self.found) < MAX_PARTS:
            target = posixpath.normpath(posixpath.join("/", self._folder, attributes.get("Target", ""))).lstrip("/")
            self.found[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], target)


class _Book(_Part):
    def __init__(self) -> None:
        super().__init__()
        self.from_1904 = False
        self._sheet = ""
        self._sheets = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "workbookPr":
            self.from_1904 = attributes.get("date1904", "0") in {"1", "true", "on"}
        elif name == "sheet" and not self._sheet and attributes.get("state", "visible") == "visible":
            self._sheet = attributes.get("id", "")

    def sheet(self) -> str:
        """The relation of the first sheet that can be seen."""
        if not self._sheet:
            raise FileProblem(N_("no sheet of the workbook is visible"), N_("show the sheet that is meant"))
        return self._sheet


class _Strings(_Part):
    """The table of shared strings; a text may be in several runs, and how it is read aloud (`rPh`) is left out."""

    TEXTS = frozenset({"t"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._runs: list[str] = []
        self._aloud = 0
        self._letters = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "rPh":
            self._aloud += 1

    def end(self, name: str, text: str) -> None:
        if name == "rPh":
            self._aloud -= 1
        elif name == "t" and not self._aloud:
            self._runs.append(text)
            self._letters += len(text)
        elif name == "si":
            self.found.append(_unescaped("".join(self._runs)))
            self._runs.clear()
        if len(self.found) > MAX_STRINGS or self._letters > MAX_LETTERS or len(self._runs) > LONGEST_CELL:
            raise FileProblem(TOO_MUCH, _SPLIT)


class _Styles(_Part):
    """What number format each style of a cell has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Style] = []
        self._codes: dict[str, str] = {}
        self._styles: dict[str, Style] = {}
        self._inside = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "cellXfs":
            self._inside = True
        elif name == "numFmt" and len(self._codes) < MAX_STYLES:
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")[:LONGEST_CODE]
        elif name == "xf" and self._inside and len(self.found) < MAX_STYLES:
            number = attributes.get("numFmtId", "0")
            style = self._styles.get(number)
            if style is None:
                style = self._styles[number] = style_of(number, self._codes.get(number))
            self.found.append(style)

    def end(self, name: str, text: str) -> None:
        if name == "cellXfs":
            self._inside = False


class _Sheet(_Part):
    """The cells of a sheet, gathered into rows that wait in `rows`."""

    TEXTS = frozenset({"v", "t"})

    def __init__(self, strings: list[str], styles: list[Style], from_1904: bool) -> None:
        super().__init__()
        self.rows: deque[Row] = deque()
        self._strings, self._styles, self._from_1904 = strings, styles, from_1904
        self._line = 0
        self._hidden_row = False
        self._hidden_columns: set[int] = set()
        self._cells: dict[int, str] = {}
        self._numbers: set[int] = set()
        self._flaws: list[Flaw] = []
        self._index = -1
        self._cell: Mapping[str, str] = {}
        self._formula = False
        self._value = ""
        self._runs: list[str] = []
        self._aloud = 0
        self._merges: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            self._cell, self._formula, self._value = attributes, False, ""
            self._runs.clear()
            self._index = self._place(attributes.get("r", ""))
        elif name == "row":
            number = attributes.get("r", "")
            self._line = max(self._line + 1, int(number) if re.fullmatch("[0-9]{1,7}", number) else 0)
            self._hidden_row = attributes.get("hidden", "0") in {"1", "true"}
            self._index = -1
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._aloud += 1
        elif name == "col" and attributes.get("hidden", "0") in {"1", "true"}:
            first, last = int(attributes.get("min", "1")), int(attributes.get("max", "1"))
            self._hidden_columns.update(range(max(first, 1) - 1, min(last, MAX_COLUMNS)))
        elif name == "mergeCell" and len(self._merges) < MAX_MERGES:
            self._merges.append(attributes.get("ref", ""))

    def end(self, name: str, text: str) -> None:
        if name == "v":
            self._value = text
        elif name == "t" and not self._aloud and len(self._runs) < LONGEST_CELL:
            self._runs.append(text)
        elif name == "rPh":
            self._aloud -= 1
        elif name == "c":
            self._take()
        elif name == "row":
            self._finish()

    def merged(self) -> Iterator[Row]:
        """A row with a flaw for each block of merged cells: whose value it is, nobody can know."""
        for ref in self._merges:
            match = _PLACE.match(ref)
            flaw = Flaw(-1, N_("the cells %(cells)s are merged"), _UNMERGE, {"cells": ref[:20]})
            yield Row(int(match[2]) if match else 1, (), flaws=(flaw,))

    def _place(self, reference: str) -> int:
        match = _PLACE.fullmatch(reference)
        if match is None:
            return self._index + 1
        index = 0
        for letter in match[1]:
            index = index * 26 + ord(letter) - 64
        return index - 1

    def _take(self) -> None:
        value = self._value
        kind = self._cell.get("t", "n")
        if kind == "inlineStr":
            value = _unescaped("".join(self._runs))
        elif kind == "s" and value:
            value = value.strip()
            if not value.isdecimal():  # a place before the first would be counted from the end
                raise FileProblem(NOT_A_WORKBOOK, SAVE_AGAIN, self._line)
            value = self._strings[int(value)]
        elif kind == "str":
            value = _unescaped(value)
        number = self._cell.get("s", "0")
        style = self._styles[int(number)] if int(number) in range(len(self._styles)) else Style()
        found = cell_text(kind, value, style, self._from_1904, self._formula)
        if found.what:
            self._flaws.append(Flaw(self._index, found.what, found.remedy, {"seen": found.text}))
        elif not found.text.strip():
            return
        if self._index >= MAX_COLUMNS:
            what = N_("there is something to the right of column %(count)s")
            raise FileProblem(what, N_("delete what does not belong to the table"), self._line, count=MAX_COLUMNS)
        self._cells[self._index] = found.text
        if found.number:
            self._numbers.add(self._index)
        if self._index in self._hidden_columns:
            self._flaws.append(Flaw(self._index, N_("the column is hidden"), _SHOW))

    def _finish(self) -> None:
        if not self._cells and not self._flaws:
            return
        if self._hidden_row:
            self._flaws.append(Flaw(-1, N_("the line is hidden, by a filter or by hand"), _SHOW))
        width = max(self._cells, default=-1) + 1
        cells = tuple(self._cells.get(index, "") for index in range(width))
        self.rows.append(Row(self._line, cells, frozenset(self._numbers), tuple(self._flaws)))
        self._cells.clear()
        self._numbers.clear()
        self._flaws.clear()


def _unescaped(text: str) -> str:
    """Excel writes what XML cannot hold as `_x000D_` (ECMA-376 part 1, 22.9.2.19)."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
