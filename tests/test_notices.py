"""What the kiosk says about a machine to anybody: when it is occupied, and when its operator permits production."""

from __future__ import annotations

from typing import Any

import pytest

from kiosk.domain import observations as o
from kiosk.domain.notices import Notice, notices
from tests.hours_fixtures import HOUR, MINUTE, NINE, SECOND, Kiosk, apprentice, lab, machine

BRIEFED = apprentice("ann", qualifications=(("briefing:cnc", "2026-10-05"),))
PLAIN = apprentice("ben")


def kiosk(**mill: Any) -> Kiosk:
    return Kiosk(lab(machine(**mill)), (BRIEFED, PLAIN, apprentice("cem")))


def notice(of: Kiosk) -> Notice:
    return notices(of.state, of.moment())["mill"]


def test_a_machine_that_nothing_was_heard_of_is_unknown_free_and_not_permitted() -> None:
    assert notice(kiosk()) == Notice("unknown", False, None, False, False)


def test_an_operator_occupies_and_permits_from_the_tap_to_the_next() -> None:
    mill = kiosk()
    mill.say(0, "idle")
    mill.tap(MINUTE, "ann")
    assert notice(mill) == Notice("idle", True, NINE + MINUTE, False, True)
    mill.tap(HOUR, "ann")
    assert notice(mill) == Notice("idle", False, NINE + HOUR, False, False)


def test_a_crew_occupies_since_the_first_of_them_and_permits_until_the_last_operator_leaves() -> None:
    mill = kiosk(crew=2)
    mill.tap(MINUTE, "ann")
    mill.tap(2 * MINUTE, "ben")
    assert notice(mill).since_ms == NINE + MINUTE
    mill.tap(HOUR, "ann")
    assert (notice(mill).permitted, notice(mill).since_ms) == (True, NINE + 2 * MINUTE)
    mill.tap(2 * HOUR, "ben")
    assert not notice(mill).permitted


def test_an_observer_occupies_and_permits_nothing() -> None:
    mill = kiosk(observers=True, requires=("briefing:cnc",))
    mill.tap(MINUTE, "ben")
    assert (notice(mill).occupied, notice(mill).permitted) == (True, False)


def test_a_machine_that_is_withdrawn_is_not_permitted_while_its_session_goes_on() -> None:
    mill = kiosk()
    mill.tap(MINUTE, "ann")
    mill.hear(2 * MINUTE, o.LockAsked("mill", True, "i1"))
    assert (notice(mill).occupied, notice(mill).locked, notice(mill).permitted) == (True, True, False)
    mill.hear(3 * MINUTE, o.LockAsked("mill", False, "i1"))
    assert notice(mill).permitted


def test_a_qualification_permits_to_the_end_of_its_last_day_and_no_longer() -> None:
    mill = kiosk(requires=("briefing:cnc",), day_end=(), max_session_ms=48 * HOUR)
    mill.tap(MINUTE, "ann")
    mill.wait(15 * HOUR - SECOND)
    assert notice(mill).permitted
    mill.wait(15 * HOUR)
    assert (notice(mill).occupied, notice(mill).permitted) == (True, False)


def test_a_badge_that_is_blocked_meanwhile_permits_nothing() -> None:
    mill = kiosk()
    mill.tap(MINUTE, "ann")
    mill.hear(2 * MINUTE, o.BadgeLost("ANN"))
    assert (notice(mill).occupied, notice(mill).permitted) == (True, False)


def test_since_when_is_not_said_while_no_clock_is_certain() -> None:
    mill = Kiosk(lab(machine()), synced=False)
    mill.tap(MINUTE, "ann")
    assert notice(mill).since_ms is None


@pytest.mark.parametrize("gap_ms", [MINUTE, HOUR])
def test_after_a_restart_a_session_that_goes_on_permits_and_one_that_ended_does_not(gap_ms: int) -> None:
    mill = kiosk()
    mill.say(0, "running")
    mill.tap(MINUTE, "ann")
    mill.boot(gap_ms)
    mill.wait(SECOND)
    assert notice(mill).state == "unknown"
    assert notice(mill).permitted is notice(mill).occupied is (gap_ms < 10 * MINUTE)
