"""Somebody is erased: the hours stay, nameless, and no file of the kiosk says any more who it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_fixtures import MINUTE, Floor, a_floor, refused

from kiosk import office
from kiosk.commands import (
    AddUser,
    DecideSession,
    EnterManual,
    ErasePerson,
    ImportPeople,
    MergePeople,
    PersonRow,
    QuestionSession,
    SaveUser,
    SignCompetency,
)
from kiosk.store import outbox, people
from kiosk.store.schema import empty_log, open_reader, open_writer, write
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR

SECRETS = ("Ахметова", "Айгерім", AIGERIM.badges[0], "2009-02-28", "S-1", "Д-1", "Жасырын сөз")
BORN = replace(AIGERIM, birth_date="2009-02-28")


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        made.ask(ImportPeople((BORN,)))
        yield made


def written(floor: Floor) -> set[str]:
    """Which of the secrets stand anywhere in the files of the data folder."""
    data = b"".join(path.read_bytes() for path in floor.data.iterdir() if path.is_file())
    return {each for each in SECRETS if each.encode() in data}


def much_about_her(floor: Floor) -> int:
    """A session with a question, a decision and a sign-off, each with words; hours by hand too."""
    session = floor.lesson().session
    floor.ask(QuestionSession(session, floor.ref(), "Жасырын сөз 1"))
    floor.ask(DecideSession(session, "adjusted", floor.by, "other", "Жасырын сөз 2", MINUTE))
    floor.ask(DecideSession(session, "adjusted", floor.by, "other", "Жасырын сөз 3", 2 * MINUTE))
    floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, floor.by, "Жасырын сөз 4"))
    day = 24 * 60 * MINUTE
    end = floor.now_ms - day
    floor.ask(EnterManual("p1", "mill-1", None, end - 60 * MINUTE, end, floor.by, "kiosk_down", "Жасырын сөз 5"))
    return session


def test_no_file_says_any_more_who_it_was(floor: Floor) -> None:
    much_about_her(floor)
    ref = floor.ref()
    assert written(floor) == set(SECRETS)
    floor.ask(ErasePerson("p1", "console"))
    assert written(floor) == set()
    person = people.person_by_ref(floor.desk.connection, ref)
    assert person is not None
    assert (person.person_id, person.surname, person.given, person.birth_date, person.active) == (
        "",
        "",
        "",
        None,
        False,
    )
    assert [each for each in people.people(floor.desk.connection) if each.person_ref == ref] == []


def test_an_erased_name_is_gone_from_a_grown_file_whose_rows_were_often_rewritten(floor: Floor) -> None:
    draw = random.Random(7)
    crowd = [
        PersonRow(f"x{number}", "apprentice", "Б" * draw.randint(1, 200), "В" * draw.randint(0, 200))
        for number in range(150)
    ]
    for _ in range(6):
        draw.shuffle(crowd)
        rows = [replace(each, patronymic="Г" * draw.randint(0, 200)) for each in crowd]
        rows.insert(draw.randrange(len(rows)), replace(BORN, patronymic="Ахметова" * draw.randint(0, 20)))
        floor.ask(ImportPeople(tuple(rows)))
    assert "Ахметова" in written(floor)
    floor.ask(ErasePerson("p1", "console"))
    assert written(floor) == set()


def test_a_name_that_sqlite_left_behind_when_it_moved_rows_goes_too(tmp_path: Path) -> None:
    draw, path = random.Random(139), tmp_path / "kiosk.db"  # of 250 such lives one left a copy
    refs = [f"{draw.getrandbits(64):016x}" for _ in range(draw.randint(50, 400))]

    def row(ref: str, surname: str) -> PersonRow:
        return PersonRow(f"x{ref}", "apprentice", surname, "В" * draw.randint(0, 100), "Г" * draw.randint(0, 100))

    with closing(open_writer(path)) as connection:
        with write(connection):
            for ref in refs:
                people.insert_person(connection, ref, row(ref, "Б" * draw.randint(1, 60)))
        her = draw.choice(refs)
        for number in range(draw.randint(2, 12)):
            with write(connection):
                people.update_person(connection, her, row(her, "Ахметова" * draw.randint(1, 25)))
                for ref in draw.sample(refs, len(refs) // 2):
                    if ref != her:
                        people.update_person(connection, ref, row(ref, "Б" * draw.randint(1, 100)))
                people.store_text(connection, "Ахметова" * draw.randint(1, 500), bytes([number]))
                refs.append(f"{draw.getrandbits(64):016x}")
                people.insert_person(connection, refs[-1], row(refs[-1], "Б" * 99))
        others = connection.execute("SELECT * FROM people WHERE person_ref <> ? ORDER BY 1", (her,)).fetchall()
        with write(connection):
            people.forget_texts(connection, [key for (key,) in connection.execute("SELECT hash FROM texts")])
            people.erase_person(connection, her)
            people.write_anew(connection)
        assert empty_log(connection)
        assert connection.execute("SELECT * FROM people WHERE surname <> '' ORDER BY 1").fetchall() == others
    assert "Ахметова".encode() not in path.read_bytes()


def test_a_reader_that_still_reads_only_delays_it(floor: Floor) -> None:
    with closing(open_reader(floor.data / "kiosk.db")) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM people").fetchone()
        floor.ask(ErasePerson("p1", "console"))
        assert written(floor)
    floor.desk.pass_time(heartbeat=True)
    assert written(floor) == set()


def test_the_hours_and_their_records_stay(floor: Floor) -> None:
    session = much_about_her(floor)
    before = floor.rows()
    records = len(floor.entries("record_released"))
    floor.ask(ErasePerson("p1", "console"))
    assert [(row.session, row.person_ref, row.decided_credited_ms) for row in floor.rows()] == [
        (row.session, row.person_ref, row.decided_credited_ms) for row in before
    ]
    floor.ask(DecideSession(session, "approved", floor.by))
    assert len(floor.entries("record_released")) == records  # nothing more leaves


def test_nothing_more_leaves_and_her_cards_open_nothing(floor: Floor) -> None:
    floor.ask(DecideSession(floor.lesson().session, "approved", floor.by))
    ref = floor.ref()
    floor.ask(ErasePerson("p1", "console"))
    made = [entry["type"] for entry in floor.entries("badge_blocked", "consent_withdrawn", "person_erased")]
    assert made == ["badge_blocked", "consent_withdrawn", "person_erased"]
    erased = floor.entries("person_erased")[-1]
    assert (erased["person_ref"], erased["by"]) == (ref, "console")
    assert outbox.pending(floor.desk.connection, "ent-steel", 1 << 40, 10) != []
    floor.clock.move(MINUTE)
    floor.tap(AIGERIM.badges[0])
    tap = floor.entries("tap_refused")[-1]
    assert (tap["reason"], tap["person_ref"]) == ("unknown_badge", None)
    assert tap["badge_ref"] not in {entry["badge_ref"] for entry in floor.entries("badge_assigned")}


def test_who_is_at_work_or_has_an_account_is_not_erased(floor: Floor) -> None:
    floor.tap()
    assert refused(floor, ErasePerson("p1", "console")) == "session_open"
    assert refused(floor, ErasePerson("i1", "console")) == "has_account"
    assert refused(floor, ErasePerson("p99", "console")) == "unknown_person"
    floor.ask(SaveUser("master", "instructor", None, False, "i1", "console"))
    floor.ask(ErasePerson("i1", "console"))
    assert people.person_by_id(floor.desk.connection, "i1") is None


def test_only_administrators_erase(floor: Floor) -> None:
    assert refused(floor, ErasePerson("p1", floor.by)) == "needs_admin"
    lead = str(floor.ask(AddUser("lead", "lead", "$hash")).value)
    assert refused(floor, ErasePerson("p1", lead)) == "needs_admin"
    admin = str(floor.ask(AddUser("boss", "admin", "$hash")).value)
    floor.ask(ErasePerson("p1", admin))
    assert refused(floor, ErasePerson("p1", admin)) == "unknown_person"


def test_the_same_number_on_the_next_roster_is_a_new_person(floor: Floor) -> None:
    ref = floor.ref()
    floor.ask(ErasePerson("p1", "console"))
    floor.ask(ImportPeople((AIGERIM,)))
    assert floor.ref() != ref
    assert floor.tap() == ["session_opened"]


def test_a_double_is_erased_with_the_person(floor: Floor) -> None:
    other = PersonRow("p9", "apprentice", "Ахметова", "Айгерім", birth_date="2009-02-28", badges=("AABBCCDD11",))
    floor.ask(ImportPeople((other,)))
    floor.ask(MergePeople("p1", "p9", "console"))
    floor.ask(ErasePerson("p1", "console"))
    assert written(floor) == set()
    rows = floor.desk.connection.execute("SELECT person_id, surname FROM people").fetchall()
    assert sorted(rows, key=str) == sorted(
        [(None, ""), (None, ""), ("p2", PYOTR.surname), ("i1", MASTER.surname)], key=str
    )


def test_a_start_and_a_rebuild_after_an_erasure_end_with_the_same_rows(floor: Floor) -> None:
    much_about_her(floor)
    floor.ask(ErasePerson("p1", "console"))
    rows = floor.rows()
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()
    assert floor.rows() == rows
    assert written(floor) == set()
