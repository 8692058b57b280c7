"""What is touched at a kiosk: choices, still here, questions; each an entry, or a no with a code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_fixtures import DAY, MINUTE, UNKNOWN, Floor, a_floor, refused
from test_snapshot import everything

from kiosk import office, snapshot
from kiosk.commands import (
    ApproveSessions,
    AskChoices,
    CloseSession,
    DecideSession,
    HoldBriefing,
    LockMachine,
    PickMachine,
    QuestionSession,
    SignCompetency,
    TouchStillHere,
)
from kiosk.domain.choices import MachineChoice
from kiosk.replay import session_object
from kiosk.store import learners, people, views, waiting
from kiosk.store.ledger import Ledger
from kiosk.web.own_record import next_warning_ms, told, warnings
from tests.kiosk_fixtures import PYOTR


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


def choices(floor: Floor) -> dict[str, MachineChoice]:
    value = floor.ask(AskChoices(floor.ref())).value
    assert isinstance(value, tuple)
    return {choice.machine: choice for choice in value}


# --- the shared kiosk -----------------------------------------------------------------------------------------------


def test_a_read_at_a_shared_reader_is_an_entry_that_a_screen_can_answer(floor: Floor) -> None:
    assert floor.tap(reader="door") == ["tap_read"]
    (read,) = floor.entries("tap_read")
    assert (read["outcome"], read["reader"], read["machine"], read["person_ref"]) == ("pick", "door", None, floor.ref())


def test_a_touch_within_the_time_of_the_read_opens_a_session_there(floor: Floor) -> None:
    floor.tap(reader="door")
    floor.clock.move(14_999)
    done = floor.ask(PickMachine("door", "mill-1", "CNC4", floor.ref()))
    (opened,) = floor.entries("session_opened")
    assert done.seqs == (opened["seq"],)
    assert (opened["machine"], opened["process"]) == ("mill-1", "CNC4")


def test_a_touch_that_comes_too_late_or_twice_is_told_so_and_makes_nothing(floor: Floor) -> None:
    floor.tap(reader="door")
    floor.clock.move(15_000)
    assert refused(floor, PickMachine("door", "mill-1")) == "not_waiting"
    assert floor.entries("session_opened") == []


def test_a_touch_never_takes_the_read_of_somebody_who_tapped_since(floor: Floor) -> None:
    floor.tap(reader="door")
    floor.tap(PYOTR, reader="door")
    assert refused(floor, PickMachine("door", "mill-1", person_ref=floor.ref())) == "not_waiting"
    floor.ask(PickMachine("door", "mill-1", person_ref=floor.ref(PYOTR)))
    (opened,) = floor.entries("session_opened")
    assert opened["person_ref"] == floor.ref(PYOTR)


def test_a_pick_that_the_rules_refuse_is_an_entry_that_says_why(floor: Floor) -> None:
    floor.tap(reader="door")
    floor.ask(PickMachine("door", "grinder-1"))
    (no,) = floor.entries("tap_refused")
    assert (no["reason"], no["missing"], no["machine"]) == ("not_qualified", ["briefing:cnc"], "grinder-1")


def test_another_process_is_chosen_within_the_time_of_the_opening(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(14_999)
    floor.ask(PickMachine("mill-1", "mill-1", "CNC4"))
    assert floor.rows()[0].process == "CNC4"
    assert floor.ask(PickMachine("mill-1", "mill-1", "CNC4")).seqs == ()  # it is so already
    floor.clock.move(1)
    assert refused(floor, PickMachine("mill-1", "mill-1", "CNC3")) == "not_waiting"


@pytest.mark.parametrize(
    ("pick", "code"),
    [
        (PickMachine("nowhere", "mill-1"), "unknown_reader"),
        (PickMachine("door", "nothing"), "unknown_machine"),
        (PickMachine("door", "mill-1", "XYZ"), "unknown_process"),
    ],
)
def test_a_touch_on_what_is_not_there_is_refused(floor: Floor, pick: PickMachine, code: str) -> None:
    assert refused(floor, pick) == code


def test_the_choice_shows_the_last_machine_and_the_last_process_first_and_what_is_refused_last(floor: Floor) -> None:
    floor.tap(reader="lathe-1")
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    floor.tap(reader="door")
    floor.ask(PickMachine("door", "mill-1", "CNC4"))
    floor.clock.move(MINUTE)
    floor.tap()
    floor.clock.move(MINUTE)
    found = choices(floor)
    assert list(found) == ["mill-1", "lathe-1", "grinder-1"]
    assert (found["mill-1"].outcome, found["mill-1"].processes) == ("in", ("CNC4", "CNC3"))
    assert (found["grinder-1"].outcome, found["grinder-1"].reason) == ("refused", "not_qualified")
    assert found["grinder-1"].missing == ("briefing:cnc",)


def test_the_choice_says_what_a_touch_would_do(floor: Floor) -> None:
    floor.tap()
    assert choices(floor)["mill-1"].outcome == "still_on"
    floor.clock.move(MINUTE)
    assert choices(floor)["mill-1"].outcome == "out"
    floor.ask(LockMachine("lathe-1", True, floor.by))
    assert choices(floor)["lathe-1"].reason == "machine_locked"
    floor.tap(PYOTR)
    assert choices(floor)["mill-1"].outcome == "told"


def test_to_ask_for_choices_makes_no_entry(floor: Floor) -> None:
    size = floor.desk.core.state.size
    choices(floor)
    assert floor.desk.core.state.size == size


# --- still here -----------------------------------------------------------------------------------------------------


def test_the_screen_can_warn_five_minutes_before_an_idle_closing_and_a_touch_breaks_the_stretch(floor: Floor) -> None:
    floor.tap()
    floor.report("running")
    floor.clock.move(MINUTE)
    floor.report("idle")
    idle_ms = floor.now_ms
    assert next_warning_ms(floor.reading, floor.now_ms) == idle_ms + 55 * MINUTE
    floor.work(54, "idle")
    session = floor.rows()[0].session
    assert (warnings(floor.reading, floor.now_ms), refused(floor, TouchStillHere(session))) == ((), "not_due")
    floor.work(2, "idle")
    (warning,) = warnings(floor.reading, floor.now_ms)
    assert (warning.session, warning.machine, warning.left_ms) == (session, "mill-1", 4 * MINUTE)
    floor.ask(TouchStillHere(session))
    assert warnings(floor.reading, floor.now_ms) == ()
    assert next_warning_ms(floor.reading, floor.now_ms) == floor.now_ms + 55 * MINUTE
    floor.work(59, "idle")
    assert floor.rows()[0].end_ms is None
    floor.work(2, "idle")
    assert floor.rows()[0].reason == "idle_timeout"
    assert refused(floor, TouchStillHere(session)) == "no_open_session"


def test_a_machine_that_works_again_ends_the_warning(floor: Floor) -> None:
    floor.tap()
    floor.work(57, "idle")
    assert len(warnings(floor.reading, floor.now_ms)) == 1
    floor.report("running")
    assert warnings(floor.reading, floor.now_ms) == ()
    assert next_warning_ms(floor.reading, floor.now_ms) is None


# --- told at the next tap -------------------------------------------------------------------------------------------


def told_now(floor: Floor) -> list[tuple[str, str]]:
    """What the newest entry, a tap, tells Aigerim."""
    seq = floor.desk.core.state.size - 1
    return [(each.reason, each.closed_by) for each in told(floor.reading, floor.ref(), seq)]


def test_a_session_that_the_system_closed_is_told_at_the_next_tap_and_never_again(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(11 * 60 * MINUTE)
    floor.desk.pass_time(heartbeat=True)
    floor.tap(reader="lathe-1")
    assert told_now(floor) == [("day_end", "system")]
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert told_now(floor) == []


def test_a_closing_that_is_found_by_the_tap_itself_is_told_by_it(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(11 * 60 * MINUTE)
    floor.tap()
    assert told_now(floor) == [("day_end", "system")]


def test_a_session_that_an_instructor_closed_is_told_without_a_name_also_by_a_refusal(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(MINUTE)
    floor.ask(CloseSession(floor.rows()[0].session, floor.by))
    floor.ask(LockMachine("mill-1", True, floor.by))
    floor.tap()
    assert told_now(floor) == [("closed_by_instructor", "other")]


def test_who_tapped_out_or_moved_is_told_nothing(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert told_now(floor) == []
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert told_now(floor) == []


# --- this is wrong --------------------------------------------------------------------------------------------------


def open_questions(floor: Floor) -> tuple[learners.QuestionRow, ...]:
    return learners.of_person(floor.desk.connection, floor.ref()).questions


def test_a_question_stands_as_an_exception_until_a_decision_after_it(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(QuestionSession(session, floor.ref(), "I was there until ten"))
    assert floor.rows()[0].flags == ("questioned",)
    (asked,) = open_questions(floor)
    assert (asked.session, floor.reading.text(asked.text_hash)) == (session, "I was there until ten")
    assert refused(floor, ApproveSessions((session,), floor.by)) == "not_clean"
    floor.ask(DecideSession(session, "approved", floor.by))
    assert (floor.rows()[0].flags, open_questions(floor)) == ((), ())


def test_a_decided_session_can_be_questioned_and_is_listed_again_however_old(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    floor.clock.move(9 * DAY)
    assert waiting.exceptions(floor.desk.connection, waiting.Only(), 9).rows == ()
    floor.ask(QuestionSession(session, floor.ref()))
    (row,) = waiting.exceptions(floor.desk.connection, waiting.Only(), 9).rows
    assert (row.session, row.flags, row.review) == (session, ("questioned",), "rejected")


def test_the_text_of_a_question_is_beside_the_ledger_and_its_hash_in_it(floor: Floor) -> None:
    floor.ask(QuestionSession(floor.lesson().session, floor.ref(), "secret words"))
    (entry,) = floor.entries("session_questioned")
    assert people.text_by_hash(floor.desk.connection, entry["text_hash"]) == "secret words"
    assert "secret words" not in str(floor.entries("session_questioned"))


def test_only_ones_own_session_is_questioned_and_once_at_a_time(floor: Floor) -> None:
    session = floor.lesson().session
    assert refused(floor, QuestionSession(session, floor.ref(PYOTR))) == "not_own_session"
    assert refused(floor, QuestionSession(session + 999, floor.ref())) == "unknown_session"
    assert refused(floor, QuestionSession(session, floor.ref(), "x" * 2_001)) == "text_too_long"
    floor.ask(QuestionSession(session, floor.ref()))
    assert refused(floor, QuestionSession(session, floor.ref())) == "already_questioned"


def test_a_question_changes_no_number_and_no_record(floor: Floor) -> None:
    session = floor.lesson()
    floor.ask(QuestionSession(session.session, floor.ref()))
    floor.ask(DecideSession(session.session, "approved", floor.by))
    (released,) = floor.entries("record_released")
    assert released["record"]["flags"] == []
    assert released["record"]["credited_ms"] == session.credited_ms


# --- one card at two places -----------------------------------------------------------------------------------------


def test_a_badge_read_at_two_places_within_an_impossible_time_marks_both_sessions(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(1_999)
    floor.tap(reader="lathe-1")
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert ["two_places" in row.flags for row in floor.rows()] == [True, True]


def test_whoever_has_the_time_to_walk_is_not_marked(floor: Floor) -> None:
    floor.tap()
    floor.clock.move(2_000)
    floor.tap(reader="lathe-1")
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert not any("two_places" in row.flags for row in floor.rows())


def test_a_tap_out_here_and_an_opening_elsewhere_at_once_are_marked_too_and_leave_in_no_record(floor: Floor) -> None:
    first = floor.lesson()
    floor.clock.move(500)
    floor.tap(reader="lathe-1")
    floor.clock.move(MINUTE)
    floor.tap(reader="lathe-1")
    assert ["two_places" in row.flags for row in floor.rows()] == [True, True]
    floor.ask(DecideSession(first.session, "approved", floor.by))
    assert floor.entries("record_released")[0]["record"]["flags"] == []
    assert "two_places" in floor.rows()[0].flags


def test_a_replay_and_the_fold_know_neither_mark(floor: Floor) -> None:
    session = floor.lesson().session
    floor.clock.move(500)
    floor.tap(reader="lathe-1")
    floor.ask(QuestionSession(session, floor.ref()))
    state = floor.desk.core.state
    assert state.last is not None
    assert set(floor.rows()[0].flags) == {"questioned", "two_places"}
    assert session_object(state, state.sessions[session], state.last)["flags"] == []


# --- derived --------------------------------------------------------------------------------------------------------


def test_a_snapshot_holds_questions_sign_offs_and_what_is_not_told_yet(floor: Floor, tmp_path: Path) -> None:
    floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, floor.by, "well done"))
    session = floor.lesson().session
    floor.ask(QuestionSession(session, floor.ref(), "why"))
    floor.clock.move(500)
    floor.tap(reader="lathe-1")
    floor.clock.move(MINUTE)
    floor.ask(CloseSession(floor.rows()[-1].session, floor.by))
    state, log = floor.desk.core.state, Ledger(floor.desk.connection)
    assert state.questions
    assert state.untold
    assert state.two_places
    snapshot.keep(tmp_path / "snapshot", state, log.root())
    restored = snapshot.restore(tmp_path / "snapshot", log)
    assert restored is not None
    assert everything(restored) == everything(state)


def test_a_rebuild_and_a_restart_end_with_the_same_rows(floor: Floor) -> None:
    floor.tap(UNKNOWN)
    floor.ask(HoldBriefing("briefing:cnc", (floor.ref(),), "2030-12-31", floor.by))
    session = floor.lesson().session
    floor.tap()
    floor.clock.move(11 * 60 * MINUTE)
    floor.tap()
    floor.ask(QuestionSession(session, floor.ref(), "why"))
    floor.clock.move(MINUTE)
    floor.report("idle")
    before = floor.rows()
    floor.again()
    assert [(row.told, row.flags) for row in floor.rows()] == [(row.told, row.flags) for row in before]
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()
    assert len(views.open_sessions(floor.desk.connection)) == 1
