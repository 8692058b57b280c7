"""Tasmota plugs and meters (tasmota/docs), by `topic = "tele/mill-1/SENSOR"` or any other FullTopic order.

Subscribes to everything the device says beside that topic: `tele/mill-1/+` and `stat/mill-1/+`. Silence: a device
repeats itself each TelePeriod, 300 s by default; 2.5 of them, rounded up, are 13 minutes. Its last will is the word
Offline on LWT, retained. Tells watts, and `off` when the relay is; a relay that is on says nothing about running. While
the relay is known to be off, 0 W is `off` too: nothing flows through it, and it is not a machine that rests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Gone, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import Remembering
from firmware_bridge.machines.payload import Number, PayloadError, document, words
from firmware_bridge.options import OptionError, known_only

STALE_AFTER_MS = 13 * 60_000
RELAYS_MAX = 32
REPORTS, COMMANDS = ("tele", "stat"), "cmnd"
POWER = re.compile(r"POWER([1-9][0-9]?)?")
STATUS = re.compile(r"STATUS([0-9]{1,2})?|StatusSNS|StatusSTS|RESULT|STATE|SENSOR|ENERGY|UPTIME|MARGINS")
INFO = re.compile(r"INFO[0-9]")
RULE = "power"
RELAY_ON, RELAY_OFF = "relay on", "relay off"
RELAY_IS_OFF = Reported("off", detail=RELAY_OFF)


@dataclass(frozen=True)
class Options:
    """`topic`: any one of the device's own. `relay`: which of several relays the machine hangs on, 1 to 32."""

    topic: str | None
    relay: int = 1

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "relay"))
        topic = options.topic(table, "topic")
        if topic is None and not any_topic:
            raise OptionError("topic", 'is missing; write the device\'s topic, as topic = "tele/mill-1/SENSOR"')
        if topic is not None and not _is_report(topic):
            raise OptionError("topic", "is no topic that Tasmota reports on; it ends with SENSOR: tele/mill-1/SENSOR")
        return cls(topic, options.integer(table, "relay", 1, RELAYS_MAX) or 1)


class Tasmota(Remembering[bool]):
    """One device; its commands are never taken for its state. It remembers whether its relay was said to be off."""

    def __init__(self, options: Options) -> None:
        super().__init__(False)
        self._relay = options.relay
        self._topic = options.topic
        self._device = None if options.topic is None else _device(options.topic)

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """All the device's reports; where the topic has no prefix to exchange, that topic alone."""
        if self._topic is None:
            return ()
        if self._device is None:
            return (self._topic,)
        before, after = self._device
        return tuple("/".join((*before, prefix, *after, "+")) for prefix in REPORTS)

    @property
    def default_stale_after_ms(self) -> int | None:
        """13 minutes."""
        return STALE_AFTER_MS

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        # MyHome/Bathroom/cmnd/sonoff_basic_1/power  ON  (retained: it switches on at each reconnect)
        if COMMANDS in _levels(topic):
            return [Ignored("a command, not a report")]
        if not self._is_mine(topic):
            return [NOT_OURS]
        return [self._cut(self._report(topic, topic.rpartition("/")[2], payload))]

    def _cut(self, told: Told) -> Told:
        """0 W behind a relay that is off is `off`; without that, each STATE and SENSOR in turn would be a change."""
        if not isinstance(told, Reported):
            return told
        if told.detail in (RELAY_OFF, RELAY_ON):
            self._known = told.detail == RELAY_OFF
        return RELAY_IS_OFF if self._known and told.state is None and told.power_w == 0 else told

    def _is_mine(self, topic: str) -> bool:
        if self._topic is None or topic == self._topic:
            return True
        return self._device is not None and _device(topic) == self._device

    def _report(self, topic: str, kind: str, payload: bytes) -> Told:
        if kind == "LWT":
            return _will(words(payload))
        # tele/wemos2/INFO3  {"RestartReason":"Software/System restart"}
        if INFO.fullmatch(kind):
            return Ignored("device information")
        if POWER.fullmatch(kind):
            # stat/wemos2/POWER2  ON
            plain = words(payload)
            # stat/demo-sensor/POWER  {"POWER":"ON"}  (SetOption4)
            return self._document(kind, payload) if plain.startswith("{") else self._switched({kind: plain})
        if STATUS.fullmatch(kind):
            return self._document(kind, payload)
        if kind == RULE and _device(topic) is None:
            return _rule(words(payload))
        return Ignored("nothing that is known to tell a state")

    def _document(self, kind: str, payload: bytes) -> Told:
        told = document(payload)
        if not isinstance(told, dict):
            raise PayloadError("not a JSON object")
        # stat/wemos2/STATUS8  {"StatusSNS":{"Time":"2018.02.04 23:17:01","ENERGY":{...,"Power":0}}}
        # stat/wemos2/STATUS   {"Status":{...,"Power":3}}  (a bit mask of relays, not watts)
        parts = [told, *(part for key in ("StatusSNS", "StatusSTS") if isinstance(part := told.get(key), dict))]
        power_w = next((power for part in parts if (power := _watts(kind, part)) is not None), None)
        relays = [self._switched(part) for part in parts]
        relay = next((said for said in relays if said.state or said.unmapped), relays[-1])
        if relay.state is None and power_w is not None:
            return Reported(power_w=power_w)
        return replace(relay, power_w=power_w)

    def _switched(self, part: Mapping[str, object]) -> Reported:
        """What the relays in `part` say: `off`, or no more than that the device lives."""
        detail = "alive"
        for key, value in part.items():
            relay = POWER.fullmatch(key)
            # stat/plug/RESULT  {"POWER_LOW":"ON"}  (an alarm, no relay)
            if relay is None:
                continue
            if int(relay[1] or 1) != self._relay:
                detail = f"relay {relay[1] or 1} of several"
                continue
            # tele/tasmota/STATE  {"Time":"2019-10-31T11:14:59",...,"POWER":"OFF","Wifi":{...}}
            if value == "OFF":
                return RELAY_IS_OFF
            # tele/demo-sensor/STATE  {...,"POWER":"ON",...}
            # tele/tasmota-E8A6E4/STATE  {...,"POWER":"POWER",...}  (seen; neither ON nor OFF)
            return Reported(detail=RELAY_ON) if value == "ON" else not_listed(str(value))
        return Reported(detail=detail)


def _will(word: str) -> Told:
    # MyHome/Bathroom/tele/sonoff/LWT  Offline
    if word == "Offline":
        return Gone("last will")
    # tele/wemos2/LWT  Online
    return Reported(detail="online") if word == "Online" else Ignored("neither Online nor Offline")


def _rule(word: str) -> Told:
    # tool/tablesaw/power  0
    # The documented rule for a tool: ENERGY#Current>0.100 publishes 1, below it 0 (tasmota/docs docs/Rules.md).
    states = {"0": "idle", "1": "running"}
    return Reported(states[word], detail="rule") if word in states else not_listed(word)


def _watts(kind: str, part: Mapping[str, object]) -> float | None:
    # tele/energy1/SENSOR  {"Time":"2019-03-01T12:48:40","ENERGY":{...,"Power":2109,...}}
    energy = part.get("ENERGY")
    if isinstance(energy, dict):
        return _sum(energy.get("Power"))
    # tele/tasmota-E8A6E4/ENERGY  {"Time":"2017-07-25T12:06:28",...,"Power":0,...}  (before version 5)
    if kind == "ENERGY":
        return _sum(part.get("Power"))
    # tasmota_49A3BC/tele/SENSOR  {"ANALOG":{"CTEnergy1":{"Energy":0.5,"Power":2300,"Voltage":230,"Current":10}}}
    analog = part.get("ANALOG")
    if isinstance(analog, dict):
        clamps = [clamp for name, clamp in analog.items() if name.startswith("CTEnergy") and isinstance(clamp, dict)]
        return _sum([clamp.get("Power") for clamp in clamps]) if clamps else None
    return None


def _sum(power: object) -> float | None:
    """Watts: one number, or one for each phase; None where none is told."""
    if power is None:
        return None
    phases = power if isinstance(power, list) else [power]
    # {"ENERGY":{...,"Power":[810,795,802],...}}
    if not phases or not all(isinstance(phase, Number) for phase in phases):
        raise PayloadError("Power is not a number")
    return float(sum(phases))


def _levels(topic: str) -> list[str]:
    """The topic without its last level, which says what kind of report it is."""
    return topic.split("/")[:-1]


def _device(topic: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What stands before and after the prefix, which is anywhere in a FullTopic; None where there is no prefix."""
    levels = _levels(topic)
    for index, level in enumerate(levels):
        if level in REPORTS:
            return tuple(levels[:index]), tuple(levels[index + 1 :])
    return None


def _is_report(topic: str) -> bool:
    kind = topic.rpartition("/")[2]
    if COMMANDS in _levels(topic):
        return False
    known = kind == "LWT" or any(shape.fullmatch(kind) for shape in (POWER, STATUS, INFO))
    return known or (kind == RULE and _device(topic) is None)
