"""The clerk's work without its thread: one batch, one transaction - entry, fold, views, outbox; then the answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from firmware_bridge import observations as wire
from kiosk import refs
from kiosk.clock import Clock
from kiosk.commands import Command, CommandRefused, Done
from kiosk.domain import observations as o
from kiosk.domain.core import Core
from kiosk.domain.deadlines import next_due
from kiosk.domain.entries import At, Entry, LogStarted, PersonErased, Stamp, to_object
from kiosk.domain.rulebook import adopted
from kiosk.domain.sessions import evolve
from kiosk.inbox import Asked, Heard, Item
from kiosk.known_badges import KnownBadges
from kiosk.projection import note_act, project, queue_released
from kiosk.proofs import canonical
from kiosk.registrar import Registrar
from kiosk.seen import SeenBadges
from kiosk.snapshot import Memory, keep_after, rows_written
from kiosk.store.heritage import Heritage, inherit
from kiosk.store.ledger import Ledger
from kiosk.store.meta import Heartbeat, beat, last_heartbeat
from kiosk.store.quarantine import open_sound, put_aside
from kiosk.store.schema import empty_log, write
from kiosk.store.workshop import remember
from lab_config.model import Lab

NOT_RECORDING = "not_recording"
"""Of an observation that was dropped and of a command that was refused, because the disk took nothing."""


class Desk:
    """Open, handle, close. Commands on a kiosk that is not running use it too.

    What it holds in memory runs ahead of the disk inside a transaction: after an error it is closed and thrown away.
    """

    def __init__(self, database: Path, clock: Clock, lab: Lab | None) -> None:
        self._clock = clock
        self._lab = lab
        self._database = database
        memory = Memory(database)
        self._connection = open_sound(database, None if lab is None else clock.wall_ms(), memory.vouched)
        self._ledger = Ledger(self._connection)
        self.core = Core(refs.new_nonce)
        self._seen = SeenBadges()
        self._new: list[Entry] = []
        self._has_traces = False
        try:
            self.core.state, self._held = memory.recall(self._connection)
            self._badges = KnownBadges(self._connection)
            self._registrar = Registrar(self._connection, self.core.state, self._seen, self._badges)
        except BaseException:
            self.close()  # with its lock, or nobody could ever open the database again
            raise

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The writing connection, for this thread only."""
        return self._connection

    @property
    def begins_anew(self) -> bool:
        """Was the log before put aside as damaged, and is the next one not begun yet?"""
        return self._ledger.size == 0 and bool(put_aside(self._database))

    def start(self, unrecorded: int = 0) -> list[Entry]:
        """A start after a stop, or the first of a log; adopts the configuration where a lab is given.

        `unrecorded` observations were dropped before it, because the disk took nothing.
        """
        return self.start_at(self._clock.stamp(), unrecorded)

    def start_at(self, stamp: Stamp, unrecorded: int = 0) -> list[Entry]:
        """The same with a stamp of the caller's."""
        with write(self._connection):
            roster = self._begin_log(stamp) if self._ledger.size == 0 else ()
            heartbeat = last_heartbeat(self._connection)
            known = heartbeat is not None and heartbeat.boot in self.core.state.timeline.boot_ids
            last = At(heartbeat.boot, heartbeat.boot_ms) if known and heartbeat is not None else None
            self._hear(stamp, o.Booted(last))
            if self._lab is not None:
                self._hear(stamp, o.Adopted(*adopted(self._lab)))
                remember(self._connection, self._lab)
            for listed in roster:
                self._hear(stamp, listed)
            if unrecorded:
                self._hear(stamp, o.Lost(unrecorded, NOT_RECORDING))
            entries = self._settle(stamp)
            rows_written(self._connection)
        keep_after(self._database, self.core.state, self._held)
        return entries

    def _begin_log(self, stamp: Stamp) -> tuple[o.Observation, ...]:
        """The first entry; returns who people are, where a damaged log before this one is continued."""
        if self._lab is None:
            raise CommandRefused("no_log", "the log has no name yet: start sheber run once, which begins it")
        heritage = inherit(self._database, self._connection)
        self._name_log(self._lab.id, stamp, None if heritage is None else heritage.predecessor)
        return () if heritage is None else heritage.roster

    def _name_log(self, lab_id: str, stamp: Stamp, predecessor: Mapping[str, object] | None) -> None:
        log_id = f"{lab_id}/{refs.new_ref()}"
        self._ledger.name_log(log_id)
        entry = Entry(0, stamp, refs.new_nonce(), LogStarted(log_id, predecessor))
        self._append(entry)
        evolve(self.core.state, entry)

    def succeed(self, lab_id: str, take_over: Callable[[sqlite3.Connection], Heritage]) -> Heritage:
        """Begin the log of a restored backup with what `take_over` writes beside it and returns; in one transaction.

        The next start adopts a lab's configuration.
        """
        stamp = self._clock.stamp()
        with write(self._connection):
            heritage = take_over(self._connection)
            self._name_log(lab_id, stamp, heritage.predecessor)
            self._hear(stamp, o.Booted(None))
            for listed in heritage.roster:
                self._hear(stamp, listed)
            self._settle(stamp)
            rows_written(self._connection)
        return heritage

    def handle(
        self, items: Iterable[Item], lost: int = 0, *, heartbeat: bool = False
    ) -> tuple[list[Entry], list[Answer]]:
        """One transaction for a batch: the entries it made, and the answers to give now that it is on disk."""
        answers: list[Answer] = []
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
            entries = self._settle(stamp, heartbeat=heartbeat)
        self._leave_no_traces()
        return entries, answers

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
            entries = self._settle(stamp, heartbeat=heartbeat)
        self._leave_no_traces()
        return entries

    def badge_ref(self, uid: str) -> str:
        """The reference of a badge number, also of one that nobody has."""
        return self._badges.ref(uid)

    def _leave_no_traces(self) -> None:
        """After an erasure the write-ahead log still tells the names: it is emptied once nobody reads from it."""
        if self._has_traces:
            self._has_traces = not empty_log(self._connection)

    def seconds_to_next_due(self) -> float | None:
        """Real seconds until something happens by itself; None where nothing will."""
        due = next_due(self.core.state, self.core.watch)
        if due is None:
            return None
        stamp = self._clock.stamp()
        timeline = self.core.state.timeline
        now_ms = timeline.axis(timeline.moment(At(stamp.boot, stamp.boot_ms)))
        return max(0.0, (due.axis_ms - now_ms) / 1000 / self._clock.speed)

    def _observe(self, item: Heard) -> None:
        heard = translate(item.observation, self._badges.ref)
        if heard is not None:
            before = len(self._new)
            self._hear(item.stamp, heard)
            self._badges.remember_strangers(self._new[before:])

    def _answer(self, item: Asked) -> Answer:
        try:
            done = self._registrar.perform(item.command, item.stamp, lambda heard: self._hear(item.stamp, heard))
        except CommandRefused as refused:
            return Answer(item.answer, refused)
        return Answer(item.answer, done)

    def _check_clock(self, stamp: Stamp) -> None:
        """A synchronised wall clock that the timeline does not follow is an observation of its own."""
        if not self.core.state.timeline.follows(stamp):
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
        note_act(self._connection, entry)
        self._seen.note(entry)
        self._has_traces = self._has_traces or isinstance(entry.body, PersonErased)
        self._new.append(entry)

    def _settle(self, stamp: Stamp, *, heartbeat: bool = False) -> list[Entry]:
        """The end of a transaction: views, and a sign of life."""
        project(self._connection, self.core.state)
        if heartbeat:
            beat(self._connection, Heartbeat(stamp.boot, stamp.boot_ms, stamp.wall_ms))
        entries, self._new = self._new, []
        return entries


class Answer:
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
