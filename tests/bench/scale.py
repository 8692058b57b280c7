"""`python -m tests.bench.scale`: what five years of a workshop, a million entries, cost. Status 0 whatever it says.

Each figure stands beside a bare loop over the same rows in the same process: compare ratios, not machines.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from random import Random

from kiosk import snapshot
from kiosk.desk import Desk
from kiosk.domain.entries import Entry, from_object
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State
from kiosk.office import DATABASE, rebuild
from kiosk.projection import fold
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader, open_writer
from tests.bench import figures
from tests.bench.figures import Figure, percentile
from tests.bench.history import YEARS, Still, history, stamp_after

FOLDED_GOAL = 150_000
REBUILD_GOAL_S = 30.0
START_GOAL_S = 3.0
APPEND_GOAL = 1.2
PROOF_GOAL_S = 0.005
PIECE = 20_000
APPENDS = 2_000
PROOFS = 500
SHORT_DAYS = 2
"""A history of about a thousand entries."""


def main() -> int:
    """Make the history where there is none, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--days", type=int, default=YEARS * 365 + 2, help="days of history (default: five years)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="on the disk to measure (default /var/tmp)")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")
    asked = parser.parse_args()
    about = figures.facts(asked.dir)
    with tempfile.TemporaryDirectory(prefix="sheber-scale-", dir=asked.dir) as folder:
        long, short = (
            Path(shutil.copytree(history(days), Path(folder) / str(days))) for days in (asked.days, SHORT_DAYS)
        )
        found = measure(long, short)
    if asked.json:
        print(json.dumps({"figures": [{**asdict(each), "verdict": each.verdict} for each in found], "facts": about}))
    else:
        print(figures.table(found, about))
    return 0


def measure(long: Path, short: Path) -> list[Figure]:
    """Everything; the two data folders are changed."""
    found = [*folding(long / DATABASE), *proofs(long / DATABASE), append(long / DATABASE, short / DATABASE)]
    began_s = time.perf_counter()
    report = rebuild(long)
    found.append(
        _seconds(
            "rebuild", "rebuild, every hash checked", time.perf_counter() - began_s, report.entries, REBUILD_GOAL_S
        )
    )
    found.append(_start(long / DATABASE, "start", "start from a snapshot", START_GOAL_S))
    snapshot.place(long / DATABASE).unlink()
    return [*found, _start(long / DATABASE, "start_bare", "start without one: everything is folded, a new one kept")]


def folding(database: Path) -> list[Figure]:
    """A bare loop, the fold of entries that are parsed already, and both together."""
    with closing(open_reader(database)) as connection:
        bare_s = _took(lambda: _loop(connection))
        in_memory_s, state = _folded(connection)
        both_s = _took(lambda: fold(connection, State()))
    bare = Figure(
        "bare", "a bare loop over the rows", _rate(state.size, bare_s), {"seconds": bare_s, "entries": state.size}
    )
    why = f"this machine loops over the bare rows at {state.size / bare_s:,.0f} a second; load as below"
    return [
        bare,
        Figure(
            "folded",
            "entries folded in memory",
            f"{_rate(state.size, in_memory_s)} = {in_memory_s / bare_s:.1f} bare loops",
            {"per_s": state.size / in_memory_s, "loops": in_memory_s / bare_s},
            f"at least {FOLDED_GOAL:,} a second",
            state.size / in_memory_s >= FOLDED_GOAL,
            why,
        ),
        Figure(
            "parsed",
            "entries read, parsed and folded",
            f"{_rate(state.size, both_s)} = {both_s / bare_s:.1f} bare loops",
            {"per_s": state.size / both_s, "loops": both_s / bare_s},
        ),
    ]


def proofs(database: Path) -> list[Figure]:
    """Of random entries and sizes, in the whole log."""
    chance = Random(1)
    with closing(open_reader(database)) as connection:
        ledger = Ledger(connection)
        size = ledger.size
        inclusion = [_took(lambda: ledger.inclusion(chance.randrange(size), size)) for _ in range(PROOFS)]
        consistency = [_took(lambda: ledger.consistency(chance.randrange(1, size), size)) for _ in range(PROOFS)]
    named = (("inclusion", "an inclusion proof", inclusion), ("consistency", "a consistency proof", consistency))
    return [
        Figure(
            key,
            name,
            f"median {percentile(took, 50) * 1e3:.2f} ms, 99th {percentile(took, 99) * 1e3:.2f} ms",
            {"median_ms": percentile(took, 50) * 1e3, "p99_ms": percentile(took, 99) * 1e3},
            f"under {PROOF_GOAL_S * 1e3:g} ms",
            percentile(took, 99) < PROOF_GOAL_S,
            "the machine was busy: see the load below",
        )
        for key, name, took in named
    ]


def append(long: Path, short: Path) -> Figure:
    """One entry at the end of a long log and of a short one, in turns; not committed, since a commit knows no size."""
    with closing(open_writer(long)) as many, closing(open_writer(short)) as few:
        sizes = Ledger(few).size, Ledger(many).size
        data = Ledger(many).entry(sizes[1] - 1) or b""
        took: tuple[list[float], list[float]] = ([], [])
        for connection in (few, many):
            connection.execute("BEGIN IMMEDIATE")
        for _ in range(APPENDS):
            for connection, series in zip((few, many), took, strict=True):
                ledger = Ledger(connection)
                series.append(_took(lambda ledger=ledger: ledger.append("tap_read", data)))  # type: ignore[misc]
        for connection in (few, many):
            connection.rollback()
    at_few, at_many = percentile(took[0], 50), percentile(took[1], 50)
    return Figure(
        "append",
        f"append at {sizes[1]:,} entries beside {sizes[0]:,}, median",
        f"{at_many * 1e6:.0f} us beside {at_few * 1e6:.0f} us = {at_many / at_few:.2f}",
        {"ratio": at_many / at_few, "us": at_many * 1e6},
        f"at most {APPEND_GOAL:g} times",
        at_many <= APPEND_GOAL * at_few,
        "more levels of the table's tree are searched",
    )


def _start(database: Path, key: str, name: str, goal_s: float | None = None) -> Figure:
    """Open and start, until taps are accepted."""
    with closing(open_reader(database)) as connection:
        clock = Still(stamp_after(connection))
    gc.collect()
    began_s = time.perf_counter()
    with closing(Desk(database, clock, None)) as desk:
        desk.start()
        took_s = time.perf_counter() - began_s
        return _seconds(key, name, took_s, desk.core.state.size, goal_s)


def _seconds(key: str, name: str, took_s: float, entries: int, goal_s: float | None = None) -> Figure:
    goal = "" if goal_s is None else f"under {goal_s:g} s"
    met = None if goal_s is None else took_s < goal_s
    measured = f"{took_s:.1f} s for {entries:,} entries"
    return Figure(key, name, measured, {"seconds": took_s}, goal, met, f"{took_s / entries * 1e6:.1f} us an entry")


def _loop(connection: sqlite3.Connection) -> int:
    return sum(len(data) for _, data in Ledger(connection).entries())


def _folded(connection: sqlite3.Connection) -> tuple[float, State]:
    """Seconds of `evolve` alone; entries are parsed piece by piece, outside the time."""
    state, took_s = State(), 0.0
    gc.collect()
    gc.disable()  # as `fold` does
    for piece in _pieces(connection):
        began_s = time.perf_counter()
        for entry in piece:
            evolve(state, entry)
        took_s += time.perf_counter() - began_s
    gc.enable()
    return took_s, state


def _pieces(connection: sqlite3.Connection) -> Iterator[list[Entry]]:
    rows = Ledger(connection).entries()
    while piece := [from_object(json.loads(data)) for _, (_, data) in zip(range(PIECE), rows, strict=False)]:
        yield piece


def _took(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _rate(entries: int, seconds: float) -> str:
    return f"{entries / seconds:,.0f} a second"


if __name__ == "__main__":
    sys.exit(main())
