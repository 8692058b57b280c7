"""`lab.toml`, or a folder of `*.toml`, to a `Lab`; or every problem in it at once, each with its place and remedy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lab_config.equipment import QUALIFICATION, read_machine, read_reader, read_screen
from lab_config.model import LANGUAGES, PLACES, Lab, Machine, Mqtt, Programme, Rules
from lab_config.network import read_enterprise, read_mqtt, read_web
from lab_config.places import lines_of
from lab_config.problems import ConfigurationError, Problem
from lab_config.rules import read_rules
from lab_config.tables import Source, Table, identified, merged
from lab_config.training import read_programme, read_qualification

__all__ = ["ConfigurationError", "Problem", "load", "load_programmes"]

SINGLE = ("lab", "web", "mqtt", "rules")
REPEATED = ("screen", "reader", "machine", "qualification", "programme", "enterprise")

MOVED_ZONES = ("Asia/Almaty", "Asia/Qostanay")
"""Went from UTC+6 to UTC+5 on 2024-03-01, which zone databases before 2024a do not know."""

_LAB_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LAB_ID_LETTERS = "a-z, 0-9 and “-”"
_ID_LETTERS = "a-z, A-Z, 0-9, “-” and “_”"
_QUALIFICATION_LETTERS = "a-z, A-Z, 0-9, “-”, “_” and “:”"
_SYNTAX_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load(path: Path) -> Lab:
    """The lab that `path`, a TOML file or a folder of them, describes.

    Raises `ConfigurationError` with every problem there is.
    """
    problems: list[Problem] = []
    roots = [root for file in _files(path, problems) if (root := _parse(file, problems)) is not None]
    single = {key: merged(problems, [one for root in roots if (one := root.table(key)) is not None]) for key in SINGLE}
    repeated = {key: [one for root in roots for one in root.tables(key)] for key in REPEATED}
    for root in roots:
        root.close()
    if single["lab"] is None and not problems:
        problems.append(Problem(path, "lab", "There is no [lab].", 'Write [lab] with id = "..." below it.'))
    lab = _lab(problems, path, single, repeated)
    if problems:
        raise ConfigurationError(sorted(problems, key=lambda one: (str(one.file), one.line or 0)))
    return lab


def load_programmes(text: str, file: Path, machines: Collection[Machine]) -> tuple[Programme, ...]:
    """The programmes of a TOML text that is to stand in `file`, against a lab's machines; nothing else may be in it.

    Raises `ConfigurationError` with every problem there is.
    """
    problems: list[Problem] = []
    programmes: tuple[Programme, ...] = ()
    root = _parse_text(file, text, problems)
    if root is not None:
        programmes = _programmes(root.tables("programme"), machines)
        root.close()
    if problems:
        raise ConfigurationError(sorted(problems, key=lambda one: one.line or 0))
    return programmes


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.toml") if not file.name.startswith("."))
    if not files:
        problems.append(Problem(path, "", "The folder holds no *.toml.", "Name another, or write lab.toml into it."))
    return files


def _parse(file: Path, problems: list[Problem]) -> Table | None:
    """The whole of one file as a table, or `None` with the problem noted."""
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        problems.append(Problem(file, "", f"It cannot be read: {error.strerror}.", "Check its name and its rights."))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(Problem(file, "", "It is not UTF-8.", "Save it with the encoding UTF-8.", line))
    else:
        return _parse_text(file, text, problems)
    return None


def _parse_text(file: Path, text: str, problems: list[Problem]) -> Table | None:
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        match = _SYNTAX_LINE.search(str(error))
        line_text = match[1] if match else None
        what = f"It is not TOML: {_SYNTAX_LINE.sub('', str(error)).rstrip('.')}."
        remedy = "Correct the line." if line_text else "Look for a quote or bracket that is never closed."
        problems.append(Problem(file, "", what, remedy, int(line_text) if line_text else None))
    else:
        return Table(problems, values, (), Source(file, lines_of(text)))
    return None


def _lab(
    problems: list[Problem],
    path: Path,
    single: Mapping[str, Table | None],
    repeated: Mapping[str, list[Table]],
) -> Lab:
    """Everything, in the order in which things refer to one another."""
    head = single["lab"] or Table([], {}, ("lab",), Source(path))
    rules_table = single["rules"]
    rules = read_rules(rules_table, Rules()) if rules_table else Rules()
    stale_is_ruled = rules_table is not None and "stale_after" in rules_table
    if rules_table:
        rules_table.close()
    place = head.choice("place", PLACES, Lab.place)
    machines = tuple(
        read_machine(table, name, rules, place, stale_is_ruled=stale_is_ruled)
        for table, name in identified(repeated["machine"], _ID, _ID_LETTERS)
    )
    machine_ids = {machine.id for machine in machines}
    readers = tuple(
        read_reader(table, name, machine_ids) for table, name in identified(repeated["reader"], _ID, _ID_LETTERS)
    )
    _refuse_shared_ports(repeated["reader"])
    reader_ids = {reader.id for reader in readers}
    mqtt = read_mqtt(single["mqtt"])
    if mqtt is None and any(machine.status or machine.production_enable for machine in machines):
        mqtt = Mqtt()
    identifier = head.identifier(_LAB_ID, _LAB_ID_LETTERS)
    lab = Lab(
        id=identifier,
        name=head.local_text("name", identifier),
        organisation=head.local_text("organisation", ""),
        timezone=_timezone(head),
        languages=head.texts("languages", LANGUAGES) if "languages" in head else LANGUAGES,
        academic_hour_ms=head.duration("academic_hour", Lab.academic_hour_ms, zero=False),
        place=place,
        enterprise_share=head.whole("enterprise_share", Lab.enterprise_share, 0, 100),
        demo=head.flag("demo", Lab.demo),
        web=read_web(single["web"]),
        mqtt=mqtt,
        rules=rules,
        screens=tuple(
            read_screen(table, name, reader_ids, len(repeated["screen"]))
            for table, name in identified(repeated["screen"], _ID, _ID_LETTERS)
        ),
        readers=readers,
        machines=machines,
        qualifications=tuple(
            read_qualification(table, name)
            for table, name in identified(repeated["qualification"], QUALIFICATION, _QUALIFICATION_LETTERS)
        ),
        programmes=_programmes(repeated["programme"], machines),
        enterprises=tuple(
            read_enterprise(table, name) for table, name in identified(repeated["enterprise"], _ID, _ID_LETTERS)
        ),
    )
    if not lab.languages:
        head.problem("languages", "There is no language.", 'Write languages = ["kk", "ru", "en"].')
    head.close()
    return lab


def _programmes(tables: list[Table], machines: Collection[Machine]) -> tuple[Programme, ...]:
    return tuple(read_programme(table, name, machines) for table, name in identified(tables, _ID, _ID_LETTERS))


def _refuse_shared_ports(readers: list[Table]) -> None:
    first: dict[str, Table] = {}
    for table in readers:
        port = table.text("port")
        other = first.setdefault(port, table)
        if port and other is not table:
            remedy = "Give each reader a port of its own."
            table.problem("port", f"The reader in {other.place} has this port too.", remedy)


def _timezone(head: Table) -> str:
    name = head.text("timezone", Lab.timezone)
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        head.problem("timezone", f"“{name}” is not a time zone of this computer.", 'Write it like "Asia/Almaty".')
        return Lab.timezone
    if name in MOVED_ZONES and datetime(2025, 1, 1, tzinfo=zone).utcoffset() != timedelta(hours=5):
        remedy = "Update it: apt install --only-upgrade tzdata, or pip install --upgrade tzdata."
        head.problem("timezone", f"The zone database is older than 2024a: {name} is UTC+5 since 2024-03-01.", remedy)
    return name
