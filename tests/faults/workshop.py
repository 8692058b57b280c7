"""The workshop of these tests: four machines with a reader each, one shared reader, thirteen people, no broker."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

from kiosk.clerk import Desk
from kiosk.clock import Clock
from kiosk.commands import Done, ImportPeople, PersonRow
from kiosk.inbox import Asked
from kiosk.office import DATABASE
from lab_config.load import load
from lab_config.model import Lab

MACHINES = ("mill-1", "mill-2", "lathe-1", "lathe-2")
READERS = (*MACHINES, "door")

HEAD = """
[lab]
id = "faults"
name = "Faults"
[web]
listen = "{staff}"
kiosk_listen = "127.0.0.2:0"
[rules]
debounce = "0s"
no_toggle = "0s"
[[programme]]
id = "cnc"
title = "CNC"
[[programme.process]]
id = "CNC3"
title = "Operating"
required = "100h"
machines = ["mill-1", "mill-2", "lathe-1", "lathe-2"]
"""
MACHINE = """
[[machine]]
id = "{id}"
name = "{id}"
requires = {requires}
"""


def badge(person: int) -> str:
    """The card of the person with this number."""
    return f"{0x6700000000 + person:010X}"


PEOPLE = (
    *(PersonRow(f"p{n}", "apprentice", f"S{n}", f"G{n}", programme="cnc", badges=(badge(n),)) for n in range(12)),
    PersonRow("i1", "instructor", "Master", "Of All", badges=(badge(12),)),
)
BADGES = tuple(badge(n) for n in range(len(PEOPLE)))
"""With the rules above, each tap of each of them is answered by exactly one entry: in, out, told or refused."""


def write_lab(folder: Path, ports: Mapping[str, str], staff: str = "127.0.0.1:0") -> Path:
    """Write `lab.toml`. Nobody may work on `lathe-2`, so that refusals are among the answers."""
    parts = [HEAD.format(staff=staff)]
    for machine in MACHINES:
        requires = '["briefing:lathe"]' if machine == "lathe-2" else "[]"
        parts.append(MACHINE.format(id=machine, requires=requires))
    for reader, port in ports.items():
        parts.append(f'[[reader]]\nid = "{reader}"\nport = "{port}"\nprotocol = "rdm6300"\n')
        if reader in MACHINES:
            parts.append(f'machine = "{reader}"\n')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lab.toml"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def lab_without_ports(folder: Path) -> Lab:
    """For what opens no port."""
    return load(write_lab(folder, {reader: f"/dev/{reader}" for reader in READERS}))


def enrol(desk: Desk, clock: Clock) -> int:
    """Everybody is entered in the roster; the size of the log afterwards."""
    answer: Future[Done] = Future()
    entries, answers = desk.handle([Asked(clock.stamp(), ImportPeople(PEOPLE), answer)])
    for each in answers:
        each.give()
    answer.result(0)
    return entries[-1].seq + 1


def prepare(data: Path, lab: Path, clock: Clock) -> None:
    """A data folder whose log has begun and whose people are enrolled."""
    with closing(Desk(data / DATABASE, clock, load(lab))) as desk:
        desk.start()
        enrol(desk, clock)
