"""People, papers and badges from the office: dated entries that say who made them, and names beside the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_fixtures import Floor, a_floor, refused

from kiosk.commands import (
    AddUser,
    AssignBadge,
    BlockBadge,
    DecideSession,
    GiveConsent,
    ImportPeople,
    PersonRow,
    RecordContract,
    RetireBadge,
    SavePerson,
    WithdrawConsent,
)
from kiosk.store import acts, people
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


def said(floor: Floor, *types: str) -> list[tuple[str, str | None]]:
    """(type, by) of entries, the newest of each."""
    return [(entry["type"], entry["by"]) for entry in floor.entries(*types)]


def approved(floor: Floor) -> int:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    return session


# --- papers ---------------------------------------------------------------------------------------------------------


def test_a_withdrawn_consent_stops_what_was_not_yet_released_and_a_new_one_releases_it(floor: Floor) -> None:
    floor.ask(WithdrawConsent("p1", "ent-steel", floor.by))
    session = approved(floor)
    assert floor.entries("record_released") == []
    floor.ask(GiveConsent("p1", "ent-steel", "2030-01-01", floor.by))
    assert [entry["session"] for entry in floor.entries("record_released")] == [session]
    papers = said(floor, "consent_given", "consent_withdrawn")
    assert papers == [("consent_given", "import"), ("consent_withdrawn", floor.by), ("consent_given", floor.by)]


def test_a_withdrawn_consent_does_not_come_back_because_an_old_roster_repeats_it(floor: Floor) -> None:
    floor.ask(WithdrawConsent("p1", "ent-steel", floor.by))
    floor.ask(ImportPeople((AIGERIM,)))
    floor.ask(SavePerson(replace(AIGERIM, group="A-2"), floor.by))
    assert len(floor.entries("consent_given")) == 1
    floor.ask(ImportPeople((replace(AIGERIM, consent_until="2031-06-30"),)))
    assert floor.entries("consent_given")[-1]["until"] == "2031-06-30"


def test_a_contract_recorded_on_a_page_is_not_undone_by_an_old_roster(floor: Floor) -> None:
    floor.ask(RecordContract("p1", "ent-steel", "2026-09-01", "2031-12-31", "Д-2", None, floor.by))
    floor.ask(ImportPeople((AIGERIM,)))
    assert floor.entries("contract_recorded")[-1]["valid_to"] == "2031-12-31"


def test_the_numbers_of_a_contract_live_beside_the_ledger(floor: Floor) -> None:
    floor.ask(RecordContract("p2", "ent-steel", "2026-09-01", None, "Д-77", "S-77", floor.by))
    person = people.person_by_id(floor.desk.connection, "p2")
    assert person is not None
    assert (person.enterprise, person.contract, person.personnel_number) == ("ent-steel", "Д-77", "S-77")
    entry = floor.entries("contract_recorded")[-1]
    assert (entry["valid_from"], entry["valid_to"], entry["by"]) == ("2026-09-01", None, floor.by)
    assert not [number for number in ("Д-77", "S-77") if number in str(entry)]
    floor.ask(RecordContract("p2", "ent-steel", "2026-09-01", "2027-06-30", None, None, floor.by))
    again = people.person_by_id(floor.desk.connection, "p2")
    assert again is not None
    assert again.contract == "Д-77"


def test_papers_that_cannot_be_are_refused(floor: Floor) -> None:
    by = floor.by
    assert refused(floor, GiveConsent("p99", "ent-steel", None, by)) == "unknown_person"
    assert refused(floor, GiveConsent("p2", "ent-gold", None, by)) == "unknown_enterprise"
    assert refused(floor, GiveConsent("p2", "ent-steel", "30.06.2027", by)) == "bad_date"
    assert refused(floor, WithdrawConsent("p2", "ent-gold", by)) == "unknown_enterprise"
    assert refused(floor, RecordContract("p2", "ent-gold", None, None, None, None, by)) == "unknown_enterprise"
    assert refused(floor, RecordContract("p2", "ent-steel", "soon", None, None, None, by)) == "bad_date"
    wrong = RecordContract("p2", "ent-steel", "2027-01-01", "2026-12-31", None, None, by)
    assert refused(floor, wrong) == "wrong_order"
    auditor = str(floor.ask(AddUser("paper", "auditor", "$hash")).value)
    assert refused(floor, GiveConsent("p2", "ent-steel", None, auditor)) == "not_instructor"


def test_what_is_so_already_makes_no_entry(floor: Floor) -> None:
    assert floor.ask(GiveConsent("p1", "ent-steel", "2030-12-31", floor.by)).seqs == ()
    assert floor.ask(RecordContract("p1", "ent-steel", "2026-01-01", "2030-12-31", None, None, floor.by)).seqs == ()
    assert floor.ask(WithdrawConsent("p2", "ent-steel", floor.by)).seqs == ()


# --- people and badges ----------------------------------------------------------------------------------------------


def test_one_person_is_saved_as_a_roster_of_one_row_without_badges(floor: Floor) -> None:
    row = PersonRow("p5", "apprentice", "Сериков", "Әлихан", programme="cnc", badges=("DEADBEEF01",))
    ref = floor.ask(SavePerson(row, floor.by, new=True)).value
    saved = people.person_by_id(floor.desk.connection, "p5")
    assert saved is not None
    assert saved.person_ref == ref
    assert people.badges_of(floor.desk.connection, saved.person_ref) == []
    assert said(floor, "person_recorded")[-1] == ("person_recorded", floor.by)
    floor.ask(SavePerson(replace(row, given="Алихан"), floor.by))
    changed = people.person_by_id(floor.desk.connection, "p5")
    assert changed is not None
    assert (changed.given, changed.person_ref) == ("Алихан", ref)


def test_a_change_keeps_what_has_entries_of_its_own(floor: Floor) -> None:
    before = people.person_by_id(floor.desk.connection, "p1")
    assert before is not None
    row = replace(AIGERIM, group="A-2", enterprise=None, contract="X", contract_to="2020-01-01", consent_until=None)
    floor.ask(SavePerson(row, floor.by))
    assert people.person_by_id(floor.desk.connection, "p1") == replace(before, group="A-2")


def test_a_change_of_what_somebody_else_changed_since_is_refused(floor: Floor) -> None:
    before = people.person_by_id(floor.desk.connection, "p1")
    assert before is not None
    seen = people.version(before)
    floor.ask(RecordContract("p1", "ent-steel", "2026-01-01", "2031-12-31", "Д-3", None, floor.by))
    floor.ask(SavePerson(replace(AIGERIM, group="A-2"), floor.by, seen=seen))
    late = SavePerson(replace(AIGERIM, group="A-3"), floor.by, seen=seen)
    assert refused(floor, late) == "changed_meanwhile"
    after = people.person_by_id(floor.desk.connection, "p1")
    assert after is not None
    assert after.group == "A-2"


def test_a_new_person_needs_a_new_number_and_a_known_one_a_known_number(floor: Floor) -> None:
    assert refused(floor, SavePerson(PYOTR, floor.by, new=True)) == "person_exists"
    assert refused(floor, SavePerson(replace(PYOTR, person_id="p99"), floor.by)) == "unknown_person"


def test_a_badge_is_blocked_by_its_reference_and_the_entries_say_who_did_what(floor: Floor) -> None:
    floor.ask(AssignBadge("DEADBEEF01", "p2", floor.by))
    badge = people.badge_by_uid(floor.desk.connection, "DEADBEEF01")
    assert badge is not None
    floor.ask(RetireBadge(badge.badge_ref, floor.by))
    floor.ask(BlockBadge(PYOTR.badges[0]))
    assert said(floor, "badge_assigned", "badge_blocked")[-3:] == [
        ("badge_assigned", floor.by),
        ("badge_blocked", floor.by),
        ("badge_blocked", "console"),
    ]
    floor.tap("DEADBEEF01")
    assert floor.entries("tap_refused")[-1]["reason"] == "badge_blocked"
    assert refused(floor, RetireBadge("nothing", floor.by)) == "unknown_badge"


def test_an_import_is_an_act_with_the_number_of_its_rows(floor: Floor) -> None:
    floor.ask(ImportPeople((AIGERIM, PYOTR), floor.by))
    newest = acts.acts(floor.desk.connection, kinds=("imported",))[0]
    assert (newest.by, newest.subject, newest.seq) == (floor.by, "2", None)


def test_nobody_hands_in_a_qualification_of_their_own_and_repeating_one_is_no_news(floor: Floor) -> None:
    own = replace(MASTER, qualifications=(("qualification:cnc_mill", None),))
    assert refused(floor, ImportPeople((AIGERIM, own), floor.by)) == "own_papers"
    floor.ask(ImportPeople((own,), "import"))  # somebody else may
    floor.ask(ImportPeople((AIGERIM, own), floor.by))
    assert (
        refused(
            floor, ImportPeople((replace(own, qualifications=(("qualification:cnc_mill", "2031-01-01"),)),), floor.by)
        )
        == "own_papers"
    )
