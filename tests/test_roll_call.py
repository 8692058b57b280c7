"""A roll call: which reads belong to it, what they come to, and how it ends when nobody ends it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kiosk.roll_call import IDLE_S, LONGEST_S, SHOWN_S, Holder, RollCalls

MASTER = "m" * 16
BADGES = {
    "A1": Holder("a" * 16, "apprentice"),
    "B2": Holder("b" * 16, "apprentice"),
    "M0": Holder(MASTER, "instructor"),
    "M9": Holder("n" * 16, "instructor"),
    "XX": Holder(None, why="blocked"),
}


@dataclass
class HandMoved:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandMoved:
    return HandMoved()


@pytest.fixture
def calls(clock: HandMoved) -> RollCalls:
    return RollCalls(lambda uid: BADGES.get(uid, Holder(None, why="unknown")), {"weak": 2}, now=clock)


def heard(calls: RollCalls, reader: str = "door") -> tuple[tuple[str, ...], str]:
    call = calls.shown(reader, MASTER)
    assert call is not None
    return call.present, call.last


def test_where_no_roll_is_called_a_tap_is_a_tap(calls: RollCalls) -> None:
    assert not calls.takes("door", "A1")
    calls.begin("door", MASTER)
    assert not calls.takes("mill-1", "A1")


def test_each_badge_adds_its_person_once(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("door", MASTER)
    for uid in ("A1", "B2"):
        assert calls.takes("door", uid)
        clock.now += 1
    assert heard(calls) == (("a" * 16, "b" * 16), "added")
    clock.now += 4
    assert calls.takes("door", "A1")
    assert heard(calls) == (("a" * 16, "b" * 16), "already")


@pytest.mark.parametrize(("uid", "why"), [("??", "unknown"), ("XX", "blocked"), ("M9", "instructor")])
def test_who_is_no_apprentice_is_told_and_not_added(calls: RollCalls, uid: str, why: str) -> None:
    calls.begin("door", MASTER)
    assert calls.takes("door", uid)
    assert heard(calls) == ((), why)


def test_the_instructors_own_badge_ends_it(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("door", MASTER)
    calls.takes("door", "A1")
    clock.now += 2
    assert calls.takes("door", "M0")
    assert heard(calls) == (("a" * 16,), "done")


def test_the_badge_that_opened_the_panel_and_still_lies_there_ends_nothing(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("door", MASTER)
    for _ in range(20):
        clock.now += 0.2
        assert calls.takes("door", "M0")
    assert calls.shown("door", MASTER) is not None
    assert heard(calls) == ((), "")


def test_a_badge_that_lies_there_at_the_end_starts_no_work(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("door", MASTER)
    calls.takes("door", "A1")
    calls.end("door")
    clock.now += 2
    assert calls.takes("door", "A1")
    clock.now += 2
    assert calls.takes("door", "A1")
    clock.now += 4
    assert not calls.takes("door", "A1")


def test_a_screen_that_stops_asking_gives_the_reader_back(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("door", MASTER)
    clock.now += SHOWN_S
    assert not calls.takes("door", "A1")
    assert calls.shown("door", MASTER) is None


@pytest.mark.parametrize(("limit_s", "badge_every_s"), [(IDLE_S, None), (LONGEST_S, 60)])
def test_one_that_is_forgotten_ends_by_itself(
    calls: RollCalls, clock: HandMoved, limit_s: float, badge_every_s: int | None
) -> None:
    calls.begin("door", MASTER)
    began = clock.now
    while calls.shown("door", MASTER) is not None:
        clock.now += 2
        if badge_every_s and int(clock.now) % badge_every_s == 0:
            calls.takes("door", "A1")
        assert clock.now - began <= limit_s + 4
    assert clock.now - began >= limit_s
    clock.now += 4
    assert not calls.takes("door", "B2")


def test_a_reader_without_a_checksum_needs_two_equal_frames(calls: RollCalls, clock: HandMoved) -> None:
    calls.begin("weak", MASTER)
    assert calls.takes("weak", "A1")
    assert heard(calls, "weak") == ((), "")
    clock.now += 0.1
    assert calls.takes("weak", "A1")
    assert heard(calls, "weak") == (("a" * 16,), "added")


def test_somebody_is_taken_off_the_list(calls: RollCalls) -> None:
    calls.begin("door", MASTER)
    calls.takes("door", "A1")
    calls.leave_out("door", "a" * 16)
    assert heard(calls) == ((), "")


def test_only_the_instructor_who_began_it_sees_it(calls: RollCalls) -> None:
    calls.begin("door", MASTER)
    assert calls.shown("door", "n" * 16) is None
