"""`/people/import`: a spreadsheet of people is checked, shown as what it would do, and taken whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import ImportPeople, PersonRow
from kiosk.imports import templates
from kiosk.imports.comparison import FIELDS, Comparison, as_it_stands, compare_people, refused_people
from kiosk.imports.people import COLUMNS, EXAMPLE, MAX_PEOPLE, REQUIRED, ROLES, RosterFile, read_roster
from kiosk.imports.problems import Problem
from kiosk.store.schema import open_reader
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.import_words import PEOPLE, ColumnRow, column_rows, problem_rows
from kiosk.web.review import submit
from kiosk.web.uploads import handed_in, keep, kept, uploads
from kiosk.words import words
from lab_config.model import LANGUAGES, Lab

imports = Blueprint("imports", __name__, url_prefix="/people/import")
SHOWN = 100
"""Lines of a list on the page; the file itself has them all."""


@dataclass(frozen=True)
class PeopleUpload:
    """A file without a fault of its own, waiting for a yes."""

    name: str
    file: RosterFile


@dataclass(frozen=True)
class Emptied:
    """A column that the file lacks or leaves empty, and how many people would lose what they have in it."""

    column: str
    people: int
    missing: bool


@imports.get("")
def ask() -> str:
    """Where a file is handed in, and what may stand in it."""
    return _page(())


@imports.post("")
def check() -> BaseResponse | tuple[str, int]:
    """Every bad line at once, or the way to the preview. Nothing is written."""
    found = handed_in()
    if found is None:
        return _page(()), 422
    stream, name = found
    file = read_roster(stream)
    problems: Sequence[Problem] = file.problems
    if not problems and not file.rows:
        flash(gettext("There is nobody in this file."), "refused")
        return _page((), name), 422
    if not problems:
        with closing(open_reader(services_of_app(current_app).database)) as connection:
            problems = refused_people(connection, file)
    if problems:
        return _page(problems, name, len(file.rows)), 422
    token = keep(PeopleUpload(name, file))
    return redirect(url_for("imports.preview", token=token), 303)


@imports.get("/<token>")
def preview(token: str) -> BaseResponse | str:
    """What the file would do to the roster as it stands now."""
    upload = kept(token, PeopleUpload)
    if upload is None:
        return redirect(url_for("imports.ask"), 303)
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        problems = refused_people(connection, upload.file)
        found, seen = compare_people(connection, upload.file.rows), as_it_stands(connection, upload.file.rows)
    language = words(request_language(services))
    return render_template(
        "staff/import_preview.html",
        token=token,
        name=upload.name,
        count=len(upload.file.rows),
        found=found,
        seen=seen,
        earlier=sum(1 for change in found.changed if change.earlier),
        shown=SHOWN,
        problems=problem_rows(problems, language),
        emptied=_emptied(found, upload.file.columns),
        unknown=_unknown(services.lab, upload.file.rows),
    )


@imports.post("/<token>")
def carry_out(token: str) -> BaseResponse:
    """All of them, or none."""
    upload = kept(token, PeopleUpload)
    if upload is None:
        return redirect(url_for("imports.ask"), 303)
    with closing(open_reader(services_of_app(current_app).database)) as connection:
        changed = request.form.get("seen", "") != as_it_stands(connection, upload.file.rows)
    if changed:
        flash(gettext("The roster was changed since this page was shown. Look at it again."), "refused")
        return redirect(url_for("imports.preview", token=token), 303)
    if submit(ImportPeople(upload.file.rows, account().user_ref)) is None:
        return redirect(url_for("imports.preview", token=token), 303)
    uploads().forget(token)
    count = len(upload.file.rows)
    flash(ngettext("%(num)s person imported.", "%(num)s people imported.", count), "done")
    return redirect(url_for("people.roster"), 303)


@imports.get("/template.<form>")
def template(form: str) -> Response:
    """A file to begin with."""
    if form == "csv":
        return attachment(templates.csv_template(COLUMNS, EXAMPLE), templates.CSV, "people.csv")
    if form != "xlsx":
        abort(404)
    needed = gettext("Needed.")
    meanings = [
        (gettext("Column"), gettext("What it means")),
        *((row.name, f"{row.meaning} {needed}" if row.required else row.meaning) for row in _columns()),
    ]
    content = templates.workbook(
        COLUMNS,
        [EXAMPLE],
        gettext("People"),
        gettext("Columns"),
        meanings,
        {"role": ROLES, "active": ("yes", "no"), "language": LANGUAGES},
    )
    return attachment(content, templates.XLSX, "people.xlsx")


def attachment(content: bytes, kind: str, name: str) -> Response:
    """A file to keep; `name` is one of ours."""
    return Response(content, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _page(problems: Iterable[Problem], name: str = "", rows: int = 0) -> str:
    found = problem_rows(problems, words(request_language(services_of_app(current_app))))
    return render_template(
        "staff/import.html",
        problems=found,
        bad_lines=len({each.line for each in found}),
        name=name,
        rows=rows,
        columns=_columns(),
        most=MAX_PEOPLE,
    )


def _columns() -> list[ColumnRow]:
    services = services_of_app(current_app)
    lab = services.lab
    values: dict[str, Iterable[str]] = {
        "role": ROLES,
        "active": ("yes", "no"),
        "language": LANGUAGES,
        "programme": [each.id for each in lab.programmes],
        "enterprise": [each.id for each in lab.enterprises],
    }
    example = dict(zip(COLUMNS, EXAMPLE, strict=True)) | {"person_id": "p17"}
    return column_rows(PEOPLE, example, REQUIRED, values, words(request_language(services)))


def _emptied(found: Comparison, columns: Sequence[str]) -> list[Emptied]:
    counted = Counter(column for change in found.changed for column in change.emptied)
    return [Emptied(name, counted[name], name not in columns) for name in FIELDS if counted[name]]


def _unknown(lab: Lab, rows: Sequence[PersonRow]) -> list[tuple[str, str, int]]:
    """(column, value, people) that the configuration does not know: allowed, but most likely a slip."""
    known = {
        "programme": {each.id for each in lab.programmes},
        "enterprise": {each.id for each in lab.enterprises},
        "qualifications": {name for machine in lab.machines for name in machine.requires},
    }
    counted: Counter[tuple[str, str]] = Counter()
    for row in rows:
        named = {
            "programme": [row.programme] if row.programme else [],
            "enterprise": [row.enterprise] if row.enterprise else [],
            "qualifications": [name for name, _ in row.qualifications],
        }
        counted.update((column, value) for column, values in named.items() for value in {*values} - known[column])
    return [(column, value, people) for (column, value), people in sorted(counted.items())][:SHOWN]
