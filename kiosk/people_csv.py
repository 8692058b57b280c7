"""A roster file in, checked rows or every problem at once out (contract, section 4). Pure but for reading the file.

Nothing is guessed: a row that is not perfectly clear is reported with its line, its column and what to do.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kiosk.badge_numbers import BadgeNumberError, enrolled_number
from kiosk.commands import PersonRow
from lab_config.model import LANGUAGES

MAX_BYTES = 20_000_000
MAX_LETTERS = 200
ROLES = ("apprentice", "instructor")
COLUMNS = (
    "person_id",
    "role",
    "surname",
    "given",
    "patronymic",
    "group",
    "active",
    "language",
    "birth_date",
    "programme",
    "enterprise",
    "personnel_number",
    "contract",
    "contract_from",
    "contract_to",
    "consent_until",
    "badges",
    "qualifications",
)
REQUIRED = ("person_id", "role", "surname")

_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DOTTED_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_QUALIFICATION = re.compile(r"([^:\s]+(?::(?![0-9]{4}-)[^:\s]+)?)(?::([0-9]{4}-[^:\s]*))?")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REMEDY_DATE = "write a day as 2026-09-01"


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a roster: where, what, and what to do. `line` is 0 where it is the whole file."""

    line: int
    column: str
    what: str
    remedy: str

    def __str__(self) -> str:
        """The sentence a person reads."""
        place = f"line {self.line}" if self.line else "the file"
        column = f", column {self.column}" if self.column else ""
        return f"{place}{column}: {self.what}; {self.remedy}"


def read_people(source: Path | bytes) -> tuple[tuple[PersonRow, ...], tuple[Problem, ...]]:
    """The rows of a roster and every problem in it; with any problem the rows are not to be used."""
    try:
        text = _text_of(source)
        lines = _Lines(text)
        columns = _columns_of(next(lines, (1, []))[1])
    except _FileProblem as error:
        return (), (error.problem,)
    if isinstance(columns, tuple):
        return (), columns
    rows: list[PersonRow] = []
    roster = _Roster()
    try:
        for line, cells in lines:
            if any(cell.strip() for cell in cells):
                rows.append(roster.read(line, columns, cells))
    except _FileProblem as error:
        roster.problems.append(error.problem)
    return tuple(rows), tuple(sorted(roster.problems, key=lambda problem: problem.line))


class _FileProblem(Exception):
    def __init__(self, what: str, remedy: str, line: int = 0) -> None:
        super().__init__(what)
        self.problem = Problem(line, "", what, remedy)


def _text_of(source: Path | bytes) -> str:
    try:
        data = source if isinstance(source, bytes) else _bytes_of(source)
    except OSError as error:
        raise _FileProblem(f"it cannot be read: {error.strerror}", "check its name and mode") from error
    if len(data) > MAX_BYTES:
        raise _FileProblem("it is larger than 20 MB", "split it, or leave out what is no roster")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _FileProblem("it is a workbook, not a CSV file", "in Excel choose Save As, CSV UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _FileProblem("this file is not UTF-8", "in Excel choose CSV UTF-8", line) from error


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


class _Lines(Iterator[tuple[int, list[str]]]):
    """(line number of its beginning, cells) for each record of a CSV text."""

    def __init__(self, text: str) -> None:
        head = text.split("\n", 1)[0]
        delimiter = ";" if head.count(";") > head.count(",") else ","
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def __next__(self) -> tuple[int, list[str]]:
        line = self._reader.line_num + 1
        try:
            return line, next(self._reader)
        except csv.Error as error:
            raise _FileProblem(f"it is not CSV from here on ({error})", "close every quotation mark", line) from error


def _columns_of(heading: list[str]) -> list[str] | tuple[Problem, ...]:
    """The column names in their order, or what is wrong with the heading."""
    names = [name.strip().lower() for name in heading]
    while names and not names[-1]:  # spreadsheets leave empty columns at the right
        names.pop()
    problems: list[Problem] = []
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            remedy = f"did you mean {near[0]}?" if near else "known columns: " + ", ".join(COLUMNS)
            problems.append(Problem(1, _shown(name), "there is no such column", remedy))
    doubled = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    problems.extend(Problem(1, name, "the column is there twice", "keep one of them") for name in doubled)
    problems.extend(
        Problem(1, name, "the column is missing", "add it to the first line") for name in REQUIRED if name not in names
    )
    return tuple(problems) or names


class _Roster:
    """Reads row after row, remembering which people and badges it has seen."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._people: dict[str, int] = {}
        self._badges: dict[str, int] = {}
        self._line = 0

    def read(self, line: int, columns: list[str], cells: list[str]) -> PersonRow:
        """The row, and its problems into `problems`."""
        self._line = line
        if any(cell.strip() for cell in cells[len(columns) :]):
            self._report(
                "", f"it has {len(cells)} cells under {len(columns)} columns", "put a text with commas in quotes"
            )
        row = dict.fromkeys(COLUMNS, "")
        row.update(zip(columns, (self._clean(*pair) for pair in zip(columns, cells, strict=False)), strict=False))
        person = PersonRow(
            person_id=self._person_id(row["person_id"]),
            role=self._choice("role", row["role"], ROLES) or "",
            surname=self._required("surname", row["surname"]),
            given=row["given"],
            patronymic=row["patronymic"] or None,
            group=row["group"] or None,
            active=self._choice("active", row["active"], ("yes", "no")) != "no",
            language=self._choice("language", row["language"], LANGUAGES),
            birth_date=self._date("birth_date", row["birth_date"]),
            programme=row["programme"] or None,
            enterprise=row["enterprise"] or None,
            personnel_number=row["personnel_number"] or None,
            contract=row["contract"] or None,
            contract_from=self._date("contract_from", row["contract_from"]),
            contract_to=self._date("contract_to", row["contract_to"]),
            consent_until=self._date("consent_until", row["consent_until"]),
            badges=tuple(self._read_badges(row["badges"])),
            qualifications=tuple(self._read_qualifications(row["qualifications"])),
        )
        if person.contract_from and person.contract_to and person.contract_to < person.contract_from:
            self._report("contract_to", "the contract ends before it begins", "exchange or correct the two days")
        return person

    def _report(self, column: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(self._line, column, what, remedy))

    def _clean(self, column: str, cell: str) -> str:
        text = unicodedata.normalize("NFC", cell.strip())
        if any(unicodedata.category(letter) in _CONTROL for letter in text):
            self._report(column, "there is a control character in the text", "type the text anew")
        limit = MAX_BYTES if column in ("badges", "qualifications") else MAX_LETTERS
        if len(text) > limit:
            self._report(column, f"the text is longer than {limit} letters", "shorten it")
        return text

    def _required(self, column: str, text: str) -> str:
        if not text:
            self._report(column, "it is empty", "fill it in")
        return text

    def _person_id(self, text: str) -> str:
        self._required("person_id", text)
        if any(letter.isspace() for letter in text):
            self._report("person_id", f"there is a space in {_shown(text)}", "write the id without spaces")
        if text and self._people.setdefault(text, self._line) != self._line:
            self._report(
                "person_id", f"{_shown(text)} is in line {self._people[text]} already", "keep one line a person"
            )
        return text

    def _choice(self, column: str, text: str, choices: tuple[str, ...]) -> str | None:
        if not text and column != "role":
            return None
        if text.lower() not in choices:
            said = f"{_shown(text)} is none of its values" if text else "it is empty"
            self._report(column, said, "write " + " or ".join(choices))
        return text.lower()

    def _date(self, column: str, text: str) -> str | None:
        if not text:
            return None
        day = _day(text)
        if day is None:
            self._report(column, f"{_shown(text)} is no day", _REMEDY_DATE)
        return day

    def _read_badges(self, text: str) -> Iterator[str]:
        for word in text.split():
            try:
                uid = enrolled_number(word)
            except BadgeNumberError as error:
                self._report("badges", error.what, error.remedy)
                continue
            if uid in self._badges:
                where = (
                    "twice in this line" if self._badges[uid] == self._line else f"in line {self._badges[uid]} already"
                )
                self._report("badges", f"{uid} is {where}", "a badge belongs to one person: keep one of them")
                continue
            self._badges[uid] = self._line
            yield uid

    def _read_qualifications(self, text: str) -> Iterator[tuple[str, str | None]]:
        for word in text.split():
            match = _QUALIFICATION.fullmatch(word)
            if match is None:
                self._report(
                    "qualifications",
                    f"{_shown(word)} is no qualification",
                    "write briefing:cnc or briefing:cnc:2026-09-01",
                )
                continue
            name, until = match.groups()
            if until is not None and _day(until) is None:
                self._report("qualifications", f"{_shown(until)} in {_shown(word)} is no day", _REMEDY_DATE)
            yield name, until


def _day(text: str) -> str | None:
    """The ISO date of `2026-09-01` or of `01.09.2026` (which spreadsheets make of it here); None for anything else."""
    if match := _ISO_DATE.fullmatch(text):
        year, month, day = match.groups()
    elif match := _DOTTED_DATE.fullmatch(text):
        day, month, year = match.groups()
    else:
        return None
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return found.isoformat() if 1900 <= found.year <= 2199 else None


def _shown(text: str) -> str:
    """A text from the file, safe and short enough for a message."""
    safe = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in text[:40])
    return f"'{safe}'"
