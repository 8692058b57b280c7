"""The kiosk listener's pages without a browser: the screen, the demo's tap, health and metrics."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from web_fixtures import MINUTE, NOON, World, a_busy_morning, a_world

from kiosk.web.apps import create_kiosk_app
from kiosk.web.board import static_folder
from kiosk.web.services import KioskStatus, ReaderStatus


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_kiosk_app(world.services()).test_client()


def test_the_screen_names_every_machine_in_the_labs_languages(client: FlaskClient, world: World) -> None:
    page = client.get("/").text
    for machine in world.lab.machines:
        for name in machine.name.by_language.values():
            assert name.replace("'", "&#39;") in page


def test_the_screen_invites_in_every_language(client: FlaskClient) -> None:
    page = client.get("/").text
    for words in ("Картаны жақындатыңыз", "Приложите карту", "Tap your card"):
        assert words in page


def test_a_state_is_said_by_colour_icon_and_word(client: FlaskClient, world: World) -> None:
    world.state("mill-1", "fault")
    page = client.get("/").text
    assert 'class="state is-fault"><svg class="icon icon-fault"' in page
    for words in ("ақау", "неисправность", "fault"):
        assert f">{words}</span>" in page


def test_who_is_on_is_shown_short_with_the_running_time(client: FlaskClient, world: World) -> None:
    world.tap_in("p1", "mill-1", world.now_ms - 83 * MINUTE)
    page = client.get("/").text
    assert '<bdi class="who">Сериков Ә.</bdi>' in page
    assert ">1:23</time>" in page
    assert "Әлихан" not in page


def test_the_last_line_says_what_just_happened(client: FlaskClient, world: World) -> None:
    world.worked("p2", "lathe-1", NOON, NOON + 12 * MINUTE)
    page = client.get("/").text
    assert "<time>12:12</time> <b><bdi>Ким В.</bdi></b> · <b>СББ токарь станогы</b> · жұмыс аяқталды" in page


def test_a_dead_reader_marks_its_machine_and_a_dead_broker_the_screen(client: FlaskClient, world: World) -> None:
    world.status = KioskStatus(recording=True, broker=False, readers={"mill-1": ReaderStatus(False, "unplugged")})
    page = client.get("/").text
    assert page.count("Оқу құрылғысы істемейді") == 1
    assert "Нет связи со станками" in page


def test_what_is_not_recorded_is_said_on_the_first_page_too(client: FlaskClient, world: World) -> None:
    assert 'id="alarm" hidden' in client.get("/").text
    world.status = KioskStatus(recording=False, reason="The disk is full.")
    page = client.get("/").text
    assert 'id="alarm" role="alert"' in page
    assert "The disk is full." in page


def test_a_demo_says_so_in_every_language(tmp_path: Path) -> None:
    with a_world(tmp_path, demo=True) as world:
        page = create_kiosk_app(world.services()).test_client().get("/").text
        for words in ("ойдан шығарылған", "всё здесь вымышлено", "everything here is invented"):
            assert words in page


def test_the_screen_has_no_inline_script_or_style(client: FlaskClient, world: World) -> None:
    a_busy_morning(world)
    page = client.get("/").text
    assert " style=" not in page
    assert "<style" not in page
    assert " onclick=" not in page
    assert page.count("<script") == page.count("<script src=")


# --- the demo's tap --------------------------------------------------------------------------------------------------


def test_a_kiosk_that_is_no_demo_knows_no_virtual_tap(client: FlaskClient) -> None:
    assert client.post("/demo/tap", json={"reader": "mill-1", "badge": "67003B51C6"}).status_code == 404


def test_a_virtual_tap_reaches_the_reader(world: World) -> None:
    client = create_kiosk_app(world.services(demo=True)).test_client()
    assert client.post("/demo/tap", json={"reader": "mill-1", "badge": "67003B51C6"}).status_code == 204
    assert world.taps == [("mill-1", "67003B51C6")]


@pytest.mark.parametrize("body", [{"reader": "nowhere", "badge": "1"}, {"reader": 1, "badge": "1"}, {}, [], "x"])
def test_a_virtual_tap_that_cannot_be_is_refused_in_words(world: World, body: object) -> None:
    client = create_kiosk_app(world.services(demo=True)).test_client()
    answer = client.post("/demo/tap", json=body, headers={"Accept-Language": "en"})
    assert answer.status_code == 400
    assert "reader" in answer.text
    assert world.taps == []


def test_the_panel_offers_people_and_readers_only_in_the_demo(world: World, client: FlaskClient) -> None:
    assert 'id="panel"' not in client.get("/").text
    page = create_kiosk_app(world.services(demo=True)).test_client().get("/").text
    assert 'value="67003B51C6"' in page
    assert 'value="door"' in page


# --- health and metrics ----------------------------------------------------------------------------------------------


def test_health_is_good_while_taps_are_recorded(client: FlaskClient, world: World) -> None:
    world.released("ent-steel")
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["ok"] is True
    assert answer.json["seq"] == world.newest()
    assert answer.json["undelivered"] == 1
    assert answer.json["broker"] is True


def test_health_is_bad_while_they_are_not(client: FlaskClient, world: World) -> None:
    world.status = replace(world.status, recording=False, reason="disk full")
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reason"] == "disk full"


def test_health_answers_even_without_a_database(world: World) -> None:
    services = replace(world.services(), database=world.folder / "gone.db")
    answer = create_kiosk_app(services).test_client().get("/health")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["ok"] is False


def test_metrics_are_prometheus_text_without_anything_personal(client: FlaskClient, world: World) -> None:
    world.tap_in("p1", "mill-1")
    readers = {'odd"name': ReaderStatus(False, "unplugged"), "mill-1": ReaderStatus(True)}
    counters = {"taps_total": 7}
    world.status = replace(world.status, readers=readers, counters=counters, machines_heard={"mill-1": 5, "x": None})
    text = client.get("/metrics").text
    assert "sheber_recording 1\n" in text
    assert f"sheber_ledger_entries {world.newest() + 1}\n" in text
    assert 'sheber_reader_connected{reader="odd\\"name"} 0\n' in text
    assert 'sheber_machine_heard_ms{machine="mill-1"} 5\n' in text
    assert "sheber_taps_total 7\n" in text
    assert "Сериков" not in text


def test_errors_are_plain_pages_here_too(client: FlaskClient) -> None:
    answer = client.get("/nowhere", headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert client.post("/", headers={"Accept-Language": "en"}).status_code == 405


def test_a_broken_database_is_a_plain_page(client: FlaskClient, world: World) -> None:
    world.connection.execute("DROP TABLE machines")
    with pytest.raises(sqlite3.OperationalError):
        world.connection.execute("SELECT * FROM machines")
    answer = client.get("/", headers={"Accept-Language": "en"})
    assert answer.status_code == 500
    assert "Traceback" not in answer.text


def test_the_static_files_are_where_the_pages_look(client: FlaskClient) -> None:
    assert (static_folder() / "css" / "tokens.css").is_file()
    for path in ("css/tokens.css", "css/kiosk.css", "css/staff.css", "js/kiosk.js", "js/demo.js", "icons/sheber.svg"):
        with client.get(f"/static/{path}") as answer:
            assert answer.status_code == 200
