"""The evidence strip as a picture: where each thing stands between the session's beginning and its end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from kiosk.store.views import SessionView
from kiosk.web.strip import Evidence, Segment
from kiosk.words import local

MINUTE_MS = 60_000
STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)
MOST_TICKS = 5
CLEAR = 15.0
"""Percent at each end that belong to the times of beginning and end."""


@dataclass(frozen=True)
class Block:
    """A stretch of the strip; `x` and `width` in percent of it."""

    kind: str
    """A machine's state, a gap (`silent`, `down`), or `badge`."""
    start_ms: int
    end_ms: int
    x: float
    width: float
    count: int = 0
    """Of the others on the machine, where it stands for them."""

    @property
    def hatch(self) -> str:
        """Which pattern says that nothing is known: `silent` or `down`; empty where something is."""
        return {"none": "silent", "unknown": "silent", "silent": "silent", "down": "down"}.get(self.kind, "")


@dataclass(frozen=True)
class Pin:
    """Something that happened at a moment: a flag, a touch, a time of day."""

    kind: str
    at_ms: int
    x: float


@dataclass(frozen=True)
class Picture:
    """All that the strip shows."""

    badge: tuple[Block, ...]
    """The badge's line; broken where the kiosk itself was down."""
    states: tuple[Block, ...]
    others: tuple[Block, ...]
    """When how many others were on the machine."""
    pins: tuple[Pin, ...]
    """Flags where they happened, and touches of the idle warning."""
    ticks: tuple[Pin, ...]
    most_others: int
    others_ms: int


def picture(
    row: SessionView,
    evidence: Evidence,
    others: Sequence[tuple[int, int]],
    zone: ZoneInfo,
    *,
    has_source: bool,
    long_session_ms: int,
) -> Picture | None:
    """The strip of a closed session; None for one without presence."""
    if row.end_ms is None or not evidence.segments:
        return None
    start, end = row.start_ms, row.end_ms

    def block(kind: str, left: int, right: int, count: int = 0) -> Block:
        x = _percent(left, start, end)
        return Block(kind, left, right, x, round(_percent(right, start, end) - x, 2), count)

    def pin(kind: str, at_ms: int) -> Pin:
        return Pin(kind, at_ms, _percent(min(max(at_ms, start), end), start, end))

    crowd = [block("others", left, right, count) for left, right, count in crowd_of(others)]
    flags = _pins(row, evidence, has_source=has_source, long_session_ms=long_session_ms)
    return Picture(
        badge=tuple(block("badge", left, right) for left, right in _heard(start, end, evidence.segments)),
        states=tuple(
            block((each.gap or each.state) if has_source else "none", each.start_ms, each.end_ms)
            for each in evidence.segments
        ),
        others=tuple(crowd),
        pins=tuple(pin(kind, at_ms) for kind, at_ms in sorted(flags, key=lambda each: each[1])),
        ticks=tuple(pin("tick", at_ms) for at_ms in ticks(start, end, zone)),
        most_others=max((each.count for each in crowd), default=0),
        others_ms=sum(each.end_ms - each.start_ms for each in crowd),
    )


def crowd_of(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(from, to, how many at once), where there was anybody."""
    changes: dict[int, int] = {}
    for left, right in spans:
        if left < right:
            changes[left] = changes.get(left, 0) + 1
            changes[right] = changes.get(right, 0) - 1
    moments = sorted(changes)
    found, count = [], 0
    for left, right in pairwise(moments):
        count += changes[left]
        if count:
            found.append((left, right, count))
    return found


def ticks(start_ms: int, end_ms: int, zone: ZoneInfo) -> list[int]:
    """Round local times between the ends, so few that they can be read on a telephone; UTC ms."""
    for step in STEPS_MIN:
        if (end_ms - start_ms) / (step * MINUTE_MS) <= MOST_TICKS:
            break
    offset = local(start_ms, zone).utcoffset()
    offset_ms = int(offset.total_seconds() * 1000) if offset else 0
    step_ms = step * MINUTE_MS
    first = -(-(start_ms + offset_ms) // step_ms) * step_ms - offset_ms
    return [
        at_ms
        for at_ms in range(first, end_ms + 1, step_ms)
        if CLEAR <= _percent(at_ms, start_ms, end_ms) <= 100 - CLEAR
    ]


def _pins(row: SessionView, evidence: Evidence, *, has_source: bool, long_session_ms: int) -> Iterable[tuple[str, int]]:
    """The flags whose moment is known, and the touches."""
    assert row.end_ms is not None
    yield from (("still_here", at_ms) for at_ms in evidence.still_here)
    if "closed_by_system" in row.flags:
        yield "closed_by_system", row.end_ms
    if "clock_uncertain" in row.flags:
        yield "clock_uncertain", row.start_ms
    if "same_time_pair" in row.flags:
        yield "same_time_pair", row.start_ms
    if "too_long" in row.flags:
        yield "too_long", row.start_ms + long_session_ms
    if has_source and "status_lost" in row.flags:
        gaps = [each for each in evidence.segments if each.gap]
        yield from (("status_lost", each.start_ms) for each in gaps[:MOST_TICKS])


def _heard(start: int, end: int, segments: Sequence[Segment]) -> Iterable[tuple[int, int]]:
    """When the kiosk could have heard the badge: all the time but while it was down."""
    left = start
    for each in segments:
        if each.gap == "down":
            if left < each.start_ms:
                yield left, each.start_ms
            left = each.end_ms
    if left < end:
        yield left, end


def _percent(at_ms: int, start_ms: int, end_ms: int) -> float:
    return round((at_ms - start_ms) * 100 / (end_ms - start_ms), 2)
