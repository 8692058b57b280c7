"""When the hours of the plan will be there, at the pace of the last weeks."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kiosk.domain.competence import Standing
from kiosk.domain.forecast import FARTHEST_DAYS, WEEKS, forecast, monday

HOUR = 3_600_000
TODAY = date(2026, 10, 29)  # a Thursday
LONG_AGO = date(2024, 9, 2)


def plan(required_h: int | None, approved_h: int = 0, waiting_h: int = 0, maximum_h: int | None = None) -> Standing:
    required = None if required_h is None else required_h * HOUR
    maximum = None if maximum_h is None else maximum_h * HOUR
    return Standing("CNC3", required, None, maximum, approved_h * HOUR, waiting_h * HOUR)


def weeks(hours: int, count: int = WEEKS, today: date = TODAY) -> dict[date, int]:
    """So many hours in each of the last whole weeks."""
    return {monday(today) - timedelta(weeks=back): hours * HOUR for back in range(1, count + 1)}


def test_at_ten_hours_a_week_forty_missing_hours_take_four_weeks() -> None:
    found = forecast([plan(100, 60)], weeks(10), LONG_AGO, TODAY)
    assert (found.outcome, found.reached_on) == ("dated", TODAY + timedelta(weeks=4))
    assert (found.pace_ms, found.weeks, found.missing_ms) == (10 * HOUR, WEEKS, 40 * HOUR)
    assert (found.first_day, found.last_day) == (date(2026, 8, 31), date(2026, 10, 25))


def test_what_is_missing_in_several_processes_is_worked_one_after_the_other() -> None:
    found = forecast([plan(30, 10), plan(50, 30), plan(20, 20)], weeks(10), LONG_AGO, TODAY)
    assert found.reached_on == TODAY + timedelta(weeks=4)


def test_too_much_in_one_process_makes_up_for_nothing_in_another() -> None:
    found = forecast([plan(10, 50), plan(20, 10)], weeks(10), LONG_AGO, TODAY)
    assert found.missing_ms == 10 * HOUR


def test_what_waits_is_taken_as_approved() -> None:
    assert forecast([plan(30, 10, 10)], weeks(10), LONG_AGO, TODAY).missing_ms == 10 * HOUR
    assert forecast([plan(30, 10, 20)], weeks(10), LONG_AGO, TODAY).outcome == "waiting"


def test_a_week_without_work_lowers_the_pace() -> None:
    found = forecast([plan(40)], weeks(10, count=4), LONG_AGO, TODAY)
    assert found.pace_ms == 5 * HOUR


def test_the_week_that_still_runs_says_nothing() -> None:
    assert forecast([plan(40)], {monday(TODAY): 40 * HOUR}, LONG_AGO, TODAY).outcome == "no_pace"


def test_of_a_newcomer_the_weeks_since_the_first_day_count() -> None:
    found = forecast([plan(40)], weeks(10, count=3), TODAY - timedelta(weeks=3), TODAY)
    assert (found.pace_ms, found.weeks) == (10 * HOUR, 3)


def test_less_than_two_whole_weeks_are_no_pace() -> None:
    assert forecast([plan(40)], weeks(10, count=1), TODAY - timedelta(weeks=1), TODAY).outcome == "no_pace"
    assert forecast([plan(40)], {}, None, TODAY).outcome == "no_pace"
    assert forecast([plan(40)], {}, LONG_AGO, TODAY).outcome == "no_pace"


def test_reached_plans_and_no_plans_need_no_forecast() -> None:
    assert forecast([plan(10, 10), plan(None)], weeks(10), LONG_AGO, TODAY).outcome == "reached"
    assert forecast([plan(None)], weeks(10), LONG_AGO, TODAY).outcome == "no_plan"
    assert forecast([], weeks(10), LONG_AGO, TODAY).outcome == "no_plan"


def test_what_is_more_than_ten_years_away_has_no_month() -> None:
    found = forecast([plan(5000)], {monday(TODAY) - timedelta(weeks=1): HOUR}, LONG_AGO, TODAY)
    assert (found.outcome, found.reached_on) == ("far", None)


@given(
    missing_ms=st.integers(1, 3000 * HOUR),
    worked=st.lists(st.integers(0, 60 * HOUR), min_size=WEEKS, max_size=WEEKS),
    faster_by=st.integers(0, 20 * HOUR),
)
def test_who_works_faster_is_never_ready_later(missing_ms: int, worked: list[int], faster_by: int) -> None:
    def when(extra: int) -> int:
        by_week = {monday(TODAY) - timedelta(weeks=back + 1): ms + extra for back, ms in enumerate(worked)}
        found = forecast([Standing("p", missing_ms, None, None, 0, 0)], by_week, LONG_AGO, TODAY)
        return (found.reached_on - TODAY).days if found.reached_on else FARTHEST_DAYS + 1

    assert when(faster_by) <= when(0)
