"""The weeks before the demo starts, as observations: badges, machines, instructors. The core makes hours of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from kiosk.commands import ApproveSessions, Command, DecideSession, PersonRow, QuestionSession
from kiosk.demo.office import Office
from kiosk.domain import observations as o
from kiosk.domain.entries import Stamp
from kiosk.domain.state import Session, State, standing
from lab_config.model import Lab, Machine

MINUTE_MS = 60_000
DAYS = 20
REPEAT_MS = 120_000
"""How often at least a virtual machine repeats itself while somebody is near it, unless it would count as lost."""
POWER_W = {"off": 1.0, "idle": 30.0, "running": 1_400.0}
WITHOUT_SETUP = ("mtconnect",)
"""Dialects with no word for it: a machine that is being set up is one that does not run."""

WHO_WORKS_WHERE = {
    "p1": ("mill-1", "lathe-1", "bench-1"),
    "p2": ("mill-2", "mill-1", "bench-1"),
    "p3": ("lathe-1", "mill-2", "grinder-1"),
    "p4": ("mill-1", "mill-2", "bench-1"),
    "p6": ("elec-1", "mecha-1"),
    "p7": ("mecha-1", "elec-1", "bench-1"),
    "p8": ("weld-1", "weld-2", "mecha-1"),
    "p9": ("weld-2", "weld-1", "grinder-1"),
    "p10": ("grinder-1", "weld-2", "bench-1"),
    "p12": ("weld-1", "grinder-1", "bench-1"),
}

Told = tuple[int, Callable[[State], Iterator[o.Observation | Command]]]
"""UTC milliseconds and what is heard then; looked up late, because a decision is about sessions that exist by then."""


@dataclass(frozen=True)
class Visit:
    """One apprentice's lesson at one machine."""

    person: PersonRow
    machine: Machine
    start_ms: int
    end_ms: int
    accident: str | None = None
    """`forgot_out`, `silence`, `never_ran`; None for an ordinary lesson."""


LAST_AFTERNOON = (
    ("p1", "mill-1", "forgot_out"),
    ("p2", "mill-2", "silence"),
    ("p9", "weld-2", "never_ran"),
    ("p8", "elec-1", None),
)
"""What the instructor is asked about first: a forgotten tap-out, a lost signal, an idle machine, another's machine."""
QUESTION = "Я ушёл позже, карта не сработала."
"""What an apprentice wrote to the instructor."""
UNSYNCHRONISED = ("p10", "grinder-1")
"""Who worked while the kiosk had been restarted and did not know the time."""


class History:
    """A reproducible past for a lab and its people."""

    def __init__(
        self, lab: Lab, people: Sequence[PersonRow], badge_ref: Callable[[str], str], by: str, lead: str | None = None
    ) -> None:
        """`by` and `lead` are the accounts that decide, as entries name them."""
        self._lab = lab
        self._people = {row.person_id: row for row in people}
        self._badge_ref = badge_ref
        self._by = by
        self._lead = lead or by
        self._zone = ZoneInfo(lab.timezone)
        self._chance = Random(lab.id)  # noqa: S311 - an invented past, not a secret

    def start_ms(self, now_ms: int) -> int:
        """UTC of the evening before the first lesson."""
        return self._local_ms(self._today(now_ms) - timedelta(days=DAYS), 6, 0)

    def observations(
        self, stamp_at: Callable[[int], Stamp], now_ms: int, state: State
    ) -> Iterator[tuple[Stamp, o.Observation | Command]]:
        """Everything from the first lesson to now, in the order of time."""
        told: list[Told] = []
        today = self._today(now_ms)
        days = [today - timedelta(days=back) for back in range(DAYS, 0, -1)]
        for index, day in enumerate(days):
            if day.weekday() == 6 and day != days[-1]:
                continue
            lessons = list(self._lessons(index, day))
            for visit in lessons:
                told.extend(self._taps(visit))
            for visit in self._at_the_machines(lessons):
                told.extend(self._machine_day(visit))
            if day != days[-1]:
                told.append((self._local_ms(day + timedelta(days=1), 8, 20), self._decide(day)))
        told.extend(self._last_afternoon(days[-1]))
        told.append((self._local_ms(days[-1], 23, 3), self._doubt))
        told.extend(self._office(today))
        for at_ms, what in sorted(told, key=lambda one: one[0]):
            for heard in what(state):
                yield stamp_at(at_ms), heard

    def evening(
        self, stamp_at: Callable[[int], Stamp], now_ms: int, state: State
    ) -> Iterator[tuple[Stamp, o.Observation | Command]]:
        """After a restart that found no time server: one lesson whose date an instructor has to confirm."""
        start = self.evening_ms(now_ms)
        person_id, machine_id = UNSYNCHRONISED
        visit = Visit(
            self._people[person_id], self._lab.machine(machine_id), start + 5 * MINUTE_MS, start + 50 * MINUTE_MS
        )
        told = [*self._machine_day(visit), *self._taps(visit)]
        for at_ms, what in sorted(told, key=lambda one: one[0]):
            for heard in what(state):
                yield stamp_at(at_ms), heard

    def evening_ms(self, now_ms: int) -> int:
        """UTC of the restart."""
        return self._local_ms(self._today(now_ms) - timedelta(days=1), 23, 5)

    def _last_afternoon(self, day: date) -> Iterator[Told]:
        start = self._local_ms(day, 15, 0)
        for person_id, machine_id, accident in LAST_AFTERNOON:
            machine = self._lab.machine(machine_id)
            visit = Visit(self._people[person_id], machine, start, start + 70 * MINUTE_MS, accident)
            yield from self._machine_day(visit)
            yield from self._taps(visit)
            start += 90 * 1_000
        # The kiosk stays on, so what was forgotten ends with the day.
        yield self._local_ms(day, 23, 2), lambda _state: iter((o.Alive(),))

    def _lessons(self, index: int, day: date) -> Iterator[Visit]:
        """Who is where on a day: everybody once in the morning, most again before noon."""
        machines = {machine.id: machine for machine in self._lab.machines}
        accidents = {2: "forgot_out", 5: "silence", 7: "never_ran"}
        free_from: dict[str, int] = {}
        for number, (person_id, places) in enumerate(WHO_WORKS_WHERE.items()):
            person = self._people[person_id]
            begin = self._local_ms(day, 9, 0) + self._chance.randrange(0, 12 * MINUTE_MS)
            for lesson in range(2):
                machine = machines[places[(index + lesson) % len(places)]]
                if self._chance.random() < 0.15:
                    continue
                start = max(begin, free_from.get(machine.id, 0) if machine.crew == 1 else begin)
                end = start + self._chance.randrange(55 * MINUTE_MS, 100 * MINUTE_MS)
                kind = accidents.get(number) if (index + number) % 4 == 1 and lesson == 1 else None
                yield Visit(person, machine, start, end, kind)
                begin = end + self._chance.randrange(4 * MINUTE_MS, 9 * MINUTE_MS)
                free_from[machine.id] = begin

    @staticmethod
    def _at_the_machines(lessons: Sequence[Visit]) -> Iterator[Visit]:
        """A machine says what it does once, however many are at it."""
        crews: dict[str, list[Visit]] = {}
        for visit in lessons:
            if visit.machine.crew == 1:
                yield visit
            else:
                crews.setdefault(visit.machine.id, []).append(visit)
        for visits in crews.values():
            first, last = min(visit.start_ms for visit in visits), max(visit.end_ms for visit in visits)
            yield replace(visits[0], start_ms=first, end_ms=last, accident=None)

    def _taps(self, visit: Visit) -> Iterator[Told]:
        badge_ref = self._badge_ref(visit.person.badges[0])
        reader = next(r.id for r in self._lab.readers if r.machine == visit.machine.id)
        read = o.BadgeRead(reader, badge_ref)
        yield visit.start_ms, lambda _state: iter((read,))
        if visit.accident != "forgot_out":
            yield visit.end_ms, lambda _state: iter((read,))

    def _machine_day(self, visit: Visit) -> Iterator[Told]:
        """What the machine says while somebody is near it: it repeats itself, and works in turns."""
        if visit.machine.status is None:
            return
        repeat_ms = min(REPEAT_MS, (visit.machine.rules.stale_after_ms or 2 * REPEAT_MS) * 8 // 9)
        phase, until = "idle", visit.start_ms + 3 * MINUTE_MS
        at = visit.start_ms - MINUTE_MS
        quiet_from = visit.start_ms + (visit.end_ms - visit.start_ms) // 2
        while at < visit.end_ms + 5 * MINUTE_MS:
            if at >= until and visit.accident != "never_ran":
                phase, length = self._next_phase(phase)
                until = at + length
            if at > visit.end_ms:
                phase = "idle"
            if not (visit.accident == "silence" and quiet_from < at < quiet_from + 40 * MINUTE_MS):
                heard = self._heard(visit.machine, phase)
                yield at, lambda _state, heard=heard: iter((heard,))  # type: ignore[misc]
            at += repeat_ms
        if visit.machine.rules.stale_after_ms is None:
            gone = o.MachineGone(visit.machine.id)
            yield at, lambda _state: iter((gone,))

    def _next_phase(self, phase: str) -> tuple[str, int]:
        if phase == "idle":
            following = "setup" if self._chance.random() < 0.4 else "running"
        else:
            following = "running" if phase == "setup" else "idle"
        longest = {"setup": 10, "running": 35, "idle": 7}[following]
        return following, self._chance.randrange(2 * MINUTE_MS, longest * MINUTE_MS)

    @staticmethod
    def _heard(machine: Machine, phase: str) -> o.MachineHeard:
        if machine.status is not None and machine.status.power is not None:
            return o.MachineHeard(machine.id, power_w=POWER_W["running" if phase == "setup" else phase])
        is_told = machine.status is None or machine.status.dialect not in WITHOUT_SETUP
        return o.MachineHeard(machine.id, state=phase if phase != "setup" or is_told else "idle")

    def _office(self, today: date) -> Iterator[Told]:
        accounts = {"instructor": self._by, "lead": self._lead}
        rows = tuple(self._people.values())
        office = Office(self._lab, rows, tuple(WHO_WORKS_WHERE), self._badge_ref, accounts, today)
        for back, hour, minute, what in office.asked(DAYS, self._local_ms):
            yield self._local_ms(today - timedelta(days=back), hour, minute), what

    def _doubt(self, state: State) -> Iterator[o.Observation | Command]:
        """One who says that the session of today is wrong."""
        pending = [each for each in state.sessions.values() if not each.is_open and each.review == "pending"]
        if pending:
            yield QuestionSession(pending[-1].id, pending[-1].person_ref, QUESTION)

    def _decide(self, day: date) -> Callable[[State], Iterator[o.Observation | Command]]:
        """The next morning: the clean sessions in one gesture, then most of the exceptions one by one."""

        def decide(state: State) -> Iterator[o.Observation | Command]:
            assert state.last is not None
            sessions = [
                s
                for s in state.sessions.values()
                if not s.is_open and s.review == "pending" and state.timeline.local_date(s.opened) == day
            ]
            clean = tuple(s.id for s in sessions if not standing(state, s, state.last)[1])
            if clean:
                yield ApproveSessions(clean, self._by)
            for session in sessions:
                if session.id not in clean and self._chance.random() < 0.8:
                    yield self._decide_one(state, session)

        return decide

    def _decide_one(self, state: State, session: Session) -> Command:
        assert state.last is not None
        numbers, flags = standing(state, session, state.last)
        if "status_lost" in flags:
            half = numbers.credited_ms + numbers.unverified_ms // 2
            return DecideSession(session.id, "adjusted", self._by, "equipment_fault", credited_ms=half)
        if "closed_by_system" in flags:
            credited = min(numbers.credited_ms, 80 * MINUTE_MS)
            return DecideSession(session.id, "adjusted", self._by, "forgot_tap", credited_ms=credited)
        return DecideSession(session.id, "rejected", self._by, "not_present")

    def _today(self, now_ms: int) -> date:
        return datetime.fromtimestamp(now_ms / 1000, self._zone).date()

    def _local_ms(self, day: date, hour: int, minute: int) -> int:
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self._zone)
        return round(moment.timestamp() * 1000)
