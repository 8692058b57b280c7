"""Programmes from a spreadsheet: lines in, the lab's own TOML out, judged by the lab's own loader; and back again.

A line tells of one programme, of one work process in it, of one competency of that, or of several of these; what is
told twice must be the same twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from kiosk.imports.problems import Problem, shown
from kiosk.imports.sheets import Source
from kiosk.imports.tables import EMPTY, FILL_IN, Record, TableReader
from kiosk.phrases import N_
from lab_config.load import ConfigurationError, load_programmes
from lab_config.model import LANGUAGES, Competency, Lab, LocalText, Process, Programme
from lab_config.rules import COUNTABLE
from lab_config.training import CLASS_PREFIX, HIGHEST_LEVEL
from lab_config.writing import programmes_toml

MAX_LINES = 5_000
COLUMNS = (
    "programme",
    "code",
    "classifier",
    "programme_kk",
    "programme_ru",
    "programme_en",
    "programme_title",
    "process",
    "process_kk",
    "process_ru",
    "process_en",
    "process_title",
    "required",
    "minimum",
    "maximum",
    "machines",
    "counts",
    "presence_counts",
    "competency",
    "competency_kk",
    "competency_ru",
    "competency_en",
    "competency_title",
    "level",
    "alignment",
)
REQUIRED = ("programme",)
LONG = ("machines", "alignment")
EXAMPLE = {
    "programme": "# cnc-operator", "code": "07150100", "classifier": "kz-tvet-2018",
    "programme_kk": "Бағдарламалық басқарылатын станок операторы",
    "programme_ru": "Оператор станков с программным управлением", "programme_en": "CNC machine operator",
    "process": "CNC4", "process_kk": "Тәлімгердің басшылығымен баптау",
    "process_ru": "Наладка под руководством наставника", "process_en": "Setup under supervision",
    "required": "202:30", "machines": "mill-1 class:cnc_lathe", "competency": "CNC-c",
    "competency_kk": "Дайындаманы орнатады және бекітеді", "competency_ru": "Устанавливает и закрепляет заготовку",
    "competency_en": "Positions and clamps the workpiece", "level": "2",
}  # fmt: skip
NONE = "none"
"""In `counts`: no state counts at all, where an empty cell leaves it to the rules."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_HOURS = re.compile(r"([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9](?:[.,][0-9]{1,3})?))?")
_DECIMAL = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,9})?")
_PLACE = re.compile(r"programme\[([0-9]+)\](?:\.(process|competency)\[([0-9]+)\])?(?:\.([a-z_]+))?")
_HOUR_MS = 3_600_000
_OF = {
    "programme": ("code", "classifier"),
    "process": ("required", "minimum", "maximum", "machines", "counts", "presence_counts"),
    "competency": ("level", "alignment"),
}
"""Which columns tell of which thing, beside its id and its titles."""


@dataclass(frozen=True)
class ProgrammeFile:
    """What stands in a file of programmes; with any problem the rest is not to be used."""

    programmes: tuple[Programme, ...]
    problems: tuple[Problem, ...]
    toml: str


def columns_for(lab: Lab) -> tuple[str, ...]:
    """The columns, with one for each further language that the lab's own programmes are titled in."""
    spoken: set[str] = set()
    for programme in lab.programmes:
        for title in (programme.title, *(each.title for each in programme.processes)):
            spoken.update(title.by_language)
        for competency in programme.competencies:
            spoken.update(competency.title.by_language)
    more = sorted(spoken - {*LANGUAGES, "und"})
    return (*COLUMNS, *(f"{kind}_{language}".lower() for kind in _OF for language in more))


def read_programmes(source: Source, lab: Lab) -> ProgrammeFile:
    """The programmes of a spreadsheet and every problem in it, against the machines of this lab."""
    table = TableReader(columns_for(lab), REQUIRED, LONG)
    plan = _Plan(table, lab)
    for count, record in enumerate(table.records(source)):
        if count == MAX_LINES:
            remedy = N_("import the programmes in several files")
            table.report(record.line, "", N_("there are more than %(count)s lines"), remedy, count=MAX_LINES)
            break
        plan.read(record)
    plan.finish()
    if not plan.programmes and not table.problems:
        table.report(0, "", N_("there is no programme in it"), N_("fill in a line for each work process"))
    if table.problems:
        return ProgrammeFile((), table.sorted_problems(), "")
    text = programmes_toml(each.made() for each in plan.programmes.values())
    try:
        return ProgrammeFile(load_programmes(text, Path("programmes.toml"), lab.machines), (), text)
    except ConfigurationError as error:
        for problem in error.problems:
            plan.report_loaders(problem.where, f"{problem.what} {problem.remedy}")
        return ProgrammeFile((), table.sorted_problems(), "")


def spreadsheet(programmes: Iterable[Programme], columns: Sequence[str]) -> Iterator[list[str]]:
    """The lines, without the heading, that `read_programmes` makes the same programmes of."""
    for programme in programmes:
        told = {"code": programme.code or "", "classifier": programme.classifier or ""}
        head = {"programme": programme.id, **told, **_titles("programme", programme.id, programme.title)}
        for process in programme.processes or (None,):
            row = {**head, **(_process_cells(process) if process else {})}
            yield [row.get(column, "") for column in columns]
            head = {"programme": programme.id}
        for each in programme.competencies:
            row = {
                **head,
                "process": each.process,
                "competency": each.id,
                **_titles("competency", each.id, each.title),
                "level": str(each.level),
                "alignment": each.alignment or "",
            }
            yield [row.get(column, "") for column in columns]


def hours_text(duration_ms: int | None) -> str:
    """`168:45`, or `192:51:36` where there are seconds; empty for None. Exact to the millisecond."""
    if duration_ms is None:
        return ""
    seconds, ms = divmod(duration_ms, 1000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60}:{minutes % 60:02}"
    if second or ms:
        text += f":{second:02}" + (f",{ms:03}" if ms else "")
    return text


def parse_hours(text: str) -> int | None:
    """Milliseconds of `168:45`, `192:51:36` or `168,75` hours; None where it is none of these, or no whole number."""
    match = _HOURS.fullmatch(text)
    if match:
        seconds = Fraction((match[3] or "0").replace(",", "."))
        exact = (int(match[1]) * 60 + int(match[2])) * 60_000 + seconds * 1000
    elif _DECIMAL.fullmatch(text):
        exact = Fraction(text.replace(",", ".")) * _HOUR_MS
    else:
        return None
    return int(exact) if exact.denominator == 1 else None


def _process_cells(process: Process) -> dict[str, str]:
    counts = "" if process.counts is None else " ".join(process.counts) or NONE
    return {
        "process": process.id,
        **_titles("process", process.id, process.title),
        "required": hours_text(process.required_ms),
        "minimum": hours_text(process.minimum_ms),
        "maximum": hours_text(process.maximum_ms),
        "machines": " ".join(process.machines),
        "counts": counts,
        "presence_counts": "yes" if process.presence_counts else "",
    }


def _titles(kind: str, identifier: str, title: LocalText) -> dict[str, str]:
    """Cells by column; where the id is its own title there is nothing to say."""
    if dict(title.by_language) == {"und": identifier}:
        return {}
    return {f"{kind}_{'title' if key == 'und' else key.lower()}": text for key, text in title.by_language.items()}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass
class _Thing:
    """A programme, process or competency while its lines are read: each cell with the line that told it first."""

    id: str
    line: int
    cells: dict[str, tuple[str, int]] = field(default_factory=dict)
    process: str = ""
    """Of a competency."""

    def told(self, column: str) -> str:
        return self.cells.get(column, ("", 0))[0]

    def title(self, kind: str) -> LocalText:
        """The texts by language; the id where there is none."""
        prefix = f"{kind}_"
        found = {
            "und" if name == f"{kind}_title" else name.removeprefix(prefix): text
            for name, (text, _) in self.cells.items()
            if name.startswith(prefix)
        }
        return LocalText(found or {"und": self.id})


@dataclass
class _Programme(_Thing):
    processes: dict[str, _Thing] = field(default_factory=dict)
    competencies: dict[str, _Thing] = field(default_factory=dict)

    def made(self) -> Programme:
        """The model, once nothing is wrong with its cells."""
        return Programme(
            id=self.id,
            title=self.title("programme"),
            code=self.told("code") or None,
            classifier=self.told("classifier") or None,
            processes=tuple(_process(each) for each in self.processes.values()),
            competencies=tuple(_competency(each) for each in self.competencies.values()),
        )


def _process(thing: _Thing) -> Process:
    counts = thing.told("counts").lower()
    return Process(
        id=thing.id,
        title=thing.title("process"),
        required_ms=parse_hours(thing.told("required")),
        minimum_ms=parse_hours(thing.told("minimum")),
        maximum_ms=parse_hours(thing.told("maximum")),
        machines=tuple(thing.told("machines").split()),
        counts=None if not counts else () if counts == NONE else tuple(counts.split()),
        presence_counts=thing.told("presence_counts").lower() == "yes",
    )


def _competency(thing: _Thing) -> Competency:
    return Competency(
        id=thing.id,
        process=thing.process,
        title=thing.title("competency"),
        level=int(thing.told("level") or Competency.level),
        alignment=thing.told("alignment") or None,
    )


class _Plan:
    """Gathers lines into programmes, and checks each cell once, where it is first told."""

    def __init__(self, table: TableReader, lab: Lab) -> None:
        self.programmes: dict[str, _Programme] = {}
        self._table = table
        self._places = {machine.id for machine in lab.machines}
        self._places |= {CLASS_PREFIX + each.machine_class for each in lab.machines if each.machine_class}

    def read(self, record: Record) -> None:
        """One line; what is wrong with it goes to the table."""
        name = self._id(record, "programme")
        if not name:
            if not record.cells["programme"]:
                self._table.report(record.line, "programme", EMPTY, FILL_IN)
            return
        programme = self.programmes.setdefault(name, _Programme(name, record.line))
        self._tell(programme, "programme", record)
        process = self._id(record, "process")
        if process:
            self._tell(programme.processes.setdefault(process, _Thing(process, record.line)), "process", record)
        self._refuse_strays(record, "process")
        competency = self._id(record, "competency")
        if competency:
            self._read_competency(programme, competency, process, record)
        self._refuse_strays(record, "competency")

    def finish(self) -> None:
        """What only the whole file can tell."""
        for programme in self.programmes.values():
            for process in programme.processes.values():
                most = parse_hours(process.told("maximum"))
                for column in ("minimum", "required"):
                    least = parse_hours(process.told(column))
                    if most is not None and least is not None and least > most:
                        what, remedy = N_("it is more than the maximum"), N_("lower it, or raise the maximum")
                        self._table.report(process.cells[column][1], column, what, remedy)

    def report_loaders(self, where: str, said: str) -> None:
        """A problem that only the lab's own loader found, at the line that told of it."""
        match = _PLACE.match(where)
        line, column = 0, ""
        if match and int(match[1]) < len(self.programmes):
            thing: _Thing = list(self.programmes.values())[int(match[1])]
            if match[2] and isinstance(thing, _Programme):
                inside = thing.processes if match[2] == "process" else thing.competencies
                thing = list(inside.values())[int(match[3])]
            line, column = thing.line, match[4] or ""
        what = N_("the check of the configuration says: %(said)s")
        self._table.report(line, column, what, N_("correct the line"), said=said)

    def _read_competency(self, programme: _Programme, name: str, process: str, record: Record) -> None:
        if not process:
            if not record.cells["process"]:
                what = N_("a competency belongs to a work process, and none is named")
                self._table.report(record.line, "process", what, FILL_IN)
            return
        thing = programme.competencies.setdefault(name, _Thing(name, record.line, process=process))
        if thing.process != process:
            what = N_("'%(text)s' belongs to %(other)s in line %(line)s")
            remedy = N_("write it for one work process, or give it another id")
            values = {"text": shown(name), "other": thing.process, "line": thing.line}
            self._table.report(record.line, "competency", what, remedy, **values)
            return
        self._tell(thing, "competency", record)

    def _tell(self, thing: _Thing, kind: str, record: Record) -> None:
        """What this line says of a thing; a second saying must be the same."""
        for column, text in _told_of(kind, record.cells):
            before = thing.cells.get(column)
            if before is None:
                thing.cells[column] = (text, record.line)
                self._check(record.line, column, text)
            elif before[0] != text:
                what = N_("'%(text)s' here, but '%(other)s' in line %(line)s")
                values = {"text": shown(text), "other": shown(before[0]), "line": before[1]}
                self._table.report(record.line, column, what, N_("write it once, or the same each time"), **values)

    def _refuse_strays(self, record: Record, kind: str) -> None:
        if record.cells[kind]:
            return
        for column, _ in _told_of(kind, record.cells):
            what = N_("there is something in it, but no id in the column %(column)s")
            self._table.report(record.line, column, what, N_("fill in the id"), column=kind)

    def _id(self, record: Record, column: str) -> str:
        text = record.cells[column]
        if text and not _ID.fullmatch(text):
            what = N_("'%(text)s' has letters that an id cannot have")
            remedy = N_("use %(letters)s")
            self._table.report(record.line, column, what, remedy, text=shown(text), letters="a-z, A-Z, 0-9, - _")
            return ""
        return text

    def _check(self, line: int, column: str, text: str) -> None:
        match column:
            case "required" | "minimum" | "maximum" if parse_hours(text) is None:
                what = N_("'%(text)s' is no number of hours that is exact to a second")
                remedy = N_("write hours as %(first)s or %(second)s")
                self._table.report(line, column, what, remedy, text=shown(text), first="168:45", second="168,75")
            case "machines":
                self._check_words(line, column, text, self._places)
            case "counts" if text.lower() != NONE:
                self._check_words(line, column, text.lower(), COUNTABLE)
            case "presence_counts":
                self._check_words(line, column, text.lower(), ("yes", "no"))
            case "level" if text not in map(str, range(1, HIGHEST_LEVEL + 1)):
                what, remedy = N_("'%(text)s' is none of its values"), N_("write one of: %(values)s")
                self._table.report(line, column, what, remedy, text=shown(text), values="1, 2, 3")

    def _check_words(self, line: int, column: str, text: str, known: Iterable[str]) -> None:
        allowed = sorted(known)
        words = text.split()
        for word in dict.fromkeys(words):
            if word not in allowed:
                what, remedy = N_("'%(text)s' is none of its values"), N_("write one of: %(values)s")
                self._table.report(line, column, what, remedy, text=shown(word), values=", ".join(allowed))
            elif words.count(word) > 1:
                what = N_("'%(text)s' stands there twice")
                self._table.report(line, column, what, N_("take one out"), text=word)


def _told_of(kind: str, cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(column, text) of what a line says about its programme, process or competency."""
    for column, text in cells.items():
        if text and (column in _OF[kind] or column.startswith(f"{kind}_")):
            yield column, text
