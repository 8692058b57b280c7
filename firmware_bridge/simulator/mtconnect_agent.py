"""An MTConnect agent with one machine: documents of either JSON version, or single observations, as of cppagent."""

from __future__ import annotations

import json
from random import Random
from typing import ClassVar

from firmware_bridge.simulator.virtual_machine import VirtualMachine
from firmware_bridge.simulator.voices import Doing, Said, Voice

UNAVAILABLE = "UNAVAILABLE"
EVENTS = (
    ("avail", "Availability", "AVAILABILITY"),
    ("estop", "EmergencyStop", "EMERGENCY_STOP"),
    ("mode", "ControllerMode", "CONTROLLER_MODE"),
    ("exec", "Execution", "EXECUTION"),
)
"""Ids, names of their elements and types of the data items."""
CODE = "1202"


class MTConnectVoice(Voice):
    """`json_version` 1 (arrays) or 2 (objects) for documents; 0 for single observations, said when they change."""

    dialect = "mtconnect"
    MEANS: ClassVar = {"setup": "idle", "off": None}
    EXECUTION: ClassVar = {"running": "ACTIVE", "setup": "READY", "idle": "READY", "fault": "INTERRUPTED"}

    def __init__(self, machine: str, json_version: int = 2) -> None:
        super().__init__(machine)
        self.agent = f"agent-{machine}"
        self.json_version = json_version
        self.repeats = json_version != 0
        self.instance = 1_690_000_000
        self.has_adapter = True
        """A fault where False: the agent lives, and knows nothing of its machine."""
        self._sequence = 0

    def status(self) -> dict[str, object]:
        """The machine's UUID and its agent's."""
        form = {} if self.json_version else {"form": "observations"}
        return {"dialect": self.dialect, "device": self.machine, "agent": self.agent, **form}

    def restart(self) -> None:
        """A new life of the agent, that begins to count anew."""
        self.instance += 1
        self._sequence = 0

    def will(self) -> Said:
        """The agent's, retained: a bare word."""
        return Said(f"MTConnect/Probe/{self.agent}/Availability", UNAVAILABLE, retain=True)

    def birth(self) -> list[Said]:
        """The other word."""
        return [Said(f"MTConnect/Probe/{self.agent}/Availability", "AVAILABLE", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """Current, retained; or each item."""
        items = self._items(doing)
        if self.json_version == 0:
            return [self._observation(one, doing) for one in items]
        return [Said(f"MTConnect/Current/{self.machine}", json.dumps(self._document(items, doing)), retain=True)]

    def changed(self, before: str, doing: Doing) -> list[Said]:
        """Sample, before Current comes."""
        del before
        if self.json_version == 0:
            return []
        items = [one for one in self._items(doing) if one["dataItemId"] == "exec"]
        return [Said(f"MTConnect/Sample/{self.machine}", json.dumps(self._document(items, doing)), retain=True)]

    def garbage(self, chance: Random) -> Said:
        """A document that ends too soon."""
        return Said(f"MTConnect/Sample/{self.machine}", '{"MTConnectStreams":{' + '"Streams":[' * chance.randint(1, 40))

    def _items(self, doing: Doing) -> list[dict[str, str]]:
        """Id, element, type and word of each event, and the one condition."""
        execution = self.EXECUTION.get(doing.state, UNAVAILABLE)
        stopped = "TRIGGERED" if doing.state == "estop" else "ARMED"
        is_there = self.has_adapter and doing.state != "off"
        said = ("AVAILABLE", stopped, "MANUAL" if doing.state == "setup" else "AUTOMATIC", execution)
        events = [
            {"dataItemId": key, "name": name, "type": kind, "value": word if is_there else UNAVAILABLE}
            for (key, name, kind), word in zip(EVENTS, said, strict=True)
        ]
        level = ("Fault" if doing.state == "fault" else "Normal") if is_there else "Unavailable"
        return [*events, {"dataItemId": "system", "name": level, "type": "SYSTEM", "value": ""}]

    def _document(self, items: list[dict[str, str]], doing: Doing) -> dict[str, object]:
        header = {"instanceId": self.instance, "sender": self.agent, "version": "2.7.0.0", "creationTime": _time(doing)}
        events = [(one["name"], self._element(one, doing)) for one in items if one["dataItemId"] != "system"]
        conditions = [(one["name"], self._condition(one, doing)) for one in items if one["dataItemId"] == "system"]
        device: dict[str, object] = {"name": "Mill", "uuid": self.machine}
        component: dict[str, object] = {"component": "Controller", "componentId": "ct"}
        if self.json_version == 1:
            component |= {"Events": [{name: element} for name, element in events]}
            component |= {"Condition": [{name: element} for name, element in conditions]} if conditions else {}
            device |= {"ComponentStreams": [{"ComponentStream": component}]}
            return {"MTConnectStreams": {"Header": header, "Streams": [{"DeviceStream": device}]}}
        component |= {"Events": {name: [element] for name, element in events}}
        component |= {"Condition": {name: [element] for name, element in conditions}} if conditions else {}
        device |= {"ComponentStream": [component]}
        streams = {"jsonVersion": 2, "schemaVersion": "2.7", "Header": header, "Streams": {"DeviceStream": [device]}}
        return {"MTConnectStreams": streams}

    def _element(self, one: dict[str, str], doing: Doing) -> dict[str, object]:
        return {"dataItemId": one["dataItemId"], **self._stamp(doing), "value": one["value"]}

    def _condition(self, one: dict[str, str], doing: Doing) -> dict[str, object]:
        fault = {"nativeCode": CODE, "value": "Spindle overload"} if one["name"] == "Fault" else {}
        return {"dataItemId": one["dataItemId"], "type": one["type"], **self._stamp(doing), **fault}

    def _observation(self, one: dict[str, str], doing: Doing) -> Said:
        told: dict[str, object] = {"dataItemId": one["dataItemId"], "type": one["type"]}
        if one["dataItemId"] == "system":
            told |= {"category": "CONDITION", "level": one["name"].upper()}
        else:
            told |= {"name": one["name"], "category": "EVENT", "result": one["value"]}
        told |= self._stamp(doing)
        return Said(f"MTConnect/Devices/{self.machine}/Observations/{one['dataItemId']}", json.dumps(told))

    def _stamp(self, doing: Doing) -> dict[str, object]:
        self._sequence += 1
        return {"sequence": self._sequence, "timestamp": _time(doing)}


class VirtualAgent(VirtualMachine):
    """A machine behind an agent. The faults of its own are those of its `agent`."""

    def __init__(
        self, machine: str, json_version: int = 2, *, host: str, port: int, seed: int = 0, period_s: float = 10
    ) -> None:
        self.agent = MTConnectVoice(machine, json_version)
        super().__init__(machine, "mtconnect", host=host, port=port, seed=seed, period_s=period_s, voice=self.agent)


def _time(doing: Doing) -> str:
    """Seven digits of a fraction, as agents on Windows have."""
    whole = int(doing.at_s)
    fraction = int(doing.at_s % 1 * 10_000_000)
    return f"2026-09-21T{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}.{fraction:07}Z"
