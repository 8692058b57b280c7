"""Machines that tell their PackML state (ISA-TR88.00.02) on `Status/StateCurrent`, by `topic = "Site/Area/Line"`.

    status = {dialect = "packml", topic = "Site/Area/Line"}

Subscribes to `Site/Area/Line/Status/StateCurrent` and `.../StateCurrentStr`, both retained; each may carry the word
or the number. It speaks only of changes, so silence never means anything. There is no last will unless `will_topic`
names one (`offline` is its word): without it only the loss of the broker ends a state, so name one where there is
one, or write a `stale_after` where the machine repeats itself. Tells `running`, `setup`, `idle`, also while held or
suspended, and `fault`. The simulator's numbers differ from the standard's only in 1 and 4, which stand for Idle and
Clearing in either order: a machine that does neither work nor harm, so both are `idle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import COMMAND, LAST_WILL, DeviceDialect, device_of, native, shape
from firmware_bridge.machines.payload import words
from firmware_bridge.options import OptionError, known_only

TAILS = ("Status/StateCurrent", "Status/StateCurrentStr")
TOPICS = shape(r"(?:Status|Admin|Command)/.+", begin=".+?")
STATES = {
    "clearing": Reported("idle"),
    "stopped": Reported("idle"),
    "starting": Reported("setup"),
    "idle": Reported("idle"),
    "suspended": Reported("idle", detail="held"),
    "execute": Reported("running"),
    "stopping": Reported("idle"),
    "aborting": Reported("fault"),
    "aborted": Reported("fault"),
    "holding": Reported("idle", detail="held"),
    "held": Reported("idle", detail="held"),
    "unholding": Reported("setup"),
    "suspending": Reported("idle", detail="held"),
    "unsuspending": Reported("setup"),
    "resetting": Reported("setup"),
    "completing": Reported("running"),
    "complete": Reported("idle"),
}
"""In the order of the standard, from 1."""
NUMBERS = {str(number): told for number, told in enumerate(STATES.values(), start=1)}


@dataclass(frozen=True)
class Options:
    """`topic`: what stands before `Status`. `will_topic`, `offline`: a last will, if there is one."""

    device: str | None
    will_topic: str | None = None
    offline: str = "offline"

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "will_topic", "offline"))
        device, _ = device_of(table, TOPICS, "Site/Area/Line/Status/StateCurrent", any_topic=any_topic)
        will_topic, offline = options.topic(table, "will_topic"), options.text(table, "offline")
        if offline is not None and will_topic is None:
            raise OptionError("offline", "needs a topic to be heard on; write will_topic beside it")
        return cls(device, will_topic, offline or "offline")


class PackMl(DeviceDialect[None]):
    """One machine or line."""

    TOPICS = TOPICS

    def __init__(self, options: Options) -> None:
        super().__init__(options.device, None)
        self._will_topic, self._offline = options.will_topic, options.offline

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """Both forms of the state, and the will."""
        will = () if self._will_topic is None else (self._will_topic,)
        return (*super().topics(), *will)

    @property
    def default_stale_after_ms(self) -> int | None:
        """Never."""
        return None

    def _tails(self) -> tuple[str, ...]:
        return TAILS

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        if topic == self._will_topic:
            # lab/line-1/lwt  offline
            return [LAST_WILL if words(payload) == self._offline else Ignored("not the offline word")]
        return super()._tell(topic, payload)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`native`: the word or the number."""
        return {"native": native(words(payload)) if tail in TAILS else None}

    def _told(self, tail: str, payload: bytes) -> Told:
        # Site/Area/Line/Command/Start  1
        if tail.startswith("Command/"):
            return COMMAND
        # Site/Area/Line/Status/CurMachSpeed  57.2
        if tail not in TAILS:
            return Reported(detail="alive")
        # Site/Area/Line/Status/StateCurrentStr  Suspended
        # Site/Area/Line/Status/StateCurrent     6
        word = words(payload)
        return NUMBERS.get(word) or STATES.get(word.lower()) or not_listed(word)
