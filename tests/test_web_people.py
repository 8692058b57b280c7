"""The roster and a person's page: what staff see there, and who sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from people_fixtures import a_college, change, one, page, send
from test_web_staff import sign_in
from web_fixtures import HOUR, MINUTE, NOON, World, a_review_day, ref
from werkzeug.test import TestResponse

from kiosk.commands import PersonRow
from kiosk.reports.person import make_record
from kiosk.store import learners, people
from kiosk.store.schema import write
from kiosk.web.apps import create_staff_app
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.jobs import FOLDER, QueueFull
from kiosk.web.people_frame import age_on


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_college(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


def names(answer: TestResponse) -> list[str]:
    return re.findall(r'<td class="person"><a href="[^"]+"><bdi>([^<]+)</bdi>', answer.text)


# --- the roster ------------------------------------------------------------------------------------------------------


def test_the_roster_stands_by_group_and_in_kazakh_order(client: FlaskClient, world: World) -> None:
    for person, group in (("p1", "Ә-1"), ("p4", "Б-1"), ("p5", "Ә-1"), ("p2", "А-1")):
        change(world, person, grp=group)
    sign_in(client)
    shown = page(client).text
    assert re.findall(r'<h2 id="group-\d+">(?:<bdi>)?([^<]+)', shown) == ["А-1", "Ә-1", "Б-1", "Without a group "]


def test_a_name_is_found_whatever_the_keyboard_and_stands_in_no_address(client: FlaskClient) -> None:
    sign_in(client)
    answer = send(client, "/people/find", follow=False, query="алихан")
    assert names(answer) == ["Сериков Әлихан Маратұлы"]
    assert "лихан" not in re.sub(r"<bdi>.*?</bdi>|value=\"[^\"]*\"|<title.*?</title>", "", answer.text)


def test_an_empty_search_is_the_plain_list_with_its_filters(client: FlaskClient) -> None:
    sign_in(client)
    answer = send(client, "/people/find", follow=False, query=" ", role="instructor")
    assert answer.headers["Location"] == "/people?role=instructor"
    assert names(page(client, "/people?role=instructor")) == ["Ахметов Бауыржан Сапарұлы"]


def test_who_is_off_the_list_is_shown_only_on_request(client: FlaskClient, world: World) -> None:
    change(world, "p2", active=0)
    sign_in(client)
    assert "Ким Виктория" not in names(page(client))
    assert names(page(client, "/people?active=no")) == ["Ким Виктория"]
    assert "Ким Виктория" in names(page(client, "/people?active=all"))


def test_fifty_stand_on_a_page(client: FlaskClient, world: World) -> None:
    with write(world.connection):
        for number in range(60):
            row = PersonRow(f"n{number}", "apprentice", f"Жаңа{number:02}", "А", group="Я-9")
            people.insert_person(world.connection, ref(f"n{number}"), row)
    sign_in(client)
    first, second = page(client, "/people?group=Я-9"), page(client, "/people?group=Я-9&page=2")
    assert (len(names(first)), len(names(second))) == (50, 10)
    assert "Page 1 of 2" in first.text
    found = send(client, "/people/find", query="жаңа", page="2")
    assert len(names(found)) == 10


@pytest.mark.parametrize("asked", ["0", "-1", "x", "99999999999999999999", "²"])
def test_a_page_that_is_not_there_is_one_that_is(client: FlaskClient, asked: str) -> None:
    sign_in(client)
    assert page(client, f"/people?page={asked}").status_code == 200


def test_the_roster_says_hours_age_questions_and_what_ends(client: FlaskClient, world: World) -> None:
    session = world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    change(world, "p1", birth_date="2010-05-21")
    with write(world.connection):
        record = learners.PersonRecord(
            ref("p1"),
            (("briefing:cnc", "2026-11-04"), ("briefing:welding", "2026-10-01")),
            (),
            (learners.QuestionRow(9000, session, ref("p1"), NOON, None),),
        )
        learners.put_person(world.connection, record)
    sign_in(client)
    shown = page(client).text
    row = shown[shown.index("Сериков") :].split("</tr>")[0]
    assert "under 18: 16" in row
    assert "1 question open" in row
    assert "Safety briefing: cnc: <b>6 days left</b>" in row
    assert "Safety briefing: welding: <b>ended on 01.10.2026</b>" in row
    assert "Waiting</b>" not in row
    assert "2:00 h" in row


# --- one person ------------------------------------------------------------------------------------------------------


def test_the_page_shows_each_process_against_the_plan_in_both_kinds_of_hours(client: FlaskClient, world: World) -> None:
    made = a_review_day(world)
    assert made
    sign_in(client)
    shown = page(client, one("p1")).text
    assert "Operating CNC mills and lathes" in shown
    assert "168:45 h" in shown
    assert "225,0 ac. h" in shown
    assert "At this pace" in shown or "There is no pace" in shown


def test_somebody_who_is_not_there_is_a_plain_404(client: FlaskClient) -> None:
    sign_in(client)
    assert page(client, "/people/0123456789abcdef").status_code == 404
    assert page(client, "/people/p1").status_code == 404


def test_an_erased_person_is_told_plainly_without_a_name(client: FlaskClient, world: World) -> None:
    world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    with write(world.connection):
        people.erase_person(world.connection, ref("p1"))
    sign_in(client)
    shown = page(client, one("p1"))
    assert shown.status_code == 200
    assert "This person was erased." in shown.text
    assert "2:00 h" in shown.text
    assert "Сериков" not in shown.text
    for path in ("/edit", "/record.pdf", "/sign/x", "/consent"):
        assert page(client, one("p1", path)).status_code in {404, 405}


def test_a_record_to_take_along_is_made_beside_the_kiosk_and_gone_once_it_is_sent(
    client: FlaskClient, world: World, tmp_path: Path
) -> None:
    world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    sign_in(client)
    made = page(client, one("p1", "/record.pdf"))
    assert (made.status_code, made.mimetype, made.data[:5]) == (200, "application/pdf", b"%PDF-")
    assert (tmp_path / FOLDER).is_dir()
    assert [*(tmp_path / FOLDER).iterdir()] == []
    jobs = jobs_of_app(client.application)
    assert jobs.of(ref("bauyrzhan")) == []
    with suppress(QueueFull):
        while True:
            jobs.start("x", "somebody", make_record, (), filename="x")
    shown = page(client, one("p1", "/record.pdf"))
    assert shown.mimetype == "text/html"
    assert "Too much is being made at the moment." in shown.text


def test_a_minor_is_told_with_the_limit_of_the_age(client: FlaskClient, world: World) -> None:
    change(world, "p1", birth_date="2011-10-30")
    session = world.worked("p1", "mill-1", NOON, NOON + HOUR, flags=("minor_limit",))
    sign_in(client)
    shown = page(client, one("p1")).text
    assert "14 years old: at most 24:00 h a week, and none from 22:00 to 06:00." in shown
    assert f'href="/review/{session}"' in shown


def test_sessions_are_turned_fifty_at_a_time(client: FlaskClient, world: World) -> None:
    for number in range(60):
        world.worked("p1", "mill-1", NOON + number * MINUTE, NOON + number * MINUTE + 30_000)
    sign_in(client)
    first = page(client, one("p1", "/sessions")).text
    older = re.search(r'href="([^"]+before=[^"]+)"', first)
    assert first.count('<td class="kept"><a href="/review/') == 50
    assert older is not None
    second = page(client, older[1]).text
    assert second.count('<td class="kept"><a href="/review/') == 10
    for odd in ("x", "1-", "-5", "9" * 40 + "-1"):
        assert page(client, one("p1", f"/sessions?before={odd}")).status_code == 200


@pytest.mark.parametrize(("name", "shown"), [("bauyrzhan", True), ("lead", True), ("admin", True), ("auditor", False)])
def test_card_numbers_are_for_those_who_give_cards(client: FlaskClient, name: str, shown: bool) -> None:
    sign_in(client, name)
    assert ("67003B51C6" in page(client, one("p1")).text) is shown


def test_an_auditor_sees_all_and_is_offered_no_change(client: FlaskClient, world: World) -> None:
    world.worked("p1", "mill-1", NOON, NOON + HOUR)
    sign_in(client, "auditor")
    shown = page(client, one("p1")).text
    assert re.findall(r'<form[^>]+action="([^"]+)"', shown) == ["/logout"]
    assert not re.search(r'href="[^"]*/(edit|merge|erase)"', shown)
    assert "/people/new" not in page(client).text
    for path in ("/edit", "/merge", "/erase"):
        assert page(client, one("p1", path)).status_code == 403
    assert send(client, one("p1", "/consent"), enterprise="x").status_code == 403
    assert send(client, "/people/find", query="Ким").status_code == 200


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("bauyrzhan", "/merge", 403),
        ("lead", "/merge", 200),
        ("admin", "/merge", 200),
        ("lead", "/erase", 403),
        ("admin", "/erase", 200),
        ("bauyrzhan", "/edit", 200),
        ("admin", "/edit", 200),
    ],
)
def test_joining_is_for_leads_and_erasing_for_administrators(
    client: FlaskClient, name: str, path: str, status: int
) -> None:
    sign_in(client, name)
    assert page(client, one("p1", path)).status_code == status


# --- small things ----------------------------------------------------------------------------------------------------


def test_an_age_is_whole_years() -> None:
    from datetime import date

    assert age_on(date(2026, 10, 29), "2008-10-29") == 18
    assert age_on(date(2026, 10, 28), "2008-10-29") == 17
    assert age_on(date(2027, 2, 28), "2008-02-29") == 18
    assert age_on(date(2026, 1, 1), None) is None


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("path", ["/people", one("p1"), one("p1", "/edit"), one("p1", "/merge"), one("p1", "/erase")])
def test_no_page_about_people_has_a_word_in_another_language(world: World, language: str, path: str) -> None:
    from test_web_words import messages, texts

    a_review_day(world)
    client = create_staff_app(world.services()).test_client()
    sign_in(client, "admin")
    client.get(f"/language/{language}")
    answer = client.get(path)
    assert answer.status_code == 200
    english = {each if isinstance(each, str) else each[0] for each in messages()}
    assert set(texts(answer.text)) & english - {"English"} == set()
