"""Whatever an office asks, in whatever order: a rebuild ends with the rows that were lived, a start with the state."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_fixtures import MINUTE, Floor, a_floor
from test_snapshot import everything, orders, settled

from kiosk import office, snapshot
from kiosk.audit import audit
from kiosk.commands import (
    AddUser,
    ApproveSessions,
    CloseSession,
    Command,
    CommandRefused,
    DateBoot,
    DecideSession,
    EnterManual,
    ErasePerson,
    GiveConsent,
    GrantQualification,
    ImportPeople,
    LockMachine,
    MergePeople,
    QuestionSession,
    RecordContract,
    RetireBadge,
    SavePerson,
    SignCompetency,
    UndoReview,
    WithdrawConsent,
)
from kiosk.desk import Desk
from kiosk.domain.state import State
from kiosk.projection import fold
from kiosk.store import people
from kiosk.store.ledger import Ledger
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, HandClock

TWIN = replace(AIGERIM, person_id="p9", badges=("AABBCCDD11",), birth_date="2010-01-01")
OTHER = replace(PYOTR, person_id="p8", badges=("1122334455",), enterprise="ent-steel", contract="Д-8")
ROSTER = (replace(AIGERIM, birth_date="2009-02-28"), PYOTR, TWIN, OTHER, MASTER)
IDS = tuple(row.person_id for row in ROSTER)


def commands(floor: Floor, deciders: list[str], draw: random.Random) -> Command:
    """Something that an office asks, sensible or not."""
    session = draw.choice([row.session for row in floor.rows()] or [0])
    some = tuple({session, draw.choice([row.session for row in floor.rows()] or [0])})
    who, by = draw.choice(IDS), draw.choice(deciders)
    ref = draw.choice(list(floor.desk.core.state.people))
    badge = draw.choice(list(floor.desk.core.state.badges))
    now = floor.now_ms
    asked: list[Command] = [
        DecideSession(session, "approved", by),
        DecideSession(session, "adjusted", by, "other", "words", draw.randint(0, 5 * MINUTE)),
        DecideSession(session, "rejected", by, "not_present"),
        ApproveSessions(some, by),
        UndoReview(some, by),
        UndoReview((session,), by),
        QuestionSession(session, ref, "why"),
        CloseSession(session, by),
        EnterManual(who, "mill-1", None, now - 90 * MINUTE, now - draw.randint(0, 60) * MINUTE, by, "other", "x"),
        SignCompetency(ref, "CNC-c", draw.randint(0, 3), by, "well"),
        GrantQualification(who, "briefing:cnc", draw.choice([None, "2030-01-01"]), by),
        GiveConsent(who, "ent-steel", draw.choice([None, "2030-01-01"]), by),
        WithdrawConsent(who, "ent-steel", by),
        RecordContract(who, "ent-steel", None, draw.choice([None, "2031-01-01"]), "Д", None, by),
        RetireBadge(badge, by),
        SavePerson(replace(draw.choice(ROSTER), birth_date=draw.choice([None, "2009-05-05"])), by),
        ImportPeople((draw.choice(ROSTER),)),
        MergePeople(who, draw.choice(IDS), draw.choice(["console", by])),
        ErasePerson(who, draw.choice(["console", by, by])),
    ]
    return draw.choice(asked)


def live_through(floor: Floor, draw: random.Random, length: int, *, outages: bool = False) -> None:
    """Taps, machine time and what the office asks; what is refused changes nothing.

    With `outages` the kiosk goes down now and then, and comes back with a clock that nobody set, or that somebody sets.
    """
    deciders = [floor.by, floor.ref(MASTER)]
    deciders += [str(floor.ask(AddUser(role, role, "$hash")).value) for role in ("instructor", "lead", "admin")]
    steps: list[Callable[[], object]] = [
        lambda: floor.tap(draw.choice(ROSTER), draw.choice(["mill-1", "lathe-1"])),
        lambda: floor.clock.move(draw.choice([4_000, 4_000, 10 * MINUTE, 12 * 60 * MINUTE])),
        lambda: floor.report(draw.choice(["running", "idle"])),
        lambda: floor.ask(commands(floor, deciders, draw)),
        lambda: floor.ask(commands(floor, deciders, draw)),
    ]
    if outages:
        steps += [
            lambda: go_down(floor, draw),
            lambda: set_clock(floor, draw),
            lambda: floor.ask(dated(floor, draw.choice(deciders), draw)),
            lambda: floor.ask(LockMachine("mill-1", draw.random() < 0.3, draw.choice(deciders))),
        ]
    for _ in range(length):
        with suppress(CommandRefused):
            draw.choice(steps)()


def go_down(floor: Floor, draw: random.Random) -> None:
    """For less or more than a session outlives."""
    floor.desk.pass_time(heartbeat=True)
    floor.desk.close()
    boots = len(floor.desk.core.state.timeline.boots)
    after_ms = draw.choice([20_000, 5 * MINUTE, 40 * MINUTE])
    floor.clock = HandClock(floor.clock.wall_ms() + after_ms, f"boot-{boots + 1}")
    floor.clock.synced = draw.random() < 0.5
    floor.desk = Desk(floor.data / "kiosk.db", floor.clock, floor.lab)
    floor.desk.start()


def set_clock(floor: Floor, draw: random.Random) -> None:
    """The network came back, perhaps."""
    if draw.random() < 0.4:
        floor.clock.synced = True
        floor.desk.pass_time(heartbeat=True)


def dated(floor: Floor, by: str, draw: random.Random) -> Command:
    """Somebody says when a session was, right or a little wrong."""
    rows = floor.rows()
    row = draw.choice(rows) if rows else None
    return DateBoot(row.session if row else 0, (row.start_ms if row else 0) + draw.choice([0, MINUTE, -MINUTE]), by)


@pytest.mark.parametrize("seed", [16, 46, 51])  # whose lives hold all of it
def test_a_start_and_a_rebuild_end_with_what_was_lived(tmp_path: Path, seed: int) -> None:
    with a_floor(tmp_path) as floor:
        floor.ask(ImportPeople(ROSTER))
        live_through(floor, random.Random(seed), 250)
        connection, state = floor.desk.connection, settled(floor.desk.core.state)
        again = settled(fold(connection, State()))
        assert everything(again) == everything(state)
        ledger = Ledger(connection)
        snapshot.keep(tmp_path / "kept", again, ledger.root())
        back = snapshot.restore(tmp_path / "kept", ledger)
        assert back is not None
        assert orders(back) == orders(again)
        assert everything(settled(back)) == everything(again)
        assert audit(connection, None, lambda *_: None).findings == ()
        doubles = {ref for (ref,) in connection.execute("SELECT person_ref FROM people WHERE merged_into IS NOT NULL")}
        assert doubles == set(state.merged)
        assert not doubles & {row.person_ref for row in floor.rows()}
        for badge in people.badges(connection):
            assert badge.person_ref is None or state.badges[badge.badge_ref].person_ref == badge.person_ref
        floor.desk.close()
        assert office.rebuild(floor.data).same
        undone = {entry["undo"] for entry in floor.entries("session_reviewed")}
        happened = {entry["type"] for entry in floor.entries("person_merged", "person_erased")}
        assert (undone, happened) == ({True, False}, {"person_merged", "person_erased"})


def released(floor: Floor) -> int:
    """How many records were; each with a contract and a consent as the entries before it say, and no number left out.

    Written from contract.md, section 9, on the entries alone.
    """
    contracts: dict[tuple[str, str], tuple[str, str]] = {}
    consents: set[tuple[str, str]] = set()
    kept: dict[str, str] = {}
    last: dict[tuple[str, str], int] = {}
    revisions: dict[str, int] = {}
    for entry in floor.entries(
        "contract_recorded", "consent_given", "consent_withdrawn", "person_merged", "record_released"
    ):
        key = (entry.get("person_ref", ""), entry.get("enterprise", ""))
        match entry["type"]:
            case "contract_recorded":
                contracts[key] = (entry["valid_from"] or "", entry["valid_to"] or "9999")
            case "consent_given":
                consents.add(key)
            case "consent_withdrawn":
                consents.discard(key)
            case "person_merged":
                double, into = entry["person_ref"], entry["into"]
                kept = {ref: into if whose == double else whose for ref, whose in kept.items()} | {double: into}
                for (ref, enterprise), days in list(contracts.items()):
                    if ref == double:
                        contracts.setdefault((into, enterprise), days)
            case _:
                record, enterprise = entry["record"], entry["enterprise"]
                whose = kept.get(record["person_ref"], record["person_ref"])
                first, until = contracts[whose, enterprise]
                assert first <= record["local_date"] <= until
                assert (whose, enterprise) in consents
                number = record["person_ref"], enterprise
                last[number] = last.get(number, 0) + 1
                assert record["person_seq"] == last[number]
                before = revisions.get(record["id"])
                revisions[record["id"]] = record["revision"]
                assert (record["revision"], record["supersedes"]) == ((before or 0) + 1, before)
    return len(revisions)


@pytest.mark.parametrize("seed", [3, 8])
def test_outages_and_unset_clocks_change_nothing_of_that_and_records_leave_by_the_book(
    tmp_path: Path, seed: int
) -> None:
    with a_floor(tmp_path) as floor:
        floor.ask(ImportPeople(ROSTER))
        live_through(floor, random.Random(seed), 400, outages=True)
        assert audit(floor.desk.connection, None, lambda *_: None).findings == ()
        assert released(floor) > 2
        floor.desk.close()
        assert office.rebuild(floor.data).same
