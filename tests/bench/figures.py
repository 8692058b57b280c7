"""Figures, their goals and the table."""

from __future__ import annotations

import math
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.process import Memory, Start
from tests.bench.taps import FRAME_S, Series

COMMITS_GOAL = 10.0
COMMITTED_GOAL_S = 0.005
EVENT_GOAL_S = 0.025
MEMORY_GOAL_MB = 60.0
START_GOAL_S = 2.0


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    key: str
    name: str
    measured: str
    values: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""
    met: bool | None = None
    why: str = ""
    """Where it misses: the reason, in figures of the same run."""

    @property
    def verdict(self) -> str:
        """`met`, or that it misses and why; nothing where there is no goal."""
        if self.met is None:
            return ""
        return "met" if self.met else f"MISSED: {self.why}"


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank; not a number where there are no values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def floor_rows(series: Series) -> list[Figure]:
    """What the disk and the wire take by themselves."""
    wire = Figure("wire", "the frame itself: 14 bytes at 9600 baud", _ms(FRAME_S), {"ms": FRAME_S * 1e3})
    return [
        _spread("fdatasync", "one fdatasync of 4 KiB", series.sync_s),
        _spread("commit", "one durable SQLite commit (WAL, FULL, one row)", series.commit_s),
        _spread("late", "a thread that slept gets a processor too late by", series.late_s),
        wire,
    ]


def people_rows(series: Series) -> list[Figure]:
    """Taps at the pace of people: entry and event, each in commits and in frames."""
    commit_50, commit_99 = percentile(series.commit_s, 50), percentile(series.commit_s, 99)
    entry_50, entry_99 = percentile(series.committed_s, 50), percentile(series.committed_s, 99)
    event_50, event_99 = percentile(series.event_s, 50), percentile(series.event_s, 99)
    late_99 = percentile(series.late_s, 99)
    around = (
        f"at the 99th percentile of the same seconds one durable commit alone takes {_ms(commit_99)} and a thread "
        f"wakes {_ms(late_99)} late (three must); load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    rest = f"{_ms(entry_50 - commit_50)} of it is not that one commit but deciding, folding and writing rows; {around}"
    after = f"the entry is there after {_ms(entry_99)}, then the answer is drawn; {around}"
    return [
        Figure(
            "entry_median",
            "(a) last byte to the committed entry, median",
            f"{_ms(entry_50)} = {entry_50 / commit_50:.1f} commits",
            {"ms": entry_50 * 1e3, "commits": entry_50 / commit_50},
            f"at most {COMMITS_GOAL:g} commits",
            entry_50 <= COMMITS_GOAL * commit_50,
            rest,
        ),
        Figure(
            "entry_p99",
            "(a) last byte to the committed entry, 99th percentile",
            f"{_ms(entry_99)} = {entry_99 / commit_99:.1f} commits of that percentile",
            {"ms": entry_99 * 1e3, "commits": entry_99 / commit_99},
            f"under {COMMITTED_GOAL_S * 1e3:g} ms",
            entry_99 < COMMITTED_GOAL_S,
            around,
        ),
        Figure(
            "event_median",
            "(b) last byte to the event at a browser's stream, median",
            f"{_ms(event_50)} = {event_50 / commit_50:.1f} commits",
            {"ms": event_50 * 1e3, "commits": event_50 / commit_50},
        ),
        Figure(
            "event_p99",
            "(b) last byte to the event, 99th percentile",
            f"{_ms(event_99)} = {event_99 / commit_99:.1f} commits of that percentile",
            {"ms": event_99 * 1e3, "commits": event_99 / commit_99},
            f"under {EVENT_GOAL_S * 1e3:g} ms",
            event_99 < EVENT_GOAL_S,
            after,
        ),
        _with_frame("frame_entry", "frame and (a) together, median", entry_50),
        _with_frame("frame_event", "frame and (b) together, median", event_50),
        _answered(series),
    ]


def unpaced_rows(series: Series, processor_s: float, crowds_s: Sequence[float]) -> list[Figure]:
    """The same without a pause, and all readers at once."""
    commit_50 = percentile(series.commit_s, 50)
    return [
        _spread("unpaced_commit", "back to back: one durable commit", series.commit_s),
        _spread("unpaced_entry", "back to back: (a) to the committed entry", series.committed_s, commit_50),
        _spread("unpaced_event", "back to back: (b) to the event", series.event_s, commit_50),
        Figure(
            "processor",
            "back to back: processor time of run for a tap, answer and board included",
            _ms(processor_s),
            {"ms": processor_s * 1e3},
        ),
        Figure(
            "crowd",
            "ten readers at the same moment: the last event",
            f"median {_ms(percentile(crowds_s, 50))}, worst {_ms(max(crowds_s))}",
            {"median_ms": percentile(crowds_s, 50) * 1e3, "worst_ms": max(crowds_s) * 1e3},
        ),
    ]


def start_rows(new: Start, warm: Start, cold: Start) -> list[Figure]:
    """From the spawn of the process to the first tap that is an entry."""
    return [
        _start("start_new", "start to first tap, new data folder, nothing compiled yet", new),
        _start("start_warm", "start to first tap, 500 people, files in the cache", warm),
        _start("start_cold", "start to first tap, files dropped from the cache", cold),
    ]


def memory_rows(idle: Memory, used: Memory) -> list[Figure]:
    """Resident after the start and after use."""
    split = f"{used.anonymous_mb:.1f} MB are its own, the rest are files (interpreter, libraries) it may share"
    return [
        Figure("memory_idle", "memory of run after its start", _mb(idle), _memory_values(idle)),
        Figure(
            "memory",
            "memory of run after the taps, with a stream, a login page and a board",
            _mb(used),
            _memory_values(used),
            f"under {MEMORY_GOAL_MB:g} MB resident",
            used.rss_mb < MEMORY_GOAL_MB,
            split,
        ),
    ]


def facts(folder: Path) -> dict[str, str]:
    """The machine under the figures."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lower().startswith(("model name", "model\t")):
            model = line.partition(":")[2].strip()
            break
    return {
        "cores": str(os.cpu_count()),
        "processor": f"{model} ({platform.machine()})",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "disk": f"{_filesystem(folder)} at {folder}",
        "load": " ".join(f"{part:.1f}" for part in os.getloadavg()),
    }


def table(figures: Sequence[Figure], about: Mapping[str, str]) -> str:
    """What is printed."""
    rows = [("figure", "measured", "goal", "verdict")]
    rows += [(each.name, each.measured, each.goal, each.verdict) for each in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(len(line) for line in lines[:1]))
    return "\n".join([*lines, "", *(f"{name}: {value}" for name, value in about.items())])


def _filesystem(folder: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, where, what, *_ = line.split()
        if folder.is_relative_to(where) and len(where) >= len(best):
            best, kind = where, what
    return kind


def _answered(series: Series) -> Figure:
    count = len(series.event_s) + series.unanswered
    shared = f"; {series.shared} without (a), another transaction fell into their time" if series.shared else ""
    return Figure(
        "answered",
        "taps that were answered",
        f"{len(series.event_s)} of {count}{shared}",
        {"answered": len(series.event_s), "taps": count, "shared": series.shared},
        "all",
        not series.unanswered,
        "an answer did not come within 3 s",
    )


def _start(key: str, name: str, start: Start) -> Figure:
    return Figure(
        key,
        name,
        f"{start.tap_s:.2f} s (port open {start.port_open_s:.2f} s, screen {start.screen_s:.2f} s)",
        {"tap_s": start.tap_s, "port_open_s": start.port_open_s, "screen_s": start.screen_s},
        f"under {START_GOAL_S:g} s",
        start.tap_s < START_GOAL_S,
        f"{start.port_open_s:.2f} s went by until the port was open: imports, configuration, ledger",
    )


def _with_frame(key: str, name: str, rest_s: float) -> Figure:
    whole_s = FRAME_S + rest_s
    values = {"ms": whole_s * 1e3, "frames": whole_s / FRAME_S}
    return Figure(key, name, f"{_ms(whole_s)} = {whole_s / FRAME_S:.2f} frames", values)


def _spread(key: str, name: str, values: Sequence[float], commit_s: float | None = None) -> Figure:
    p50, p99 = percentile(values, 50), percentile(values, 99)
    ratio = "" if commit_s is None else f" (median = {p50 / commit_s:.1f} commits)"
    return Figure(
        key, name, f"median {_ms(p50)}, 99th {_ms(p99)}{ratio}", {"median_ms": p50 * 1e3, "p99_ms": p99 * 1e3}
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _mb(memory: Memory) -> str:
    return f"{memory.rss_mb:.1f} MB resident, {memory.pss_mb:.1f} proportional, peak {memory.peak_mb:.1f}"


def _memory_values(memory: Memory) -> dict[str, float]:
    return {
        "rss_mb": memory.rss_mb,
        "pss_mb": memory.pss_mb,
        "anonymous_mb": memory.anonymous_mb,
        "peak_mb": memory.peak_mb,
    }
