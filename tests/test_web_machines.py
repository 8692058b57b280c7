"""What an instructor sees of machines and readers: how they are, what is wrong, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from test_web_staff import sign_in
from web_fixtures import NOON, World, a_world

from firmware_bridge import ports
from firmware_bridge.line_watch import complaint
from firmware_bridge.simulator.misheard import misheard
from kiosk import phrases
from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.web.machines import lasts
from kiosk.web.services import KioskStatus, ReaderStatus, SourceStatus
from kiosk.words import words
from lab_config.model import LANGUAGES

DEAD = ReaderStatus(False, "/dev/lathe-1 is not there; plug the reader in", 12, {"checksum": 3, "framing": 0})
STATUS = KioskStatus(
    recording=True,
    broker=True,
    readers={"mill-1": ReaderStatus(True, "", 41), "lathe-1": DEAD, "door": ReaderStatus(True)},
    machines_heard={"mill-1": NOON, "lathe-1": None},
    sources={
        "mill-1": SourceStatus(10_000, {"reported": 200, "ignored": 4}),
        "lathe-1": SourceStatus(300_000, {"reported": 3, "unmapped": 2}, "WARM-UP <b>"),
    },
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        made.status = STATUS
        made.state("mill-1", "running")
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    client = create_staff_app(world.services()).test_client()
    sign_in(client, "auditor")
    return client


def part(client: FlaskClient, name: str, language: str = "en") -> str:
    """The text of one machine or reader on the page."""
    page = client.get("/machines", headers={"Accept-Language": language}, follow_redirects=True).text
    found = re.search(rf'<li class="[^"]*" id="{name}">(.*?)</li>', page, re.S)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found.group(1)).split())


def test_without_an_account_there_is_nothing_to_see(world: World) -> None:
    answer = create_staff_app(world.services()).test_client().get("/machines")
    assert answer.status_code == 302
    assert "/login" in answer.headers["Location"]


def test_a_machine_shows_its_state_its_source_and_when_it_was_heard(client: FlaskClient) -> None:
    told = part(client, "machine-mill-1")
    assert "running" in told
    assert "Source: text lab/mill-1" in told
    assert "Last heard: 12:00:00" in told
    assert "messages understood: 200" in told
    assert "too seldom" not in told


def test_a_source_that_speaks_more_seldom_than_its_limit_allows_is_warned_of(client: FlaskClient) -> None:
    told = part(client, "machine-lathe-1")
    assert "Longest usual silence: 5 min Counts as lost after: 2 min" in told
    assert "It repeats itself too seldom for this limit" in told


def test_the_last_value_that_nobody_explained_is_shown_as_text(client: FlaskClient) -> None:
    assert "does not explain: WARM-UP &lt;b&gt;" in part(client, "machine-lathe-1")


def test_a_machine_without_a_source_claims_nothing(client: FlaskClient) -> None:
    assert part(client, "machine-bench-1") == "Fitter&#39;s bench no sensor"


def test_a_dead_reader_says_what_to_do_and_what_it_rejected(client: FlaskClient) -> None:
    told = part(client, "reader-lathe-1")
    assert "not connected The port is not there. Plug the reader in." in told
    assert "Cards read: 12 wrong checksum: 3" in told
    assert "cut off" not in told


def test_a_dead_reader_stands_on_top_of_the_instructors_list(client: FlaskClient) -> None:
    page = client.get("/review/", headers={"Accept-Language": "ru"}).text
    head = page.partition('id="exceptions"')[0]
    assert "Токарный станок с ЧПУ · lathe-1" in head
    assert "Порта нет. Подключите считыватель." in head


def test_the_list_is_silent_about_readers_while_all_are_well(world: World, client: FlaskClient) -> None:
    world.status = KioskStatus(recording=True, broker=True, readers={"mill-1": ReaderStatus(True)})
    assert "Out of order" not in client.get("/review/", headers={"Accept-Language": "en"}).text


def test_a_broker_that_is_gone_stands_there_too(world: World, client: FlaskClient) -> None:
    world.status = KioskStatus(recording=True, broker=False)
    assert "the broker does not answer" in client.get("/review/", headers={"Accept-Language": "en"}).text
    assert "the broker does not answer" in client.get("/machines/", headers={"Accept-Language": "en"}).text


def test_health_tells_each_readers_figures_and_each_sources_rhythm(world: World) -> None:
    health = create_kiosk_app(world.services()).test_client().get("/health").json
    assert health["readers"]["lathe-1"] == {
        "connected": False,
        "detail": "/dev/lathe-1 is not there; plug the reader in",
        "frames": 12,
        "rejected": {"checksum": 3, "framing": 0},
    }
    assert health["sources"]["lathe-1"]["stale_after_too_short"] is True
    assert health["sources"]["mill-1"]["stale_after_too_short"] is False


def test_metrics_count_by_reader_and_reason_and_by_machine_and_outcome(world: World) -> None:
    lines = create_kiosk_app(world.services()).test_client().get("/metrics").text.splitlines()
    assert 'sheber_reader_frames_total{reader="mill-1"} 41' in lines
    assert 'sheber_reader_rejected_total{reader="lathe-1",reason="checksum"} 3' in lines
    assert 'sheber_machine_messages_total{machine="lathe-1",outcome="unmapped"} 2' in lines
    assert 'sheber_machine_period_ms{machine="mill-1"} 10000' in lines


SAID = [
    *(ports.in_words("/dev/x", OSError(code, "why")) for code in (errno.ENOENT, errno.EACCES, errno.EBUSY, errno.EIO)),
    ports.in_words("/dev/x", OSError(errno.ENOSPC, "why")),
    f"/dev/x: {complaint(misheard(bytes(range(60)), 2400, 9600), 9600, 2400)}",
    f"/dev/x: {complaint(bytes(range(60)), 9600, 9600)}",
    "/dev/x: the reader does not answer; check its power, wires and baud",
]


@pytest.mark.parametrize("said", SAID)
def test_whatever_a_readers_link_says_is_said_in_the_instructors_language(world: World, said: str) -> None:
    world.status = KioskStatus(recording=True, readers={"mill-1": ReaderStatus(False, said)})
    client = create_staff_app(world.services()).test_client()
    sign_in(client)
    assert any(pattern.search(said) for pattern, _ in phrases.READER_TROUBLES)
    told = part(client, "reader-mill-1", "kk")
    assert not re.search("plug|check|reader in|held|gone", told)


@pytest.mark.parametrize(
    ("duration_ms", "written"), [(800, "0,8 s"), (12_400, "12 s"), (60_000, "60 s"), (300_000, "5 min")]
)
def test_a_measured_time_is_short(duration_ms: int, written: str) -> None:
    assert lasts(duration_ms, words("en")) == written


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_instructors_language(client: FlaskClient, language: str) -> None:
    client.get(f"/language/{language}")
    page = client.get("/machines/", headers={"Accept-Language": "en"}).text
    assert f'<html lang="{language}">' in page
    assert words(language).gettext("Longest usual silence") in page
