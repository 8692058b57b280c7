"""Recordings for the explorer: a desk at work, written down by strace, its folders, and what it promised when."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kiosk.office import DATABASE
from kiosk.store.schema import open_reader
from tests.faults.desk_run import ACKNOWLEDGED
from tests.faults.disk import Disk
from tests.faults.nursery import Nursery
from tests.faults.trace import OPTIONS, Op, TraceError, parse

DESK = "tests.faults.desk_run:record"


@dataclass(frozen=True)
class Run:
    """One process of a recording."""

    taps: int
    close: bool = True
    synchronous: str | None = None
    """The durability to fall back to, for a recording that must be found bad."""
    fail_sync: str | None = None
    """Which fdatasync answer EIO without having written anything: `12`, or `12+` for all from the twelfth on."""


@dataclass(frozen=True)
class Recording:
    """Steps, and the ledger as it was at the end."""

    ops: tuple[Op, ...]
    entries: tuple[bytes, ...]

    def save(self, path: Path) -> None:
        """For the explorer's processes."""
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def load(path: Path) -> Recording:
        """As saved."""
        loaded = pickle.loads(path.read_bytes())
        assert isinstance(loaded, Recording)
        return loaded

    @cached_property
    def syncs_failed(self) -> int:
        """How many synchronisations failed."""
        return sum(op.kind == "sync_failed" for op in self.ops)

    @property
    def promises(self) -> int:
        """How many answers were given."""
        return sum(op.kind == "told" for op in self.ops)


def record(folder: Path, nursery: Nursery, runs: Sequence[Run]) -> Recording:
    """Let the processes work on one data folder, one after the other, and write down what they do."""
    folder = folder.resolve()
    data = folder / "data"
    data.mkdir(parents=True)
    ops: list[Op] = []
    for number, run in enumerate(runs):
        trace, log = folder / f"trace-{number}", folder / f"run-{number}.log"
        asked = {"folder": str(folder), "boot": number, "taps": run.taps}
        asked |= {"synchronous": run.synchronous, "close": run.close}
        fault = () if run.fail_sync is None else ("-e", f"inject=fdatasync:error=EIO:when={run.fail_sync}")
        nursery.start(DESK, [json.dumps(asked)], log, strace=(*OPTIONS, *fault, "-o", str(trace)))
        status = nursery.wait()
        if (status != 0) != (run.fail_sync is not None):
            raise TraceError(f"the recorded desk ended with status {status}: {log.read_text()[-2000:]}")
        with trace.open(encoding="ascii") as lines:
            ops += parse(lines, data, ACKNOWLEDGED)
    _must_explain(ops, data)
    shutil.copytree(data, folder / "copy")
    with closing(open_reader(folder / "copy" / DATABASE)) as connection:
        entries = [bytes(row[0]) for row in connection.execute("SELECT bytes FROM ledger ORDER BY seq")]
    return Recording(tuple(ops), tuple(entries))


def _must_explain(ops: Sequence[Op], data: Path) -> None:
    """The steps, carried out, give the files that are there, byte for byte; else something was not recorded."""
    disk = Disk(4096)
    for op in ops:
        disk.do(op)
    there = {path.name: path.read_bytes() for path in data.iterdir() if not path.name.endswith("-shm")}
    seen = disk.as_seen()
    if there != seen:
        names = sorted(name for name in there.keys() | seen.keys() if there.get(name) != seen.get(name))
        raise TraceError(f"the recording does not explain {', '.join(names)}")
