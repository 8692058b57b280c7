"""The live streams of the kiosk screen, over a real listener."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from web_fixtures import MINUTE, NOON, Listener, World, a_world

from kiosk.web.apps import create_kiosk_app
from kiosk.web.feed import MAX_STREAMS, Feed
from kiosk.web.server import Server, is_loopback
from kiosk.web.services import ReaderStatus
from tests.patience import PATIENCE_S, at_best


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def address(world: World) -> Iterator[str]:
    services = world.services()
    world.feed = Feed(services)
    server = Server("127.0.0.1:0", create_kiosk_app(services, world.feed), world.feed)
    world.feed.start()
    server.start()
    yield server.address
    server.stop()
    world.feed.stop()
    world.feed = None


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    made = Listener(address)
    made.next("status")
    yield made
    made.close()


def test_a_new_stream_without_history_gets_the_whole_board_and_the_status(address: str) -> None:
    stream = Listener(address)
    assert stream.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert "mill-1" in stream.next("board")["data"]["html"]
    assert stream.next("status")["data"]["recording"] is True
    stream.close()


def test_a_tap_is_answered_in_the_persons_language_with_the_ledgers_number(world: World, listener: Listener) -> None:
    seq = world.tap_in("p2", "mill-1")
    event = listener.next("tap")
    assert event["id"] == str(seq)
    assert event["data"]["kind"] == "in"
    assert event["data"]["age_ms"] == 0
    assert event["data"]["language"] == "ru"
    assert "Ким В." in event["data"]["html"]
    assert "Фрезерный станок с ЧПУ 1" in event["data"]["html"]


def test_the_board_changes_on_wake(world: World, listener: Listener) -> None:
    world.state("mill-1", "running")
    # The board that a new stream is given may come before the one that the change brings.
    boards = (listener.next("board")["data"]["html"] for _ in range(3))
    assert any('data-machine="mill-1" data-state="running"' in html for html in boards)


def test_the_board_shows_a_reader_that_is_lost_although_nothing_else_happens(world: World, listener: Listener) -> None:
    world.status = replace(world.status, broker=False, readers={"mill-1": ReaderStatus(True)})
    while "No link to the machines" not in listener.next("status")["data"]["marks"]:
        """What a new stream is given."""
    listener.next("board")
    world.status = replace(world.status, readers={"mill-1": ReaderStatus(False, "unplugged")})
    boards = (listener.next("board")["data"]["html"] for _ in range(3))
    assert any("reader-lost" in html for html in boards)


def test_a_tap_out_tells_the_time_of_the_session_and_the_total_against_the_plan(
    world: World, listener: Listener
) -> None:
    world.worked("p2", "mill-1", NOON, NOON + 83 * MINUTE)
    listener.next("tap")
    data = listener.next("tap")["data"]
    assert data["kind"] == "out"
    assert "1:23" in data["html"]
    assert "/ 168:45" in data["html"]


def test_a_move_is_one_answer(world: World, listener: Listener) -> None:
    world.tap_in("p2", "mill-1")
    listener.next("tap")
    feed, world.feed = world.feed, None  # the clerk commits both entries before it wakes the streams
    world.tap_out("p2", reason="moved")
    world.tap_in("p2", "lathe-1")
    world.feed = feed
    world.wake()
    data = listener.next("tap")["data"]
    assert data["kind"] == "in"
    assert "Фрезерный станок с ЧПУ 1" in data["html"]
    assert "Токарный станок с ЧПУ" in data["html"]


def test_a_hand_over_never_names_the_other(world: World, listener: Listener) -> None:
    session = world.worked("p2", "mill-1", NOON, NOON + 42 * MINUTE, reason="handover")
    world.tap_in("p1", "mill-1", NOON + 42 * MINUTE)
    world.told("handed_over", "p2", "mill-1", session)
    data = next(event["data"] for event in iter(lambda: listener.next("tap"), None) if event["data"]["kind"] == "tell")
    assert "12:42" in data["html"]
    assert "Сериков" not in data["html"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("badge_blocked", "заблокирована"),
        ("person_inactive", "списке"),
        ("machine_locked", "выведен из работы"),
        ("machine_full", "места"),
        ("busy_elsewhere", "другом станке"),
    ],
)
def test_a_refusal_says_why_in_words(world: World, listener: Listener, reason: str, words: str) -> None:
    world.refused(reason, "p2")
    data = listener.next("tap")["data"]
    assert data["kind"] == "no"
    assert words in data["html"]


def test_missing_qualifications_are_each_named(world: World, listener: Listener) -> None:
    world.refused("not_qualified", "p2", missing=["briefing:cnc", "qualification:cnc_mill"])
    html = listener.next("tap")["data"]["html"]
    assert "Инструктаж по безопасности: cnc" in html
    assert "Допуск: cnc_mill" in html


def test_an_unknown_card_is_refused_in_every_language_of_the_lab(world: World, listener: Listener) -> None:
    world.refused("unknown_badge")
    html = listener.next("tap")["data"]["html"]
    for words in ("Белгісіз карта", "Неизвестная карта", "Unknown card"):
        assert words in html


def test_names_are_escaped(world: World, listener: Listener) -> None:
    world.tap_in("p3", "mill-1")
    html = listener.next("tap")["data"]["html"]
    assert "<script>" not in html
    assert "O&#39;Brien&lt;script&gt; S." in html


def test_a_stream_resumes_after_the_last_event_it_saw(world: World, address: str) -> None:
    witness = Listener(address)
    first = world.tap_in("p1", "mill-1")
    second = world.tap_in("p2", "lathe-1")
    while witness.next("tap")["id"] != str(second):
        pass
    witness.close()
    world.now_ms += 5_000
    stream = Listener(address, headers={"Last-Event-ID": str(first)})
    missed = stream.next()
    assert missed["id"] == str(second)
    assert missed["data"]["age_ms"] == 5_000
    assert stream.next()["event"] == "board"
    stream.close()


def test_a_stream_that_missed_too_much_gets_the_whole_board_instead(world: World, address: str) -> None:
    for _ in range(201):
        world.state("mill-1", "idle")
    stream = Listener(address, path="/feed?after=0")
    assert stream.next()["event"] == "board"
    stream.close()


def test_a_screen_hears_only_its_own_readers_taps(world: World, address: str) -> None:
    stream = Listener(address, path="/feed?screen=door")
    stream.next("status")
    world.refused("unknown_badge", reader="mill-1")
    wanted = world.refused("unknown_badge", reader="door")
    assert stream.next("tap")["id"] == str(wanted)
    stream.close()


def test_the_seventeenth_stream_is_asked_to_come_again(address: str) -> None:
    streams = [Listener(address) for _ in range(MAX_STREAMS)]
    late = Listener(address)
    assert late.response.status == 503
    assert late.response.getheader("Retry-After") == "10"
    late.close()
    for stream in streams:
        stream.close()


def test_a_stream_that_ended_makes_room(world: World, address: str, wait_until: object) -> None:
    streams = [Listener(address) for _ in range(MAX_STREAMS)]
    streams.pop().close()
    feed = world.feed
    assert feed is not None
    wait_until(lambda: feed.streams < MAX_STREAMS, what="room for one more stream")  # type: ignore[operator]
    again = Listener(address)
    assert again.response.status == 200
    for stream in (*streams, again):
        stream.close()


def test_streams_and_silent_connections_keep_nobody_waiting(address: str) -> None:
    parts = urlsplit(address)
    streams = [Listener(address) for _ in range(MAX_STREAMS)]
    silent = [socket.create_connection((parts.hostname, parts.port)) for _ in range(20)]

    def answered_s() -> float:
        started = time.monotonic()
        with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)) as connection:
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
        return time.monotonic() - started

    assert at_best(answered_s, 2) < 2
    for stream in streams:
        stream.close()
    for connected in silent:
        connected.close()


def test_a_screen_that_does_not_read_is_dropped_and_the_others_go_on(
    world: World, address: str, wait_until: object
) -> None:
    parts = urlsplit(address)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect((parts.hostname, parts.port))
    deaf.sendall(b"GET /feed HTTP/1.1\r\nHost: kiosk\r\n\r\n")
    listener = Listener(address)
    listener.next("status")
    feed = world.feed
    assert feed is not None
    wait_until(lambda: feed.streams == 2, what="both streams")  # type: ignore[operator]

    def gone() -> bool:
        for _ in range(50):
            world.refused("unknown_badge")
        while listener.next("tap")["id"] != str(world.newest()):
            pass
        return feed.streams == 1

    wait_until(gone, 30, "the deaf screen to be dropped")  # type: ignore[operator]
    listener.close()
    deaf.close()


def test_from_commit_to_the_stream_takes_a_few_milliseconds(world: World, listener: Listener) -> None:
    taken = []
    for _ in range(40):
        world.tap_in("p2", "mill-1")
        committed = time.perf_counter()
        listener.next("tap")
        taken.append(time.perf_counter() - committed)
        world.open_by_person.clear()
    assert sorted(taken)[len(taken) // 10] < 0.02  # the others may have waited for a processor


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [("127.0.0.1:80", True), ("[::1]:80", True), ("localhost:80", True), ("0.0.0.0:80", False), ("10.0.0.7:80", False)],
)
def test_loopback_is_told_from_the_network(listen: str, loopback: bool) -> None:
    assert is_loopback(listen) is loopback


def test_a_count_of_strangers_entered_later_answers_nobody(world: World, listener: Listener) -> None:
    world.happens(
        "tap_refused",
        reader="mill-1",
        badge_ref=None,
        person_ref=None,
        machine=None,
        reason="unknown_badge",
        missing=[],
        count=40,
    )
    wanted = world.refused("unknown_badge")
    assert listener.next("tap")["id"] == str(wanted)


def test_waking_a_feed_that_has_ended_harms_nobody(world: World) -> None:
    feed = Feed(world.services())
    feed.start()
    feed.stop()
    feed.wake()
