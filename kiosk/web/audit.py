"""`/audit`: who did what, newest first. Names are looked up now, so that whoever was erased stays erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, render_template, request, url_for
from flask_babel import gettext

from kiosk.store import acts, people
from kiosk.store.acts import Act
from kiosk.store.schema import open_reader
from kiosk.web.act_words import KINDS, ActWords
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.login import note
from kiosk.web.reading import NAMELESS, Reading
from kiosk.web.review_words import TAKEN_BACK
from kiosk.web.services import Services
from kiosk.web.settings import moment
from kiosk.words import words

audit = Blueprint("audit", __name__, url_prefix="/audit")
PAGE = 50
MOST_EXPORTED = 10_000
"""Rows of one file: a year of a busy workshop. The page says so."""
MAX_DIGITS = 15
"""Of a time in milliseconds, and of an act's number."""
CONSOLES = ("console", "import")
"""Whom entries name that no account has made."""


@dataclass(frozen=True)
class Filters:
    """What is looked for; empty means everything."""

    who: str = ""
    kind: str = ""
    person: str = ""
    first: str = ""
    last: str = ""
    """Days, ISO, both included."""

    def address(self, endpoint: str, **more: str) -> str:
        """Of a page that looks for the same."""
        asked: dict[str, Any] = {name: value for name, value in vars(self).items() if value}
        return url_for(endpoint, **(asked | more))

    def arguments(self, zone: ZoneInfo) -> dict[str, Any]:
        """As the store is asked."""
        return {
            "by": self.who or None,
            "kinds": (self.kind,) if self.kind else (),
            "person_ref": self.person or None,
            "first_ms": _midnight(self.first, zone),
            "last_ms": _midnight(self.last, zone, days=1),
        }


@dataclass(frozen=True)
class ActRow:
    """One act, in words."""

    at: str
    who: str
    kind: str
    what: str
    person: str
    person_ref: str
    """For the way to their page; empty where there is none any more."""
    machine: str
    session: int | None


@audit.get("")
def show() -> str:
    """One page of it, and what it is narrowed to."""
    services = services_of_app(current_app)
    filters, before = filters_of(request.args), _before(request.args.get("before", ""))
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        found = acts.acts(connection, limit=PAGE + 1, before=before, **filters.arguments(reading.zone))
        rows = list(_rows(services, reading, found[:PAGE]))
        accounts = [(user.user_ref, user.name) for user in people.users(connection)]
        everybody = [
            (each.person_ref, " ".join(filter(None, (each.surname, each.given, each.patronymic))))
            for each in people.people(connection)
        ]
    last = found[PAGE - 1] if len(found) > PAGE else None
    older = filters.address("audit.show", before=f"{last.at_ms}-{last.id}") if last else None
    return render_template(
        "staff/audit.html",
        rows=rows,
        filters=filters,
        accounts=accounts,
        everybody=everybody,
        kinds=KINDS,
        older=older,
        newest=filters.address("audit.show") if before else None,
        file=filters.address("audit.file"),
        most=MOST_EXPORTED,
    )


@audit.get("/acts.csv")
def file() -> Response:
    """The same as a table for a spreadsheet, newest first."""
    from kiosk.reports.files import MEDIA, content  # noqa: PLC0415 - start-up matters on a small machine
    from kiosk.reports.table import Column, Report, Table  # noqa: PLC0415

    services = services_of_app(current_app)
    filters = filters_of(request.args)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        found = acts.acts(connection, limit=MOST_EXPORTED, **filters.arguments(reading.zone))
        rows = tuple(
            (each.at, each.who, each.kind, each.what, each.person, each.machine, each.session)
            for each in _rows(services, reading, found)
        )
    titles = (gettext("When"), gettext("Who"), gettext("Did"), gettext("What"), gettext("Person"), gettext("Machine"))
    columns = (*(Column(title) for title in titles), Column(gettext("Session"), "number"))
    report = Report(gettext("Who did what"), (), (Table(columns, rows),))
    note("exported", account().user_ref, "audit.csv")
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(content(report, "csv"), 200, headers, content_type=MEDIA["csv"])


def filters_of(given: Mapping[str, str]) -> Filters:
    """What an address asks for; days that are none are left out."""
    named = Filters(**{name: given.get(name, "").strip()[:64] for name in vars(Filters())})
    known = named.kind if named.kind in KINDS else ""
    return replace(named, kind=known, first=_day(named.first), last=_day(named.last))


def _rows(services: Services, reading: Reading, found: list[Act]) -> Iterator[ActRow]:
    accounts = {user.user_ref: user.name for user in people.users(reading.connection)}
    said = ActWords(services.lab, words(request_language(services)), accounts.get)
    for each in found:
        person = people.person_by_ref(reading.connection, each.person_ref) if each.person_ref else None
        yield ActRow(
            at=moment(each.at_ms, reading.zone),
            who=_who(reading, accounts, each),
            kind=said.kind(each),
            what=gettext(TAKEN_BACK) if _is_undo(reading, each) else said.what(each),
            person=reading.full_name(each.person_ref) if each.person_ref else "",
            person_ref=person.person_ref if person and person.person_id else "",
            machine=said.machine(each),
            session=each.session,
        )


def _is_undo(reading: Reading, act: Act) -> bool:
    """A decision that takes one back is entered as what stands then; that is not what somebody did."""
    if act.kind != "session_reviewed" or act.seq is None:
        return False
    return any(b'"undo":true' in data for _, _, data in reading.entries(act.seq - 1, act.seq))


def _who(reading: Reading, accounts: Mapping[str, str], act: Act) -> str:
    if act.by is None:
        return reading.full_name(act.person_ref) if act.kind == "session_questioned" and act.person_ref else NAMELESS
    if act.by in CONSOLES:
        return gettext("the kiosk's command line")
    return accounts.get(act.by) or reading.full_name(act.by)


def _before(text: str) -> tuple[int, int] | None:
    at, _, number = text.partition("-")
    plain = all(each.isascii() and each.isdecimal() and len(each) <= MAX_DIGITS for each in (at, number))
    return (int(at), int(number)) if plain else None


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _midnight(text: str, zone: ZoneInfo, days: int = 0) -> int | None:
    """UTC milliseconds of the beginning of a local day; of the last millisecond before, `days` later."""
    if not text:
        return None
    try:
        begins = datetime.combine(date.fromisoformat(text) + timedelta(days=days), datetime.min.time(), zone)
        return round(begins.timestamp() * 1000) - (1 if days else 0)
    except OverflowError:
        return None
