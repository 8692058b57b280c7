"""Readers and machines together, moved by one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from firmware_bridge.simulator.virtual_machine import VirtualMachine
from firmware_bridge.simulator.virtual_port import VirtualPort

STEP_S = 0.05


class Workshop:
    """Owns what it is given. At `speed` 60 a machine's minute takes a second; badges keep real time."""

    def __init__(
        self, readers: Mapping[str, VirtualPort], machines: Mapping[str, VirtualMachine], *, speed: float = 1.0
    ) -> None:
        self.readers = dict(readers)
        self.machines = dict(machines)
        self._speed = speed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workshop", daemon=True)

    def start(self) -> None:
        """Switch the power on."""
        for machine in self.machines.values():
            machine.start()
        self._thread.start()

    def stop(self) -> None:
        """Switch everything off. May be called again."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()
        for machine in self.machines.values():
            machine.stop()
        for reader in self.readers.values():
            reader.close()

    def _run(self) -> None:
        began_s = time.monotonic()
        while not self._stopping.wait(STEP_S):
            now_s = (time.monotonic() - began_s) * self._speed
            for machine in self.machines.values():
                machine.step(now_s)
