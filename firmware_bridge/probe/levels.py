"""Watts that were seen, told apart into levels, and the thresholds between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

APART, APART_W = 1.5, 3.0
"""A level begins so many times, and so many watts, above the one below it."""
OFF_W = 5.0
"""A machine that is off draws less."""


@dataclass(frozen=True)
class Level:
    """Samples that lie together."""

    lowest_w: float
    highest_w: float

    @property
    def words(self) -> str:
        """`58 to 63 W`."""
        low, high = f"{self.lowest_w:.3g}", f"{self.highest_w:.3g}"
        return f"{low} W" if low == high else f"{low} to {high} W"


@dataclass(frozen=True)
class Thresholds:
    """What stands in `lab.toml`, in watts."""

    running_above_w: float
    idle_below_w: float
    off_below_w: float | None


def levels(samples_w: Sequence[float]) -> list[Level]:
    """The levels, from the lowest; empty where nothing was measured."""
    found: list[Level] = []
    for sample in sorted(max(0.0, each) for each in samples_w):
        if found and sample <= found[-1].highest_w * APART + APART_W:
            found[-1] = Level(found[-1].lowest_w, sample)
        else:
            found.append(Level(sample, sample))
    return found


def thresholds(found: Sequence[Level]) -> Thresholds | None:
    """Between what is off, what rests and what works; None where work and rest were not both seen.

    Of more than two levels the widest step divides work from rest: the machine works, lights and fans rest with it.
    """
    off = found[0] if found and found[0].highest_w < OFF_W and len(found) > 2 else None
    rest = list(found[1:] if off else found)
    if len(rest) < 2:
        return None
    step = max(range(1, len(rest)), key=lambda place: rest[place].lowest_w / max(rest[place - 1].highest_w, 1.0))
    below, above = rest[step - 1].highest_w, rest[step].lowest_w
    between = above - below
    off_w = None
    if off is not None:
        off_w = _rounded(off.highest_w + (rest[0].lowest_w - off.highest_w) / 3, off.highest_w, rest[0].lowest_w)
    return Thresholds(
        _rounded(below + between * 2 / 3, below, above), _rounded(below + between / 3, below, above), off_w
    )


def _rounded(value: float, above: float, upto: float) -> float:
    """Two digits where that stays between the levels, else as many as it takes."""
    for digits in range(2, 7):
        short = float(f"{value:.{digits}g}")
        if above < short <= upto:
            return short
    return math.nextafter(upto, above)
