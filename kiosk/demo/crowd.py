"""The invented apprentices who tap while nobody else does, so that a visitor sees the workshop live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from firmware_bridge.simulator.catalogue import Reader

FIRST_TAP_S = 0.5
BETWEEN_FIRST_TAPS_S = 0.6
LESSON_S = (1_200.0, 3_600.0)
"""How long one stays at a machine, in the demo's own time."""
SHORTEST_WAIT_S = 20.0

PLACES = (("p10", "grinder-1"), ("p8", "weld-2"), ("p7", "elec-1"), ("p6", "mecha-1"), ("p12", "bench-1"))
"""Who taps where; the mills, the lathe and the first welding cell are left to visitors."""


class Crowd(threading.Thread):
    """Taps everybody in once, and then now and then somebody out and in again."""

    def __init__(self, readers: dict[str, Reader], badge: Callable[[str], str], speed: float) -> None:
        super().__init__(name="crowd", daemon=True)
        self._readers = readers
        self._badge = badge
        self._speed = speed
        self._stopping = threading.Event()
        self._chance = Random(7)  # noqa: S311 - an invented crowd, not a secret

    def stop(self) -> None:
        """Nobody taps any more."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Until `stop`."""
        if self._stopping.wait(FIRST_TAP_S):
            return
        for person_id, reader in PLACES:
            self._readers[reader].tap(self._badge(person_id))
            if self._stopping.wait(BETWEEN_FIRST_TAPS_S):
                return
        while not self._stopping.wait(max(SHORTEST_WAIT_S, self._chance.uniform(*LESSON_S) / self._speed)):
            person_id, reader = self._chance.choice(PLACES)
            self._readers[reader].tap(self._badge(person_id))
