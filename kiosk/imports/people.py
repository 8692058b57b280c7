"""A roster file in, checked rows or every problem at once out (contract, section 4). Pure but for reading the file.

Nothing is guessed: a row that is not perfectly clear is reported with its line, its column and what to do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from kiosk.badge_numbers import BadgeNumberError, PrintedNumberError, badge_number, unfit
from kiosk.commands import PersonRow
from kiosk.imports.problems import Problem, shown
from kiosk.imports.sheets import Source
from kiosk.imports.tables import EMPTY, FILL_IN, Record, TableReader
from kiosk.phrases import N_
from lab_config.model import LANGUAGES

MAX_PEOPLE = 500
"""One transaction of the clerk, in which no tap is answered: 0.7 s for 500 new people on a fast machine (2,000 took
3.8 s), some seconds on a Raspberry Pi."""
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
LONG = ("badges", "qualifications")
COMPARED = (
    "person_id", "group", "programme", "enterprise", "personnel_number", "contract", "qualifications",
)  # fmt: skip
"""What somebody else knows a person or a thing by: equal only where every sign is."""
EXAMPLE = (
    "# p17", "apprentice", "Сериков", "Әлихан", "Болатұлы", "CNC-24-1", "yes", "kk", "2008-03-14", "cnc-operator",
    "ent-steel", "004711", "D-2026/17", "2026-09-01", "2027-06-30", "2027-06-30", "0F00448FB0",
    "briefing:cnc:2027-03-01",
)  # fmt: skip
"""The line of the template that shows how it is done; its mark keeps it from being imported."""

_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DOTTED_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_DAY = r"[0-9]{4}-[^:\s]*|[0-9]{1,4}[./][0-9]{1,2}[./][0-9]{1,4}|[0-9]{8}"
"""What is meant as a day, however it is written."""
_QUALIFICATION = re.compile(rf"([^:\s]+(?::(?!(?:{_DAY})(?:\s|$))[^:\s]+)?)(?::({_DAY}))?")
_SCIENTIFIC = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+|[0-9][.,][0-9]+E[0-9]+", re.IGNORECASE)
_LOST = re.compile(r"\?|\N{REPLACEMENT CHARACTER}")
_REMEDY_DATE = N_("write a day as 2026-09-01")
_KEEP_ONE = N_("a badge belongs to one person: keep one of them")
_AS_TEXT = N_("format the column as text, then type or tap the number anew")
_UNFIT = {
    "random_badge": (
        N_(
            "%(badge)s cannot be given to anybody: a number of four bytes that begins with 08 is drawn anew at each"
            " tap, by phones and by cards that hide theirs"
        ),
        N_("give this person a card with a number of its own"),
    ),
    "cascade_badge": (
        N_(
            "%(badge)s cannot be given to anybody: a number of four bytes that begins with 88 is only the beginning"
            " of a longer one"
        ),
        N_("set the reader to send all seven bytes, and read the card again"),
    ),
    "zero_badge": (
        N_("%(badge)s cannot be given to anybody: a number of zeros is what readers send without a card"),
        N_("read the card again"),
    ),
}


@dataclass(frozen=True)
class RosterFile:
    """What stands in a file of people; with any problem the rows are not to be used."""

    rows: tuple[PersonRow, ...]
    problems: tuple[Problem, ...]
    columns: tuple[str, ...]
    """Those the file has; a person's other fields are emptied by an import."""
    lines: tuple[int, ...]
    """Where each of the rows stands."""


def read_people(source: Source) -> tuple[tuple[PersonRow, ...], tuple[Problem, ...]]:
    """The rows of a roster and every problem in it."""
    file = read_roster(source)
    return file.rows, file.problems


def read_roster(source: Source) -> RosterFile:
    """The same, and which columns there are."""
    table = TableReader(COLUMNS, REQUIRED, LONG)
    roster = _Roster(table)
    rows: list[PersonRow] = []
    lines: list[int] = []
    for record in table.records(source):
        if len(rows) == MAX_PEOPLE:
            what = N_("there are more than %(count)s people, which would keep the readers waiting too long")
            table.report(record.line, "", what, N_("import them in several files"), count=MAX_PEOPLE)
            break
        rows.append(roster.read(record))
        lines.append(record.line)
    return RosterFile(tuple(rows), table.sorted_problems(), tuple(table.names), tuple(lines))


class _Roster:
    """Reads row after row, remembering which people and badges it has seen."""

    def __init__(self, table: TableReader) -> None:
        self._table = table
        self._people: dict[str, int] = {}
        self._badges: dict[str, int] = {}
        self._line = 0

    def read(self, record: Record) -> PersonRow:
        """The row, and its problems into the table's."""
        self._line = record.line
        row = record.cells
        for column in COMPARED:
            self._refuse_unseen(column, row[column])
        person = PersonRow(
            person_id=self._person_id(row["person_id"]),
            role=self._choice("role", row["role"], ROLES) or "",
            surname=self._name("surname", self._required("surname", row["surname"])),
            given=self._name("given", row["given"]),
            patronymic=self._name("patronymic", row["patronymic"]) or None,
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
            badges=tuple(self._read_badges(row["badges"], "badges" in record.numbers)),
            qualifications=tuple(self._read_qualifications(row["qualifications"])),
        )
        if person.contract_from and person.contract_to and person.contract_to < person.contract_from:
            remedy = N_("exchange or correct the two days")
            self._report("contract_to", N_("the contract ends before it begins"), remedy)
        return person

    def _report(self, column: str, what: str, remedy: str, /, **values: object) -> None:
        self._table.report(self._line, column, what, remedy, **values)

    def _required(self, column: str, text: str) -> str:
        if not text:
            self._report(column, EMPTY, FILL_IN)
        return text

    def _name(self, column: str, text: str) -> str:
        """A name in which another program put question marks has lost its Kazakh letters."""
        if _LOST.search(text):
            what = N_("there is a question mark in '%(text)s': letters were lost when the file was saved")
            self._report(column, what, N_("type the name anew, and save as XLSX"), text=shown(text))
        return text

    def _refuse_unseen(self, column: str, text: str) -> None:
        """What is copied from a page may bring signs without a width: `p17` and another `p17` would be two people."""
        if any(unicodedata.category(letter) == "Cf" for letter in text):
            what = N_("there is a sign in '%(text)s' that nobody sees")
            self._report(column, what, N_("type it anew"), text=shown(text))

    def _person_id(self, text: str) -> str:
        self._required("person_id", text)
        if any(letter.isspace() for letter in text):
            remedy = N_("write the id without spaces")
            self._report("person_id", N_("there is a space in '%(text)s'"), remedy, text=shown(text))
        if text and self._people.setdefault(text, self._line) != self._line:
            what = N_("'%(text)s' is in line %(line)s already")
            remedy = N_("keep one line a person")
            self._report("person_id", what, remedy, text=shown(text), line=self._people[text])
        return text

    def _choice(self, column: str, text: str, choices: tuple[str, ...]) -> str | None:
        if not text and column != "role":
            return None
        if text.lower() not in choices:
            what = N_("'%(text)s' is none of its values") if text else EMPTY
            self._report(column, what, N_("write one of: %(values)s"), text=shown(text), values=", ".join(choices))
        return text.lower()

    def _date(self, column: str, text: str) -> str | None:
        if not text:
            return None
        day = iso_day(text)
        if day is None:
            self._report(column, N_("'%(text)s' is no day"), _REMEDY_DATE, text=shown(text))
        return day

    def _read_badges(self, text: str, number: bool) -> Iterator[str]:
        for word in text.split():
            if number or _SCIENTIFIC.fullmatch(word):
                what = N_(
                    "the spreadsheet program has made a number of the badge '%(text)s': zeros or letters may be lost"
                )
                self._report("badges", what, _AS_TEXT, text=shown(word))
                continue
            uid = self._badge(word)
            if uid is None:
                continue
            if uid not in self._badges:
                self._badges[uid] = self._line
                yield uid
            elif self._badges[uid] == self._line:
                self._report("badges", N_("%(badge)s is twice in this line"), _KEEP_ONE, badge=uid)
            else:
                what = N_("%(badge)s is in line %(line)s already")
                self._report("badges", what, _KEEP_ONE, badge=uid, line=self._badges[uid])

    def _badge(self, word: str) -> str | None:
        try:
            uid = badge_number(word)
        except PrintedNumberError:
            what = N_("%(badge)s is a number printed on a card, which leaves out a part of what a reader sends")
            remedy = N_(
                "tap the card at a reader, or give its hexadecimal number (with 0x before it where it has digits only)"
            )
            self._report("badges", what, remedy, badge=shown(word))
            return None
        except BadgeNumberError:
            what = N_("%(badge)s is no badge number")
            remedy = N_("give 2 to 40 hexadecimal digits, an even count, such as %(example)s")
            self._report("badges", what, remedy, badge=shown(word), example="0F00448FB0")
            return None
        code = unfit(uid)
        if code:
            self._report("badges", *_UNFIT[code], badge=uid)
            return None
        return uid

    def _read_qualifications(self, text: str) -> Iterator[tuple[str, str | None]]:
        seen: set[str] = set()
        for word in text.split():
            match = _QUALIFICATION.fullmatch(word)
            if match is None:
                remedy = N_("write %(first)s or %(second)s")
                what = N_("'%(text)s' is no qualification")
                example = {"first": "briefing:cnc", "second": "briefing:cnc:2026-09-01"}
                self._report("qualifications", what, remedy, text=shown(word), **example)
                continue
            name, until = match.groups()
            last_day = iso_day(until) if until else None
            if until and last_day is None:
                what = N_("'%(day)s' in '%(text)s' is no day")
                self._report("qualifications", what, _REMEDY_DATE, day=shown(until), text=shown(word))
            elif name in seen:
                what = N_("'%(text)s' stands there twice")
                self._report("qualifications", what, N_("take one out"), text=shown(name))
            seen.add(name)
            yield name, last_day


def iso_day(text: str) -> str | None:
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
