"""What the pages read: one short-lived connection, the store's own queries, names as they may be shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from kiosk.store import outbox, people, views
from kiosk.store.faults import disk_fault
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError
from kiosk.store.views import SessionView
from kiosk.web.services import Services
from kiosk.words import FALLBACK, hours_minutes, local
from lab_config.model import LANGUAGES, Lab

NAMELESS = "—"
"""Shown for a person whose name was erased."""
LATEST_WITHIN = 1000
"""Entries searched for the last thing that happened."""
RESUME_TYPES = ("session_opened", "session_closed")


@dataclass(frozen=True)
class Who:
    """A person at a reader: as much as a screen in a workshop may show."""

    short_name: str
    language: str
    role: str
    programme: str | None


@dataclass(frozen=True)
class OpenSession:
    """Somebody on a machine now."""

    machine: str
    name: str
    role: str
    start_ms: int


@dataclass(frozen=True)
class Happening:
    """The last opening (`reason` None) or closing."""

    name: str
    machine: str
    reason: str | None
    observes: bool
    wall_ms: int


@dataclass(frozen=True)
class Progress:
    """A person's credited time in one work process against its plan."""

    title: str
    credited: str
    required: str
    """Empty where the plan says no number."""
    missing: str
    percent: int


@dataclass(frozen=True)
class DemoPerson:
    """Somebody a visitor of the demo may be."""

    name: str
    badge: str


class Reading:
    """The store as the pages see it. Lives as long as its connection is used for one answer."""

    def __init__(self, connection: sqlite3.Connection, lab: Lab) -> None:
        self.connection = connection
        self.lab = lab
        self.zone = ZoneInfo(lab.timezone)
        self._people: dict[str, people.Person | None] = {}

    # --- people

    def _person(self, person_ref: str) -> people.Person | None:
        if person_ref not in self._people:
            self._people[person_ref] = people.person_by_ref(self.connection, person_ref)
        return self._people[person_ref]

    def everybody(self) -> list[people.Person]:
        """All on the list, in the alphabet's order; whom the answer names after that is not asked for one by one."""
        found = people.people(self.connection)
        self._people.update((each.person_ref, each) for each in found)
        return found

    def who(self, person_ref: str) -> Who | None:
        """The person of a ledger entry; `None` where nobody is known by it."""
        person = self._person(person_ref)
        if person is None:
            return None
        language = person.language if person.language in LANGUAGES else FALLBACK
        return Who(person.short_name or NAMELESS, language, person.role, person.programme)

    def short_name(self, person_ref: str) -> str:
        """`Сериков Ә.`, or a dash."""
        person = self._person(person_ref)
        return (person.short_name if person else "") or NAMELESS

    def full_name(self, person_ref: str) -> str:
        """Surname first, as instructors read it, or a dash."""
        person = self._person(person_ref)
        parts = (person.surname, person.given, person.patronymic) if person else ()
        return " ".join(part for part in parts if part) or NAMELESS

    def instructors(self) -> list[str]:
        """Short names of those who are on the active list."""
        return [
            each.short_name or NAMELESS
            for each in people.people(self.connection)
            if each.role == "instructor" and each.active
        ]

    def people_with_badges(self) -> list[DemoPerson]:
        """Everybody with a card, for the demo's panel."""
        cards = {badge.person_ref: badge.uid for badge in reversed(people.badges(self.connection)) if not badge.blocked}
        return [
            DemoPerson(each.short_name, cards[each.person_ref])
            for each in people.people(self.connection)
            if each.person_ref in cards
        ]

    def text(self, key: str | None) -> str | None:
        """A free text by its hash; `None` where there is none (any more)."""
        return people.text_by_hash(self.connection, key) if key else None

    # --- time

    def local_date(self, utc_ms: int) -> date:
        """The lab's date of a moment."""
        return local(utc_ms, self.zone).date()

    def today_ms(self, person_ref: str, now_ms: int) -> int:
        """How long the person was at machines today, a session that still runs included."""
        rows = views.person_day(self.connection, person_ref, self.local_date(now_ms).isoformat())
        return sum(now_ms - row.start_ms if row.end_ms is None else row.presence_ms for row in rows)

    def progress(self, person_ref: str, who: Who, process_id: str | None, language: str) -> Progress | None:
        """What is credited in a process, decided and waiting together, against the plan of the person's programme."""
        process = next(
            (
                process
                for programme in self.lab.programmes
                if programme.id == who.programme
                for process in programme.processes
                if process.id == process_id
            ),
            None,
        )
        if process is None:
            return None
        credit = views.credited_by_process(self.connection, person_ref).get(process_id)
        credited_ms = credit.decided_ms + credit.pending_ms if credit else 0
        required_ms = process.required_ms or 0
        return Progress(
            title=process.title.in_language(language) or process.id,
            credited=hours_minutes(credited_ms),
            required=hours_minutes(required_ms) if required_ms else "",
            missing=hours_minutes(max(0, required_ms - credited_ms)),
            percent=min(100, credited_ms * 100 // required_ms) if required_ms else 0,
        )

    # --- sessions and machines

    def session(self, session: int) -> SessionView | None:
        """One session by the number of its opening."""
        return views.session(self.connection, session)

    def open_sessions(self) -> Iterator[OpenSession]:
        """Who is on, longest first."""
        for row in views.open_sessions(self.connection):
            yield OpenSession(row.machine, self.short_name(row.person_ref), row.role, row.start_ms)

    def machine_states(self) -> dict[str, tuple[str, bool]]:
        """(state, withdrawn) by machine id, for those that were ever heard of."""
        return {row.machine: (row.state, row.locked) for row in views.machines(self.connection)}

    @staticmethod
    def counted_ms(row: SessionView) -> int:
        """What counts after the decision; what would count before one."""
        if row.review == "rejected":
            return 0
        return row.credited_ms if row.decided_credited_ms is None else row.decided_credited_ms

    # --- the ledger

    def newest_seq(self) -> int:
        """The number of the last entry, -1 in an empty log."""
        return Ledger(self.connection).size - 1

    def entries(self, after: int, upto: int) -> list[tuple[int, str, bytes]]:
        """(seq, type, bytes) after `after` up to and with `upto`."""
        return self.connection.execute(
            "SELECT seq, type, bytes FROM ledger WHERE seq > ? AND seq <= ? ORDER BY seq", (after, upto)
        ).fetchall()

    def latest(self) -> Happening | None:
        """The last opening or closing, if it was not too long ago."""
        row = self.connection.execute(
            "SELECT bytes FROM ledger WHERE type IN (?, ?) AND seq > ? ORDER BY seq DESC LIMIT 1",
            (*RESUME_TYPES, self.newest_seq() - LATEST_WITHIN),
        ).fetchone()
        if row is None:
            return None
        body: Mapping[str, Any] = json.loads(row[0])
        return Happening(
            name=self.short_name(body["person_ref"]),
            machine=body["machine"],
            reason=body.get("reason"),
            observes=body.get("role") == "observer",
            wall_ms=body["stamp"]["wall_ms"],
        )

    def undelivered(self) -> int:
        """How many released records have no receipt yet."""
        return sum(count.pending for count in outbox.counts(self.connection))


def today(lab: Lab, now_ms: int) -> str:
    """The lab's date as ISO, to compare with `until`."""
    return local(now_ms, ZoneInfo(lab.timezone)).date().isoformat()


def disk_is_away(services: Services, error: Exception) -> bool:
    """Is it the disk, which screens must outlive, and not a fault of the database or of ours?"""
    if not isinstance(error, (StoreError, sqlite3.Error, OSError)):
        return False
    return disk_fault(error, services.database.parent) is not None or not services.status().recording
