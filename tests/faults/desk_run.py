"""What is recorded: the clerk's own desk, a few dozen taps, and an acknowledgement in writing after each.

The desk, its database and its commits are the product's. The harness only hands over observations with a clock moved by
hand, and writes the size of the log to a file once `Desk.handle` has returned, which is when the clerk answers people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from firmware_bridge.observations import BadgeSeen
from kiosk.clerk import Desk
from kiosk.domain.entries import Stamp
from kiosk.inbox import Heard
from kiosk.office import DATABASE
from tests.faults.workshop import BADGES, READERS, enrol, lab_without_ports

ACKNOWLEDGED = "acknowledged"
"""The file, beside the data folder, that says after each answer how many entries are promised."""
WALL_MS = 1_795_000_000_000


class StepClock:
    """Twenty seconds pass before each tap. The boot is named by the caller; all of it can be said again."""

    speed = 1.0

    def __init__(self, boot: int) -> None:
        self._boot = boot
        self._boot_ms = 1_000

    def step(self) -> None:
        """The next tap is due."""
        self._boot_ms += 20_000

    def stamp(self) -> Stamp:
        """Now."""
        return Stamp(f"boot-{self._boot}", self._boot_ms, self.wall_ms(), synced=True)

    def wall_ms(self) -> int:
        """UTC: each boot is an hour after the one before."""
        return WALL_MS + self._boot * 3_600_000 + self._boot_ms


def record(arguments: Sequence[str]) -> None:
    """`{"folder":.., "boot":n, "taps":n, "synchronous":.. or null, "close": true}` as one JSON argument.

    Where `close` is false the process ends without closing its database, as if it had been killed.
    """
    asked = json.loads(arguments[0])
    folder = Path(asked["folder"])
    told = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    clock, chance = StepClock(asked["boot"]), Random(asked["boot"])
    with closing(Desk(folder / "data" / DATABASE, clock, lab_without_ports(folder / "lab"))) as desk:
        if asked["synchronous"] is not None:
            desk.connection.execute(f"PRAGMA synchronous={asked['synchronous']}")
        size = desk.start()[-1].seq + 1
        os.write(told, b"%d\n" % size)
        if asked["boot"] == 0:
            os.write(told, b"%d\n" % enrol(desk, clock))
        for _ in range(asked["taps"]):
            clock.step()
            entries, _ = desk.handle([Heard(clock.stamp(), BadgeSeen(chance.choice(READERS), chance.choice(BADGES)))])
            os.write(told, b"%d\n" % (entries[-1].seq + 1))
        if not asked["close"]:
            os._exit(0)
