"""Safety briefings on the staff side: who needs one, a group that is ticked or taps, and the register."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from kiosk.commands import HoldBriefing
from kiosk.roll_call import SHOWN_S
from kiosk.store.schema import open_reader
from kiosk.web.apps import create_kiosk_app
from kiosk.web.board import BoardView
from kiosk.web.reading import Reading
from kiosk.words import words
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR
from tests.staff_fixtures import Staff, lab_with_briefings, send, text

TODAY = date(2026, 11, 18)
HOSTILE = replace(
    PYOTR, person_id="p9", surname="<script>alert(1)</script>\u202e", given="'; DROP", badges=("0A0B0C0D0E",)
)
ROWS = (
    replace(AIGERIM, group="ТМ-21"),
    replace(PYOTR, group="ТМ-21", qualifications=(("briefing:cnc", "2026-11-25"),)),
    replace(HOSTILE, group="СВ-22", qualifications=(("briefing:cnc", "2026-11-01"),)),
    MASTER,
)


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    with closing(Staff(tmp_path, lab_with_briefings(tmp_path / "lab"), ROWS)) as made:
        made.clock.step_wall(1_794_978_000_000 - made.clock.wall_ms())  # 18.11.2026, 10:00 in the lab
        yield made


@pytest.fixture
def client(staff: Staff) -> FlaskClient:
    return staff.client()


def held(staff: Staff, person_id: str) -> str | None:
    """Until when the person's briefing holds, as the clerk knows it."""
    return staff.desk.core.state.people[staff.ref(person_id)].qualifications.get("briefing:cnc")


def entries(staff: Staff) -> list[dict[str, object]]:
    reading = Reading(staff.desk.connection, staff.lab)
    return [json.loads(body) for _, kind, body in reading.entries(-1, 10_000) if kind == "qualification_granted"]


def test_whoever_works_at_a_machine_that_wants_a_briefing_is_due_for_it(staff: Staff, client: FlaskClient) -> None:
    page = text(client.get("/briefings"))
    assert "Ахметова Айгерім ТМ-21 Safety briefing: cnc: not given yet" in page
    assert "Иванов Пётр ТМ-21 Safety briefing: cnc: until 25.11.2026" in page
    assert "Safety briefing: cnc: over since 01.11.2026" in page
    assert "Who needs one 3" in page
    assert "Жұмабаев" not in page.partition("Register")[0]


def test_the_list_is_of_one_group_or_one_briefing(client: FlaskClient) -> None:
    assert "Who needs one 1" in text(client.get("/briefings?group=СВ-22"))
    assert "Who needs one 3" in text(client.get("/briefings?briefing=briefing:cnc"))
    assert "Who needs one 0" in text(client.get("/briefings?briefing=briefing:other&group=x"))


def test_a_name_that_is_code_is_a_name(client: FlaskClient) -> None:
    page = client.get("/briefings").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_ticked_group_is_briefed_in_one_gesture_and_stands_in_the_register_as_one(
    staff: Staff, client: FlaskClient
) -> None:
    people = [staff.ref("p1"), staff.ref("p2")]
    answer = send(
        client, "/briefings/hold", "/briefings/hold", briefing="briefing:cnc", until="2027-05-18", person=people
    )
    assert answer.status_code == 303
    assert {held(staff, each) for each in ("p1", "p2")} == {"2027-05-18"}
    page = text(client.get("/briefings"))
    assert "Briefed: 2 people." in page
    register = page.partition("Register of briefings")[2]
    assert "18.11.2026 10:00 Safety briefing: cnc 18.05.2027 Жұмабаев Қанат" in register
    assert "Ахметова Айгерім , Иванов Пётр 2 people" in register


def batches(staff: Staff) -> list[int]:
    """How many people each briefing was entered for, in order."""
    found = Counter(each["batch"] for each in entries(staff) if each["batch"])
    return list(found.values())


def test_a_form_that_is_sent_twice_is_one_briefing_and_the_next_day_it_is_another(
    staff: Staff, client: FlaskClient
) -> None:
    fields = {"briefing": "briefing:cnc", "until": "2027-05-31", "person": [staff.ref("p1"), staff.ref("p2")]}
    for _ in range(2):
        answer = send(client, "/briefings/hold", "/briefings/hold", **fields)
        assert answer.status_code == 303
    assert batches(staff) == [2]
    send(client, "/briefings/hold", "/briefings/hold", **{**fields, "person": [staff.ref("p1")]})
    assert batches(staff) == [2, 1]
    staff.clock.move(24 * 3_600_000)
    client = staff.client()
    send(client, "/briefings/hold", "/briefings/hold", **fields)
    assert batches(staff) == [2, 1, 2]


def test_an_empty_date_is_for_ever_and_a_passed_one_is_refused_with_the_ticks_kept(
    staff: Staff, client: FlaskClient
) -> None:
    person = staff.ref("p1")
    fields = {"briefing": "briefing:cnc", "group": "ТМ-21", "person": [person]}
    refused = send(client, "/briefings/hold", "/briefings/hold", until="2026-11-17", **fields)
    assert "That day has passed." in text(refused)
    assert f'value="{person}" checked' in refused.text
    assert 'value="2026-11-17"' in refused.text
    assert held(staff, "p1") is None
    send(client, "/briefings/hold", "/briefings/hold", until="", **fields)
    assert "briefing:cnc" in staff.desk.core.state.people[person].qualifications


def test_nobody_ticked_is_said_and_nothing_is_entered(staff: Staff, client: FlaskClient) -> None:
    before = len(entries(staff))
    answer = send(client, "/briefings/hold", "/briefings/hold", briefing="briefing:cnc", until="2027-05-18")
    assert "Nobody is on the list." in text(answer)
    assert len(entries(staff)) == before


def test_one_unknown_person_and_nobody_is_entered(staff: Staff, client: FlaskClient) -> None:
    before = len(entries(staff))
    people = [staff.ref("p1"), "nobody"]
    answer = send(client, "/briefings/hold", "/briefings/hold", briefing="briefing:cnc", until="", person=people)
    assert "That person is not on the list any more." in text(answer)
    assert len(entries(staff)) == before


def test_nobody_briefs_themselves(staff: Staff, client: FlaskClient) -> None:
    answer = send(
        client, "/briefings/hold", "/briefings/hold", briefing="briefing:cnc", until="", person=[staff.ref("i1")]
    )
    assert "Nobody decides on what is their own." in text(answer)


@pytest.mark.parametrize(("name", "status"), [("lead", 200), ("admin", 403), ("auditor", 403)])
def test_instructors_and_leads_hold_briefings_everybody_reads_the_register(
    staff: Staff, name: str, status: int
) -> None:
    client = staff.client(name)
    page = client.get("/briefings")
    assert page.status_code == 200
    assert ("Hold a briefing" in text(page)) is (status == 200)
    assert client.get("/briefings/hold").status_code == status
    if status == 403:
        answer = send(client, "/briefings/hold", "/briefings", briefing="briefing:cnc", person=[staff.ref("p1")])
        assert answer.status_code in (400, 403)


def test_the_group_taps_and_is_entered_from_the_page(staff: Staff, client: FlaskClient) -> None:
    fields = {"briefing": "briefing:cnc", "until": "2027-05-18", "reader": "mill-1"}
    answer = send(client, "/briefings/hold/roll", "/briefings/hold", **fields)
    where = answer.headers["Location"]
    assert "Nobody has tapped yet." in text(client.get(where))
    staff.tap("mill-1", AIGERIM.badges[0])
    staff.tap("mill-1", "FFFFFFFFFF")
    page = text(client.get(where))
    assert "Present: 1" in page
    assert "Unknown card" in page
    assert "Ахметова Айгерім" in page
    staff.tap("mill-1", MASTER.badges[0])
    assert not staff.desk.core.state.sessions
    send(client, "/briefings/hold", where, **fields, person=[staff.ref("p1")])
    assert held(staff, "p1") == "2027-05-18"
    staff.clock.move(10_000)
    assert staff.roll_calls.holder("mill-1") is None


def test_the_list_alone_can_be_asked_for_and_says_when_nothing_is_new(staff: Staff, client: FlaskClient) -> None:
    fields = {"briefing": "briefing:cnc", "until": "", "reader": "mill-1"}
    send(client, "/briefings/hold/roll", "/briefings/hold", **fields)
    ask = "/briefings/hold/roll/present?briefing=briefing:cnc&until=&reader=mill-1&seen="
    assert client.get(ask + "0").status_code == 204
    staff.tap("mill-1", AIGERIM.badges[0])
    assert "Ахметова" in client.get(ask + "0").text
    send(client, "/briefings/hold/roll/leave-out", "/briefings/hold", **fields, left=staff.ref("p1"))
    assert "Ахметова" not in client.get(ask + "1").text
    send(client, "/briefings/hold/roll/stop", "/briefings/hold", **fields)
    assert client.get(ask + "2").status_code == 410


def test_a_list_that_nobody_looks_at_ends_and_taps_are_work_again(staff: Staff, client: FlaskClient) -> None:
    fields = {"briefing": "briefing:cnc", "until": "", "reader": "lathe-1"}
    where = send(client, "/briefings/hold/roll", "/briefings/hold", **fields).headers["Location"]
    staff.seconds += SHOWN_S
    staff.tap("lathe-1", AIGERIM.badges[0])
    assert len(staff.desk.core.state.sessions) == 1
    answer = client.get(where, follow_redirects=True)
    assert "The list at the reader has ended." in text(answer)


def test_two_instructors_do_not_hold_one_at_the_same_reader(staff: Staff, client: FlaskClient) -> None:
    fields = {"briefing": "briefing:cnc", "until": "", "reader": "mill-1"}
    send(client, "/briefings/hold/roll", "/briefings/hold", **fields)
    other = staff.client("lead")
    answer = send(other, "/briefings/hold/roll", "/briefings/hold", **fields)
    assert "Somebody is holding a briefing at that reader." in text(other.get(answer.headers["Location"]))
    assert other.get("/briefings/hold/roll/present?reader=mill-1").status_code == 410


def test_the_workshops_screen_says_that_taps_start_no_work_meanwhile(staff: Staff) -> None:
    services = staff.app.extensions["sheber"]["services"]
    board: BoardView = create_kiosk_app(services).extensions["sheber"]["board"]
    assert "Briefing" not in board.status_payload()["marks"]
    staff.roll_calls.begin("mill-1", staff.ref("i1"), far=True)
    staff.tap("mill-1", AIGERIM.badges[0])
    assert "Briefing, no work (1): Mill" in board.status_payload()["marks"]
    with closing(open_reader(staff.database)) as connection:
        assert "no work starts" in board.payload(Reading(connection, staff.lab))["html"].replace(
            words("kk").gettext("Briefing: no work starts"), "no work starts"
        )
    staff.roll_calls.end("mill-1")
    staff.roll_calls.begin("mill-1", staff.ref("i1"))
    assert "Briefing" not in board.status_payload()["marks"]


@pytest.mark.parametrize("query", ["month=2026-13", "month=9999-99", "month=x", "page=0", "page=99999999", "group=%00"])
def test_an_odd_address_shows_a_page(client: FlaskClient, query: str) -> None:
    assert client.get(f"/briefings?{query}").status_code == 200


def test_the_register_goes_back_month_by_month(staff: Staff, client: FlaskClient) -> None:
    until = (TODAY + timedelta(days=365)).isoformat()
    staff.submit(HoldBriefing("briefing:cnc", (staff.ref("p1"),), until, staff.by()))
    staff.clock.move(40 * 86_400_000)
    page = client.get("/briefings")
    assert "Register of briefings: December 2026 0" in text(page)
    assert "month=2026-11" in page.text
    older = text(client.get("/briefings?month=2026-11"))
    assert "Ахметова Айгерім 1 person" in older.partition("Register")[2]


def test_what_a_list_gave_is_told_apart_from_what_was_held(client: FlaskClient) -> None:
    register = text(client.get("/briefings")).partition("Register")[2]
    assert "entered from a list" in register


def test_an_instructors_two_minutes_before_the_first_lesson(staff: Staff, client: FlaskClient) -> None:
    """The list says who needs one; the group taps, one of them by mistake; the register has it; nobody is due."""
    assert "Who needs one 3" in text(client.get("/briefings"))
    fields = {"briefing": "briefing:cnc", "until": "2027-11-18", "reader": "mill-1"}
    where = send(client, "/briefings/hold/roll", "/briefings/hold", **fields).headers["Location"]
    for row in ROWS[:3]:
        staff.tap("mill-1", row.badges[0])
    send(client, "/briefings/hold/roll/leave-out", where, **fields, left=staff.ref("p9"))
    present = [staff.ref(each) for each in ("p1", "p2") if staff.ref(each) in client.get(where).text]
    send(client, "/briefings/hold", where, **fields, person=present)
    page = text(client.get("/briefings"))
    assert "Who needs one 1" in page
    assert "2 people" in page.partition("Register")[2]
    staff.clock.move(60_000)
    staff.tap("mill-1", AIGERIM.badges[0])
    assert [each.person_ref for each in staff.desk.core.state.sessions.values()] == []  # the mill's other demand stands
