"""Visits: for as long as somebody stands at the screen after a tap, a random token says whose turn it is.

A badge says who is there, the token carries it to the screens that answer to that reader, and to nobody else. It is
kept in memory, in real time, and means nothing once it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

from kiosk.refs import new_token

VISIT_S = 15.0
"""A visit ends this long after the last touch."""


@dataclass(frozen=True)
class Visit:
    """One known person at one reader."""

    token: str
    reader: str
    person_ref: str
    role: str
    """`apprentice` or `instructor`."""
    seq: int
    """The entry that the tap made."""
    until: float
    """When it ends, in seconds of the visits' own clock, unless somebody touches the screen."""


class Visits:
    """The newest visit of each reader. May be used from any thread."""

    def __init__(self, now: Callable[[], float] = monotonic, lasts_s: float = VISIT_S) -> None:
        self._now = now
        self._lasts_s = lasts_s
        self._lock = threading.Lock()
        self._by_reader: dict[str, Visit] = {}
        self._newest: dict[str, int] = {}

    def begin(self, reader: str, person_ref: str, role: str, seq: int) -> Visit | None:
        """The visit of the tap that made entry `seq`; the one before it at that reader is over.

        The same tap has one visit, however often it is announced; a tap that another one has overtaken has none.
        """
        with self._lock:
            if seq <= self._newest.get(reader, -1):
                known = self._live(reader)
                return known if known is not None and known.seq == seq else None
            visit = Visit(new_token(), reader, person_ref, role, seq, self._now() + self._lasts_s)
            self._newest[reader] = seq
            self._by_reader[reader] = visit
            return visit

    def overtaken(self, reader: str, seq: int) -> None:
        """A badge that gets no visit was read: whoever stood there before does so no more."""
        with self._lock:
            if seq > self._newest.get(reader, -1):
                self._newest[reader] = seq
                self._by_reader.pop(reader, None)

    def touch(self, token: str) -> Visit | None:
        """The live visit of a token, which lasts from now on; `None` where there is none (any more)."""
        with self._lock:
            visit = self._find(token)
            if visit is None:
                return None
            visit = replace(visit, until=self._now() + self._lasts_s)
            self._by_reader[visit.reader] = visit
            return visit

    def end(self, token: str) -> None:
        """Over: the person turned away, or is done."""
        with self._lock:
            visit = self._find(token)
            if visit is not None:
                del self._by_reader[visit.reader]

    def _live(self, reader: str) -> Visit | None:
        visit = self._by_reader.get(reader)
        if visit is not None and visit.until <= self._now():
            del self._by_reader[reader]
            return None
        return visit

    def _find(self, token: str) -> Visit | None:
        for reader in list(self._by_reader):
            visit = self._live(reader)
            if visit is not None and visit.token == token:
                return visit
        return None
