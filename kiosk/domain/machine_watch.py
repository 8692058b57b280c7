"""What was last heard of each machine: silence, thresholds, confirmation (hours, section 2).

This is `decide`'s own small memory. Nothing of it is in the ledger, and none of it survives a start: the broker is
connected, and nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kiosk.domain.rulebook import MachineRule
from kiosk.domain.timeline import Moment


@dataclass
class Ear:
    """One machine's source."""

    last_heard: Moment | None = None
    pending: tuple[str, Moment] | None = None
    """An unbroken stretch of power samples that mean another state, and the first of them."""


@dataclass
class MachineWatch:
    """All machines' sources, and whether the broker can be heard."""

    ears: dict[str, Ear] = field(default_factory=dict)
    connected: bool = True

    def ear(self, machine_id: str) -> Ear:
        """What was heard of a machine."""
        return self.ears.setdefault(machine_id, Ear())


def meaning(power_w: float, thresholds: tuple[int, int, int | None, int, int], state: str) -> str:
    """What one sample of a smart plug means, where `state` is the confirmed state."""
    running_above, idle_below, off_below, _, _ = thresholds
    power_mw = round(power_w * 1000, 3)  # so that a sample of exactly a threshold is at it
    if power_mw >= running_above:
        return "running"
    if off_below is not None and power_mw < off_below:
        return "off"
    if power_mw < idle_below:
        return "idle"
    return state if state in ("running", "idle") else "idle"


def heard_state(ear: Ear, state: str, reported: str, now: Moment) -> Moment | None:
    """A source named a state: when it holds from, or None where nothing changes."""
    ear.pending = None
    return now if reported != state else None


def heard_power(ear: Ear, rule: MachineRule, state: str, power_w: float, now: Moment) -> tuple[str, Moment] | None:
    """A power sample: the change it confirms and the moment it is dated at, or None.

    Confirmation is by samples only, so a delay costs nobody time: the change is dated at the first of the stretch.
    """
    if rule.power_mw is None:
        return None
    means = meaning(power_w, rule.power_mw, state)
    if state == "unknown":
        ear.pending = None
        return means, now
    if means == state:
        ear.pending = None
        return None
    if ear.pending is None or ear.pending[0] != means:
        ear.pending = (means, now)
    _, _, _, on_delay_ms, off_delay_ms = rule.power_mw
    delay_ms = on_delay_ms if means == "running" else off_delay_ms
    first = ear.pending[1]
    if now.ms - first.ms < delay_ms:
        return None
    ear.pending = None
    return means, first


def silent_from(ear: Ear, stale_after_ms: int | None, state: str) -> Moment | None:
    """When a repeating source's state stops holding if nothing more is heard; None where it does not."""
    if stale_after_ms is None or state == "unknown" or ear.last_heard is None:
        return None
    return Moment(ear.last_heard.boot, ear.last_heard.ms + stale_after_ms)
