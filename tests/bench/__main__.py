"""`python -m tests.bench`: prints the table. Status 0 whatever it says; 1 where the bench itself could not run."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
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
    Stream,
    entries_by_type,
    forget_files,
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


def measure(folder: Path, taps: int) -> tuple[list[figures.Figure], dict[str, str]]:
    """Everything in one run on one disk; `folder` holds all of it."""
    about = figures.facts(folder)
    with ExitStack() as parts:
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
        screen, staff = _free_ports()
        ports = {machine: reader.port for machine, reader in readers.items()}
        statuses = {machine: each.status for machine, each in machines.items()}
        config = lab.write_lab(folder, lab.Listens(screen, staff, broker.port, ports, statuses))
        data = folder / "data"
        kiosk = KioskProcess(config, data, folder / "run.log")
        parts.callback(kiosk.stop)

        new = kiosk.start(readers[READER], lab.STRANGER, screen)
        run_command("people", "import", str(lab.write_people(folder)), "--data", str(data))
        kiosk.stop()

        warm = kiosk.start(readers[READER], FIRST_BADGE, screen)
        floor = Floor(folder)
        parts.callback(floor.close)
        idle = kiosk.memory()
        stream = Stream(screen)
        parts.callback(stream.close)
        commits = Commits(data / DATABASE)
        parts.callback(commits.close)
        tapping = Taps(readers, lab.visits(), commits, stream, floor, Random(SEED))
        size = ledger_size(data)
        paced = tapping.like_people(taps)
        about["the taps"] = f"{lab.MIX}: {_counted(entries_by_type(data, size))}"
        unpaced = tapping.back_to_back(max(1, taps // 2))
        crowds_s = tapping.all_at_once(max(1, taps // 20))
        get(staff, "/login")
        get(screen, "/")
        used = kiosk.memory()
        stream.close()
        kiosk.stop()

        forget_files(data)
        cold = kiosk.start(readers[READER], FIRST_BADGE, screen)
        kiosk.stop()
        lost = sum(reader.lost_bytes for reader in readers.values())
        if lost:
            raise BenchError(f"{lost} bytes found no room on a pseudo-terminal; the machine is too busy to measure")
    found = [
        *figures.floor_rows(paced),
        *figures.people_rows(paced),
        *figures.unpaced_rows(unpaced, crowds_s),
        *figures.start_rows(new, warm, cold),
        *figures.memory_rows(idle, used),
    ]
    about["load after"] = figures.facts(folder)["load"]
    return found, about


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
