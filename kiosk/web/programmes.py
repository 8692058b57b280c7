"""`/programmes`: what apprentices are trained for, against the machines there are and the people who follow it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from flask import Blueprint, Response, current_app, render_template
from flask_babel import gettext

from kiosk.imports import templates
from kiosk.imports.programmes import REQUIRED, columns_for, spreadsheet
from kiosk.store.plan import apprentices_by_programme
from kiosk.store.schema import open_reader
from kiosk.web.access import allowed
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.import_words import PROGRAMMES, ColumnRow, column_rows
from kiosk.web.imports import attachment
from kiosk.web.plan import idle_machines, names, programme_rows, strangers
from kiosk.words import words
from lab_config.model import Lab
from lab_config.rules import COUNTABLE
from lab_config.training import CLASS_PREFIX

programmes = Blueprint("programmes", __name__, url_prefix="/programmes")


@programmes.get("", strict_slashes=False)
def show() -> str:
    """Every programme with its work processes, and what does not fit together."""
    services = services_of_app(current_app)
    language = words(request_language(services))
    with closing(open_reader(services.database)) as connection:
        followers = apprentices_by_programme(connection)
    return render_template(
        "staff/programmes.html",
        programmes=programme_rows(services.lab, followers, language),
        idle=names(idle_machines(services.lab), language),
        strangers=strangers(services.lab, followers),
        without=followers.get(None, 0),
        may_import=account().role in allowed("programme_import.ask", "GET"),
    )


@programmes.get("/programmes.xlsx")
def export() -> Response:
    """The programmes that run, as a spreadsheet that can be changed and imported."""
    lab = services_of_app(current_app).lab
    columns = columns_for(lab)
    content = programmes_workbook(columns, spreadsheet(lab.programmes, columns))
    return attachment(content, templates.XLSX, f"programmes-{lab.id}.xlsx")


def programmes_workbook(columns: tuple[str, ...], rows: Iterable[Sequence[str]]) -> bytes:
    """Lines of programmes with their columns explained."""
    meanings = [(gettext("Column"), gettext("What it means")), *((row.name, row.meaning) for row in meaning_rows({}))]
    choices = {"presence_counts": ("yes", "no"), "level": ("1", "2", "3")}
    return templates.workbook(columns, rows, gettext("Programmes"), gettext("Columns"), meanings, choices)


def meaning_rows(examples: dict[str, str]) -> list[ColumnRow]:
    """What each column means in this lab."""
    services = services_of_app(current_app)
    values = {
        "machines": _places(services.lab),
        "counts": COUNTABLE,
        "presence_counts": ("yes", "no"),
        "required": ("168:45", "168,75"),
    }
    return column_rows(PROGRAMMES, examples, REQUIRED, values, words(request_language(services)))


def _places(lab: Lab) -> list[str]:
    classes = {CLASS_PREFIX + machine.machine_class for machine in lab.machines if machine.machine_class}
    return [*(machine.id for machine in lab.machines), *sorted(classes)]
