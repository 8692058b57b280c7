"""Two rows that are one person are joined, and a person is erased: both looked at first, and neither can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import abort, current_app, flash, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import ErasePerson, MergePeople
from kiosk.phrases import LANGUAGE_NAMES
from kiosk.store import learners
from kiosk.store import people as store
from kiosk.store.people import Person
from kiosk.store.totals import process_totals
from kiosk.web.apps import account
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.people_frame import (
    enterprises,
    full_name,
    language,
    listed_person,
    page_url,
    people,
    programmes,
    reading,
    titled,
)
from kiosk.web.people_list import SEARCH_LETTERS, Filters, found
from kiosk.web.people_papers import span
from kiosk.web.people_parts import Hours, hours
from kiosk.web.reading import Reading
from kiosk.web.review import submit
from kiosk.words import day, qualification_name

MOST_FOUND = 20


@dataclass(frozen=True)
class Side:
    """What one of two rows holds."""

    ref: str
    person_id: str
    name: str
    lines: Sequence[tuple[str, str]]
    """(what it is, as it is written down)."""
    approved: Hours
    waiting: Hours
    sessions: int
    signatures: int
    badges: int
    qualifications: Sequence[str]


def side(here: Reading, person: Person) -> Side:
    """All that a comparison needs."""
    totals = process_totals(here.connection, [person.person_ref])
    known = learners.of_person(here.connection, person.person_ref)
    contract = span(person.contract_from, person.contract_to) if person.contract_from or person.contract_to else ""
    return Side(
        ref=person.person_ref,
        person_id=person.person_id,
        name=full_name(person),
        lines=[
            (gettext("Group"), person.group or ""),
            (gettext("Programme"), titled(programmes(), person.programme)),
            (gettext("Enterprise"), titled(enterprises(), person.enterprise)),
            (gettext("Contract"), contract),
            (gettext("Consent until"), day(person.consent_until) if person.consent_until else ""),
            (gettext("Personnel number"), person.personnel_number or ""),
            (gettext("Date of birth"), day(person.birth_date) if person.birth_date else ""),
            (gettext("Language"), LANGUAGE_NAMES.get(person.language or "", "")),
            (gettext("On the list"), gettext("active") if person.active else gettext("not active")),
        ],
        approved=hours(sum(each.approved_ms for each in totals)),
        waiting=hours(sum(each.waiting_ms for each in totals)),
        sessions=sum(each.sessions for each in totals),
        signatures=len(known.sign_offs),
        badges=sum(not each.blocked for each in store.badges_of(here.connection, person.person_ref)),
        qualifications=[qualification_name(here.lab, name, language()) for name, _ in known.qualifications],
    )


# --- a double --------------------------------------------------------------------------------------------------------


@people.get("/<string(length=16):ref>/merge")
def merge(ref: str) -> str:
    """Who is the same person? Looked for as on the list."""
    return _choose(ref, "")


@people.post("/<string(length=16):ref>/merge/find")
def find_double(ref: str) -> str:
    """Those who fit, of the same role."""
    return _choose(ref, request.form.get("query", "").strip()[:SEARCH_LETTERS])


def _choose(ref: str, query: str) -> str:
    person = listed_person(ref)
    with reading() as here:
        everybody = [each for each in store.people(here.connection) if each.role == person.role]
    fitting = found(everybody, Filters(active="all"), query or person.surname)
    others = [each for each in fitting if each.person_ref != person.person_ref]
    return render_template(
        "staff/person_merge_find.html",
        ref=ref,
        name=full_name(person),
        person=person,
        query=query,
        others=[(each, full_name(each)) for each in others[:MOST_FOUND]],
        more=len(others) > MOST_FOUND,
    )


@people.get("/<string(length=16):ref>/merge/<string(length=16):other>")
def compare(ref: str, other: str) -> str:
    """Both side by side, and what they come to together."""
    first, second = listed_person(ref), listed_person(other)
    if first == second:
        abort(404)
    with reading() as here:
        sides = [side(here, first), side(here, second)]
        totals = process_totals(here.connection, [ref, other])
    return render_template(
        "staff/person_merge.html",
        ref=ref,
        other=other,
        sides=sides,
        lines=[
            (label, left, right)
            for (label, left), (_, right) in zip(sides[0].lines, sides[1].lines, strict=True)
            if left or right
        ],
        approved=hours(sum(each.approved_ms for each in totals)),
        waiting=hours(sum(each.waiting_ms for each in totals)),
    )


@people.post("/<string(length=16):ref>/merge/<string(length=16):other>")
def join(ref: str, other: str) -> BaseResponse | tuple[str, int]:
    """The chosen one stays; the other goes off the roster."""
    first, second = listed_person(ref), listed_person(other)
    keep = request.form.get("keep", "")
    if keep not in (ref, other):
        flash(gettext("Choose which of the two stays."), "refused")
        return compare(ref, other), 422
    kept, double = (first, second) if keep == ref else (second, first)
    if submit(MergePeople(kept.person_id, double.person_id, account().user_ref)) is None:
        return compare(ref, other), 422
    flash(gettext("Joined. All hours count together from now on."), "done")
    return redirect(page_url(kept.person_ref))


# --- erasure ---------------------------------------------------------------------------------------------------------


@people.get("/<string(length=16):ref>/erase")
def erase(ref: str) -> str:
    """What goes, what stays, and the id to type."""
    person = listed_person(ref)
    with reading() as here:
        return render_template("staff/person_erase.html", ref=ref, side=side(here, person))


@people.post("/<string(length=16):ref>/erase")
def forget(ref: str) -> BaseResponse | tuple[str, int]:
    """Only with the id typed, so that it is this person and no slip."""
    person = listed_person(ref)
    if request.form.get("person_id", "").strip() != person.person_id:
        flash(gettext("That is not the id of this person. Nothing was erased."), "refused")
        return erase(ref), 422
    if submit(ErasePerson(person.person_id, account().user_ref)) is None:
        return erase(ref), 422
    jobs_of_app(current_app).throw_all_away()  # what was made for download names them, too
    flash(gettext("Erased. The hours stay, without a name."), "done")
    return redirect(page_url(ref))
