"""What a new log takes over from the one before it, damaged or restored: its last known head, and who people are.

Read row by row, as far as the file can be read. Hours are not taken over: they stay in the old log, with their proofs.
What gives somebody leave comes from the one file only; what took it away since then is honoured.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.proofs import Checkpoint, ProofError, encode_base64, leaf_hash
from kiosk.store.acts import OFFICE
from kiosk.store.ledger import ORIGIN_PREFIX
from kiosk.store.quarantine import put_aside

log = logging.getLogger(__name__)

_TABLES = ("people", "badges", "users", "texts")
_ROSTER = (
    "badge_blocked",
    "qualification_granted",
    "consent_given",
    "consent_withdrawn",
    "contract_recorded",
    "person_merged",
)
_EVERYTHING = 2**63

Rows = list[dict[str, Any]]
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Heritage:
    """How the new log begins."""

    predecessor: dict[str, object]
    """`log`, `size` and `root` of the newest signed head, or None for what cannot be read; and the `file`."""
    roster: tuple[o.Observation, ...]
    """Who people are, to be entered again."""
    carried: Mapping[str, int]
    """How many rows of each table with names were taken over."""
    consents_left: int
    """Consents that were not taken over, because they may have been withdrawn since."""


@dataclass
class _Known:
    """What the old log says of people, by their references."""

    qualifications: dict[str, dict[str, e.QualificationGranted]] = field(default_factory=lambda: defaultdict(dict))
    contracts: dict[str, dict[str, tuple[str | None, str | None]]] = field(default_factory=lambda: defaultdict(dict))
    consents: dict[str, dict[str, tuple[int, str | None]]] = field(default_factory=lambda: defaultdict(dict))
    blocked: set[str] = field(default_factory=set)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    """(person, enterprise): known not to consent any more."""
    doubt: int = -1
    """The last entry that cannot be read and may have withdrawn a consent; no consent before it is taken over."""

    def merge(self, double: str, into: str) -> None:
        """What only the double had is the kept person's; consents are not handed on."""
        self.qualifications[into] = self.qualifications.pop(double, {}) | self.qualifications[into]
        self.contracts[into] = self.contracts.pop(double, {}) | self.contracts[into]
        self.consents.pop(double, None)


@dataclass
class _Estate:
    """What there is to take over."""

    rows: dict[str, Rows]
    known: _Known
    acts: Rows = field(default_factory=list)
    """Those beside the ledger; its own stay with it."""
    consents_gone: int = 0
    """Consents of it that no longer stand in the ledger that was in use."""

    @classmethod
    def of(cls, old: sqlite3.Connection) -> _Estate:
        """As far as the file can be read."""
        rows = {table: list(_rows(old, table, "rowid", _whole)[0].values()) for table in _TABLES}
        beside, _ = _rows(old, f"acts WHERE id >= {OFFICE}", "id", _whole)
        return cls(rows, _read_log(old), list(beside.values()))

    def _merge(self, whose: Mapping[str, str | None]) -> None:
        """Whom somebody found twice since; where the kept person was not there yet, both wait to be merged again."""
        own = {row["person_ref"]: row for row in self.rows["people"]}
        for double, into in whose.items():
            if into is None or into not in own or double not in own or own[double]["merged_into"] == into:
                continue
            own[double]["merged_into"] = into
            for row in (*self.rows["badges"], *self.rows["users"]):
                row["person_ref"] = into if row["person_ref"] == double else row["person_ref"]
            self.known.merge(double, into)

    def honour(self, now: _Estate) -> None:
        """Of two ledgers, `now` was the one in use.

        Who was erased or merged, and what was blocked or withdrawn there stays so; its acts are told beside ours.
        """
        erased = {row["person_ref"] for row in now.rows["people"] if row["person_id"] is None}
        closed = {row["user_ref"] for row in now.rows["users"] if not row["active"]}
        for table in ("people", "badges", "users"):
            self.rows[table] = [row for row in self.rows[table] if row["person_ref"] not in erased]
        self.rows["users"] = [row for row in self.rows["users"] if row["user_ref"] not in closed]
        self._merge({row["person_ref"]: row.get("merged_into") for row in now.rows["people"]})
        self.acts = _told_once([*self.acts, *now.acts])
        self.known.blocked |= now.known.blocked | {row["badge_ref"] for row in now.rows["badges"] if row["blocked"]}
        self.known.doubt = now.known.doubt
        for person_ref, given in self.known.consents.items():
            still = now.known.consents[person_ref]
            self.known.consents[person_ref] = {each: still[each] for each in given if each in still}
            self.consents_gone += len(given) - len(self.known.consents[person_ref])
        self.known.withdrawn |= now.known.withdrawn


def inherit(database: Path, connection: sqlite3.Connection) -> Heritage | None:
    """Take over from the database that was last put aside from `database`, into `connection`; the caller commits.

    None where none was: then this is the first log here.
    """
    aside = put_aside(database)
    if not aside:
        return None
    source = aside[-1]
    with _reading(source) as old:
        estate = _Estate.of(old)
        predecessor = last_head(old) | {"file": source.name}
    heritage = _hand_over(estate, predecessor, connection)
    counts = ", ".join(f"{count} {table}" for table, count in heritage.carried.items())
    log.warning("the new log continues %s, and takes over: %s", source.name, counts)
    log.warning("hours, sessions that were open and records that were not delivered stay in %s", source.name)
    if estate.known.doubt >= 0:
        log.warning("what cannot be read there may have withdrawn a consent: enter anew the consents given before it")
    return heritage


def inherit_backup(
    backup: Path, in_use: Path | None, predecessor: dict[str, object], connection: sqlite3.Connection
) -> Heritage:
    """Take over from a verified backup, into `connection`; the caller commits.

    `in_use` is the database it replaces; without one, nobody knows which consents were withdrawn since the backup.
    """
    with _reading(backup) as old:
        estate = _Estate.of(old)
    if in_use is None:
        estate.known.doubt = _EVERYTHING
    else:
        with _reading(in_use) as now:
            estate.honour(_Estate.of(now))
    return _hand_over(estate, predecessor, connection)


def _hand_over(estate: _Estate, predecessor: dict[str, object], connection: sqlite3.Connection) -> Heritage:
    _let_rosters_tell_again(estate)
    # Who was kept comes before their doubles, which name them.
    estate.rows["people"].sort(key=lambda row: row.get("merged_into") is not None)
    carried = {table: _insert(connection, table, estate.rows[table]) for table in _TABLES}
    _insert(connection, "acts", estate.acts)
    roster = tuple(_roster(carried["people"], carried["badges"], estate.known))
    given = [seq for by_enterprise in estate.known.consents.values() for seq, _ in by_enterprise.values()]
    left = estate.consents_gone + sum(seq <= estate.known.doubt for seq in given)
    return Heritage(predecessor, roster, {table: len(rows) for table, rows in carried.items()}, left)


def _let_rosters_tell_again(estate: _Estate) -> None:
    """A roster is only heard where it changed (`kiosk.roster.listed`): so is the next one, of consents in doubt."""
    known = estate.known
    for row in estate.rows["people"]:
        whose = (row["person_ref"], row["enterprise"])
        seq, _ = known.consents[row["person_ref"]].get(row["enterprise"], (-1, None))
        if seq <= known.doubt and whose not in known.withdrawn:
            row["consent_until"] = None


def _told_once(acts: Rows) -> Rows:
    """The acts of two files that may have a past in common, by time, numbered anew."""
    numbers = ("_key", "id")
    told = {tuple(value for name, value in row.items() if name not in numbers): row for row in acts}
    by_time = sorted(told.values(), key=lambda row: (row["at_ms"], row["id"]))
    return [row | {"id": OFFICE + number} for number, row in enumerate(by_time)]


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A file that may be damaged, by the names of its columns."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(
    old: sqlite3.Connection, table: str, key: str, keep: Callable[[sqlite3.Row], _Kept]
) -> tuple[dict[int, _Kept], bool]:
    """What is kept of every row that can be read, by number, and whether the last ones are among them.

    From the front as far as it goes, and where that is not all, from the back too: one bad page hides only its own.
    """
    found: dict[int, _Kept] = {}
    reached_end = False
    for order in ("ASC", "DESC"):
        before = len(found)
        try:
            for row in old.execute(f"SELECT {key} AS _key, * FROM {table} ORDER BY {key} {order}"):  # noqa: S608
                found[row["_key"]] = keep(row)
        except sqlite3.DatabaseError:
            reached_end = order == "DESC" and len(found) > before
        else:
            return dict(sorted(found.items())), True
    return dict(sorted(found.items())), reached_end


def _whole(row: sqlite3.Row) -> dict[str, Any]:
    return dict(row)


def _insert(connection: sqlite3.Connection, table: str, rows: Rows) -> Rows:
    """Put what is whole into the new table; gives what was taken. Erased people and their badges are left behind."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    people = {ref for (ref,) in connection.execute("SELECT person_ref FROM people")}
    taken = []
    for found in rows:
        if (table == "people" and found["person_id"] is None) or (table == "badges" and found["uid"] is None):
            continue
        orphan = table in ("badges", "users") and found["person_ref"] not in people
        row = found | ({"person_ref": None} if orphan else {})
        names = [name for name in columns if name in row]
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of our own
        try:
            connection.execute(statement, [row[name] for name in names])
        except sqlite3.IntegrityError:
            continue  # what is left of a damaged row
        taken.append(row)
    return taken


def _roster(people: Rows, badges: Rows, known: _Known) -> Iterator[o.Observation]:
    """Each person as they were last known, as an import would tell it; then the badges that are refused."""
    for row in people:
        if row.get("merged_into") is not None:
            continue
        ref = str(row["person_ref"])
        own = tuple(badge["badge_ref"] for badge in badges if badge["person_ref"] == ref)
        person = (ref, row["role"], row["programme"], bool(row["active"]), own)
        yield o.PersonListed(*person, by="predecessor")
        for held in known.qualifications[ref].values():
            yield o.QualificationHeld(ref, held.qualification, held.until, held.by, held.batch, held.mark)
        contracts = dict(known.contracts[ref])
        if row["enterprise"] and row["contract"]:
            contracts.setdefault(row["enterprise"], (row["contract_from"], row["contract_to"]))
        for enterprise, (first, last) in contracts.items():
            yield o.PersonListed(*person, contract=(enterprise, first, last), by="predecessor")
        for enterprise, (seq, until) in known.consents[ref].items():
            if seq > known.doubt:
                yield o.PersonListed(*person, consent=(enterprise, until), by="predecessor")
    for badge in badges:
        if badge["person_ref"] is not None and (badge["blocked"] or badge["badge_ref"] in known.blocked):
            yield o.BadgeLost(badge["badge_ref"])


def _read_log(old: sqlite3.Connection) -> _Known:
    """What the readable entries say of people; an entry that does not fit its hash says nothing."""
    known, expected = _Known(), 0
    rows, whole = _rows(old, "ledger", "seq", _said)
    for seq, said in rows.items():
        known.doubt = seq - 1 if seq != expected else known.doubt
        expected = seq + 1
        if said is None:
            known.doubt = seq
        elif isinstance(said, e.Body):
            _follow(known, seq, said)
    signed = _signed(old)
    if not whole or (signed is not None and signed.size > expected):
        known.doubt = _EVERYTHING
    return known


def _said(row: sqlite3.Row) -> e.Body | str | None:
    """What an entry says of people; only its type where it says nothing of them; None where it cannot be known."""
    entry_type, data = row["type"], row["bytes"]
    whole = isinstance(data, bytes) and leaf_hash(data) == row["leaf"]
    if entry_type in _ROSTER and whole:
        try:
            return e.from_object(json.loads(data)).body
        except ValueError:
            return None
    return str(entry_type) if entry_type in e.TYPES and entry_type != e.ConsentWithdrawn.type else None


def _follow(known: _Known, seq: int, said: e.Body) -> None:
    match said:
        case e.BadgeBlocked(badge_ref=badge_ref):
            known.blocked.add(badge_ref)
        case e.QualificationGranted(person_ref=ref, qualification=qualification):
            known.qualifications[ref][qualification] = said
        case e.ConsentGiven(person_ref=ref, enterprise=enterprise, until=until):
            known.consents[ref][enterprise] = (seq, until)
            known.withdrawn.discard((ref, enterprise))
        case e.ConsentWithdrawn(person_ref=ref, enterprise=enterprise):
            known.consents[ref].pop(enterprise, None)
            known.withdrawn.add((ref, enterprise))
        case e.PersonMerged(person_ref=double, into=into):
            known.merge(double, into)
        case e.ContractRecorded(person_ref=ref, enterprise=enterprise, valid_from=first, valid_to=last):
            known.contracts[ref][enterprise] = (first, last)


def last_head(old: sqlite3.Connection) -> dict[str, object]:
    """The newest signed head, as `log_started` names it."""
    signed = _signed(old)
    if signed is not None:
        name = signed.origin.removeprefix(ORIGIN_PREFIX)
        return {"log": name, "size": signed.size, "root": encode_base64(signed.root)}
    try:
        row = old.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    except sqlite3.DatabaseError:
        row = None
    return {"log": None if row is None else row[0], "size": None, "root": None}


def _signed(old: sqlite3.Connection) -> Checkpoint | None:
    """The newest stored checkpoint that can be read."""
    for noted in reversed(_rows(old, "checkpoints", "size", _whole)[0].values()):
        try:
            return Checkpoint.of_note(noted["note"])
        except ProofError:
            continue
    return None
