"""What is proposed for a session, and where things stand on its strip: from flags and numbers alone."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiosk.phrases import FLAGS
from kiosk.store.views import SessionView
from kiosk.web.picture import CLEAR, MOST_TICKS, crowd_of, picture, ticks
from kiosk.web.proposals import BRIDGE_MS, WHY, Proposal, propose
from kiosk.web.strip import Evidence, Segment

MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_793_246_400_000
"""2026-10-29 09:00 in Almaty."""
ALMATY = ZoneInfo("Asia/Almaty")
COUNTS = ("running", "setup")


def a_session(*flags: str, minutes: int = 120, **more: object) -> SessionView:
    presence = minutes * MINUTE
    row = SessionView(
        7, "p", "mill-1", "cnc", "CNC3", "operator", START, START + presence, "2026-10-29", "tap_out", "person",
        presence, {"running": presence}, presence, 0, {}, "badge+machine", flags,
    )  # fmt: skip
    return row._replace(**more)  # type: ignore[arg-type]


def states(*parts: tuple[str, int]) -> list[Segment]:
    """(state, minutes) one after another."""
    made, at = [], START
    for state, minutes in parts:
        gap = {"unknown": "silent", "down": "down"}.get(state, "")
        made.append(Segment("unknown" if gap else state, at, at + minutes * MINUTE, gap))
        at += minutes * MINUTE
    return made


def proposed(row: SessionView, segments: list[Segment] | None = None, has_source: bool = True) -> Proposal:
    return propose(row, segments or [], COUNTS, has_source=has_source)


@pytest.mark.parametrize(
    "flag", ["questioned", "clock_uncertain", "overlap", "two_places", "same_time_pair", "no_process"]
)
def test_what_only_a_person_can_know_is_never_proposed_for(flag: str) -> None:
    assert proposed(a_session(flag, "closed_by_system")).kind == "look"


def test_silence_between_two_stretches_of_work_can_be_credited_for_a_fault_of_the_equipment() -> None:
    parts = states(("running", 60), ("unknown", 25), ("setup", 35))
    row = a_session("status_lost", credited_ms=95 * MINUTE, unverified_ms=25 * MINUTE)
    found = proposed(row, parts)
    assert (found.kind, found.credited_ms, found.reason) == ("adjust", 120 * MINUTE, "equipment_fault")
    assert (found.since_ms, found.until_ms) == (START + 60 * MINUTE, START + 85 * MINUTE)


@pytest.mark.parametrize(
    "parts",
    [
        (("running", 60), ("unknown", 60)),
        (("unknown", 60), ("running", 60)),
        (("running", 60), ("unknown", 30), ("idle", 30)),
        (("fault", 60), ("unknown", 30), ("running", 30)),
    ],
)
def test_silence_that_work_does_not_enclose_stays_uncredited(parts: tuple[tuple[str, int], ...]) -> None:
    row = a_session("status_lost", credited_ms=60 * MINUTE, unverified_ms=30 * MINUTE)
    assert proposed(row, states(*parts)).kind == "approve"


def test_work_speaks_for_no_more_silence_than_itself() -> None:
    parts = states(("running", 10), ("unknown", 11), ("running", 10), ("unknown", 11), ("running", 10))
    row = a_session("status_lost", minutes=52, credited_ms=30 * MINUTE, unverified_ms=22 * MINUTE)
    assert proposed(row._replace(by_state={"running": 30 * MINUTE}), parts).why == "bridged_often"
    assert proposed(row._replace(by_state={"running": 20 * MINUTE}), parts).kind == "approve"


def test_a_silence_too_long_for_its_neighbours_to_speak_for_stays_uncredited() -> None:
    minutes = BRIDGE_MS // MINUTE + 1
    parts = states(("running", 30), ("unknown", minutes), ("running", 30))
    row = a_session("status_lost", minutes=60 + minutes, credited_ms=HOUR, unverified_ms=minutes * MINUTE)
    assert proposed(row, parts).kind == "approve"


def test_nobody_is_given_time_that_was_shared() -> None:
    parts = states(("running", 60), ("unknown", 25), ("running", 35))
    row = a_session("status_lost", credited_ms=47 * MINUTE, unverified_ms=25 * MINUTE, uncredited={"shared": 1})
    assert proposed(row, parts).kind == "approve"


def test_where_nothing_was_heard_at_all_somebody_has_to_ask() -> None:
    row = a_session("status_lost", "no_machine_time", credited_ms=0, unverified_ms=2 * HOUR, by_state={"unknown": 1})
    assert proposed(row, states(("unknown", 120))).kind == "look"


def test_a_machine_that_did_not_work_means_no_hours() -> None:
    found = proposed(a_session("no_machine_time", credited_ms=0, by_state={"idle": 2 * HOUR}))
    assert (found.kind, found.reason, found.why) == ("reject", "other", "did_not_work")
    broken = proposed(a_session("no_machine_time", credited_ms=0, by_state={"fault": 2 * HOUR}))
    assert (broken.kind, broken.reason) == ("reject", "equipment_fault")


@pytest.mark.parametrize("reason", ["machine_off", "idle_timeout", "day_end", "outage"])
def test_what_the_system_closed_is_worth_what_the_machine_did(reason: str) -> None:
    found = proposed(a_session("closed_by_system", reason=reason))
    assert (found.kind, found.why) == ("approve", reason)


def test_where_no_machine_tells_when_work_ended_somebody_has_to_ask() -> None:
    row = a_session("closed_by_system", reason="day_end", evidence="badge")
    assert proposed(row, has_source=False).why == "bench"
    assert proposed(a_session("closed_by_system", "too_long", reason="max_session")).kind == "look"


def test_a_long_session_stands_where_the_machine_worked_for_half_of_it() -> None:
    assert proposed(a_session("too_long")).kind == "approve"
    assert proposed(a_session("too_long", by_state={"running": 59 * MINUTE})).kind == "look"


def test_a_limit_for_minors_takes_no_hour_away() -> None:
    assert proposed(a_session("minor_limit")).kind == "approve"


flag_sets = st.sets(st.sampled_from(tuple(FLAGS))).map(lambda found: tuple(f for f in FLAGS if f in found))


@given(
    flags=flag_sets,
    parts=st.lists(st.tuples(st.sampled_from(("running", "idle", "unknown", "fault", "down")), st.integers(1, 90))),
    credited=st.integers(0, 120),
    unverified=st.integers(0, 120),
    reason=st.sampled_from(("tap_out", "day_end", "outage", "max_session", "idle_timeout", "machine_off")),
    has_source=st.booleans(),
)
def test_no_proposal_ever_goes_beyond_the_presence_or_below_what_is_credited(
    flags: tuple[str, ...],
    parts: list[tuple[str, int]],
    credited: int,
    unverified: int,
    reason: str,
    has_source: bool,
) -> None:
    row = a_session(*flags, credited_ms=credited * MINUTE, unverified_ms=unverified * MINUTE, reason=reason)
    found = proposed(row, states(*parts), has_source)
    assert found.why in WHY
    if found.kind == "adjust":
        assert found.credited_ms is not None
        assert row.credited_ms < found.credited_ms <= row.presence_ms
        assert found.credited_ms - row.credited_ms <= row.unverified_ms
    assert (found.reason is not None) == (found.kind in {"adjust", "reject"})


# --- the picture ------------------------------------------------------------------------------------------------------


def drawn(row: SessionView, segments: list[Segment], others: tuple[tuple[int, int], ...] = ()):  # type: ignore[no-untyped-def]
    seen = picture(row, Evidence(tuple(segments), ()), others, ALMATY, has_source=True, long_session_ms=6 * HOUR)
    assert seen is not None
    return seen


def test_a_silent_machine_and_a_kiosk_that_was_down_are_two_kinds_of_gap() -> None:
    seen = drawn(a_session(), states(("running", 60), ("unknown", 12), ("down", 12), ("running", 36)))
    assert [(each.kind, each.x, each.width) for each in seen.states] == [
        ("running", 0, 50),
        ("silent", 50, 10),
        ("down", 60, 10),
        ("running", 70, 30),
    ]
    assert [(each.x, each.width) for each in seen.badge] == [(0, 60), (70, 30)]


def test_flags_stand_where_they_happened() -> None:
    row = a_session("status_lost", "closed_by_system", "too_long", minutes=480)
    seen = drawn(row, states(("running", 240), ("unknown", 60), ("running", 180)))
    assert [(each.kind, each.x) for each in seen.pins] == [
        ("status_lost", 50),
        ("too_long", 75),
        ("closed_by_system", 100),
    ]


def test_the_others_are_counted_and_nobody_of_them_is_told_apart() -> None:
    minute = [START + MINUTE * at for at in range(121)]
    spans = [(minute[10], minute[40]), (minute[20], minute[60]), (minute[60], minute[80]), (minute[90], minute[90])]
    assert crowd_of(spans) == [
        (minute[10], minute[20], 1),
        (minute[20], minute[40], 2),
        (minute[40], minute[60], 1),
        (minute[60], minute[80], 1),
    ]
    seen = drawn(a_session(), states(("running", 120)), tuple(spans))
    assert (seen.most_others, seen.others_ms) == (2, 70 * MINUTE)


@given(st.integers(0, 86_400_000), st.integers(2 * MINUTE, 14 * HOUR))
@example(782_609, 782_607)
def test_ticks_are_round_local_times_that_leave_room_for_both_ends(offset: int, length: int) -> None:
    start, end = START + offset, START + offset + length
    found = ticks(start, end, ALMATY)
    assert len(found) <= MOST_TICKS + 1
    assert all(at % MINUTE == 0 for at in found)
    rounded = 0.01  # places on the strip have two decimals
    assert all(CLEAR - rounded <= (at - start) * 100 / length <= 100 - CLEAR + rounded for at in found)
