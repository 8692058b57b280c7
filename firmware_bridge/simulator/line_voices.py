"""Lines and training factories: a controller with PackML states, fischertechnik's modules and stations."""

from __future__ import annotations

import json
from random import Random
from typing import ClassVar

from firmware_bridge.simulator.voices import Doing, Said, Voice


class PackMlVoice(Voice):
    """A controller that tells its PackML state at each change, retained, as a number and as a word; and a will."""

    dialect = "packml"
    repeats = False
    STATES: ClassVar = {
        "running": (6, "Execute"),
        "setup": (15, "Resetting"),
        "idle": (4, "Idle"),
        "off": (2, "Stopped"),
        "fault": (9, "Aborted"),
    }
    MEANS: ClassVar = {"off": "idle"}

    def status(self) -> dict[str, object]:
        """What stands before `Status`, and the will."""
        return {"dialect": self.dialect, "topic": f"Site/Area/{self.machine}", "will_topic": self._lwt}

    def will(self) -> Said:
        """`offline`, retained."""
        return Said(self._lwt, "offline", retain=True)

    def birth(self) -> list[Said]:
        """`online`, retained."""
        return [Said(self._lwt, "online", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """Both forms."""
        number, word = self.STATES[doing.state]
        return [self._tag("StateCurrent", str(number)), self._tag("StateCurrentStr", word)]

    def garbage(self, chance: Random) -> Said:
        """A state of no standard."""
        return self._tag("StateCurrent", chance.choice(("", "-1", "99", "Exec", "\x00")))

    @property
    def _lwt(self) -> str:
        return f"Site/Area/{self.machine}/lwt"

    def _tag(self, name: str, value: str) -> Said:
        return Said(f"Site/Area/{self.machine}/Status/{name}", value, retain=True)


class ModuleVoice(Voice):
    """A module of the 24 V factory (APS): its action at each change, and its connection in the words of VDA 5050."""

    dialect = "fischertechnik"
    repeats = False
    ACTIONS: ClassVar = {"running": "RUNNING", "setup": "PENDING", "idle": "FINISHED", "fault": "FAILED"}
    MEANS: ClassVar = {"setup": "idle", "off": None}

    def __init__(self, machine: str) -> None:
        super().__init__(machine)
        self._header = 0

    def status(self) -> dict[str, object]:
        """The module's serial number."""
        return {"dialect": self.dialect, "topic": self._topic}

    def will(self) -> Said:
        """The connection is broken, retained."""
        return self._connection("CONNECTIONBROKEN")

    def birth(self) -> list[Said]:
        """It is there, retained."""
        return [self._connection("ONLINE")]

    def now(self, doing: Doing) -> list[Said]:
        """The action; a module that is switched off says goodbye."""
        if doing.state == "off":
            return [self._connection("OFFLINE")]
        action = {"id": f"a{self._header}", "state": self.ACTIONS[doing.state], "command": "MILL"}
        return [self._document("state", {"actionState": action, "paused": False, "errors": [], "loads": []})]

    def garbage(self, chance: Random) -> Said:
        """An action that is none."""
        return Said(f"{self._topic}/state", chance.choice(('{"actionState":1}', "{", '{"actionState":{"state":2}}')))

    @property
    def _topic(self) -> str:
        return f"module/v1/ff/NodeRed/{self.machine}"

    def _connection(self, word: str) -> Said:
        return self._document("connection", {"connectionState": word})

    def _document(self, tail: str, told: dict[str, object]) -> Said:
        self._header += 1
        head = {"headerId": self._header, "timestamp": "2026-09-21T08:00:00.000Z", "serialNumber": self.machine}
        return Said(f"{self._topic}/{tail}", json.dumps({**head, **told}), retain=tail == "connection")


class StationVoice(Voice):
    """A station of the TXT factory: the code of its lamp at each change; no will, nothing retained."""

    dialect = "fischertechnik"
    repeats = False
    CODES: ClassVar = {"running": 2, "setup": 7, "idle": 1, "off": 0, "fault": 4}
    MEANS: ClassVar = {"off": None}

    def status(self) -> dict[str, object]:
        """The station's own topic."""
        return {"dialect": self.dialect, "topic": f"{self.machine}/f/i/state/mpo"}

    def now(self, doing: Doing) -> list[Said]:
        """The code."""
        told = {
            "ts": "2020-01-01T00:00:00.000Z",
            "station": "mpo",
            "code": self.CODES[doing.state],
            "description": "",
            "active": int(doing.state == "running"),
            "target": "",
        }
        return [Said(f"{self.machine}/f/i/state/mpo", json.dumps(told))]

    def garbage(self, chance: Random) -> Said:
        """A code that is none."""
        return Said(f"{self.machine}/f/i/state/mpo", chance.choice(("{}", '{"code":"2"}', '{"code":2.5}', "[")))
