"""Whatever the office did, the rows of the screens are made again as they were: by a rebuild, a start, a new log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kiosk import office, snapshot
from kiosk.commands import (
    AddUser,
    DecideSession,
    ErasePerson,
    GiveConsent,
    ImportPeople,
    MergePeople,
    QuestionSession,
    SignCompetency,
    UndoReview,
)
from kiosk.desk import Desk
from kiosk.restore import restore
from kiosk.store import acts, learners, people, totals, views
from kiosk.store.backup import backup
from kiosk.store.schema import open_reader, write
from lab_config.load import load
from tests.kiosk_fixtures import AIGERIM, PYOTR, write_lab
from tests.test_clerk import MINUTE_MS, Workshop

DOUBLE = replace(
    AIGERIM,
    person_id="p1-again",
    badges=("AABBCC1122",),
    enterprise=None,
    contract=None,
    contract_from=None,
    contract_to=None,
    consent_until=None,
    personnel_number=None,
    qualifications=(("briefing:cnc", "2030-01-01"),),
)


COMPETENCY = """
[[programme.competency]]
id = "clamps"
process = "CNC3"
title = "Clamps the workpiece"
"""


class College(Workshop):
    """A workshop whose office found somebody twice, took a decision back and erased somebody."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.boss = str(self.ask(AddUser("boss", "lead", "hash", "i1")).value)
        self.admin = str(self.ask(AddUser("admin", "admin", "hash")).value)
        self.ask(ImportPeople((DOUBLE,)))
        with write(self.connection):
            acts.note(self.connection, self.clock.wall_ms(), "signed_in", self.boss)

    def _open(self) -> Desk:
        path = write_lab(self.folder / "lab", {"mill-1": "/dev/mill-1"})
        path.write_text(path.read_text(encoding="utf-8") + COMPETENCY, encoding="utf-8")
        desk = Desk(self.data / "kiosk.db", self.clock, load(path))
        desk.start()
        return desk

    @property
    def connection(self) -> sqlite3.Connection:
        return self.desk.connection

    def ref(self, person_id: str) -> str:
        found = people.person_by_id(self.connection, person_id)
        assert found is not None
        return found.person_ref

    def busy_week(self) -> None:
        """Lessons of three people and all that the office does with them."""
        by = self.boss
        lessons = []
        for row in (AIGERIM, DOUBLE, PYOTR):
            lessons.append(self.lesson(row, minutes=20).session)
            self.clock.move(5 * MINUTE_MS)
        first, second, third = lessons
        for session in (first, second, third):
            self.ask(DecideSession(session, "approved", by))
        self.ask(SignCompetency(self.ref("p1-again"), "clamps", 2, by))
        self.ask(UndoReview((first, third), by))
        self.ask(DecideSession(first, "adjusted", by, "forgot_tap", "", 5 * MINUTE_MS, "CNC3"))
        self.ask(MergePeople("p1", "p1-again", by))
        self.ask(GiveConsent("p1", "ent-steel", "2031-01-01", by))
        self.ask(ErasePerson("p2", self.admin))
        self.ask(QuestionSession(second, self.ref("p1"), "I was there"))

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return derived(self.connection)


def derived(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that can be made again."""
    return {
        table: connection.execute(f"SELECT * FROM {table} WHERE {which} ORDER BY 1, 2, 3").fetchall()
        for table, which in views.DERIVED.items()
    }


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    made = College(tmp_path)
    yield made
    made.desk.close()


def test_a_rebuild_makes_the_same_rows_after_everything_the_office_did(college: College) -> None:
    college.busy_week()
    before, shown = college.rows(), acts.acts(college.connection, limit=1000)
    college.desk.close()
    assert office.rebuild(college.data).same
    with closing(open_reader(college.data / "kiosk.db")) as connection:
        assert derived(connection) == before
        assert acts.acts(connection, limit=1000) == shown
    assert all(before.values())


def test_a_rebuild_says_so_when_a_sum_or_an_act_was_not_what_the_ledger_tells(college: College) -> None:
    college.busy_week()
    for spoil in (
        "UPDATE person_totals SET approved_ms = approved_ms + 1",
        "UPDATE acts SET subject = 'x' WHERE id < 9",
    ):
        with write(college.connection):
            college.connection.execute(spoil)
        college.desk.close()
        assert not office.rebuild(college.data).same
        assert office.rebuild(college.data).same
        college.desk = Desk(college.data / "kiosk.db", college.clock, None)


def test_a_start_makes_rows_again_that_another_program_wrote(college: College) -> None:
    college.busy_week()
    before = college.rows()
    with write(college.connection):
        college.connection.execute("UPDATE meta SET value = 'an older one' WHERE key = 'rows_by'")
        for table in ("acts", "person_totals", "machine_days", "sign_offs"):
            college.connection.execute(f"DELETE FROM {table} WHERE {views.DERIVED[table]}")
    college.restart("boot-2", after_ms=MINUTE_MS)
    after = college.rows()
    assert {table: rows[: len(before[table])] for table, rows in after.items()} == before


def test_a_state_from_a_snapshot_knows_who_was_found_twice(college: College) -> None:
    college.busy_week()
    before = college.rows()
    database = college.data / "kiosk.db"
    college.desk.close()
    office.rebuild(college.data)  # leaves a snapshot
    assert snapshot.place(database).exists()
    college.desk = Desk(database, college.clock, None)
    with write(college.connection):
        college.connection.execute("UPDATE meta SET value = 'an older one' WHERE key = 'rows_by'")
    college.desk.close()
    college.desk = Desk(database, college.clock, None)
    assert college.desk.core.state.merged
    college.desk.start()
    assert {table: rows[: len(before[table])] for table, rows in college.rows().items()} == before


def test_what_two_rows_did_is_counted_with_the_one_that_is_kept(college: College) -> None:
    anna, again = college.ref("p1"), college.ref("p1-again")
    college.busy_week()
    assert [row.person_ref for row in views.sessions_of_dates(college.connection, "0000", "9999")[:2]] == [anna, anna]
    assert [(each.sessions, each.presence_ms) for each in totals.process_totals(college.connection, [anna])] == [
        (2, 40 * MINUTE_MS)
    ]
    assert totals.process_totals(college.connection, [again]) == []
    record = learners.of_person(college.connection, anna)
    assert [each.competency for each in record.sign_offs] == ["clamps"]
    assert record.qualifications == (("briefing:cnc", "2030-01-01"),)
    assert learners.of_person(college.connection, again) == learners.PersonRecord(again, (), (), ())
    shown = acts.acts(college.connection, person_ref=anna, kinds=["competency_signed", "person_merged"])
    assert [(act.kind, act.person_ref, act.subject) for act in shown] == [
        ("person_merged", again, anna),
        ("competency_signed", anna, "clamps:2"),
    ]


# --- in a new log ---


def test_a_new_log_has_the_acts_beside_the_old_one_and_whom_somebody_found_twice(college: College) -> None:
    college.busy_week()
    anna, again = college.ref("p1"), people.person_by_id(college.connection, "p1-again")
    assert again is None
    file = college.folder / "stick" / "kiosk.db"
    file.parent.mkdir()
    backup(college.data / "kiosk.db", file)
    with write(college.connection):
        acts.note(college.connection, college.clock.wall_ms(), "backed_up", college.boss)
    college.desk.close()
    restore(file, college.data, college.clock)
    college.desk = Desk(college.data / "kiosk.db", college.clock, None)
    kept = acts.acts(college.connection, kinds=acts.OFFICE_KINDS)
    assert [act.kind for act in kept] == [
        "backed_up",
        "signed_in",
        "imported",
        "account_added",
        "account_added",
        "imported",
    ]
    assert people.doubles(college.connection) == {"p1-again": "p1"}
    assert set(college.desk.core.state.people) == {anna, college.ref("i1")}
    assert college.desk.core.state.people[anna].qualifications == {"briefing:cnc": "2030-01-01"}


def test_whom_somebody_found_twice_after_the_backup_is_one_person_in_the_new_log(college: College) -> None:
    file = college.folder / "stick" / "kiosk.db"
    file.parent.mkdir()
    backup(college.data / "kiosk.db", file)
    college.ask(MergePeople("p1", "p1-again", college.boss))
    anna = college.ref("p1")
    college.desk.close()
    restore(file, college.data, college.clock)
    college.desk = Desk(college.data / "kiosk.db", college.clock, None)
    assert people.doubles(college.connection) == {"p1-again": "p1"}
    assert sorted(badge.uid for badge in people.badges_of(college.connection, anna)) == [
        *AIGERIM.badges,
        *DOUBLE.badges,
    ]
    assert college.desk.core.state.people[anna].qualifications == {"briefing:cnc": "2030-01-01"}
