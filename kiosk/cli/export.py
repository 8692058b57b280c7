"""`sheber export`: hours and the training journal as files, for the office and for its programs."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiosk.cli.common import EXIT_CONFIGURATION, data_option, fail
from kiosk.cli.ledger import reading
from kiosk.reports.period import Period, a_day
from kiosk.store.schema import is_sheber_database, one_moment
from lab_config.model import LANGUAGES, Lab

if TYPE_CHECKING:
    from kiosk.reports.export import ExportKind
    from kiosk.reports.source import Source
    from kiosk.reports.ticks import Tick

MOST_DAYS = 10 * 366
"""A year mistyped should not be read for an hour."""
FORMS = ("csv", "xlsx", "jsonl", "pdf")


@dataclass(frozen=True)
class Wanted:
    """What the options say, the same for every kind."""

    data: Path
    period: Period
    form: str
    out: Path
    person: str | None
    enterprise: str | None
    lab: Path | None
    language: str


@click.group()
def export() -> None:
    """Hours and the training journal as files: CSV and XLSX for a spreadsheet, JSON lines for a program, PDF to sign.

    Only reads, also while the kiosk runs. The files have people's names: they are the college's own, readable to their
    owner alone. What an enterprise may receive goes by sheber sync.
    """


def _day(_context: click.Context, parameter: click.Parameter, text: str) -> date:
    found = a_day(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no day: write it like 2026-09-01.", param=parameter)
    return found


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            data_option,
            click.option(
                "--from", "first", callback=_day, required=True, metavar="D", help="The first day, as YYYY-MM-DD."
            ),
            click.option(
                "--to", "last", callback=_day, required=True, metavar="D", help="The last day, itself included."
            ),
            click.option("--format", "form", type=click.Choice(FORMS), required=True, help="What the file is to be."),
            click.option(
                "--out",
                type=click.Path(dir_okay=False, path_type=Path),
                required=True,
                help="The file; one that is there is replaced once the new one is whole.",
            ),
            click.option("--person", metavar="ID", help="Only this person, by the roster's person_id."),
            click.option("--enterprise", metavar="ID", help="Only people whom the roster has with this enterprise."),
            click.option(
                "--lab",
                type=click.Path(exists=True, path_type=Path),
                help="lab.toml, for names that the data folder does not know or that have changed since.",
            ),
            click.option(
                "--language",
                type=click.Choice(LANGUAGES),
                default="en",
                show_default=True,
                help="Of headings and names; JSON lines have ids.",
            ),
        )
    ):
        command = option(command)
    return command


@export.command(
    epilog="Example: sheber export hours --data /var/lib/sheber --from 2026-09-01 --to 2026-12-31 --format csv"
    " --out hours.csv"
)
@_options
def hours(**options: Any) -> None:
    """One row for each closed session: who, where, when, credited, by state, flags, decision.

    Approved and waiting hours are those within the days asked for, so that they add up to the journal's; a session over
    the last midnight stands in both exports with its share in each. The rest of a row is of the whole session. JSON
    lines speak as sheber replay --json does, with times in UTC and null for who was erased.
    """
    _run("hours", **options)


@export.command(
    epilog="Example: sheber export journal --data /var/lib/sheber --from 2026-09-01 --to 2026-09-30 --format pdf"
    " --out journal.pdf --language kk"
)
@_options
def journal(**options: Any) -> None:
    """The training journal: a table for each group and month, people by days, as the page /reports/journal has it."""
    _run("journal", **options)


def _run(kind: ExportKind, first: date, last: date, **options: Any) -> None:
    if first > last:
        raise click.UsageError(f"--from {first} comes after --to {last}: exchange them.")
    period = Period(first, last)
    if period.days > MOST_DAYS:
        raise click.UsageError("--from and --to are more than ten years apart: ask for them in parts.")
    wanted = Wanted(period=period, **options)
    _require_fit(wanted)
    with reading(wanted.data) as connection, one_moment(connection):
        rows = _written(_source(connection, wanted), kind, wanted)
    click.echo(f"{wanted.out}: {rows} {'sessions' if kind == 'hours' else 'rows'} from {first} to {last}")


# --- where it goes ----------------------------------------------------------------------------------------------------


def _require_fit(wanted: Wanted) -> None:
    """End with a sentence where the file must not stand, before anything is read."""
    out = wanted.out
    if out.exists() and not out.is_file():
        raise click.UsageError(f"--out {out} is no file: give it another name.")
    if wanted.data.resolve() in out.resolve().parents:
        fail(f"{out} is in the kiosk's data folder: write it anywhere else")
    if out.exists() and is_sheber_database(out):
        fail(f"{out} is a Sheber database or backup: give the file another name")


def _written(source: Source, kind: ExportKind, wanted: Wanted) -> int:
    """The number of rows in the finished file; what is not whole never has its name."""
    from kiosk.reports.export import Export, TooMuch  # noqa: PLC0415 - only who exports pays for it
    from kiosk.reports.export import export as write  # noqa: PLC0415
    from kiosk.store.succession import synchronise  # noqa: PLC0415

    out = wanted.out
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".sheber-export-") as folder, _progress(kind) as tick:
            draft = Path(folder) / "draft"
            draft.touch(0o600)
            with draft.open("r+b") as file:
                rows = write(source, Export(kind, wanted.period, wanted.form), file, Path(folder), tick)
            synchronise(draft)
            draft.replace(out)
            synchronise(out.parent)
    except TooMuch as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot write {out}: {error.strerror or error}; check the folder, its owner and the room on that disk")
    return rows


@contextmanager
def _progress(kind: str) -> Iterator[Tick]:
    """A bar on a terminal; nothing in a script."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    with click.progressbar(length=1000, label=kind, file=sys.stderr) as bar:
        yield lambda done, of: bar.update(done * 1000 // of - bar.pos if of else 0)


# --- what it is made of -----------------------------------------------------------------------------------------------


def _source(connection: sqlite3.Connection, wanted: Wanted) -> Source:
    from kiosk.clock import real_wall_ms  # noqa: PLC0415
    from kiosk.reports.source import Source  # noqa: PLC0415
    from kiosk.words import words  # noqa: PLC0415

    source = Source(connection, _lab(connection, wanted), words(wanted.language), real_wall_ms())
    whom, called = _whom(source, wanted)
    return replace(source, whom=whom, called=called)


def _lab(connection: sqlite3.Connection, wanted: Wanted) -> Lab:
    """Names as told by --lab, else by the data; days always by the zone that the data was recorded in."""
    from kiosk.store.workshop import known  # noqa: PLC0415

    found = known(connection)
    told = None if wanted.lab is None else _configured(wanted.lab)
    if found is None:
        return told or fail(
            f"nothing in {wanted.data} tells the workshop's time zone: start sheber run once, or give --lab"
        )
    if told is None:
        if not found.named:
            click.echo(
                "sheber: this data tells no names and no academic hour: ids and 45 min are taken; name lab.toml with"
                " --lab, or start sheber run once",
                err=True,
            )
        return found.lab
    if told.id != found.lab.id:
        fail(f"{wanted.lab} describes the workshop {told.id}, but the data is of {found.lab.id}: name the right one")
    return replace(told, timezone=found.lab.timezone)


def _configured(path: Path) -> Lab:
    from lab_config.load import ConfigurationError, load  # noqa: PLC0415

    try:
        return load(path)
    except ConfigurationError as error:
        fail(f"{path}: {error}", EXIT_CONFIGURATION)


def _whom(source: Source, wanted: Wanted) -> tuple[frozenset[str] | None, str]:
    """Whose hours, and what they are called on paper; None is everybody's."""
    from kiosk.reports.source import full_name  # noqa: PLC0415

    people, called = list(source.roster.values()), []
    if wanted.enterprise is not None:
        known = {each.id for each in source.lab.enterprises} | {each.enterprise for each in people}
        if wanted.enterprise not in known:
            fail(f"there is no enterprise {wanted.enterprise!r} here, neither configured nor in the roster: {_HERE}")
        people = [each for each in people if each.enterprise == wanted.enterprise]
        called.append(source.enterprise(wanted.enterprise))
    if wanted.person is not None:
        _require_person(source, wanted.person)
        people = [each for each in people if each.person_id == wanted.person]
        if not people:
            fail(f"{wanted.person!r} is not with the enterprise {wanted.enterprise!r}: leave one of the two out")
        called.insert(0, full_name(people[0]))
    everybody = wanted.person is None and wanted.enterprise is None
    return None if everybody else frozenset(each.person_ref for each in people), " · ".join(called)


_HERE = "look at sheber people list"


def _require_person(source: Source, person_id: str) -> None:
    from kiosk.store.people import doubles, person_by_id  # noqa: PLC0415

    kept = doubles(source.connection).get(person_id)
    if kept is not None:
        fail(f"{person_id!r} was merged with {kept!r}: ask for that one")
    if person_by_id(source.connection, person_id) is None:
        fail(f"there is no person {person_id!r} in the roster: {_HERE}")
