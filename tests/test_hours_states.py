"""hours.md, section 2: what a machine's state is, and since when."""

from __future__ import annotations

import pytest
from hours_fixtures import HOUR, MINUTE, SECOND, Kiosk, lab, machine

from kiosk.domain import observations as o
from lab_config.model import PowerThresholds

PLUG = PowerThresholds(300, 100, 5, on_delay_ms=5_000, off_delay_ms=20_000)


def kiosk(**changed: object) -> Kiosk:
    return Kiosk(lab(machine(**changed)))  # type: ignore[arg-type]


def plug(**changed: object) -> Kiosk:
    return kiosk(power=PLUG, **changed)


def test_a_machine_starts_unknown_and_a_report_holds_from_the_moment_it_is_heard() -> None:
    k = kiosk()
    assert k.state.machine("mill").state == "unknown"
    k.say(1_000, "running")
    k.say(2_000, "running")
    k.say(3_000, "idle")
    assert k.history() == [(1_000, "running"), (3_000, "idle")]


def test_a_machine_without_a_source_stays_unknown_whatever_is_said() -> None:
    k = kiosk(source="none")
    k.say(1_000, "running")
    assert k.history() == []


@pytest.mark.parametrize(("at", "still"), [(119_999, "running"), (120_000, "unknown")])
def test_silence_begins_exactly_stale_after_the_last_word(at: int, still: str) -> None:
    k = kiosk(stale_after_ms=120_000)
    k.say(0, "running")
    k.wait(at)
    assert k.state.machine("mill").state == still


def test_a_word_at_the_very_moment_of_silence_leaves_no_gap_behind() -> None:
    k = kiosk(stale_after_ms=60_000)
    k.say(0, "running")
    k.tap(0, "ann")
    k.say(60_000, "running")
    k.wait(90_000)
    assert k.history() == [(0, "running"), (60_000, "unknown"), (60_000, "running")]
    assert k.numbers().by_state_ms == {"running": 90_000}


def test_an_equal_report_and_an_unlisted_word_are_signs_of_life_but_do_not_end_unknown() -> None:
    k = kiosk(stale_after_ms=60_000)
    k.say(0, "running")
    k.say(30_000, "running")
    k.say(60_000, None)
    k.wait(119_999)
    assert k.history() == [(0, "running")]
    k.say(120_000, None)
    k.say(125_000, None)
    assert k.history() == [(0, "running"), (120_000, "unknown")]


def test_losing_the_broker_is_silence_for_a_source_that_repeats_itself() -> None:
    k = kiosk(stale_after_ms=60_000)
    k.say(0, "running")
    k.hear(10_000, o.BrokerHeard(False))
    k.wait(59_999)
    assert k.history() == [(0, "running")]
    k.wait(60_000)
    assert k.history()[-1] == (60_000, "unknown")


def test_losing_the_broker_makes_a_source_that_speaks_of_changes_unknown_at_once() -> None:
    k = kiosk(stale_after_ms=None)
    k.say(0, "running")
    k.wait(10 * HOUR)
    k.hear(11 * HOUR, o.BrokerHeard(False))
    k.hear(12 * HOUR, o.BrokerHeard(True))
    assert k.history() == [(0, "running"), (11 * HOUR, "unknown")]


@pytest.mark.parametrize("stale_after_ms", [None, 60_000])
def test_a_last_will_makes_it_unknown_at_once_for_both_kinds(stale_after_ms: int | None) -> None:
    k = kiosk(stale_after_ms=stale_after_ms)
    k.say(0, "running")
    k.hear(1_000, o.MachineGone("mill"))
    assert k.history()[-1] == (1_000, "unknown")


def test_a_retained_report_counts_from_reception_for_a_source_that_speaks_of_changes() -> None:
    k = kiosk(stale_after_ms=None)
    k.say(5_000, "running", retained=True)
    assert k.history() == [(5_000, "running")]


def test_a_retained_report_of_a_repeating_source_is_neither_evidence_nor_a_sign_of_life() -> None:
    k = kiosk(stale_after_ms=60_000)
    k.say(0, "running", retained=True)
    assert k.history() == []
    k.say(1_000, "running")
    k.say(50_000, "idle", retained=True)
    k.wait(61_000)
    assert k.history() == [(1_000, "running"), (61_000, "unknown")]


@pytest.mark.parametrize(
    ("watts", "means"),
    [(300, "running"), (299.999, "idle"), (100, "idle"), (99.9, "idle"), (5, "idle"), (4.999, "off"), (0, "off")],
)
def test_a_first_sample_means_at_once_what_the_thresholds_say(watts: float, means: str) -> None:
    k = plug()
    k.watts(1_000, watts)
    assert k.history() == [(1_000, means)]


def test_a_sample_of_exactly_a_threshold_is_at_it_whatever_its_binary_fraction() -> None:
    k = kiosk(power=PowerThresholds(1.005, 1.005))
    k.watts(1_000, 1.005)
    assert k.history() == [(1_000, "running")]


def test_between_the_thresholds_running_stays_running_and_anything_else_is_idle() -> None:
    k = plug()
    k.watts(0, 400)
    k.watts(60_000, 200)
    k.watts(600_000, 200)
    assert k.history() == [(0, "running")]
    k = plug()
    k.watts(0, 0)
    k.watts(60_000, 200)
    k.watts(80_000, 200)
    assert k.history() == [(0, "off"), (60_000, "idle")]


@pytest.mark.parametrize(("second", "changed"), [(14_999, False), (15_000, True), (900_000, True)])
def test_running_is_confirmed_by_the_first_sample_on_delay_later_and_dated_at_the_first(
    second: int, changed: bool
) -> None:
    k = plug()
    k.watts(0, 50)
    k.watts(10_000, 300)
    k.wait(15_000 if second >= 15_000 else 10_001)  # a timer confirms nothing
    k.watts(second, 300)
    assert k.history() == [(0, "idle"), (10_000, "running")] if changed else [(0, "idle")]


@pytest.mark.parametrize(("second", "changed"), [(29_999, False), (30_000, True)])
def test_idle_and_off_are_confirmed_off_delay_later(second: int, changed: bool) -> None:
    for watts, means in ((50, "idle"), (0, "off")):
        k = plug()
        k.watts(0, 400)
        k.watts(10_000, watts)
        k.watts(second, watts)
        assert k.history() == ([(0, "running"), (10_000, means)] if changed else [(0, "running")])


def test_one_sample_of_another_meaning_breaks_the_stretch() -> None:
    k = plug()
    k.watts(0, 50)
    k.watts(10_000, 300)
    k.watts(12_000, 50)
    k.watts(15_000, 300)
    assert k.history() == [(0, "idle")]
    k.watts(20_000, 300)
    assert k.history() == [(0, "idle"), (15_000, "running")]


def test_a_stretch_that_changes_its_meaning_begins_anew() -> None:
    k = plug()
    k.watts(0, 400)
    k.watts(10_000, 50)
    k.watts(20_000, 0)
    k.watts(30_000, 0)
    assert k.history() == [(0, "running")]
    k.watts(40_000, 0)
    assert k.history() == [(0, "running"), (20_000, "off")]


def test_silence_breaks_a_stretch_and_the_first_sample_from_unknown_is_believed_at_once() -> None:
    k = plug(stale_after_ms=60_000)
    k.watts(0, 400)
    k.watts(50_000, 50)
    k.watts(110_000, 50)  # silence at this very moment comes first
    assert k.history() == [(0, "running"), (110_000, "unknown"), (110_000, "idle")]


def test_without_a_delay_a_single_sample_changes_the_state() -> None:
    k = kiosk(power=PowerThresholds(300, 300))
    k.watts(0, 299)
    k.watts(1_000, 300)
    assert k.history() == [(0, "idle"), (1_000, "running")]


def test_what_changes_nothing_makes_no_entry() -> None:
    k = plug()
    k.watts(0, 400)
    before = len(k.entries)
    for second in range(1, 100):
        k.watts(second * SECOND, 400 + second)
    assert len(k.entries) == before


def test_a_machine_is_unknown_while_the_kiosk_is_down_and_nothing_pending_survives() -> None:
    k = plug()
    k.watts(0, 50)
    k.watts(10_000, 300)
    k.boot(MINUTE)
    k.watts(0, 50)
    k.watts(1_000, 300)
    assert k.history() == [(0, "idle"), (10_000, "unknown"), (70_000, "idle")]


def test_a_change_dated_back_cuts_again_a_session_that_closed_meanwhile() -> None:
    k = plug()
    k.watts(0, 400)
    k.tap(0, "ann")
    k.watts(30_000, 0)
    k.tap(40_000, "ann")
    assert k.numbers().by_state_ms == {"running": 40_000}
    k.watts(50_000, 0)
    assert k.numbers().by_state_ms == {"running": 30_000, "off": 10_000}


def test_a_change_dated_back_does_not_touch_what_was_decided() -> None:
    k = plug()
    k.watts(0, 400)
    k.tap(0, "ann")
    k.watts(30_000, 0)
    k.tap(40_000, "ann")
    k.hear(45_000, o.ReviewAsked((k.session().id,), "approved", "ivan"))
    k.watts(50_000, 0)
    assert k.numbers().by_state_ms == {"running": 40_000}


def test_a_deadline_that_turns_out_to_have_passed_is_applied_at_the_confirmation() -> None:
    k = plug(off_grace_ms=30_000)
    k.watts(0, 400)
    k.tap(0, "ann")
    k.watts(30_000, 0)
    k.wait(70_000)
    assert k.open() == ["ann"]
    k.watts(70_000, 0)
    assert k.ended() == ("machine_off", 30_000)


def test_a_deadline_that_was_entered_stays_though_the_state_is_dated_back() -> None:
    k = plug(idle_timeout_ms=60_000)
    k.watts(0, 50)
    k.tap(0, "ann")
    k.watts(59_000, 300)
    k.watts(64_000, 300)
    assert k.history()[-1] == (59_000, "running")
    assert k.ended() == ("idle_timeout", 60_000)
    assert k.numbers().by_state_ms == {"idle": 59_000, "running": 1_000}
