"""A small workshop of two machines for tests of the whole kiosk: real ports, a real database, no patched parts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.assembly import Kiosk
from kiosk.clock import ScaledClock
from kiosk.commands import ImportPeople, PersonRow
from kiosk.domain.entries import Stamp
from lab_config.load import load
from lab_config.model import Lab

AIGERIM = PersonRow(
    "p1",
    "apprentice",
    "Ахметова",
    "Айгерім",
    programme="cnc",
    enterprise="ent-steel",
    contract="Д-1",
    contract_from="2026-01-01",
    contract_to="2030-12-31",
    consent_until="2030-12-31",
    personnel_number="S-1",
    badges=("0F00448FB0",),
)
PYOTR = PersonRow("p2", "apprentice", "Иванов", "Пётр", programme="cnc", badges=("67003B51C6",))
MASTER = PersonRow("i1", "instructor", "Жұмабаев", "Қанат", badges=("1100223344",))
PEOPLE = (AIGERIM, PYOTR, MASTER)

LAB = """
[lab]
id = "test-w1"
name = "Workshop 1"
[web]
listen = "127.0.0.1:0"
kiosk_listen = "127.0.0.2:0"
[[machine]]
id = "mill-1"
name = "Mill"
status = {{dialect = "json", topic = "lab/mill-1", pointer = "/state", states = {{RUN = "running", IDLE = "idle"}}}}
[[machine]]
id = "lathe-1"
name = "Lathe"
[[programme]]
id = "cnc"
title = "CNC"
[[programme.process]]
id = "CNC3"
title = "Operating"
required = "100h"
machines = ["mill-1", "lathe-1"]
[[enterprise]]
id = "ent-steel"
name = "Demo Steel"
deliver = "webhook"
url = "{url}"
secret_file = "secret.whsec"
local = true
[mqtt]
port = {mqtt_port}
"""
READER = """
[[reader]]
id = "{reader}"
port = "{port}"
protocol = "rdm6300"
machine = "{reader}"
"""


def write_lab(
    folder: Path, ports: dict[str, str], *, mqtt_port: int = 9, url: str = "http://127.0.0.1:9/hooks/ent-steel"
) -> Path:
    """A lab file with readers `mill-1` and `lathe-1` on these ports."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret.whsec").write_text("whsec_" + "A" * 43 + "=")
    path = folder / "lab.toml"
    readers = "".join(READER.format(reader=reader, port=port) for reader, port in ports.items())
    path.write_text(LAB.format(mqtt_port=mqtt_port, url=url) + readers, encoding="utf-8")
    return path


def small_lab(folder: Path) -> Lab:
    """The lab for tests that touch no port."""
    return load(write_lab(folder, {"mill-1": "/dev/mill-1", "lathe-1": "/dev/lathe-1"}))


@contextmanager
def running_kiosk(folder: Path, *, mqtt_port: int = 9) -> Iterator[tuple[Kiosk, dict[str, VirtualReader]]]:
    """A whole kiosk in this process with two virtual readers, and its people."""
    readers = {reader: VirtualReader("rdm6300") for reader in ("mill-1", "lathe-1")}
    lab = load(write_lab(folder / "lab", {name: reader.port for name, reader in readers.items()}, mqtt_port=mqtt_port))
    kiosk = Kiosk(lab, folder / "data", ScaledClock())
    kiosk.start()
    try:
        kiosk.submit(ImportPeople(PEOPLE))
        yield kiosk, readers
    finally:
        kiosk.stop()
        for reader in readers.values():
            reader.close()


def ledger(data: Path) -> list[dict[str, Any]]:
    """Every entry, as another process reads them."""
    with closing(sqlite3.connect(f"file:{data / 'kiosk.db'}?mode=ro", uri=True)) as connection:
        return [json.loads(row[0]) for row in connection.execute("SELECT bytes FROM ledger ORDER BY seq")]


def of_type(data: Path, entry_type: str) -> list[dict[str, Any]]:
    """The entries of one type."""
    return [entry for entry in ledger(data) if entry["type"] == entry_type]


class HandClock:
    """A clock that a test moves by hand."""

    speed = 1.0

    def __init__(self, wall_ms: int = 1_795_000_000_000, boot: str = "boot-1") -> None:
        self.boot = boot
        self.boot_ms = 1_000
        self._offset_ms = wall_ms - self.boot_ms
        self.synced = True

    def move(self, ms: int) -> None:
        """Time passes."""
        self.boot_ms += ms

    def step_wall(self, ms: int) -> None:
        """Somebody sets the wall clock."""
        self._offset_ms += ms

    def stamp(self) -> Stamp:
        """Now."""
        return Stamp(self.boot, self.boot_ms, self.wall_ms(), self.synced)

    def wall_ms(self) -> int:
        """What the wall clock shows."""
        return self.boot_ms + self._offset_ms
