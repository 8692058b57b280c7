"""A person's own record on paper: what it says, in which language, and how somebody else verifies it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader
from web_fixtures import HOUR, NOON, World, a_world, ref

from kiosk.reports.files import content
from kiosk.reports.journal import journal
from kiosk.reports.period import midnight_ms, month_of
from kiosk.reports.person import person_report
from kiosk.reports.source import Source
from kiosk.reports.table import Report
from kiosk.store import learners, people
from kiosk.store.ledger import Ledger
from kiosk.store.schema import write
from kiosk.words import words


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        made.worked(
            "p1",
            "mill-1",
            NOON,
            NOON + 3 * HOUR,
            review="approved",
            decided_credited_ms=2 * HOUR,
            decided_process="CNC3",
        )
        made.worked("p1", "mill-1", NOON + 4 * HOUR, NOON + 5 * HOUR, process=None)
        yield made


def report(world: World, language: str = "en") -> Report:
    person = people.person_by_id(world.connection, "p1")
    assert person is not None
    return person_report(world.connection, world.lab, person, words(language), world.now_ms)


def table(made: Report, title: str) -> list[tuple[object, ...]]:
    return [
        tuple(row) for each in made.tables if each.title == title for row in (*each.rows, *filter(None, [each.totals]))
    ]


def test_hours_stand_against_the_plan_and_what_is_outside_of_it_too(world: World) -> None:
    rows = table(report(world), "Hours against the plan")
    assert rows[0] == ("CNC3 · Operating CNC mills and lathes", 607_500_000, 2 * HOUR, 2 * HOUR, 0, 0)
    assert rows[2] == ("without a work process", None, 0, 0, HOUR, HOUR)
    assert rows[-1] == ("In all", 607_500_000 + 729_000_000, 2 * HOUR, 2 * HOUR, HOUR, HOUR)


def test_sessions_are_summed_by_month(world: World) -> None:
    assert table(report(world), "By month")[0] == ("October 2026", 2, 4 * HOUR, 2 * HOUR, 2 * HOUR, HOUR)


def test_a_session_over_the_end_of_a_month_is_in_both_as_in_the_journal(world: World) -> None:
    midnight = midnight_ms(date(2026, 11, 1), ZoneInfo("Asia/Almaty"))
    approved = {"review": "approved", "decided_credited_ms": 3 * HOUR, "decided_process": "CNC3"}
    world.worked("p1", "mill-1", midnight - 3 * HOUR, midnight + HOUR, local_date="2026-10-31", **approved)
    rows = {row[0]: row[1:] for row in table(report(world), "By month")}
    assert rows["October 2026"] == (3, 7 * HOUR, 17 * HOUR // 4, 17 * HOUR // 4, HOUR)
    assert rows["November 2026"] == (0, HOUR, 3 * HOUR // 4, 3 * HOUR // 4, 0)
    assert rows["In all"] == (3, 8 * HOUR, 5 * HOUR, 5 * HOUR, HOUR)
    source = Source(world.connection, world.lab, words("en"), world.now_ms)
    for month, of_it in (("October 2026", date(2026, 10, 1)), ("November 2026", date(2026, 11, 1))):
        totals = journal(source, month_of(of_it), [None]).tables[0].totals
        assert totals is not None
        assert totals[-3:] == rows[month][2:]


def test_a_part_with_nothing_in_it_is_left_out(world: World) -> None:
    assert [each.title for each in report(world).tables] == ["Hours against the plan", "By month"]


def test_a_qualification_has_its_last_day(world: World) -> None:
    with write(world.connection):
        held = (("briefing:cnc", "2027-06-30"), ("qualification:mill", None))
        learners.put_person(world.connection, learners.PersonRecord(ref("p1"), held, (), ()))
    assert table(report(world), "Qualifications and briefings") == [
        ("Safety briefing: cnc", "until 30.06.2027"),
        ("Qualification: mill", "no end"),
    ]


def test_it_says_how_it_is_verified(world: World) -> None:
    assert "The log has no signed checkpoint yet." in report(world).notes
    with write(world.connection):
        Ledger(world.connection).name_log("demo-w3/0123456789abcdef")
    root = base64.b64encode(Ledger(world.connection).root()).decode()
    size = Ledger(world.connection).size
    with write(world.connection):
        note = f"sheber/demo-w3/0123456789abcdef\n{size}\n{root}\n\n— k AAAAAAAA\n"
        Ledger(world.connection).store_checkpoint(note)
    notes = report(world).notes
    assert "Log of the workshop: sheber/demo-w3/0123456789abcdef" in notes
    assert f"The person in this log: {ref('p1')}" in notes
    assert f"Signed checkpoint: {size} entries, root {root}" in notes


def test_joined_rows_are_all_named_by_reference(world: World) -> None:
    with write(world.connection):
        people.merge_person(world.connection, ref("p2"), ref("p1"))
    assert f"The person in this log: {ref('p1')}, {ref('p2')}" in report(world).notes


@pytest.mark.parametrize(
    ("language", "title", "month"),
    [("kk", "Оқу жазбасы", "2026 ж. қазан"), ("ru", "Запись об обучении", "октябрь 2026 г.")],
)
def test_on_paper_every_letter_is_there_and_pages_are_numbered(
    world: World, language: str, title: str, month: str
) -> None:
    with write(world.connection):
        world.connection.execute("UPDATE people SET surname = 'ӘҒҚҢӨҰҮҺІ', given = 'әғқңөұүһі' WHERE person_id = 'p1'")
    pages = PdfReader(io.BytesIO(content(report(world, language), "pdf"))).pages
    read = " ".join(each.extract_text() for each in pages)
    assert title in read
    assert "ӘҒҚҢӨҰҮҺІ әғқңөұүһі" in read
    assert month in read
    assert f"1 / {len(pages)}" in read


def test_a_hostile_name_does_no_harm_on_paper(world: World) -> None:
    with write(world.connection):
        world.connection.execute(
            "UPDATE people SET surname = ? WHERE person_id = 'p1'", ("\u202e<script>'; DROP 🙂" + "Ж" * 180,)
        )
    read = PdfReader(io.BytesIO(content(report(world), "pdf"))).pages[0].extract_text()
    assert "<script>'; DROP" in read
