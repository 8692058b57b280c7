"""A second screen is let in once by a code; the kiosk itself needs none, and nobody else gets anything."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from test_web_staff import Hand, post, sign_in
from web_fixtures import World, a_world
from werkzeug.test import TestResponse

from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.web.feed import Feed
from kiosk.web.pairings import (
    CODE_S,
    MAX_WAITING,
    MAX_WAITING_OF_A_SOURCE,
    SCREEN_COOKIE,
    Pairings,
    is_at_the_kiosk,
    pass_for,
    screen_of_pass,
    screen_of_request,
)
from kiosk.web.services import Services

TABLET = "192.168.10.7"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def services(world: World) -> Services:
    return world.services()


@pytest.fixture
def kiosk(services: Services) -> Flask:
    return create_kiosk_app(services)


def a_device(kiosk: Flask, address: str = TABLET) -> FlaskClient:
    client = kiosk.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return client


def digits(page: TestResponse) -> str:
    found = re.search(r'class="digits"[^>]*>(\d{3}) (\d{3})<', page.text)
    assert found is not None
    return found.group(1) + found.group(2)


def test_the_kiosk_itself_needs_no_code(kiosk: Flask) -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert 'id="board"' in a_device(kiosk, address).get("/").text


def test_another_device_sees_six_digits_in_every_language_and_nothing_of_the_workshop(kiosk: Flask) -> None:
    page = a_device(kiosk).get("/")
    assert len(digits(page)) == 6
    for words in ("Бұл экран әлі қосылмаған", "Этот экран ещё не подключён", "This screen is not paired yet"):
        assert words in page.text
    assert "mill-1" not in page.text


@pytest.mark.parametrize("path", ["/health", "/metrics", "/visit/x/me", "/nowhere"])
def test_another_device_gets_nothing_else(kiosk: Flask, path: str) -> None:
    assert a_device(kiosk).get(path).status_code == 403


def test_an_instructor_lets_a_screen_in_and_it_stays_in_after_a_restart(world: World, services: Services) -> None:
    device = a_device(create_kiosk_app(services))
    code = digits(device.get("/"))
    staff = create_staff_app(services).test_client()
    sign_in(staff)
    assert "The screen is paired." in post(staff, "/screens", code=f"{code[:3]} {code[3:]}", screen="hall").text
    answer = device.get("/", follow_redirects=True)
    assert answer.request.full_path == "/?screen=hall"
    assert 'data-screen="hall"' in answer.text
    cookie = device.get_cookie(SCREEN_COOKIE)
    assert cookie is not None
    later = a_device(create_kiosk_app(world.services()))
    later.set_cookie(SCREEN_COOKIE, cookie.value)
    assert 'id="board"' in later.get("/?screen=hall").text


def test_a_paired_screen_sees_no_figures_of_the_kiosk(kiosk: Flask, services: Services) -> None:
    device = a_device(kiosk)
    device.set_cookie(SCREEN_COOKIE, pass_for(services.secret_key, "hall"))
    assert device.get("/health").status_code == 403
    assert device.get("/metrics").status_code == 403


def test_a_paired_screen_is_the_one_it_was_paired_as(kiosk: Flask, services: Services) -> None:
    device = a_device(kiosk)
    device.set_cookie(SCREEN_COOKIE, pass_for(services.secret_key, "hall"))
    assert device.get("/?screen=door").headers["Location"] == "/?screen=hall"
    cookies = f"{SCREEN_COOKIE}={pass_for(services.secret_key, 'hall')}"
    assert screen_of_request(services.secret_key, TABLET, cookies, "door") == "hall"


def test_the_live_stream_asks_for_the_same_pass(services: Services) -> None:
    feed = Feed(services)
    assert feed.screen_of("127.0.0.1", "", "door") == "door"
    assert feed.screen_of(TABLET, "", "door") is None
    assert feed.screen_of(TABLET, f"{SCREEN_COOKIE}=made.up", "door") is None
    assert feed.screen_of(TABLET, "\x00=;;=", "door") is None
    assert feed.screen_of(TABLET, f"{SCREEN_COOKIE}={pass_for(services.secret_key, '')}", "door") == ""


def test_a_pass_of_another_kiosk_is_none(services: Services) -> None:
    assert screen_of_pass(services.secret_key, pass_for(b"another", "hall")) is None


def test_an_auditor_lets_nobody_in(services: Services) -> None:
    staff = create_staff_app(services).test_client()
    sign_in(staff, "auditor")
    assert staff.get("/screens").status_code == 403


def test_guessing_codes_slows_down(services: Services) -> None:
    staff = create_staff_app(services).test_client()
    sign_in(staff)
    pages = [post(staff, "/screens", code="000000", screen="").text for _ in range(7)]
    assert "No screen shows this code now" in pages[0]
    assert "Too many tries" in pages[-1]


def test_a_code_is_over_after_five_minutes() -> None:
    clock = Hand()
    pairings = Pairings(clock)
    asked = pairings.ask(None, TABLET)
    assert asked is not None
    clock.now += CODE_S
    assert not pairings.confirm(asked[1])
    assert pairings.claim(asked[0]) is None


def test_a_code_lets_in_the_one_screen_that_shows_it_and_once() -> None:
    pairings = Pairings()
    here, there = pairings.ask(None, TABLET), pairings.ask(None, "192.168.10.8")
    assert here is not None
    assert there is not None
    assert pairings.confirm(here[1], "hall")
    assert not pairings.confirm(here[1], "door")
    assert pairings.claim(there[0]) is None
    assert pairings.claim(here[0]) == "hall"
    assert pairings.claim(here[0]) is None


def test_a_screen_that_asks_again_shows_the_same_code() -> None:
    pairings = Pairings()
    first = pairings.ask(None, TABLET)
    assert first is not None
    assert pairings.ask(first[0], TABLET) == first


def test_two_screens_never_show_the_same_code() -> None:
    codes = itertools.chain(["111111", "111111", "222222"], itertools.repeat("333333"))
    pairings = Pairings(code=lambda: next(codes))
    shown = [pairings.ask(None, f"192.168.10.{each}") for each in range(2)]
    assert [each[1] for each in shown if each] == ["111111", "222222"]


def test_a_device_that_asks_on_and_on_takes_nobody_elses_place() -> None:
    pairings = Pairings()
    asked = [pairings.ask(None, TABLET) for _ in range(MAX_WAITING * 2)]
    assert sum(each is not None for each in asked) == MAX_WAITING_OF_A_SOURCE
    assert pairings.ask(None, "192.168.10.8") is not None


def test_only_this_computer_is_the_kiosk() -> None:
    assert not any(map(is_at_the_kiosk, ("192.168.0.2", "10.0.0.1", "::ffff:10.0.0.1", "", "localhost.evil")))
