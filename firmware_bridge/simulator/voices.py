"""How a virtual machine says what it does: one class a dialect, and the `status` that a lab writes to hear it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar

KILOWATT_HOUR_WS = 3_600_000.0


@dataclass(frozen=True)
class Said:
    """One message."""

    topic: str
    payload: str | bytes
    retain: bool = False
    qos: int = 1

    @property
    def data(self) -> bytes:
        """The payload's bytes."""
        return self.payload if isinstance(self.payload, bytes) else self.payload.encode()


@dataclass(frozen=True)
class Doing:
    """What a machine does at a moment of its own clock."""

    state: str
    power_w: float
    at_s: float
    energy_ws: float = 0.0


class Voice(ABC):
    """Words of one machine in one dialect."""

    dialect: str
    repeats = True
    """Does it repeat itself, or speak only of changes?"""
    MEANS: ClassVar[Mapping[str, str | None]] = {}
    """What its dialect makes of what the machine does, where that is not the same; None: it tells no state of it."""

    def __init__(self, machine: str) -> None:
        self.machine = machine

    @abstractmethod
    def status(self) -> dict[str, object]:
        """The `status` table of `lab.toml`."""

    @property
    def asked_on(self) -> str | None:
        """The topic where it can be asked what it does."""
        return None

    def will(self) -> Said | None:
        """What the broker says when this machine vanishes."""
        return None

    def birth(self) -> list[Said]:
        """What it says when it comes."""
        return []

    @abstractmethod
    def now(self, doing: Doing) -> list[Said]:
        """What it does."""

    def answer(self, request: bytes, doing: Doing) -> list[Said]:
        """What it says when it is asked."""
        del request
        return self.now(doing)

    def changed(self, before: str, doing: Doing) -> list[Said]:
        """What it says at a change, before `now`."""
        del before, doing
        return []

    @abstractmethod
    def garbage(self, chance: Random) -> Said:
        """Something that no one can understand, on the topic of its state."""


class TasmotaVoice(Voice):
    """A smart plug: watts, and whether its relay is on."""

    dialect = "tasmota"
    MEANS = dict.fromkeys(("running", "setup", "idle", "fault"))

    def status(self) -> dict[str, object]:
        """Power thresholds that fit the watts of `VirtualMachine`."""
        return {
            "dialect": self.dialect,
            "topic": f"tele/{self.machine}/SENSOR",
            "running_above_w": 350,
            "idle_below_w": 120,
            "off_below_w": 5,
        }

    def will(self) -> Said:
        """Offline, retained."""
        return Said(f"tele/{self.machine}/LWT", "Offline", retain=True)

    def birth(self) -> list[Said]:
        """Online, retained."""
        return [Said(f"tele/{self.machine}/LWT", "Online", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """STATE and SENSOR, as each TelePeriod."""
        time = _since_start(doing.at_s)
        state = {"Time": time, "UptimeSec": int(doing.at_s), "POWER": relay(doing.state), "Wifi": {"RSSI": 78}}
        energy = {
            "Total": round(doing.energy_ws / KILOWATT_HOUR_WS, 3),
            "Power": round(doing.power_w),
            "Voltage": 229,
            "Current": round(doing.power_w / 229, 3),
        }
        return [
            Said(f"tele/{self.machine}/STATE", json.dumps(state)),
            Said(f"tele/{self.machine}/SENSOR", json.dumps({"Time": time, "ENERGY": energy})),
        ]

    def changed(self, before: str, doing: Doing) -> list[Said]:
        """The relay, when it was switched."""
        if relay(before) == relay(doing.state):
            return []
        word = relay(doing.state)
        return [
            Said(f"stat/{self.machine}/RESULT", json.dumps({"POWER": word})),
            Said(f"stat/{self.machine}/POWER", word),
        ]

    def garbage(self, chance: Random) -> Said:
        """A document cut off."""
        return Said(f"tele/{self.machine}/SENSOR", '{"ENERGY":{"Power":' + "[" * chance.randint(1, 40))


class JsonVoice(Voice):
    """A controller that publishes a document with its state in it."""

    dialect = "json"
    WORDS: ClassVar = {"running": "ACTIVE", "setup": "SETUP", "idle": "READY", "off": "OFF", "fault": "ALARM"}

    def status(self) -> dict[str, object]:
        """A pointer and a table."""
        states = {word: state for state, word in self.WORDS.items()}
        return {
            "dialect": self.dialect,
            "topic": f"lab/{self.machine}",
            "pointer": "/machine/state",
            "states": states,
        }

    def now(self, doing: Doing) -> list[Said]:
        """The document."""
        told = {"machine": {"state": self.WORDS[doing.state]}, "power_w": round(doing.power_w, 1)}
        return [Said(f"lab/{self.machine}", json.dumps(told))]

    def garbage(self, chance: Random) -> Said:
        """A number that is none."""
        return Said(f"lab/{self.machine}", chance.choice(['{"machine": NaN}', '{"machine": {}}', "\x00", "{{"]))


class TextVoice(Voice):
    """A lamp tower or a small controller: one word, retained, at each change; and a last will."""

    dialect = "text"
    repeats = False
    WORDS: ClassVar = {"running": "RUN", "setup": "SETUP", "idle": "IDLE", "off": "OFF", "fault": "FAULT"}

    def status(self) -> dict[str, object]:
        """A table and a will."""
        return {
            "dialect": self.dialect,
            "topic": f"lab/{self.machine}/state",
            "states": {word: state for state, word in self.WORDS.items()},
            "will_topic": f"lab/{self.machine}/lwt",
            "offline": "offline",
        }

    def will(self) -> Said:
        """`offline`, retained."""
        return Said(f"lab/{self.machine}/lwt", "offline", retain=True)

    def birth(self) -> list[Said]:
        """`online`, retained."""
        return [Said(f"lab/{self.machine}/lwt", "online", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """The word."""
        return [Said(f"lab/{self.machine}/state", self.WORDS[doing.state], retain=True)]

    def garbage(self, chance: Random) -> Said:
        """A word of another language."""
        return Said(f"lab/{self.machine}/state", f"?{chance.randint(0, 999)}")


def relay(state: str) -> str:
    """Of a plug whose machine is in this state."""
    return "OFF" if state == "off" else "ON"


def _since_start(at_s: float) -> str:
    """A plug without a time server counts from 1970."""
    whole = int(at_s)
    return f"1970-01-{1 + whole // 86_400 % 31:02}T{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"
