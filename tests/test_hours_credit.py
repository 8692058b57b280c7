"""hours.md, section 5: what is credited, and the reason for every millisecond that is not."""

from __future__ import annotations

from typing import Any

import pytest
from hours_fixtures import MINUTE, NAME, Kiosk, lab, machine

from kiosk.domain.credit import Credit
from lab_config.model import STATES, Process

GRACE = 5 * MINUTE


def day(
    *changes: tuple[int, str], tap_in: int = 0, tap_out: int = 60, process: Process | None = None, **rules: Any
) -> Credit:
    """The credit of one session between two minutes, with the mill's changes at these minutes."""
    steps: list[tuple[int, int, str]] = [(tap_in, 1, "tap"), (tap_out, 1, "tap")]
    steps += [(minute, 0, state) for minute, state in changes]
    k = Kiosk(lab(machine(off_grace_ms=10**9, **rules), processes=(process,) if process else ()))
    for minute, _, what in sorted(steps, key=lambda step: step[:2]):
        if what == "tap":
            k.tap(minute * MINUTE, "ann")
        else:
            k.say(minute * MINUTE, what)
    return k.numbers()


def process(**changed: Any) -> Process:
    return Process("P", NAME, machines=("mill",), **changed)


def minutes(codes: dict[str, int]) -> dict[str, float]:
    return {code: ms / MINUTE for code, ms in codes.items()}


def test_every_millisecond_in_a_counted_state_is_credited() -> None:
    numbers = day((0, "running"), (20, "setup"))
    assert (numbers.credited_ms, numbers.uncredited_ms) == (60 * MINUTE, {})


def test_a_process_lists_the_states_that_count_for_it() -> None:
    numbers = day((0, "running"), (20, "fault"), (30, "maintenance"), process=process(counts=("fault", "maintenance")))
    assert numbers.credited_ms == 40 * MINUTE
    assert minutes(numbers.uncredited_ms) == {"not_counted:running": 20}


@pytest.mark.parametrize("state", [s for s in STATES if s not in ("running", "setup", "idle", "unknown")])
def test_a_state_that_does_not_count_has_its_own_code(state: str) -> None:
    assert minutes(day((0, state)).uncredited_ms) == {f"not_counted:{state}": 60}


@pytest.mark.parametrize(("idle_ms", "credited_ms"), [(GRACE - 1, GRACE - 1), (GRACE, GRACE), (GRACE + 1, GRACE)])
def test_idle_after_a_counted_state_is_credited_up_to_the_grace(idle_ms: int, credited_ms: int) -> None:
    k = Kiosk(lab(machine()))
    k.say(0, "running")
    k.tap(0, "ann")
    k.say(MINUTE, "idle")
    k.tap(MINUTE + idle_ms, "ann")
    assert k.numbers().credited_ms == MINUTE + credited_ms
    assert k.numbers().uncredited_ms == ({"idle_over_grace": idle_ms - credited_ms} if idle_ms > GRACE else {})


def test_every_maximal_stretch_has_its_own_grace() -> None:
    numbers = day((0, "running"), (10, "idle"), (20, "running"), (30, "idle"), (40, "setup"))
    assert numbers.credited_ms == 50 * MINUTE
    assert minutes(numbers.uncredited_ms) == {"idle_over_grace": 10}


def test_a_state_without_length_does_not_cut_a_stretch_in_two() -> None:
    numbers = day((0, "running"), (10, "idle"), (20, "running"), (20, "idle"))
    assert minutes(numbers.uncredited_ms) == {"idle_over_grace": 45}


def test_first_idle_has_grace_if_a_counted_state_follows_directly() -> None:
    assert day((0, "idle"), (10, "running")).credited_ms == 55 * MINUTE


@pytest.mark.parametrize("state", ["fault", "unknown", "off", "maintenance"])
def test_idle_beside_a_state_that_does_not_count_has_none(state: str) -> None:
    numbers = day((0, "idle"), (10, state), (20, "idle"), (30, "running"))
    assert numbers.credited_ms == 30 * MINUTE
    assert minutes(numbers.uncredited_ms)["not_counted:idle"] == 20


def test_idle_for_a_whole_session_has_none_whatever_came_before_it() -> None:
    numbers = day((0, "running"), (9, "idle"), tap_in=10)
    assert minutes(numbers.uncredited_ms) == {"not_counted:idle": 50}


def test_a_grace_of_zero_still_calls_it_idle_over_grace() -> None:
    numbers = day((0, "running"), (10, "idle"), idle_grace_ms=0)
    assert minutes(numbers.uncredited_ms) == {"idle_over_grace": 50}


def test_idle_that_counts_needs_no_grace() -> None:
    numbers = day((0, "fault"), (10, "idle"), process=process(counts=("idle",)))
    assert numbers.credited_ms == 50 * MINUTE


def test_unknown_is_neither_zero_nor_one_and_never_part_of_what_counts() -> None:
    numbers = day((0, "running"), (10, "unknown"), (40, "running"))
    assert (numbers.credited_ms, numbers.unverified_ms) == (30 * MINUTE, 30 * MINUTE)
    assert minutes(numbers.uncredited_ms) == {"unknown": 30}


def test_presence_counts_credits_everything_with_nothing_unverified() -> None:
    numbers = day((0, "unknown"), (10, "fault"), process=process(presence_counts=True))
    assert (numbers.credited_ms, numbers.unverified_ms, numbers.uncredited_ms) == (60 * MINUTE, 0, {})
    assert minutes(numbers.by_state_ms) == {"unknown": 10, "fault": 50}


def test_the_presence_of_an_observer_is_kept_and_nothing_of_it_credited_nor_to_be_verified() -> None:
    k = Kiosk(lab(machine(observers=True, requires=("briefing:x",))))
    k.tap(0, "ann")
    k.say(10 * MINUTE, "running")
    k.tap(20 * MINUTE, "ann")
    numbers = k.numbers()
    assert (numbers.presence_ms, numbers.credited_ms, numbers.unverified_ms) == (20 * MINUTE, 0, 0)
    assert minutes(numbers.uncredited_ms) == {"observer": 20}
    assert minutes(numbers.by_state_ms) == {"unknown": 10, "running": 10}


# --- crews ----------------------------------------------------------------------------------------------------------


def crew(crew_credit: str, **changed: Any) -> Kiosk:
    k = Kiosk(lab(machine(crew=3, crew_credit=crew_credit, **changed)))
    k.say(0, "running")
    return k


def test_a_crew_is_credited_in_full_each() -> None:
    k = crew("full")
    for who in ("ann", "ben"):
        k.tap(0, who)
    k.wait(10 * MINUTE)
    assert [k.numbers(n).credited_ms for n in (0, 1)] == [10 * MINUTE] * 2


def test_a_split_crew_shares_each_stretch_by_the_number_present_in_it() -> None:
    k = crew("split")
    k.tap(0, "ann")
    k.tap(10 * MINUTE, "ben")
    k.tap(20 * MINUTE, "ann")
    k.tap(30 * MINUTE, "ben")
    assert [k.numbers(n).credited_ms / MINUTE for n in (0, 1)] == [15, 15]
    assert minutes(k.numbers(0).uncredited_ms) == {"shared": 5}


@pytest.mark.parametrize(("ms", "share"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_half_a_millisecond_is_rounded_to_even_once_a_session_and_state(ms: int, share: int) -> None:
    k = crew("split", no_toggle_ms=0, debounce_ms=0)
    k.tap(0, "ann")
    k.tap(0, "ben")
    k.tap(ms, "ann")
    assert k.numbers(0).credited_ms == share
    assert k.numbers(0).uncredited_ms == {"shared": ms - share}


def test_pieces_of_one_state_are_added_before_they_are_rounded() -> None:
    k = crew("split", no_toggle_ms=0, debounce_ms=0)
    k.tap(0, "ann")
    k.tap(0, "ben")
    k.say(1, "fault")
    k.say(2, "running")
    k.tap(3, "ann")  # two halves of running
    assert k.numbers(0).credited_ms == 1


def test_the_grace_is_cut_before_it_is_shared() -> None:
    k = crew("split")
    k.tap(0, "ann")
    k.say(MINUTE, "idle")
    k.tap(7 * MINUTE, "ben")  # after the grace
    k.tap(10 * MINUTE, "ann")
    assert k.numbers(0).credited_ms == 6 * MINUTE
    assert minutes(k.numbers(0).uncredited_ms) == {"idle_over_grace": 4}


def test_observers_share_nothing() -> None:
    k = Kiosk(lab(machine(crew_credit="split", when_full="observe", observers=True)))
    k.say(0, "running")
    k.tap(0, "ann")
    k.tap(0, "ben")
    k.wait(10 * MINUTE)
    assert k.numbers(0).credited_ms == 10 * MINUTE


def test_the_presence_of_a_split_bench_is_shared_too() -> None:
    k = Kiosk(lab(machine(crew=2, crew_credit="split", source="none"), processes=(process(presence_counts=True),)))
    k.tap(0, "ann")
    k.tap(0, "ben")
    k.wait(10 * MINUTE)
    assert minutes(k.numbers(0).uncredited_ms) == {"shared": 5}
