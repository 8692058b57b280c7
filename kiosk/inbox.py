"""Stamps on arrival; bounded; admits overflow aloud.

Links and people hand over what they have to say; the clerk takes it in the order of the stamps. A stamp and its place
in the queue are given together, so that no later stamp ever stands before an earlier one.

A machine that says the same again is alive, and that is all: of equal reports within a second the first and the last
stand for all of them (silence is counted in seconds, and a stretch of samples by its ends), and nobody is woken.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from firmware_bridge.observations import BrokerChanged, MachineReported, Observation, SourceLost
from kiosk.clock import Clock
from kiosk.commands import Command, Done
from kiosk.domain.entries import Stamp

CAPACITY = 1_024
"""Unwritten observations (contract, section 10)."""
FOLDED_MS = 1_000
"""Of the clock that stamps: the longest that no queued report of a machine that goes on reporting tells."""


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


@dataclass
class Speaker:
    """What a machine said last, and where its latest repetition waits."""

    said: MachineReported
    kept_ms: int
    """When it was last said in a report that stays."""
    last_ms: int
    place: int | None = None
    """Of the repetition that the next one replaces."""


class Inbox:
    """The one queue between everything that hears and the clerk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: OrderedDict[int, Item] = OrderedDict()
        self._next = 0
        self._is_urgent = False
        """Is there more to take than repetitions?"""
        self._speakers: dict[str, Speaker] = {}
        self._changed = threading.Condition()
        self._lost = 0
        self._closed = False

    def deliver(self, observation: Observation, on_stored: Callable[[], None] | None = None) -> None:
        """Stamp an observation now and queue it; a full queue counts it as lost instead."""
        with self._changed:
            stamp = self._clock.stamp()
            repeated = self._repeated(observation, stamp)
            full = len(self._items) >= CAPACITY
            if full:
                self._lost += 1
            elif repeated is not None:
                repeated.place = self._put(Heard(stamp, observation))
            else:
                self._put(Heard(stamp, observation, on_stored))
            if repeated is None or full:
                self._wake()
        if on_stored is not None and (full or repeated is not None):
            # A loss will be entered and a repetition enters nothing; a broker that waited would send nothing more.
            on_stored()

    def ask(self, command: Command) -> Future[Done]:
        """Stamp a command now and queue it; people wait for their answer, so a full queue takes it all the same."""
        answer: Future[Done] = Future()
        with self._changed:
            if self._closed:
                answer.cancel()
            else:
                self._put(Asked(self._clock.stamp(), command, answer))
            self._wake()
        return answer

    def take(self, limit: int, timeout_s: float) -> list[Item]:
        """Up to `limit` items; after `timeout_s`, or once the inbox is closed, what there is, if anything."""
        with self._changed:
            if not self._is_urgent and not self._closed:
                self._changed.wait(timeout_s)
            taken = [self._items.popitem(last=False)[1] for _ in range(min(limit, len(self._items)))]
            self._is_urgent = bool(self._items)
            return taken

    def _put(self, item: Item) -> int:
        place, self._next = self._next, self._next + 1
        self._items[place] = item
        return place

    def _wake(self) -> None:
        self._is_urgent = True
        self._changed.notify()

    def _repeated(self, observation: Observation, stamp: Stamp) -> Speaker | None:
        """Who it was, where this only repeats what was said within the second; its room in the queue is made free.

        Anything else that is heard of the machine, or of the broker, begins anew.
        """
        now_ms = stamp.boot_ms
        match observation:
            case MachineReported(retained=False):
                speaker = self._speakers.get(observation.machine)
                if (
                    speaker is None
                    or speaker.said != observation
                    or not 0 <= stamp.boot_ms - speaker.last_ms <= FOLDED_MS
                ):
                    self._speakers[observation.machine] = Speaker(observation, now_ms, now_ms)
                    return None
                if now_ms - speaker.kept_ms > FOLDED_MS:
                    speaker.kept_ms, speaker.place = speaker.last_ms, None
                if speaker.place is not None:
                    self._items.pop(speaker.place, None)
                speaker.last_ms = now_ms
                return speaker
            case MachineReported(machine=machine) | SourceLost(machine=machine):
                self._speakers.pop(machine, None)
            case BrokerChanged():
                self._speakers.clear()
        return None

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
