"""Add a person, and change what is known of one: by the same rules as a roster (`kiosk.imports`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from flask import flash, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import CommandRefused, PersonRow, SavePerson
from kiosk.imports.people import read_people
from kiosk.phrases import LANGUAGE_NAMES
from kiosk.store.people import Person, version
from kiosk.web.apps import account
from kiosk.web.own_password import refusal
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
    titled,
)
from kiosk.web.review import submit
from kiosk.words import day

UNSEEN = "unseen"
"""Of a form that does not say what it was filled with: it is shown again."""
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
WAS = "was-"


@dataclass(frozen=True)
class Seen:
    """What stood in the form when it was opened: it travels with it, so that nobody's change is lost unseen."""

    version: str
    values: Mapping[str, str]

    @staticmethod
    def of(person: Person) -> Seen:
        """As the person is now."""
        return Seen(version(person), _held(person))

    @staticmethod
    def sent() -> Seen:
        """As the form brings it back."""
        values = {name: request.form.get(WAS + name, "").strip()[:LONGEST] for name in FIELDS}
        return Seen(request.form.get("seen", "") or UNSEEN, values)


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


def _held(person: Person) -> dict[str, str]:
    """What the form is filled with."""
    values = {name: getattr(person, name) or "" for name in FIELDS if name != "active"}
    return {**values, "active": "yes" if person.active else "no"}


def _typed() -> dict[str, str]:
    return {name: request.form.get(name, "").strip()[:LONGEST] for name in FIELDS}


def _page(typed: Mapping[str, str], errors: Errors, person: Person | None, seen: Seen | None = None) -> str:
    known = services().lab.programmes
    return render_template(
        "staff/person_form.html",
        typed=typed,
        errors=errors,
        seen=seen,
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
    return _page(_held(person), {}, person, Seen.of(person))


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
    seen = Seen.sent()
    if row is None:
        return _refused(typed, errors, person, seen)
    try:
        services().submit(SavePerson(row, account().user_ref, seen=seen.version))
    except CommandRefused as error:
        if error.code == "changed_meanwhile":
            return _conflict(ref, typed, seen)
        flash(refusal(error), "refused")
        return _page(typed, {}, person, seen), 422
    flash(gettext("Saved."), "done")
    return redirect(page_url(ref))


def _conflict(ref: str, typed: Mapping[str, str], seen: Seen) -> tuple[str, int]:
    """Somebody else was quicker: what was not touched here becomes theirs, and both values stand by the rest."""
    person = listed_person(ref)
    theirs, both, notes = _held(person), dict(typed), {}
    for name in FIELDS:
        before = seen.values.get(name, "")
        if theirs[name] in (before, typed[name]):
            continue
        if typed[name] == before:
            both[name] = theirs[name]
            notes[name] = gettext("Somebody else changed this. Before: %(value)s", value=_said(name, before))
        else:
            notes[name] = gettext("Somebody else wrote: %(value)s", value=_said(name, theirs[name]))
    flash(
        gettext(
            "Somebody else changed this person while you were writing. Nothing was saved: look at the marked fields, "
            "then save again."
        ),
        "refused",
    )
    return _page(both, notes, person, Seen.of(person)), 409


def _said(name: str, value: str) -> str:
    """A value of the form as people read it."""
    if name == "active":
        return gettext("active") if value == "yes" else gettext("not active")
    if name == "programme":
        return titled(programmes(), value) or gettext("none")
    if name == "birth_date" and value:
        with suppress(ValueError):  # a form may bring back anything
            return day(value)
    return LANGUAGE_NAMES.get(value, value) if name == "language" and value else value or gettext("none")


def _refused(
    typed: Mapping[str, str], errors: Errors, person: Person | None, seen: Seen | None = None
) -> tuple[str, int]:
    flash(gettext("Nothing was saved: look at the fields that are marked."), "refused")
    return _page(typed, errors, person, seen), 422
