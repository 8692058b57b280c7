"""What a file would do: people against the roster as it stands, programmes against those that run. Writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from hashlib import sha256

from kiosk.commands import PersonRow
from kiosk.imports.people import COLUMNS, RosterFile
from kiosk.imports.problems import Problem
from kiosk.phrases import N_
from kiosk.store import learners, people
from kiosk.store.people import Person
from lab_config.model import Competency, Process, Programme

FIELDS = tuple(column for column in COLUMNS if column not in {"person_id", "badges", "qualifications"})
"""Columns that are also attributes of a row and of a person."""

FOR_EVER = "~"
"""After every ISO date."""


@dataclass(frozen=True)
class PersonChange:
    """What an import would do to somebody who is on the roster."""

    row: PersonRow
    changed: tuple[str, ...]
    """Columns whose value becomes another one."""
    emptied: tuple[str, ...]
    """Columns whose value would be gone."""
    badges: int = 0
    """Badges that the person has not yet."""
    qualifications: int = 0
    """Qualifications that the person has not, or until another day."""
    earlier: int = 0
    """Of these, what would end before it does now: the file may be older than what was held since."""


@dataclass(frozen=True)
class Comparison:
    """A file of people against the roster."""

    new: tuple[PersonRow, ...]
    changed: tuple[PersonChange, ...]
    unchanged: int
    namesakes: tuple[tuple[PersonRow, str], ...]
    """New people of whose name there is somebody already, with the `person_id` of that one."""


def compare_people(connection: sqlite3.Connection, rows: Iterable[PersonRow]) -> Comparison:
    """What importing these rows would do now."""
    new: list[PersonRow] = []
    changed: list[PersonChange] = []
    unchanged = 0
    named: dict[tuple[str, str, str], str] = {}
    for person in people.people(connection):
        named.setdefault(_name(person), person.person_id)
    for row in rows:
        known = people.person_by_id(connection, row.person_id)
        if known is None:
            new.append(row)
            continue
        change = _change(connection, row, known)
        if change.changed or change.emptied or change.badges or change.qualifications:
            changed.append(change)
        else:
            unchanged += 1
    namesakes = tuple((row, named[_name(row)]) for row in new if _name(row) in named)
    return Comparison(tuple(new), tuple(changed), unchanged, namesakes)


def as_it_stands(connection: sqlite3.Connection, rows: Iterable[PersonRow]) -> str:
    """The same for as long as nothing changes about whom these rows name: what a look at them can be held against."""
    seen = sha256()
    for row in rows:
        known = people.person_by_id(connection, row.person_id)
        if known is not None:
            badges = [astuple(badge) for badge in people.badges_of(connection, known.person_ref)]
            held = learners.of_person(connection, known.person_ref).qualifications
            seen.update(repr((astuple(known), badges, held)).encode())
        seen.update(b"\n")
    return seen.hexdigest()


def refused_people(connection: sqlite3.Connection, file: RosterFile) -> tuple[Problem, ...]:
    """What stands in the way of a file that has no fault of its own: badges of other people, merged doubles."""
    lines = dict(zip((row.person_id for row in file.rows), file.lines, strict=True))
    found = []
    for uid, wanted_by, held_by in people.taken_badges(connection, file.rows):
        what = N_("the badge %(badge)s of %(person)s belongs to %(other)s already")
        values = {"badge": uid, "person": wanted_by, "other": held_by}
        found.append(Problem(lines[wanted_by], "badges", what, N_("give %(person)s another badge"), values))
    for person_id, kept in people.doubles(connection).items():
        if person_id in lines:
            what = N_("%(person)s was a double and is one person with %(other)s now")
            values = {"person": person_id, "other": kept}
            found.append(
                Problem(lines[person_id], "person_id", what, N_("write %(other)s, or delete the line"), values)
            )
    return tuple(sorted(found, key=lambda problem: problem.line))


def _change(connection: sqlite3.Connection, row: PersonRow, known: Person) -> PersonChange:
    differing = [name for name in FIELDS if getattr(row, name) != getattr(known, name)]
    held = {badge.uid for badge in people.badges_of(connection, known.person_ref)}
    qualified = dict(learners.of_person(connection, known.person_ref).qualifications) if row.qualifications else {}
    others = [(name, until) for name, until in row.qualifications if qualified.get(name, "") != until]
    return PersonChange(
        row,
        tuple(name for name in differing if getattr(row, name) not in (None, "")),
        tuple(name for name in differing if getattr(row, name) in (None, "")),
        len(set(row.badges) - held),
        len(others),
        sum(name in qualified and (until or FOR_EVER) < (qualified[name] or FOR_EVER) for name, until in others),
    )


def _name(person: PersonRow | Person) -> tuple[str, str, str]:
    return (person.surname.casefold(), person.given.casefold(), (person.patronymic or "").casefold())


# --- programmes -------------------------------------------------------------------------------------------------------

ADDED, CHANGED, MISSING = "added", "changed", "missing"


@dataclass(frozen=True)
class Difference:
    """One thing that would be otherwise. `kind` is `added`, `changed` or `missing`."""

    kind: str
    programme: str
    thing: Programme | Process | Competency
    """As it would be; as it is, where it is missing."""
    changed: tuple[str, ...] = ()
    """Names of the model's fields."""


def compare_programmes(new: Sequence[Programme], running: Sequence[Programme]) -> tuple[Difference, ...]:
    """What would be otherwise if the new programmes stood in place of those that run, programme by programme."""
    return tuple(_differences(new, running))


def _differences(new: Sequence[Programme], running: Sequence[Programme]) -> Iterator[Difference]:
    known = {programme.id: programme for programme in running}
    for programme in new:
        before = known.pop(programme.id, None)
        if before is None:
            yield Difference(ADDED, programme.id, programme)
            continue
        own = tuple(name for name in _changed(programme, before) if name not in {"processes", "competencies"})
        if own:
            yield Difference(CHANGED, programme.id, programme, own)
        yield from _inside(programme.id, programme.processes, before.processes)
        yield from _inside(programme.id, programme.competencies, before.competencies)
    for programme in known.values():
        yield Difference(MISSING, programme.id, programme)


def _inside(
    programme: str, new: Sequence[Process] | Sequence[Competency], running: Sequence[Process] | Sequence[Competency]
) -> Iterator[Difference]:
    known: dict[str, Process | Competency] = {each.id: each for each in running}
    for each in new:
        before = known.pop(each.id, None)
        if before is None:
            yield Difference(ADDED, programme, each)
        elif changed := _changed(each, before):
            yield Difference(CHANGED, programme, each, changed)
    for left in known.values():
        yield Difference(MISSING, programme, left)


def _changed(new: Programme | Process | Competency, before: Programme | Process | Competency) -> tuple[str, ...]:
    return tuple(each.name for each in fields(new) if getattr(new, each.name) != getattr(before, each.name))
