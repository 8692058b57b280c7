"""What all pages about people share: the blueprint, the reading connection, and how people and signers are told.

A person's page is addressed by the random reference that the ledger has, never by a name or a number of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, current_app, url_for
from flask_babel import gettext

from kiosk.store import people as store
from kiosk.store.people import Person
from kiosk.store.schema import open_reader
from kiosk.web.access import allowed
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.reading import NAMELESS, Reading
from kiosk.web.services import Services
from kiosk.words import Words, words
from lab_config.model import LocalText

people = Blueprint("people", __name__, url_prefix="/people")
ADULT_YEARS = 18
NO_PERSON = ("console", "import", "restore")
"""Who an entry may name as its author besides accounts and people."""


@dataclass(frozen=True)
class Choice:
    """One value that a form offers."""

    value: str
    name: str


def services() -> Services:
    """What this application was made with."""
    return services_of_app(current_app)


def language() -> Words:
    """The words of this request."""
    return words(request_language(services()))


@contextmanager
def reading() -> Iterator[Reading]:
    """The store, for one answer."""
    with closing(open_reader(services().database)) as connection:
        yield Reading(connection, services().lab)


def person_of(store_reading: Reading, ref: str) -> Person:
    """The person of an address; 404 where there is none.

    An erased one has no `person_id`; of a double it is the one they were joined with, whose reference is another.
    """
    found = store.person_by_ref(store_reading.connection, ref)
    if found is None:
        abort(404)
    return found


def listed_person(ref: str) -> Person:
    """As `person_of`, for a change: one who was erased has nothing left to change, which is a 404 too."""
    with reading() as here:
        found = person_of(here, ref)
    if not found.person_id:
        abort(404)
    return found


def may(endpoint: str) -> bool:
    """May this account send what `endpoint` takes? The same table that the guard asks."""
    return account().role in allowed(f"people.{endpoint}", "POST")


def full_name(person: Person) -> str:
    """Surname first; a dash for somebody erased."""
    return " ".join(part for part in (person.surname, person.given, person.patronymic) if part) or NAMELESS


def age_on(day: date, birth_date: str | None) -> int | None:
    """Whole years; None where nobody wrote the day of birth."""
    if birth_date is None:
        return None
    born = date.fromisoformat(birth_date)
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def signer(here: Reading, by: str | None) -> str:
    """Who did something, as staff know them: the account's owner or its name, or where it came from."""
    if by is None:
        return NAMELESS
    if by in NO_PERSON:
        return gettext("import") if by == "import" else gettext("console")
    user = store.user_by_ref(here.connection, by)
    if user is not None and user.person_ref is None:
        return user.name
    return here.full_name(by if user is None or user.person_ref is None else user.person_ref)


def titled(known: dict[str, LocalText], key: str | None) -> str:
    """The configuration's name of something; its id where it has none; empty where there is nothing."""
    if not key:
        return ""
    return (known[key].in_language(language().language) if key in known else "") or key


def programmes() -> dict[str, LocalText]:
    """The titles of the programmes, by id."""
    return {each.id: each.title for each in services().lab.programmes}


def enterprises() -> dict[str, LocalText]:
    """The names of the enterprises, by id."""
    return {each.id: each.name for each in services().lab.enterprises}


def choices(known: dict[str, LocalText], current: str | None = None) -> list[Choice]:
    """What a form offers of them, and the value that is there now even where the configuration has dropped it."""
    keys = [*known, *([current] if current and current not in known else [])]
    return [Choice(each, titled(known, each)) for each in keys]


def page_url(ref: str, part: str = "") -> str:
    """The person's page, or a part of it."""
    return url_for("people.one", ref=ref, _anchor=part or None)
