"""The hub's process: its lock, its database, its listener, and the socket for `sheber hub accept`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cheroot.wsgi import Server

from kiosk.control import ControlClient, ControlRefused, ControlServer, NoKiosk
from kiosk.hub.config import HubConfig
from kiosk.hub.store import HubStore
from kiosk.hub.web import create_app, session_key
from kiosk.records import BODY_LIMIT

DATABASE = "hub.db"
SOCKET = "hub.sock"
THREADS = 10


class HubRuns(Exception):
    """Another process holds this hub's folder."""


@contextmanager
def opened(folder: Path) -> Iterator[HubStore]:
    """The hub's database, for the one process that may write it; `HubRuns` where another has it."""
    handle = os.open(folder / "hub.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise HubRuns(f"another hub already runs on {folder}; stop it first") from None
    store = HubStore(folder / DATABASE)
    try:
        yield store
    finally:
        store.close()
        os.close(handle)


class HubService:
    """A hub that listens from its construction on, and answers after `start`."""

    def __init__(
        self, folder: Path, config: HubConfig, store: HubStore, listen: tuple[str, int], now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        app = create_app(config, store, now_ms, session_key(folder))
        self._server = Server(listen, app, numthreads=THREADS, server_name="sheber-hub", timeout=10, shutdown_timeout=2)
        self._server.max_request_body_size = 2 * BODY_LIMIT  # the application says it better
        self._server.max_request_header_size = 64 * 1024
        self._server.expiration_interval = 0.2  # seconds that an end waits at most
        self._server.prepare()
        self._control = ControlServer(folder / SOCKET, {"accept": self._accept}, sync_ops=frozenset())

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, with the port that was given for port 0."""
        host, port = self._server.bind_addr[:2]
        return str(host), int(port)

    def serve(self) -> None:
        """Answer until `stop`, or an interrupt."""
        with self._control:
            self._server.serve()

    def stop(self) -> None:
        """End; safe from any thread."""
        self._server.stop()

    def _accept(self, request: dict[str, object]) -> object:
        return accept_in(self._store, str(request["fingerprint"]), self._now_ms())


def accept_in(store: HubStore, fingerprint: str, now_ms: int) -> int:
    """Accept parked keys at the console; how many there were."""
    return store.accept(fingerprint, "console", now_ms)


def accept(folder: Path, fingerprint: str, now_ms: Callable[[], int]) -> int:
    """Accept the parked keys of that fingerprint: through the running hub, or in the file where none runs.

    Returns how many there were. Raises `HubRuns` where the folder is held but nobody answers, and `ControlRefused`.
    """
    try:
        count = ControlClient(folder / SOCKET).call("accept", fingerprint=fingerprint)
    except NoKiosk:
        with opened(folder) as store:
            return accept_in(store, fingerprint, now_ms())
    if not isinstance(count, int):
        raise ControlRefused("bad_answer", "the hub's answer is not a number")
    return count
