"""A listener: cheroot with a small pool, whose live streams are handed to the feed and cost it no thread."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cheroot.connections import ConnectionManager
from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Gateway_10
from cheroot.wsgi import Server as WSGIServer

from kiosk.web.slow_clients import (
    IO_TIMEOUT_S,
    MOST_CONNECTIONS,
    MOST_OF_AN_ADDRESS,
    REQUEST_S,
    Paced,
    Readers,
)

if TYPE_CHECKING:
    from kiosk.web.feed import Feed

LOG = logging.getLogger(__name__)
THREADS = 6
BODY_LIMIT = 1024 * 1024
LARGE_BODIES = {b"/people/import": 20 * 1024 * 1024, b"/programmes/import": 20 * 1024 * 1024}
"""Where a file is handed in (contract, section 10: imports 20 MB), form and all."""
HEADER_LIMIT = 32 * 1024
PIECE = 64 * 1024
FEED_PATH = b"/feed"
MAX_DIGITS = 15
NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 34\r\nConnection: close\r\n\r\n"
    b"Write https:// before the address."
)
"""To who speaks plainly where TLS is spoken."""
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Door = Callable[[str, bool], Callable[[], bool] | None]
"""Given a request's cookies and whether it came by TLS: tells from then on whether its sign-in lasts.

None where it may not look.
"""


class _Request(HTTPRequest):
    """A request with a limit by its path. What nobody read of its body is passed over in pieces."""

    def read_request_headers(self) -> bool:
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if int(self.inheaders.get(b"Content-Length", 0)) > LARGE_BODIES.get(self.path, BODY_LIMIT):
            self.simple_response("413 Request Entity Too Large", "Send less at once.")
            return False
        return True

    def send_headers(self) -> None:
        if not self.close_connection and not self.chunked_read:  # cheroot would take the rest into memory at once
            while getattr(self.rfile, "remaining", 0) > 0 and self.rfile.read(min(PIECE, self.rfile.remaining)):
                pass
        super().send_headers()


class _Connection(HTTPConnection):
    """A connection whose socket can be given away: then its end here says nothing to the client."""

    RequestHandlerClass = _Request
    given_away = False

    def __init__(self, server: _Cheroot, sock: socket.socket, makefile: Callable[..., Any] = MakeFile) -> None:
        super().__init__(server, sock, makefile)
        self._paced = Paced(sock, server.readers, server.patience_s)
        self.rfile = makefile(self._paced, "rb", self.rbufsize)

    def communicate(self) -> bool:
        """The next request, but for an address that keeps threads enough waiting: it is looked at again soon."""
        address = self.remote_addr or ""
        if not self.server.readers.have_room(address):
            return True
        self._paced.address = address
        self._paced.begin()
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def _handle_no_ssl(self, _request: HTTPRequest | None) -> None:
        """Cheroot's own knows no plain socket below the standard library's TLS."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.socket.fileno())) as plain:
            plain.sendall(NO_TLS)
            plain.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if not self.given_away:
            super().close()
            return
        self.rfile.close()
        if not isinstance(self.socket, ssl.SSLSocket):  # that one cannot be copied, so it is the feed's itself
            self.socket.close()  # our copy of the descriptor only: no shutdown, the stream lives on in the feed


class _PatientConnections(ConnectionManager):
    """A new connection waits in the selector until it says something.

    Cheroot hands it to a worker at once, where a browser's speculative connections would each hold a thread.
    """

    def _from_server_socket(self, server_socket: socket.socket) -> None:
        connection = super()._from_server_socket(server_socket)  # type: ignore[misc]
        if connection is None:
            return
        known = self._selector.connections  # type: ignore[attr-defined]
        waiting = [each.remote_addr for _, each in known if each is not self.server]
        if len(waiting) >= MOST_CONNECTIONS or waiting.count(connection.remote_addr) >= MOST_OF_AN_ADDRESS:
            connection.close()
        else:
            self.put(connection)


class _LazyTLS(BuiltinSSLAdapter):
    """TLS 1.2 and later. The handshake happens in the worker that first reads, never in the thread that accepts."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(str(certificate), str(key))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class _Gateway(Gateway_10):
    """WSGI, but for the live stream, whose socket goes to the feed."""

    def respond(self) -> None:
        feed: Feed | None = self.req.server.feed
        if feed is None or self.req.path != FEED_PATH or self.req.method != b"GET":
            super().respond()
            return
        query = parse_qs(self.req.qs.decode("latin-1"))
        # Cheroot writes header names in title case.
        after = self.req.inheaders.get(b"Last-Event-Id", b"").decode("latin-1") or query.get("after", [""])[0]
        self.req.close_connection = True
        cookies = self.req.inheaders.get(b"Cookie", b"").decode("latin-1")
        door: Door | None = self.req.server.door
        asked = query.get("screen", [""])[0]
        screen = feed.screen_of(self.req.conn.remote_addr or "", cookies, asked) if door is None else ""
        held = self.req.conn.socket
        lasts = door(cookies, isinstance(held, ssl.SSLSocket)) if door is not None else None
        if screen is None or (door is not None and lasts is None):
            self._refuse(b"403 Forbidden")
            return
        taken = held if isinstance(held, ssl.SSLSocket) else held.dup()
        if not feed.adopt(taken, _number(after), screen, lasts):
            if taken is not held:
                taken.close()
            self._refuse(b"503 Service Unavailable")
            return
        # Headers and events are written by the feed; cheroot must add nothing after this.
        self.req.sent_headers = True
        self.req.conn.given_away = True

    def _refuse(self, status: bytes) -> None:
        self.req.status = status
        self.req.outheaders += [(b"Retry-After", b"10"), (b"Content-Length", b"0"), (b"Connection", b"close")]
        self.req.ensure_headers_sent()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class _Cheroot(WSGIServer):
    """Cheroot with our gateway, our patience and our log."""

    ConnectionClass = _Connection
    max_request_body_size = max(LARGE_BODIES.values())
    max_request_header_size = HEADER_LIMIT
    version = "Sheber"
    feed: Feed | None = None
    door: Door | None = None
    readers: Readers
    patience_s: float

    def prepare(self) -> None:
        super().prepare()
        # Made by cheroot a moment ago and not running yet: closing it forgets only the listening socket.
        made: ConnectionManager = self._connections  # type: ignore[has-type]
        made.close()
        self._connections = _PatientConnections(self)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        if isinstance(sys.exc_info()[1], OSError):  # a client's doing: nobody on the network fills the log with it
            LOG.info("a connection ended: %s", sys.exc_info()[1])
            return
        LOG.log(level, "%s", msg, exc_info=traceback)


class Server:
    """One listener in its own threads. `tls` is a pair of files: certificate and key.

    With a `door` its live streams are the staff side's, which last as long as their sign-ins. `patience_s` is the time
    that a request may take to arrive (`slow_clients`).
    """

    def __init__(
        self,
        listen: str,
        app: Application,
        feed: Feed | None = None,
        tls: tuple[Path, Path] | None = None,
        door: Door | None = None,
        patience_s: float = REQUEST_S,
    ) -> None:
        self._cheroot = _Cheroot(
            _host_and_port(listen), app, numthreads=THREADS, max=THREADS, timeout=IO_TIMEOUT_S, request_queue_size=64
        )
        self._cheroot.gateway = _Gateway
        self._cheroot.feed = feed
        self._cheroot.door = door
        self._cheroot.readers = Readers()
        self._cheroot.patience_s = patience_s
        self._tls = tls is not None
        if tls is not None:
            self._cheroot.ssl_adapter = _LazyTLS(*tls)
        self._thread = threading.Thread(target=self._cheroot.serve, name=f"web {listen}", daemon=True)

    def start(self) -> None:
        """Binds the address (`OSError` where that fails) and serves from its own thread."""
        self._cheroot.prepare()
        self._thread.start()

    def stop(self) -> None:
        """Finishes what is being answered and closes; streams belong to the feed."""
        self._cheroot.stop()
        self._thread.join(timeout=5)

    @property
    def address(self) -> str:
        """`http://host:port` or `https://host:port` with the port that was really bound."""
        host, port = self._cheroot.bind_addr[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{port}"


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(listen: str) -> bool:
    """Does `host:port` reach only this machine?"""
    host = _host_and_port(listen)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
