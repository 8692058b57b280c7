"""Power cuts: `python -m tests.faults.power --states 5000` records a desk at work and explores what may be left of it.

After every recorded step the power may fail. Of all that was not synchronised, each sector and each name is kept,
dropped or torn by chance; the files that are left are opened with the product's own `open_writer`, folded and verified.
Every acknowledged entry must be there with identical bytes, and nothing that was not about to be written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from kiosk.domain.state import State
from kiosk.office import DATABASE
from kiosk.projection import fold
from kiosk.store.schema import StoreError, open_writer
from kiosk.store.verify import verify
from tests.faults.disk import Disk
from tests.faults.nursery import ROOT, Nursery
from tests.faults.recording import Recording, Run, record

SECTORS = (512, 4096)
MEMORY = Path("/dev/shm")  # states are read back at once and thrown away: no need to wear a disk
AS_MADE = (Run(60, close=False), Run(160), Run(15))
"""Two starts after a stop and after a kill; long enough that the log is carried into the database while taps come."""
EXAMPLES = 5


@dataclass
class Findings:
    """What an explorer saw."""

    states: int = 0
    bad: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    cuts: int = 0
    """Moments at which the power failed."""
    seconds: float = 0.0

    def add(self, other: Findings) -> None:
        """Those of another explorer."""
        self.states += other.states
        self.bad += other.bad
        self.by_kind = dict(Counter(self.by_kind) + Counter(other.by_kind))
        self.examples = (self.examples + other.examples)[:EXAMPLES]
        self.cuts += other.cuts
        self.seconds = max(self.seconds, other.seconds)


class Explorer:
    """Makes states of one recording and has them checked."""

    def __init__(self, recording: Recording, folder: Path, seed: int) -> None:
        self._recording = recording
        self._folder = folder
        self._seed = seed
        self._promised_at = [number for number, op in enumerate(recording.ops) if op.kind == "told"]
        self._promised = [0, *(op.offset for op in recording.ops if op.kind == "told")]
        self._sound: set[bytes] = set()
        """Ledgers that were verified and folded without a finding: the same rows give the same answer every time."""
        self.found = Findings()

    def explore(self, states: int, share: int, shares: int, seconds: float) -> Findings:
        """Visit this share of all cuts until there were so many different states, or the time is over."""
        began_s = time.monotonic()
        seen: set[tuple[bytes, int]] = set()
        cuts: set[int] = set()
        visits = 0
        while self.found.states < states and time.monotonic() - began_s < seconds:
            disk = Disk(SECTORS[visits % len(SECTORS)])
            chance = Random(f"{self._seed} {share} {visits}")
            odds = min(1.0, 1.5 * (states - self.found.states + 20) * shares / len(self._recording.ops))
            before = self.found.states
            for number, op in enumerate(self._recording.ops):
                disk.do(op)
                if number % shares != share or (visits and not disk.unsure) or chance.random() >= odds:
                    continue
                state = disk.after_a_cut(chance)
                promised = bisect_right(self._promised_at, number)
                if (state.key, promised) not in seen:
                    seen.add((state.key, promised))
                    cuts.add(number)
                    self._check(state.files, number, promised, visits)
                    if self.found.states >= states or time.monotonic() - began_s >= seconds:
                        break
            visits += 1
            if self.found.states == before and odds == 1.0:
                break  # a recording so short that all of its states were seen
        self.found.cuts = len(cuts)
        self.found.seconds = round(time.monotonic() - began_s, 1)
        return self.found

    def _check(self, files: dict[str, bytes], number: int, promised: int, visit: int) -> None:
        least = self._promised[promised]
        most = self._promised[min(promised + 1, len(self._promised) - 1)]
        for path in self._folder.iterdir():
            path.unlink()
        for name, data in files.items():
            (self._folder / name).write_bytes(data)
        self.found.states += 1
        fault = self._fault(least, most)
        if fault is None:
            return
        kind, text = fault
        self.found.bad += 1
        self.found.by_kind[kind] = self.found.by_kind.get(kind, 0) + 1
        if len(self.found.examples) < EXAMPLES:
            where = f"seed {self._seed}, visit {visit}, after step {number} of {len(self._recording.ops)}"
            self.found.examples.append(f"{kind}: {text} ({where})")

    def _fault(self, least: int, most: int) -> tuple[str, str] | None:
        """What is wrong with the files in the folder; `least` entries were acknowledged, `most` were being written."""
        try:
            with closing(open_writer(self._folder / DATABASE)) as connection:
                rows = connection.execute("SELECT bytes FROM ledger ORDER BY seq").fetchall()
                entries = tuple(bytes(row[0]) for row in rows)
                (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
                rows = _rows_of(connection)
                wrong = verify(connection) if rows not in self._sound else []
                if rows not in self._sound:
                    fold(connection, State())
                    if not wrong:
                        self._sound.add(rows)
        except (StoreError, sqlite3.Error, ValueError) as error:
            return "unreadable", str(error)
        if len(entries) < least:
            return "lost", f"{least} entries were acknowledged, {len(entries)} are left"
        if entries != self._recording.entries[: len(entries)]:
            return "changed", "an entry is not what was written"
        if wrong:
            return "broken", wrong[0].message
        if sound != "ok":
            return "damaged", sound
        if len(entries) > most or (not self._recording.syncs_failed and len(entries) not in (least, most)):
            return "half", f"{len(entries)} entries are there: neither the {least} acknowledged nor all {most}"
        return None


def _rows_of(connection: sqlite3.Connection) -> bytes:
    """All that `verify` and `fold` read, in short."""
    digest = hashlib.blake2b(digest_size=16)
    for table in ("meta", "ledger", "tree", "checkpoints"):
        for row in connection.execute(f"SELECT * FROM {table}"):
            digest.update(repr(row).encode())
        digest.update(b"|")
    return digest.digest()


def explore(
    recording: Recording, states: int, *, seed: int = 1, seconds: float = 600.0, processes: int = 0
) -> Findings:
    """Explore with several processes; 0 for one a processor."""
    shares = processes or min(8, os.cpu_count() or 1)
    total = Findings()
    with tempfile.TemporaryDirectory(prefix="sheber-power-") as folder:
        path = Path(folder) / "recording"
        recording.save(path)
        command = [sys.executable, "-m", "tests.faults.power", "--recording", str(path), "--seed", str(seed)]
        command += ["--states", str(-(-states // shares)), "--seconds", str(seconds)]
        workers = [
            subprocess.Popen([*command, "--share", f"{share}/{shares}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for share in range(shares)
        ]
        try:
            for worker in workers:
                told, _ = worker.communicate()
                if worker.returncode:
                    raise RuntimeError(f"an explorer ended with status {worker.returncode}")
                total.add(Findings(**json.loads(told)))
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    return total


def _share(path: Path, share: str, states: int, seed: int, seconds: float) -> Findings:
    mine, _, shares = share.partition("/")
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="sheber-cut-", dir=place))
    try:
        return Explorer(Recording.load(path), folder, seed).explore(states, int(mine), int(shares), seconds)
    finally:
        shutil.rmtree(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record, explore, print; status 1 where a bad state was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power", description=__doc__)
    parser.add_argument("--states", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop exploring after this long")
    parser.add_argument("--synchronous", choices=("NORMAL", "OFF"), help="spoil the durability: bad states must appear")
    parser.add_argument("--recording", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--share", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.recording is not None:
        print(json.dumps(asdict(_share(asked.recording, asked.share, asked.states, asked.seed, asked.seconds))))
        return 0
    runs = [Run(run.taps, run.close, asked.synchronous) for run in AS_MADE]
    with tempfile.TemporaryDirectory(prefix="sheber-power-") as folder, closing(Nursery()) as nursery:
        recording = record(Path(folder), nursery, runs)
    found = explore(recording, asked.states, seed=asked.seed, seconds=asked.seconds)
    print(json.dumps({"steps": len(recording.ops), "promises": recording.promises, **asdict(found)}, indent=1))
    return 1 if found.bad else 0


if __name__ == "__main__":
    sys.exit(main())
