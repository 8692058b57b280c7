"""Safety briefings as they were held and as they are due: the register, and who needs which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from kiosk.store import learners, people
from kiosk.store.acts import Act, acts
from kiosk.store.people import Person
from kiosk.web.own_record import BRIEFING, briefings_known
from kiosk.web.reading import Reading
from lab_config.model import Lab

SOON_DAYS = 14
MONTH_MAX = 2_000
"""So many qualifications of one month are looked at; an import of a whole college gives more than a year of lessons."""
DUE = ("expired", "never", "soon")
"""What makes a briefing due, the worst first: over, never given, over within two weeks."""


@dataclass(frozen=True)
class Due:
    """A briefing that somebody needs."""

    briefing: str
    why: str
    """One of `DUE`."""
    until: date | None


@dataclass(frozen=True)
class Needs:
    """A person, and the briefings they need, the worst first."""

    person: Person
    due: tuple[Due, ...]


@dataclass(frozen=True)
class HeldBriefing:
    """One briefing of one day: for a group in one gesture, or for one person."""

    seq: int
    at_ms: int
    briefing: str
    until: str | None
    by: str | None
    mark: str | None
    """`badge` where the instructor's badge alone said who held it."""
    people: tuple[str, ...]
    """Their references, in the order of the list."""


def needed(lab: Lab, programme_id: str | None) -> tuple[str, ...]:
    """The briefings of the machines where a programme's work is done, in the order of the configuration."""
    programme = next((each for each in lab.programmes if each.id == programme_id), None)
    places = {place for process in (programme.processes if programme else ()) for place in process.machines}
    wanted = {
        name
        for machine in lab.machines
        if machine.id in places or f"class:{machine.machine_class}" in places
        for name in machine.requires
    }
    return tuple(each for each in briefings_known(lab) if each in wanted)


def due(reading: Reading, today: date) -> list[Needs]:
    """Every active apprentice who needs a briefing, in Kazakh order."""
    held: dict[str, dict[str, str | None]] = {}
    for person_ref, name, until in learners.held_by_all(reading.connection, BRIEFING):
        held.setdefault(person_ref, {})[name] = until
    found = []
    for person in people.people(reading.connection):
        if person.role == "apprentice" and person.active:
            wanted = tuple(_due(needed(reading.lab, person.programme), held.get(person.person_ref, {}), today))
            if wanted:
                found.append(Needs(person, tuple(sorted(wanted, key=lambda each: DUE.index(each.why)))))
    return found


def _due(wanted: Sequence[str], held: Mapping[str, str | None], today: date) -> Iterator[Due]:
    for briefing in dict.fromkeys((*wanted, *held)):
        if briefing not in held:
            yield Due(briefing, "never", None)
            continue
        last = held[briefing]
        if last is None:
            continue
        until = date.fromisoformat(last)
        if until < today:
            # What nobody needs any more may end in peace.
            if briefing in wanted:
                yield Due(briefing, "expired", until)
        elif until - today <= timedelta(days=SOON_DAYS):
            yield Due(briefing, "soon", until)


def register(reading: Reading, month: date) -> list[HeldBriefing]:
    """What was held in the month that begins on that day, newest first; a group's briefing is one row."""
    first, last = _bounds_ms(reading, month)
    found = acts(reading.connection, kinds=("qualification_granted",), first_ms=first, last_ms=last, limit=MONTH_MAX)
    given = [act for act in found if act.subject.startswith(BRIEFING)]
    rows: dict[tuple[object, ...], HeldBriefing] = {}
    for act, body in _with_entries(reading, given):
        key: tuple[object, ...] = ("batch", body["batch"]) if body.get("batch") else ("one", act.id)
        if act.by == "import":
            key = ("import", act.at_ms, body["qualification"], body["until"])
        person = (act.person_ref,) if act.person_ref else ()
        if key in rows:
            rows[key] = replace(rows[key], people=(*person, *rows[key].people))
        else:
            rows[key] = HeldBriefing(
                act.id, act.at_ms, body["qualification"], body["until"], act.by, body.get("mark"), person
            )
    return list(rows.values())


def months(reading: Reading, month: date) -> tuple[date | None, date | None]:
    """The months before and after that one in which something was held; None where there is none."""
    first, last = _bounds_ms(reading, month)
    kinds = ("qualification_granted",)
    before = acts(reading.connection, kinds=kinds, last_ms=first - 1, limit=1)
    today = reading.local_date(first).replace(day=1)
    following = (today + timedelta(days=32)).replace(day=1)
    after = acts(reading.connection, kinds=kinds, first_ms=last + 1, limit=1)
    return (
        reading.local_date(before[0].at_ms).replace(day=1) if before else None,
        following if after else None,
    )


def _bounds_ms(reading: Reading, month: date) -> tuple[int, int]:
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    first, after = (
        round(datetime(each.year, each.month, 1, tzinfo=reading.zone).timestamp() * 1000) for each in (month, following)
    )
    return first, after - 1


def _with_entries(reading: Reading, given: Sequence[Act]) -> Iterator[tuple[Act, Mapping[str, Any]]]:
    """Each with what its entry says; the batch is not in the act."""
    for act in given:
        if act.seq is not None:
            rows = reading.entries(act.seq - 1, act.seq)
            if rows:
                yield act, json.loads(rows[0][2])
