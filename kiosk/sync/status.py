"""What this process tells of itself to the pages: when it tried, what came of it, and when it tries again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from kiosk.delivery_status import DeliveryStatus, read_status, still_alive, write_status

log = logging.getLogger(__name__)

NEW = DeliveryStatus()
BEAT_MS = 30_000
"""How often it says that it is alive, though nothing has changed."""


class StatusFile:
    """Keeps the file true. For all threads of this process; a disk that takes nothing stops no delivery."""

    def __init__(self, path: Path, enterprises: Collection[str], now_ms: Callable[[], int]) -> None:
        """What stood there before goes on, of those that are still delivered to."""
        self._path = path
        self._now_ms = now_ms
        self._lock = threading.Lock()
        before = read_status(path)
        known = before.enterprises if before is not None else {}
        self._enterprises = {name: known.get(name, DeliveryStatus()) for name in enterprises}
        self._beaten_ms: int | None = None
        self._failing = False
        self._write()

    def beat(self) -> None:
        """Still alive; may be called as often as one likes."""
        with self._lock:
            now = self._now_ms()
            if self._beaten_ms is None or abs(now - self._beaten_ms) >= BEAT_MS:
                self._beaten_ms = now
                if self._failing:
                    self._write()
                else:
                    still_alive(self._path)

    def failed(
        self, enterprise: str, problem: str, *, next_ms: int | None = None, http: int | None = None, reason: str = ""
    ) -> None:
        """A try came to nothing. `http` where there was an answer."""
        with self._lock:
            now, known = self._now_ms(), self._enterprises.get(enterprise, NEW)
            failures = {**known.failures, problem: known.failures.get(problem, 0) + 1}
            self._put(
                enterprise,
                replace(
                    known,
                    last_try_ms=now,
                    last_answer_ms=known.last_answer_ms if http is None else now,
                    next_try_ms=next_ms,
                    problem=problem,
                    http=http,
                    reason=reason,
                    stopped=False,
                    failures=failures,
                ),
            )

    def delivered(self, enterprise: str) -> None:
        """It has receipted a delivery."""
        with self._lock:
            now = self._now_ms()
            self._put(enterprise, DeliveryStatus(last_try_ms=now, last_answer_ms=now, last_ok_ms=now))

    def stopped(self, enterprise: str) -> None:
        """It wants nothing more at this address."""
        with self._lock:
            known = self._enterprises.get(enterprise, NEW)
            if not known.stopped:
                now = self._now_ms()
                told = replace(known, last_try_ms=now, last_answer_ms=now, next_try_ms=None, problem="", http=410)
                self._put(enterprise, replace(told, reason="", stopped=True))

    def resumed(self, enterprise: str) -> None:
        """It is delivered to again."""
        with self._lock:
            known = self._enterprises.get(enterprise, NEW)
            if known.stopped:
                self._put(enterprise, replace(known, stopped=False, http=None, failures={}))

    def nothing_waits(self, enterprise: str) -> None:
        """There is nothing to try: what failed before was dropped, or its records may not leave any more."""
        with self._lock:
            known = self._enterprises.get(enterprise, NEW)
            if known.problem or known.next_try_ms is not None:
                self._put(enterprise, replace(known, next_try_ms=None, problem="", http=None, reason="", failures={}))

    def _put(self, enterprise: str, status: DeliveryStatus) -> None:
        self._enterprises[enterprise] = status
        self._write()

    def _write(self) -> None:
        try:
            write_status(self._path, self._enterprises)
        except OSError as error:
            if not self._failing:
                log.warning("%s is not written: %s; the pages will not know how delivery stands", self._path, error)
            self._failing = True
        else:
            self._failing = False
