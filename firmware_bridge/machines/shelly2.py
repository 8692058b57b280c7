"""Shelly devices of the second and third generation (Plus, Pro, Mini), by `topic = "shellyplus1pm-4417939341dc"`.

    status = {dialect = "shelly2", topic = "shellyplus1pm-4417939341dc", component = "switch:0", running_above_w = 350}

`topic` is the device's MQTT prefix, which need not be its id. Subscribes to `events/rpc` (what changed), `status/+` (a
component in full; both are settings of the device, and neither is retained), `online` and `kiosk/rpc` (the answer to
`Shelly.GetStatus`, which is asked at the start). What changed is added to what is known; what is not named is
unchanged. Silence: a device that meters says its counter each minute, even at 0 W; 2.5 of them, rounded up, are 3
minutes. One without a meter speaks only of changes: `stale_after = "never"`. Its last will is `false` on `online`.
Tells watts, `off` when the output is, and `fault` for `overpower`; an output that is on says nothing about running.
`component` may also be `light:N`, or a meter: `pm1:N`, `em1:N`, `em:N` (three phases).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import Asked, Ignored, Reported, Told
from firmware_bridge.machines.device import (
    LAST_WILL,
    ONLINE,
    DeviceDialect,
    boolean,
    device_of,
    member,
    number,
    part,
    shape,
)
from firmware_bridge.machines.payload import words
from firmware_bridge.options import OptionError, known_only

STALE_AFTER_MS = 3 * 60_000
COMPONENT = re.compile(r"(?:switch|light|pm1|em1|em):[0-9]{1,3}")
ANSWER = "kiosk/rpc"
TOPICS = shape(r"events/rpc|status/[a-z0-9_]+(?::[0-9]{1,3})?|online|kiosk/rpc")
STATUS, NOTICES = "status/", ("NotifyStatus", "NotifyFullStatus")
POWER = {"switch": "apower", "light": "apower", "pm1": "apower", "em1": "act_power", "em": "total_act_power"}


@dataclass(frozen=True)
class Options:
    """`topic`: the device's prefix. `component`: what the machine hangs on; None: whichever speaks."""

    device: str | None
    component: str | None = "switch:0"

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "component"))
        device, tail = device_of(table, TOPICS, "shellyplus1pm-4417939341dc/events/rpc", any_topic=any_topic)
        component = options.text(table, "component")
        if component is not None and not COMPONENT.fullmatch(component):
            raise OptionError(
                "component", 'must be a switch, light or meter with its number, as component = "switch:0"'
            )
        if component is None and device is not None:
            named = tail.removeprefix(STATUS)
            component = named if COMPONENT.fullmatch(named) else "switch:0"
        return cls(device, component)


@dataclass(frozen=True)
class Known:
    """The component as last told: its output, the watts, and whether it tripped."""

    output: bool | None = None
    power_w: float | None = None
    tripped: bool = False


class Shelly2(DeviceDialect[Known]):
    """One device of the second or third generation."""

    TOPICS = TOPICS

    def __init__(self, options: Options) -> None:
        super().__init__(options.device, Known())
        self._component = options.component

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    @property
    def default_stale_after_ms(self) -> int | None:
        """3 minutes."""
        return STALE_AFTER_MS

    def greeting(self) -> tuple[Asked, ...]:
        """Asks for the full status; the answer comes on a topic of the device's own."""
        if self._device is None:
            return ()
        # mill-1/rpc  {"id":1,"src":"mill-1/kiosk","method":"Shelly.GetStatus"}
        request = {"id": 1, "src": f"{self._device}/kiosk", "method": "Shelly.GetStatus"}
        return (Asked(f"{self._device}/rpc", json.dumps(request).encode()),)

    def _tails(self) -> tuple[str, ...]:
        return ("events/rpc", "status/+", "online", ANSWER)

    def _told(self, tail: str, payload: bytes) -> Told:
        if tail == "online":
            return _online(words(payload))
        said = member(payload)
        notice = _notice(tail, said)
        # mill-1/events/rpc  {"src":...,"method":"NotifyEvent","params":{"events":[{"component":"input:0",...}],...}}
        return Ignored("no notice of a status") if notice is None else self._components(*notice)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`relay` and `energy_wh`."""
        notice = None if tail == "online" else _notice(tail, member(payload))
        if notice is None:
            return {}
        params, _ = notice
        said = part(params, self._mine(params))
        output = boolean(said, "output")
        relay = None if output is None else ("on" if output else "off")
        return {"relay": relay, "energy_wh": number(part(said, "aenergy"), "total")}

    def _mine(self, params: Mapping[str, object]) -> str:
        """The machine's component; any one that could be it where none is named."""
        return self._component or next((name for name in params if COMPONENT.fullmatch(name)), "")

    def _components(self, params: Mapping[str, object], full: bool) -> Told:
        component = self._mine(params)
        # {"ts":1.61,"mqtt":{"connected":true}}  (1.61 s since 1970: its clock is not set, and is never asked)
        # {"script:1":{"id":1,"running":true,...},...}  (a script that runs is no machine that runs)
        if component not in params:
            return Reported(detail="another component")
        self._known = _added(Known() if full else self._known, component, part(params, component))
        return _meaning(self._known)


def _notice(tail: str, said: Mapping[str, object]) -> tuple[Mapping[str, object], bool] | None:
    """Components and what is said of them, and whether it is all there is; None for what is no notice of a status."""
    # shellies/plus1pm/status/switch:0  {"id":0, "source":"init", "output":false, "apower":0.0, ...}
    if tail.startswith(STATUS):
        return {tail.removeprefix(STATUS): said}, True
    # mill-1/kiosk/rpc  {"id":1,"src":"shellyplus1pm-4417939341dc","result":{"switch:0":{...},...},...}
    if tail == ANSWER:
        return part(said, "result"), True
    # shellies/plus1pm/events/rpc  {"src":...,"method":"NotifyStatus","params":{"ts":1661517432.85,"switch:0":{...}}}
    method = said.get("method")
    return (part(said, "params"), method == "NotifyFullStatus") if method in NOTICES else None


def _added(known: Known, component: str, said: Mapping[str, object]) -> Known:
    # {"switch:0":{"apower":11.5,"current":0.071}}  (no id and no output)
    # {"switch:0":{"id":0,"output":true,"source":"button"}}  (no apower)
    output, power_w = boolean(said, "output"), number(said, POWER[component.partition(":")[0]])
    if output is not None and output is not known.output:
        # What it drew before it was switched is no longer what it draws; what tripped stays so until it is on again.
        known = Known(output, tripped=known.tripped and not output)
    tripped = known.tripped
    # {"switch:0":{"id":0,"output":false,"errors":["overpower"],...}}
    errors = said.get("errors")
    if isinstance(errors, list):
        tripped = "overpower" in errors
    return Known(known.output, known.power_w if power_w is None else power_w, tripped)


def _meaning(known: Known) -> Reported:
    if known.tripped:
        return Reported("fault", known.power_w, "overpower")
    if known.output is False:
        return Reported("off", known.power_w, "relay off")
    return Reported(power_w=known.power_w, detail="relay on" if known.output else "alive")


def _online(word: str) -> Told:
    # shellyplus1pm-4417939341dc/online  false
    if word == "false":
        return LAST_WILL
    # shellyplus1pm-4417939341dc/online  true
    return ONLINE if word == "true" else Ignored("neither true nor false")
