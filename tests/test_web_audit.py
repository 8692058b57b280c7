"""Who did what: every kind in words, pages of fifty, days of the lab, and nobody who was erased."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from web_fixtures import MINUTE, NOON, World, a_world, ref

from kiosk.store import acts, people
from kiosk.store.acts import KINDS, Act
from kiosk.store.schema import write
from kiosk.web import act_words
from kiosk.web.act_words import ActWords
from kiosk.web.apps import create_staff_app
from kiosk.words import words
from lab_config.model import LANGUAGES
from tests.test_web_staff import sign_in

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    client = create_staff_app(world.services()).test_client()
    sign_in(client, "lead")
    return client


def note(world: World, number: int, kind: str = "imported", **more: str) -> None:
    """One act, a minute after the one before."""
    with write(world.connection):
        acts.note(world.connection, NOON + number * MINUTE, kind, ref("lead"), f"list {number}", **more)


def subjects(page: str) -> list[int]:
    return [int(each) for each in re.findall(r"list (\d+)", page)]


def test_fifty_stand_on_a_page_and_the_older_ones_follow_without_a_gap(client: FlaskClient, world: World) -> None:
    for number in range(120):
        note(world, number)
    found, address = [], "/audit?kind=imported"
    while address:
        page = client.get(address, headers=ENGLISH).text
        assert len(subjects(page)) <= 50
        found += subjects(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert found == list(range(119, -1, -1))


def test_a_period_takes_both_its_days_whole_by_the_labs_clock(client: FlaskClient, world: World) -> None:
    noon = 1000
    for number in (noon - 721, noon - 720, noon, noon + 719, noon + 720):
        note(world, number)
    with write(world.connection):
        world.connection.execute("UPDATE acts SET at_ms = at_ms - ? WHERE kind = 'imported'", (noon * MINUTE,))
    page = client.get("/audit?first=2026-10-29&last=2026-10-29", headers=ENGLISH).text
    assert subjects(page) == [noon + 719, noon, noon - 720]


def test_an_erased_person_is_a_dash_without_a_way_to_them(client: FlaskClient, world: World) -> None:
    note(world, 1, person_ref=ref("p1"))
    note(world, 2, person_ref=ref("p3"))
    page = client.get("/audit", headers=ENGLISH).text
    assert "Сериков Әлихан" in page
    assert "O&#39;Brien&lt;script&gt; Seán" in page
    with write(world.connection):
        people.erase_person(world.connection, ref("p1"))
    page = client.get("/audit", headers=ENGLISH).text
    assert "Сериков" not in page
    assert f"/people/{ref('p1')}" not in page
    assert '<td data-label="Person"><bdi>—</bdi>' in page


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=1-",
        f"before={'9' * 40}-1",
        f"before={'9' * 19}-{'9' * 19}",
        "who=%3Cscript%3E",
        "kind=nothing",
        "person=%00",
        "first=soon&last=9999-12-31",
    ],
)
def test_a_strange_address_is_no_fault(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/audit?{query}", headers=ENGLISH)
    assert answer.status_code == 200
    assert "<script>" not in answer.text.replace("<script src", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_act_has_its_words(world: World, language: str) -> None:
    assert set(act_words.KINDS) == set(KINDS)
    said = ActWords(world.lab, words(language), {}.get)
    for kind in KINDS:
        for subject in (
            "",
            "approved",
            "CNC-a:2",
            "briefing:cnc:2027-01-31",
            "ent:2026-09-01:2027-08-31",
            "locked",
            ":::",
        ):
            act = Act(1, None, NOON, kind, None, None, None, "mill-1", subject)
            assert said.kind(act)
            assert isinstance(said.what(act), str)


@pytest.mark.parametrize(
    ("kind", "subject", "what"),
    [
        ("session_reviewed", "rejected", "rejected"),
        ("qualification_granted", "briefing:cnc:2027-01-31", "briefing:cnc, until 31.01.2027"),
        ("consent_given", "ent-steel:", "ent-steel"),
        ("contract_recorded", "ent-steel:2026-09-01:2027-08-31", "ent-steel, until 31.08.2027"),
        ("machine_locked", "given_back", "given back"),
        ("account_added", "0123", "0123"),
    ],
)
def test_what_was_done_is_told_in_words(world: World, kind: str, subject: str, what: str) -> None:
    act = Act(1, None, NOON, kind, None, None, None, None, subject)
    assert ActWords(world.lab, words("en"), {}.get).what(act) == what
