"""Acme's monitor beside a machine, by `topic = "acme/17"`: one letter on `mode`, repeated every minute.

    status = {dialect = "acme-monitor", topic = "acme/17"}

Subscribes to `acme/17/mode` (R: it runs, S: it is set up, I: it rests) and to `acme/17/gone`, its last will.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Dialect, Gone, Reported, Told, not_listed
from firmware_bridge.machines.payload import words
from firmware_bridge.options import OptionError, known_only

STATES = {"R": "running", "S": "setup", "I": "idle"}


class AcmeMonitor(Dialect):
    """One monitor. It remembers nothing."""

    def __init__(self, topic: str | None) -> None:
        self._topic = topic

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic",))
        topic = options.topic(table, "topic")
        if topic is None and not any_topic:
            raise OptionError("topic", 'is missing; write the monitor\'s number, as topic = "acme/17"')
        return cls(topic)

    def topics(self) -> tuple[str, ...]:
        """What it says, and its last will."""
        return (f"{self._topic}/mode", f"{self._topic}/gone") if self._topic else ()

    @property
    def default_stale_after_ms(self) -> int:
        """Two and a half of its minutes."""
        return 150_000

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        name, _, what = topic.rpartition("/")
        if self._topic not in {None, name}:
            return [NOT_OURS]
        if what == "gone":
            return [Gone("last will")]
        if what != "mode":
            return [NOT_OURS]
        letter = words(payload)
        return [Reported(state=STATES[letter]) if letter in STATES else not_listed(letter)]
