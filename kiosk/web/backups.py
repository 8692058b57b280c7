"""`/settings/backups`: verified copies of the database beside it, made while the kiosk goes on recording.

The copy is made by a job in a process of its own. It holds everything, also names and hashes: for administrators.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, current_app, flash, redirect, render_template, send_file, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.phrases import N_
from kiosk.proofs import encode_base64
from kiosk.store.backup import backup
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader
from kiosk.web.apps import account, services_of_app
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.jobs import QueueFull
from kiosk.web.login import note
from kiosk.web.services import Services
from kiosk.web.settings import gigabytes, moment
from kiosk.words import decimal_comma, local

backups = Blueprint("backups", __name__, url_prefix="/settings/backups")
FOLDER = "backups"
KEPT = 5
OLD_DAYS = 7
DAY_MS = 86_400_000
NAME = re.compile(r"kiosk-(\d{4}-\d\d-\d\d-\d{6})\.db")
STAMP = "%Y-%m-%d-%H%M%S"
MEGABYTE = 1000**2


@dataclass(frozen=True)
class BackupRow:
    """One copy, in words."""

    name: str
    made: str
    days: int
    size: str


@backups.get("")
def show() -> str:
    """The copies there are, and the way to another."""
    services = services_of_app(current_app)
    rows = [_row(services, each) for each in copies(_folder(services))]
    free = shutil.disk_usage(services.database.parent).free
    return render_template(
        "staff/backups.html",
        rows=rows,
        kept=KEPT,
        old=not rows or rows[0].days >= OLD_DAYS,
        free=gigabytes(free),
        folder=_folder(services),
    )


@backups.post("")
def start() -> BaseResponse:
    """Begins to make one."""
    services = services_of_app(current_app)
    if shutil.disk_usage(services.database.parent).free < 2 * services.database.stat().st_size:
        flash(gettext("The disk has no room for another copy. Take older ones elsewhere."), "refused")
        return redirect(url_for("backups.show"), 303)
    stamp = local(services.wall_ms(), ZoneInfo(services.lab.timezone)).strftime(STAMP)
    arguments = (services.database, _folder(services) / f"kiosk-{stamp}.db")
    try:
        job = jobs_of_app(current_app).start(
            N_("Backup"), account().user_ref, make, arguments, filename=f"kiosk-{stamp}.txt"
        )
    except QueueFull:
        flash(gettext("Too much is being made already. Try again when something is ready."), "refused")
        return redirect(url_for("backups.show"), 303)
    note("backed_up", account().user_ref, arguments[1].name)
    return redirect(url_for("jobs.show", job_id=job), 303)


@backups.get("/<name>")
def file(name: str) -> BaseResponse:
    """One of them, to be kept elsewhere."""
    path = _folder(services_of_app(current_app)) / name
    if not NAME.fullmatch(name) or not path.is_file():
        abort(404)
    note("exported", account().user_ref, name)
    return send_file(path.absolute(), "application/vnd.sqlite3", as_attachment=True, download_name=name)


def make(out: Path, tick: Callable[[int, int], None], database: Path, target: Path) -> None:
    """Copies and verifies; `out` gets what the copy holds, to be kept on paper. The oldest of more than five go."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(open_reader(database)) as connection:
        size = Ledger(connection).size
        report = backup(connection, target, lambda done: tick(min(done, size), size))
    out.write_text(f"{target.name}: {report.entries} entries, verified; root {encode_base64(report.root)}\n")
    for old in copies(target.parent)[KEPT:]:
        old.unlink()


def copies(folder: Path) -> list[Path]:
    """The latest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((each for each in found if NAME.fullmatch(each.name)), key=lambda each: each.name, reverse=True)


def _folder(services: Services) -> Path:
    return services.database.parent / FOLDER


def _row(services: Services, path: Path) -> BackupRow:
    zone = ZoneInfo(services.lab.timezone)
    found = NAME.fullmatch(path.name)
    assert found is not None
    try:
        made_ms = round(datetime.strptime(found[1], STAMP).replace(tzinfo=zone).timestamp() * 1000)
    except ValueError:  # somebody else's file
        made_ms = 0
    return BackupRow(
        name=path.name,
        made=moment(made_ms, zone),
        days=max(0, (services.wall_ms() - made_ms) // DAY_MS),
        size=_size(path.stat().st_size),
    )


def _size(size: int) -> str:
    return decimal_comma(Decimal(size) / MEGABYTE)
