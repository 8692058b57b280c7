"""Competence is not hours: sign-offs that supersede, progress against the plan, readiness, ends of validity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_fixtures import DAY, MINUTE, Floor, a_floor

from kiosk import office
from kiosk.commands import (
    AddUser,
    CommandRefused,
    DecideSession,
    GrantQualification,
    ImportPeople,
    QuestionSession,
    SignCompetency,
)
from kiosk.demo.history import History
from kiosk.desk import Desk
from kiosk.domain.competence import Standing, ready
from kiosk.domain.entries import Stamp
from kiosk.imports.people import read_people
from kiosk.store import people
from kiosk.web.own_record import OwnRecord, briefings_known, expiring, own_record, usual_until
from kiosk.web.reading import Reading
from lab_config.demo import FOLDER, PEOPLE
from lab_config.load import load
from tests.kiosk_fixtures import MASTER, PYOTR, HandClock

HOUR = 60 * MINUTE


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


def record(floor: Floor) -> OwnRecord:
    found = own_record(floor.reading, floor.ref(), floor.now_ms)
    assert found is not None
    return found


def standing(approved: int, required: int | None = None, least: int | None = None, most: int | None = None) -> Standing:
    return Standing("P", required, least, most, approved, 0)


def test_a_sign_off_stands_until_a_later_one_and_all_of_them_stay_visible(floor: Floor) -> None:
    for level in (3, 1):
        floor.ask(SignCompetency(floor.ref(), "CNC-c", level, floor.by, how="panel_both_badges"))
        floor.clock.move(MINUTE)
    (competency,) = record(floor).competencies
    assert (competency.level, competency.reached) == (1, False)
    assert [row.level for row in competency.history] == [1, 3]
    made = floor.entries("competency_signed")
    assert [(entry["process"], entry["programme"], entry["how"]) for entry in made] == [
        ("CNC4", "cnc", "panel_both_badges")
    ] * 2


def test_the_note_of_a_sign_off_is_beside_the_ledger(floor: Floor) -> None:
    floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, floor.by, "clean work", mark="badge"))
    (entry,) = floor.entries("competency_signed")
    assert people.text_by_hash(floor.desk.connection, entry["text_hash"]) == "clean work"
    assert (entry["mark"], entry["by"]) == ("badge", floor.by)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"competency": "XYZ"}, "unknown_competency"),
        ({"level": 4}, "bad_level"),
        ({"level": -1}, "bad_level"),
        ({"person_ref": "nobody"}, "unknown_person"),
        ({"how": "telepathy"}, "bad_how"),
        ({"mark": "seal"}, "bad_how"),
        ({"text": "x" * 2_001}, "text_too_long"),
    ],
)
def test_what_cannot_be_signed_is_refused(floor: Floor, changed: dict[str, object], code: str) -> None:
    given_ = {"person_ref": floor.ref(), "competency": "CNC-c", "level": 2, "by": floor.by} | changed
    with pytest.raises(CommandRefused) as refused:
        floor.ask(SignCompetency(**given_))  # type: ignore[arg-type]
    assert refused.value.code == code
    assert floor.entries("competency_signed") == []


def test_only_instructors_sign_and_nobody_for_themselves(floor: Floor) -> None:
    auditor = str(floor.ask(AddUser("auditor", "auditor", "$hash")).value)
    own = str(floor.ask(AddUser("aigerim", "instructor", "$hash", "p1")).value)
    for by, code in ((auditor, "not_instructor"), (own, "own_session"), (floor.ref(PYOTR), "not_instructor")):
        with pytest.raises(CommandRefused) as refused:
            floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, by))
        assert refused.value.code == code


def test_an_instructor_without_an_account_signs_as_the_person_of_the_badge(floor: Floor) -> None:
    floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, floor.ref(MASTER), how="panel_badge", mark="badge"))
    assert floor.entries("competency_signed")[0]["by"] == floor.ref(MASTER)


def test_the_record_tells_approved_and_waiting_hours_apart_by_process(floor: Floor) -> None:
    first = floor.lesson(60)
    floor.ask(DecideSession(first.session, "approved", floor.by))
    floor.clock.move(MINUTE)
    floor.lesson(30)
    operating, setup = record(floor).processes
    assert (operating.process, operating.approved_ms, operating.waiting_ms) == ("CNC3", HOUR, 30 * MINUTE)
    assert (setup.required_ms, setup.minimum_ms, setup.maximum_ms) == (2 * HOUR, HOUR, 3 * HOUR)
    assert (setup.missing_ms, setup.reached) == (2 * HOUR, False)


def test_the_record_names_open_questions_and_qualifications_with_their_end(floor: Floor) -> None:
    session = floor.lesson().session
    floor.ask(QuestionSession(session, floor.ref()))
    floor.ask(GrantQualification("p1", "briefing:cnc", "2030-12-31", floor.by))
    found = record(floor)
    assert [asked.session for asked in found.questions] == [session]
    assert [(held.id, held.until) for held in found.qualifications] == [("briefing:cnc", date(2030, 12, 31))]
    assert not found.ready


@pytest.mark.parametrize(
    ("days_left", "warn"), [(15, None), (14, 14), (8, 14), (7, 7), (2, 7), (1, 1), (0, 1), (-1, None)]
)
def test_an_end_is_warned_of_fourteen_seven_and_one_days_ahead(floor: Floor, days_left: int, warn: int | None) -> None:
    until = date.fromordinal(floor.reading.local_date(floor.now_ms).toordinal() + days_left)
    floor.ask(GrantQualification("p1", "briefing:cnc", until.isoformat(), floor.by))
    (held,) = record(floor).qualifications
    assert (held.days_left, held.warn, held.expired) == (days_left, warn, days_left < 0)
    assert bool(expiring(floor.reading, floor.ref(), floor.now_ms)) == (warn is not None or days_left < 0)


def test_an_end_is_nearer_every_day(floor: Floor) -> None:
    floor.ask(GrantQualification("p1", "briefing:cnc", usual_until(date(2026, 11, 18)).isoformat(), floor.by))
    before = record(floor).qualifications[0].days_left
    floor.clock.move(DAY)
    after = record(floor).qualifications[0].days_left
    assert before is not None
    assert after == before - 1


def test_the_briefings_are_those_that_machines_require(floor: Floor) -> None:
    assert briefings_known(floor.lab) == ("briefing:cnc",)


def test_of_somebody_unknown_there_is_no_record(floor: Floor) -> None:
    assert own_record(floor.reading, "nobody", floor.now_ms) is None


def test_sign_offs_survive_a_restart_and_a_rebuild(floor: Floor) -> None:
    floor.ask(SignCompetency(floor.ref(), "CNC-c", 2, floor.by))
    before = record(floor)
    floor.again()
    assert record(floor) == before
    floor.desk.close()
    assert office.rebuild(floor.data).same
    floor.again()
    assert record(floor) == before
    assert len(floor.desk.core.state.people[floor.ref()].sign_offs) == 1


def test_the_demo_has_sign_offs_of_every_level_and_somebody_who_says_that_a_session_is_wrong(tmp_path: Path) -> None:
    lab, (rows, _) = load(FOLDER), read_people(PEOPLE)
    with closing(Desk(tmp_path / "kiosk.db", HandClock(), lab)) as desk:
        history = History(lab, rows, desk.badge_ref, "u1")
        now_ms = HandClock().wall_ms()
        first_ms = history.start_ms(now_ms)

        def stamp_at(utc_ms: int) -> Stamp:
            return Stamp("boot", utc_ms - first_ms, utc_ms, synced=True)

        desk.start_at(stamp_at(first_ms))
        desk.relive([(stamp_at(first_ms), ImportPeople(tuple(rows)))])
        desk.relive(history.observations(stamp_at, now_ms, desk.core.state))
        reading = Reading(desk.connection, lab)
        records = [own_record(reading, each.person_ref, now_ms) for each in people.people(desk.connection)]
        levels = {each.level for record in records if record for each in record.competencies}
        assert levels == {None, 1, 2, 3}
        asked = [each for record in records if record for each in record.questions]
        assert len(asked) == 2
        assert all(reading.text(each.text_hash) for each in asked)


def test_hours_above_the_most_that_counts_do_not_count() -> None:
    assert (standing(5, 4, most=4).counted_ms, standing(5, 4, most=4).reached) == (4, True)


def test_a_process_wants_its_required_time_and_never_less_than_its_minimum() -> None:
    assert (standing(3, 4).missing_ms, standing(4, 4).reached) == (1, True)
    assert (standing(3, None, 4).missing_ms, standing(0).reached) == (1, True)


def test_ready_is_who_has_every_hour_and_every_level() -> None:
    assert ready([standing(4, 4)], [(2, 2), (1, 3)])
    assert not ready([standing(3, 4)], [(2, 2)])
    assert not ready([standing(4, 4)], [(2, 1)])
    assert not ready([standing(4, 4)], [(2, None)])


@given(st.integers(0, 99), st.integers(0, 99), st.none() | st.integers(0, 99), st.none() | st.integers(0, 99))
def test_more_approved_time_never_leaves_more_missing(
    approved: int, more: int, required: int | None, most: int | None
) -> None:
    less, later = standing(approved, required, None, most), standing(approved + more, required, None, most)
    assert later.missing_ms <= less.missing_ms
    assert 0 <= less.counted_ms <= approved
