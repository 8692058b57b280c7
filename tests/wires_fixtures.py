"""What the tests of the wires share: the captures, and a place to deliver to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firmware_bridge.observations import Observation
from firmware_bridge.readers.base import Decoder
from firmware_bridge.serial_link import SerialLink

CAPTURES = Path(__file__).parent / "captures"
PASSIVE_FAMILIES = {
    "gwiot7941": ("gwiot7941",),
    "id12": ("id12",),
    "parallax": ("parallax28140", "parallax28340"),
    "rdm6300": ("rdm6300", "rdm6300-13"),
    "wl134a": ("fdxb-wl134",),
}
"""Which families of the captures each protocol of a reader that speaks by itself has to read."""


def captures(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CAPTURES / name).read_text(encoding="utf-8").splitlines()]


class Inbox:
    """Takes what links deliver; what is stored at once is confirmed at once, otherwise by `store`."""

    def __init__(self, *, stores: bool = True) -> None:
        self.observations: list[Observation] = []
        self.unstored: list[Callable[[], None]] = []
        self._stores = stores

    def deliver(self, observation: Observation, on_stored: Callable[[], None] | None = None) -> None:
        self.observations.append(observation)
        if on_stored is not None:
            self.unstored.append(on_stored)
            if self._stores:
                self.store()

    def store(self) -> None:
        while self.unstored:
            self.unstored.pop(0)()

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.observations if isinstance(one, kind)]


@contextmanager
def serial_links(inbox: Inbox) -> Iterator[Callable[..., SerialLink]]:
    """`start(port, decoder)`: a link of the reader `door`, started, that delivers to `inbox`; all are stopped."""
    links: list[SerialLink] = []

    def start(port: str, decoder: Decoder, **options: Any) -> SerialLink:
        links.append(SerialLink("door", port, decoder, inbox.deliver, **options))
        links[-1].start()
        return links[-1]

    yield start
    for link in links:
        link.stop()
