"""Taps, one at a time and ten at once, each beside a durable commit and an fdatasync of the same seconds."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from firmware_bridge.simulator.frames import rdm6300
from firmware_bridge.simulator.virtual_reader import BITS_A_BYTE, VirtualReader
from tests.bench.commits import Commits
from tests.bench.floor import Floor
from tests.bench.process import Stream

BYTE_S = BITS_A_BYTE / 9600
FRAME_S = len(rdm6300("6700000000")) * BYTE_S
"""What the frame itself takes on the wire: 14 bytes at 9600 baud."""
PAUSE_S = (0.020, 0.100)
"""Before each tap, each commit and each fdatasync: people come like that, and a disk that has rested is slower."""
PATIENCE_S = 3.0
LOOK_EVERY_S = 0.000_05
"""How often the bench looks for the commit: a whole core is not taken from the kiosk, and no figure becomes smaller."""


@dataclass
class Series:
    """One figure a tap, in seconds."""

    committed_s: list[float] = field(default_factory=list)
    event_s: list[float] = field(default_factory=list)
    commit_s: list[float] = field(default_factory=list)
    """One durable commit of the bench's own, on the same disk."""
    sync_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    """How much too late the bench woke from its pauses: what the machine makes every thread of a tap wait."""
    unanswered: int = 0
    shared: int = 0
    """Taps that are not in `committed_s`, since another transaction fell into their time."""


class Taps:
    """Puts badges on the lines and watches what comes of it. After each tap it waits for the answer: one at a time."""

    def __init__(
        self,
        readers: Mapping[str, VirtualReader],
        visits: Iterator[tuple[str, str]],
        commits: Commits,
        stream: Stream,
        floor: Floor,
        chance: Random,
    ) -> None:
        self._readers = readers
        self._visits = visits
        self._commits = commits
        self._stream = stream
        self._floor = floor
        self._chance = chance

    def like_people(self, count: int) -> Series:
        """Bytes at the pace of the wire, and a pause before everything that touches the disk."""
        series = Series()
        for _ in range(count):
            series.late_s.append(self._rest())
            self._tap(series, on_the_wire=True)
            series.late_s.append(self._rest())
            series.commit_s.append(self._floor.commit_s())
            series.late_s.append(self._rest())
            series.sync_s.append(self._floor.sync_s())
        return series

    def back_to_back(self, count: int) -> Series:
        """The frame at once, and no pause: tap, commit, fdatasync, tap."""
        series = Series()
        for _ in range(count):
            self._tap(series, on_the_wire=False)
            series.commit_s.append(self._floor.commit_s())
            series.sync_s.append(self._floor.sync_s())
        return series

    def all_at_once(self, count: int) -> list[float]:
        """Every reader at the same moment, `count` times: seconds until the last of the answers."""
        last_s = []
        for _ in range(count):
            self._rest()
            crowd = [next(self._visits) for _ in self._readers]
            for reader, uid in crowd:
                self._readers[reader].raw(rdm6300(uid))
            began_s = time.monotonic()
            answers = 0
            while answers < len(crowd) and time.monotonic() - began_s < PATIENCE_S:
                select.select([self._stream.socket], [], [], PATIENCE_S)
                answers += self._stream.taps()
            last_s.append(time.monotonic() - began_s)
        return last_s

    def _tap(self, series: Series, *, on_the_wire: bool) -> None:
        reader, uid = next(self._visits)
        line, frame = self._readers[reader], rdm6300(uid)
        if on_the_wire:
            for byte in frame[:-1]:
                line.raw(bytes((byte,)))
                time.sleep(BYTE_S)
        else:
            line.raw(frame[:-1])
        before = self._commits.count()
        line.raw(frame[-1:])
        began_s = time.monotonic()
        committed_s: float | None = None
        while True:
            now_s = time.monotonic()
            if committed_s is None and self._commits.count() != before:
                committed_s = now_s
            if self._stream.taps():
                series.event_s.append(now_s - began_s)
                break
            if now_s - began_s > PATIENCE_S:
                series.unanswered += 1
                return
            select.select([self._stream.socket], [], [], LOOK_EVERY_S)
        if committed_s is not None and self._commits.count() - before == 1:
            series.committed_s.append(committed_s - began_s)
        else:
            series.shared += 1

    def _rest(self) -> float:
        """Pause as people do; returns how many seconds too late it ended."""
        pause_s = self._chance.uniform(*PAUSE_S)
        began_s = time.monotonic()
        time.sleep(pause_s)
        return time.monotonic() - began_s - pause_s
