"""What somebody asks for, and the report that answers it: for a page, for a job's process and for a command alike."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kiosk.phrases import N_
from kiosk.reports.attendance import attendance
from kiosk.reports.diary import diary
from kiosk.reports.files import write
from kiosk.reports.journal import journal
from kiosk.reports.machine_use import machine_use
from kiosk.reports.period import Period
from kiosk.reports.register import register
from kiosk.reports.source import NO_GROUP, Source
from kiosk.reports.table import Report
from kiosk.reports.ticks import Tick, untold
from kiosk.store.schema import open_reader
from kiosk.words import words
from lab_config.model import Lab

ReportKind = Literal["journal", "attendance", "diary", "machines", "briefings"]
TITLES: dict[ReportKind, str] = {
    "journal": N_("Training journal"),
    "attendance": N_("Hours at the enterprise and at the college"),
    "diary": N_("Practice diary"),
    "machines": N_("Use of the machines"),
    "briefings": N_("Register of safety briefings"),
}
"""Every report there is, in the order in which they are offered."""

EVERY_GROUP = "*"
"""Each group by itself, and those in none."""


@dataclass(frozen=True)
class Asked:
    """One report; what a kind does not look at is left as it is."""

    kind: ReportKind
    period: Period
    language: str
    group: str | None = None
    """A group's name, `NO_GROUP`, `EVERY_GROUP`; None is everybody in one list."""
    person_ref: str | None = None
    machine: str | None = None
    academic: bool = True
    """Are the journal's days in academic hours?"""


def build(source: Source, asked: Asked, tick: Tick = untold) -> Report:
    """The report. Raises `LookupError` where the person of a diary is not on the roster any more."""
    if asked.kind == "journal":
        groups = (*source.groups, NO_GROUP) if asked.group == EVERY_GROUP else (asked.group,)
        return journal(source, asked.period, groups, "academic" if asked.academic else "hours", tick)
    group = None if asked.group == EVERY_GROUP else asked.group
    if asked.kind == "attendance":
        return attendance(source, asked.period, group, tick)
    if asked.kind == "diary":
        return diary(source, asked.period, source.roster[asked.person_ref or ""], tick)
    if asked.kind == "machines":
        return machine_use(source, asked.period, asked.machine)
    return register(source, asked.period, group, tick)


def make_file(out: Path, tick: Tick, database: Path, lab: Lab, now_ms: int, asked: Asked, form: str) -> None:
    """Write it as a file: a fifth of the work is the reading, the rest the writing. For a process of its own."""
    with closing(open_reader(database)) as connection:
        source = Source(connection, lab, words(asked.language), now_ms)
        report = build(source, asked, lambda done, of: tick(done, 5 * of))
    with out.open("wb") as file:
        write(report, form, file, out.parent, lambda done, of: tick(of + 4 * done, 5 * of))
    tick(1, 1)
