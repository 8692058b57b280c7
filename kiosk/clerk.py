"""The only writer of history: one batch, one transaction - entry, fold, views, outbox; then the acknowledgements.

The clerk owns the database's one writing connection, in its own thread. What it has answered is on disk.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path

from firmware_bridge import observations as wire
from kiosk import refs
from kiosk.clock import Clock
from kiosk.commands import Command, CommandRefused, Done
from kiosk.domain import observations as o
from kiosk.domain.core import Core
from kiosk.domain.deadlines import next_due
from kiosk.domain.entries import At, Entry, LogStarted, Stamp, TapRefused, to_object
from kiosk.domain.rulebook import adopted
from kiosk.domain.sessions import evolve
from kiosk.domain.timeline import STEP_MS
from kiosk.inbox import Asked, Heard, Inbox, Item
from kiosk.projection import fold, project, queue_released
from kiosk.proofs import canonical
from kiosk.registrar import Registrar
from kiosk.store import people
from kiosk.store.ledger import Ledger
from kiosk.store.meta import Heartbeat, beat, last_heartbeat
from kiosk.store.schema import open_writer, write
from lab_config.model import Lab

log = logging.getLogger(__name__)

BATCH = 64
HEARTBEAT_S = 25.0
"""Real seconds between signs of life on disk; hours.md allows 30."""
IDLE_WAIT_S = 1.0
"""The longest sleep: a clock that steps is noticed within it."""

Listener = Callable[[Sequence[Entry]], None]


class Desk:
    """The clerk's work without its thread: open, handle, close. Commands on a kiosk that is not running use it too."""

    def __init__(self, database: Path, clock: Clock, lab: Lab | None) -> None:
        self._clock = clock
        self._lab = lab
        self._connection = open_writer(database)
        self._ledger = Ledger(self._connection)
        self.core = Core(refs.new_nonce)
        self._badge_refs: dict[str, str] = {}
        self._strangers: dict[str, str] = {}
        self._new: list[Entry] = []
        fold(self._connection, self.core.state)
        self._registrar = Registrar(self._connection, self.core.state)
        self._badge_refs = {badge.uid: badge.badge_ref for badge in people.badges(self._connection)}

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The writing connection, for this thread only."""
        return self._connection

    def start(self) -> list[Entry]:
        """A start after a stop, or the first of a log; adopts the configuration where a lab is given."""
        return self.start_at(self._clock.stamp())

    def start_at(self, stamp: Stamp) -> list[Entry]:
        """The same with a stamp of the caller's."""
        with write(self._connection):
            if self._ledger.size == 0:
                self._begin_log(stamp)
            heartbeat = last_heartbeat(self._connection)
            known = heartbeat is not None and heartbeat.boot in self.core.state.timeline.boot_ids
            last = At(heartbeat.boot, heartbeat.boot_ms) if known and heartbeat is not None else None
            self._hear(stamp, o.Booted(last))
            if self._lab is not None:
                self._hear(stamp, o.Adopted(*adopted(self._lab)))
            return self._settle(stamp)

    def _begin_log(self, stamp: Stamp) -> None:
        if self._lab is None:
            raise CommandRefused("no_log", "the log has no name yet: start sheber run once, which begins it")
        log_id = f"{self._lab.id}/{refs.new_ref()}"
        self._ledger.name_log(log_id)
        entry = Entry(0, stamp, refs.new_nonce(), LogStarted(log_id))
        self._append(entry)
        evolve(self.core.state, entry)

    def handle(
        self, items: Iterable[Item], lost: int = 0, *, heartbeat: bool = False
    ) -> tuple[list[Entry], list[_Answer]]:
        """One transaction for a batch: the entries it made, and the answers to give now that it is on disk."""
        answers: list[_Answer] = []
        stamp = self._clock.stamp()
        with write(self._connection):
            if lost:
                self._hear(stamp, o.Lost(lost, "queue_full"))
            for item in items:
                stamp = item.stamp
                self._check_clock(stamp)
                if isinstance(item, Heard):
                    self._observe(item)
                else:
                    answers.append(self._answer(item))
            return self._settle(stamp, heartbeat=heartbeat), answers

    def record(self, stamp: Stamp, heard: o.Observation) -> None:
        """Hand one observation to the domain, inside the caller's transaction (`relive`)."""
        self._hear(stamp, heard)

    def relive(self, observations: Iterable[tuple[Stamp, o.Observation | Command]]) -> list[Entry]:
        """A recorded stretch of history, through the same core, in one transaction."""
        stamp = self._clock.stamp()
        with write(self._connection):
            for stamp, heard in observations:
                if isinstance(heard, Command):
                    self._registrar.perform(heard, stamp, lambda asked, at=stamp: self._hear(at, asked))  # type: ignore[misc]
                else:
                    self._hear(stamp, heard)
            return self._settle(stamp)

    def pass_time(self, *, heartbeat: bool) -> list[Entry]:
        """Nothing was heard: what was due by now, and perhaps a sign of life."""
        stamp = self._clock.stamp()
        with write(self._connection):
            self._check_clock(stamp)
            self._hear(stamp, o.Alive())
            return self._settle(stamp, heartbeat=heartbeat)

    def seconds_to_next_due(self) -> float | None:
        """Real seconds until something happens by itself; None where nothing will."""
        due = next_due(self.core.state, self.core.watch)
        if due is None:
            return None
        stamp = self._clock.stamp()
        timeline = self.core.state.timeline
        now_ms = timeline.axis(timeline.moment(At(stamp.boot, stamp.boot_ms)))
        return max(0.0, (due.axis_ms - now_ms) / 1000 / self._clock.speed)

    def badge_ref(self, uid: str) -> str:
        """The reference of a badge number; an unknown badge keeps the one it is given first."""
        known = self._badge_refs.get(uid) or self._strangers.get(uid)
        if known is not None:
            return known
        found = people.badge_by_uid(self._connection, uid)
        if found is not None:
            self._badge_refs[uid] = found.badge_ref
            return found.badge_ref
        self._strangers[uid] = refs.new_ref()
        return self._strangers[uid]

    def _observe(self, item: Heard) -> None:
        heard = translate(item.observation, self.badge_ref)
        if heard is not None:
            before = len(self._new)
            self._hear(item.stamp, heard)
            self._remember_stranger(self._new[before:])

    def _remember_stranger(self, entries: Sequence[Entry]) -> None:
        """An unknown badge that was refused can be enrolled later: its number is kept beside the ledger."""
        for entry in entries:
            if isinstance(entry.body, TapRefused) and entry.body.reason == "unknown_badge" and entry.body.badge_ref:
                for uid, badge_ref in list(self._strangers.items()):
                    if badge_ref == entry.body.badge_ref:
                        people.insert_badge(self._connection, badge_ref, uid, None)
                        self._badge_refs[uid] = badge_ref
                self._strangers.clear()

    def _answer(self, item: Asked) -> _Answer:
        try:
            done = self._registrar.perform(item.command, item.stamp, lambda heard: self._hear(item.stamp, heard))
        except CommandRefused as refused:
            return _Answer(item.answer, refused)
        return _Answer(item.answer, done)

    def _check_clock(self, stamp: Stamp) -> None:
        """A synchronised wall clock that the timeline does not follow is an observation of its own."""
        timeline = self.core.state.timeline
        now = timeline.moment(At(stamp.boot, stamp.boot_ms))
        if stamp.synced and (not timeline.certain(now) or abs(stamp.wall_ms - timeline.utc_ms(now)) > STEP_MS):
            self._hear(stamp, o.ClockChanged())

    def _hear(self, stamp: Stamp, heard: o.Observation) -> tuple[int, ...]:
        first = len(self._new)
        for entry in self.core.hear(stamp, heard):
            self._append(entry)
        return tuple(entry.seq for entry in self._new[first:])

    def _append(self, entry: Entry) -> None:
        seq = self._ledger.append(entry.body.type, canonical(to_object(entry)))
        if seq != entry.seq:
            raise RuntimeError(f"entry {entry.seq} landed at {seq}: another process wrote to this ledger")
        queue_released(self._connection, entry)
        self._new.append(entry)

    def _settle(self, stamp: Stamp, *, heartbeat: bool = False) -> list[Entry]:
        """The end of a transaction: views, and a sign of life."""
        project(self._connection, self.core.state)
        if heartbeat:
            beat(self._connection, Heartbeat(stamp.boot, stamp.boot_ms, stamp.wall_ms))
        entries, self._new = self._new, []
        return entries


class _Answer:
    """What a person is told once the batch is on disk."""

    def __init__(self, future: Future[Done], result: Done | CommandRefused) -> None:
        self._future = future
        self._result = result

    def give(self) -> None:
        """Tell them."""
        if isinstance(self._result, CommandRefused):
            self._future.set_exception(self._result)
        else:
            self._future.set_result(self._result)


class Clerk(threading.Thread):
    """The thread at the desk. An exception in it ends the process: an hour that cannot be kept must not seem kept."""

    def __init__(self, database: Path, lab: Lab, clock: Clock, inbox: Inbox, listener: Listener) -> None:
        super().__init__(name="clerk")
        self._database = database
        self._lab = lab
        self._clock = clock
        self._inbox = inbox
        self._listener = listener
        self._ready: Future[None] = Future()
        self.counters: Counter[str] = Counter()
        self.open_at_start: Mapping[str, set[int]] = {}
        """By machine: the sessions that survived the restart; set before `wait_ready` returns."""
        self.heard_utc_ms: Mapping[str, int | None] = {}
        """When each machine was last heard, UTC; replaced whole, so other threads may read it."""

    def wait_ready(self, timeout_s: float) -> None:
        """Until taps are accepted; raises what kept the clerk from starting."""
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
        """Open, start, then take batch after batch until the inbox is closed."""
        try:
            desk = Desk(self._database, self._clock, self._lab)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the start, whatever it is
            self._ready.set_exception(error)
            return
        try:
            entries = desk.start()
            self.open_at_start = {m: set(ids) for m, ids in desk.core.state.open_by_machine.items()}
            self._tell(entries)
            self._ready.set_result(None)
            self._work(desk)
            self._tell(desk.pass_time(heartbeat=True))
        finally:
            desk.close()

    def _work(self, desk: Desk) -> None:
        beaten_ms = self._clock.stamp().boot_ms
        while not self._inbox.closed:
            due_s = desk.seconds_to_next_due()
            items = self._inbox.take(BATCH, IDLE_WAIT_S if due_s is None else min(due_s, IDLE_WAIT_S))
            stamp = self._clock.stamp()
            beat_due = stamp.boot_ms - beaten_ms >= HEARTBEAT_S * 1000 * self._clock.speed
            beaten_ms = stamp.boot_ms if beat_due else beaten_ms
            lost = self._inbox.take_lost()
            if items or lost:
                self._batch(desk, items, lost, beat_due)
            elif beat_due or (due_s is not None and desk.seconds_to_next_due() == 0.0) or self._stepped(desk, stamp):
                self._tell(desk.pass_time(heartbeat=beat_due))

    def _batch(self, desk: Desk, items: Sequence[Item], lost: int, beat_due: bool) -> None:
        entries, answers = desk.handle(items, lost, heartbeat=beat_due)
        for item in items:
            if isinstance(item, Heard) and item.on_stored is not None:
                item.on_stored()
        for answer in answers:
            answer.give()
        self._note_heard(desk)
        self._tell(entries)

    def _stepped(self, desk: Desk, stamp: Stamp) -> bool:
        """Does a synchronised wall clock say something else than the timeline?"""
        timeline = desk.core.state.timeline
        now = timeline.moment(At(stamp.boot, stamp.boot_ms))
        return stamp.synced and (not timeline.certain(now) or abs(stamp.wall_ms - timeline.utc_ms(now)) > STEP_MS)

    def _note_heard(self, desk: Desk) -> None:
        ears = desk.core.watch.machines.ears
        utc_ms = desk.core.state.timeline.utc_ms
        self.heard_utc_ms = {
            machine: utc_ms(ear.last_heard) if ear.last_heard is not None else None for machine, ear in ears.items()
        }

    def _tell(self, entries: Sequence[Entry]) -> None:
        if entries:
            self.counters.update(entry.body.type for entry in entries)
            self._listener(entries)


def translate(observation: wire.Observation, badge_ref: Callable[[str], str]) -> o.Observation | None:
    """What a link said, in the domain's words; None for what is about the kiosk and no history."""
    match observation:
        case wire.BadgeSeen(reader=reader, uid=uid):
            return o.BadgeRead(reader, badge_ref(uid)) if uid.strip("0") else None
        case wire.MachineReported():
            return o.MachineHeard(observation.machine, observation.state, observation.power_w, observation.retained)
        case wire.SourceLost(machine=machine):
            return o.MachineGone(machine)
        case wire.BrokerChanged(connected=connected):
            return o.BrokerHeard(connected)
        case wire.ReaderChanged():
            return None
