"""The geometry of charts, without a word of any language; `templates/staff/charts.html` draws what is made here.

Across, everything is in per cent of the drawing, so that a chart fills any width without being stretched; upright it is
in pixels. Times are written in hours and in academic hours, each converted once (hours, section 1).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kiosk.words import academic_hours, hours_minutes

HOUR_MS = 3_600_000
PLOT_PX = 160
"""The height of the columns' plot; their labels stand below it."""
HEADROOM_PX = 18
AXIS = 9.0
"""Per cent of the width that the scale's figures have."""
FILLED = 0.62
"""How much of its slot a column fills."""
MOST_LABELS = 9
STEPS_H = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


@dataclass(frozen=True)
class Amount:
    """A time and how it is written."""

    ms: int
    hours: str
    academic: str


@dataclass(frozen=True)
class Progress:
    """A bar against a plan: approved solid, waiting hatched, marks at the minimum and at a plan that was passed."""

    approved: Amount
    waiting: Amount
    needed: Amount | None
    minimum: Amount | None
    percent: int
    """Approved of what is needed, rounded down, 100 at most; 0 without a plan."""
    approved_width: str
    waiting_x: str
    waiting_width: str
    minimum_x: str | None
    needed_x: str | None
    """Only where approved and waiting together pass the plan."""


@dataclass(frozen=True)
class Column:
    """One column as it is given: what it stands for, and its times."""

    label: str
    approved_ms: int
    waiting_ms: int = 0


@dataclass(frozen=True)
class ColumnDrawn:
    """One column with its place."""

    label: str
    total: Amount
    approved: Amount
    waiting: Amount
    x: str
    width: str
    middle: str
    approved_y: float
    approved_height: float
    waiting_y: float
    waiting_height: float
    labelled: bool
    """Is there room for words under and over it?"""


@dataclass(frozen=True)
class Columns:
    """Columns over a scale of whole hours."""

    columns: tuple[ColumnDrawn, ...]
    ticks: tuple[tuple[float, str], ...]
    """(y, hours) of the lines across."""
    height: int
    base: float
    """The y that the columns stand on."""
    axis: str
    waits: bool
    """Does any of it wait for a decision?"""


@dataclass(frozen=True)
class Row:
    """One row as it is given: times by key (a machine's state, say)."""

    label: str
    parts: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class PartDrawn:
    """One stretch of a row with its place."""

    key: str
    amount: Amount
    x: str
    width: str


@dataclass(frozen=True)
class RowDrawn:
    """One row with its places."""

    label: str
    total: Amount
    parts: tuple[PartDrawn, ...]


@dataclass(frozen=True)
class Stacked:
    """Rows on one scale: the longest is as wide as the drawing."""

    rows: tuple[RowDrawn, ...]
    keys: tuple[str, ...]
    """Those that occur, in the order given."""


def progress(
    approved_ms: int, waiting_ms: int, needed_ms: int | None, *, academic_hour_ms: int, minimum_ms: int | None = None
) -> Progress:
    """A bar as long as the plan, or as all that was worked where that is more or no plan is given."""
    needed_ms = needed_ms or 0
    whole_ms = max(needed_ms, approved_ms + waiting_ms, minimum_ms or 0)
    passed = 0 < needed_ms < approved_ms + waiting_ms
    return Progress(
        approved=_amount(approved_ms, academic_hour_ms),
        waiting=_amount(waiting_ms, academic_hour_ms),
        needed=_amount(needed_ms, academic_hour_ms) if needed_ms else None,
        minimum=_amount(minimum_ms, academic_hour_ms) if minimum_ms else None,
        percent=min(100, approved_ms * 100 // needed_ms) if needed_ms else 0,
        approved_width=_share(approved_ms, whole_ms),
        waiting_x=_share(approved_ms, whole_ms),
        waiting_width=_share(waiting_ms, whole_ms),
        minimum_x=_share(minimum_ms, whole_ms) if minimum_ms else None,
        needed_x=_share(needed_ms, whole_ms) if passed else None,
    )


def columns(series: Sequence[Column], *, academic_hour_ms: int) -> Columns:
    """Columns side by side; of many, only so many are labelled as have room."""
    step_ms, top_ms = _scale(max((each.approved_ms + each.waiting_ms for each in series), default=0))
    base = float(HEADROOM_PX + PLOT_PX)
    slot = (100.0 - AXIS) / max(1, len(series))
    every = -(-len(series) // MOST_LABELS)

    def drawn(place: int, each: Column) -> ColumnDrawn:
        left = AXIS + slot * place + slot * (1 - FILLED) / 2
        approved = each.approved_ms / top_ms * PLOT_PX
        waiting = each.waiting_ms / top_ms * PLOT_PX
        return ColumnDrawn(
            label=each.label,
            total=_amount(each.approved_ms + each.waiting_ms, academic_hour_ms),
            approved=_amount(each.approved_ms, academic_hour_ms),
            waiting=_amount(each.waiting_ms, academic_hour_ms),
            x=_percent(left),
            width=_percent(slot * FILLED),
            middle=_percent(left + slot * FILLED / 2),
            approved_y=round(base - approved, 2),
            approved_height=round(approved, 2),
            waiting_y=round(base - approved - waiting, 2),
            waiting_height=round(waiting, 2),
            labelled=place % max(1, every) == 0,
        )

    return Columns(
        columns=tuple(drawn(place, each) for place, each in enumerate(series)),
        ticks=tuple(
            (round(base - ms / top_ms * PLOT_PX, 2), str(ms // HOUR_MS)) for ms in range(0, top_ms + 1, step_ms)
        ),
        height=int(base) + 24,
        base=base,
        axis=_percent(AXIS),
        waits=any(each.waiting_ms for each in series),
    )


def stacked(rows: Sequence[Row], keys: Collection[str], *, academic_hour_ms: int) -> Stacked:
    """Rows of stretches in the order of `keys`; a stretch of another key is not drawn."""
    longest_ms = max((sum(ms for _, ms in row.parts) for row in rows), default=0)
    present = tuple(key for key in keys if any(ms and key == name for row in rows for name, ms in row.parts))
    return Stacked(tuple(_row(row, present, longest_ms, academic_hour_ms) for row in rows), present)


def _row(row: Row, keys: Sequence[str], longest_ms: int, academic_hour_ms: int) -> RowDrawn:
    by_key = {key: sum(ms for name, ms in row.parts if name == key) for key in keys}
    ends = accumulate(by_key.values(), initial=0)
    parts = tuple(
        PartDrawn(key, _amount(ms, academic_hour_ms), _share(start, longest_ms), _share(ms, longest_ms))
        for (key, ms), start in zip(by_key.items(), ends, strict=False)
        if ms
    )
    return RowDrawn(row.label, _amount(sum(by_key.values()), academic_hour_ms), parts)


def _scale(largest_ms: int) -> tuple[int, int]:
    """(step, top) of a scale with at most five whole steps that the largest time fits under."""
    step_ms = next((step * HOUR_MS for step in STEPS_H if step * HOUR_MS * 5 >= largest_ms), STEPS_H[-1] * HOUR_MS)
    return step_ms, max(1, -(-largest_ms // step_ms)) * step_ms


def _amount(ms: int, academic_hour_ms: int) -> Amount:
    return Amount(ms, hours_minutes(ms), academic_hours(ms, academic_hour_ms))


def _share(part_ms: int, whole_ms: int) -> str:
    return _percent(part_ms * 100 / whole_ms if whole_ms else 0.0)


def _percent(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"
