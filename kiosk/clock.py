"""The only file that asks what time it is, and how sure we are (hours, section 8)."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

from kiosk.domain.entries import Stamp
from kiosk.refs import new_boot_id

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")
_SYNC_CHECK_MS = 1_000
_STATUS_OFFSET = 40
"""Bytes before `status` in `struct timex` of a 64-bit Linux: modes and padding, then four longs."""
_STA_UNSYNC = 0x0040


class Clock(Protocol):
    """What the inbox stamps with."""

    speed: float
    """Domain milliseconds a real one; 1 but in a demo."""

    def stamp(self) -> Stamp:
        """Now."""

    def wall_ms(self) -> int:
        """UTC as the domain's wall clock shows it."""


class SystemClock:
    """The machine's own clocks: CLOCK_BOOTTIME for durations, the wall clock for labels."""

    speed = 1.0

    def __init__(self) -> None:
        self._boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else new_boot_id()
        self._synced = False
        self._checked_ms: int | None = None

    def stamp(self) -> Stamp:
        """Now; whether the clock is synchronised is asked of the kernel once a second."""
        boot_ms = boottime_ms()
        if self._checked_ms is None or boot_ms - self._checked_ms >= _SYNC_CHECK_MS:
            self._synced = is_synchronised()
            self._checked_ms = boot_ms
        return Stamp(self._boot, boot_ms, self.wall_ms(), self._synced)

    def wall_ms(self) -> int:
        """UTC as this machine believes it to be."""
        return real_wall_ms()


class ScaledClock:
    """A demonstration's clock: starts at the real time and runs `speed` times as fast; true by definition."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._boot = new_boot_id()
        self._start_ms = boottime_ms()
        self._start_wall_ms = real_wall_ms()

    def stamp(self) -> Stamp:
        """Now, in the demonstration."""
        passed_ms = self._passed_ms()
        return Stamp(self._boot, passed_ms, self._start_wall_ms + passed_ms, synced=True)

    def wall_ms(self) -> int:
        """UTC in the demonstration."""
        return self._start_wall_ms + self._passed_ms()

    def _passed_ms(self) -> int:
        return int((boottime_ms() - self._start_ms) * self.speed)


def boottime_ms() -> int:
    """Milliseconds since this machine was switched on, asleep or not."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def real_wall_ms() -> int:
    """UTC in milliseconds, as this machine believes it to be: for webhooks, logins and file times."""
    return time.time_ns() // 1_000_000


def is_synchronised() -> bool:
    """Does the kernel, or systemd-timesyncd, say that the wall clock follows a time server?"""
    if _TIMESYNC_MARK.exists():
        return True
    try:
        libc = ctypes.CDLL(None)
        timex = ctypes.create_string_buffer(256)
        if libc.adjtimex(timex) < 0:
            return False
    except (OSError, AttributeError):
        return False
    status = int.from_bytes(timex.raw[_STATUS_OFFSET : _STATUS_OFFSET + 4], "little")
    return not status & _STA_UNSYNC
