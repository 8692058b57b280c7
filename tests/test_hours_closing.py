"""hours.md, section 4: what closes without a tap, when, and where it ends."""

from __future__ import annotations

import pytest
from hours_fixtures import HOUR, MINUTE, NAME, SECOND, Kiosk, lab, machine, utc_ms

from kiosk.domain import observations as o
from lab_config.model import Process


def kiosk(**changed: object) -> Kiosk:
    return Kiosk(lab(machine(**changed)))  # type: ignore[arg-type]


def working(**changed: object) -> Kiosk:
    """Ann is on a running mill since 0."""
    k = kiosk(**changed)
    k.say(0, "running")
    k.tap(0, "ann")
    return k


@pytest.mark.parametrize(("at", "reason"), [(5 * MINUTE - 1, None), (5 * MINUTE, "machine_off")])
def test_two_minutes_after_off_the_session_ends_where_off_began(at: int, reason: str | None) -> None:
    k = working()
    k.say(3 * MINUTE, "off")
    k.wait(at)
    assert k.ended() == (reason, 3 * MINUTE if reason else None)


def test_a_report_at_the_very_moment_comes_after_the_deadline() -> None:
    k = working()
    k.say(MINUTE, "off")
    k.say(3 * MINUTE, "running")
    assert k.ended() == ("machine_off", MINUTE)


def test_off_that_was_interrupted_starts_anew() -> None:
    k = working()
    k.say(MINUTE, "off")
    k.say(2 * MINUTE, None)
    k.say(3 * MINUTE - 1, "idle")
    k.say(3 * MINUTE, "off")
    k.wait(5 * MINUTE - 1)
    assert k.open() == ["ann"]
    k.wait(5 * MINUTE)
    assert k.ended() == ("machine_off", 3 * MINUTE)


def test_another_state_without_length_does_not_interrupt_off() -> None:
    k = working()
    k.say(MINUTE, "off")
    k.say(2 * MINUTE, "idle")
    k.say(2 * MINUTE, "off")
    k.wait(3 * MINUTE)
    assert k.ended() == ("machine_off", MINUTE)


def test_off_from_any_state_even_unknown_closes() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.say(MINUTE, "off")
    k.wait(3 * MINUTE)
    assert k.ended() == ("machine_off", MINUTE)


@pytest.mark.parametrize("off_at", [0, 1_000])
def test_a_machine_that_was_off_before_or_at_the_opening_closes_nothing(off_at: int) -> None:
    k = kiosk()
    k.say(off_at, "off")
    k.tap(1_000, "ann")
    k.wait(10 * MINUTE)
    assert k.open() == ["ann"]


def test_off_at_the_place_of_the_opening_closes_nothing_though_a_boot_lies_between() -> None:
    k = kiosk()
    k.tap(1_000, "ann")
    k.boot(0)
    k.say(0, "off")
    k.wait(10 * MINUTE)
    assert k.open() == ["ann"]


def test_off_closes_nothing_where_the_process_counts_off() -> None:
    k = Kiosk(lab(machine(), processes=(Process("LOCKOUT", NAME, machines=("mill",), counts=("off",)),)))
    k.say(0, "running")
    k.tap(0, "ann")
    k.say(MINUTE, "off")
    k.wait(30 * MINUTE)
    assert k.open() == ["ann"]


@pytest.mark.parametrize(("at", "reason"), [(70 * MINUTE - 1, None), (70 * MINUTE, "idle_timeout")])
def test_an_hour_of_states_that_do_not_count_closes_at_that_moment(at: int, reason: str | None) -> None:
    k = working()
    k.say(10 * MINUTE, "idle")
    k.say(30 * MINUTE, "fault")  # the stretch goes on
    k.wait(at)
    assert k.ended() == (reason, 70 * MINUTE if reason else None)


def test_idle_before_the_opening_does_not_count() -> None:
    k = kiosk()
    k.say(0, "idle")
    k.tap(30 * MINUTE, "ann")
    k.wait(90 * MINUTE - 1)
    assert k.open() == ["ann"]
    k.wait(90 * MINUTE)
    assert k.ended() == ("idle_timeout", 90 * MINUTE)


def test_unknown_breaks_the_stretch_because_a_lost_signal_sends_nobody_home() -> None:
    k = working()
    k.say(10 * MINUTE, "idle")
    k.hear(40 * MINUTE, o.MachineGone("mill"))
    k.say(50 * MINUTE, "idle")
    k.wait(109 * MINUTE)
    assert k.open() == ["ann"]
    k.wait(110 * MINUTE)
    assert k.ended() == ("idle_timeout", 110 * MINUTE)


def test_still_here_breaks_the_stretch() -> None:
    k = working()
    k.say(10 * MINUTE, "idle")
    k.hear(69 * MINUTE, o.StillHereTouched("mill", "ann"))
    k.wait(129 * MINUTE - 1)
    assert k.open() == ["ann"]
    k.wait(129 * MINUTE)
    assert k.ended() == ("idle_timeout", 129 * MINUTE)


def test_idle_never_closes_where_the_timeout_is_never_or_presence_counts() -> None:
    k = working(idle_timeout_ms=None)
    k.say(MINUTE, "idle")
    k.wait(9 * HOUR)
    assert k.open() == ["ann"]
    k = Kiosk(lab(machine(), processes=(Process("BENCH", NAME, machines=("mill",), presence_counts=True),)))
    k.say(0, "idle")
    k.tap(0, "ann")
    k.wait(9 * HOUR)
    assert k.open() == ["ann"]


@pytest.mark.parametrize(("at", "reason"), [(10 * HOUR - 1, None), (10 * HOUR, "max_session")])
def test_no_session_is_longer_than_max_session(at: int, reason: str | None) -> None:
    k = working()
    k.wait(at)
    assert k.ended() == (reason, 10 * HOUR if reason else None)


@pytest.mark.parametrize(("at", "reason"), [(4 * HOUR - 1, None), (4 * HOUR, "day_end")])
def test_the_lesson_ends_at_the_next_of_the_local_times(at: int, reason: str | None) -> None:
    k = working(day_end=("08:00", "13:00", "18:00"))
    k.wait(at)
    assert k.ended() == (reason, 4 * HOUR if reason else None)


def test_a_session_opened_at_a_day_end_ends_at_the_next_one() -> None:
    k = working(day_end=("09:00", "09:30"))
    k.wait(2 * HOUR)
    assert k.ended() == ("day_end", 30 * MINUTE)


def test_the_repeated_hour_of_the_night_of_29_february_2024_has_its_day_end_twice() -> None:
    k = Kiosk(lab(machine(max_session_ms=20 * HOUR)), began_ms=utc_ms("2024-02-29 22:00"))
    k.tap(0, "ann")
    k.wait(90 * MINUTE)  # at 24:00 the clocks went back to 23:00
    k.tap(90 * MINUTE, "ben")
    k.wait(4 * HOUR)
    assert k.ended(0) == ("day_end", HOUR)
    assert k.ended(1) == ("day_end", 2 * HOUR)


def test_a_day_end_that_a_spring_day_skips_is_passed_once_when_the_clock_jumps() -> None:
    described = lab(machine(day_end=("02:30",)), timezone="Europe/Berlin")
    k = Kiosk(described, began_ms=1_774_742_400_000)  # 2026-03-29 01:00 there, 00:00 UTC
    k.tap(0, "ann")
    k.wait(90 * MINUTE)
    assert k.open() == []
    assert k.ended() == ("day_end", 90 * MINUTE)


def test_ties_are_resolved_in_the_order_of_the_table() -> None:
    times = {"off_grace_ms": HOUR, "idle_timeout_ms": HOUR, "max_session_ms": HOUR + MINUTE, "day_end": ("10:01",)}
    for left_out, reason in (
        ((), "machine_off"),
        (("off_grace_ms",), "idle_timeout"),
        (("off_grace_ms", "idle_timeout_ms"), "max_session"),
        (("off_grace_ms", "idle_timeout_ms", "max_session_ms"), "day_end"),
    ):
        k = working(**{name: 20 * HOUR if name in left_out else value for name, value in times.items()})
        k.say(MINUTE, "off")
        k.wait(3 * HOUR)
        assert k.session().reason == reason


def test_deadlines_that_passed_while_the_process_was_not_looking_come_before_the_tap() -> None:
    k = working(day_end=("23:00",), max_session_ms=20 * HOUR)
    k.tap(24 * HOUR, "ann")
    assert k.ended(0) == ("day_end", 14 * HOUR)
    assert k.span(1) == (24 * HOUR, None)


def test_what_closes_by_the_system_is_flagged_and_observers_close_too() -> None:
    k = working(when_full="observe", observers=True)
    k.tap(1_000, "ben")
    k.say(MINUTE, "off")
    k.wait(HOUR)
    assert [(s.role, s.reason, s.closed_by) for s in k.sessions] == [
        ("operator", "machine_off", "system"),
        ("observer", "machine_off", "system"),
    ]
    assert "closed_by_system" in k.flags(0)
    assert "closed_by_system" in k.flags(1)


def test_the_place_is_taken_until_the_closing_not_until_the_effective_end() -> None:
    k = working(when_full="refuse")
    k.say(MINUTE, "off")
    k.tap(2 * MINUTE, "ben")
    assert k.open() == ["ann"]
    k.tap(3 * MINUTE, "ben")  # the deadline of this moment comes first
    assert k.open() == ["ben"]


def test_an_instructor_closes_a_session() -> None:
    k = working()
    k.hear(MINUTE, o.CloseAsked("ann", "mill", "ivan"))
    assert (k.ended(), k.session().closed_by) == (("closed_by_instructor", MINUTE), "other")
    with pytest.raises(o.DecisionRefused):
        k.hear(MINUTE, o.CloseAsked("ann", "mill", "ivan"))


@pytest.mark.parametrize(("gap", "reason"), [(10 * MINUTE, None), (10 * MINUTE + 1, "outage")])
def test_a_longer_outage_ends_the_session_at_the_last_sign_of_life(gap: int, reason: str | None) -> None:
    k = working()
    k.wait(30 * MINUTE)
    k.boot(gap)
    assert k.ended() == (reason, 30 * MINUTE if reason else None)


def test_after_a_shorter_outage_the_session_is_open_and_the_machine_was_unknown() -> None:
    k = working()
    k.wait(30 * MINUTE)
    k.boot(5 * MINUTE)
    k.say(MINUTE, "running")
    k.tap(5 * MINUTE, "ann")
    assert k.numbers().by_state_ms == {"running": 34 * MINUTE, "unknown": 6 * MINUTE}


def test_a_deadline_up_to_the_last_sign_of_life_wins_over_the_outage() -> None:
    k = working(max_session_ms=30 * MINUTE)
    k.boot(HOUR, last=30 * MINUTE)
    assert k.ended() == ("max_session", 30 * MINUTE)


def test_the_outage_wins_over_every_moment_after_the_last_sign_of_life() -> None:
    k = working(max_session_ms=30 * MINUTE)
    k.wait(30 * MINUTE - 1)
    k.boot(HOUR)
    assert k.ended() == ("outage", 30 * MINUTE - 1)


def test_what_passed_during_a_short_outage_closes_at_its_moment() -> None:
    k = working(max_session_ms=30 * MINUTE)
    k.wait(29 * MINUTE)
    k.boot(5 * MINUTE)
    assert k.ended() == ("max_session", 30 * MINUTE)


def test_idle_time_does_not_run_on_while_the_kiosk_is_down() -> None:
    k = working(idle_timeout_ms=30 * MINUTE)
    k.say(MINUTE, "idle")
    k.wait(29 * MINUTE)
    k.boot(5 * MINUTE)
    k.wait(29 * MINUTE)
    assert k.open() == ["ann"]


def test_the_last_entry_is_a_sign_of_life_later_than_an_older_heartbeat() -> None:
    k = working()
    k.say(20 * MINUTE, "idle")
    k.boot(HOUR, last=19 * MINUTE)
    assert k.ended() == ("outage", 20 * MINUTE)


def test_silence_of_the_same_instant_comes_after_the_deadline() -> None:
    k = working(stale_after_ms=MINUTE, off_grace_ms=MINUTE)
    k.say(30 * SECOND, "off")
    k.wait(90 * SECOND)
    assert k.ended() == ("machine_off", 30 * SECOND)


def test_silence_before_the_deadline_breaks_it() -> None:
    k = working(stale_after_ms=MINUTE, off_grace_ms=MINUTE + 1)
    k.say(30 * SECOND, "off")
    k.wait(10 * MINUTE)
    assert k.open() == ["ann"]


def test_a_session_without_presence_is_still_a_session() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.boot(HOUR)
    assert k.ended() == ("outage", 0)
    assert k.numbers().presence_ms == 0
    assert k.flags() == ("closed_by_system", "no_machine_time")
