"""A disk that fails: the Nth call of a kind answers an error (strace), or there is no room (tmpfs, file size limit).

A whole `sheber run` is tapped meanwhile, and started again on a disk that works; `oracle.judge` compares.
"""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.clock import SystemClock, boottime_ms
from tests.faults.kiosk_life import RED, Life, LifeError
from tests.faults.nursery import Nursery
from tests.faults.oracle import LifeStory, Tap, judge
from tests.faults.workshop import BADGES, READERS, prepare, write_lab

LEDGER_FILE = re.compile(r"/kiosk\.db(-wal)?>")
"""What an answer rests on; a secret or a snapshot that cannot be kept is made anew, and nothing is lost by it."""
PATIENCE_S = 40.0
TAPS = 6


@dataclass(frozen=True)
class Fault:
    """The `when`th call of this kind by a thread answers this error; `3+` is every one from the third."""

    call: str
    error: str
    when: str

    def options(self, trace: Path) -> tuple[str, ...]:
        """For strace. Only what is traced can be made to fail."""
        inject = f"inject={self.call}:error={self.error}:when={self.when}"
        return ("-y", "-s", "8", "-e", f"trace={self.call}", "-e", "signal=none", "-e", inject, "-o", str(trace))


@dataclass
class Outcome:
    """How a kiosk took its fault."""

    struck: bool = False
    """Did the fault come about at all?"""
    sync_failed: bool = False
    """Was it a synchronisation of the ledger? (SQLite ignores a failed one of the folder, and says so.)"""
    status: int | None = None
    """Of the process; None where it went on until the end."""
    red: bool = False
    """Did it say that it does not record, until it had opened the disk again?"""
    answered: int = 0
    faults: Sequence[str] = ()


class Bench:
    """A kiosk's data and readers, for one fault after another."""

    def __init__(self, folder: Path, staff: str = "127.0.0.1:0") -> None:
        self.folder = folder
        self._stack = ExitStack()
        self.nursery = Nursery()
        self._stack.callback(self.nursery.close)
        self.readers = {name: VirtualReader("rdm6300") for name in READERS}
        for reader in self.readers.values():
            self._stack.callback(reader.close)
        self.lab = write_lab(folder / "lab", {name: reader.port for name, reader in self.readers.items()}, staff)
        prepare(folder / "seed", self.lab, SystemClock())

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def fresh(self, data: Path) -> None:
        """The data of a kiosk that has run before."""
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.folder / "seed", data)

    def suffer(self, fault: Fault) -> Outcome:
        """Start with this fault, tap, look how it ends; start without it, tap, and judge both lives."""
        data, trace = self.folder / "data", self.folder / "trace"
        self.fresh(data)
        trace.unlink(missing_ok=True)
        outcome = Outcome()
        stories = [LifeStory(), LifeStory()]
        life = self.life(data, strace=fault.options(trace))
        faults = self.use(life, stories[0], Random(str(fault)), TAPS)
        outcome.status, words = self.end(life, stories[0])
        outcome.red = RED in words
        hits = [line for line in trace.read_text(encoding="utf-8", errors="replace").splitlines() if "INJECTED" in line]
        outcome.struck = bool(hits)
        outcome.sync_failed = any("sync(" in hit and LEDGER_FILE.search(hit) for hit in hits)
        outcome.answered = len(stories[0].shown)
        faults += says_so(outcome.status, words, stories[0])
        faults += self.recovers(data, stories)
        outcome.faults = faults
        return outcome

    def life(self, data: Path, **options: object) -> Life:
        """A kiosk on `data`."""
        return Life(self.nursery, self.lab, data, self.folder / "run.log", **options)

    def use(self, life: Life, story: LifeStory, chance: Random, taps: int) -> list[str]:
        """Tap, one at a time, until it is enough, or it has ended or says it does not record. What is broken."""
        try:
            life.come_up()
        except LifeError as error:
            return [] if life.has_ended or life.is_red else [f"it neither starts nor ends: {error}"]
        for _ in range(taps):
            tap = Tap(chance.choice(READERS), chance.choice(BADGES), boottime_ms())
            story.taps.append(tap)
            self.readers[tap.reader].tap(tap.uid)
            began_s = time.monotonic()
            while life.look(0.002) < len(story.taps):
                if life.has_ended or life.is_red:
                    return []  # whoever taps now sees that nothing is recorded
                if time.monotonic() - began_s > PATIENCE_S:
                    return [f"it lives, but did not answer a tap within {PATIENCE_S:g} s"]
            tap.over_ms, tap.answered = boottime_ms(), True
            time.sleep(0.002)
        return []

    def end(self, life: Life, story: LifeStory) -> tuple[int | None, str]:
        """Its status if it ended by itself, else it is killed; and what it said."""
        status = life.wait() if life.has_ended else (life.kill(), None)[1]
        story.shown = tuple(life.shown)
        for tap in story.taps:
            if tap.over_ms < 0:
                tap.over_ms = boottime_ms()
        time.sleep(0.001)
        return status, life.words()

    def recovers(self, data: Path, stories: list[LifeStory]) -> list[str]:
        """On a disk that works again the kiosk starts and answers, and all that was promised is there."""
        life = self.life(data)
        faults = self.use(life, stories[-1], Random(len(stories)), 2)
        _, words = self.end(life, stories[-1])
        if len(stories[-1].shown) != 2:
            faults.append(f"it does not work on a disk that works again: {words[-500:]}")
        return faults + judge(data, stories)


def says_so(status: int | None, words: str, story: LifeStory) -> list[str]:
    """A process that ends by itself ends with a status and a reason; before its start that is one sentence."""
    if status is None:
        return []
    if status in (0, -signal.SIGKILL) or not words.strip():
        return [f"it ended with status {status} and said {words.strip()!r}"]
    started = "kiosk screen" in words
    if not started and not story.taps and "Traceback" in words and "died" not in words:
        return [f"it did not start, and showed a traceback: {words[-500:]}"]
    return []
