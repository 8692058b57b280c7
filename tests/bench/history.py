"""Five years of one workshop, about a million entries, made by the real desk out of what it could have heard.

Ten machines, 120 apprentices, a boot every working day, lessons from Monday to Saturday, decisions the next morning,
records released where there is a contract. The database is kept under the folder for temporary files by a hash of what
makes it, so that it is made once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from kiosk.desk import Desk
from kiosk.domain import observations as o
from kiosk.domain.entries import SessionOpened, Stamp, from_object
from kiosk.domain.state import State, standing
from kiosk.office import DATABASE
from kiosk.store import tables
from lab_config.model import Enterprise, Lab, LocalText, Machine, Process, Programme, Reader, Rules, StatusSource

MACHINES = 10
APPRENTICES = 120
FIRST_DAY = date(2021, 9, 1)
YEARS = 5
LESSONS = 8
LESSON_MS = 55 * 60_000
BY = "user"
ZONE = ZoneInfo("Asia/Almaty")
MINUTE_MS = 60_000
PHASES = ("setup", "running", "running", "idle", "fault")


def lab() -> Lab:
    """Ten machines that speak of changes only, half of them for two; one trade with two processes; one enterprise."""
    name = LocalText({"en": "Bench"})
    rules = Rules(stale_after_ms=None)
    status = StatusSource("text", {"topic": "bench"})
    machines = tuple(
        Machine(
            f"mill-{n}", name, "mill", 1 + n % 2, "handover" if n % 2 == 0 else "refuse", status=status, rules=rules
        )
        for n in range(MACHINES)
    )
    ids = tuple(machine.id for machine in machines)
    processes = (Process("P1", name, machines=ids[:6]), Process("P2", name, machines=ids[4:]))
    return Lab(
        "bench",
        name,
        rules=rules,
        machines=machines,
        readers=tuple(Reader(machine, f"/dev/{machine}", "line", machine) for machine in ids),
        programmes=(Programme("trade", name, processes=processes),),
        enterprises=(Enterprise("works", name, "pull", accepts=("badge+machine", "badge")),),
    )


class Past:
    """What one workshop hears, day by day."""

    def __init__(self) -> None:
        self._chance = Random(FIRST_DAY.toordinal())
        self.lab = lab()

    def days(self, count: int) -> Iterator[date]:
        """So many days from the first one on, without Sundays and the long holidays."""
        for day in (FIRST_DAY + timedelta(days=n) for n in range(count)):
            if day.weekday() != 6 and day.month not in (7, 8):
                yield day

    def people(self) -> Iterator[o.PersonListed]:
        """The roster; two of three have a contract and consent."""
        for number in range(APPRENTICES):
            yield o.PersonListed(
                f"{number:016x}",
                "apprentice",
                "trade",
                active=True,
                badges=(badge(number),),
                contract=("works", None, None) if number % 3 else None,
                consent=("works", None) if number % 3 else None,
            )

    def day(self, day: date) -> list[tuple[int, o.Observation]]:
        """(UTC, what is heard) of one day's lessons, in the order of time."""
        told: list[tuple[int, o.Observation]] = []
        people = list(range(APPRENTICES))
        self._chance.shuffle(people)
        begin = _utc_ms(day, 8, 30)
        for lesson in range(LESSONS):
            at = begin + lesson * (LESSON_MS + 5 * MINUTE_MS)
            for machine in self.lab.machines:
                told += self._machine(machine.id, at)
                for _ in range(machine.crew):
                    told += self._visit(people.pop(), machine.id, at)
        return sorted(told, key=lambda one: one[0])

    def _visit(self, person: int, machine: str, at: int) -> Iterator[tuple[int, o.Observation]]:
        """In and out; one in fifty forgets the latter."""
        read = o.BadgeRead(machine, badge(person))
        yield at + self._chance.randrange(2 * MINUTE_MS), read
        if self._chance.random() > 0.02:
            yield at + LESSON_MS - self._chance.randrange(2 * MINUTE_MS), read

    def _machine(self, machine: str, at: int) -> Iterator[tuple[int, o.Observation]]:
        """Some changes of state in each lesson."""
        until = at + LESSON_MS
        state = self._chance.choice(PHASES)
        while at < until:
            yield at, o.MachineHeard(machine, state)
            state = self._chance.choice([phase for phase in PHASES if phase != state])
            at += self._chance.randrange(4 * MINUTE_MS, 24 * MINUTE_MS)

    def decisions(self, state: State, sessions: list[int]) -> Iterator[o.ReviewAsked]:
        """Yesterday's: the clean ones in one gesture, nine of ten others one by one."""
        assert state.last is not None
        flagged = {s: standing(state, state.sessions[s], state.last)[1] for s in sessions}
        closed = [s for s in sessions if not state.sessions[s].is_open]
        clean = tuple(s for s in closed if not flagged[s])
        if clean:
            yield o.ReviewAsked(clean, "approved", BY)
        for session in closed:
            if flagged[session] and self._chance.random() < 0.9:
                yield o.ReviewAsked((session,), "rejected", BY, reason="not_present")


def badge(person: int) -> str:
    """A person's card."""
    return f"{person + 0xB000:016x}"


class Still:
    """A clock that shows what it was set to."""

    speed = 1.0

    def __init__(self, stamp: Stamp) -> None:
        self.now = stamp

    def stamp(self) -> Stamp:
        """The moment it was set to."""
        return self.now

    def wall_ms(self) -> int:
        """Its wall clock."""
        return self.now.wall_ms


def make(database: Path, days: int) -> None:
    """Write the history of so many days."""
    past = Past()
    clock = Still(_stamp(FIRST_DAY, _utc_ms(FIRST_DAY, 8, 0)))
    with closing(Desk(database, clock, past.lab)) as desk:
        desk.start_at(clock.now)
        desk.relive((clock.now, listed) for listed in past.people())
        open_days: list[int] = []
        for day in past.days(days):
            entries = desk.relive(_heard_on(past, day, desk.core.state, open_days))
            open_days = [entry.seq for entry in entries if isinstance(entry.body, SessionOpened)]


def _heard_on(past: Past, day: date, state: State, yesterday: list[int]) -> Iterator[tuple[Stamp, o.Observation]]:
    boot = _stamp(day, _utc_ms(day, 8, 0))
    if day != FIRST_DAY:
        yield boot, o.Booted(None)
    decided = _stamp(day, _utc_ms(day, 8, 10))
    for asked in past.decisions(state, yesterday):
        yield decided, asked
    for at_ms, heard in past.day(day):
        yield _stamp(day, at_ms), heard
    yield _stamp(day, _utc_ms(day, 18, 0)), o.Alive()


def _stamp(day: date, utc_ms: int) -> Stamp:
    """One boot a day, begun a minute before eight."""
    return Stamp(f"boot-{day}", utc_ms - _utc_ms(day, 7, 59), utc_ms, synced=True)


def _utc_ms(day: date, hour: int, minute: int) -> int:
    return round(datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).timestamp() * 1000)


def history(days: int = YEARS * 365 + 2, copy_to: Path | None = None) -> Path:
    """The data folder of a history of so many days, made when it is not there yet; a copy, where it will be changed."""
    key = hashlib.sha256(Path(__file__).read_bytes() + repr(tables.MIGRATIONS).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"sheber-history-{os.getuid()}-{key}-{days}"
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(prefix="sheber-history-draft-"))
        make(draft / DATABASE, days)
        try:
            draft.rename(folder)
        except OSError:  # somebody else was quicker
            shutil.rmtree(draft)
    return folder if copy_to is None else Path(shutil.copytree(folder, copy_to / "data"))


def stamp_after(connection: sqlite3.Connection) -> Stamp:
    """The morning after the last entry, in a boot of its own."""
    (last,) = connection.execute("SELECT bytes FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    wall_ms = from_object(json.loads(last)).stamp.wall_ms + 14 * 60 * MINUTE_MS
    return Stamp(f"boot-{wall_ms}", 60_000, wall_ms, synced=True)
