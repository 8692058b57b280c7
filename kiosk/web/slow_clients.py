"""What a client that takes its time can hold: so long for a request, so many threads and connections from one address.

Without it six requests sent letter by letter would hold all threads of a listener for as long as somebody likes.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from time import monotonic
from typing import Any

from cheroot.errors import FatalSSLAlert, NoSSLError

IO_TIMEOUT_S = 10
REQUEST_S = 20.0
"""For a request to arrive, and beside it the time that its bytes take at `LEAST_RATE`."""
LEAST_RATE = 32 * 1024
MOST_READING = 3
"""Threads that wait for the bytes of one address: half of a listener's."""
POSTPONED_S = 0.02
MOST_OF_AN_ADDRESS = 128
"""A whole college may come from one address, and each browser keeps six connections for a while."""
MOST_CONNECTIONS = 384
"""Connections that wait for a request; each is a descriptor of this process, which the recording needs too."""


class Readers:
    """How many threads wait for the bytes of an address."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()

    def have_room(self, address: str) -> bool:
        """May another thread wait for this address? Where not, the answer takes a moment, so that it is asked again."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting[address] < MOST_READING, POSTPONED_S)

    def begin(self, address: str) -> None:
        """One more."""
        with self._changed:
            self._waiting[address] += 1

    def end(self, address: str) -> None:
        """One less; who is nowhere is forgotten."""
        with self._changed:
            self._waiting[address] -= 1
            self._waiting += Counter()
            self._changed.notify_all()


class Paced:
    """A socket to read requests from, in time: `TimeoutError` once one takes longer than it may.

    What is no TLS where it should be is told in cheroot's words.
    """

    def __init__(self, sock: socket.socket, readers: Readers, patience_s: float) -> None:
        self.address = ""
        self._sock = sock
        self._readers = readers
        self._patience_s = patience_s
        self._began = monotonic()
        self._received = 0

    def begin(self) -> None:
        """A request may come."""
        self._began, self._received = monotonic(), 0

    def recv_into(self, buffer: memoryview) -> int:
        """As a socket's."""
        left = self._began + self._patience_s + self._received / LEAST_RATE - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._readers.begin(self.address)
        try:
            self._sock.settimeout(min(IO_TIMEOUT_S, left))
            count = self._sock.recv_into(buffer)
        except ssl.SSLError as error:
            raise (NoSSLError if error.reason == "HTTP_REQUEST" else FatalSSLAlert)(*error.args) from error
        finally:
            self._readers.end(self.address)
        self._sock.settimeout(IO_TIMEOUT_S)
        self._received += count
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
