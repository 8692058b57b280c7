"""`/people`: everybody by group, each against the whole plan, 50 a page.

What is searched for may be a name: it is sent in the body of a form, so that no address and no log ever holds one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from flask import redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.store import people as store
from kiosk.store import views
from kiosk.store.people import Person, kazakh_key
from kiosk.store.totals import ProcessTotal, process_totals
from kiosk.web.answers import ends_words
from kiosk.web.charts import Progress, progress
from kiosk.web.own_record import OwnRecord, own_record
from kiosk.web.people_frame import (
    ADULT_YEARS,
    Choice,
    age_on,
    choices,
    enterprises,
    full_name,
    language,
    may,
    people,
    programmes,
    reading,
    services,
    titled,
)
from kiosk.web.reading import Reading
from kiosk.words import hours_minutes, qualification_name

PAGE = 50
SEARCH_LETTERS = 80
_PLAIN = str.maketrans("әғқңөұүһіё", "агкноуухие")
"""Who types on a Russian keyboard finds Әлихан by "Алихан"."""


@dataclass(frozen=True)
class Filters:
    """What is chosen above the list; empty is all of them."""

    group: str = ""
    programme: str = ""
    enterprise: str = ""
    role: str = ""
    active: str = "yes"
    """`yes`, `no` or `all`."""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filters:
        """As a form or an address says it."""
        chosen = {name: asked.get(name, "")[:SEARCH_LETTERS] for name in ("group", "programme", "enterprise", "role")}
        active = asked.get("active", "yes")
        return cls(**chosen, active=active if active in {"yes", "no", "all"} else "yes")

    def take(self, person: Person) -> bool:
        """Is this one of them?"""
        return (
            self.group in ("", person.group)
            and self.programme in ("", person.programme)
            and self.enterprise in ("", person.enterprise)
            and self.role in ("", person.role)
            and self.active in ("all", "yes" if person.active else "no")
        )

    def given(self) -> dict[str, str]:
        """Those that say something, for an address."""
        return {name: value for name, value in asdict(self).items() if value and (name, value) != ("active", "yes")}


@dataclass(frozen=True)
class Row:
    """One person on the list."""

    ref: str
    person_id: str
    name: str
    role: str
    active: bool
    programme: str
    bar: Progress | None
    """Against the whole plan; None without one."""
    worked: str
    """All that was approved, where more was than counts towards the plan; else empty."""
    ready: bool
    minor: int | None
    """The age of somebody under 18."""
    papers: Sequence[tuple[str, str, str]]
    """(`over` or `soon`, what, when) of what ended or soon will."""
    questions: int


def plain(text: str) -> str:
    """As names are compared: whatever the case and the keyboard."""
    return unicodedata.normalize("NFC", text).casefold().translate(_PLAIN)


def found(everybody: Sequence[Person], filters: Filters, query: str) -> list[Person]:
    """By group in the order of the Kazakh alphabet (nobody's group last), and within it by name."""
    sought = plain(query).split()

    def fits(person: Person) -> bool:
        told = plain(f"{full_name(person)} {person.person_id} {person.group or ''}")
        return all(word in told for word in sought)

    chosen = [each for each in everybody if filters.take(each) and (not sought or fits(each))]
    return sorted(chosen, key=lambda each: (not each.group, kazakh_key(each.group or "")))


@people.get("", strict_slashes=False)
def roster() -> str:
    """Everybody who fits the filters."""
    return _page(Filters.of(request.args), "", request.args.get("page", "1"))


@people.post("/find")
def find() -> str | BaseResponse:
    """The same for who is looked for by name, id or group."""
    filters, query = Filters.of(request.form), request.form.get("query", "").strip()[:SEARCH_LETTERS]
    if not query:
        return redirect(url_for("people.roster", **dict[str, Any](filters.given())))
    return _page(filters, query, request.form.get("page", "1"))


def _page(filters: Filters, query: str, asked: str) -> str:
    with reading() as here:
        everybody = store.people(here.connection)
        chosen = found(everybody, filters, query)
        pages = max(1, -(-len(chosen) // PAGE))
        number = min(pages, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1) or 1
        shown = chosen[(number - 1) * PAGE : number * PAGE]
        rows = rows_of(here, shown)
    by_group = groupby(zip(shown, rows, strict=True), key=lambda pair: pair[0].group or "")
    return render_template(
        "staff/people.html",
        groups=[(name, [row for _, row in pairs]) for name, pairs in by_group],
        count=len(chosen),
        query=query,
        filters=filters,
        given=filters.given(),
        offered=_offered(everybody, filters),
        page=number,
        pages=pages,
        may_add=may("add"),
    )


def _offered(everybody: Sequence[Person], filters: Filters) -> dict[str, list[Choice]]:
    groups = sorted({each.group for each in everybody if each.group}, key=kazakh_key)
    return {
        "group": [Choice(each, each) for each in groups],
        "programme": choices(programmes(), filters.programme),
        "enterprise": choices(enterprises(), filters.enterprise),
        "role": [Choice("apprentice", gettext("apprentice")), Choice("instructor", gettext("instructor"))],
        "active": [
            Choice("yes", gettext("active")),
            Choice("no", gettext("not active")),
            Choice("all", gettext("everybody")),
        ],
    }


def rows_of(here: Reading, shown: Sequence[Person]) -> list[Row]:
    """The people in words, with their hours read at once."""
    credits = credits_of(process_totals(here.connection, [each.person_ref for each in shown]))
    now_ms = services().wall_ms()
    rows = []
    for each in shown:
        record = own_record(here, each.person_ref, now_ms, credits.get(each.person_ref, {}))
        assert record is not None
        rows.append(_row(here, each, record, now_ms))
    return rows


def credits_of(totals: Sequence[ProcessTotal]) -> dict[str, dict[str | None, views.Credit]]:
    """By person and work process: what is approved and what waits."""
    found: dict[str, dict[str | None, views.Credit]] = {}
    for each in totals:
        found.setdefault(each.person_ref, {})[each.process] = views.Credit(each.approved_ms, each.waiting_ms)
    return found


def whole_plan(record: OwnRecord) -> Progress | None:
    """All processes that require time as one bar; what is too much in one makes up for nothing in another."""
    plans = [each for each in record.processes if each.needed_ms]
    if not plans:
        return None
    return progress(
        sum(min(each.counted_ms, each.needed_ms) for each in plans),
        sum(min(each.waiting_ms, each.missing_ms) for each in plans),
        sum(each.needed_ms for each in plans),
        academic_hour_ms=services().lab.academic_hour_ms,
    )


def _row(here: Reading, person: Person, record: OwnRecord, now_ms: int) -> Row:
    bar = whole_plan(record) if person.role == "apprentice" else None
    approved_ms = sum(each.approved_ms for each in record.processes)
    age = age_on(here.local_date(now_ms), person.birth_date)
    said = language()
    papers = sorted(
        (each for each in record.qualifications if each.expired or each.warn is not None),
        key=lambda each: each.days_left or 0,
    )
    return Row(
        ref=person.person_ref,
        person_id=person.person_id,
        name=full_name(person),
        role=person.role,
        active=person.active,
        programme=titled(programmes(), person.programme),
        bar=bar,
        worked=hours_minutes(approved_ms) if bar is not None and approved_ms > bar.approved.ms else "",
        ready=person.role == "apprentice" and record.ready,
        minor=age if age is not None and age < ADULT_YEARS else None,
        papers=[
            (
                "over" if each.expired else "soon",
                qualification_name(here.lab, each.id, said),
                ends_words(said, each),
            )
            for each in papers
        ],
        questions=len(record.questions),
    )
