"""`/briefings`: who needs which safety briefing, and the register of those that were held. It changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, current_app, render_template, request
from flask_babel import gettext

from kiosk.phrases import N_
from kiosk.store import people
from kiosk.store.people import Person
from kiosk.store.schema import open_reader
from kiosk.web.access import allowed
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.briefing_register import HeldBriefing, Needs, due, months, register
from kiosk.web.own_record import briefings_known
from kiosk.web.reading import NAMELESS, Reading
from kiosk.words import Words, day, local, qualification_name, words

briefings = Blueprint("briefings", __name__, url_prefix="/briefings")

PAGE = 50
NO_ACCOUNT = ("import", "console")
WHY_DUE = {"expired": N_("over since %(day)s"), "never": N_("not given yet"), "soon": N_("until %(day)s")}
WHY_ICONS = {"expired": "cross", "never": "question", "soon": "clock"}
MONTHS = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)
_MONTH = re.compile(r"[12][0-9]{3}-[01][0-9]\Z")


@dataclass(frozen=True)
class Entered:
    """A row of the register, in words."""

    when: str
    title: str
    until: str
    by: str
    by_badge: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class Needed:
    """A briefing somebody needs, in words."""

    briefing: str
    title: str
    why: str
    text: str
    icon: str


@contextmanager
def a_reading() -> Iterator[Reading]:
    """The store, for one answer."""
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        yield Reading(connection, services.lab)


def language() -> Words:
    """Of this request."""
    return words(request_language(services_of_app(current_app)))


@briefings.get("", strict_slashes=False)
def show() -> str:
    """Who needs which, and a month of the register."""
    services, said = services_of_app(current_app), language()
    group, briefing = request.args.get("group", ""), request.args.get("briefing", "")
    with a_reading() as reading:
        today = reading.local_date(services.wall_ms())
        month = _month(request.args.get("month", "")) or today.replace(day=1)
        needs = [each for each in due(reading, today) if _fits(each, group, briefing)]
        pages = max(1, -(-len(needs) // PAGE))
        number = min(pages, max(1, _whole(request.args.get("page", ""))))
        members = {each.person_ref for each in people.people(reading.connection) if each.group == group}
        held = [each for each in register(reading, month) if briefing in ("", each.briefing)]
        rows = [entered(reading, each, members if group else None, said) for each in held]
        before, after = months(reading, month)
        all_groups = groups(reading)
    return render_template(
        "staff/briefings.html",
        needs=[(each, needed_words(each, said, briefing)) for each in needs[(number - 1) * PAGE : number * PAGE]],
        name_of=name_of,
        count=len(needs),
        page=number,
        pages=pages,
        register=[each for each in rows if each.names],
        month=gettext("%(month)s %(year)s", month=gettext(MONTHS[month.month - 1]), year=month.year),
        this_month=month.strftime("%Y-%m"),
        before=before.strftime("%Y-%m") if before else "",
        after=after.strftime("%Y-%m") if after and after <= today else "",
        groups=all_groups,
        group=group,
        briefing=briefing,
        titles=titles(said),
        may_hold=account().role in allowed("briefing.form", "GET"),
    )


def titles(said: Words) -> list[tuple[str, str]]:
    """(id, title) of every briefing that a machine here requires."""
    lab = services_of_app(current_app).lab
    return [(each, qualification_name(lab, each, said)) for each in briefings_known(lab)]


def groups(reading: Reading) -> list[str]:
    """Those of the active apprentices, in Kazakh order."""
    named = {each.group for each in people.people(reading.connection) if each.active and each.role == "apprentice"}
    return sorted((each for each in named if each), key=people.kazakh_key)


def name_of(person: Person) -> str:
    """Surname first."""
    return " ".join(part for part in (person.surname, person.given, person.patronymic) if part) or NAMELESS


def needed_words(needs: Needs, said: Words, briefing: str = "") -> list[Needed]:
    """What somebody needs, of one briefing or of all."""
    lab = services_of_app(current_app).lab
    return [
        Needed(
            each.briefing,
            qualification_name(lab, each.briefing, said),
            each.why,
            said.gettext(WHY_DUE[each.why], day=day(each.until) if each.until else ""),
            WHY_ICONS[each.why],
        )
        for each in needs.due
        if briefing in ("", each.briefing)
    ]


def entered(reading: Reading, held: HeldBriefing, only: set[str] | None, said: Words) -> Entered:
    """A row of the register, of everybody or of some."""
    moment = local(held.at_ms, reading.zone)
    names = [reading.full_name(each) for each in held.people if only is None or each in only]
    return Entered(
        when=f"{day(moment.date())} {moment.strftime('%H:%M')}",
        title=qualification_name(reading.lab, held.briefing, said),
        until=day(held.until) if held.until else said.gettext(N_("No end")),
        by=_by(reading, held.by, said),
        by_badge=held.mark == "badge",
        names=tuple(sorted(names, key=people.kazakh_key)),
    )


def _by(reading: Reading, by: str | None, said: Words) -> str:
    if by is None or by in NO_ACCOUNT:
        return said.gettext(N_("entered from a list"))
    user = people.user_by_ref(reading.connection, by)
    if user is not None and user.person_ref is None:
        return user.name
    return reading.full_name(by if user is None or user.person_ref is None else user.person_ref)


def _fits(needs: Needs, group: str, briefing: str) -> bool:
    return group in ("", needs.person.group) and briefing in ("", *(each.briefing for each in needs.due))


def _month(text: str) -> date | None:
    if not _MONTH.match(text):
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 6 else 1
