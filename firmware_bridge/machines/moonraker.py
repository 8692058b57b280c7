"""3D printers with Klipper behind Moonraker, by `topic = "printer-1"` (Moonraker's `instance_name`).

    status = {dialect = "moonraker", topic = "printer-1"}

Moonraker's `[mqtt]` needs `status_objects` with at least `print_stats` and `webhooks`. Subscribes to `klipper/status`
(what changed, not retained), `klipper/state/...` (the same one by one if `publish_split_status` is set, retained) and
`moonraker/status` (retained), on which `{"server":"offline"}` is the last will. What changed is added to what is known;
`moonraker/api` is asked for both at the start. Silence: while a print goes on its durations change four times a second,
so 2 minutes; at rest it may be silent. Tells `running`, `idle`, also while paused, and `fault` (a print that failed;
Klipper shut down or in error). That Klipper starts or is ready is not always published: neither tells a state, but
ready ends a fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.machines.base import Asked, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import LAST_WILL, ONLINE, DeviceDialect, device_of, member, native, part, shape
from firmware_bridge.machines.payload import PayloadError
from firmware_bridge.options import known_only

STALE_AFTER_MS = 120_000
STATUS, SERVER, ANSWER = "klipper/status", "moonraker/status", "moonraker/api/response"
ASKED_BY = "sheber"
JOB, KLIPPY = "klipper/state/print_stats/", "klipper/state/webhooks/"
TOPICS = shape(r"moonraker/(?:status|api/response)|klipper/status|klipper/state/[^/]+/[^/]+")
JOBS = {
    "printing": Reported("running"),
    "paused": Reported("idle", detail="held"),
    "standby": Reported("idle"),
    "complete": Reported("idle"),
    "cancelled": Reported("idle", detail="cancelled"),
    "error": Reported("fault", detail="the print failed"),
}
KLIPPER_FAULTS, READY = ("shutdown", "error"), "ready"
KLIPPER_STATES = (*KLIPPER_FAULTS, READY, "startup")


@dataclass(frozen=True)
class Options:
    """`topic`: Moonraker's instance name."""

    device: str | None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic",))
        return cls(device_of(table, TOPICS, "printer-1/klipper/status", any_topic=any_topic)[0])


@dataclass(frozen=True)
class Known:
    """What the job and Klipper itself were said to be; both are words of the tables, or None."""

    job: str | None = None
    klipper: str | None = None


class Moonraker(DeviceDialect[Known]):
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
        """2 minutes."""
        return STALE_AFTER_MS

    def greeting(self) -> tuple[Asked, ...]:
        """Asks Moonraker for the state of the print and of Klipper."""
        if self._device is None:
            return ()
        # printer-1/moonraker/api/request  {"jsonrpc":"2.0","method":"printer.objects.query","params":{...},"id":...}
        objects = {"print_stats": ["state"], "webhooks": ["state"]}
        request = {"jsonrpc": "2.0", "method": "printer.objects.query", "params": {"objects": objects}, "id": ASKED_BY}
        return (Asked(f"{self._device}/moonraker/api/request", json.dumps(request).encode()),)

    def _tails(self) -> tuple[str, ...]:
        return (STATUS, f"{JOB}+", f"{KLIPPY}+", SERVER, ANSWER)

    def _told(self, tail: str, payload: bytes) -> Told:
        said = member(payload)
        if tail == SERVER:
            return _server(said.get("server"))
        # printer-1/moonraker/api/response  {"jsonrpc":"2.0","result":{"eventtime":...,"status":{...}},"id":"sheber"}
        if tail == ANSWER:
            if said.get("id") != ASKED_BY:
                return Ignored("the answer to somebody else")
            said = part(said, "result")
        # printer-1/klipper/status  {"eventtime":248270.603765604,"status":{"print_stats":{"state":"complete",...}}}
        # (eventtime is seconds since some start, and no date)
        if tail in (STATUS, ANSWER):
            status = part(said, "status")
            return self._changed(_word(part(status, "print_stats")), _word(part(status, "webhooks")))
        # printer-1/klipper/state/print_stats/state  {"eventtime":...,"value":"printing"}
        if tail == f"{JOB}state":
            return self._changed(_word(said, "value"), None)
        # printer-1/klipper/state/webhooks/state     {"eventtime":...,"value":"shutdown"}
        if tail == f"{KLIPPY}state":
            return self._changed(None, _word(said, "value"))
        # printer-1/klipper/state/print_stats/print_duration  {"eventtime":...,"value":4885.86}
        return self._changed(None, None)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`native`: the word about the print."""
        said = member(payload)
        if tail == f"{JOB}state":
            return {"native": native(said.get("value"))}
        return {"native": native(part(part(said, "status"), "print_stats").get("state")) if tail == STATUS else None}

    def _changed(self, job: str | None, klipper: str | None) -> Told:
        if klipper is not None and klipper not in KLIPPER_STATES:
            return not_listed(klipper)
        if job is not None and job not in JOBS:
            return not_listed(job)
        before = self._known
        was_at_fault = before.klipper in KLIPPER_FAULTS
        if klipper is None and job is None:
            return _meaning(before)
        if klipper is None:
            # A word about a job is Klipper's own: whatever stopped it is over, told or not (moonraker #954).
            self._known = Known(job)
        elif klipper == READY and job is None and was_at_fault:
            # It has started anew, so no print goes on.
            self._known = Known("standby", klipper)
        else:
            self._known = Known(job or before.job, klipper)
        return _meaning(self._known)


def _meaning(known: Known) -> Reported:
    if known.klipper in KLIPPER_FAULTS:
        return Reported("fault", detail=f"klipper {known.klipper}")
    if known.job is None:
        return Reported(detail="alive" if known.klipper is None else f"klipper {known.klipper}")
    return JOBS[known.job]


def _word(table: Mapping[str, object], key: str = "state") -> str | None:
    word = table.get(key)
    if word is not None and not isinstance(word, str):
        raise PayloadError(f"{key} is not a word")
    return word


def _server(word: object) -> Told:
    # {instance}/moonraker/status  {"server":"offline"}
    if word == "offline":
        return LAST_WILL
    # {instance}/moonraker/status  {"server":"online"}
    return ONLINE if word == "online" else Ignored("neither online nor offline")
