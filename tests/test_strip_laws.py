"""The evidence strip draws what the fold counted: the same states for the same time, each gap where it was."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_clerk import MINUTE_MS, Workshop

from kiosk.store import views
from kiosk.web.strip import evidence
from tests.kiosk_fixtures import AIGERIM, PYOTR


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.desk.close()


def drawn(workshop: Workshop, session: int) -> list[tuple[str, int]]:
    """(what, minutes after the opening) of each stretch."""
    row = views.session(workshop.desk.connection, session)
    assert row is not None
    found = evidence(workshop.desk.connection, row).segments
    return [(each.gap or each.state, (each.start_ms - row.start_ms) // MINUTE_MS) for each in found]


def test_two_short_outages_of_one_session_are_each_where_they_were(workshop: Workshop) -> None:
    workshop.report("running")
    workshop.tap(AIGERIM)
    for number, (minutes, down) in enumerate([(10, 4), (14, 7)]):
        workshop.work(minutes)
        workshop.desk.pass_time(heartbeat=True)
        workshop.restart(f"boot-{number + 2}", down * MINUTE_MS)
        workshop.clock.move(2 * MINUTE_MS)
        workshop.report("running")
    workshop.work(5)
    workshop.tap(AIGERIM)
    (row,) = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
    assert drawn(workshop, row.session) == [
        ("running", 0),
        ("down", 10),
        ("silent", 14),
        ("running", 16),
        ("down", 30),
        ("silent", 37),
        ("running", 39),
    ]


def live_through(workshop: Workshop, draw: random.Random, length: int) -> None:
    """Taps, reports, silence, outages short and long, with clocks that nobody set and clocks that are set."""
    boots = 1
    for _ in range(length):
        match draw.randrange(12):
            case 0 | 1:
                workshop.tap(draw.choice([AIGERIM, PYOTR]))
            case 2:
                boots += 1
                workshop.desk.pass_time(heartbeat=True)
                down_ms = draw.choice([20_000, 3 * MINUTE_MS, 9 * MINUTE_MS, 40 * MINUTE_MS])
                workshop.restart(f"boot-{boots}", down_ms, synced=draw.random() < 0.6)
            case 3:
                workshop.clock.synced = True
                workshop.desk.pass_time(heartbeat=True)
            case 4 if workshop.clock.synced:
                workshop.clock.step_wall(draw.choice([-90_000, 90_000, 3_600_000]))
                workshop.desk.pass_time(heartbeat=True)
            case 5 | 6:
                workshop.clock.move(draw.choice([1, 4_000, 11_000, 5 * MINUTE_MS, 50 * MINUTE_MS]))
            case _:
                workshop.report(draw.choice(["running", "idle", "setup", "fault", "off"]))
                workshop.clock.move(draw.choice([12_000, MINUTE_MS, MINUTE_MS]))


@pytest.mark.parametrize("seed", range(6))
def test_the_strip_adds_up_to_the_machine_time_by_state(workshop: Workshop, seed: int) -> None:
    live_through(workshop, random.Random(seed), 150)
    closed = [
        row
        for row in views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
        if row.end_ms is not None and row.presence_ms
    ]
    for row in closed:
        sums: Counter[str] = Counter()
        for each in evidence(workshop.desk.connection, row).segments:
            sums[each.state] += each.end_ms - each.start_ms
        assert dict(sums) == {state: ms for state, ms in row.by_state.items() if ms}, row
    assert len(closed) > 1
