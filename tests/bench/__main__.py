"""`python -m tests.bench`: prints the table. Status 0 whatever it says; 1 where the bench itself could not run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from firmware_bridge.simulator.broker import BrokerError, LoopbackBroker
from firmware_bridge.simulator.virtual_machine import VirtualMachine
from firmware_bridge.simulator.virtual_reader import VirtualReader
from firmware_bridge.simulator.workshop import Workshop
from kiosk.office import DATABASE
from tests.bench import BenchError, figures, lab
from tests.bench.commits import Commits
from tests.bench.floor import Floor
from tests.bench.process import (
    KioskProcess,
    Start,
    Stream,
    as_installed,
    entries_by_type,
    forget_files,
    free_ports,
    get,
    ledger_size,
    run_command,
)
from tests.bench.taps import Taps

SEED = 20
READER = lab.MACHINES[-1]
FIRST_BADGE = lab.badge(lab.PEOPLE - 1)
"""Who taps first after a start."""


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--taps", type=int, default=400, help="taps at the pace of people (default 400: 90 s)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="on the disk to measure (default /var/tmp)")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")
    asked = parser.parse_args()
    try:
        if not asked.dir.is_dir():
            raise BenchError(f"{asked.dir} is no folder; name one on the disk to measure with --dir")
        with tempfile.TemporaryDirectory(prefix="sheber-bench-", dir=asked.dir) as folder:
            found, about = measure(Path(folder), max(1, asked.taps))
    except (BenchError, BrokerError, OSError) as error:
        print(f"the bench could not run: {error}", file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps({"figures": [{**asdict(each), "verdict": each.verdict} for each in found], "facts": about}))
    else:
        print(figures.table(found, about))
    return 0


@dataclass(frozen=True)
class Site:
    """One workshop of the bench, ready to be started."""

    folder: Path
    readers: Mapping[str, VirtualReader]
    kiosk: KioskProcess
    environment: Mapping[str, str]
    screen: int
    staff: int

    @property
    def data(self) -> Path:
        """The kiosk's data folder."""
        return self.folder / "data"

    def start(self, uid: str) -> Start:
        """Start the kiosk; `uid` taps first."""
        return self.kiosk.start(self.readers[READER], uid, self.screen)


def measure(folder: Path, taps: int) -> tuple[list[figures.Figure], dict[str, str]]:
    """Everything in one run on one disk; `folder` holds all of it."""
    about = figures.facts(folder)
    with ExitStack() as parts:
        site = a_site(folder, parts)
        new = site.start(lab.STRANGER)
        run_command(site.environment, "people", "import", str(lab.write_people(folder)), "--data", str(site.data))
        site.kiosk.stop()
        warm = site.start(FIRST_BADGE)
        latencies, memory, mix = _use(site, taps)
        site.kiosk.stop()
        forget_files(folder)
        cold = site.start(FIRST_BADGE)
        site.kiosk.stop()
        lost = sum(reader.lost_bytes for reader in site.readers.values())
        if lost:
            raise BenchError(f"{lost} bytes found no room on a pseudo-terminal; the machine is too busy to measure")
    about["the taps"] = f"{lab.MIX}: {mix}"
    about["load after"] = figures.facts(folder)["load"]
    return [*latencies, *figures.start_rows(new, warm, cold), *memory], about


def a_site(folder: Path, parts: ExitStack) -> Site:
    """Broker, readers, machines and configuration; `parts` ends them all."""
    broker = LoopbackBroker()
    parts.callback(broker.close)
    broker.start()
    readers = {machine: VirtualReader("rdm6300") for machine in lab.MACHINES}
    machines = {
        machine: VirtualMachine(machine, "json", host=broker.host, port=broker.port, seed=SEED)
        for machine in lab.MACHINES
    }
    workshop = Workshop(readers, machines)
    parts.callback(workshop.stop)
    workshop.start()
    screen, staff = free_ports()
    ports = {machine: reader.port for machine, reader in readers.items()}
    statuses = {machine: each.status for machine, each in machines.items()}
    config = lab.write_lab(folder, lab.Listens(screen, staff, broker.port, ports, statuses))
    environment = as_installed(folder / "bytecode")
    kiosk = KioskProcess(config, folder / "data", folder / "run.log", environment)
    parts.callback(kiosk.stop)
    return Site(folder, readers, kiosk, environment, screen, staff)


def _use(site: Site, taps: int) -> tuple[list[figures.Figure], list[figures.Figure], str]:
    """Tap at a running kiosk; the rows of the taps and of the memory, and what the paced taps entered."""
    half = max(1, taps // 2)
    idle = site.kiosk.memory()
    with ExitStack() as parts:
        floor = parts.enter_context(closing(Floor(site.folder)))
        stream = parts.enter_context(closing(Stream(site.screen)))
        commits = parts.enter_context(closing(Commits(site.data / DATABASE)))
        tapping = Taps(site.readers, lab.visits(), commits, stream, floor, Random(SEED))
        size = ledger_size(site.data)
        paced = tapping.like_people(taps)
        entered = entries_by_type(site.data, size)
        before_s = site.kiosk.processor_s()
        unpaced = tapping.back_to_back(half)
        processor_s = (site.kiosk.processor_s() - before_s) / half
        crowds_s = tapping.all_at_once(max(1, taps // 20))
        get(site.staff, "/login")
        get(site.screen, "/")
        used = site.kiosk.memory()
    latencies = [
        *figures.floor_rows(paced),
        *figures.people_rows(paced),
        *figures.unpaced_rows(unpaced, processor_s, crowds_s),
    ]
    return latencies, figures.memory_rows(idle, used), _counted(entered)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
