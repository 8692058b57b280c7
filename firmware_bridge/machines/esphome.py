"""ESPHome nodes, by `topic = "mill-1"` (the node's topic prefix) and the item that tells what the machine does.

    status = {dialect = "esphome", topic = "mill-1", item = "sensor/power", relay = "switch/relay", running_above_w = 9}
    status = {dialect = "esphome", topic = "mill-1", item = "binary_sensor/on", states = {ON = "running", OFF = "idle"}}

Subscribes to `mill-1/sensor/power/state`, to the relay's state where one is named, and to `mill-1/status`; all are
retained by default. A sensor is watts; another item tells the states that `states` lists, as may a sensor. Silence: a
sensor publishes each `update_interval`, 60 s by default; 2.5 of them, rounded up, are 3 minutes. Every other item
speaks only of changes: never. The last will is `offline` on `status`. A relay that is off tells `off`; one that is on
says nothing about running. A node that sets topics of its own is described with the dialects `text` and `json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import LAST_WILL, ONLINE, DeviceDialect, device_of, shape
from firmware_bridge.machines.payload import watts, words
from firmware_bridge.machines.source import states_of
from firmware_bridge.options import OptionError, known_only

STALE_AFTER_MS = 3 * 60_000
STATE = "/state"
ITEM = re.compile(r"[a-z_]+/[^/+#]+")
TOPICS = shape(r"[a-z_]+/[^/]+/state|status")
WATTS, NO_WATTS = (
    re.compile(r"power|watts?|w"),
    re.compile(r"factor|apparent|reactive|energy|k?wh|today|yesterday|daily|percent(?:age)?"),
)
OF_THE_NODE = re.compile(r"restart|reboot|safe_mode|shutdown|factory_reset|identify")
"""Switches that every node may have and that no machine hangs on."""


@dataclass(frozen=True)
class Options:
    """`topic`: the node. `item`: what tells the machine's state or watts. `relay`: a switch that takes its power."""

    device: str | None
    item: str | None = None
    relay: str | None = None
    states: Mapping[str, str] | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "item", "relay", "states"))
        device, tail = device_of(table, TOPICS, "mill-1/sensor/power/state", any_topic=any_topic)
        item, relay, states = _item(table, "item"), _item(table, "relay"), states_of(table.get("states"))
        if item is None and tail.endswith(STATE):
            item = tail.removesuffix(STATE)
        if item is None and device is not None:
            raise OptionError("item", 'is missing; write domain and object id, as item = "sensor/power"')
        if relay is not None and not relay.startswith("switch/"):
            raise OptionError("relay", 'must be a switch; write relay = "switch/relay"')
        if item is not None and states is None and not item.startswith(("sensor/", "switch/")):
            raise OptionError(
                "states", 'is missing; its words need a table, as states = {ON = "running", OFF = "idle"}'
            )
        return cls(device, item, relay, states)


@dataclass(frozen=True)
class Known:
    """Is the relay off: 0 W beside it must not tell `idle`."""

    off: bool = False


class EspHome(DeviceDialect[Known]):
    """One item of a node, and perhaps a relay."""

    TOPICS = TOPICS

    def __init__(self, options: Options) -> None:
        super().__init__(options.device, Known())
        self._item, self._relay, self._states = options.item, options.relay, options.states

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    @property
    def default_stale_after_ms(self) -> int | None:
        """3 minutes for a sensor; never for what speaks only of changes."""
        return STALE_AFTER_MS if self._item is None or self._item.startswith("sensor/") else None

    def _tails(self) -> tuple[str, ...]:
        items = (self._item, self._relay)
        return (*(f"{item}{STATE}" for item in dict.fromkeys(items) if item is not None), "status")

    def _told(self, tail: str, payload: bytes) -> Told:
        word = words(payload)
        if tail == "status":
            return _status(word)
        item = tail.removesuffix(STATE)
        if self._item is None:
            return self._by_name(item, word)
        if item == self._item and self._states is not None:
            state = self._states.get(word)
            return not_listed(word) if state is None else Reported(state)
        if item == self._item and item.startswith("sensor/"):
            return self._drawing(word)
        if item in (self._item, self._relay):
            return self._switched(word)
        return Ignored("another item")

    def _by_name(self, item: str, word: str) -> Told:
        """Where no item is named, its own name tells what it is."""
        domain, _, name = item.partition("/")
        parts = re.split(r"[^a-z0-9]+", name.lower())
        if domain == "sensor" and any(map(WATTS.fullmatch, parts)) and not any(map(NO_WATTS.fullmatch, parts)):
            return self._drawing(word)
        # attic-powerwall/switch/attic-powerwall_restart/state  OFF
        if domain == "switch" and not OF_THE_NODE.search(name):
            return self._switched(word)
        # attic-powerwall/sensor/energy_yesterday/state  0.105
        return Reported(detail="alive")

    def _drawing(self, word: str) -> Told:
        # attic-powerwall/sensor/firstfloor_inverter_power_demand/state  0
        # mill-1/sensor/power/state  nan  (the sensor does not answer its node: not a number)
        power_w = watts(word)
        return Reported("off", power_w, "relay off") if self._known.off else Reported(power_w=power_w)

    def _switched(self, word: str) -> Told:
        # mill-1/switch/relay/state  OFF
        self._known = Known(off=word == "OFF")
        if word == "OFF":
            return Reported("off", detail="relay off")
        # mill-1/switch/relay/state  ON
        return Reported(detail="relay on") if word == "ON" else not_listed(word)


def _item(table: Mapping[str, object], key: str) -> str | None:
    item = options.text(table, key)
    if item is None or ITEM.fullmatch(item):
        return item
    raise OptionError(key, f'must be domain and object id, as {key} = "sensor/power"')


def _status(word: str) -> Told:
    # livingroom/status  offline
    if word == "offline":
        return LAST_WILL
    # livingroom/status  online
    return ONLINE if word == "online" else Ignored("neither online nor offline")
