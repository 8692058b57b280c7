"""`/programmes/import`: a spreadsheet of programmes becomes a file for the lab's folder.

Programmes are configuration, and the kiosk may not write its own: a person puts the file there, and the next start
reads it. So nothing changes here but that somebody made the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flask import Blueprint, Response, abort, current_app, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import NoteAct
from kiosk.imports import templates
from kiosk.imports.comparison import Difference, compare_programmes
from kiosk.imports.problems import Problem
from kiosk.imports.programmes import COLUMNS, EXAMPLE, ProgrammeFile, read_programmes
from kiosk.phrases import N_
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.import_words import problem_rows
from kiosk.web.imports import attachment
from kiosk.web.plan import programme_rows
from kiosk.web.programmes import meaning_rows, programmes_workbook
from kiosk.web.review import submit
from kiosk.web.uploads import handed_in, keep, kept
from kiosk.words import Words, words
from lab_config.model import Competency, Lab, Process

programme_import = Blueprint("programme_import", __name__, url_prefix="/programmes/import")
SHOWN = 200
KINDS = {"added": N_("new"), "changed": N_("changed"), "missing": N_("not in the file")}
"""What becomes of a thing, by `Difference.kind`."""
FIELDS = {
    "title": N_("title"),
    "code": N_("code"),
    "classifier": N_("classifier"),
    "required_ms": N_("required hours"),
    "minimum_ms": N_("minimum"),
    "maximum_ms": N_("maximum"),
    "machines": N_("machines"),
    "counts": N_("states that count"),
    "presence_counts": N_("whether presence counts"),
    "process": N_("work process"),
    "level": N_("level"),
    "alignment": N_("public list"),
}
"""By the fields of the model."""


@dataclass(frozen=True)
class ProgrammeUpload:
    """A file without a fault, waiting to be taken along."""

    name: str
    file: ProgrammeFile


@dataclass(frozen=True)
class DifferenceRow:
    """One difference, in words."""

    kind: str
    programme: str
    what: str
    id: str
    title: str
    changed: tuple[str, ...]


@programme_import.get("")
def ask() -> str:
    """Where a file is handed in, and what may stand in it."""
    return _page(())


@programme_import.post("")
def check() -> BaseResponse | tuple[str, int]:
    """Every bad line at once, or the way to the comparison."""
    found = handed_in()
    if found is None:
        return _page(()), 422
    stream, name = found
    file = read_programmes(stream, _lab())
    if file.problems:
        return _page(file.problems, name), 422
    token = keep(ProgrammeUpload(name, file))
    return redirect(url_for("programme_import.preview", token=token), 303)


@programme_import.get("/<token>")
def preview(token: str) -> BaseResponse | str:
    """What would be otherwise, and what to do with the file."""
    upload = kept(token, ProgrammeUpload)
    if upload is None:
        return redirect(url_for("programme_import.ask"), 303)
    lab, language = _lab(), _language()
    handed_ids = {each.id for each in upload.file.programmes}
    differences = compare_programmes(upload.file.programmes, lab.programmes)
    return render_template(
        "staff/programme_preview.html",
        token=token,
        name=upload.name,
        file_name=_file_name(upload.file, lab),
        differences=[_row(each, language) for each in differences[:SHOWN]],
        count=len(differences),
        shown=SHOWN,
        kinds=KINDS,
        missing=[each.id for each in lab.programmes if each.id not in handed_ids],
        replaced=[each.id for each in lab.programmes if each.id in handed_ids],
        programmes=programme_rows(replace(lab, programmes=upload.file.programmes), {}, language),
    )


@programme_import.post("/<token>")
def take_along(token: str) -> BaseResponse:
    """The file for the lab's folder."""
    upload = kept(token, ProgrammeUpload)
    if upload is None:
        return redirect(url_for("programme_import.ask"), 303)
    ids = " ".join(each.id for each in upload.file.programmes)[:200]
    if submit(NoteAct("programmes_imported", account().user_ref, ids)) is None:
        return redirect(url_for("programme_import.preview", token=token), 303)
    return attachment(upload.file.toml.encode(), "application/toml", _file_name(upload.file, _lab()))


@programme_import.get("/template.<form>")
def template(form: str) -> Response:
    """A file to begin with."""
    example = [EXAMPLE.get(column, "") for column in COLUMNS]
    if form == "csv":
        return attachment(templates.csv_template(COLUMNS, example), templates.CSV, "programmes.csv")
    if form != "xlsx":
        abort(404)
    return attachment(programmes_workbook(COLUMNS, [example]), templates.XLSX, "programmes.xlsx")


def _page(problems: Iterable[Problem], name: str = "") -> str:
    found = problem_rows(problems, _language())
    return render_template(
        "staff/programme_import.html",
        problems=found,
        bad_lines=len({each.line for each in found}),
        name=name,
        columns=meaning_rows({**EXAMPLE, "programme": "cnc-operator"}),
    )


def _lab() -> Lab:
    return services_of_app(current_app).lab


def _language() -> Words:
    return words(request_language(services_of_app(current_app)))


def _file_name(file: ProgrammeFile, lab: Lab) -> str:
    """`programmes-<id>.toml`: of the one programme, else of the lab; ids are safe in a header."""
    return f"programmes-{file.programmes[0].id if len(file.programmes) == 1 else lab.id}.toml"


def _row(difference: Difference, language: Words) -> DifferenceRow:
    thing = difference.thing
    what = N_("Work process") if isinstance(thing, Process) else N_("Programme")
    if isinstance(thing, Competency):
        what = N_("Competency")
    return DifferenceRow(
        kind=difference.kind,
        programme=difference.programme,
        what=language.gettext(what),
        id=thing.id,
        title=thing.title.in_language(language.language),
        changed=tuple(language.gettext(FIELDS[name]) for name in difference.changed),
    )
