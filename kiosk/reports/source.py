"""What builders are given, and the names they show: people, machines, processes, accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from kiosk.reports.period import Period
from kiosk.store import people
from kiosk.store.people import Person
from kiosk.words import Words, clock_time, day, local
from lab_config.model import Lab

NAMELESS = "—"
"""Shown for a person whose name was erased; their hours are counted."""
LEARNER = "apprentice"
NO_GROUP = ""
"""Those who are in no group; erased people are among them."""


@dataclass(frozen=True)
class Source:
    """A read-only connection, the lab as configured, a language, and the moment the report is made."""

    connection: sqlite3.Connection
    lab: Lab
    words: Words
    now_ms: int
    whom: frozenset[str] | None = None
    """Only these people of the roster, by reference; None is everybody, also who is not on it any more."""
    called: str = ""
    """What those are called on paper."""

    @cached_property
    def zone(self) -> ZoneInfo:
        """The lab's."""
        return ZoneInfo(self.lab.timezone)

    # --- people

    @cached_property
    def roster(self) -> dict[str, Person]:
        """Everybody on it by reference, in Kazakh alphabetical order; also who left, not who was erased."""
        return {each.person_ref: each for each in people.people(self.connection)}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The apprentices' groups, in order."""
        named = {each.group for each in self.of_group(None).values() if each.group and each.role == LEARNER}
        return tuple(sorted(named, key=people.kazakh_key))

    def of_group(self, group: str | None) -> dict[str, Person]:
        """The people of a group; of no group with `NO_GROUP`; all with None."""
        asked = ((ref, each) for ref, each in self.roster.items() if self.whom is None or ref in self.whom)
        return {ref: each for ref, each in asked if group is None or (each.group or NO_GROUP) == group}

    def listed(self, group: str | None, seen: Collection[str]) -> dict[str, Person]:
        """Of a group, who stands in a list: its active apprentices, and whoever has hours in it."""
        known = self.of_group(group).items()
        return {ref: each for ref, each in known if ref in seen or (each.active and each.role == LEARNER)}

    def full_name(self, person_ref: str) -> str:
        """Surname first; a dash for who is nobody any more."""
        return full_name(self.roster.get(person_ref))

    def decider(self, by: str | None) -> str:
        """Whoever decided: the person behind the account, else the account's name."""
        user = people.user_by_ref(self.connection, by) if by else None
        person_ref = user.person_ref if user else by
        person = people.person_by_ref(self.connection, person_ref) if person_ref else None
        name = full_name(person)
        return user.name if user is not None and name == NAMELESS else name if by else ""

    # --- things

    def machine(self, machine_id: str) -> str:
        """A machine's name; its id where it is not in the workshop any more."""
        found = next((each for each in self.lab.machines if each.id == machine_id), None)
        return (found.name.in_language(self.words.language) if found else "") or machine_id

    def process(self, programme: str | None, process: str | None) -> str:
        """A work process by the plan of a programme."""
        found = next(
            (
                each
                for plan in self.lab.programmes
                if plan.id == programme
                for each in plan.processes
                if each.id == process
            ),
            None,
        )
        return (found.title.in_language(self.words.language) if found else "") or process or ""

    def programme(self, programme: str | None) -> str:
        """A programme with its code, as the register of briefings wants it."""
        found = next((each for each in self.lab.programmes if each.id == programme), None)
        if found is None:
            return programme or ""
        return " ".join(filter(None, (found.code, found.title.in_language(self.words.language) or found.id)))

    def enterprise(self, enterprise: str | None) -> str:
        """An enterprise's name; its id where the lab does not know it."""
        found = next((each for each in self.lab.enterprises if each.id == enterprise), None)
        return (found.name.in_language(self.words.language) if found else "") or enterprise or ""

    # --- the words at the head and the foot

    def heading(self, period: Period) -> Iterator[str]:
        """Who issues the report, for which days, and when it was made."""
        language = self.words.language
        yield ", ".join(
            filter(None, (self.lab.organisation.in_language(language), self.lab.name.in_language(language)))
        )
        yield f"{day(period.first)} – {day(period.last)}"
        if self.called:
            yield self.called
        moment = f"{day(local(self.now_ms, self.zone).date())}, {clock_time(self.now_ms, self.zone)}"
        yield self.words.gettext("Made on: %(when)s", when=moment)

    def rule(self) -> Iterator[str]:
        """How hours are converted: said on every report that shows both."""
        minutes = str(self.lab.academic_hour_ms / 60_000).removesuffix(".0").replace(".", ",")
        yield self.words.gettext(
            "1 h = 60 min; 1 ac. h = %(minutes)s min. Totals are converted once; nothing is rounded before.",
            minutes=minutes,
        )

    def month_name(self, period: Period) -> str:
        """`октябрь 2026 г.`."""
        return str(format_skeleton("yMMMM", period.first, locale=self.words.language))


def full_name(person: Person | None) -> str:
    """Surname, given name, patronymic; a dash for nobody."""
    parts = (person.surname, person.given, person.patronymic) if person else ()
    return " ".join(part for part in parts if part) or NAMELESS
