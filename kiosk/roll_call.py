"""A briefing is being held at a reader: for a while its badges say who is present, and nothing else.

Reads that a roll call takes never reach the inbox, so they begin and end no session. It lives in memory, in real time,
and only while a screen shows it: nobody may believe that such a tap was counted as work. Where it ends by itself
nothing has happened; what is entered at its end is asked of the clerk by whoever held it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from kiosk.store import people
from kiosk.store.schema import StoreError, open_reader
from lab_config.model import Lab

SHOWN_S = 5.0
"""No screen has asked for so long: nobody can see it any more, and taps are taps again."""
IDLE_S = 180.0
"""No badge and no touch for so long: it was forgotten."""
LONGEST_S = 1200.0
"""Whatever happens."""
CONFIRM_WITHIN_S = 0.5
"""As hours.md, section 3, step 0, for readers whose frames carry no checksum."""


@dataclass(frozen=True)
class Holder:
    """Whose badge was read; without a person, why it stands for nobody: `unknown`, `blocked`, `inactive`, `trouble`."""

    person_ref: str | None
    role: str = ""
    why: str = ""


Who = Callable[[str], Holder]


def nobody(_uid: str) -> Holder:
    """Where there is no list of people to look at."""
    return Holder(None, why="unknown")


def holders(database: Path) -> Who:
    """Looks a badge number up in the people tables; the number goes nowhere else."""

    def look(uid: str) -> Holder:
        try:
            with closing(open_reader(database)) as connection:
                badge = people.badge_by_uid(connection, uid)
                person = people.person_by_ref(connection, badge.person_ref) if badge and badge.person_ref else None
        except (StoreError, sqlite3.Error):
            return Holder(None, why="trouble")
        if badge is None or person is None:
            return Holder(None, why="unknown")
        why = "blocked" if badge.blocked else "" if person.active else "inactive"
        return Holder(None, why=why) if why else Holder(person.person_ref, person.role)

    return look


@dataclass(frozen=True)
class RollCall:
    """What there is to show. Who are present stand in the order of their taps."""

    instructor: str
    present: tuple[str, ...] = ()
    last: str = ""
    """What the last read came to: `added`, `already`, `done` (the instructor's own badge again), `instructor`
    (another one's), or why it stood for nobody."""
    last_person: str | None = None
    revision: int = 0
    """Grows with every read and touch."""
    far: bool = False
    """Shown by a page that does not stand at the reader: the reader's own screen has to say what is going on."""
    began: float = field(default=0.0, compare=False)
    moved: float = field(default=0.0, compare=False)
    shown: float = field(default=0.0, compare=False)

    def is_over(self, now: float) -> bool:
        """Has it ended by itself?"""
        return now - self.shown >= SHOWN_S or now - self.moved >= IDLE_S or now - self.began >= LONGEST_S


class RollCalls:
    """At most one for each reader. May be used from any thread."""

    def __init__(
        self,
        who: Who = nobody,
        confirm: Mapping[str, int] | None = None,
        debounce_s: Mapping[str, float] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._who = who
        self._confirm = confirm or {}
        self._debounce_s = debounce_s or {}
        self._now = now
        self._lock = threading.Lock()
        self._calls: dict[str, RollCall] = {}
        self._frames: dict[str, tuple[str, float]] = {}
        self._sights: dict[tuple[str, str], float] = {}
        """When a badge that a roll call took was seen last: while it lies there, it stays taken."""

    @classmethod
    def of(cls, lab: Lab, database: Path) -> RollCalls:
        """As the readers of a lab are configured."""
        bound = {each.id: lab.machine(each.machine).rules if each.machine else lab.rules for each in lab.readers}
        return cls(
            holders(database),
            {each.id: each.confirm for each in lab.readers},
            {reader: rules.debounce_ms / 1000 for reader, rules in bound.items()},
        )

    def begin(self, reader: str, instructor: str, *, far: bool = False) -> RollCall:
        """From now on the badges at `reader` are those present; one that went on there before is forgotten."""
        with self._lock:
            now = self._now()
            call = RollCall(instructor, far=far, began=now, moved=now, shown=now)
            self._calls[reader] = call
            self._frames.pop(reader, None)
            return call

    def shown(self, reader: str, instructor: str) -> RollCall | None:
        """For a screen that shows it, which must ask more often than every `SHOWN_S`; None once it is over."""
        with self._lock:
            call = self._live(reader)
            if call is None or call.instructor != instructor:
                return None
            self._calls[reader] = replace(call, shown=self._now())
            return self._calls[reader]

    def holder(self, reader: str) -> str | None:
        """Who holds one there now."""
        with self._lock:
            call = self._live(reader)
            return None if call is None else call.instructor

    def far(self) -> dict[str, RollCall]:
        """Those that are shown elsewhere, by reader: who stands there must not believe that a tap is work."""
        with self._lock:
            live = {reader: self._live(reader) for reader in tuple(self._calls)}
            return {reader: call for reader, call in live.items() if call is not None and call.far}

    def leave_out(self, reader: str, person_ref: str) -> None:
        """Somebody tapped who was not there, or should not be on the list."""
        with self._lock:
            call = self._live(reader)
            if call is not None:
                present = tuple(each for each in call.present if each != person_ref)
                self._move(reader, replace(call, present=present, last="", last_person=None))

    def end(self, reader: str) -> None:
        """Over: taps are taps again, but not those of a badge that still lies there."""
        with self._lock:
            self._calls.pop(reader, None)

    def takes(self, reader: str, uid: str) -> bool:
        """A badge was read: does it belong to a roll call, and therefore not to the clerk?"""
        with self._lock:
            now = self._now()
            call = self._live(reader)
            same = self._lies_there(reader, uid, now)
            if call is None:
                return same
            if same or not self._is_confirmed(reader, uid, now):
                return True
            self._sights[reader, uid] = now
        # Outside the lock: a slow disk must not stop the screen that shows the list.
        holder = self._who(uid)
        with self._lock:
            call = self._live(reader)
            if call is not None:
                self._move(reader, self._with(call, holder, now))
        return True

    def _with(self, call: RollCall, holder: Holder, now: float) -> RollCall:
        who = holder.person_ref
        if who is None:
            return replace(call, last=holder.why, last_person=None)
        if who == call.instructor:
            # The badge that opened the panel may still lie there when the list begins.
            lay_there = now - call.began < CONFIRM_WITHIN_S
            return call if lay_there else replace(call, last="done", last_person=who)
        if holder.role != "apprentice":
            return replace(call, last="instructor", last_person=who)
        if who in call.present:
            return replace(call, last="already", last_person=who)
        return replace(call, present=(*call.present, who), last="added", last_person=who)

    def _move(self, reader: str, call: RollCall) -> None:
        self._calls[reader] = replace(call, revision=call.revision + 1, moved=self._now())

    def _live(self, reader: str) -> RollCall | None:
        call = self._calls.get(reader)
        if call is not None and call.is_over(self._now()):
            del self._calls[reader]
            return None
        return call

    def _lies_there(self, reader: str, uid: str, now: float) -> bool:
        """Was it taken here a moment ago? Each sight counts from the one before."""
        seen = self._sights.get((reader, uid))
        if seen is None:
            return False
        same = now - seen < self._debounce_s.get(reader, 3.0)
        if same:
            self._sights[reader, uid] = now
        else:
            del self._sights[reader, uid]
        return same

    def _is_confirmed(self, reader: str, uid: str, now: float) -> bool:
        if self._confirm.get(reader, 1) < 2:
            return True
        first = self._frames.pop(reader, None)
        if first is None or first[0] != uid or now - first[1] >= CONFIRM_WITHIN_S:
            self._frames[reader] = (uid, now)
            return False
        return True
