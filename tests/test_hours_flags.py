"""hours.md, section 6: why an instructor should look, worst first."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hours_fixtures import HOUR, MINUTE, NAME, SECOND, Kiosk, lab, machine, utc_ms

from kiosk.domain.flags import minor_limits, same_time_pairs, with_shared_flags
from kiosk.domain.state import FLAGS
from lab_config.model import Process

DAY = 24 * HOUR


def kiosk(**changed: object) -> Kiosk:
    return Kiosk(lab(machine(**changed)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("unknown_ms", "flags"), [(60_000, ()), (60_001, ("status_lost",))])
def test_status_lost_is_more_than_a_tenth_unknown(unknown_ms: int, flags: tuple[str, ...]) -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.say(unknown_ms, "running")
    k.tap(600_000, "ann")
    assert k.flags() == flags


@pytest.mark.parametrize(("presence_ms", "flags"), [(6 * HOUR, ()), (6 * HOUR + 1, ("too_long",))])
def test_too_long_is_more_than_long_session(presence_ms: int, flags: tuple[str, ...]) -> None:
    k = kiosk()
    k.say(0, "running")
    k.tap(0, "ann")
    k.tap(presence_ms, "ann")
    assert k.flags() == flags


def test_no_machine_time_is_no_counted_state_at_all() -> None:
    k = kiosk()
    k.say(0, "idle")
    k.tap(0, "ann")
    k.tap(MINUTE, "ann")
    assert k.flags() == ("no_machine_time",)


def test_a_machine_without_a_source_is_flagged_for_neither() -> None:
    k = kiosk(source="none")
    k.tap(0, "ann")
    k.tap(MINUTE, "ann")
    assert k.flags() == ()


def test_flags_come_worst_first() -> None:
    described = lab(machine(day_end=(), max_session_ms=7 * HOUR))
    k = Kiosk(replace(described, programmes=()), synced=False)
    k.tap(0, "ann")
    k.wait(8 * HOUR)
    assert k.flags() == (
        "clock_uncertain",
        "status_lost",
        "closed_by_system",
        "no_machine_time",
        "too_long",
        "no_process",
    )


def test_evidence_is_badge_and_machine_only_where_a_state_was_known_and_asked_for() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.wait(MINUTE)
    assert k.shown()["evidence"] == "badge"
    k.say(MINUTE, "idle")
    k.wait(2 * MINUTE)
    assert k.shown()["evidence"] == "badge+machine"
    k = Kiosk(lab(machine(), processes=(Process("B", NAME, machines=("mill",), presence_counts=True),)))
    k.say(0, "running")
    k.tap(0, "ann")
    k.wait(MINUTE)
    assert k.shown()["evidence"] == "badge"


# --- minors ---------------------------------------------------------------------------------------------------------


def minors(k: Kiosk, **births: str) -> set[int]:
    found = minor_limits(k.state, k.moment(), {who: date.fromisoformat(day) for who, day in births.items()})
    return {number for number, session in enumerate(k.sessions) if session.id in found}


@pytest.mark.parametrize(
    ("tap_in", "tap_out", "flagged"),
    [
        ("20:00", "22:00:00.000", False),
        ("20:00", "22:00:00.001", True),
        ("06:00", "07:00:00.000", False),
        ("05:59", "06:00:00.000", True),
    ],
)
def test_a_minor_at_night_is_flagged(tap_in: str, tap_out: str, flagged: bool) -> None:
    k = Kiosk(lab(machine(day_end=())), began_ms=utc_ms("2026-10-05 05:00"))
    began = k.wall_offset_ms
    k.tap(utc_ms(f"2026-10-05 {tap_in}") - began, "ann")
    k.tap(utc_ms(f"2026-10-05 {tap_out}") - began, "ann")
    assert minors(k, ann="2009-01-01") == ({0} if flagged else set())


@pytest.mark.parametrize(("birth", "flagged"), [("2008-10-05", False), ("2008-10-06", True)])
def test_nobody_is_a_minor_from_the_eighteenth_birthday_on(birth: str, flagged: bool) -> None:
    k = Kiosk(lab(machine(day_end=())), began_ms=utc_ms("2026-10-05 22:30"))
    k.tap(0, "ann")
    k.tap(MINUTE, "ann")
    assert minors(k, ann=birth) == ({0} if flagged else set())


@pytest.mark.parametrize(
    ("birth", "extra_ms", "flagged"),
    [
        ("2009-01-01", 0, set()),
        ("2009-01-01", 1, {0, 1, 2, 3, 4}),
        ("2011-01-01", -12 * HOUR, set()),
        ("2011-01-01", 1 - 12 * HOUR, {0, 1, 2, 3, 4}),
    ],
)
def test_more_presence_in_a_local_week_than_the_age_may_have_is_flagged(
    birth: str, extra_ms: int, flagged: set[int]
) -> None:
    k = Kiosk(lab(machine(day_end=())))
    for day in range(4):
        k.tap(day * DAY, "ann")
        k.tap(day * DAY + (7 * HOUR if extra_ms >= 0 else 5 * HOUR), "ann")
    last = 8 * HOUR if extra_ms >= 0 else 16 * HOUR
    k.tap(4 * DAY, "ann")
    k.tap(4 * DAY + last + extra_ms, "ann")
    k.tap(7 * DAY, "ann")  # the next Monday
    k.tap(7 * DAY + HOUR, "ann")
    assert minors(k, ann=birth) == flagged


def test_a_session_over_sunday_midnight_counts_for_each_week_what_lies_in_it() -> None:
    k = Kiosk(lab(machine(day_end=(), max_session_ms=30 * HOUR)), began_ms=utc_ms("2026-10-11 07:00"))
    k.tap(0, "ann")
    k.tap(25 * HOUR, "ann")  # 17 h on Sunday, 8 h on Monday
    assert minors(k, ann="2009-01-01") == {0}  # by the night only


def test_a_machine_may_have_limits_of_its_own() -> None:
    limits = {"minor_week_ms_16": 17 * HOUR, "minor_night": ("03:00", "03:00")}
    k = Kiosk(lab(machine(day_end=(), max_session_ms=30 * HOUR, **limits)), began_ms=utc_ms("2026-10-11 07:00"))
    k.tap(0, "ann")
    k.tap(25 * HOUR, "ann")
    assert minors(k, ann="2009-01-01") == {0}


# --- two badges -----------------------------------------------------------------------------------------------------


def pairs(gaps_ms: list[int], days: list[int]) -> set[int]:
    """Which sessions are flagged when ann and ben come together on these days, so many milliseconds apart."""
    k = Kiosk(lab(machine(crew=2, day_end=())))
    for gap, day in zip(gaps_ms, days, strict=True):
        k.tap(day * DAY, "ann")
        k.tap(day * DAY + gap, "ben")
        k.tap(day * DAY + HOUR, "ann")
        k.tap(day * DAY + HOUR, "ben")
    found = same_time_pairs(k.state)
    return {number for number, session in enumerate(k.sessions) if session.id in found}


def test_two_who_came_together_on_two_other_days_of_the_last_seven_are_flagged() -> None:
    assert pairs([0, 4_999, 2_000], [0, 1, 2]) == {4, 5}
    assert pairs([0, 4_999, 2_000], [0, 1, 6]) == {4, 5}


def test_five_seconds_apart_or_a_day_too_far_back_is_no_pair() -> None:
    assert pairs([0, 5_000, 2_000], [0, 1, 2]) == set()
    assert pairs([0, 0, 0], [0, 1, 7]) == set()
    assert pairs([0, 0], [0, 1]) == set()


def test_shared_flags_join_the_others_in_their_order() -> None:
    k = Kiosk(lab(machine(day_end=())), began_ms=utc_ms("2026-10-05 22:30"))
    k.tap(0, "ann")
    k.tap(10 * SECOND, "ann")
    own = {k.session().id: k.flags()}
    flags = with_shared_flags(k.state, k.moment(), own, {"ann": date(2009, 1, 1)})[k.session().id]
    assert flags == ("status_lost", "no_machine_time", "minor_limit")
    assert sorted(flags, key=FLAGS.index) == list(flags)
