"""Bambu Lab printers, by `topic = "device/01S00C123456789"` (the serial number).

    status = {dialect = "bambu", topic = "device/01S00C123456789"}

A printer is its own broker (port 8883, user bblp, access code), so that a bridge has to bring its topics to the
kiosk's. Subscribes to `device/SN/report`, which is not retained. X1 printers say everything each time, P1 and A1 only
what changed: it is added to what is known, and a report without `gcode_state` changes nothing. After a start nothing is
known of a P1 or A1 until its state changes or it answers `pushall`, which is asked on `device/SN/request`. Silence: a
printer at work reports every few seconds, so 2 minutes; there is no last will. Tells `running`, `setup` (preparing, or
a stage of a print that is not printing), `idle`, also while paused and after a print that failed or was cancelled, and
`fault` while a print that failed leaves an error standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.machines.base import Asked, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.device import DeviceDialect, device_of, member, native, number, part, shape
from firmware_bridge.machines.payload import PayloadError, spelled
from firmware_bridge.options import known_only

STALE_AFTER_MS = 120_000
TOPICS = shape("report|request", begin="device/[^/]+")
JOBS = {
    "IDLE": Reported("idle"),
    "FINISH": Reported("idle", detail="finished"),
    "PAUSE": Reported("idle", detail="held"),
    "PREPARE": Reported("setup", detail="preparing"),
    "SLICING": Reported("setup", detail="slicing"),
}
RUNNING, FAILED = "RUNNING", "FAILED"
PRINTING_STAGES = (0, -1, 255)
"""Printing; and the two that say that there is no stage."""
HELD_STAGES = {5, 6, 16, 17, 20, 21, 23, 26, 27, 28, 30, 32, 33, 34, 35}
STAGES: dict[float, str] = {
    1: "auto_bed_leveling",
    2: "heatbed_preheating",
    3: "sweeping_xy_mech_mode",
    4: "changing_filament",
    7: "heating_hotend",
    8: "calibrating_extrusion",
    9: "scanning_bed_surface",
    10: "inspecting_first_layer",
    11: "identifying_build_plate_type",
    13: "homing_toolhead",
    14: "cleaning_nozzle_tip",
    15: "checking_extruder_temperature",
    19: "calibrating_extrusion_flow",
    22: "filament_unloading",
    24: "filament_loading",
    25: "calibrating_motor_noise",
    29: "cooling_chamber",
}
CANCELLED = "50348044"
"""0300-400C: somebody cancelled the print. It stays until the next one."""


@dataclass(frozen=True)
class Options:
    """`topic`: `device/` and the serial number."""

    device: str | None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, ("topic",))
        return cls(device_of(table, TOPICS, "device/01S00C123456789/report", any_topic=any_topic)[0])


@dataclass(frozen=True)
class Known:
    """The report so far: the job's state (one of the tables), its stage, what it failed of, and whether it warns."""

    job: str | None = None
    stage: float = 0
    error: str = "0"
    reason: str = "0"
    warns: bool = False


class Bambu(DeviceDialect[Known]):
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
        """Asks for a full report, which a P1 or A1 gives of itself only now and then."""
        # device/{SN}/request  {"pushing":{"sequence_id":"0","command":"pushall"}}  (OpenBambuAPI mqtt.md)
        request = b'{"pushing":{"sequence_id":"0","command":"pushall"}}'
        return () if self._device is None else (Asked(f"{self._device}/request", request),)

    def _tails(self) -> tuple[str, ...]:
        return ("report",)

    def _told(self, tail: str, payload: bytes) -> Told:
        # device/{SN}/request  {"pushing":{"sequence_id":"0","command":"pushall"}}
        if tail == "request":
            return Ignored("a command, not a report")
        report = member(payload)
        # {"mc_print":{"command":"push_info","param":"[LINK] pause_print():Pause Print!reason= 0x8001",...}}
        # (a line of a log, whatever it says)
        if "print" not in report:
            return Ignored("no report about a print")
        said = part(report, "print")
        job = said.get("gcode_state")
        if job is not None and not isinstance(job, str):
            raise PayloadError("gcode_state is not a word")
        known = _added(self._known, said)
        if job is None or job in (RUNNING, FAILED, *JOBS):
            self._known = known
            return _meaning(known)
        self._known = Known()
        return not_listed(job)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """`native`: the word about the print."""
        return {"native": native(part(member(payload), "print").get("gcode_state")) if tail == "report" else None}


def _added(known: Known, said: Mapping[str, object]) -> Known:
    # {"print":{"command":"push_status","gcode_state":"RUNNING","stg_cur":14,"print_error":0,"fail_reason":"0",...}}
    # {"print":{"home_flag":-1066934785}}  (no change)
    job, stage, warnings = said.get("gcode_state"), number(said, "stg_cur"), said.get("hms")
    return Known(
        job if isinstance(job, str) else known.job,
        known.stage if stage is None else stage,
        _code(said, "print_error") or known.error,
        _code(said, "fail_reason") or known.reason,
        known.warns if warnings is None else bool(warnings),
    )


def _code(said: Mapping[str, object], key: str) -> str | None:
    code = spelled(said.get(key))
    return None if code is None else code[:16]


def _meaning(known: Known) -> Reported:
    if known.job is None:
        return Reported(detail="alive")
    if known.job == FAILED:
        return _failed(known)
    if known.job != RUNNING:
        return JOBS[known.job]
    if known.stage in PRINTING_STAGES:
        # {"print":{"gcode_state":"RUNNING","stg_cur":0,"hms":[{"attr":201327360,"code":131076}]}}
        return Reported("running", detail="warning" if known.warns else "")
    if known.stage in HELD_STAGES:
        return Reported("idle", detail="held")
    return Reported("setup", detail=STAGES.get(known.stage, f"stage {known.stage:g}"))


def _failed(known: Known) -> Reported:
    # {"print":{"gcode_state":"FAILED","print_error":50348044,"fail_reason":"50348044"}}
    if CANCELLED in (known.error, known.reason):
        return Reported("idle", detail="cancelled")
    # {"print":{"gcode_state":"FAILED","print_error":0,"mc_remaining_time":759}}
    if known.error in ("0", ""):
        return Reported("idle", detail="last_job_failed")
    return Reported("fault", detail=f"error {known.error}")
