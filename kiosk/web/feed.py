"""Live streams: one thread owns them all, follows the ledger and never waits for a slow screen.

The clerk calls `wake()` after each commit. The feed selects the rows after its last `seq` through its own read-only
connection, renders each event once and offers it to every stream.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import sqlite3
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from kiosk.store.schema import StoreError, open_reader
from kiosk.web.announce import BOARD_TYPES, Announcer, Event
from kiosk.web.answers import ANSWERS
from kiosk.web.pairings import screen_of_request
from kiosk.web.reading import Reading, disk_is_away
from kiosk.web.services import Services

T = TypeVar("T")
LOG = logging.getLogger(__name__)
MAX_STREAMS = 16
MAX_STAFF = 8
"""Of them: open boards on instructors' desks never keep a workshop's screen out."""
MAX_BUFFER = 256 * 1024
HEARTBEAT_S = 10.0
STATUS_S = 1.0
BOARD_PAUSE_S = 0.15
"""At most this often a new board: a busy minute must not render itself to death."""
BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""Not now: the same call again when the socket is ready."""
RESUME_ROWS = 200
BATCH_ROWS = 500

HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nConnection: close\r\n\r\nretry: 1000\n\n"
)


@dataclass(eq=False)
class _Stream:
    """One browser."""

    sock: socket.socket
    after: int | None
    readers: frozenset[str] | None
    lasts: Callable[[], bool] | None = None
    """Of the staff side: does its sign-in still last? None for a workshop screen."""
    pending: bytearray = field(default_factory=lambda: bytearray(HEADERS))

    def wants(self, event: Event) -> bool:
        if event.staff or self.lasts is not None:
            return event.staff and self.lasts is not None
        return event.reader is None or self.readers is None or event.reader in self.readers

    def owns(self, event: Event, claimed: frozenset[str]) -> bool:
        """May it learn the visit? Where screens say which readers are theirs (`claimed`), a reader has no others."""
        return event.reader in (self.readers or ()) or (self.readers is None and event.reader not in claimed)


class Feed:
    """Owns the streams. `adopt` and `wake` may be called from any thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._announcer = Announcer(services)
        self._readers = {each.id: frozenset(each.readers) or None for each in services.lab.screens}
        self._claimed = frozenset(reader for each in services.lab.screens for reader in each.readers)
        self._warn_at_ms: int | None = None
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._arrivals: deque[_Stream] = deque()
        self._streams: set[_Stream] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._stopping = False
        self._ended = False
        self._last = -1
        self._behind = False
        """Are there entries that could not be read yet?"""
        self._board_dirty = False
        self._board_after = 0.0
        self._connection: sqlite3.Connection | None = None
        self._status_seen: Mapping[str, Any] = {}
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Starts the thread; from now on the ledger is followed."""
        self._thread.start()

    def stop(self) -> None:
        """Ends every stream and the thread."""
        self._stopping = True
        self.wake()
        self._thread.join(timeout=5)

    def wake(self) -> None:
        """Something was committed. Harmless after the end: a clerk may finish its batch later than the streams."""
        with self._lock:
            if not self._ended:
                os.eventfd_write(self._bell, 1)

    def screen_of(self, address: str, cookies: str, asked: str) -> str | None:
        """Which screen is it? None where its device was not let in."""
        return screen_of_request(self._services.secret_key, address, cookies, asked)

    def adopt(
        self, sock: socket.socket, after: int | None, screen: str = "", lasts: Callable[[], bool] | None = None
    ) -> bool:
        """Takes over a connection whose request was read; `after` is the last entry its screen has seen.

        `lasts` makes it a stream of the staff side, which ends when it says no. False where there are streams enough:
        the connection is then still the caller's.
        """
        with self._lock:
            live = [*self._streams, *self._arrivals]
            staff = sum(each.lasts is not None for each in live)
            if self._stopping or len(live) >= MAX_STREAMS or (lasts is not None and staff >= MAX_STAFF):
                return False
            sock.setblocking(False)
            self._arrivals.append(_Stream(sock, after, self._readers.get(screen), lasts))
        self.wake()
        return True

    @property
    def streams(self) -> int:
        """How many are live."""
        with self._lock:
            return len(self._streams) + len(self._arrivals)

    # --- the thread

    def _reading(self, connection: sqlite3.Connection) -> Reading:
        return Reading(connection, self._services.lab)

    def _run(self) -> None:
        next_status = next_beat = monotonic()
        try:
            self._read(lambda _connection: None)  # from here on the ledger is followed
            while not self._stopping:
                due = min(next_status, self._board_after if self._board_dirty else next_status)
                rung = self._serve(max(0.0, due - monotonic()))
                now = monotonic()
                if rung or (self._behind and now >= next_status):
                    self._behind = self._read(self._follow) is None
                self._welcome()
                if self._board_dirty and now >= self._board_after:
                    self._send_board()
                if now >= next_status:
                    next_status = now + STATUS_S
                    due_ms = self._warn_at_ms
                    self._board_dirty = self._board_dirty or (due_ms is not None and self._services.wall_ms() >= due_ms)
                    if not self._services.status().recording:
                        self._let_go()
                    beat = now >= next_beat
                    next_beat = now + HEARTBEAT_S if beat else next_beat
                    self._send_status(beat)
        finally:
            for stream in list(self._streams) + list(self._arrivals):
                self._drop(stream)
            self._selector.close()
            self._let_go()
            with self._lock:
                self._ended = True
                os.close(self._bell)

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `ask` reads; None where the database cannot be read now. The streams and their status need no disk."""
        try:
            if not self._services.status().recording:
                self._let_go()
                return None
            if self._connection is None:
                self._connection = open_reader(self._services.database)
                if self._last < 0:
                    self._last = self._reading(self._connection).newest_seq()
            return ask(self._connection)
        except (StoreError, sqlite3.Error) as error:
            if not disk_is_away(self._services, error):
                raise
            if not self._board_dirty:
                LOG.warning("the screens cannot be drawn anew: %s", error)
            self._let_go()
            return None

    def _let_go(self) -> None:
        """A reader's shared memory, opened while the disk was read-only, would keep the clerk from writing for ever."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._board_dirty = True

    def _serve(self, timeout: float) -> bool:
        """Moves what can move on the sockets; was the bell rung?"""
        rung = False
        for key, events in self._selector.select(timeout):
            if key.data is None:
                os.eventfd_read(self._bell)
                rung = True
                continue
            stream: _Stream = key.data
            if events & selectors.EVENT_READ and not self._still_there(stream):
                continue
            if events & selectors.EVENT_WRITE:
                self._flush(stream)
        return rung

    def _still_there(self, stream: _Stream) -> bool:
        """A browser says nothing on a stream: bytes are thrown away, an end is an end."""
        try:
            if stream.sock.recv(4096):
                return True
        except BLOCKED:
            return True
        except OSError:
            pass
        self._drop(stream)
        return False

    def _offer(self, stream: _Stream, data: bytes) -> None:
        if stream not in self._streams:
            return
        if len(stream.pending) + len(data) > MAX_BUFFER:
            LOG.info("a screen that does not read was dropped; it connects again by itself")
            self._drop(stream)
            return
        stream.pending += data
        self._flush(stream)

    def _flush(self, stream: _Stream) -> None:
        try:
            while stream.pending:
                del stream.pending[: stream.sock.send(stream.pending)]
        except BLOCKED:
            pass
        except OSError:
            self._drop(stream)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if stream.pending else 0)
        if self._selector.get_key(stream.sock).events != wanted:
            self._selector.modify(stream.sock, wanted, stream)

    def _drop(self, stream: _Stream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.discard(stream)
                self._selector.unregister(stream.sock)
        stream.sock.close()

    def _broadcast(self, event: Event) -> None:
        everywhere, own = event.wire(), event.wire(own=True)
        for stream in list(self._streams):
            if stream.wants(event):
                self._offer(stream, own if stream.owns(event, self._claimed) else everywhere)

    def _welcome(self) -> None:
        while True:
            with self._lock:
                if not self._arrivals:
                    return
                stream = self._arrivals.popleft()
                self._streams.add(stream)
                self._selector.register(stream.sock, selectors.EVENT_READ, stream)
            after = stream.after
            if stream.lasts is not None:
                self._offer(stream, b"" if after == self._last else self._changed().wire())
                continue
            events = self._read(lambda connection, after=after: self._missed(connection, after)) or []  # type: ignore[misc]
            events.append(self._announcer.status())
            self._offer(
                stream,
                b"".join(event.wire(stream.owns(event, self._claimed)) for event in events if stream.wants(event)),
            )

    def _missed(self, connection: sqlite3.Connection, after: int | None) -> list[Event]:
        """What a stream needs that has seen everything up to `after`."""
        if after is None or not 0 <= self._last - after <= RESUME_ROWS:
            return [self._board(connection)]
        if self._last == after:
            return []
        rows = self._reading(connection).entries(after, self._last)
        return [*self._answers(connection, rows, missed=True), self._board(connection)]

    def _changed(self) -> Event:
        """For the staff side, whose pages ask for themselves what they may see."""
        return Event("changed", {}, self._last if self._last >= 0 else None, staff=True)

    def _board(self, connection: sqlite3.Connection) -> Event:
        self._warn_at_ms = self._announcer.next_warning_ms(connection)
        return self._announcer.board(connection, self._last)

    def _follow(self, connection: sqlite3.Connection) -> bool:
        """Announces every entry committed since the last time: answers first, the board when it is due."""
        if not self._streams:
            self._last = self._reading(connection).newest_seq()
            return True
        while True:
            rows = self._reading(connection).entries(self._last, self._last + BATCH_ROWS)
            if not rows:
                return True
            self._last = int(rows[-1][0])
            for event in self._answers(connection, rows):
                self._broadcast(event)
            self._board_dirty = self._board_dirty or any(row[1] in BOARD_TYPES for row in rows)

    def _answers(
        self, connection: sqlite3.Connection, rows: list[tuple[int, str, bytes]], missed: bool = False
    ) -> list[Event]:
        bodies = [json.loads(row[2]) for row in rows if row[1] in ANSWERS]
        try:
            return self._announcer.taps(connection, bodies, missed)
        except Exception:  # a screen that cannot be drawn must never stop the recording
            LOG.exception("an answer to a tap could not be shown; it is recorded")
            return []

    def _send_board(self) -> None:
        board = self._read(self._board) if any(each.lasts is None for each in self._streams) else None
        self._board_dirty = self._connection is None
        self._board_after = monotonic() + (STATUS_S if self._board_dirty else BOARD_PAUSE_S)
        if board is not None:
            self._broadcast(board)
        self._broadcast(self._changed())

    def _send_status(self, beat: bool) -> None:
        if not self._streams:
            return
        for stream in list(self._streams):
            if stream.lasts is not None and not stream.lasts():
                self._drop(stream)
            elif beat:
                self._offer(stream, b": still here\n\n")
        if beat:
            self._broadcast(self._changed())  # when a machine was heard last makes no entry
        event = self._announcer.status()
        # A machine's own reader that comes or goes makes no entry and no mark; it stands on the machine's card.
        readers = {name: reader.connected for name, reader in self._services.status().readers.items()}
        seen = {key: value for key, value in event.data.items() if key != "now_ms"} | {"readers": readers}
        if beat or seen != self._status_seen:
            self._board_dirty = self._board_dirty or seen != self._status_seen
            self._status_seen = seen
            self._broadcast(event)
