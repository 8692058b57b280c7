"""Stamps on arrival; bounded; admits overflow aloud.

Links and people hand over what they have to say; the clerk takes it in the order of the stamps. A stamp and its place
in the queue are given together, so that no later stamp ever stands before an earlier one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from firmware_bridge.observations import Observation
from kiosk.clock import Clock
from kiosk.commands import Command, Done
from kiosk.domain.entries import Stamp

CAPACITY = 1_024
"""Unwritten observations (contract, section 10)."""


@dataclass(frozen=True)
class Heard:
    """A link's observation; `on_stored` is called once it is on disk, or once it is known to mean nothing."""

    stamp: Stamp
    observation: Observation
    on_stored: Callable[[], None] | None = None


@dataclass(frozen=True)
class Asked:
    """A person's command and where its answer goes."""

    stamp: Stamp
    command: Command
    answer: Future[Done]


Item = Heard | Asked


class Inbox:
    """The one queue between everything that hears and the clerk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._closed = False

    def deliver(self, observation: Observation, on_stored: Callable[[], None] | None = None) -> None:
        """Stamp an observation now and queue it; a full queue counts it as lost instead."""
        with self._changed:
            full = len(self._items) >= CAPACITY
            if full:
                self._lost += 1
            else:
                self._items.append(Heard(self._clock.stamp(), observation, on_stored))
            self._changed.notify()
        if full and on_stored is not None:
            # The loss will be entered; a broker that waited for this acknowledgement would send nothing more.
            on_stored()

    def ask(self, command: Command) -> Future[Done]:
        """Stamp a command now and queue it; people wait for their answer, so a full queue takes it all the same."""
        answer: Future[Done] = Future()
        with self._changed:
            if self._closed:
                answer.cancel()
            else:
                self._items.append(Asked(self._clock.stamp(), command, answer))
            self._changed.notify()
        return answer

    def take(self, limit: int, timeout_s: float) -> list[Item]:
        """Up to `limit` items; an empty list after `timeout_s` without any, or once the inbox is closed and empty."""
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait(timeout_s)
            return [self._items.popleft() for _ in range(min(limit, len(self._items)))]

    def take_lost(self) -> int:
        """How many observations were lost since the last call."""
        with self._changed:
            lost, self._lost = self._lost, 0
            return lost

    def close(self) -> None:
        """Nothing new is taken; what is queued is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Has `close` been called, and is nothing left?"""
        with self._changed:
            return self._closed and not self._items
