"""What the metrics of a machine add up to: the one that the lab names, or those whose names speak for themselves.

Sparkplug gives metrics no meaning. Without options these names do, in any case, with `/ . _ -` or blanks between their
parts, perhaps after others: `EStop/Active`, `Emergency Stop` (true: estop); `Machine/Fault` (true: fault); `State`,
`StateCurrentStr`, `Execution`, `Machine/Status` (a word of `WORDS`); `Machine/Running`, `Cycle/Active` (true: running,
false: idle); `spindle.speed.rpm` (turning: running, else idle); `power.kw`, `Power_W`. The first in this order decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from firmware_bridge.machines.base import Reported, not_listed
from firmware_bridge.machines.sparkplug_payload import Value

WORDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("running", "run", "active", "execute", "executing", "busy", "producing", "completing"), "running")
    | dict.fromkeys(("setup", "starting", "resetting", "preparing", "warmup"), "setup")
    | dict.fromkeys(("idle", "ready", "standby", "stopped", "stopping", "stop", "complete", "completed"), "idle")
    | dict.fromkeys(("programcompleted", "finished"), "idle")
    | dict.fromkeys(("fault", "error", "alarm", "aborted", "aborting", "clearing"), "fault")
    | dict.fromkeys(("estop", "emergencystop", "emergency"), "estop")
    | {"maintenance": "maintenance", "off": "off", "unavailable": "unknown", "offline": "unknown"}
)
"""Words by their letters alone: PackML (ISA-TR88.00.02), MTConnect's Execution, and plain ones."""
HOLDING = ("held", "holding", "unholding", "suspended", "suspending", "unsuspending", "feedhold")
PAUSING = ("paused", "pause", "hold", "wait", "waiting", "interrupted", "optionalstop", "programstopped")
HELD = frozenset((*HOLDING, *PAUSING))
"""Words of a machine that stands in the middle of its work: idle, with a detail."""

NAMES = (
    ("estop", re.compile(r"(?:.*/)?(?:e/?stop|emergency(?:/?stop)?)(?:/(?:active|triggered|state))?")),
    ("fault", re.compile(r"(?:(?:.*/)?(?:machine|status|device)/)?fault(?:/active)?")),
    ("word", re.compile(r"(?:.*/)?(?:(?:machine/?)?state(?:/?current(?:/?str)?)?|execution|machine/?status)")),
    ("running", re.compile(r"(?:.*/)?(?:(?:machine|status|program)/)?running|(?:.*/)?(?:in/)?cycle/active")),
    ("turning", re.compile(r"(?:.*/)?spindle/(?:speed(?:/rpm)?|rpm)")),
    ("power", re.compile(r"(?:.*/)?(?:active/?)?power/(?:kw|w)")),
)
"""Roles in the order in which they decide; names in small letters with `/` between their parts."""
TELLING = re.compile("stop|emergency|fault|state|status|execution|running|cycle|spindle|power", re.IGNORECASE)
"""What every such name has in it: most names are done with at a glance."""
APART = re.compile(r"[\s/._:\\-]+")
NAME_CHARS_MAX = 200
ON = frozenset(("true", "1", "active", "triggered", "on"))


@dataclass(frozen=True)
class Meaning:
    """Which metrics count. With `state_metric` none but it tells the state; `power_metric` is in units of `power_w`."""

    state_metric: str | None = None
    states: Mapping[str, str] | None = None
    power_metric: str | None = None
    power_unit_w: float = 1.0

    def role(self, name: str) -> str | None:
        """What the metric of that name is good for; None for one that tells nothing about the machine's state."""
        if name in (self.state_metric, self.power_metric):
            return "state" if name == self.state_metric else "power"
        if self.state_metric is not None or self.power_metric is not None:
            return None
        if len(name) > NAME_CHARS_MAX or not TELLING.search(name):
            return None
        plain = APART.sub("/", name.lower()).strip("/")
        return next((role for role, shape in NAMES if shape.fullmatch(plain)), None)

    def told(self, known: Mapping[str, Value]) -> Reported:
        """What the values that are known, by name, say together. A value of None is known to be unknown."""
        roles = {name: self.role(name) for name in known}
        power_w = self._power_w((name, known[name]) for name, role in roles.items() if role == "power")
        said: list[Reported] = []
        for wanted in ("state", "estop", "fault", "word", "running", "turning"):
            for name, role in roles.items():
                value = known[name]
                if role == wanted and value is not None:
                    said += self._one(wanted, value)
        decided = next((one for one in said if one.state is not None), next(iter(said), None))
        if decided is None:
            # A stop that is over, a value that is null: what the machine does instead, nobody said.
            is_lost = power_w is None and any(roles.values())
            return Reported("unknown" if is_lost else None, power_w)
        return Reported(decided.state, power_w, decided.detail)

    def _one(self, role: str, value: bool | int | float | str) -> list[Reported]:
        if role == "state" and self.states is not None:
            spelling = spelled(value)
            state = self.states.get(spelling)
            return [not_listed(spelling) if state is None else Reported(state)]
        if role in ("state", "word"):
            return [_word(spelled(value))]
        is_on = spelled(value).lower() in ON
        if role in ("estop", "fault"):
            return [Reported(role)] if is_on else []
        if role == "running":
            return [Reported("running" if is_on else "idle")]
        if isinstance(value, str):
            return []
        return [Reported("running" if value > 0 else "idle", detail="by the spindle's speed")]

    def _power_w(self, values: Iterable[tuple[str, Value]]) -> float | None:
        for name, value in values:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                unit_w = self.power_unit_w
                if self.power_metric is None:
                    unit_w = 1_000.0 if name.lower().endswith("kw") else 1.0
                return float(value) * unit_w
        return None


def spelled(value: bool | int | float | str) -> str:
    """A value as a table of states writes it: true, 6, 2.5, RUN."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _word(word: str) -> Reported:
    plain = APART.sub("", word.lower())
    if plain in HELD:
        return Reported("idle", detail="held")
    state = WORDS.get(plain)
    return not_listed(word) if state is None else Reported(state)
