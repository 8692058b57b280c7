"""The numbers of `[rules]`, which a machine may override one by one."""

from __future__ import annotations

import re

from lab_config.model import STATES, Rules
from lab_config.tables import Table

CREW_CREDIT = ("full", "split")
COUNTABLE = tuple(state for state in STATES if state != "unknown")
"""The states that can count: what is not known is never credited by itself (hours, section 5)."""

_LOCAL_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def read_rules(table: Table, base: Rules) -> Rules:
    """`base` with every rule that is written in `table`."""
    return Rules(
        debounce_ms=table.duration("debounce", base.debounce_ms),
        no_toggle_ms=table.duration("no_toggle", base.no_toggle_ms),
        choice_timeout_ms=table.duration("choice_timeout", base.choice_timeout_ms),
        stale_after_ms=table.duration_or_never("stale_after", base.stale_after_ms),
        idle_grace_ms=table.duration("idle_grace", base.idle_grace_ms),
        off_grace_ms=table.duration("off_grace", base.off_grace_ms),
        idle_timeout_ms=table.duration_or_never("idle_timeout", base.idle_timeout_ms),
        max_session_ms=table.duration("max_session", base.max_session_ms, zero=False),
        day_end=_day_end(table, base.day_end),
        resume_within_ms=table.duration("resume_within", base.resume_within_ms),
        long_session_ms=table.duration("long_session", base.long_session_ms),
        counts=read_counts(table, base.counts),
        crew_credit=table.choice("crew_credit", CREW_CREDIT, base.crew_credit),
        minor_week_ms_16=table.duration("minor_week_16", base.minor_week_ms_16),
        minor_week_ms_14=table.duration("minor_week_14", base.minor_week_ms_14),
        minor_night=_minor_night(table, base.minor_night),
    )


def read_counts(table: Table, default: tuple[str, ...]) -> tuple[str, ...]:
    """The states that count; never `unknown`."""
    if "counts" not in table:
        return default
    written = table.raw("counts")
    if isinstance(written, list) and "unknown" in written:
        remedy = "Take it out; an instructor credits such time with a reason."
        table.problem("counts", "What the machine did is not known then, so it cannot count.", remedy)
        return default
    return table.texts("counts", COUNTABLE)


def _day_end(table: Table, default: tuple[str, ...]) -> tuple[str, ...]:
    """One local time, a list of them, or "never" (no time at all)."""
    if "day_end" not in table:
        return default
    written = table.raw("day_end")
    if written == "never":
        return ()
    times = (written,) if isinstance(written, str) else table.texts("day_end")
    return tuple(sorted(_local_times(table, "day_end", times)))


def _minor_night(table: Table, default: tuple[str, str]) -> tuple[str, str]:
    if "minor_night" not in table:
        return default
    times = table.texts("minor_night")
    if len(times) != 2:
        table.problem("minor_night", "It is not a beginning and an end.", 'Write it like ["22:00", "06:00"].')
        return default
    night = _local_times(table, "minor_night", times)
    return (night[0], night[1]) if len(night) == 2 else default


def _local_times(table: Table, key: str, times: tuple[str, ...]) -> tuple[str, ...]:
    good = tuple(time for time in times if _LOCAL_TIME.fullmatch(time))
    for time in times:
        if time not in good:
            table.problem(key, f"“{time}” is not a time of day.", 'Write it like "18:00", from "00:00" to "23:59".')
    return good
