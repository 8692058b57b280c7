"""A listener and clients that take their time: they hold a part of it, for a while, and nobody else waits for them."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from web_fixtures import NOON, World, a_world

from kiosk.web.apps import create_staff_app
from kiosk.web.certificates import self_made_certificate
from kiosk.web.server import THREADS, Server
from kiosk.web.slow_clients import MOST_OF_AN_ADDRESS

KEPT_WAITING_S = 20
"""The slow ones are let go after 60 s: whoever waits for that waits longer, and a loaded machine does not."""
NEIGHBOUR = "127.0.0.2"
BEGUN = b"POST /login HTTP/1.1\r\nHost: kiosk\r\nX-Slow: "


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@contextmanager
def listening(world: World, patience_s: float, tls: tuple[Path, Path] | None = None) -> Iterator[tuple[str, int]]:
    server = Server("127.0.0.1:0", create_staff_app(world.services()), tls=tls, patience_s=patience_s)
    server.start()
    parts = urlsplit(server.address)
    try:
        yield parts.hostname or "", parts.port or 0
    finally:
        server.stop()


def answered_s(place: tuple[str, int], tls: bool = False) -> float:
    """How long the login takes."""
    began = time.monotonic()
    if tls:
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(*place, timeout=40, context=context)
    else:
        connection = http.client.HTTPConnection(*place, timeout=40)
    connection.request("GET", "/login")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - began


@pytest.mark.parametrize("begun", [BEGUN, BEGUN + b"x\r\nContent-Length: 9000\r\n\r\n"], ids=["head", "body"])
def test_a_request_that_comes_letter_by_letter_is_ended(world: World, begun: bytes) -> None:
    with listening(world, patience_s=0.5) as place, socket.create_connection(place, timeout=10) as slow:
        slow.sendall(begun)
        slow.settimeout(0.05)
        deadline = time.monotonic() + 40
        while not over(slow):
            assert time.monotonic() < deadline


def over(slow: socket.socket) -> bool:
    """One letter more: was there an answer, or an end?"""
    try:
        slow.sendall(b"x")
        said = slow.recv(100)
    except TimeoutError:
        return False
    except OSError:
        return True
    return not said or said.split()[1] in {b"408", b"400"}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_many_slow_requests_of_one_address_keep_nobody_else_waiting(world: World, tmp_path: Path, tls: bool) -> None:
    made = self_made_certificate(tmp_path, NOON, ("127.0.0.1",))
    pair = (made.certificate, made.key) if tls else None
    with listening(world, patience_s=60, tls=pair) as place, ExitStack() as held:
        for _ in range(3 * THREADS):
            slow = held.enter_context(socket.create_connection(place, timeout=40, source_address=(NEIGHBOUR, 0)))
            slow.sendall(b"\x16" if tls else BEGUN)
        assert max(answered_s(place, tls) for _ in range(5)) < KEPT_WAITING_S


def test_silent_connections_of_one_address_use_up_no_descriptors(
    world: World, wait_until: Callable[..., object]
) -> None:
    with listening(world, patience_s=60) as place, ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection(place, timeout=40, source_address=(NEIGHBOUR, 0)))
            for _ in range(2 * MOST_OF_AN_ADDRESS)
        ]
        for each in silent:
            each.settimeout(0)
        wait_until(lambda: sum(map(ended, silent)) == MOST_OF_AN_ADDRESS, what="the rest to be closed")
        assert answered_s(place) < KEPT_WAITING_S


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
