"""A machine that says the same again fills no queue, wakes nobody and is heard all the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.observations import BadgeSeen, BrokerChanged, MachineReported, Observation, SourceLost
from kiosk.domain.entries import Stamp
from kiosk.inbox import CAPACITY, FOLDED_MS, Heard, Inbox

RUNS, RESTS = MachineReported("mill-1", "running"), MachineReported("mill-1", "idle")


@dataclass
class HandClock:
    """Shows what it is set to."""

    ms: int = 0
    speed: float = 1.0

    def stamp(self) -> Stamp:
        return Stamp("boot", self.ms, self.ms, True)

    def wall_ms(self) -> int:
        return self.ms


class Ear:
    """An inbox, and what came out of it: (milliseconds, observation)."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.inbox = Inbox(self.clock)
        self.confirmed = 0

    def hears(self, observation: Observation, at_ms: int) -> None:
        self.clock.ms = at_ms
        self.inbox.deliver(observation, self._confirm)

    def took(self) -> list[tuple[int, Observation]]:
        items = self.inbox.take(CAPACITY, 0)
        assert all(isinstance(item, Heard) for item in items)
        return [(item.stamp.boot_ms, item.observation) for item in items if isinstance(item, Heard)]

    def _confirm(self) -> None:
        self.confirmed += 1


def test_of_equal_reports_within_a_second_the_first_and_the_last_are_kept() -> None:
    ear = Ear()
    for at_ms in (0, 100, 200, 900):
        ear.hears(RUNS, at_ms)
    assert ear.took() == [(0, RUNS), (900, RUNS)]


def test_a_flood_of_equal_reports_loses_nothing() -> None:
    ear = Ear()
    for number in range(100 * CAPACITY):
        ear.hears(RUNS, number // 100)
    assert ear.inbox.take_lost() == 0
    assert len(ear.took()) <= 2 * CAPACITY // FOLDED_MS + 2


def test_a_repetition_is_confirmed_at_once_and_what_it_repeats_only_when_it_is_kept() -> None:
    ear = Ear()
    ear.hears(RUNS, 0)
    assert ear.confirmed == 0
    ear.hears(RUNS, 10)
    assert ear.confirmed == 1


def test_a_change_between_equal_reports_is_never_folded() -> None:
    ear = Ear()
    said = [RUNS, RESTS, RUNS, RESTS]
    for at_ms, one in enumerate(said):
        ear.hears(one, at_ms)
    assert [one for _, one in ear.took()] == said


def test_after_a_last_will_or_an_outage_the_same_word_is_news() -> None:
    for between in (SourceLost("mill-1"), BrokerChanged(False)):
        ear = Ear()
        for at_ms, one in enumerate((RUNS, between, RUNS, RUNS)):
            ear.hears(one, at_ms)
        assert ear.took() == [(0, RUNS), (1, between), (2, RUNS), (3, RUNS)]


def test_what_the_broker_had_kept_repeats_nothing() -> None:
    ear = Ear()
    kept = MachineReported("mill-1", "running", retained=True)
    for at_ms, one in enumerate((RUNS, kept, kept, RUNS)):
        ear.hears(one, at_ms)
    assert [one for _, one in ear.took()] == [RUNS, kept, kept, RUNS]


def test_a_repetition_wakes_nobody_and_leaves_with_what_does() -> None:
    ear = Ear()
    ear.hears(RUNS, 0)
    assert ear.took() == [(0, RUNS)]
    ear.hears(RUNS, 10)
    ear.hears(BadgeSeen("door", "AB"), 20)
    assert ear.took() == [(10, RUNS), (20, BadgeSeen("door", "AB"))]


SAID = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from((RUNS, RESTS, MachineReported("lathe-1"))), st.booleans()),
    max_size=60,
)


@given(SAID)
def test_no_machine_seems_silent_that_is_not_and_the_order_of_the_stamps_holds(
    said: list[tuple[int, MachineReported, bool]],
) -> None:
    ear, took, last_ms = Ear(), list[tuple[int, Observation]](), 0
    spoke: dict[str, list[int]] = {}
    for pause_ms, one, is_taken in said:
        last_ms += pause_ms
        ear.hears(one, last_ms)
        spoke.setdefault(one.machine, []).append(last_ms)
        took += ear.took() if is_taken else []
    took += ear.took()
    assert [at_ms for at_ms, _ in took] == sorted(at_ms for at_ms, _ in took)
    for machine, moments in spoke.items():
        kept = [at_ms for at_ms, one in took if isinstance(one, MachineReported) and one.machine == machine]
        assert (kept[0], kept[-1]) == (moments[0], moments[-1])
        longest = max((b - a for a, b in pairwise(moments)), default=0)
        assert all(b - a <= max(FOLDED_MS, longest) for a, b in pairwise(kept))


@given(SAID)
def test_what_machines_changed_to_is_the_same_as_without_folding(said: list[tuple[int, MachineReported, bool]]) -> None:
    ear, took, last_ms = Ear(), list[tuple[int, Observation]](), 0
    for pause_ms, one, is_taken in said:
        last_ms += pause_ms
        ear.hears(one, last_ms)
        took += ear.took() if is_taken else []
    took += ear.took()

    def changes(heard: list[tuple[int, Observation]]) -> list[tuple[int, Observation]]:
        before: dict[str, Observation] = {}
        kept = []
        for at_ms, one in heard:
            assert isinstance(one, MachineReported)
            if before.get(one.machine) != one:
                kept.append((at_ms, one))
            before[one.machine] = one
        return kept

    moments = [sum(pause for pause, _, _ in said[: place + 1]) for place in range(len(said))]
    assert changes(took) == changes([(at_ms, one) for at_ms, (_, one, _) in zip(moments, said, strict=True)])
