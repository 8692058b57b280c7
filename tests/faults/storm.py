"""The kill -9 storm: `python -m tests.faults.storm --seed 7 --kills 50` prints its figures and every broken promise.

A real kiosk on pseudo-terminals is tapped at random, killed at a random moment, started again on the same data, and so
on; then `oracle.judge` compares what was tapped, what was shown and what the ledger says.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from firmware_bridge.simulator.frames import rdm6300
from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.clock import SystemClock, boottime_ms
from kiosk.office import DATABASE
from kiosk.store.schema import open_reader
from tests.faults.kiosk_life import Life, LifeError
from tests.faults.nursery import Nursery
from tests.faults.oracle import LifeStory, Tap, judge
from tests.faults.workshop import BADGES, READERS, prepare, write_lab

PATIENCE_S = 40.0
COMMAND_EVERY = 20
"""Each so many lives the kiosk is the installed command; in between, a fork that has imported the same code before."""


@dataclass
class Figures:
    """What a storm did and found."""

    seed: int
    kills: int = 0
    in_flight: int = 0
    """Kills at a moment when the last byte of a tap had been written and its answer was not shown."""
    half_written: int = 0
    """Of these, kills after which the tap was entered although nobody had been told."""
    starting: int = 0
    """Kills before the kiosk took taps."""
    taps: int = 0
    answered: int = 0
    entries: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Storm:
    """One data folder, many lives."""

    def __init__(self, folder: Path, chance: Random, nursery: Nursery, readers: dict[str, VirtualReader]) -> None:
        self._chance = chance
        self._nursery = nursery
        self._readers = readers
        self._log = folder / "run.log"
        self._lab = write_lab(folder / "lab", {name: reader.port for name, reader in readers.items()})
        self.data = folder / "data"
        self._latencies_s = [0.004]
        self.lives: list[LifeStory] = []
        prepare(self.data, self._lab, SystemClock())

    def live_and_die(self, figures: Figures) -> None:
        """One start, some taps, one kill."""
        command = len(self.lives) % COMMAND_EVERY == COMMAND_EVERY - 1
        story = LifeStory()
        self.lives.append(story)
        life = Life(None if command else self._nursery, self._lab, self.data, self._log)
        if self._chance.random() < 0.1:
            time.sleep(self._chance.uniform(0, 1.5 if command else 0.15))
            figures.starting += 1
        else:
            life.come_up()
            with self._onlooker() as look:
                self._tap(life, story, look)
                missing = len(story.taps) - life.look()
                figures.in_flight += missing > 0
                life.kill()
        if life.alive:
            life.kill()
        self._close_the_books(life, story)
        figures.kills += 1
        figures.taps += len(story.taps)
        figures.answered += len(story.shown)

    def _tap(self, life: Life, story: LifeStory, look: Onlooker) -> None:
        """Bursts at one to three readers; in most lives the end comes soon after the last burst was written."""
        chance = self._chance
        abrupt = chance.random() < 0.85
        bursts = chance.randint(1, 4)
        for number in range(bursts):
            taps = self._burst(chance.randint(1, 3))
            story.taps += taps
            if abrupt and number == bursts - 1:
                time.sleep(chance.uniform(0, 1.3 * statistics.median(self._latencies_s[-20:])))
                return
            began_s = time.monotonic()
            self._await(life, story, began_s)
            over_ms = boottime_ms()
            for tap in taps:
                tap.over_ms, tap.answered = over_ms, True
            look(story.seen)
            time.sleep(chance.uniform(0.002, 0.02))  # and at least one millisecond, so that no two taps share one
        if chance.random() < 0.3:
            self._readers[chance.choice(READERS)].raw(rdm6300(chance.choice(BADGES))[: chance.randint(1, 13)])

    def _await(self, life: Life, story: LifeStory, began_s: float) -> None:
        while life.look(0.001) < len(story.taps):
            if time.monotonic() - began_s > PATIENCE_S:
                raise LifeError(f"a tap was not answered within {PATIENCE_S:g} s; {life.words()[-2000:]}")
        self._latencies_s.append(time.monotonic() - began_s)

    def _burst(self, size: int) -> list[Tap]:
        taps = []
        for reader in self._chance.sample(READERS, size):
            taps.append(Tap(reader, self._chance.choice(BADGES), boottime_ms()))
            self._readers[reader].tap(taps[-1].uid)
        return taps

    @contextmanager
    def _onlooker(self) -> Iterator[Onlooker]:
        with closing(open_reader(self.data / DATABASE)) as connection:
            yield Onlooker(connection)

    def _close_the_books(self, life: Life, story: LifeStory) -> None:
        story.shown = tuple(life.shown)
        dead_ms = boottime_ms()
        for tap in story.taps:
            if tap.over_ms < 0:
                tap.over_ms = dead_ms
        time.sleep(0.001)


class Onlooker:
    """A read-only connection of another process: what it has read must stay."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last = -1

    def __call__(self, seen: dict[int, bytes]) -> None:
        """Read what is new."""
        rows = self._connection.execute("SELECT seq, bytes FROM ledger WHERE seq > ? ORDER BY seq", (self._last,))
        for seq, data in rows.fetchall():
            seen[seq] = bytes(data)
            self._last = seq


def rage(seed: int, kills: int, folder: Path) -> Figures:
    """A whole storm in `folder`; the same seed makes the same taps, though never the same milliseconds."""
    figures = Figures(seed)
    began_s = time.monotonic()
    with ExitStack() as stack:
        nursery = Nursery()
        stack.callback(nursery.close)
        readers = {name: VirtualReader("rdm6300") for name in READERS}
        for reader in readers.values():
            stack.callback(reader.close)
        storm = Storm(folder, Random(seed), nursery, readers)
        for _ in range(kills):
            storm.live_and_die(figures)
        figures.faults = judge(storm.data, storm.lives)
        with closing(open_reader(storm.data / DATABASE)) as connection:
            (figures.entries,) = connection.execute("SELECT count(*) FROM ledger").fetchone()
        for story in storm.lives:
            told = set(story.shown)
            figures.half_written += any(tap.entry is not None and tap.entry not in told for tap in story.taps)
    figures.seconds = round(time.monotonic() - began_s, 1)
    return figures


def main() -> int:
    """Parse, rage, print; status 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sheber-storm-") as folder:
        figures = rage(asked.seed, asked.kills, Path(folder))
    print(json.dumps(asdict(figures), ensure_ascii=False, indent=1))
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
