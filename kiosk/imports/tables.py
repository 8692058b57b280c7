"""Lines of a spreadsheet under the names of its columns."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kiosk.imports.problems import FileProblem, Problem, Row, shown
from kiosk.imports.sheets import Source, read_rows
from kiosk.phrases import N_

MAX_PROBLEMS = 500
"""Whoever has so many mends these first."""
MAX_LETTERS = 200

EMPTY = N_("it is empty")
FILL_IN = N_("fill it in")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction of the text after it: no name needs it, and it makes another one of what is read."""
_EXAMPLE = "#"


@dataclass(frozen=True)
class Record:
    """One line: its cells by column, trimmed and composed (NFC); a column that the file has not is empty."""

    line: int
    cells: Mapping[str, str]
    numbers: frozenset[str]
    """Columns whose cell the spreadsheet program holds as a number."""


class TableReader:
    """Reads the records of a file; what is wrong gathers in `problems`."""

    def __init__(self, columns: Sequence[str], required: Collection[str], long: Collection[str] = ()) -> None:
        """`long` columns may hold lists, so many letters."""
        self.problems: list[Problem] = []
        self.names: list[str] = []
        """The columns that the file has, once its heading is read."""
        self._columns, self._required, self._long = columns, required, long

    def records(self, source: Source) -> Iterator[Record]:
        """Line after line; stops at the end, at what cannot be read, or when there are too many problems."""
        try:
            rows = read_rows(source)
            heading = next(rows, Row(1, ()))
            if not self._head(heading):
                return
            for row in rows:
                record = self._record(row)
                if record is not None:
                    yield record
                if len(self.problems) >= MAX_PROBLEMS:
                    self.report(0, "", N_("there are more problems than these"), N_("mend these first, then try again"))
                    return
        except FileProblem as error:
            self.problems.append(error.problem)

    def report(self, line: int, column: str, what: str, remedy: str, /, **values: object) -> None:
        """Note a problem; `what` and `remedy` are message ids."""
        self.problems.append(Problem(line, column, what, remedy, values))

    def sorted_problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""
        return tuple(sorted(self.problems, key=lambda problem: problem.line))

    def _head(self, row: Row) -> bool:
        """The names of the columns, or what is wrong with them."""
        names = [_normal(cell).lower() for cell in row.cells]
        while names and not names[-1]:  # spreadsheets leave empty columns at the right
            names.pop()
        for flaw in row.flaws:
            self._report_flaw(row.line, flaw.index, flaw.what, flaw.remedy, flaw.values)
        for name in dict.fromkeys(names):
            if name not in self._columns:
                self._unknown(row.line, name)
            elif names.count(name) > 1:
                self.report(row.line, name, N_("the column is there twice"), N_("keep one of them"))
        for name in self._required:
            if name not in names:
                self.report(row.line, name, N_("the column is missing"), N_("add it to the first line"))
        self.names = names
        return not self.problems

    def _unknown(self, line: int, name: str) -> None:
        near = difflib.get_close_matches(name[:100], self._columns, 1)
        what = N_("there is no such column")
        if near:
            self.report(line, f"'{shown(name)}'", what, N_("did you mean %(column)s?"), column=near[0])
        else:
            known = ", ".join(self._columns)
            self.report(line, f"'{shown(name)}'", what, N_("known columns: %(columns)s"), columns=known)

    def _record(self, row: Row) -> Record | None:
        for flaw in row.flaws:
            self._report_flaw(row.line, flaw.index, flaw.what, flaw.remedy, flaw.values)
        if not row.cells:
            return None
        if row.cells[0].lstrip().startswith(_EXAMPLE):
            self.report(
                row.line,
                self.names[0],
                N_("this line is the example of the template"),
                N_("delete the line"),
            )
            return None
        if any(cell.strip() for cell in row.cells[len(self.names) :]):
            self.report(
                row.line,
                "",
                N_("it has %(cells)s cells under %(columns)s columns"),
                N_("put a text with commas in quotes"),
                cells=len(row.cells),
                columns=len(self.names),
            )
        cells = dict.fromkeys(self._columns, "")
        for name, cell in zip(self.names, row.cells, strict=False):
            cells[name] = self._clean(row.line, name, cell)
        numbers = frozenset(self.names[index] for index in row.numbers if index < len(self.names))
        return Record(row.line, cells, numbers)

    def _report_flaw(self, line: int, index: int, what: str, remedy: str, values: Mapping[str, object]) -> None:
        name = ""
        if index >= 0:
            name = self.names[index] if index < len(self.names) else _letters(index)
        self.problems.append(Problem(line, name, what, remedy, values))

    def _clean(self, line: int, column: str, cell: str) -> str:
        text = _normal(cell)
        if any(unicodedata.category(letter) in _CONTROL or letter in _TURNING for letter in text):
            self.report(
                line, column, N_("there is a control character in the text"), N_("type the text anew, in one line")
            )
        limit = MAX_LETTERS * 10 if column in self._long else MAX_LETTERS
        if len(text) > limit:
            self.report(line, column, N_("the text is longer than %(count)s letters"), N_("shorten it"), count=limit)
            return text[:limit]
        return text


def _normal(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.strip())


def _letters(index: int) -> str:
    """`A` to `ZZ`: how spreadsheet programs call a column."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
