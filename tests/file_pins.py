"""Pins with the physics that matters: a level stays when the process that drove it is gone.

`FileFactory` is a gpiozero pin factory, chosen as any other by `GPIOZERO_PIN_FACTORY=file`; each change of a pin is a
line "CLOCK_MONOTONIC level" of the file named after it.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from gpiozero.pins.mock import MockFactory, MockPin

ENTRY_POINTS = "[gpiozero_pin_factories]\nfile = file_pins:FileFactory\n"


class FilePin(MockPin):
    """A pin whose level others can see."""

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self._keep(int(value))

    def output_with_state(self, state: float) -> None:
        super().output_with_state(state)
        self._keep(int(state))

    def _keep(self, level: int) -> None:
        folder = Path(os.environ["PINS"])
        with (folder / str(self.info.name)).open("a") as file:
            file.write(f"{time.monotonic()} {level}\n")


class FileFactory(MockFactory):
    """A board of such pins."""

    def __init__(self) -> None:
        super().__init__(pin_class=FilePin)


class Board:
    """The pins as an electrician sees them."""

    def __init__(self, folder: Path) -> None:
        self._levels = folder / "levels"
        self._levels.mkdir(parents=True)
        plugin = folder / "plugin"
        info = plugin / "file_pins-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copy(__file__, plugin / "file_pins.py")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: file-pins\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(plugin),
            "GPIOZERO_PIN_FACTORY": "file",
            "PINS": str(self._levels),
        }

    def history(self, pin: int) -> list[tuple[float, int]]:
        """When it changed, and to what."""
        file = self._levels / f"GPIO{pin}"
        lines = file.read_text().splitlines() if file.exists() else []
        found: list[tuple[float, int]] = []
        for line in lines:
            moment, level = line.split()
            if not found or found[-1][1] != int(level):
                found.append((float(moment), int(level)))
        return found

    def level(self, pin: int) -> int | None:
        """Now; None where nobody ever drove it."""
        history = self.history(pin)
        return history[-1][1] if history else None
