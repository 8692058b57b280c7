"""One POST: no redirect is followed, every wait and every byte has a bound, certificates are verified."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from kiosk.sync.address import Destination, Undeliverable

_BROKEN = (HTTPError, http.client.HTTPException, OSError, ValueError)


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes that one attempt may take."""

    connect_s: float = 5.0
    read_s: float = 15.0
    """Between two pieces of the answer."""
    whole_s: float = 30.0
    """From the connection to the end of the answer, however eagerly it drips."""
    answer_bytes: int = 65_536


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case, the body cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(
    to: Destination,
    headers: Mapping[str, str],
    body: bytes,
    *,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send `body` and return the answer, whatever its status; `Undeliverable` where there was none."""
    limits = limits or Limits()
    connection = _connect(to, limits, tls)
    late = threading.Event()
    overdue = threading.Timer(limits.whole_s, _cut, (connection.sock, late))
    overdue.daemon = True
    overdue.start()
    try:
        connection.timeout = limits.read_s
        # An endpoint may answer, and hang up, before it has read everything; the answer is then still there to be read.
        with contextlib.suppress(BrokenPipeError):
            connection.request(
                "POST", to.target, body=body, headers={**headers, "Host": to.host_header}, preload_content=False
            )
        response = connection.getresponse()
        content = b""
        with contextlib.suppress(*_BROKEN):  # the status is the answer; its body only explains
            content = response.read(limits.answer_bytes, decode_content=False)
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)
    except _BROKEN as error:
        if isinstance(error, TimeoutError) or late.is_set():
            raise Undeliverable("it took the delivery but did not answer in time", "late") from None
        raise Undeliverable(f"the connection broke before an answer ({type(error).__name__})", "broken") from None
    finally:
        overdue.cancel()
        connection.close()


def _connect(to: Destination, limits: Limits, tls: ssl.SSLContext | None) -> HTTPConnection:
    """A connection to the first of the judged addresses that takes one."""
    problem, code = "no connection to its host", "connection"
    for address in to.addresses[:4]:
        connection = HTTPConnection(address, to.port, timeout=limits.connect_s)
        if to.scheme == "https":
            context = tls or ssl.create_default_context()
            connection = HTTPSConnection(
                address, to.port, timeout=limits.connect_s, server_hostname=to.host, ssl_context=context
            )
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            problem, code = f"its certificate is not valid: {error.verify_message}", "certificate"
        except ssl.SSLError as error:
            problem, code = f"no secure connection to its host ({error.reason or 'TLS'})", "certificate"
        except (HTTPError, OSError) as error:
            problem, code = f"no connection to its host ({type(error).__name__})", "connection"
        else:
            return connection
        connection.close()
    raise Undeliverable(problem, code)


def _cut(sock: object, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(cast(socket.socket, sock), socket.SHUT_RDWR)  # below TLS, which the reader still uses
