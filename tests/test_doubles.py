"""Two rows of the roster are one person: everything is counted with the one kept, and what was entered stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_fixtures import DAY, MINUTE, Floor, a_floor, refused

from kiosk import office
from kiosk.audit import audit
from kiosk.commands import (
    AddUser,
    DecideSession,
    EnterManual,
    GrantQualification,
    ImportPeople,
    MergePeople,
    PersonRow,
    QuestionSession,
    SavePerson,
    SignCompetency,
)
from kiosk.disclosure import _who
from kiosk.store import acts, learners, outbox, people, totals, views
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR

TWIN = replace(AIGERIM, person_id="p9", surname="Ахметава", badges=("AABBCCDD11",), contract=None, consent_until=None)


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        made.ask(ImportPeople((TWIN,)))
        yield made


def lesson(floor: Floor, whose: PersonRow, reader: str = "mill-1", minutes: int = 20) -> int:
    floor.clock.move(MINUTE)
    floor.tap(whose, reader)
    floor.work(minutes)
    floor.tap(whose, reader)
    return max(row.session for row in floor.rows())


def merge(floor: Floor) -> None:
    floor.ask(MergePeople("p1", "p9", "console"))


def test_hours_badges_and_signs_are_the_kept_persons(floor: Floor) -> None:
    own, theirs = lesson(floor, AIGERIM), lesson(floor, TWIN)
    kept, double = floor.ref(), floor.ref(TWIN)
    floor.ask(QuestionSession(theirs, double, "mine too"))
    floor.ask(SignCompetency(double, "CNC-c", 1, floor.by))
    floor.ask(SignCompetency(kept, "CNC-c", 2, floor.by))
    floor.ask(GrantQualification("p9", "briefing:cnc", None, floor.by))
    merge(floor)
    connection = floor.desk.connection
    assert [row.session for row in views.person_sessions(connection, kept)] == [own, theirs]
    assert {each.person_ref for each in totals.person_totals(connection)} == {kept}
    record = learners.of_person(connection, kept)
    assert [each.level for each in record.sign_offs] == [1, 2]
    assert record.qualifications == (("briefing:cnc", None),)
    assert [each.session for each in record.questions] == [theirs]
    assert learners.of_person(connection, double) == learners.PersonRecord(double, (), (), ())
    floor.clock.move(MINUTE)
    assert floor.tap(TWIN)[-1] == "session_opened"
    assert floor.rows()[-1].person_ref == kept
    assert {badge.uid for badge in people.badges_of(connection, kept)} == {*AIGERIM.badges, *TWIN.badges}


def test_the_double_is_off_the_roster_and_every_reference_to_it_is_the_kept_person(floor: Floor) -> None:
    double = floor.ref(TWIN)
    merge(floor)
    connection = floor.desk.connection
    assert [each.person_id for each in people.people(connection)] == ["p1", "i1", "p2"]
    assert people.person_by_id(connection, "p9") is None
    assert people.person_by_ref(connection, double) == people.person_by_id(connection, "p1")
    assert people.doubles(connection) == {"p9": "p1"}
    merged = floor.entries("person_merged")[-1]
    assert (merged["person_ref"], merged["into"], merged["by"]) == (double, floor.ref(), "console")
    assert double in {entry["person_ref"] for entry in floor.entries("person_recorded")}
    assert [each.kind for each in acts.acts(connection, person_ref=floor.ref(), kinds=("person_merged",))]


def test_a_roster_that_still_names_the_double_is_refused_whole(floor: Floor) -> None:
    merge(floor)
    new = PersonRow("p7", "apprentice", "Жаңа", "")
    assert refused(floor, ImportPeople((new, TWIN))) == "merged_person"
    assert people.person_by_id(floor.desk.connection, "p7") is None
    assert refused(floor, SavePerson(TWIN, "console")) == "merged_person"
    assert refused(floor, SavePerson(TWIN, "console", new=True)) == "merged_person"


def test_what_cannot_be_one_person_is_not_merged(floor: Floor) -> None:
    assert refused(floor, MergePeople("p1", "p1", "console")) == "same_person"
    assert refused(floor, MergePeople("p1", "p99", "console")) == "unknown_person"
    assert refused(floor, MergePeople("p1", "i1", "console")) == "other_role"
    assert refused(floor, MergePeople("p1", "p9", floor.by)) == "leads_only"
    floor.tap(TWIN)
    assert refused(floor, MergePeople("p1", "p9", "console")) == "session_open"
    assert refused(floor, MergePeople("p9", "p1", "console")) == "session_open"
    assert floor.entries("person_merged") == []


def test_a_double_is_merged_once_and_leads_may_do_it(floor: Floor) -> None:
    lead = str(floor.ask(AddUser("lead", "lead", "$hash")).value)
    floor.ask(MergePeople("p1", "p9", lead))
    assert refused(floor, MergePeople("p1", "p9", lead)) == "unknown_person"
    assert refused(floor, MergePeople("p9", "p1", lead)) == "unknown_person"


def test_who_kept_a_double_may_be_found_to_be_one_too(floor: Floor) -> None:
    theirs, double = lesson(floor, TWIN), floor.ref(TWIN)
    merge(floor)
    floor.ask(MergePeople("p2", "p1", "console"))
    pyotr = people.person_by_id(floor.desk.connection, "p2")
    assert people.person_by_ref(floor.desk.connection, double) == pyotr
    assert [row.session for row in views.person_sessions(floor.desk.connection, floor.ref(PYOTR))] == [theirs]
    assert people.doubles(floor.desk.connection) == {"p9": "p2", "p1": "p2"}


def test_consent_is_never_taken_over_and_a_contract_only_where_there_was_none(floor: Floor) -> None:
    consenting = replace(PYOTR, person_id="p8", badges=("1122334455",), enterprise="ent-steel", contract="Д-8",
                         contract_from="2026-01-01", consent_until="2030-12-31")  # fmt: skip
    floor.ask(ImportPeople((consenting,)))
    session = lesson(floor, consenting)
    floor.ask(MergePeople("p2", "p8", "console"))
    floor.ask(DecideSession(session, "approved", floor.by))
    assert floor.entries("record_released") == []
    floor.ask(ImportPeople((replace(PYOTR, enterprise="ent-steel", consent_until="2030-12-31"),)))
    (entry,) = floor.entries("record_released")
    assert entry["session"] == session


def test_what_was_approved_of_the_double_leaves_with_the_kept_persons_contract_and_consent(floor: Floor) -> None:
    session = lesson(floor, TWIN)
    floor.ask(DecideSession(session, "approved", floor.by))
    assert floor.entries("record_released") == []
    merge(floor)
    (entry,) = floor.entries("record_released")
    assert (entry["session"], entry["enterprise"]) == (session, "ent-steel")
    floor.ask(ImportPeople((AIGERIM,)))
    assert len(floor.entries("record_released")) == 1
    assert [row.session for row in outbox.pending(floor.desk.connection, "ent-steel", 1 << 40, 10)] == [session]


def test_released_records_keep_their_reference_and_go_on_with_their_numbers(floor: Floor) -> None:
    double = replace(TWIN, contract="Д-9", contract_from="2026-01-01", consent_until="2030-12-31")
    floor.ask(ImportPeople((double,)))
    session = lesson(floor, TWIN)
    floor.ask(DecideSession(session, "approved", floor.by))
    merge(floor)
    own = lesson(floor, AIGERIM)
    floor.ask(DecideSession(own, "approved", floor.by))
    floor.ask(DecideSession(session, "adjusted", floor.by, "other", "", MINUTE))
    records = [entry["record"] for entry in floor.entries("record_released")]
    told = [(r["person_ref"], r["person_seq"], r["revision"]) for r in records]
    twin = records[0]["person_ref"]
    assert told == [(twin, 1, 1), (floor.ref(), 1, 1), (twin, 2, 2)]
    rows = outbox.pending(floor.desk.connection, "ent-steel", 1 << 40, 10)
    names = {_who(people.person_by_ref(floor.desk.connection, row.person_ref))["name"] for row in rows}
    assert names == {"Ахметова Айгерім"}


def test_two_machines_at_one_time_are_flagged_and_the_log_still_keeps_its_laws(floor: Floor) -> None:
    floor.tap(AIGERIM, "mill-1")
    floor.clock.move(MINUTE)
    floor.tap(TWIN, "lathe-1")
    floor.work(20)
    floor.tap(AIGERIM, "mill-1")
    floor.tap(TWIN, "lathe-1")
    alone = lesson(floor, AIGERIM)
    decided = floor.rows()[0].session
    floor.ask(DecideSession(decided, "approved", floor.by))
    merge(floor)
    assert [("overlap" in row.flags) for row in floor.rows()] == [True, True, False]
    assert "overlap" not in next(row for row in floor.rows() if row.session == alone).flags
    assert audit(floor.desk.connection, None, lambda *_: None).findings == ()
    manual = EnterManual("p1", "lathe-1", None, floor.now_ms - 30 * MINUTE, floor.now_ms, floor.by, "kiosk_down")
    assert refused(floor, manual) == "overlap"


def test_two_cards_together_on_three_days_are_seen_once_the_two_are_known_to_be_one(floor: Floor) -> None:
    for whose in (TWIN, AIGERIM, AIGERIM):
        floor.tap(whose)
        floor.clock.move(4_000)
        floor.tap(PYOTR)
        floor.work(10)
        floor.tap(PYOTR)
        floor.clock.move(DAY)
        floor.desk.pass_time(heartbeat=True)
    assert [row.session for row in floor.rows() if "same_time_pair" in row.flags] == []
    merge(floor)
    flagged = [row.flags for row in floor.rows() if "same_time_pair" in row.flags]
    assert len(flagged) == 2  # with the third day, of both
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()


def test_the_weeks_of_a_minor_are_added_up_once_the_two_are_known_to_be_one(floor: Floor) -> None:
    floor.ask(ImportPeople((replace(AIGERIM, birth_date="2010-06-01"),)))
    for whose in (TWIN, AIGERIM):
        for _ in range(3):
            lesson(floor, whose, minutes=280)
            floor.clock.move(10 * MINUTE)
    assert [row for row in floor.rows() if "minor_limit" in row.flags] == []
    merge(floor)
    assert [row for row in floor.rows() if "minor_limit" in row.flags] != []
    floor.ask(ImportPeople((AIGERIM,)))  # a roster without the birth date
    assert [row for row in floor.rows() if "minor_limit" in row.flags] == []
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()


def test_nobody_decides_on_what_their_double_did(floor: Floor) -> None:
    session = lesson(floor, TWIN)
    aigerim = str(floor.ask(AddUser("aigerim", "instructor", "$hash", "p1")).value)
    merge(floor)
    assert refused(floor, DecideSession(session, "approved", aigerim)) == "own_session"


def test_an_account_of_the_double_is_the_kept_persons(floor: Floor) -> None:
    floor.ask(ImportPeople((replace(MASTER, person_id="i9", badges=()),)))
    floor.ask(AddUser("master2", "lead", "$hash", "i9"))
    floor.ask(MergePeople("i1", "i9", "console"))
    assert {user.person_ref for user in people.users(floor.desk.connection)} == {floor.ref(MASTER)}


def test_a_rebuild_after_a_merge_ends_with_the_same_rows_and_a_start_with_the_same_state(floor: Floor) -> None:
    theirs = lesson(floor, TWIN)
    lesson(floor, AIGERIM)
    floor.ask(QuestionSession(theirs, floor.ref(TWIN)))
    floor.ask(SignCompetency(floor.ref(TWIN), "CNC-c", 1, floor.by))
    floor.ask(DecideSession(theirs, "approved", floor.by))
    merge(floor)
    rows, record = floor.rows(), learners.of_person(floor.desk.connection, floor.ref())
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()
    assert floor.rows() == rows
    assert learners.of_person(floor.desk.connection, floor.ref()) == record
    floor.clock.move(MINUTE)
    assert floor.tap(TWIN) == ["session_opened"]
