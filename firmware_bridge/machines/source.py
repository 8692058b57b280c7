"""What the describable dialects share: one topic of values, a table of them, and perhaps a last will."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, STATES, Dialect, Gone, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.payload import words
from firmware_bridge.options import OptionError

STALE_AFTER_MS = 120_000
"""Hours, section 2: two minutes for a source that repeats itself."""


@dataclass(frozen=True)
class Source:
    """Where values come from. `states` maps a value as it is spelled to a canonical state; None: values are watts."""

    topic: str | None
    states: Mapping[str, str] | None = None
    will_topic: str | None = None
    offline: str = "offline"

    KEYS = ("topic", "states", "will_topic", "offline")

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Source:
        """Raises `OptionError`; other keys are the dialect's own."""
        topic = options.topic(table, "topic")
        if topic is None and not any_topic:
            raise OptionError("topic", 'is missing; write the topic that tells the state, as topic = "lab/mill"')
        will_topic, offline = options.topic(table, "will_topic"), options.text(table, "offline")
        if offline is not None and will_topic is None:
            raise OptionError("offline", "needs a topic to be heard on; write will_topic beside it")
        return cls(topic, states_of(table.get("states")), will_topic, "offline" if offline is None else offline)


class SourceDialect(Dialect):
    """A dialect whose values are on one topic."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def topics(self) -> tuple[str, ...]:
        """The topic of the values and that of the will."""
        both = (self._source.topic, self._source.will_topic)
        return tuple(dict.fromkeys(topic for topic in both if topic is not None))

    @property
    def default_stale_after_ms(self) -> int | None:
        """Two minutes; never where a will tells of the end."""
        return STALE_AFTER_MS if self._source.will_topic is None else None

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        source = self._source
        of_values = topic == source.topic or (source.topic is None and topic != source.will_topic)
        if topic == source.will_topic:
            # lab/mill/lwt  offline
            if words(payload) == source.offline:
                return [Gone("last will")]
            if not of_values:
                # lab/mill/lwt  online: the state that was known before is not known again by this
                return [Ignored("not the offline word")]
        return [self._value(payload)] if of_values else [NOT_OURS]

    @abstractmethod
    def _value(self, payload: bytes) -> Told:
        """What the value in a payload of the topic tells."""

    def _state(self, value: str) -> Reported:
        """The state that the table gives to `value`."""
        assert self._source.states is not None
        state = self._source.states.get(value)
        return not_listed(value) if state is None else Reported(state=state)


def states_of(value: object) -> Mapping[str, str] | None:
    """A table of values, as they are spelled, to canonical states; None where it is left out. Raises `OptionError`."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value:
        raise OptionError("states", 'must be a table of values to states; write states = {RUN = "running"}')
    for spelling, state in value.items():
        if not isinstance(spelling, str) or not isinstance(state, str) or state not in STATES:
            raise OptionError(f"states.{spelling}", f"must be one of {', '.join(STATES)}")
    return MappingProxyType(dict(value))
