"""The folded state kept in a file, so that a start follows only what came after. Derived: throw it away at any time.

The law: the state out of a snapshot and the entries after it is the state out of all entries. A snapshot of another
log, of a head that the ledger does not have, of another program, or damaged, is none.

The file holds lines of JSON: what it is a snapshot of, the state without its sessions, the sessions' numbers, and each
session, which stays bytes until somebody asks for it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from functools import cache, partial
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from kiosk.domain import rulebook
from kiosk.domain.credit import Credit
from kiosk.domain.rulebook import NO_CREDIT_RULES, CreditRules, fingerprint
from kiosk.domain.shelf import Shelf
from kiosk.domain.state import (
    Badge,
    Decision,
    LastRead,
    MachineState,
    Person,
    Question,
    Released,
    Session,
    SignOff,
    State,
)
from kiosk.domain.timeline import Boot, Moment, Timeline
from kiosk.projection import fold, undisturbed
from kiosk.store import acts, totals
from kiosk.store.ledger import Ledger
from kiosk.store.meta import get_meta, put_meta
from kiosk.store.schema import open_reader
from lab_config import model

log = logging.getLogger(__name__)

KEEP_EVERY = 20_000
"""A start that had to follow more entries than this leaves a snapshot: a few weeks of a workshop."""
_ROWS_BY = "rows_by"
"""Which program wrote the derived rows."""
SUFFIX = ".snapshot"
"""Beside the database, under its name and this."""

_PLAIN = (
    "log",
    "size",
    "adopted_config",
    "adopted_rules",
    "open_by_machine",
    "open_by_person",
    "sessions_by_person",
    "sessions_by_reader",
    "handed_over",
    "untold",
    "merged",
)
"""What JSON gives back as it was."""
_PAIRS = ("opened_in", "closed_in")
_BY_TWO = ("last_process", "person_seq")
_SESSION = tuple(f.name for f in fields(Session))
_session = attrgetter(*_SESSION)
_RULES = _SESSION.index("rules")
_PERSON = tuple(f.name for f in fields(Person))
_BADGE = tuple(f.name for f in fields(Badge))
_BOOT = tuple(f.name for f in fields(Boot))


@cache
def program() -> str:
    """A fingerprint of the sources that make a state of entries, and rows of a state."""
    ours = Path(__file__).parent
    rows = [ours / "store" / name for name in ("acts.py", "learners.py", "tables.py", "totals.py", "views.py")]
    made_by = [*(ours / "domain").glob("*.py"), ours / "snapshot.py", ours / "projection.py", *rows]
    digest = sha256()
    for path in sorted([*made_by, Path(model.__file__)]):
        digest.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class Memory:
    """What is remembered of a ledger before it is opened, and the state that comes of it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._state = State()

    def vouched(self, ledger: Ledger) -> int:
        """How many entries the snapshot holds; they were looked at when they were folded."""
        self._state = restore(place(self._database), ledger) or State()
        return self._state.size

    def recall(self, connection: sqlite3.Connection) -> tuple[State, int]:
        """The state at the end of the ledger, and how many of its entries came out of a snapshot.

        Rows were written with their entries; where another program wrote them, all are to be written again.
        """
        # What was remembered of a ledger that was put aside since is of no use to the empty one in its place.
        state = self._state if self._state.size <= Ledger(connection).size else State()
        held = state.size
        fold(connection, state)
        if get_meta(connection, _ROWS_BY) == program():
            state.touched.clear()
            state.touched_machines.clear()
            state.touched_people.clear()
        else:
            state.touched.update(state.sessions)
            state.touched_machines.update(state.machines)
            state.touched_people.update(state.people)
        return state, held


def rows_written(connection: sqlite3.Connection, *, anew: bool = False) -> None:
    """All rows are now what this program makes of the entries, all of them made just now or not. The caller commits.

    Of another program's, those that no state is needed for are made here.
    """
    if not anew and get_meta(connection, _ROWS_BY) != program():
        acts.make_anew(connection)
        totals.make_anew(connection)
    put_meta(connection, _ROWS_BY, program())


def keep_after(database: Path, state: State, held: int) -> None:
    """Keep a snapshot if much had to be followed since the last one, which held so many entries; after a commit."""
    if state.size - held > KEEP_EVERY:
        with closing(open_reader(database)) as connection:
            keep(place(database), state, Ledger(connection).root(state.size))


def place(database: Path) -> Path:
    """Where the snapshot of a database is."""
    return database.with_name(database.name + SUFFIX)


def forget(database: Path) -> None:
    """Take the snapshot away, durably: the next start looks at every entry. Works on a full disk."""
    try:
        place(database).unlink(missing_ok=True)
        handle = os.open(database.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        log.error("the snapshot of %s could not be taken away: %s", database, error.strerror)


def keep(path: Path, state: State, root: bytes) -> None:
    """Write the state, folded from the entries under `root`. A disk that takes none costs a slower start, no more."""
    ids = list(state.sessions)
    body = bytearray(_dump(_plain(state)) + b"\n" + _dump(ids))
    for each in ids:  # a list of all of them would take several times the room
        body += b"\n"
        body += state.sessions.packed(each, pack)
    head = {"program": program(), "size": state.size, "root": root.hex(), "sha256": sha256(body).hexdigest()}
    draft = path.with_name(path.name + ".draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_dump(head) + b"\n")
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        log.warning("no snapshot was kept in %s: %s; the next start takes longer", path, error.strerror)


def restore(path: Path, ledger: Ledger) -> State | None:
    """The state that was kept, or None where it is not of this ledger and this program, or not whole."""
    try:
        with path.open("rb") as file:
            head = orjson.loads(file.readline())
            if head["program"] != program() or not 0 < head["size"] <= ledger.size:
                return None
            if head["root"] != ledger.root(head["size"]).hex():
                return None
            body = file.read()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if sha256(body).hexdigest() != head["sha256"]:
        return None
    with undisturbed():
        plain, ids, *sessions = body.split(b"\n")
        return _state(orjson.loads(plain), dict(zip(orjson.loads(ids), sessions, strict=True)))


def pack(session: Session) -> bytes:
    """A session as a line of JSON."""
    row = list(_session(session))
    row[_RULES] = session.rules.fingerprint
    return _dump(row)


def unpack(rules: Mapping[str, CreditRules], line: bytes) -> Session:
    """The session of such a line; `rules` by their fingerprints."""
    row = dict(zip(_SESSION, orjson.loads(line), strict=True))
    for name in ("opened", "closed", "still_here"):
        row[name] = _moment(row[name])
    row["rules"] = rules[row["rules"]]
    row["decisions"] = tuple(
        made._replace(numbers=Credit(*made.numbers), flags=tuple(made.flags))
        for made in (Decision(*values) for values in row["decisions"])
    )
    row["released"] = tuple(Released(*each) for each in row["released"])
    return Session(**row)


def _plain(state: State) -> dict[str, Any]:
    """The state without its sessions, as JSON can say it."""
    value: dict[str, Any] = {name: getattr(state, name) for name in _PLAIN}
    value |= {name: list(getattr(state, name).items()) for name in _PAIRS}
    value |= {name: [[*key, kept] for key, kept in getattr(state, name).items()] for name in _BY_TWO}
    return value | {
        "last": state.last,
        "credit_rules": [_rules_row(each) for each in state.credit_rules.values()],
        "people": [[getattr(person, name) for name in _PERSON] for person in state.people.values()],
        "badges": [[ref, *(getattr(badge, name) for name in _BADGE)] for ref, badge in state.badges.items()],
        "machines": {machine_id: _machine_row(machine) for machine_id, machine in state.machines.items()},
        "boots": [[getattr(boot, name) for name in _BOOT] for boot in state.timeline.boots],
        "timeline": [str(state.timeline.zone), state.timeline.version],
        "questions": list(state.questions.items()),
        "settled": list(state.settled.items()),
        "last_reads": state.last_reads,
        "two_places": sorted(state.two_places),
        "overlapping": sorted(state.overlapping),
    }


def _state(value: dict[str, Any], sessions: dict[int, bytes]) -> State:
    state = State()
    for name in _PLAIN:
        setattr(state, name, value[name])
    for name in _PAIRS:
        setattr(state, name, dict(value[name]))
    for name in _BY_TWO:
        setattr(state, name, {(first, second): kept for first, second, kept in value[name]})
    state.last = _moment(value["last"])
    state.credit_rules = {
        row[0]: CreditRules(row[0], row[1], row[2], tuple(row[3]), row[4]) for row in value["credit_rules"]
    }
    if state.adopted_config:
        state.book = rulebook.rule_book(state.adopted_config)
    if state.adopted_rules:
        state.rules = state.credit_rules[fingerprint(state.adopted_rules)]
    for row in value["people"]:
        person = Person(*row)
        person.contracts = {name: (first, last) for name, (first, last) in person.contracts.items()}
        person.sign_offs = [SignOff(*each) for each in person.sign_offs]
        state.people[person.ref] = person
    state.badges = {ref: Badge(*row) for ref, *row in value["badges"]}
    state.machines = {machine_id: _machine(row) for machine_id, row in value["machines"].items()}
    state.questions = {session: Question(*each) for session, each in value["questions"]}
    state.last_reads = {ref: LastRead(Moment(*at), *rest) for ref, (at, *rest) in value["last_reads"].items()}
    state.settled = {session: (seq, Question(*each)) for session, (seq, each) in value["settled"]}
    state.two_places = set(value["two_places"])
    state.overlapping = set(value["overlapping"])
    zone, version = value["timeline"]
    state.timeline = Timeline(zone)
    state.timeline.put_back([_boot(row) for row in value["boots"]], version)
    state.sessions = Shelf(partial(unpack, {**state.credit_rules, "": NO_CREDIT_RULES}))
    state.sessions.lay_down(sessions)
    return state


def _rules_row(rules: CreditRules) -> list[Any]:
    return [rules.fingerprint, rules.machines, rules.processes, rules.counts, rules.long_session_ms]


def _machine_row(machine: MachineState) -> dict[str, Any]:
    """The moments flat: there are hundreds of thousands."""
    return {
        "history": [*_flat([at for at, _ in machine.history]), [state for _, state in machine.history]],
        "ended": _flat(machine.ended),
        "sessions": machine.sessions,
        "locked": machine.locked,
        "last_end": machine.last_end,
    }


def _machine(row: dict[str, Any]) -> MachineState:
    boots, ms, states = row["history"]
    history = list(zip(_moments(boots, ms), map(intern, states), strict=True))
    return MachineState(history, row["locked"], row["sessions"], _moments(*row["ended"]), _moment(row["last_end"]))


def _moments(boots: list[int], ms: list[int]) -> list[Moment]:
    """Many at once: a named tuple's own constructor takes half of a start."""
    return list(map(partial(tuple.__new__, Moment), zip(boots, ms, strict=True)))


def _flat(moments: list[Moment]) -> list[list[int]]:
    return [[at.boot for at in moments], [at.ms for at in moments]]


def _boot(row: list[Any]) -> Boot:
    boot = Boot(*row)
    boot.anchors = [(at, offset) for at, offset in boot.anchors]
    return boot


def _moment(value: list[int] | None) -> Moment | None:
    return None if value is None else Moment(*value)


def _dump(value: object) -> bytes:
    return orjson.dumps(value, list)  # a named tuple is a list
