"""The only writer of history: batch after batch from the inbox to the disk; then the acknowledgements.

The clerk owns the database's one writing connection, in its own thread. What it has answered is on disk. Where the disk
takes nothing, it says so, answers nobody, and tries again until it does.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import closing
from pathlib import Path

from kiosk.ballast import Ballast
from kiosk.clock import Clock, boottime_ms
from kiosk.commands import Command, CommandRefused, Done
from kiosk.desk import NOT_RECORDING, Desk
from kiosk.domain.entries import At, Entry, to_object
from kiosk.domain.notices import Notice, notices
from kiosk.inbox import Heard, Inbox, Item
from kiosk.proofs import canonical
from kiosk.snapshot import forget
from kiosk.store.faults import DISK_FULL, disk_fault, forget_cache, require_tail
from kiosk.store.quarantine import is_damage
from lab_config.model import Lab

log = logging.getLogger(__name__)

BATCH = 64
HEARTBEAT_S = 25.0
"""Real seconds between signs of life on disk; hours.md allows 30."""
IDLE_WAIT_S = 1.0
"""The longest sleep: a clock that steps is noticed within it."""
RETRY_MS = 2_000
"""Real time between two attempts at a disk that took nothing; long enough that the red screen is seen."""

Listener = Callable[[Sequence[Entry]], None]


class Clerk(threading.Thread):
    """The thread at the desk.

    A disk that fails is waited for. Any other exception ends the process: an hour that cannot be kept must not seem
    kept.
    """

    def __init__(self, database: Path, lab: Lab, clock: Clock, inbox: Inbox, listener: Listener) -> None:
        super().__init__(name="clerk")
        self._database = database
        self._lab = lab
        self._clock = clock
        self._inbox = inbox
        self._listener = listener
        self._ready: Future[None] = Future()
        self._ballast = Ballast(database.parent)
        self._in_hand: Sequence[Item] = ()
        self._lost_in_hand = 0
        self._unrecorded = 0
        """Observations dropped since the disk failed."""
        self._in_doubt = 0
        """Those of a transaction that failed: its last sync may have written it all the same."""
        self._last: Entry | None = None
        self._size: int | None = None
        """How long the log was at the last success."""
        self.trouble = ""
        """Why nothing is recorded now, a code of `kiosk.store.faults`; empty while all is well."""
        self.counters: Counter[str] = Counter()
        self.notices: Mapping[str, Notice] = {}
        """What is on disk about each machine; replaced whole, before the entries that changed it are told."""
        self.heard_utc_ms: Mapping[str, int | None] = {}
        """When each machine was last heard, UTC; replaced whole, so other threads may read it."""

    def wait_ready(self, timeout_s: float) -> None:
        """Until taps are accepted or `trouble` says why not; raises what kept the clerk from starting otherwise."""
        self._ready.result(timeout_s)

    def submit(self, command: Command, timeout_s: float = 30.0) -> Done:
        """Ask and wait for the answer; `CommandRefused` for a no, or where the clerk does not answer in time."""
        answer = self._inbox.ask(command)
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            raise CommandRefused("no_answer", "the kiosk is busy; try again") from None
        except CancelledError:
            raise CommandRefused("stopping", "the kiosk is stopping; try again once it runs") from None

    def run(self) -> None:
        """Open, start, then take batch after batch until the inbox is closed; a disk that fails is waited for."""
        while not self._record() and not self._inbox.closed:
            self._refuse_for_a_while()

    def _record(self) -> bool:
        """Until the inbox is closed: True; until the disk fails: False. Whatever else is raised ends the process."""
        try:
            if self.trouble:
                forget_cache(self._database)
            with closing(Desk(self._database, self._clock, self._lab)) as desk:
                self._start(desk)
                self._work(desk)
                self._tell(desk.pass_time(heartbeat=True))
        except Exception as error:
            if is_damage(error):
                forget(self._database)  # the next start looks at all of it, and puts it aside
            fault = disk_fault(error, self._database.parent)
            if fault is not None:
                self._stop_recording(fault, error)
                return False
            if self._ready.done():
                raise
            self._ready.set_exception(error)  # handed to whoever waits for the start, whatever it is
        return True

    def _start(self, desk: Desk) -> None:
        """A start, the first or after the disk failed; from its end on taps are accepted."""
        if self.trouble and self._last is not None and not desk.begins_anew:
            require_tail(desk.connection, self._last.seq, canonical(to_object(self._last)))
        self._drop_what_is_queued()
        if self._size is not None and desk.core.state.size > self._size:
            self._in_doubt = 0  # the transaction that failed to report its success is there, whole
        self._size = desk.core.state.size
        self._in_doubt, self._unrecorded = self._in_doubt + self._unrecorded, 0
        entries = desk.start(self._in_doubt)
        self._in_doubt = 0
        self._note(desk)
        if self.trouble:
            log.warning("recording again, after %s", self.trouble)
        self.trouble = ""
        self._tell(entries)
        self._ballast.keep()
        if not self._ready.done():
            self._ready.set_result(None)

    def _stop_recording(self, fault: str, error: Exception) -> None:
        """The batch in hand is answered with a no and counted; its memory, ahead of the disk, is gone with the desk."""
        if fault != self.trouble:
            log.error("NOT RECORDING (%s): %s; trying again every %g s", fault, error, RETRY_MS / 1000)
        self.trouble = fault
        items, self._in_hand = self._in_hand, ()
        lost, self._lost_in_hand = self._lost_in_hand, 0
        self._in_doubt += lost + self._drop(items)
        if fault == DISK_FULL:
            self._ballast.free()
        if not self._ready.done():
            self._ready.set_result(None)

    def _refuse_for_a_while(self) -> None:
        until_ms = boottime_ms() + RETRY_MS
        while (left_ms := until_ms - boottime_ms()) > 0 and not self._inbox.closed:
            self._unrecorded += self._drop(self._inbox.take(BATCH, left_ms / 1000)) + self._inbox.take_lost()

    def _drop_what_is_queued(self) -> None:
        """What was heard while the screen was red is not recorded a moment later, with a stamp before the start."""
        while self.trouble and (items := self._inbox.take(BATCH, 0)):
            self._unrecorded += self._drop(items)

    def _drop(self, items: Sequence[Item]) -> int:
        """A no for each command; an acknowledgement for the broker, lest it goes silent. How many were observations?"""
        heard = [item for item in items if isinstance(item, Heard)]
        for item in items:
            if not isinstance(item, Heard):
                item.answer.set_exception(CommandRefused(NOT_RECORDING, self.trouble))
            elif item.on_stored is not None:
                item.on_stored()
        return len(heard)

    def _work(self, desk: Desk) -> None:
        beaten_ms = self._clock.stamp().boot_ms
        while not self._inbox.closed:
            due_s = desk.seconds_to_next_due()
            items = self._inbox.take(BATCH, IDLE_WAIT_S if due_s is None else min(due_s, IDLE_WAIT_S))
            stamp = self._clock.stamp()
            beat_due = stamp.boot_ms - beaten_ms >= HEARTBEAT_S * 1000 * self._clock.speed
            beaten_ms = stamp.boot_ms if beat_due else beaten_ms
            lost = self._inbox.take_lost()
            if beat_due:
                self._ballast.keep()
            if items or lost:
                self._batch(desk, items, lost, beat_due)
            elif (
                beat_due
                or (due_s is not None and desk.seconds_to_next_due() == 0.0)
                or not desk.core.state.timeline.follows(stamp)
            ):
                entries = desk.pass_time(heartbeat=beat_due)
                self._note(desk)
                self._tell(entries)

    def _batch(self, desk: Desk, items: Sequence[Item], lost: int, beat_due: bool) -> None:
        self._in_hand, self._lost_in_hand = items, lost
        entries, answers = desk.handle(items, lost, heartbeat=beat_due)
        self._in_hand, self._lost_in_hand = (), 0
        for item in items:
            if isinstance(item, Heard) and item.on_stored is not None:
                item.on_stored()
        for answer in answers:
            answer.give()
        self._note(desk)
        self._tell(entries)

    def _note(self, desk: Desk) -> None:
        ears = desk.core.watch.machines.ears
        utc_ms = desk.core.state.timeline.utc_ms
        self.notices = notices(desk.core.state, desk.core.state.timeline.moment(self._now()))
        self.heard_utc_ms = {
            machine: utc_ms(ear.last_heard) if ear.last_heard is not None else None for machine, ear in ears.items()
        }

    def _now(self) -> At:
        stamp = self._clock.stamp()
        return At(stamp.boot, stamp.boot_ms)

    def _tell(self, entries: Sequence[Entry]) -> None:
        if entries:
            self._last = entries[-1]
            self._size = self._last.seq + 1
            self.counters.update(entry.body.type for entry in entries)
            self._listener(entries)
