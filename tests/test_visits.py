"""Visits: who may touch what after a tap, and for how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from kiosk.web.visits import VISIT_S, Visit, Visits


@dataclass
class HandMoved:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandMoved:
    return HandMoved()


@pytest.fixture
def visits(clock: HandMoved) -> Visits:
    return Visits(clock)


def begun(visits: Visits, seq: int, reader: str = "mill-1", person: str = "p1") -> Visit:
    visit = visits.begin(reader, person, "apprentice", seq)
    assert visit is not None
    return visit


def test_a_visit_ends_fifteen_seconds_after_the_last_touch(visits: Visits, clock: HandMoved) -> None:
    token = begun(visits, 7).token
    clock.now += VISIT_S - 1
    assert visits.touch(token) is not None
    clock.now += VISIT_S - 1
    assert visits.touch(token) is not None
    clock.now += VISIT_S
    assert visits.touch(token) is None


def test_the_next_tap_at_the_reader_takes_over(visits: Visits) -> None:
    first = begun(visits, 7)
    second = begun(visits, 8, person="p2")
    assert visits.touch(first.token) is None
    assert visits.touch(second.token) is not None


def test_a_tap_at_another_reader_disturbs_nobody(visits: Visits) -> None:
    here = begun(visits, 7)
    begun(visits, 8, reader="lathe-1")
    assert visits.touch(here.token) is not None


def test_one_tap_has_one_visit_however_often_it_is_told(visits: Visits) -> None:
    assert begun(visits, 7) == begun(visits, 7)


def test_a_tap_told_late_takes_nothing_from_the_newest(visits: Visits) -> None:
    newest = begun(visits, 9)
    assert visits.begin("mill-1", "p2", "apprentice", 8) is None
    assert visits.touch(newest.token) is not None


def test_an_ended_visit_does_not_come_back_when_its_tap_is_told_again(visits: Visits) -> None:
    visits.end(begun(visits, 7).token)
    assert visits.begin("mill-1", "p1", "apprentice", 7) is None


def test_a_card_without_a_visit_ends_the_one_before_it(visits: Visits) -> None:
    before = begun(visits, 7)
    visits.overtaken("mill-1", 8)
    assert visits.touch(before.token) is None


def test_no_token_and_a_made_up_one_open_nothing(visits: Visits) -> None:
    begun(visits, 7)
    assert visits.touch("") is None
    assert visits.touch("x" * 43) is None


def test_taps_and_touches_from_many_threads_leave_one_visit(visits: Visits) -> None:
    made: list[Visit] = []

    def tap_and_touch(first: int) -> None:
        for seq in range(first, 400, 4):
            visit = visits.begin("mill-1", "p1", "apprentice", seq)
            if visit is not None:
                made.append(visit)
                visits.touch(visit.token)

    threads = [threading.Thread(target=tap_and_touch, args=(first,)) for first in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.seq for each in made if visits.touch(each.token) is not None] == [399]
