"""3D printers behind OctoPrint, Klipper's Moonraker, and Bambu Lab's own firmware."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import ClassVar

from firmware_bridge.simulator.voices import Doing, Said, Voice

PRINT = "case_bp_3.6.v1.0.gcode"
PRINT_ERROR = 0x0500_4002
"""Any error that is not somebody's cancelling."""
START_EPOCH_S = 1_517_190_629


class OctoPrintVoice(Voice):
    """Events when something happens, temperatures all the time, and the retained progress of a print."""

    dialect = "octoprint"
    STATE_IDS: ClassVar = {
        "running": "PRINTING",
        "setup": "STARTING",
        "idle": "OPERATIONAL",
        "off": "OFFLINE",
        "fault": "ERROR",
    }
    MEANS: ClassVar = {"off": None}
    EVENTS: ClassVar = {"running": "PrintStarted", "idle": "PrintDone", "off": "Disconnected", "fault": "Error"}

    def __init__(self, machine: str) -> None:
        super().__init__(machine)
        self._happened = ""
        self._percent = 0

    def status(self) -> dict[str, object]:
        """The plugin's base topic."""
        return {"dialect": self.dialect, "topic": self.machine}

    def will(self) -> Said:
        """`disconnected`, retained."""
        return Said(f"{self.machine}/mqtt", "disconnected", retain=True)

    def birth(self) -> list[Said]:
        """`connected`, retained."""
        self._happened = ""
        return [Said(f"{self.machine}/mqtt", "connected", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """What happened, if anything did; the progress of a print; a temperature."""
        said: list[Said] = []
        if doing.state != self._happened:
            said += self._events(doing)
            self._happened, self._percent = doing.state, 0
        if doing.state == "running":
            self._percent = min(99, self._percent + 1)
            told = {"progress": self._percent, "location": "local", "path": PRINT}
            said.append(self._document("progress/printing", told, doing, retain=True))
        if doing.state != "off":
            heat = {"actual": 209.8 if doing.state == "running" else 24.5, "target": 210.0}
            said.append(self._document("temperature/tool0", heat, doing, retain=True))
        return said

    def garbage(self, chance: Random) -> Said:
        """An event without its state."""
        return Said(f"{self.machine}/event/PrinterStateChanged", chance.choice(("{}", "[", '{"state_id": 7}', "\x00")))

    def _events(self, doing: Doing) -> list[Said]:
        state = self.STATE_IDS[doing.state]
        told = {"_event": "PrinterStateChanged", "state_id": state, "state_string": state.capitalize()}
        said = [self._document("event/PrinterStateChanged", told, doing)]
        event = self.EVENTS.get(doing.state)
        # PrintDone is about a print that was, so that it is no word of a printer that was just switched on.
        if event is not None and (event != "PrintDone" or self._happened == "running"):
            said.append(self._document(f"event/{event}", {"_event": event, "origin": "local", "file": PRINT}, doing))
        return said

    def _document(self, tail: str, told: Mapping[str, object], doing: Doing, *, retain: bool = False) -> Said:
        stamped = {"_timestamp": START_EPOCH_S + int(doing.at_s), **told}
        return Said(f"{self.machine}/{tail}", json.dumps(stamped), retain=retain, qos=0)


class MoonrakerVoice(Voice):
    """What changed of Klipper's objects, and everything when it is asked."""

    dialect = "moonraker"
    JOBS: ClassVar = {"running": "printing", "setup": "standby", "idle": "complete"}
    MEANS: ClassVar = {"setup": "idle", "off": None}

    def __init__(self, machine: str) -> None:
        super().__init__(machine)
        self._told = ""

    def status(self) -> dict[str, object]:
        """Moonraker's instance name."""
        return {"dialect": self.dialect, "topic": self.machine}

    @property
    def asked_on(self) -> str:
        """`printer.objects.query`."""
        return f"{self.machine}/moonraker/api/request"

    def answer(self, request: bytes, doing: Doing) -> list[Said]:
        """Both objects."""
        result = {"eventtime": self._eventtime(doing), "status": self._objects(doing.state)}
        told = {"jsonrpc": "2.0", "result": result, "id": json.loads(request)["id"]}
        return [Said(f"{self.machine}/moonraker/api/response", json.dumps(told))]

    def will(self) -> Said:
        """The server's, retained."""
        return self._server("offline")

    def birth(self) -> list[Said]:
        """The server's, retained."""
        self._told = ""
        return [self._server("online")]

    def now(self, doing: Doing) -> list[Said]:
        """What changed; that a print goes on, at least."""
        if doing.state == "off":
            self._told = doing.state
            return [self._server("offline")]
        lasted: dict[str, object] = {"print_stats": {"print_duration": round(doing.at_s, 3)}}
        objects = lasted if doing.state == self._told else self._objects(doing.state)
        self._told = doing.state
        told = {"eventtime": self._eventtime(doing), "status": objects}
        return [Said(f"{self.machine}/klipper/status", json.dumps(told), qos=0)]

    def garbage(self, chance: Random) -> Said:
        """Objects that are none."""
        odd = chance.choice(("{", '{"status": []}', '{"status":{"print_stats":{"state":1}}}', "null"))
        return Said(f"{self.machine}/klipper/status", odd, qos=0)

    def _objects(self, state: str) -> dict[str, object]:
        if state == "fault":
            return {"webhooks": {"state": "shutdown", "state_message": "MCU 'mcu' shutdown: Timer too close"}}
        job = {"state": self.JOBS[state], "filename": PRINT, "message": ""}
        return {"webhooks": {"state": "ready", "state_message": "Printer is ready"}, "print_stats": job}

    def _server(self, word: str) -> Said:
        return Said(f"{self.machine}/moonraker/status", json.dumps({"server": word}), retain=True)

    @staticmethod
    def _eventtime(doing: Doing) -> float:
        return round(248_270.603765604 + doing.at_s, 9)


class BambuVoice(Voice):
    """A printer that is its own broker, bridged: no will, nothing retained. A P1 says only what changed."""

    dialect = "bambu"
    JOBS: ClassVar = {"running": "RUNNING", "setup": "PREPARE", "idle": "FINISH", "fault": "FAILED"}
    MEANS: ClassVar = {"off": None}

    def __init__(self, machine: str, *, says_all: bool = True) -> None:
        super().__init__(machine)
        self._says_all = says_all
        self._told: dict[str, object] = {}
        self._sequence = 2_020

    def status(self) -> dict[str, object]:
        """The serial number."""
        return {"dialect": self.dialect, "topic": f"device/{self.machine}"}

    @property
    def asked_on(self) -> str:
        """`pushall`."""
        return f"device/{self.machine}/request"

    def answer(self, request: bytes, doing: Doing) -> list[Said]:
        """Everything."""
        del request
        self._told = self._print(doing)
        return [] if doing.state == "off" else [self._report(self._told)]

    def now(self, doing: Doing) -> list[Said]:
        """A report; a printer that is switched off says nothing, and leaves nobody to say it."""
        if doing.state == "off":
            return []
        before, self._told = self._told, self._print(doing)
        changed = {key: value for key, value in self._told.items() if before.get(key) != value}
        return [self._report(self._told if self._says_all else changed)]

    def garbage(self, chance: Random) -> Said:
        """A report that is none."""
        return Said(f"device/{self.machine}/report", chance.choice(('{"print":1}', "{", '{"print":{"gcode_state":1}}')))

    def _print(self, doing: Doing) -> dict[str, object]:
        failed = doing.state == "fault"
        return {
            "gcode_state": self.JOBS.get(doing.state, "IDLE"),
            "stg_cur": 0,
            "mc_percent": int(doing.at_s / 60) % 100 if doing.state == "running" else 0,
            "print_error": PRINT_ERROR if failed else 0,
            "fail_reason": str(PRINT_ERROR) if failed else "0",
            "hms": [],
            "home_flag": -1_066_934_785,
        }

    def _report(self, told: dict[str, object]) -> Said:
        self._sequence += 1
        report = {"print": {"command": "push_status", **told, "sequence_id": str(self._sequence)}}
        return Said(f"device/{self.machine}/report", json.dumps(report), qos=0)
