"""Any topic whose whole payload is the value: a word of a table, or watts.

    status = {dialect = "text", topic = "lab/mill/state", states = {RUN = "running"}, will_topic = "lab/mill/lwt"}

Subscribes to `topic` and `will_topic`. Silence: two minutes, or never with a will. Tells every state that is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from firmware_bridge.machines.base import Reported, Told
from firmware_bridge.machines.payload import watts, words
from firmware_bridge.machines.source import Source, SourceDialect
from firmware_bridge.options import known_only

Options = Source
"""`topic`, `states`, `will_topic` and `offline`."""


class Text(SourceDialect):
    """The text without the white space around it, letter for letter."""

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, Options.KEYS)
        return cls(Options.from_table(table, any_topic=any_topic))

    def _value(self, payload: bytes) -> Told:
        # lab/mill/state  RUN
        if self._source.states is not None:
            return self._state(words(payload))
        # lab/plug/power  812.4
        return Reported(power_w=watts(words(payload)))
