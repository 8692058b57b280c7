"""fischertechnik's training factories: the stations of the TXT factory, and modules and vehicles of the 24 V APS.

    status = {dialect = "fischertechnik", topic = "f/i/state/mpo"}
    status = {dialect = "fischertechnik", topic = "module/v1/ff/NodeRed/SVR3QA0022"}

A station (hbw, vgr, mpo, sld, dsi, dso) is heard on its one topic, not retained by default, and tells `running` (busy),
`idle`, also while it waits, `setup` (calibrating) and `fault`; it has no last will. A module is heard on `connection`
(retained; ONLINE, OFFLINE, and CONNECTIONBROKEN as its last will, the words of VDA 5050) and `state`, and on
`module/v1/ff/NodeRed/status` where `will_topic` names it; it tells `running` and `idle` by its action, and `fault`.
Both speak only of changes: silence never means anything, and without a last will only the loss of the broker ends a
station's state. A vehicle that speaks VDA 5050 tells its connection, and no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Gone, Reported, Told, not_listed
from firmware_bridge.machines.device import NOTHING_KNOWN, ONLINE, DeviceDialect, boolean, member, part, shape
from firmware_bridge.machines.payload import Number, PayloadError
from firmware_bridge.options import OptionError, known_only

STATION = shape(r"hbw|vgr|mpo|sld|dsi|dso", begin="(?:.+/)?f/i/state")
MODULE = shape(r"connection|state|status|factsheet", begin="(?:.+/)?(?:module|fts|uagv)/v[0-9]+/.+")
CODES = {
    0: Reported(detail="LEDS_OFF"),
    1: Reported("idle", detail="READY"),
    2: Reported("running", detail="BUSY"),
    3: Reported("idle", detail="held"),
    4: Reported("fault", detail="ERROR"),
    6: Reported("fault", detail="WAIT_ERROR"),
    7: Reported("setup", detail="CALIB"),
}
"""The lamps of a station; that they are off does not say that it is."""
ACTIONS = {
    "PENDING": Reported("idle", detail="pending"),
    "RUNNING": Reported("running"),
    "FINISHED": Reported("idle", detail="finished"),
    "FAILED": Reported("fault", detail="the action failed"),
}


@dataclass(frozen=True)
class Options:
    """`topic`: a station's own, or what a module's begin with. `will_topic`: the connection that it hangs on."""

    topic: str | None
    will_topic: str | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic", "will_topic"))
        topic, will_topic = options.topic(table, "topic"), options.topic(table, "will_topic")
        if topic is None:
            if not any_topic:
                raise OptionError("topic", 'is missing; write a station\'s topic, as topic = "f/i/state/mpo"')
            return cls(None, will_topic)
        if STATION.fullmatch(topic):
            return cls(topic, will_topic)
        whole = MODULE.fullmatch(topic)
        module = whole["device"] if whole is not None else topic.rstrip("/")
        if not MODULE.fullmatch(f"{module}/connection"):
            remedy = '"f/i/state/mpo" or "module/v1/ff/NodeRed/SVR3QA0022"'
            raise OptionError("topic", f"is neither a station's nor a module's; write one as {remedy}")
        return cls(module, will_topic)


class Fischertechnik(DeviceDialect[None]):
    """One station or module."""

    TOPICS = MODULE

    def __init__(self, options: Options) -> None:
        self._station = options.topic if options.topic and STATION.fullmatch(options.topic) else None
        super().__init__(None if self._station else options.topic, None)
        self._topic, self._will_topic = options.topic, options.will_topic

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """A station's topic, or a module's two; and the will."""
        own = super().topics() if self._station is None else (self._station,)
        return own if self._will_topic is None else (*own, self._will_topic)

    @property
    def default_stale_after_ms(self) -> int | None:
        """Never."""
        return None

    def _tails(self) -> tuple[str, ...]:
        return ("connection", "state")

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        if topic == self._will_topic:
            return [_connected(member(payload))]
        if topic == self._station or (self._topic is None and STATION.fullmatch(topic)):
            return [_station(member(payload))]
        return [NOT_OURS] if self._station is not None else super()._tell(topic, payload)

    def _told(self, tail: str, payload: bytes) -> Told:
        if tail in ("connection", "status"):
            return _connected(member(payload))
        return _module(member(payload)) if tail == "state" else NOTHING_KNOWN


def _station(said: Mapping[str, object]) -> Told:
    # f/i/state/mpo  {"ts":"2020-01-01T00:00:00.000Z","station":"mpo","code":2,"description":"text","active":1,...}
    # (in the documents ts is "YYYY-MM-DDThh:mm:ss.fffZ"; it is never asked)
    code = said.get("code")
    if not isinstance(code, Number) or not code.is_integer():
        raise PayloadError("code is not a whole number")
    return CODES.get(int(code)) or not_listed(code.spelling)


def _connected(said: Mapping[str, object]) -> Told:
    word = said.get("connectionState")
    # module/v1/ff/NodeRed/status           {"connectionState":"OFFLINE"}  (closed on purpose)
    # uagv/v1/Jungheinrich/2/connection     {"headerId":4,...,"connectionState":"CONNECTIONBROKEN"}
    if word in ("OFFLINE", "CONNECTIONBROKEN"):
        return Gone(str(word))
    # module/v1/ff/NodeRed/status           {"connectionState":"ONLINE"}
    if word == "ONLINE":
        return ONLINE
    raise PayloadError("connectionState is not one of VDA 5050")


def _module(said: Mapping[str, object]) -> Told:
    # module/v1/ff/NodeRed/SVR3QA0022/state  {"headerId":3,"actionState":{"id":"...","state":"RUNNING",
    #   "command":"MILL"},"paused":false,"errors":[],...}  (Agile-Production-Simulation-24V, Node-RED/flows.json)
    if "actionState" not in said:
        return Reported(detail="alive")
    if boolean(said, "paused"):
        return Reported("idle", detail="held")
    state = part(said, "actionState").get("state")
    # "actionState":null  (nothing was asked of it yet)
    if state is None:
        return Reported("idle")
    if not isinstance(state, str):
        raise PayloadError("actionState.state is not a word")
    return ACTIONS.get(state) or not_listed(state)
