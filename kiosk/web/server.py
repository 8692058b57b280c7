"""A listener: cheroot with a small pool, whose live streams are handed to the feed and cost it no thread."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cheroot.connections import ConnectionManager
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Gateway_10
from cheroot.wsgi import Server as WSGIServer

from kiosk.store.faults import disk_fault
from kiosk.store.files import keep_file

if TYPE_CHECKING:
    from kiosk.web.feed import Feed

LOG = logging.getLogger(__name__)
THREADS = 6
BODY_LIMIT = 1024 * 1024
HEADER_LIMIT = 32 * 1024
IO_TIMEOUT_S = 10
FEED_PATH = b"/feed"
MAX_DIGITS = 15
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Connection(HTTPConnection):
    """A connection whose socket can be given away: then its end here says nothing to the client."""

    given_away = False

    def close(self) -> None:
        if not self.given_away:
            super().close()
            return
        self.rfile.close()
        self.socket.close()  # our copy of the descriptor only: no shutdown, the stream lives on in the feed


class _PatientConnections(ConnectionManager):
    """A new connection waits in the selector until it says something.

    Cheroot hands it to a worker at once, where a browser's speculative connections would each hold a thread.
    """

    def _from_server_socket(self, server_socket: socket.socket) -> None:
        connection = super()._from_server_socket(server_socket)  # type: ignore[misc]
        if connection is not None:
            self.put(connection)


class _LazyTLS(BuiltinSSLAdapter):
    """The handshake happens in the worker that first reads, never in the thread that accepts."""

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
        screen = feed.screen_of(self.req.conn.remote_addr or "", cookies, query.get("screen", [""])[0])
        if screen is None:
            self._refuse(b"403 Forbidden")
            return
        taken = self.req.conn.socket.dup()
        if not feed.adopt(taken, _number(after), screen):
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
    max_request_body_size = BODY_LIMIT
    max_request_header_size = HEADER_LIMIT
    version = "Sheber"
    feed: Feed | None = None

    def prepare(self) -> None:
        super().prepare()
        # Made by cheroot a moment ago and not running yet: closing it forgets only the listening socket.
        made: ConnectionManager = self._connections  # type: ignore[has-type]
        made.close()
        self._connections = _PatientConnections(self)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        LOG.log(level, "%s", msg, exc_info=traceback)


class Server:
    """One listener in its own threads. `tls` is a pair of files: certificate and key."""

    def __init__(
        self, listen: str, app: Application, feed: Feed | None = None, tls: tuple[Path, Path] | None = None
    ) -> None:
        self._cheroot = _Cheroot(
            _host_and_port(listen), app, numthreads=THREADS, max=THREADS, timeout=IO_TIMEOUT_S, request_queue_size=64
        )
        self._cheroot.gateway = _Gateway
        self._cheroot.feed = feed
        self._tls = tls is not None
        if tls is not None:
            self._cheroot.ssl_adapter = _LazyTLS(str(tls[0]), str(tls[1]))
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


def is_whole(path: Path) -> bool:
    """Is it there, and not the empty rest of a write that a power cut ended?"""
    return path.exists() and path.stat().st_size > 0


def self_made_certificate(folder: Path) -> tuple[Path, Path, str]:
    """The certificate and key in `folder`, made when they are not there, and the SHA-256 fingerprint to show.

    Its dates are fixed: a kiosk may make it while its clock is still wrong. Where the disk takes nothing it lives in
    memory, for this run: the staff side must say that nothing is recorded.
    """
    from cryptography import x509  # noqa: PLC0415 - costs 40 ms of every start and is rarely needed
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    certificate_path, key_path = folder / "web.crt", folder / "web.key"
    if not (is_whole(certificate_path) and is_whole(key_path)):
        host = socket.gethostname()
        names = [x509.DNSName(host), x509.DNSName(f"{host}.local"), x509.DNSName("localhost")]
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # A key without its certificate is made anew, never the other way round.
        with suppress(OSError):
            certificate_path.unlink(missing_ok=True)
        key_path = _kept(key_path, secret)
        certificate_path = _kept(certificate_path, made.public_bytes(serialization.Encoding.PEM))
    der = x509.load_pem_x509_certificate(certificate_path.read_bytes()).public_bytes(serialization.Encoding.DER)
    digest = hashlib.sha256(der).hexdigest().upper()
    return certificate_path, key_path, ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def _kept(path: Path, data: bytes) -> Path:
    """`path` with `data` in it, or a path in memory where the disk takes nothing."""
    try:
        keep_file(path, data)
    except OSError as error:
        if disk_fault(error, path.parent) is None:
            raise
        LOG.warning("%s could not be kept: %s; it is made anew at the next start", path, error.strerror)
        handle = os.memfd_create(path.name)
        os.write(handle, data)
        return Path(f"/proc/self/fd/{handle}")
    return path
