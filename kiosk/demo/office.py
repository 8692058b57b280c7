"""What the office and the instructors did in those weeks, beside hours: briefings, papers, sign-offs, hours by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from kiosk.commands import (
    Command,
    EnterManual,
    GiveConsent,
    HoldBriefing,
    LockMachine,
    PersonRow,
    QuestionSession,
    RecordContract,
    SignCompetency,
    WithdrawConsent,
)
from kiosk.domain.state import State
from lab_config.model import Lab

Asked = tuple[int, int, int, Callable[[State], Iterator[Command]]]
"""How many days before today, the local hour and minute, and what is asked then."""

BRIEFINGS = (
    (19, "briefing:cnc", ("p1", "p2", "p3", "p4", "p6"), 160, "instructor"),
    (18, "briefing:electrical", ("p6", "p7"), 100, "lead"),
    (15, "briefing:grinding", ("p1", "p2", "p3", "p8", "p9", "p10"), 75, "instructor"),
    (15, "briefing:grinding", ("p12",), -1, "instructor"),
    (11, "briefing:welding", ("p8", "p9", "p10", "p12"), 9, "instructor"),
    (4, "briefing:electrical", ("p8",), 3, "lead"),
)
"""Days back, which, who, its last valid day from today, and by whom: one is over, some end soon, most hold."""
WITHDRAWN = ("p9", "ent-steel", 8)
"""Whose records stay at the college since then."""
ENDING = ("p2", "ent-steel", 12)
"""Whose consent ends in so many days."""
NEW_CONTRACT = ("p3", "ent-tyre", "Д-2026-044", 25)
BY_HAND = ("p6", "bench-1", 5)
LOCKED = ("weld-2", 6)
SIGNED_A_DAY = 3
QUESTION = "Я работал на обоих станках, а записан один."
"""What a second apprentice wrote."""


@dataclass(frozen=True)
class Office:
    """Made of the roster; `by` are the accounts of the instructor and of the lead, as entries name them."""

    lab: Lab
    rows: Sequence[PersonRow]
    who: Collection[str]
    """Who works at machines at all."""
    badge_ref: Callable[[str], str]
    by: dict[str, str]
    today: date

    def asked(self, days: int, at_ms: Callable[[date, int, int], int]) -> Iterator[Asked]:
        """Everything, of the last so many days; `at_ms` tells UTC of a local moment."""
        for back, briefing, who, holds, account in BRIEFINGS:
            if back < days:
                yield back, 8, 40, self._briefing(briefing, who, holds, account)
        for index in range(days - 2):
            yield days - 1 - index, 8, 25, self._signed(index)
        person, enterprise, back = WITHDRAWN
        yield back, 12, 10, _plain(WithdrawConsent(person, enterprise, self.by["instructor"]))
        person, enterprise, left = ENDING
        yield 10, 12, 15, _plain(GiveConsent(person, enterprise, self._day(left), self.by["instructor"]))
        person, enterprise, number, left = NEW_CONTRACT
        begins = self._day(-60)
        yield (
            9,
            12,
            20,
            _plain(RecordContract(person, enterprise, begins, self._day(left), number, None, self.by["lead"])),
        )
        machine, back = LOCKED
        yield back, 12, 30, _plain(LockMachine(machine, True, self.by["instructor"]))
        yield back, 12, 55, _plain(LockMachine(machine, False, self.by["lead"]))
        person, machine, back = BY_HAND
        day = self.today - timedelta(days=back)
        start_ms, end_ms = at_ms(day, 16, 0), at_ms(day, 17, 30)
        hours = EnterManual(person, machine, "EM1", start_ms, end_ms, self.by["instructor"], "kiosk_down")
        yield back - 1, 8, 30, _plain(hours)
        yield 1, 22, 40, self._question

    def _day(self, after: int) -> str:
        return (self.today + timedelta(days=after)).isoformat()

    def _ref(self, state: State, person_id: str) -> str:
        row = next(each for each in self.rows if each.person_id == person_id)
        found = state.badges[self.badge_ref(row.badges[0])].person_ref
        assert found is not None
        return found

    def _briefing(
        self, briefing: str, who: Iterable[str], holds: int, account: str
    ) -> Callable[[State], Iterator[Command]]:
        def hold(state: State) -> Iterator[Command]:
            refs = tuple(self._ref(state, each) for each in who)
            yield HoldBriefing(briefing, refs, self._day(holds), self.by[account])

        return hold

    def _signed(self, index: int) -> Callable[[State], Iterator[Command]]:
        """A few competencies a day, each apprentice's in their order, the second time round a level higher."""

        def sign(state: State) -> Iterator[Command]:
            listed = {each.id: each.competencies for each in self.lab.programmes}
            here = {self._ref(state, each) for each in self.who}
            pairs = [
                (person.ref, competency)
                for competency_place in range(12)
                for person in state.people.values()
                if person.ref in here
                for competency in listed.get(person.programme or "", ())[competency_place : competency_place + 1]
            ]
            for number in range(index * SIGNED_A_DAY, (index + 1) * SIGNED_A_DAY) if pairs else ():
                rounds, place = divmod(number, max(1, len(pairs) * 4 // 5))
                ref, competency = pairs[place]
                level = min(3, 1 + rounds + place % 2)
                yield SignCompetency(ref, competency.id, level, self.by["instructor"], how="panel_both_badges")

        return sign

    def _question(self, state: State) -> Iterator[Command]:
        """Somebody doubts what was decided days ago."""
        decided = [each for each in state.sessions.values() if each.review == "approved" and not each.is_open]
        if len(decided) > 10:
            chosen = decided[-10]
            yield QuestionSession(chosen.id, chosen.person_ref, QUESTION)


def _plain(command: Command) -> Callable[[State], Iterator[Command]]:
    return lambda _state: iter((command,))


def of_this_year(rows: Iterable[PersonRow], today: date) -> list[PersonRow]:
    """The roster as if it were written in this school year: whoever was under age then is under age now."""
    school_year = today.year if today.month >= 9 else today.year - 1

    def moved(text: str | None, *, ends: bool = False) -> str | None:
        if text is None:
            return None
        then = date.fromisoformat(text)
        now = then.replace(year=then.year + school_year - ROSTER_YEAR)
        # The roster's papers end with June; a demo in summer must not stand still.
        return max(now, today + timedelta(days=30)).isoformat() if ends else now.isoformat()

    return [
        replace(
            row,
            birth_date=moved(row.birth_date),
            contract_from=moved(row.contract_from),
            contract_to=moved(row.contract_to, ends=True),
            consent_until=moved(row.consent_until, ends=True),
            qualifications=tuple((name, moved(until, ends=True)) for name, until in row.qualifications),
        )
        for row in rows
    ]


ROSTER_YEAR = 2026
"""The school year that `lab_config/demo/people.csv` is written for."""
