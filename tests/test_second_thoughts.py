"""Decisions that are taken back, and second decisions on what another decided (hours, section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_fixtures import MINUTE, Floor, a_floor, refused

from kiosk import office
from kiosk.commands import (
    AddUser,
    ApproveSessions,
    DecideSession,
    EnterManual,
    ImportPeople,
    PersonRow,
    QuestionSession,
    UndoReview,
)
from kiosk.store import learners, people
from kiosk.store.unchanged import look
from tests.kiosk_fixtures import MASTER, PYOTR


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


def account(floor: Floor, name: str, role: str, person: str | None = None) -> str:
    return str(floor.ask(AddUser(name, role, "$hash", person)).value)


def lessons(floor: Floor, count: int) -> tuple[int, ...]:
    """So many sessions of one person, clean, one after another."""
    found = []
    for _ in range(count):
        found.append(floor.lesson(20).session)
        floor.clock.move(MINUTE)
    return tuple(found)


def stands(floor: Floor, session: int) -> tuple[str, str | None, int | None]:
    """(review, reason, decided time) of a session's row."""
    row = next(each for each in floor.rows() if each.session == session)
    return row.review, row.decided_reason, row.decided_credited_ms


def released(floor: Floor) -> list[tuple[int, str, str | None, int]]:
    """(revision, decision, reason, credited) of each record, as the enterprise gets it."""
    records = [entry["record"] for entry in floor.entries("record_released")]
    return [(r["revision"], r["review"]["decision"], r["review"]["reason"], r["credited_ms"]) for r in records]


def test_an_undone_decision_is_superseded_and_the_session_waits_anew(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(UndoReview((session,), floor.by))
    first, second = floor.entries("session_reviewed")
    assert (second["decision"], second["reason"], second["supersedes"], second["undo"]) == (
        "rejected",
        "undone",
        first["seq"],
        True,
    )
    assert second["text_hash"] is None
    assert stands(floor, session)[:2] == ("pending", "undone")


def test_clean_sessions_of_an_undone_gesture_are_approved_in_one_again(floor: Floor) -> None:
    sessions = lessons(floor, 3)
    floor.ask(ApproveSessions(sessions, floor.by))
    done = floor.ask(UndoReview(sessions, floor.by))
    assert {floor.entries("session_reviewed")[-1]["batch"], len(sessions)} == {3}
    assert len([seq for seq in done.seqs if seq in {e["seq"] for e in floor.entries("session_reviewed")}]) == 3
    floor.ask(ApproveSessions(sessions, floor.by))
    assert {row.review for row in floor.rows()} == {"approved"}


def test_an_undo_brings_back_what_stood_before_and_a_second_one_takes_that_back(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "adjusted", floor.by, "setup_counts", "so it was", 5 * MINUTE, "CNC3"))
    before = floor.entries("session_reviewed")[-1]
    floor.ask(DecideSession(session, "approved", floor.by))
    full = stands(floor, session)
    floor.ask(UndoReview((session,), floor.by))
    again = floor.entries("session_reviewed")[-1]
    kept = ("decision", "reason", "text_hash", "credited_ms", "process")
    assert [again[name] for name in kept] == [before[name] for name in kept]
    assert stands(floor, session) == ("adjusted", "setup_counts", 5 * MINUTE)
    floor.ask(UndoReview((session,), floor.by))
    assert stands(floor, session) == full
    floor.ask(UndoReview((session,), floor.by))
    assert stands(floor, session) == ("adjusted", "setup_counts", 5 * MINUTE)


def test_the_first_decision_undone_twice_stands_again(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    floor.ask(UndoReview((session,), floor.by))
    floor.ask(UndoReview((session,), floor.by))
    assert stands(floor, session) == ("rejected", "not_present", 0)


def test_the_enterprise_gets_an_undo_as_the_next_revision(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    credited = stands(floor, session)[2]
    floor.ask(UndoReview((session,), floor.by))
    floor.ask(DecideSession(session, "adjusted", floor.by, "other", "", MINUTE))
    assert released(floor) == [
        (1, "approved", None, credited),
        (2, "rejected", "undone", 0),
        (3, "adjusted", "other", MINUTE),
    ]


def test_an_undo_is_of_all_its_sessions_or_of_none(floor: Floor) -> None:
    decided, waiting = lessons(floor, 2)
    floor.ask(DecideSession(decided, "approved", floor.by))
    assert refused(floor, UndoReview((decided, waiting), floor.by)) == "not_decided"
    assert refused(floor, UndoReview((decided, 999_999), floor.by)) == "unknown_session"
    assert stands(floor, decided)[0] == "approved"


def test_nobody_undoes_anothers_decision_not_even_a_lead(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    assert refused(floor, UndoReview((session,), account(floor, "ivan", "instructor"))) == "not_yours"
    assert refused(floor, UndoReview((session,), account(floor, "lead", "lead"))) == "not_yours"
    assert refused(floor, UndoReview((session,), account(floor, "paper", "auditor"))) == "not_instructor"


def test_a_decision_at_the_panel_before_there_was_an_account_is_ones_own(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.ref(MASTER), mark="badge"))
    floor.ask(UndoReview((session,), floor.by))
    assert stands(floor, session)[0] == "pending"


def test_nobody_undoes_what_is_about_themselves(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    own = account(floor, "aigerim", "instructor", "p1")
    assert refused(floor, UndoReview((session,), own)) == "own_session"


def test_undone_is_no_reason_that_somebody_may_choose(floor: Floor) -> None:
    session = floor.lesson().session
    assert refused(floor, DecideSession(session, "rejected", floor.by, "undone")) == "reason_missing"


def test_a_question_that_a_decision_answered_stands_again_when_it_is_undone(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(QuestionSession(session, floor.ref(), "it was longer"))
    floor.ask(DecideSession(session, "approved", floor.by))
    assert learners.of_person(floor.desk.connection, floor.ref()).questions == ()
    floor.ask(UndoReview((session,), floor.by))
    assert [each.session for each in learners.of_person(floor.desk.connection, floor.ref()).questions] == [session]
    assert "questioned" in floor.rows()[-1].flags


def test_a_question_is_answered_by_approving_again_what_was_approved(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(QuestionSession(session, floor.ref(), "it was longer"))
    floor.ask(DecideSession(session, "approved", floor.by))
    first, second = floor.entries("session_reviewed")
    assert (second["decision"], second["supersedes"]) == ("approved", first["seq"])
    assert "questioned" not in floor.rows()[0].flags
    floor.ask(DecideSession(session, "approved", floor.by))
    assert len(floor.entries("session_reviewed")) == 2


def test_a_question_that_came_after_the_decision_outlives_the_undo(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(QuestionSession(session, floor.ref()))
    floor.ask(UndoReview((session,), floor.by))
    floor.ask(UndoReview((session,), floor.by))
    assert [each.session for each in learners.of_person(floor.desk.connection, floor.ref()).questions] == [session]


# --- second decisions -----------------------------------------------------------------------------------------------


def test_only_a_lead_decides_on_what_another_decided(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    ivan, lead = account(floor, "ivan", "instructor"), account(floor, "lead", "lead")
    again = DecideSession(session, "rejected", ivan, "not_present")
    assert refused(floor, again) == "needs_lead"
    assert refused(floor, ApproveSessions((session,), ivan)) == "needs_lead"
    floor.ask(DecideSession(session, "rejected", lead, "not_present"))
    assert stands(floor, session)[0] == "rejected"
    assert refused(floor, DecideSession(session, "approved", floor.by)) == "needs_lead"


def test_ones_own_decision_is_decided_anew_by_the_same_account_or_badge(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    floor.ask(DecideSession(session, "approved", floor.ref(MASTER), mark="badge"))
    assert stands(floor, session)[0] == "approved"


def test_an_instructor_without_an_account_counts_as_an_instructor(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(ImportPeople((PersonRow("i2", "instructor", "Нұрлан", ""),)))
    other = people.person_by_id(floor.desk.connection, "i2")
    assert other is not None
    assert refused(floor, DecideSession(session, "approved", other.person_ref, mark="badge")) == "needs_lead"


def test_what_its_apprentice_questioned_since_is_open_to_every_instructor(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    floor.ask(QuestionSession(session, floor.ref()))
    floor.ask(DecideSession(session, "approved", account(floor, "ivan", "instructor")))
    assert stands(floor, session)[0] == "approved"


def test_what_was_undone_is_open_to_every_instructor(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(UndoReview((session,), floor.by))
    floor.ask(DecideSession(session, "approved", account(floor, "ivan", "instructor")))
    assert stands(floor, session)[0] == "approved"


def test_hours_by_hand_are_no_second_decision(floor: Floor) -> None:
    end = floor.now_ms - MINUTE
    (seq,) = floor.ask(EnterManual("p2", "mill-1", None, end - 60 * MINUTE, end, floor.by, "kiosk_down")).seqs
    floor.ask(DecideSession(seq, "approved", account(floor, "ivan", "instructor")))
    assert stands(floor, seq)[0] == "approved"


def test_nobody_enters_hours_for_an_instructor(floor: Floor) -> None:
    other = account(floor, "other", "instructor")
    floor.clock.move(90 * MINUTE)
    now = floor.clock.wall_ms()
    asked = EnterManual(MASTER.person_id, "mill-1", None, now - 60 * MINUTE, now - 30 * MINUTE, other, "other")
    assert refused(floor, asked) == "unknown_person"


def test_a_rebuild_of_taken_back_decisions_ends_with_the_same_rows(floor: Floor) -> None:
    first, second = lessons(floor, 2)
    floor.ask(QuestionSession(second, floor.ref(), "why"))
    for session in (first, second):
        floor.ask(DecideSession(session, "approved", floor.by))
    floor.ask(UndoReview((first, second), floor.by))
    floor.ask(UndoReview((second,), floor.by))
    floor.tap(PYOTR)
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()
    assert [row.review for row in floor.rows()] == ["pending", "approved", "pending"]


def test_the_sessions_own_process_may_be_kept_where_the_plan_has_dropped_it(floor: Floor) -> None:
    session = floor.lesson().session
    (programme,) = floor.lab.programmes
    left = tuple(each for each in programme.processes if each.id != "CNC3")
    floor.lab = replace(floor.lab, programmes=(replace(programme, processes=left, competencies=()),))
    floor.again()
    floor.ask(DecideSession(session, "adjusted", floor.by, "other", "", MINUTE, "CNC3"))
    assert stands(floor, session) == ("adjusted", "other", MINUTE)
    assert floor.entries("record_released")[-1]["record"]["process"] == "CNC3"
    assert (
        refused(floor, DecideSession(session, "adjusted", floor.by, "other", "", MINUTE, "CNC9")) == "unknown_process"
    )


# --- what was seen ---


def seen(floor: Floor, session: int) -> str:
    """What a page that is drawn now shows of it."""
    return look(next(row for row in floor.rows() if row.session == session))


def test_a_decision_on_what_the_page_no_longer_shows_is_refused(floor: Floor) -> None:
    session = floor.lesson().session
    shown = seen(floor, session)
    floor.ask(QuestionSession(session, floor.ref(), "it was longer"))
    assert refused(floor, DecideSession(session, "approved", floor.by, seen=shown)) == "changed_meanwhile"
    floor.ask(DecideSession(session, "approved", floor.by, seen=seen(floor, session)))
    assert stands(floor, session)[0] == "approved"


def test_a_lead_overrules_nobody_without_having_seen_it(floor: Floor) -> None:
    session, lead = floor.lesson().session, account(floor, "lead", "lead")
    shown = seen(floor, session)
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    late = DecideSession(session, "adjusted", lead, "other", "", MINUTE, seen=shown)
    assert refused(floor, late) == "changed_meanwhile"
    assert refused(floor, ApproveSessions((session,), lead)) == "not_clean"
    assert stands(floor, session)[0] == "rejected"


def test_approving_together_binds_what_was_seen_of_each(floor: Floor) -> None:
    sessions = lessons(floor, 2)
    shown = tuple(seen(floor, each) for each in sessions)
    floor.ask(DecideSession(sessions[1], "approved", floor.by))
    floor.ask(UndoReview(sessions[1:], floor.by))
    assert refused(floor, ApproveSessions(sessions, floor.by, shown)) == "changed_meanwhile"
    floor.ask(ApproveSessions(sessions, floor.by, tuple(seen(floor, each) for each in sessions)))
    assert {row.review for row in floor.rows()} == {"approved"}


def test_of_two_who_approve_the_same_at_once_the_second_is_told_to_look_again(floor: Floor) -> None:
    sessions, other = lessons(floor, 2), account(floor, "other", "instructor")
    shown = tuple(seen(floor, each) for each in sessions)
    floor.ask(ApproveSessions(sessions, floor.by, shown))
    assert refused(floor, ApproveSessions(sessions, other, shown)) == "changed_meanwhile"
    assert len(floor.entries("session_reviewed")) == 2


def test_a_form_that_is_sent_twice_decides_once(floor: Floor) -> None:
    one, two, three, *clean = lessons(floor, 5)
    for decision in (
        DecideSession(one, "rejected", floor.by, "not_present", "seen elsewhere", seen=seen(floor, one)),
        DecideSession(two, "adjusted", floor.by, "other", "", MINUTE, "CNC4", seen=seen(floor, two)),
        DecideSession(three, "approved", floor.by, seen=seen(floor, three)),
        ApproveSessions(tuple(clean), floor.by, tuple(seen(floor, each) for each in clean)),
    ):
        assert floor.ask(decision).seqs
        assert floor.ask(decision).seqs == ()
    assert len(floor.entries("session_reviewed")) == 5
    assert len(released(floor)) == 4


def test_another_reason_or_other_words_are_another_decision(floor: Floor) -> None:
    session = floor.lesson().session
    for reason, words in (("other", ""), ("other", "seen elsewhere"), ("not_present", "seen elsewhere")):
        assert floor.ask(DecideSession(session, "rejected", floor.by, reason, words)).seqs


def test_an_undo_that_is_sent_twice_takes_back_once(floor: Floor) -> None:
    session = floor.lesson().session
    for decision in (
        DecideSession(session, "adjusted", floor.by, "other", "", MINUTE),
        DecideSession(session, "approved", floor.by),
    ):
        floor.ask(decision)
    decided = floor.entries("session_reviewed")[-1]["seq"]
    assert floor.ask(UndoReview((session,), floor.by, (decided,))).seqs
    assert floor.ask(UndoReview((session,), floor.by, (decided,))).seqs == ()
    assert stands(floor, session) == ("adjusted", "other", MINUTE)


def test_an_undo_means_the_decision_that_was_offered_and_no_later_one(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(DecideSession(session, "approved", floor.by))
    (decided,) = (entry["seq"] for entry in floor.entries("session_reviewed"))
    floor.ask(DecideSession(session, "rejected", floor.by, "not_present"))
    assert refused(floor, UndoReview((session,), floor.by, (decided,))) == "changed_meanwhile"
    assert stands(floor, session)[0] == "rejected"
