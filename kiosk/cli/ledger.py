"""`sheber ledger`, `sheber backup` and `sheber rebuild`: the log checked, carried out, copied and folded again."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import click

from kiosk.cli.common import data_option, fail
from kiosk.commands import CommandRefused
from kiosk.proofs import Checkpoint, ProofError, encode_base64
from kiosk.store.backup import backup as back_up
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_reader
from kiosk.store.verify import Progress

DATABASE = "kiosk.db"


@click.group()
def ledger() -> None:
    """The append-only log: check it, carry it out, show its newest signed head."""


@ledger.command(
    "verify", epilog="Example: sheber ledger verify --data /var/lib/sheber --checkpoint kept-elsewhere.note"
)
@data_option
@click.option(
    "--checkpoint",
    "checkpoint_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint kept elsewhere; only this finds a history that was written anew as a whole.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for scripts.")
def verify_command(data: Path, checkpoint_file: Path | None, as_json: bool) -> None:
    """Check every entry, hash, subtree and checkpoint, and the hours that follow from them. Changes nothing.

    Names the first bad entry; folds a log that is whole and holds the laws of hours against it.
    """
    from kiosk.audit import audit  # noqa: PLC0415 - it brings the whole core with it

    kept = None if checkpoint_file is None else _read_checkpoint(checkpoint_file)
    with reading(data) as connection, checking(2 * _size(connection)) as progress:
        found = audit(connection, kept, progress)
    root = None if found.root is None else encode_base64(found.root)
    if as_json:
        result = {
            "ok": not found.findings,
            "entries": found.entries,
            "sessions": found.sessions,
            "root": root,
            "findings": [asdict(finding) for finding in found.findings],
        }
        click.echo(json.dumps(result, ensure_ascii=False))
    elif not found.findings:
        click.echo(f"{found.entries} entries, every one as it was written; root {root}")
        click.echo(f"{found.sessions} sessions, every one by the laws of hours")
    for finding in () if as_json else found.findings:
        click.echo(f"sheber: {finding.message}", err=True)
    if found.findings:
        raise SystemExit(1)


@ledger.command("export", epilog="Example: sheber ledger export --data /var/lib/sheber --out ledger.jsonl")
@data_option
@click.option("--out", type=click.File("wb", atomic=True), default="-", help="A file; standard output where left out.")
def export_command(data: Path, out: BinaryIO) -> None:
    """Write the entries' own bytes, one JSON object a line."""
    with reading(data) as connection:
        for _seq, entry in Ledger(connection).entries():
            out.write(entry + b"\n")


@ledger.command("checkpoint", epilog="Example: sheber ledger checkpoint --data /var/lib/sheber > kept-elsewhere.note")
@data_option
def checkpoint_command(data: Path) -> None:
    """Print the newest signed checkpoint."""
    with reading(data) as connection:
        note = Ledger(connection).newest_checkpoint()
    if note is None:
        fail("nothing is signed yet: sheber sync signs the log when it first runs")
    click.echo(note, nl=False)


@click.command(epilog="Example: sheber backup /media/stick/kiosk-2026-09-01.db --data /var/lib/sheber")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def backup(file: Path, data: Path) -> None:
    """Copy the database to FILE, also while the kiosk runs; the copy is verified before it gets its name."""
    with reading(data) as connection, checking(Ledger(connection).size) as progress:
        report = back_up(connection, file, progress)
    click.echo(f"{report.path}: {report.entries} entries, verified; root {encode_base64(report.root)}")


@click.command(epilog="Example: sheber rebuild --data /var/lib/sheber")
@data_option
def rebuild(data: Path) -> None:
    """Throw away everything derived and fold it again from the ledger; the numbers must come out the same."""
    from kiosk.office import rebuild as rebuild_all  # noqa: PLC0415 - it brings the whole core with it

    try:
        report = rebuild_all(data)
    except (StoreError, CommandRefused) as error:
        fail(str(error))
    if not report.same:
        fail(f"{report.entries} entries gave {report.sessions} sessions, but not the numbers that were shown before")
    click.echo(f"{report.entries} entries gave {report.sessions} sessions, with the same numbers as before")


@contextmanager
def reading(data: Path) -> Iterator[sqlite3.Connection]:
    """The database of the data folder for reading; its errors end the command with a sentence."""
    try:
        connection = open_reader(data / DATABASE)
        try:
            yield connection
        finally:
            connection.close()
    except StoreError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"cannot read {data / DATABASE}: {error}; run sheber ledger verify, or put back a verified backup")


@contextmanager
def checking(entries: int) -> Iterator[Progress]:
    """A bar on a terminal; nothing in a script."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    with click.progressbar(length=entries, label="checking", file=sys.stderr) as bar:
        yield lambda count: bar.update(count - bar.pos)


def _size(connection: sqlite3.Connection) -> int:
    """How much there is to check; nothing of it where the file is damaged, which the check itself will say."""
    try:
        return Ledger(connection).size
    except sqlite3.DatabaseError:
        return 0


def _read_checkpoint(path: Path) -> Checkpoint:
    try:
        return Checkpoint.of_note(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, ProofError) as error:
        fail(f"{path} is no checkpoint: {error}; give the file that sheber ledger checkpoint once printed")
