"""Shelly plugs, relays and meters of the first generation, by `topic = "shellies/mill-1"`.

    status = {dialect = "shelly1", topic = "shellies/mill-1", channel = 0, running_above_w = 350}

Subscribes to `shellies/mill-1/#`, of which it reads `online`, `relay/N`, `light/N` and `emeter/N`; nothing of it is
retained unless the device is told to. Silence: the device repeats everything each `mqtt_update_period`, 30 s by
default; four of them are 2 minutes. Its last will is `false` on `online`, and not always retained, so that somebody
who comes later never hears it. Tells watts, `off` when the relay is, and `fault` for `overpower`; a relay that is on
says nothing about running. `phases = 3` adds the watts of three clamps (`emeter/0` to `emeter/2`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import Asked, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import COMMAND, LAST_WILL, ONLINE, DeviceDialect, device_of, shape
from firmware_bridge.machines.payload import PayloadError, watts, words
from firmware_bridge.options import known_only

STALE_AFTER_MS = 120_000
CHANNEL_MAX, PHASES_MAX = 15, 3
WATT_MINUTES_PER_WH = 60
CUT = {"off": Reported("off", detail="relay off"), "overpower": Reported("fault", detail="overpower")}
CHANNEL = re.compile(r"(?P<kind>relay|light|emeter)/(?P<channel>[0-9]{1,2})(?:/(?P<item>[a-z_]+))?")
TOPICS = shape(rf"online|input(?:_event)?/[0-9]{{1,2}}|{CHANNEL.pattern}", begin="shellies/.+")


@dataclass(frozen=True)
class Options:
    """`topic`: the device. `channel`: its relay or clamp, from 0; None: whichever speaks. `phases`: clamps to add."""

    device: str | None
    channel: int | None = 0
    phases: int = 1

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "channel", "phases"))
        device, tail = device_of(table, TOPICS, "shellies/mill-1/online", any_topic=any_topic)
        named = CHANNEL.fullmatch(tail)
        channel = options.integer(table, "channel", 0, CHANNEL_MAX)
        if channel is None and device is not None:
            channel = 0 if named is None else int(named["channel"])
        return cls(device, channel, options.integer(table, "phases", 1, PHASES_MAX) or 1)


@dataclass(frozen=True)
class Known:
    """The word of a relay that lets nothing through, if it does not, and the watts of each phase."""

    cut: str | None = None
    phases: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))


class Shelly1(DeviceDialect[Known]):
    """One device of the first generation."""

    TOPICS = TOPICS

    def __init__(self, options: Options) -> None:
        super().__init__(options.device, Known())
        self._channel = options.channel
        self._phases = options.phases

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    @property
    def default_stale_after_ms(self) -> int | None:
        """2 minutes."""
        return STALE_AFTER_MS

    def greeting(self) -> tuple[Asked, ...]:
        """Asks the device to say everything now."""
        # shellies/mill-1/command  update
        return () if self._device is None else (Asked(f"{self._device}/command", b"update"),)

    def _tails(self) -> tuple[str, ...]:
        return ("#",)

    def _told(self, tail: str, payload: bytes) -> Told:
        if tail == "online":
            return _online(words(payload))
        named = CHANNEL.fullmatch(tail)
        if named is None:
            # shellies/shelly1/input/0        0
            # shellies/shelly1/input_event/0  {"event":"","event_cnt":0}
            return Ignored("a button")
        if named["item"] == "command":
            # shellies/mill-1/relay/0/command  on
            return COMMAND
        channel = int(named["channel"])
        first = channel if self._channel is None else self._channel
        if not first <= channel < first + self._phases:
            return Reported(detail=f"channel {channel} of several")
        return self._channel_told(named["kind"], named["item"], channel, words(payload))

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`relay` and `energy_wh`."""
        named, word = CHANNEL.fullmatch(tail), words(payload)
        match named and named["item"]:
            case None if named is not None:
                return {"relay": word if word in ("on", "off") else None}
            # shellies/mill-1/relay/0/energy  81010  (watt-minutes: 1350.17 Wh)
            case "energy":
                return {"energy_wh": round(watts(word) / WATT_MINUTES_PER_WH, 2)}
            # shellies/shellies/shellyem3/emeter/0/total  81010.5  (Wh)
            case "total":
                return {"energy_wh": watts(word)}
            case _:
                return {}

    def _channel_told(self, kind: str, item: str | None, channel: int, word: str) -> Told:
        if item is None:
            return Reported(detail="alive") if kind == "emeter" else self._switched(word)
        # shellies/NAPPALITV/relay/0/power  0.0
        # shellies/shellies/shellyem3/emeter/1/power  0.00
        if item == "power":
            return self._drawing(channel, watts(word))
        # shellies/shellies/shellyem3/emeter/0/voltage  230.35
        return Reported(detail="alive")

    def _switched(self, word: str) -> Told:
        # shellies/shelly1/relay/0  off
        # shellies/mill-1/relay/0  overpower
        # (known from now on: a meter that says 0 W beside it must not tell `idle`)
        self._known = replace(self._known, cut=word if word in CUT else None)
        if word in CUT:
            return CUT[word]
        # shellies/mill-1/relay/0  on
        return Reported(detail="relay on") if word == "on" else not_listed(word)

    def _drawing(self, channel: int, power_w: float) -> Told:
        phases = {**self._known.phases, channel: power_w} if self._phases > 1 else {channel: power_w}
        self._known = replace(self._known, phases=MappingProxyType(phases))
        if len(phases) < self._phases:
            return Reported(detail=f"{len(phases)} of {self._phases} phases")
        total_w = sum(phases.values())
        if not math.isfinite(total_w):
            raise PayloadError("a number out of range")
        return Reported(power_w=total_w) if self._known.cut is None else replace(CUT[self._known.cut], power_w=total_w)


def _online(word: str) -> Told:
    # shellies/shellyswitch25-C45BBE798F0F/online  false  (the will; retain false, qos 0)
    if word == "false":
        return LAST_WILL
    # shellies/shelly1/online  true
    return ONLINE if word == "true" else Ignored("neither true nor false")
