"""Flags that other sessions or a birth date have a say in, as the running kiosk shows them (hours, section 6)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from test_clerk import Workshop

from firmware_bridge.observations import BadgeSeen
from kiosk import office
from kiosk.commands import ApproveSessions, CommandRefused, DecideSession, Done, ImportPeople, PersonRow
from kiosk.domain.flags import with_shared_flags
from kiosk.domain.state import standing
from kiosk.inbox import Asked, Heard
from kiosk.store import people, views
from tests.kiosk_fixtures import AIGERIM, PYOTR, ledger, of_type

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINOR = replace(AIGERIM, birth_date="2009-06-01")
"""Seventeen on the days of these tests (November 2026)."""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    made.ask(ImportPeople((MINOR,)))
    made.clock.move(monday_at(8) - made.clock.wall_ms())
    yield made
    made.desk.close()


def monday_at(hour: int) -> int:
    """An hour of Monday, 23 November 2026 in the lab (UTC+5)."""
    return 1_795_374_000_000 + hour * HOUR_MS


def worked(workshop: Workshop, row: PersonRow, hours: float) -> views.SessionView:
    """A session of that length at the bench, which no signal watches."""
    workshop.tap(row, "lathe-1")
    workshop.clock.move(round(hours * HOUR_MS))
    workshop.tap(row, "lathe-1")
    return rows(workshop)[-1]


def rows(workshop: Workshop) -> list[views.SessionView]:
    return views.sessions_of_dates(workshop.desk.connection, "0000", "9999")


def flags(workshop: Workshop) -> list[tuple[str, ...]]:
    return [row.flags for row in rows(workshop)]


def together(workshop: Workshop, *, apart_ms: int = 2_000) -> None:
    """Both come within seconds of each other to the bench's reader; the second takes over."""
    workshop.tap(MINOR, "lathe-1")
    workshop.clock.move(apart_ms)
    workshop.tap(PYOTR, "lathe-1")
    workshop.clock.move(HOUR_MS)
    workshop.tap(PYOTR, "lathe-1")


def test_a_minor_at_night_is_flagged_when_the_session_closes(workshop: Workshop) -> None:
    workshop.clock.move(12 * HOUR_MS)
    assert worked(workshop, MINOR, 1.5).flags == ()
    workshop.clock.move(HOUR_MS // 4)
    assert worked(workshop, MINOR, 0.5).flags == ("minor_limit",)


def test_a_week_that_becomes_too_long_flags_its_earlier_sessions_too_and_no_other_week(workshop: Workshop) -> None:
    for _ in range(6):
        worked(workshop, MINOR, 6)
        workshop.clock.move(18 * HOUR_MS)
    assert flags(workshop) == [()] * 6  # 36 hours are allowed at seventeen
    workshop.clock.move(-18 * HOUR_MS + HOUR_MS)
    worked(workshop, MINOR, 0.01)
    assert flags(workshop) == [("minor_limit",)] * 7
    workshop.clock.move(2 * DAY_MS - 7 * HOUR_MS)
    assert worked(workshop, MINOR, 1).flags == ()


def test_nobody_without_a_birth_date_is_taken_for_a_minor(workshop: Workshop) -> None:
    workshop.clock.move(14 * HOUR_MS)
    assert worked(workshop, PYOTR, 0.5).flags == ()


def test_a_birth_date_that_is_corrected_moves_the_flags(workshop: Workshop) -> None:
    workshop.clock.move(14 * HOUR_MS)
    worked(workshop, MINOR, 0.5)
    workshop.ask(ImportPeople((replace(MINOR, birth_date="2008-06-01"),)))
    assert flags(workshop) == [()]
    workshop.ask(ImportPeople((MINOR,)))
    assert flags(workshop) == [("minor_limit",)]


def test_the_same_two_badges_together_on_a_third_day_are_flagged_that_day(workshop: Workshop) -> None:
    for _ in range(3):
        together(workshop)
        workshop.clock.move(DAY_MS - HOUR_MS - 2_000)
    assert flags(workshop) == [()] * 4 + [("same_time_pair",)] * 2


def test_badges_five_seconds_apart_are_no_pair(workshop: Workshop) -> None:
    for _ in range(3):
        together(workshop, apart_ms=5_000)
        workshop.clock.move(DAY_MS - HOUR_MS - 5_000)
    assert flags(workshop) == [()] * 6


def test_a_batch_with_a_flagged_session_is_refused_and_alone_it_can_be_decided(workshop: Workshop) -> None:
    clean = worked(workshop, PYOTR, 1).session
    workshop.clock.move(13 * HOUR_MS)
    flagged = worked(workshop, MINOR, 0.5).session
    with pytest.raises(CommandRefused, match="not_clean"):
        workshop.ask(ApproveSessions((clean, flagged), "account"))
    assert of_type(workshop.data, "session_reviewed") == []
    workshop.ask(DecideSession(flagged, "approved", "account"))
    assert [(row.review, row.flags) for row in rows(workshop)] == [("pending", ()), ("approved", ("minor_limit",))]


def test_a_flag_that_rose_in_the_same_batch_is_seen_by_the_approval(workshop: Workshop) -> None:
    workshop.clock.move(14 * HOUR_MS)
    opened = worked(workshop, PYOTR, 0.1).session
    workshop.tap(MINOR, "lathe-1")
    workshop.clock.move(HOUR_MS // 2)
    answer: Future[Done] = Future()
    stamp = workshop.clock.stamp()
    approve = Asked(stamp, ApproveSessions((opened, rows(workshop)[-1].session), "account"), answer)
    _, answers = workshop.desk.handle([Heard(stamp, BadgeSeen("lathe-1", MINOR.badges[0])), approve])
    for given in answers:
        given.give()
    with pytest.raises(CommandRefused, match="not_clean"):
        answer.result(0)


def test_neither_a_birth_date_nor_what_it_leads_to_is_in_the_ledger_or_in_a_record(workshop: Workshop) -> None:
    workshop.clock.move(14 * HOUR_MS)
    session = worked(workshop, MINOR, 0.5).session
    workshop.ask(DecideSession(session, "approved", "account"))
    (released,) = of_type(workshop.data, "record_released")
    assert released["record"]["flags"] == []
    said = str(ledger(workshop.data))
    assert "2009-06-01" not in said
    assert "minor_limit" not in said


def test_a_session_that_gets_another_date_leaves_the_week_it_was_taken_for(workshop: Workshop) -> None:
    for _ in range(6):
        worked(workshop, MINOR, 6)
        workshop.clock.move(18 * HOUR_MS)
    workshop.restart("boot-2", HOUR_MS, synced=False)  # it is Sunday, says a clock that nobody set
    worked(workshop, MINOR, 1)
    assert flags(workshop) == [("minor_limit",)] * 6 + [("clock_uncertain", "minor_limit")]
    workshop.clock.step_wall(DAY_MS)
    workshop.clock.synced = True
    workshop.desk.pass_time(heartbeat=True)
    assert flags(workshop) == [()] * 7


def by_the_whole_history(workshop: Workshop) -> dict[int, tuple[str, ...]]:
    """The flags as `replay` finds them: all sessions looked at in one go."""
    state = workshop.desk.core.state
    assert state.last is not None
    known = people.people(workshop.desk.connection)
    births = {person.person_ref: date.fromisoformat(person.birth_date) for person in known if person.birth_date}
    own = {s.id: standing(state, s, state.last)[1] for s in state.sessions.values()}
    return with_shared_flags(state, state.last, own, births)


@pytest.mark.parametrize("restarts", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_looking_only_at_what_can_change_finds_what_the_whole_history_says(
    tmp_path: Path, seed: int, restarts: float
) -> None:
    """Weeks of two minors at two readers, also with clocks that nobody set; nobody is on at the end."""
    chance = random.Random(seed)
    made = Workshop(tmp_path)
    minors = [MINOR, replace(PYOTR, birth_date="2010-02-28")]
    made.ask(ImportPeople(tuple(minors)))
    for number in range(60):
        one, other = chance.sample(minors, 2)
        made.tap(one, "lathe-1")
        if chance.random() < 0.6:
            made.clock.move(chance.choice([500, 4_999, 5_000]))
            made.tap(other, "mill-1" if chance.random() < 0.2 else "lathe-1")
        made.clock.move(round(chance.uniform(0.2, 9) * HOUR_MS))
        made.tap(one, "lathe-1")
        made.tap(other, "lathe-1")
        made.clock.move(round(chance.uniform(10, 20) * HOUR_MS))
        if chance.random() < restarts:
            made.restart(f"later-{number}", HOUR_MS - chance.randrange(4) * DAY_MS, synced=False)
        elif not made.clock.synced and chance.random() < 0.3:
            made.clock.step_wall(chance.randrange(4) * DAY_MS)
            made.clock.synced = True
            made.desk.pass_time(heartbeat=True)
    made.clock.move(DAY_MS)
    made.desk.pass_time(heartbeat=True)
    found = {row.session: row.flags for row in rows(made)}
    assert found == by_the_whole_history(made)
    assert {"minor_limit", "same_time_pair"} <= {flag for flags in found.values() for flag in flags}
    made.desk.close()
    assert office.rebuild(made.data).same
