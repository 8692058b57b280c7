"""3D printers behind OctoPrint's MQTT plugin, by `topic = "octoPrint"` (its base topic).

    status = {dialect = "octoprint", topic = "octoPrint"}

Subscribes to `event/+`, `progress/+`, `temperature/+` and `mqtt`. Events are not retained, with two exceptions that
tell no state; progress is, and `mqtt` is the last will, `disconnected`. Silence: temperatures come every few seconds,
and where they are switched off, each per cent of a print does; 2.5 per cent of a print of ten hours are 15 minutes.
Never write `stale_after = "never"`: the progress of a print that was cancelled stays on the broker. Tells `running`,
`setup` (starting), `idle`, also while paused, and `fault`. A pause that the printer asks for is not reported. Progress
never contradicts an event: a per cent that is told late does not start a print that is paused or over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.machines.base import Gone, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import (
    LAST_WILL,
    ONLINE,
    DeviceDialect,
    device_of,
    member,
    native,
    number,
    part,
    shape,
)
from firmware_bridge.machines.payload import PayloadError, words
from firmware_bridge.options import known_only

STALE_AFTER_MS = 15 * 60_000
HEATING_DEGREES = 2
TOPICS = shape(r"event/[^/]+|progress/[^/]+|temperature/[^/]+|mqtt")
HELD = "held"
EVENTS: dict[str, Told] = {
    "PrintStarted": Reported("running"),
    "PrintResumed": Reported("running"),
    "PrintPaused": Reported("idle", detail=HELD),
    "PrintDone": Reported("idle"),
    "PrintCancelled": Reported("idle", detail="cancelled"),
    "PrintFailed": Reported("idle", detail="last_job_failed"),
    "Error": Reported("fault"),
    "Disconnected": Gone("the printer is disconnected"),
}
STATES: dict[str, Told] = {
    "OPERATIONAL": Reported("idle"),
    "STARTING": Reported("setup"),
    "PRINTING": Reported("running"),
    "RESUMING": Reported("running"),
    "FINISHING": Reported("running"),
    "PAUSING": Reported("idle", detail=HELD),
    "PAUSED": Reported("idle", detail=HELD),
    "CANCELLING": Reported("idle", detail="cancelled"),
    "TRANSFERRING_FILE": Reported("idle"),
    "ERROR": Reported("fault"),
    "CLOSED_WITH_ERROR": Reported("fault"),
    "OFFLINE": Gone("the printer is disconnected"),
    "CLOSED": Gone("the printer is disconnected"),
    **dict.fromkeys(
        ("NONE", "OPEN_SERIAL", "DETECT_SERIAL", "DETECT_BAUDRATE", "CONNECTING"),
        Reported("unknown", detail="connecting"),
    ),
}
FLAGS = {
    "closedOrError": Reported("fault"),
    "error": Reported("fault"),
    "cancelling": STATES["CANCELLING"],
    "pausing": STATES["PAUSING"],
    "paused": STATES["PAUSED"],
    "printing": STATES["PRINTING"],
    "resuming": STATES["RESUMING"],
    "finishing": STATES["FINISHING"],
    "operational": STATES["OPERATIONAL"],
}
"""The flags of `printer_data`; the first that is set counts."""


@dataclass(frozen=True)
class Options:
    """`topic`: the plugin's base topic."""

    device: str | None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic",))
        return cls(device_of(table, TOPICS, "octoPrint/mqtt", any_topic=any_topic)[0])


@dataclass(frozen=True)
class Known:
    """The state that an event told last."""

    state: str | None = None


class OctoPrint(DeviceDialect[Known]):
    """One printer."""

    TOPICS = TOPICS

    def __init__(self, options: Options) -> None:
        super().__init__(options.device, Known())

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    @property
    def default_stale_after_ms(self) -> int | None:
        """15 minutes."""
        return STALE_AFTER_MS

    def _tails(self) -> tuple[str, ...]:
        return ("event/+", "progress/+", "temperature/+", "mqtt")

    def _told(self, tail: str, payload: bytes) -> Told:
        kind, _, name = tail.partition("/")
        if kind == "mqtt":
            return _connection(words(payload))
        said = member(payload)
        if kind == "event":
            told = _event(name, said)
            if isinstance(told, Reported) and told.state is not None:
                self._known = Known(told.state)
            return told
        if kind == "progress":
            # octoPrint/progress/slicing  {"progress":42,"slicer":"cura",...}
            return self._progress(said) if name == "printing" else Ignored("slicing")
        return _temperature(said)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`native` and `progress`."""
        if tail == "mqtt":
            return {}
        said = member(payload)
        return {"native": native(said.get("state_id")), "progress": number(said, "progress")}

    def _progress(self, said: Mapping[str, object]) -> Told:
        # octoPrint/progress/printing  {"progress":92,...,"printer_data":{"state":{"flags":{"printing":true,...}}}}
        flags = part(part(part(said, "printer_data"), "state"), "flags")
        if flags:
            return next((told for flag, told in FLAGS.items() if flags.get(flag) is True), Reported(detail="alive"))
        # octoPrint/progress/printing  {"progress":23,"location":"local","path":"test.gco"}
        # (0 also when a file is chosen or the plugin starts; 100 when all is over)
        progress = number(said, "progress")
        if progress is None:
            raise PayloadError("progress is missing")
        prints = 0 < progress < 100 and self._known.state in (None, "running", "setup")
        return Reported("running" if prints else None, detail=f"progress {progress:g}")


def _event(name: str, said: Mapping[str, object]) -> Told:
    if name != "PrinterStateChanged":
        # octoPrint/event/PrintStarted  {"_event":"PrintStarted","origin":"local","file":"...","filename":"..."}
        # octoprint/event/ZChange       {"new":9.0,"_event":"ZChange","old":8.8}
        return EVENTS.get(name, Reported(detail="alive"))
    # octoprint/event/PrinterStateChanged  {"state_string":"Operational","state_id":"OPERATIONAL",...}
    state = said.get("state_id")
    if not isinstance(state, str):
        raise PayloadError("state_id is missing")
    return STATES.get(state) or not_listed(state)


def _temperature(said: Mapping[str, object]) -> Told:
    # octoPrint/temperature/tool0  {"actual":65.3,"target":210.0}
    actual, target = number(said, "actual"), number(said, "target")
    heats = actual is not None and target is not None and target - actual > HEATING_DEGREES
    return Reported(detail="heating" if heats else "alive")


def _connection(word: str) -> Told:
    # octoPrint/mqtt  disconnected
    if word == "disconnected":
        return LAST_WILL
    # octoPrint/mqtt  connected
    return ONLINE if word == "connected" else Ignored("neither connected nor disconnected")
