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
    DecideSession,
    EnterManual,
    ErasePerson,
    GiveConsent,
    GrantQualification,
    ImportPeople,
    MergePeople,
    QuestionSession,
    RecordContract,
    RetireBadge,
    SavePerson,
    SignCompetency,
    UndoReview,
    WithdrawConsent,
)
from kiosk.domain.state import State
from kiosk.projection import fold
from kiosk.store import people
from kiosk.store.ledger import Ledger
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR

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
    return draw.choice(
        [
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
    )


def live_through(floor: Floor, draw: random.Random, length: int) -> None:
    """Taps, machine time and what the office asks; what is refused changes nothing."""
    deciders = [floor.by, floor.ref(MASTER)]
    deciders += [str(floor.ask(AddUser(role, role, "$hash")).value) for role in ("instructor", "lead", "admin")]
    steps: list[Callable[[], object]] = [
        lambda: floor.tap(draw.choice(ROSTER), draw.choice(["mill-1", "lathe-1"])),
        lambda: floor.clock.move(draw.choice([4_000, 4_000, 10 * MINUTE, 12 * 60 * MINUTE])),
        lambda: floor.report(draw.choice(["running", "idle"])),
        lambda: floor.ask(commands(floor, deciders, draw)),
        lambda: floor.ask(commands(floor, deciders, draw)),
    ]
    for _ in range(length):
        with suppress(CommandRefused):
            draw.choice(steps)()


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
