"""Before somebody changes another's account they prove who they are, where they did not just now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from web_fixtures import HASH, NOON, PASSWORD, World, a_world, ref
from werkzeug.test import TestResponse

from kiosk.commands import AddUser, ErasePerson, SaveUser, SetPassword, SetPin
from kiosk.store import people
from kiosk.store.people import User
from kiosk.store.schema import write
from kiosk.web.accounts import FREE_TRIES, PROVED_S
from kiosk.web.apps import create_staff_app
from tests.test_web_staff import Hand, sign_in, token

ASKED = "Is it still you?"
ENGLISH = {"Accept-Language": "en"}
ACCOUNT = f"/settings/accounts/{ref('lead')}"
PERSON = f"/people/{ref('p1')}"
CHANGES = [
    ("/settings/accounts", {"name": "b.new", "role": "auditor", "until": "", "person": ""}, AddUser),
    (ACCOUNT, {"role": "admin", "until": "", "person": ""}, SaveUser),
    (f"{ACCOUNT}/password", {}, SetPassword),
    (f"{ACCOUNT}/pin", {}, SetPin),
    (f"{PERSON}/erase", {"person_id": "p1"}, ErasePerson),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        admin = User(ref("admin"), "admin", "admin", HASH, None, None, NOON, True)
        with write(made.connection):
            people.add_user(made.connection, admin)
        yield made


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def client(world: World, hand: Hand) -> FlaskClient:
    made = create_staff_app(world.services(), hand).test_client()
    assert sign_in(made, "admin").status_code == 302
    return made


def send(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    form = {"csrf_token": token(client.get("/settings")), **fields}
    return client.post(path, data=form, headers=ENGLISH)


def form_of(page: TestResponse) -> tuple[str, dict[str, str]]:
    """Where the page's form goes, and what it holds: what a browser without JavaScript sends."""
    found = re.search(r'<form class="stack" method="post" action="([^"]+)">(.*?)</form>', page.text, re.DOTALL)
    assert found is not None
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[2])
    return unescape(found[1]), {name: unescape(value) for name, value in fields}


@pytest.mark.parametrize(("path", "fields", "command"), CHANGES)
def test_just_after_the_sign_in_nobody_is_asked(
    client: FlaskClient, world: World, path: str, fields: dict[str, str], command: type
) -> None:
    assert ASKED not in send(client, path, **fields).text
    assert [type(each) for each in world.commands] == [command]


@pytest.mark.parametrize(("path", "fields", "command"), CHANGES)
def test_ten_minutes_later_the_own_password_is_asked_for_and_the_form_goes_on_with_it(
    client: FlaskClient, world: World, hand: Hand, path: str, fields: dict[str, str], command: type
) -> None:
    hand.now += PROVED_S
    page = send(client, path, **fields)
    assert (page.status_code, ASKED in page.text, world.commands) == (401, True, [])
    action, kept = form_of(page)
    assert action == path
    assert fields.items() <= kept.items()
    answer = client.post(action, data={**kept, "own_password": PASSWORD}, headers=ENGLISH)
    assert answer.status_code in {200, 302, 303}
    assert [type(each) for each in world.commands] == [command]


def test_who_proved_it_is_not_asked_again_for_ten_minutes(client: FlaskClient, world: World, hand: Hand) -> None:
    hand.now += PROVED_S
    send(client, f"{ACCOUNT}/pin", own_password=PASSWORD)
    hand.now += PROVED_S - 1
    send(client, f"{ACCOUNT}/pin")
    assert len(world.commands) == 2
    hand.now += 1
    assert ASKED in send(client, f"{ACCOUNT}/pin").text


def test_a_wrong_password_changes_nothing_is_noted_and_soon_waits(
    client: FlaskClient, world: World, hand: Hand
) -> None:
    hand.now += PROVED_S
    before = len(world.noted)
    for _ in range(FREE_TRIES):
        answer = send(client, f"{ACCOUNT}/pin", own_password="wrong")
        assert (answer.status_code, "The present password is not right." in answer.text) == (400, True)
    assert "Too many tries." in send(client, f"{ACCOUNT}/pin", own_password=PASSWORD).text
    assert world.commands == []
    assert [each.kind for each in world.noted[before:]] == ["sign_in_failed"] * FREE_TRIES


def test_the_password_is_not_in_the_page_that_asks_for_it_again(client: FlaskClient, hand: Hand) -> None:
    hand.now += PROVED_S
    page = send(client, f"{ACCOUNT}/pin", own_password="guess-number-7")
    assert "guess-number-7" not in page.text


def test_a_backup_is_fetched_after_the_password_only(client: FlaskClient, world: World, hand: Hand) -> None:
    folder = world.database.parent / "backups"
    folder.mkdir()
    (folder / "kiosk-2026-10-29-120000.db").write_bytes(b"copy")
    path = "/settings/backups/kiosk-2026-10-29-120000.db"
    hand.now += PROVED_S
    page = client.get(path, headers=ENGLISH)
    assert (page.status_code, ASKED in page.text) == (401, True)
    action, kept = form_of(page)
    answer = client.post(action, data={**kept, "own_password": PASSWORD})
    assert answer.headers["Location"] == path
    with client.get(path) as file:
        assert file.data == b"copy"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
def test_a_confirmation_leads_nowhere_else(client: FlaskClient, target: str) -> None:
    assert send(client, "/password/confirm", own_password=PASSWORD, next=target).headers["Location"] == "/"


def test_what_a_role_may_not_is_refused_before_any_question(client: FlaskClient, hand: Hand) -> None:
    other = client.application.test_client()
    sign_in(other, "lead")
    hand.now += PROVED_S
    assert send(other, f"{ACCOUNT}/pin", own_password=PASSWORD).status_code == 403


def test_what_is_ones_own_and_what_undoes_harm_is_not_asked_about(client: FlaskClient, hand: Hand) -> None:
    hand.now += PROVED_S
    assert ASKED not in send(client, f"{ACCOUNT}/devices").text
    assert ASKED not in client.get("/settings/accounts", headers=ENGLISH).text


@pytest.mark.parametrize(("language", "words"), [("kk", "Бұл әлі сізсіз бе?"), ("ru", "Это всё ещё вы?")])
def test_the_question_is_asked_in_the_language_of_the_page(
    client: FlaskClient, hand: Hand, language: str, words: str
) -> None:
    hand.now += PROVED_S
    client.get(f"/language/{language}")
    assert words in send(client, f"{ACCOUNT}/pin").text
