"""Add a person, and change what is known of one: by the same rules as a roster (`kiosk.imports`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace

from flask import flash, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import PersonRow, SavePerson
from kiosk.imports.people import read_people
from kiosk.phrases import LANGUAGE_NAMES
from kiosk.store.people import Person
from kiosk.web.apps import account
from kiosk.web.people_frame import (
    Choice,
    choices,
    full_name,
    listed_person,
    page_url,
    people,
    person_of,
    programmes,
    reading,
    services,
)
from kiosk.web.review import submit

FIELDS = (
    "person_id",
    "role",
    "surname",
    "given",
    "patronymic",
    "group",
    "language",
    "birth_date",
    "programme",
    "personnel_number",
    "active",
)
"""What the form holds, by the columns of a roster."""
LONGEST = 300
"""More letters than the rules allow, so that a text that is too long is told and not cut."""
Errors = Mapping[str, str]


def read(typed: Mapping[str, str]) -> tuple[PersonRow | None, dict[str, str]]:
    """The row that was typed, or by field what is wrong with it and what to do."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([FIELDS, [typed[name] for name in FIELDS]])
    rows, problems = read_people(text.getvalue().encode("utf-8", "replace"))
    errors: dict[str, str] = {}
    for problem in problems:
        what, remedy = problem.said(gettext)
        errors.setdefault(problem.column, f"{what}; {remedy}")
    return (rows[0] if rows and not errors else None), errors


def _typed() -> dict[str, str]:
    return {name: request.form.get(name, "").strip()[:LONGEST] for name in FIELDS}


def _page(typed: Mapping[str, str], errors: Errors, person: Person | None) -> str:
    known = services().lab.programmes
    return render_template(
        "staff/person_form.html",
        typed=typed,
        errors=errors,
        ref=person.person_ref if person else "",
        name=full_name(person) if person else "",
        roles=[Choice("apprentice", gettext("apprentice")), Choice("instructor", gettext("instructor"))],
        languages=[Choice(code, name) for code, name in LANGUAGE_NAMES.items()],
        programmes=choices(programmes(), typed["programme"] or None) if known or typed["programme"] else [],
    )


@people.get("/new")
def new() -> str:
    """An empty form."""
    return _page({**dict.fromkeys(FIELDS, ""), "role": "apprentice", "active": "yes"}, {}, None)


@people.post("/new")
def add() -> BaseResponse | tuple[str, int]:
    """Somebody new; what was typed stays where it cannot be."""
    typed = {**_typed(), "active": "yes"}
    row, errors = read(typed)
    if row is None:
        return _refused(typed, errors, None)
    done = submit(SavePerson(row, account().user_ref, new=True))
    if done is None:
        return _page(typed, {}, None), 422
    flash(gettext("Added. Now give a card, and record the contract and the consent."), "done")
    return redirect(page_url(str(done.value)))


@people.get("/<string(length=16):ref>/edit")
def edit(ref: str) -> str:
    """The form, filled with what is known."""
    person = listed_person(ref)
    known = {
        "person_id": person.person_id,
        "role": person.role,
        "surname": person.surname,
        "given": person.given,
        "patronymic": person.patronymic,
        "group": person.group,
        "language": person.language,
        "birth_date": person.birth_date,
        "programme": person.programme,
        "personnel_number": person.personnel_number,
        "active": "yes" if person.active else "no",
    }
    return _page({name: value or "" for name, value in known.items()}, {}, person)


@people.post("/<string(length=16):ref>/edit")
def save(ref: str) -> BaseResponse | tuple[str, int]:
    """The roster's id and the role stay; contract and consent have dated entries of their own."""
    with reading() as here:
        person = person_of(here, ref)
    if not person.person_id:
        return redirect(page_url(ref))
    typed = {**_typed(), "person_id": person.person_id, "role": person.role}
    typed["active"] = "yes" if typed["active"] == "yes" else "no"
    row, errors = read(typed)
    if row is None:
        return _refused(typed, errors, person)
    kept = replace(
        row,
        enterprise=person.enterprise,
        contract=person.contract,
        contract_from=person.contract_from,
        contract_to=person.contract_to,
        consent_until=person.consent_until,
    )
    if submit(SavePerson(kept, account().user_ref)) is None:
        return _page(typed, {}, person), 422
    flash(gettext("Saved."), "done")
    return redirect(page_url(ref))


def _refused(typed: Mapping[str, str], errors: Errors, person: Person | None) -> tuple[str, int]:
    flash(gettext("Nothing was saved: look at the fields that are marked."), "refused")
    return _page(typed, errors, person), 422
