"""What the tests of the wires share: captures, a place to deliver to, a real broker, and waiting with a deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.observations import Observation
from firmware_bridge.simulator.broker import LoopbackBroker

CAPTURES = Path(__file__).parent / "captures"


def captures(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CAPTURES / name).read_text(encoding="utf-8").splitlines()]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


class Inbox:
    """Takes what links deliver, and confirms storage when asked to."""

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


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def broker() -> Iterator[LoopbackBroker]:
    broker = LoopbackBroker()
    broker.start()
    yield broker
    broker.close()
