"""The live board of the staff side: what it shows, what is done from it, and who may follow its stream."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from test_web_staff import sign_in, token
from web_fixtures import MINUTE, NOON, PASSWORD, Listener, World, a_busy_morning, a_world, ref
from werkzeug.test import TestResponse

from kiosk.commands import CloseSession, LockMachine
from kiosk.web.accounts import SignIns
from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.web.certificates import self_made_certificate
from kiosk.web.feed import MAX_STAFF, MAX_STREAMS, Feed
from kiosk.web.server import Server
from kiosk.web.services import ReaderStatus
from kiosk.web.staff_door import StaffDoor
from tests.patience import PATIENCE_S

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


def board(client: FlaskClient) -> str:
    return client.get("/board", headers=ENGLISH).text


def machine(page: str, machine_id: str) -> str:
    found = re.search(rf'<li class="machine[^>]*id="m-{machine_id}".*?(?=<li class="machine|\Z)', page, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group()))


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    return client.post(
        path, data={"csrf_token": token(client.get("/board")), **fields}, follow_redirects=True, headers=ENGLISH
    )


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_every_machine_stands_there_with_its_state_who_is_on_it_and_since_when(
    client: FlaskClient, world: World
) -> None:
    a_busy_morning(world)
    world.status = replace(world.status, machines_heard={"mill-1": world.now_ms - 7000})
    sign_in(client)
    page = board(client)
    mill = machine(page, "mill-1")
    for words in ("running", "since 12:10", "Сериков Әлихан Маратұлы", "1:58", "since 12:32", "last heard: 14:29:53"):
        assert words in mill
    assert "no sensor" in machine(page, "bench-1")
    assert "withdrawn" in machine(page, "grinder-1")
    assert "Nobody is on it." in machine(page, "weld-1")
    assert "4 people on machines" in page


def test_who_will_soon_be_closed_for_idling_is_warned_of(client: FlaskClient, world: World) -> None:
    session = world.tap_in("p1", "mill-1", NOON)
    world.alter(session, idle_at_ms=world.now_ms + 40 * MINUTE)
    sign_in(client)
    assert "ends at 15:10 if the machine stays idle" in machine(board(client), "mill-1")
    assert 'class="warning"' not in board(client)
    world.alter(session, idle_at_ms=world.now_ms + 4 * MINUTE)
    assert re.search(r'class="warning">.*?ends at 14:34 if the machine stays idle', board(client), re.DOTALL)


def test_what_is_out_of_order_is_told_at_the_machine_and_on_top(client: FlaskClient, world: World) -> None:
    world.status = replace(world.status, readers={"mill-1": ReaderStatus(False, "/dev/x went away; plug it in")})
    sign_in(client)
    page = board(client)
    assert "The reader went away. Plug it in again." in machine(page, "mill-1")
    assert page.count("The reader went away. Plug it in again.") == 2


def test_a_strange_name_does_no_harm(client: FlaskClient, world: World) -> None:
    world.tap_in("p3", "mill-1", NOON)
    sign_in(client)
    assert "<bdi>O&#39;Brien&lt;script&gt; Seán</bdi>" in board(client)


# --- what is done from it ---------------------------------------------------------------------------------------------


def test_a_machine_is_withdrawn_and_given_back_after_a_second_touch(client: FlaskClient, world: World) -> None:
    sign_in(client)
    assert re.search(r"<details[^>]*><summary[^>]*>.*?Withdraw it.*?</summary>\s*<form", board(client), re.DOTALL)
    assert "Withdrawn from use." in post(client, "/board/machines/mill-1/lock", locked="1").text
    assert "Given back." in post(client, "/board/machines/mill-1/lock", locked="0").text
    by = ref("bauyrzhan")
    assert world.commands == [LockMachine("mill-1", True, by), LockMachine("mill-1", False, by)]
    assert post(client, "/board/machines/nowhere/lock", locked="1").status_code == 404


def test_a_session_is_closed_from_the_board_and_back_to_it(client: FlaskClient, world: World) -> None:
    session = world.tap_in("p1", "mill-1", NOON)
    sign_in(client)
    form = {"csrf_token": token(client.get("/board")), "back": "board"}
    answer = client.post(f"/review/{session}/close", data=form)
    assert answer.headers["Location"] == "/board"
    assert world.commands == [CloseSession(session, ref("bauyrzhan"))]


def test_who_only_looks_sees_everything_and_no_form(client: FlaskClient, world: World) -> None:
    a_busy_morning(world)
    sign_in(client, "auditor")
    page = board(client)
    assert "Сериков Әлихан Маратұлы" in page
    assert "Withdraw it" not in page
    assert "Close this session" not in page
    assert (
        client.post("/board/machines/mill-1/lock", data={"csrf_token": token(client.get("/board"))}).status_code == 403
    )


def test_nobody_is_offered_to_close_their_own_session(client: FlaskClient, world: World) -> None:
    session = world.tap_in("p1", "mill-1", NOON)
    sign_in(client, "own")
    assert f"/review/{session}/close" not in board(client)
    assert "your own session" in board(client)


def test_the_part_that_changes_is_asked_for_without_keeping_the_sign_in_alive(world: World) -> None:
    app = create_staff_app(world.services())
    sign_ins: SignIns = app.extensions["sheber"]["sign_ins"]
    client = app.test_client()
    sign_in(client)
    seen = sign_ins.of("bauyrzhan")[0].seen
    assert "<html" not in client.get("/board/live").text
    assert sign_ins.of("bauyrzhan")[0].seen == seen
    client.get("/board")
    assert sign_ins.of("bauyrzhan")[0].seen > seen


# --- the stream -------------------------------------------------------------------------------------------------------


@dataclass
class Office:
    """A staff listener and a kiosk listener over one feed."""

    world: World
    app: Flask
    feed: Feed
    staff: Server
    kiosk: Server

    def cookie(self, name: str = "bauyrzhan") -> str:
        """Of a browser that signed in."""
        client = self.app.test_client()
        sign_in(client, name, PASSWORD)
        held = client.get_cookie("sheber_session")
        assert held is not None
        return f"sheber_session={held.value}"

    def listen(self, name: str = "bauyrzhan", after: int | None = None, cookie: str | None = None) -> Listener:
        """The stream of the board."""
        path = "/feed" if after is None else f"/feed?after={after}"
        return Listener(self.staff.address, path, {"Cookie": cookie or self.cookie(name)})


@contextmanager
def an_office(world: World, tls: tuple[Path, Path] | None = None) -> Iterator[Office]:
    services = world.services()
    feed = world.feed = Feed(services)
    app = create_staff_app(services)
    staff = Server("127.0.0.1:0", app, feed, tls, StaffDoor(app).admit)
    kiosk = Server("127.0.0.1:0", create_kiosk_app(services, feed), feed)
    feed.start()
    for server in (staff, kiosk):
        server.start()
    try:
        yield Office(world, app, feed, staff, kiosk)
    finally:
        for server in (staff, kiosk):
            server.stop()
        feed.stop()
        world.feed = None


@pytest.fixture
def office(world: World) -> Iterator[Office]:
    with an_office(world) as made:
        yield made


def test_a_board_hears_that_something_changed_by_the_ledgers_number_and_never_who(office: Office) -> None:
    seq = office.world.newest()
    stream = office.listen(after=seq)
    session = office.world.tap_in("p2", "mill-1")
    event = stream.next()
    assert (event["event"], event["id"], event["data"]) == ("changed", str(session), {})
    stream.close()


def test_a_board_that_was_away_is_told_at_once(office: Office) -> None:
    office.world.tap_in("p2", "mill-1")
    stream = office.listen(after=0)
    assert stream.next()["id"] == str(office.world.newest())
    stream.close()


@pytest.mark.parametrize("cookie", ["", "sheber_session=forged", "sheber_session=\x7f;;", "sheber_screen=x"])
def test_without_a_sign_in_there_is_no_stream(office: Office, cookie: str) -> None:
    parts = urlsplit(office.staff.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=40)
    connection.request("GET", "/feed", headers={"Cookie": cookie})
    assert connection.getresponse().status == 403
    connection.close()


def test_a_stream_ends_with_its_sign_in(office: Office) -> None:
    cookie = office.cookie()
    stream = office.listen(cookie=cookie)
    stream.next("changed")
    client = office.app.test_client()
    client.set_cookie("sheber_session", cookie.partition("=")[2])
    client.post("/logout", data={"csrf_token": token(client.get("/board"))})
    assert stream.response.read() is not None  # to its end: the kiosk has closed it
    stream.close()
    office_feed_is(office, 0)


def test_a_stream_ends_when_its_account_is_closed(office: Office) -> None:
    stream = office.listen()
    office.world.connection.execute("UPDATE users SET active = 0 WHERE name = 'bauyrzhan'")
    stream.response.read()
    stream.close()
    office_feed_is(office, 0)


def test_a_stream_ends_with_the_password_it_was_opened_by(office: Office) -> None:
    stream = office.listen()
    office.world.connection.execute("UPDATE users SET password_hash = 'another' WHERE name = 'bauyrzhan'")
    stream.response.read()
    stream.close()
    office_feed_is(office, 0)


def test_boards_leave_room_for_the_workshops_screens(office: Office) -> None:
    cookie = office.cookie()
    boards = [office.listen(cookie=cookie) for _ in range(MAX_STAFF)]
    assert {each.response.status for each in boards} == {200}
    refused = office.listen(cookie=cookie)
    assert refused.response.status == 503
    screens = [Listener(office.kiosk.address) for _ in range(MAX_STREAMS - MAX_STAFF)]
    assert {each.response.status for each in screens} == {200}
    screens[0].next("board")
    full = Listener(office.kiosk.address)
    assert full.response.status == 503
    for each in (*boards, *screens, refused, full):
        each.close()


def test_a_workshops_screen_hears_nothing_of_the_staff_side_nor_the_other_way(office: Office) -> None:
    screen, stream = Listener(office.kiosk.address), office.listen(after=office.world.newest())
    screen.next("status")
    office.world.tap_in("p2", "mill-1")
    assert {screen.next()["event"] for _ in range(2)} <= {"tap", "board", "status"}
    assert stream.next()["event"] == "changed"
    screen.close()
    stream.close()


def test_over_tls_the_stream_lives_and_ends_as_well(
    world: World, tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    made = self_made_certificate(tmp_path, NOON, ("localhost", "127.0.0.1"))
    with an_office(world, (made.certificate, made.key)) as office:
        parts = urlsplit(office.staff.address)
        context = ssl.create_default_context(cafile=str(made.certificate))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", parts.port, context=context, timeout=40)
        headers = {"Cookie": cookie_by_tls(connection)}
        connection.request("GET", f"/feed?after={world.newest()}", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        wait_until(lambda: office.feed.streams == 1, what="the stream")
        session = world.tap_in("p1", "mill-1")
        lines = [answer.readline() for _ in range(6)]
        assert f"id: {session}\n".encode() in lines
        answer.close()
        connection.close()
        wait_until(lambda: office.feed.streams == 0, what="its end")


def test_over_tls_a_cookie_that_is_not_bound_to_the_host_opens_no_stream(world: World, tmp_path: Path) -> None:
    made = self_made_certificate(tmp_path, NOON, ("localhost", "127.0.0.1"))
    with an_office(world, (made.certificate, made.key)) as office:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = urlsplit(office.staff.address).port
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=40)
        connection.request("GET", "/feed", headers={"Cookie": office.cookie()})
        assert connection.getresponse().status == 403
        connection.close()


def cookie_by_tls(connection: http.client.HTTPConnection) -> str:
    """What a browser holds that signed in over this connection."""
    connection.request("GET", "/login")
    page = connection.getresponse()
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
    assert csrf is not None
    form = urlencode({"csrf_token": csrf[1], "name": "bauyrzhan", "password": PASSWORD})
    origin = f"https://127.0.0.1:{connection.port}"
    headers = {
        "Cookie": page.headers["Set-Cookie"].partition(";")[0],
        "Content-Type": "application/x-www-form-urlencoded",
        "Referer": f"{origin}/login",
        "Host": f"127.0.0.1:{connection.port}",
    }
    connection.request("POST", "/login", body=form, headers=headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 302
    cookies = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie", [])]
    assert cookies[0].startswith("__Host-sheber_")
    return "; ".join(cookies)


def office_feed_is(office: Office, streams: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while office.feed.streams != streams:
        assert time.monotonic() < deadline
        time.sleep(0.02)
