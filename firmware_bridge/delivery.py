"""How a link hands over what it heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from firmware_bridge.observations import Observation


class Deliver(Protocol):
    """Takes an observation, at once and without waiting for its storage; must be callable from any thread."""

    def __call__(self, observation: Observation, on_stored: Callable[[], None] | None = None) -> None:
        """Take `observation`; call `on_stored` once it is durably kept, or knowingly given up."""
