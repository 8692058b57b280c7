"""A report as a file for whoever has the data folder: any number of days, written while it is read.

Nothing here grows with the history but a document of pages, which is why those have a longest length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import orjson

from kiosk.reports.files import write
from kiosk.reports.journal import each_sheet, long_journal
from kiosk.reports.period import Period
from kiosk.reports.sessions import person_of, session_objects, sessions
from kiosk.reports.source import NO_GROUP, Source
from kiosk.reports.table import LongReport, LongTable
from kiosk.reports.ticks import Tick, untold

ExportKind = Literal["hours", "journal"]
MOST_ROWS = {"xlsx": 1_000_000, "pdf": 5_000}
"""Of hours: a sheet has room for 1,048,576; paper of more than some 200 pages nobody reads."""
MOST_SHEETS = {"xlsx": 600, "pdf": 400}
"""Of a journal, one for each group and month: six groups in five years. A document is whole in memory until its end."""

Each = TypeVar("Each")


class TooMuch(Exception):
    """More than the form asked for can hold; a sentence with what to do."""


@dataclass(frozen=True)
class Export:
    """What is asked for."""

    kind: ExportKind
    period: Period
    form: str
    """`jsonl`, or one of `files.MEDIA`."""


def export(source: Source, asked: Export, out: BinaryIO, folder: Path, tick: Tick = untold) -> int:
    """Write it, and say how many rows it has: sessions, or a journal's people by the month.

    `folder` takes what a workbook keeps on disk meanwhile. Raises `TooMuch`, and OSError where the disk takes no more.
    """
    groups = (*source.groups, NO_GROUP)
    if asked.form == "jsonl":
        return _json_lines(_objects(source, asked, groups, tick), out)
    sheets = len(list(asked.period.months())) * len(groups)
    if asked.kind == "journal" and sheets > MOST_SHEETS.get(asked.form, sheets):
        raise TooMuch(
            f"a journal of {sheets} sheets is too long for {asked.form}: ask for fewer days, or take csv or jsonl"
        )
    count = _Count(asked.form, MOST_ROWS.get(asked.form) if asked.kind == "hours" else None)
    made = (
        sessions(source, asked.period, tick, on_paper=asked.form == "pdf")
        if asked.kind == "hours"
        else long_journal(source, asked.period, groups, tick=tick)
    )
    write(count.report(made), asked.form, out, folder)
    return count.rows


class _Count:
    """How many rows pass, and no more than the form can hold."""

    def __init__(self, form: str, most: int | None) -> None:
        self._form, self._most = form, most
        self.rows = 0

    def report(self, made: LongReport) -> LongReport:
        """The same, counted as it is read."""
        return replace(made, tables=self._tables(made))

    def _tables(self, made: LongReport) -> Iterator[LongTable]:
        for each in made.tables:
            yield LongTable(each.columns, self._each(each.rows), partial(getattr, each, "totals"), each.title)

    def _each(self, rows: Iterable[Each]) -> Iterator[Each]:
        for each in rows:
            self.rows += 1
            if self._most is not None and self.rows > self._most:
                raise TooMuch(
                    f"more than {self._most} sessions are too long for {self._form}: "
                    "ask for fewer days or one person, or take csv or jsonl"
                )
            yield each


def _objects(source: Source, asked: Export, groups: tuple[str, ...], tick: Tick) -> Iterator[dict[str, object]]:
    if asked.kind == "hours":
        yield from session_objects(source, asked.period, tick)
        return
    for sheet in each_sheet(source, asked.period, groups, tick):
        people = [(ref, sheet.people.get(ref)) for ref in (*sheet.people, *(ref for ref in sheet.hours if not ref))]
        for ref, person in people:
            worked = sheet.hours.get(ref)
            yield {
                "kind": "journal",
                "month": sheet.month.first.strftime("%Y-%m"),
                **person_of(person),
                "days_ms": {} if worked is None else {day.isoformat(): ms for day, ms in sorted(worked.by_day.items())},
                "approved_ms": 0 if worked is None else worked.approved_ms,
                "waiting_ms": 0 if worked is None else worked.waiting_ms,
            }


def _json_lines(objects: Iterable[dict[str, object]], out: BinaryIO) -> int:
    count = 0
    for each in objects:
        out.write(orjson.dumps(each) + b"\n")
        count += 1
    return count
