"""Zigbee plugs and switches behind Zigbee2MQTT, by `topic = "zigbee2mqtt/mill-1"`.

    status = {dialect = "zigbee2mqtt", topic = "zigbee2mqtt/mill-1", running_above_w = 350}

`topic` is the base topic and the friendly name; `base` is needed where the base topic itself has a slash. Subscribes
to that topic, one level below it (`availability`, retained, if switched on there; single attributes, likewise) and
`zigbee2mqtt/bridge/state` (retained, the will of Zigbee2MQTT itself); states are not retained by default. Silence: a
plug reports when its watts change, or when it is polled, so that a machine at work is heard often. Zigbee2MQTT asks a
mains device that was silent for ten minutes; so does this, and gives it half of that again: 15 minutes. The last will
is `offline` as the availability or as the bridge's state, plain or as JSON. Tells watts, and `off` when the relay is;
a relay that is on says nothing about running. `channel = "l2"` is one of several: `state_l2` and `power_l2`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Asked, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import (
    COMMAND,
    LAST_WILL,
    NOTHING_KNOWN,
    ONLINE,
    OTHERS,
    Remembering,
    held,
    member,
    number,
)
from firmware_bridge.machines.payload import PayloadError, spelled, watts, words
from firmware_bridge.options import OptionError, known_only

STALE_AFTER_MS = 15 * 60_000
BRIDGE, AVAILABILITY, COMMANDS = "bridge", "availability", ("set", "get")
NAMES = ("zigbee", "z2m")
CHANNEL = re.compile(r"[A-Za-z0-9_]{1,32}")
SWITCH = re.compile(r"state(?:_(?:l[0-9]{1,2}|[0-9]{1,2}|left|right|center|top|bottom))?")


@dataclass(frozen=True)
class Options:
    """`topic`: base topic and name. `base`: the base topic. `channel`: which of several relays."""

    topic: str | None
    base: str | None = None
    channel: str | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "base", "channel"))
        topic, base = options.topic(table, "topic"), options.topic(table, "base")
        channel = options.text(table, "channel")
        if channel is not None and not CHANNEL.fullmatch(channel):
            raise OptionError("channel", 'must be what follows "state_" in the messages, as channel = "l2"')
        if topic is None:
            if not any_topic:
                raise OptionError("topic", 'is missing; write base topic and name, as topic = "zigbee2mqtt/mill-1"')
            return cls(None, base, channel)
        base = topic.partition("/")[0] if base is None else base.rstrip("/")
        if not base or not topic.startswith(f"{base}/") or topic == f"{base}/":
            raise OptionError("topic", 'must be the base topic and a name, as topic = "zigbee2mqtt/mill-1"')
        return cls(topic.rstrip("/"), base, channel)


@dataclass(frozen=True)
class Known:
    """Is the relay off: where attributes come one by one, 0 W beside it must not tell `idle`."""

    off: bool = False


class Zigbee2Mqtt(Remembering[Known]):
    """One device, or one of its relays."""

    def __init__(self, options: Options) -> None:
        super().__init__(Known())
        self._topic, self._base = options.topic, options.base
        self._suffix = "" if options.channel is None else f"_{options.channel}"
        self._any_channel = options.topic is None and options.channel is None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """The device's own, what is one level below, and the bridge's state."""
        if self._topic is None:
            return ()
        return (self._topic, f"{self._topic}/+", f"{self._base}/{BRIDGE}/state")

    @property
    def default_stale_after_ms(self) -> int | None:
        """15 minutes."""
        return STALE_AFTER_MS

    def greeting(self) -> tuple[Asked, ...]:
        """Asks the device for its state."""
        if self._topic is None:
            return ()
        # zigbee2mqtt/mill-1/get  {"state":""}
        return (Asked(f"{self._topic}/get", json.dumps({f"state{self._suffix}": ""}).encode()),)

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        base = self._base or _base_of(topic, payload)
        if topic.startswith(OTHERS) or base is None:
            return [NOTHING_KNOWN if self._topic is None else NOT_OURS]
        if topic.startswith(f"{base}/{BRIDGE}/"):
            # zigbee2mqtt/bridge/logging  {"level":"info","message":"..."}
            of_state = topic == f"{base}/{BRIDGE}/state"
            return [_available(payload) if of_state else Ignored("the bridge's own")]
        # zigbee2mqtt/wall_switch_double/right/set  {"state":"OFF"}
        if not set(COMMANDS).isdisjoint(topic.removeprefix(f"{base}/").split("/")[1:]):
            return [COMMAND if self._topic is None or topic.startswith(f"{self._topic}/") else NOT_OURS]
        before, _, last = topic.rpartition("/")
        of_device = topic == self._topic
        if not of_device and self._topic not in (None, before):
            return [NOT_OURS]
        # zigbee2mqtt/z1/availability  (empty and retained: the topic is removed)
        if not payload:
            return [Ignored("the topic was removed")]
        if not of_device and last == AVAILABILITY:
            return [_available(payload)]
        # By its shape alone: a device speaks in JSON, an attribute is a single value.
        if of_device or (self._topic is None and payload.lstrip().startswith(b"{")):
            return [self._device(member(payload))]
        return [self._attribute(last, words(payload))]

    def describe(self, topic: str, payload: bytes) -> Mapping[str, object]:
        """`relay` and `energy_kwh`."""
        return held(lambda: self._held(topic.rpartition("/")[2], payload), payload)

    def _held(self, last: str, payload: bytes) -> Mapping[str, object]:
        if not payload.lstrip().startswith(b"{"):
            # zigbee2mqtt/z1/energy  12.05
            return {"energy_kwh": watts(words(payload))} if last == "energy" else {}
        said = member(payload)
        relays = [word.lower() for word in self._switches(said) if word in ("ON", "OFF")]
        return {
            "relay": relays[0] if len(relays) == 1 and last not in COMMANDS else None,
            "energy_kwh": number(said, f"energy{self._suffix}"),
        }

    def _switches(self, said: Mapping[str, object]) -> list[str]:
        keys = filter(SWITCH.fullmatch, said) if self._any_channel else (f"state{self._suffix}",)
        return [spelled(said[key]) or "" for key in keys if said.get(key) is not None]

    def _device(self, said: Mapping[str, object]) -> Told:
        # zigbee2mqtt/z1  {"energy":12.05,"power":0,"state":"OFF","update":{"state":"idle"},"voltage":243,...}
        # (update.state is the firmware's)
        # zigbee2mqtt/power_plug      {"state":"ON"}
        # zigbee2mqtt/TS0601_switch   {"state_l2":"ON"}
        # zigbee2mqtt/button          {"action":"single"}
        power_w = number(said, f"power{self._suffix}")
        switches = self._switches(said)
        if switches:
            return self._switched(switches, power_w)
        return self._drawing(power_w)

    def _attribute(self, name: str, word: str) -> Told:
        # zigbee2mqtt/z1/state  OFF
        if name == f"state{self._suffix}":
            return self._switched([word], None)
        # zigbee2mqtt/z1/power  812
        if name == f"power{self._suffix}":
            return self._drawing(watts(word))
        # zigbee2mqtt/z1/voltage  243
        return Reported(detail="alive")

    def _switched(self, switches: list[str], power_w: float | None) -> Told:
        odd = next((word for word in switches if word not in ("ON", "OFF")), None)
        if odd is not None:
            return not_listed(odd)
        self._known = Known(off="ON" not in switches)
        return self._drawing(power_w) if self._known.off else Reported(power_w=power_w, detail="relay on")

    def _drawing(self, power_w: float | None) -> Told:
        if self._known.off:
            return Reported("off", power_w, "relay off")
        return Reported(power_w=power_w, detail="" if power_w is not None else "alive")


def _base_of(topic: str, payload: bytes) -> str | None:
    """The base topic, where none is named: up to the level that says so; else what only such a device says tells."""
    levels = topic.split("/")
    for index, level in enumerate(levels[:-1], start=1):
        if any(name in level.lower() for name in NAMES):
            return "/".join(levels[:index])
    return levels[0] if b'"linkquality"' in payload and len(levels) > 1 else None


def _available(payload: bytes) -> Told:
    # zigbee2mqtt/remote/availability  {"state":"offline"}
    # zigbee2mqtt/remote/availability  offline  (before version 2)
    # zigbee2mqtt/bridge/state         {"state":"online"}
    if not payload:
        return Ignored("the topic was removed")
    plain = words(payload)
    word = member(payload).get("state") if plain.startswith("{") else plain
    if word == "offline":
        return LAST_WILL
    if word == "online":
        return ONLINE
    raise PayloadError("neither online nor offline")
