"""At the instructor's panel: an unknown badge enrolled by a touch, a briefing for a group, marks, accounts and PINs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_fixtures import MINUTE, UNKNOWN, Floor, a_floor, refused

from kiosk.commands import (
    AddUser,
    DecideSession,
    EnrolSeen,
    HoldBriefing,
    LinkUser,
    LockMachine,
    PickMachine,
    SetPin,
)
from kiosk.store import people
from kiosk.web.own_record import unknown_seen
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


# --- badges ---------------------------------------------------------------------------------------------------------


def test_the_unknown_badge_seen_last_is_enrolled_by_a_touch_and_its_refused_taps_are_offered(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    first_ms = floor.now_ms
    floor.clock.move(MINUTE)
    floor.tap(UNKNOWN, reader="lathe-1")
    seen = unknown_seen(floor.reading, "lathe-1", floor.now_ms)
    assert seen is not None
    assert seen.taps == 2
    value = floor.ask(EnrolSeen("lathe-1", "p1", floor.by)).value
    assert isinstance(value, dict)
    moments = [(tap["utc_ms"], tap["reader"], tap["machine"]) for tap in value["refused"]]
    assert moments == [(first_ms, "mill-1", "mill-1"), (first_ms + MINUTE, "lathe-1", "lathe-1")]
    assert UNKNOWN not in str(value)
    assert unknown_seen(floor.reading, "lathe-1", floor.now_ms) is None
    floor.clock.move(MINUTE)
    assert floor.tap(UNKNOWN) == ["session_opened"]


def test_a_replacement_blocks_the_old_badge_in_the_same_gesture(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    done = floor.ask(EnrolSeen("mill-1", "p1", floor.by, replace=True))
    made = [entry["type"] for entry in floor.entries("badge_assigned", "badge_blocked") if entry["seq"] in done.seqs]
    assert made == ["badge_assigned", "badge_blocked"]
    floor.clock.move(MINUTE)
    floor.tap(AIGERIM)
    assert floor.entries("tap_refused")[-1]["reason"] == "badge_blocked"
    assert floor.tap(UNKNOWN) == ["session_opened"]


def test_without_a_replacement_the_old_badge_goes_on(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    floor.ask(EnrolSeen("mill-1", "p1", floor.by))
    assert floor.tap(AIGERIM) == ["session_opened"]


def test_nothing_is_enrolled_where_none_was_seen_or_too_long_ago_or_by_others(floor: Floor) -> None:
    assert refused(floor, EnrolSeen("mill-1", "p1", floor.by)) == "nothing_seen"
    floor.tap(UNKNOWN)
    assert refused(floor, EnrolSeen("lathe-1", "p1", floor.by)) == "nothing_seen"
    assert refused(floor, EnrolSeen("mill-1", "p99", floor.by)) == "unknown_person"
    auditor = str(floor.ask(AddUser("auditor", "auditor", "$hash")).value)
    assert refused(floor, EnrolSeen("mill-1", "p1", auditor)) == "not_instructor"
    floor.clock.move(10 * MINUTE)
    assert refused(floor, EnrolSeen("mill-1", "p1", floor.by)) == "nothing_seen"
    assert unknown_seen(floor.reading, "mill-1", floor.now_ms) is None


def test_a_badge_is_enrolled_once(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    floor.ask(EnrolSeen("mill-1", "p1", floor.by))
    assert refused(floor, EnrolSeen("mill-1", "p2", floor.by)) == "nothing_seen"


def test_a_number_that_changes_at_each_tap_is_given_to_nobody(floor: Floor) -> None:
    floor.tap("08A1B2C3")
    assert refused(floor, EnrolSeen("mill-1", "p1", floor.by)) == "random_badge"
    assert floor.entries("badge_assigned")[-1]["seq"] < floor.entries("tap_refused")[0]["seq"]


# --- briefings and accounts -----------------------------------------------------------------------------------------


def test_a_briefing_for_a_group_is_an_entry_each_with_a_common_batch(floor: Floor) -> None:
    group = (floor.ref(), floor.ref(PYOTR))
    done = floor.ask(HoldBriefing("briefing:cnc", group, "2030-12-31", floor.by, mark="badge"))
    made = floor.entries("qualification_granted")
    assert [entry["seq"] for entry in made] == list(done.seqs)
    assert {(entry["batch"], entry["mark"], entry["until"]) for entry in made} == {(done.value, "badge", "2030-12-31")}
    assert [entry["person_ref"] for entry in made] == list(group)
    assert floor.tap(reader="door") == ["tap_read"]
    floor.ask(PickMachine("door", "grinder-1"))
    assert floor.rows()[0].machine == "grinder-1"


def test_a_briefing_is_held_for_all_of_a_group_or_for_nobody(floor: Floor) -> None:
    hold = HoldBriefing("briefing:cnc", (floor.ref(), "nobody"), None, floor.by)
    assert refused(floor, hold) == "unknown_person"
    assert refused(floor, HoldBriefing("briefing:cnc", (), None, floor.by)) == "nobody"
    assert refused(floor, HoldBriefing("briefing:xyz", (floor.ref(),), None, floor.by)) == "unknown_briefing"
    assert refused(floor, HoldBriefing("briefing:cnc", (floor.ref(),), "2020-01-01", floor.by)) == "past_date"
    assert refused(floor, HoldBriefing("briefing:cnc", (floor.ref(),), "soon", floor.by)) == "bad_date"
    assert refused(floor, HoldBriefing("briefing:cnc", (floor.ref(MASTER),), None, floor.by)) == "own_session"
    assert floor.entries("qualification_granted") == []


def test_a_decision_by_a_badge_alone_is_marked_and_one_by_an_account_is_not(floor: Floor) -> None:
    floor.ask(DecideSession(floor.lesson().session, "approved", floor.by, mark="badge"))
    floor.clock.move(MINUTE)
    floor.ask(DecideSession(floor.lesson().session, "approved", floor.by))
    assert [entry["mark"] for entry in floor.entries("session_reviewed")] == ["badge", None]
    assert [row.decided_mark for row in floor.rows()] == ["badge", None]
    assert refused(floor, DecideSession(floor.rows()[0].session, "approved", floor.by, mark="seal")) == "unknown_mark"


def test_a_badge_leads_to_the_account_of_its_owner_and_its_pin(floor: Floor) -> None:
    floor.ask(SetPin("master", "$pin"))
    account = people.user_by_person(floor.desk.connection, floor.ref(MASTER))
    assert account is not None
    assert (account.name, account.pin_hash) == ("master", "$pin")
    assert refused(floor, SetPin("nobody", "$pin")) == "unknown_user"


def test_an_account_is_linked_to_a_person_afterwards(floor: Floor) -> None:
    floor.ask(AddUser("new", "lead", "$hash"))
    floor.ask(LinkUser("new", "p2"))
    account = people.user_by_person(floor.desk.connection, floor.ref(PYOTR))
    assert account is not None
    assert account.name == "new"
    assert refused(floor, LinkUser("nobody", "p2")) == "unknown_user"
    assert refused(floor, LinkUser("new", "p99")) == "unknown_person"


def test_an_apprentices_badge_vouches_for_nobody(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    pyotr = floor.ref(PYOTR)
    assert refused(floor, HoldBriefing("briefing:cnc", (floor.ref(),), None, pyotr)) == "not_instructor"
    assert refused(floor, EnrolSeen("mill-1", "p1", pyotr)) == "not_instructor"
    assert refused(floor, LockMachine("mill-1", True, pyotr)) == "not_instructor"
    floor.ask(HoldBriefing("briefing:cnc", (floor.ref(),), None, floor.ref(MASTER), mark="badge"))
