"""`sheber restore`: a backup takes the place of the ledger, as a new log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiosk.cli.common import data_option, fail
from kiosk.cli.ledger import checking
from kiosk.proofs import encode_base64
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_older_reader

if TYPE_CHECKING:
    from kiosk.restore import Replaced, RestoreReport


@click.command(epilog="Example: sheber restore /media/stick/kiosk-2026-09-01.db --data /var/lib/sheber")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object for scripts.")
def restore(file: Path, data: Path, as_json: bool) -> None:
    """Put the backup FILE in the place of the ledger, after checking all of it; the kiosk must not run.

    A new log begins that names the one it continues. People, badges, accounts and texts go on in it; the hours up to
    the backup and the ledger that was there before stay beside it as files of their own, and nothing is deleted.
    """
    from kiosk.restore import restore as put_back  # noqa: PLC0415 - it brings the whole core with it

    try:
        with checking(2 * _entries(file)) as progress:
            report = put_back(file, data, progress=progress)
    except StoreError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps(asdict(report) | {"root": encode_base64(report.root)}, ensure_ascii=False))
        return
    for sentence in _sentences(file, report):
        click.echo(sentence)


def _sentences(file: Path, report: RestoreReport) -> Iterator[str]:
    yield f"{file}: {report.entries} entries of {report.restored_log}, verified; root {encode_base64(report.root)}"
    carried = ", ".join(f"{count} {table}" for table, count in report.carried.items())
    yield f"the new log {report.log} continues it; taken over: {carried}"
    if report.replaced is None:
        yield "there was no ledger here; block again the badges that were blocked since the backup"
    else:
        yield _replaced(report, report.replaced)
    yield (
        f"the hours up to the backup stay, with their proofs, in {report.restored}: among them "
        f"{report.sessions_pending} sessions to decide and {report.records_pending} records without a receipt"
    )
    if report.consents_left:
        yield (
            f"{report.consents_left} consents are not known to stand since the backup and were not taken over: "
            "enter those that do with sheber people import"
        )
    yield "start sheber run; each enterprise holds what comes from the new log until somebody there accepts its key"


def _replaced(report: RestoreReport, replaced: Replaced) -> str:
    if replaced.damage is not None:
        return (
            f"the ledger that was here is damaged ({replaced.damage}); "
            f"it stays in {replaced.file}, with what was recorded since the backup"
        )
    if report.recorded_since:
        return (
            f"the backup ends at entry {report.entries - 1}; "
            f"what was recorded since ({report.recorded_since} entries) stays in {replaced.file}"
        )
    if report.recorded_since == 0:
        return f"nothing was recorded since the backup; the ledger that was here stays in {replaced.file}"
    if replaced.log == report.restored_log:
        return (
            f"the ledger that was here is no continuation of the backup, though of the same name "
            f"({replaced.size} entries); it stays in {replaced.file}"
        )
    return f"the ledger here was another, {replaced.log} with {replaced.size} entries: it stays in {replaced.file}"


def _entries(file: Path) -> int:
    """How much there is to check, for the bar alone; what is wrong with the file, the restore will say."""
    try:
        connection = open_older_reader(file)
        try:
            return Ledger(connection).size
        finally:
            connection.close()
    except (StoreError, sqlite3.Error):
        return 0
