"""What stands in the college's reports: whose hours, on which day, approved or waiting, where, and who decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_fixtures import HOUR, MINUTE, World, a_world, ref

from kiosk.commands import PersonRow
from kiosk.reports.asked import EVERY_GROUP, Asked, build
from kiosk.reports.hours import by_day, shared
from kiosk.reports.period import Period, month, month_of, period
from kiosk.reports.source import NAMELESS, NO_GROUP, Source
from kiosk.reports.table import Cell, Report
from kiosk.store import acts, people, views
from kiosk.store.schema import write
from kiosk.store.views import SessionView
from kiosk.store.worked import Worked
from kiosk.words import words

OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31))
ZONE = timezone(timedelta(hours=5))


def at(day: int, hour: int, minute: int = 0, month_: int = 10) -> int:
    return int(datetime(2026, month_, day, hour, minute, tzinfo=ZONE).timestamp() * 1000)


class College:
    """A world with two groups, and short words for what was worked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.next = 10**6
        with write(world.connection):
            for person_id, surname, group in (("a", "Әлиев", "МС-21"), ("b", "Қасымов", "МС-21"), ("c", "Эм", "ЭМ-22")):
                row = PersonRow(person_id, "apprentice", surname, "Дана", programme="cnc-operator", group=group)
                people.insert_person(world.connection, ref(person_id), row)

    def worked(self, person: str, start_ms: int, end_ms: int, credited_ms: int | None = None, **more: Any) -> int:
        """A session; approved unless `more` says otherwise."""
        self.next += 1
        credited = end_ms - start_ms if credited_ms is None else credited_ms
        day = datetime.fromtimestamp(start_ms / 1000, ZONE).date().isoformat()
        row = SessionView(
            self.next, ref(person), "mill-1", "cnc-operator", "CNC3", "operator", start_ms, end_ms, day, "tap_out",
            "person", end_ms - start_ms, {"running": end_ms - start_ms}, credited, 0, {}, "badge+machine",
        )._replace(
            review="approved", decided_credited_ms=credited, decided_process="CNC3", decided_by=ref("bauyrzhan"),
            decided_at_ms=end_ms + HOUR,
        )  # fmt: skip
        if more.get("review") == "pending":
            row = row._replace(decided_credited_ms=None, decided_process=None, decided_by=None, decided_at_ms=None)
        with write(self.world.connection):
            views.put_session(self.world.connection, row._replace(**more))
        return self.next

    def change(self, person: str, **fields: Any) -> None:
        with write(self.world.connection):
            known = people.person_by_ref(self.world.connection, ref(person))
            assert known is not None
            row = PersonRow(
                person, known.role, known.surname, known.given, group=known.group, programme=known.programme
            )
            people.update_person(self.world.connection, ref(person), replace(row, **fields))

    def source(self, language: str = "en") -> Source:
        return Source(self.world.connection, self.world.lab, words(language), self.world.now_ms)

    def report(self, kind: Any, covers: Period = OCTOBER, group: str | None = None, **more: Any) -> Report:
        return build(self.source(), Asked(kind, covers, "en", group=group, **more))


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    with a_world(tmp_path) as world:
        yield College(world)


def column(report: Report, title: str, table: int = 0) -> dict[Cell, Cell]:
    """By the name in the second column."""
    found = report.tables[table]
    place = [each.title for each in found.columns].index(title)
    return {row[1]: row[place] for row in found.rows if row[place] is not None}


def total(report: Report, title: str) -> int:
    """Of all tables' last rows."""
    found = 0
    for table in report.tables:
        cell = table.totals and table.totals[[each.title for each in table.columns].index(title)]
        assert cell is None or isinstance(cell, int)
        found += cell or 0
    return found


# Periods


def test_a_period_is_cut_at_the_ends_of_its_months() -> None:
    cut = list(Period(date(2026, 1, 20), date(2026, 3, 3)).months())
    assert [(str(each.first), str(each.last)) for each in cut] == [
        ("2026-01-20", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
        ("2026-03-01", "2026-03-03"),
    ]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-10-02", "2026-10-01"),
        ("x", ""),
        ("2026-02-30", "2026-03-01"),
        ("2020-01-01", "2026-01-01"),
        ("0001-01-01", "0001-02-01"),
    ],
)
def test_no_period_is_made_of_days_that_are_none_or_far_apart(first: str, last: str) -> None:
    assert period(first, last) is None


def test_a_month_is_read_as_browsers_send_it() -> None:
    assert month("2028-02") == Period(date(2028, 2, 1), date(2028, 2, 29))
    assert [month(each) for each in ("2026-13", "2026", "", "2026-10-01", "abcd-10")] == [None] * 5


# Midnight


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**8), min_size=1, max_size=5))
def test_shared_time_adds_up_to_the_millisecond(whole: int, weights: list[int]) -> None:
    found = shared(whole, weights)
    assert sum(found) == whole
    assert all(part >= 0 for part in found)


def test_a_session_over_midnight_is_split_in_proportion_to_the_time_on_each_side() -> None:
    row = Worked(1, "r", "m", None, at(30, 23), at(31, 1), 100 * MINUTE + 1, 0)
    first, second = by_day(row, ZoneInfo("Asia/Almaty"))
    assert (first.day, second.day) == (date(2026, 10, 30), date(2026, 10, 31))
    assert first.end_ms == second.start_ms == at(31, 0)
    assert first.approved_ms + second.approved_ms == 100 * MINUTE + 1
    assert abs(first.approved_ms - second.approved_ms) <= 1


def test_hours_over_the_end_of_a_month_are_in_neither_month_twice(college: College) -> None:
    college.worked("a", at(31, 22), at(1, 2, month_=11), 3 * HOUR)
    october, november = (college.report("journal", each) for each in (OCTOBER, month_of(date(2026, 11, 1))))
    assert (total(october, "Hours"), total(november, "Hours")) == (90 * MINUTE, 90 * MINUTE)


def test_a_session_dated_by_an_older_zone_database_is_lost_by_no_month(college: College) -> None:
    """The date of its row was made when it ended; the paper is made with the zone as it is known now."""
    college.worked("a", at(31, 23, 30), at(1, 0, 30, month_=11), local_date="2026-11-01")
    college.worked("a", at(1, 0, 15), at(1, 1, 15), local_date="2026-09-30")
    october, november = (college.report("journal", each) for each in (OCTOBER, month_of(date(2026, 11, 1))))
    assert (total(october, "Hours"), total(november, "Hours")) == (90 * MINUTE, 30 * MINUTE)


# The journal


def test_the_journal_has_each_persons_days_and_sums_in_the_alphabets_order(college: College) -> None:
    college.worked("b", at(5, 8), at(5, 10))
    college.worked("a", at(5, 8), at(5, 9))
    college.worked("a", at(5, 11), at(5, 12, 30))
    college.worked("a", at(31, 8), at(31, 9))
    report = college.report("journal", group="МС-21")
    table = report.tables[0]
    assert [row[1] for row in table.rows] == ["Әлиев Дана", "Қасымов Дана"]
    assert column(report, "5") == {"Әлиев Дана": 150 * MINUTE, "Қасымов Дана": 2 * HOUR}
    assert column(report, "Hours") == {"Әлиев Дана": 210 * MINUTE, "Қасымов Дана": 2 * HOUR}
    assert column(report, "Ac. hours") == column(report, "Hours")
    assert total(report, "Hours") == 330 * MINUTE
    assert len(table.columns) == 2 + 31 + 3


def test_what_waits_stands_apart_and_what_was_rejected_is_nothing(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10))
    college.worked("a", at(6, 8), at(6, 9), review="pending")
    college.worked("a", at(7, 8), at(7, 10), review="rejected", decided_credited_ms=0, decided_reason="not_present")
    report = college.report("journal", group="МС-21")
    assert column(report, "Hours")["Әлиев Дана"] == 2 * HOUR
    assert column(report, "Waiting, hours")["Әлиев Дана"] == HOUR
    assert (column(report, "6"), column(report, "7")) == ({}, {})


def test_an_adjusted_session_counts_with_what_was_decided(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10), review="adjusted", decided_credited_ms=25 * MINUTE)
    assert total(college.report("journal", group="МС-21"), "Hours") == 25 * MINUTE


def test_who_left_is_listed_only_in_months_with_hours(college: College) -> None:
    college.worked("b", at(5, 8), at(5, 10))
    college.change("a", active=False)
    college.change("b", active=False)
    assert list(column(college.report("journal", group="МС-21"), "Hours")) == ["Қасымов Дана"]


def test_an_erased_person_is_a_dash_whose_hours_are_counted(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10))
    college.worked("c", at(5, 8), at(5, 9))
    with write(college.world.connection):
        people.erase_person(college.world.connection, ref("a"))
    together = college.report("journal")
    assert column(together, "Hours")[NAMELESS] == 2 * HOUR
    assert total(together, "Hours") == 3 * HOUR
    assert NAMELESS not in column(college.report("journal", group="МС-21"), "Hours")
    assert column(college.report("journal", group=NO_GROUP), "Hours")[NAMELESS] == 2 * HOUR


def test_hours_of_a_double_are_the_kept_persons(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10))
    college.worked("c", at(6, 8), at(6, 9))
    with write(college.world.connection):
        people.merge_person(college.world.connection, ref("c"), ref("a"))
    report = college.report("journal", group="МС-21")
    assert column(report, "Hours")["Әлиев Дана"] == 3 * HOUR


def test_every_group_by_itself_adds_up_to_everybody_together(college: College) -> None:
    for day, person in ((1, "a"), (2, "b"), (3, "c"), (4, "p1"), (5, "nobody")):
        college.worked(person, at(day, 8), at(day, 9 + day))
        college.worked(person, at(day, 8, month_=11), at(day, 9, month_=11))
    year = Period(date(2026, 1, 1), date(2026, 12, 31))
    apart = college.report("journal", year, EVERY_GROUP)
    assert total(apart, "Hours") == total(college.report("journal", year), "Hours") == 5 * HOUR + 20 * HOUR
    assert all(each.title for each in apart.tables)


def test_a_journal_says_its_rule_its_days_and_its_group(college: College) -> None:
    report = college.report("journal", group="МС-21")
    assert "01.10.2026 – 31.10.2026" in report.subtitle
    assert any("МС-21" in line for line in report.subtitle)
    assert any("1 ac. h = 45 min" in line for line in report.notes)


# The diary


def test_the_diary_tells_machine_process_hours_evidence_decision_and_who_decided(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10), evidence="manual")
    college.worked("a", at(6, 8), at(6, 9), review="pending")
    college.worked("b", at(6, 8), at(6, 9))
    report = college.report("diary", person_ref=ref("a"))
    first, second = report.tables[0].rows
    assert first == (
        date(2026, 10, 5), "08:00–10:00", "CNC mill 1", "Operating CNC mills and lathes", 2 * HOUR, 2 * HOUR, None,
        "entered by hand", "approved", "Ахметов Бауыржан Сапарұлы", date(2026, 10, 5),
    )  # fmt: skip
    assert second[4:] == (0, 0, HOUR, "card and machine", "waiting", None, None)
    assert any("Әлиев Дана" in line for line in report.subtitle)


# Machines


def test_the_use_of_machines_is_told_by_state_with_the_share_in_which_they_ran(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 10), by_state={"running": 90 * MINUTE, "idle": 30 * MINUTE})
    college.worked("b", at(6, 8), at(6, 9), by_state={"running": HOUR}, machine="gone-1")
    table = college.report("machines").tables[0]
    rows = {row[0]: row[1:] for row in table.rows}
    assert [each.title for each in table.columns[1:]] == ["running", "idle", "In all", "Running, per cent"]
    assert rows["CNC mill 1"] == (90 * MINUTE, 30 * MINUTE, 2 * HOUR, Fraction(3, 4))
    assert rows["gone-1"][0] == HOUR
    assert rows["CNC lathe"] == (None, None, 0, None)
    assert table.totals is not None
    assert table.totals[3] == 3 * HOUR


# The register


def test_the_register_has_its_columns_and_two_to_sign(college: College) -> None:
    with write(college.world.connection):
        seq = college.world.append(
            "qualification_granted", at(5, 8), person_ref=ref("a"), qualification="briefing:cnc", until="2027-04-05",
            by=ref("bauyrzhan"),
        )  # fmt: skip
        for person, what, month_ in (("b", "qualification:mill", 10), ("c", "briefing:cnc", 11)):
            college.world.append(
                "qualification_granted", at(6, 8, month_=month_), person_ref=ref(person), qualification=what,
                until=None, by=ref("lead"),
            )  # fmt: skip
        acts.follow(college.world.connection, seq)
    report = college.report("briefings")
    (row,) = report.tables[0].rows
    assert row == (
        1, "Әлиев Дана", "Operator", date(2026, 10, 5), "Safety briefing: cnc", date(2027, 4, 5),
        "Ахметов Бауыржан Сапарұлы", None, None,
    )  # fmt: skip
    assert college.report("briefings", group="ЭМ-22").tables[0].rows == ()
    november = college.report("briefings", month_of(date(2026, 11, 1))).tables[0].rows
    assert [(row[1], row[5], row[6]) for row in november] == [("Эм Дана", None, "lead")]


# The share at the enterprise


def test_the_share_at_the_enterprise_is_counted_by_where_the_machine_stands(college: College) -> None:
    mill, *others = college.world.lab.machines
    college.world.lab = replace(college.world.lab, machines=(replace(mill, place="enterprise"), *others))
    college.worked("a", at(5, 8), at(5, 11))
    college.worked("a", at(6, 8), at(6, 10), machine="lathe-1")
    college.worked("b", at(6, 8), at(6, 10), machine="lathe-1")
    college.worked("b", at(7, 8), at(7, 9), review="pending")
    report = college.report("attendance", group="МС-21")
    assert column(report, "Enterprise, hours") == {"Әлиев Дана": 3 * HOUR, "Қасымов Дана": 0}
    assert column(report, "College, ac. hours")["Әлиев Дана"] == 2 * HOUR
    assert column(report, "In all, hours")["Әлиев Дана"] == 5 * HOUR
    assert column(report, "Share of the enterprise, per cent") == {"Әлиев Дана": Fraction(3, 5), "Қасымов Дана": 0}
    assert column(report, "Against the plan") == {"Әлиев Дана": "enough", "Қасымов Дана": "too little"}
    assert column(report, "Waiting, hours")["Қасымов Дана"] == HOUR
    assert any("at least 60 per cent" in line for line in report.notes)


def test_a_share_just_below_the_plan_does_not_read_as_if_it_were_reached(college: College) -> None:
    mill, *others = college.world.lab.machines
    college.world.lab = replace(college.world.lab, machines=(replace(mill, place="enterprise"), *others))
    college.worked("a", at(5, 8), at(5, 10) + 59 * MINUTE + 53 * 1000)
    college.worked("a", at(6, 8), at(6, 10), machine="lathe-1")
    report = college.report("attendance", group="МС-21")
    assert column(report, "Share of the enterprise, per cent")["Әлиев Дана"] == Fraction(599, 1000)
    assert column(report, "Against the plan")["Әлиев Дана"] == "too little"


def test_before_the_first_hour_nobody_is_told_that_it_is_too_little(college: College) -> None:
    assert set(column(college.report("attendance", group="МС-21"), "Against the plan").values()) == {""}


def test_where_all_machines_stand_at_one_place_nobody_is_told_that_it_is_too_little(college: College) -> None:
    college.worked("a", at(5, 8), at(5, 11))
    report = college.report("attendance", group="МС-21")
    assert set(column(report, "Against the plan").values()) == {""}
    assert any("needs the hours of the other" in line for line in report.notes)


def test_a_machine_that_is_gone_stood_where_the_lab_does(college: College) -> None:
    college.world.lab = replace(college.world.lab, place="enterprise")
    college.worked("a", at(5, 8), at(5, 11), machine="gone-1")
    assert column(college.report("attendance", group="МС-21"), "Enterprise, hours")["Әлиев Дана"] == 3 * HOUR


# Languages


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("kind", ["journal", "attendance", "diary", "machines", "briefings"])
def test_a_report_has_no_word_in_another_language(college: College, language: str, kind: Any) -> None:
    from test_web_words import messages

    college.worked("a", at(5, 8), at(5, 10))
    report = build(college.source(language), Asked(kind, OCTOBER, language, group="МС-21", person_ref=ref("a")))
    texts = {report.title, *report.subtitle, *report.notes, *report.signatures}
    texts |= {column.title for table in report.tables for column in table.columns}
    texts |= {cell for table in report.tables for row in table.rows for cell in row if isinstance(cell, str)}
    assert texts & {each for each in messages() if isinstance(each, str)} == set()


def test_reports_ask_no_clock(college: College) -> None:
    made = [line for line in college.report("journal").subtitle if line.startswith("Made on")]
    now = datetime.fromtimestamp(college.world.now_ms / 1000, UTC).astimezone(ZONE)
    assert made == [f"Made on: {now:%d.%m.%Y, %H:%M}"]
