"""The whole ledger is looked at while the kiosk runs: after each start, and once a day.

A start that has a snapshot looks at the end of the ledger only, so that taps are accepted within seconds whatever the
years behind it. What rots elsewhere is found here, by the same examination, and ends like what a start finds: the
snapshot is taken away, the kiosk ends, and the next start, with nobody to vouch for anything, examines all, puts the
damaged ledger aside and begins a new one.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from kiosk import snapshot
from kiosk.store.examine import examine
from kiosk.store.quarantine import what_is_damaged

log = logging.getLogger(__name__)

EVERY_S = 24 * 3600.0
AGAIN_S = 600.0
"""After an inspection that the disk did not let come to its end."""
PAUSE_S = 0.005
"""Between two pieces of a millisecond or two each: a tap hardly notices, and a million entries take half a minute."""


class Inspector(threading.Thread):
    """Reads with a connection of its own, in short transactions; `found` is called once damage is certain."""

    def __init__(self, database: Path, found: Callable[[], None], *, every_s: float = EVERY_S) -> None:
        super().__init__(name="inspector", daemon=True)
        self._database = database
        self._found = found
        self._every_s = every_s
        self._stopping = threading.Event()
        self.inspections = 0
        """How often the whole ledger was found sound."""
        self.looked_at = 0
        """How many entries of it the inspection under way, or the last one, has looked at."""

    def stop(self) -> None:
        """End soon, also in the middle of an inspection."""
        self._stopping.set()

    def run(self) -> None:
        """Inspect and wait, until stopped or something is found."""
        while not self._stopping.is_set():
            before = self.inspections
            what = what_is_damaged(self._database, self._walk)
            if what is not None:
                snapshot.forget(self._database)
                log.critical(
                    "the ledger %s is damaged (%s): the kiosk ends, and the next start puts it aside",
                    self._database,
                    what,
                )
                self._found()
                return
            self._stopping.wait(self._every_s if self.inspections > before else AGAIN_S)

    def _walk(self, connection: sqlite3.Connection) -> None:
        for self.looked_at in examine(connection):
            if self._stopping.wait(PAUSE_S):
                return
        self.inspections += 1
