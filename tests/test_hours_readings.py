"""Where hours.md was read once more, because an implementation by somebody who had not seen ours disagreed."""

from __future__ import annotations

from hours_fixtures import HOUR, MINUTE, NAME, PEOPLE, SECOND, Kiosk, apprentice, lab, machine, utc_ms

from kiosk.domain import observations as o
from kiosk.domain.flags import same_time_pairs
from lab_config.model import Process, Rules

NOON = utc_ms("2026-10-05 12:00")
DAY = 24 * HOUR


def corrected(k: Kiosk, at: int, wall: str) -> None:
    """The clock becomes synchronised and says another time than it did."""
    k.wall_offset_ms, k.synced = utc_ms(wall) - at, True
    k.hear(at, o.ClockChanged())


def test_all_that_was_due_before_a_clock_was_set_goes_by_the_clock_as_it_stood() -> None:
    rules = {"day_end": ("13:00",)}
    k = Kiosk(lab(machine("mill", **rules), machine("saw", **rules)), began_ms=NOON, synced=False)
    k.tap(MINUTE, "ann")
    k.tap(MINUTE + 10 * SECOND, "ben", "saw")
    corrected(k, HOUR + 30 * SECOND, "2026-10-05 12:20")
    k.wait(3 * HOUR)
    assert [k.ended(0), k.ended(1)] == [("day_end", HOUR), ("day_end", HOUR)]


def test_a_silence_before_a_clock_was_set_does_not_move_a_deadline_that_had_passed() -> None:
    k = Kiosk(lab(machine(day_end=("13:00",), stale_after_ms=2 * MINUTE)), began_ms=NOON, synced=False)
    k.tap(MINUTE, "ann")
    k.say(MINUTE + 5 * SECOND, "running")
    corrected(k, HOUR + 30 * SECOND, "2026-10-05 12:20")
    assert k.ended() == ("day_end", HOUR)
    assert k.again().sessions[k.session().id].closed == k.session().closed


def test_of_two_anchors_at_one_moment_the_first_dates_what_was_before_it() -> None:
    k = Kiosk(lab(machine()), began_ms=NOON, synced=False)
    k.tap(MINUTE, "ann")
    corrected(k, 2 * MINUTE, "2026-10-05 15:02")
    corrected(k, 2 * MINUTE, "2026-10-05 16:02")
    k.tap(3 * MINUTE, "ben")
    starts = [k.state.timeline.utc_ms(k.session(number).opened) for number in (0, 1)]
    assert starts == [utc_ms("2026-10-05 15:01"), utc_ms("2026-10-05 16:03")]


def test_the_last_sight_of_a_badge_that_is_confirmed_is_its_second_frame() -> None:
    k = Kiosk(lab(machine(debounce_ms=2 * SECOND, no_toggle_ms=0)))
    k.tap(0, "ann", "twice")
    k.tap(250, "ann", "twice")
    k.tap(2_116, "ann", "twice")  # 1,866 ms after the last sight
    k.tap(2_216, "ann", "twice")
    assert k.open() == ["ann"]
    k.tap(4_216, "ann", "twice")  # 2,000 ms
    k.tap(4_316, "ann", "twice")
    assert k.ended() == ("tap_out", 4_216)


def test_how_long_a_process_may_be_chosen_is_a_rule_of_the_machine_also_at_a_shared_reader() -> None:
    processes = tuple(Process(each, NAME, machines=("mill",)) for each in ("A", "B"))
    described = lab(machine(choice_timeout_ms=MINUTE), processes=processes, rules=Rules(choice_timeout_ms=5 * SECOND))
    k = Kiosk(described)
    k.tap(0, "ann", "door")
    k.pick(SECOND, "mill")
    k.pick(31 * SECOND, "mill", "B")
    assert k.session().process == "B"


def test_hours_may_be_entered_by_hand_over_a_session_that_ended_as_it_began() -> None:
    k = Kiosk(lab(machine(day_end=())), (*PEOPLE, apprentice("mia", role="instructor", programme=None)), began_ms=NOON)
    k.tap(HOUR, "ann")
    k.boot(2 * HOUR, last=HOUR)
    assert k.ended() == ("outage", HOUR)
    k.hear(MINUTE, o.ManualAsked("ann", "mill", "ALL", NOON, NOON + 2 * HOUR, "mia", "kiosk_down"))
    assert k.session(1).manual


def test_two_badges_read_together_across_a_restart_count_as_a_day_together() -> None:
    k = Kiosk(lab(machine(crew=2, day_end=(), resume_within_ms=HOUR)))
    for day in range(2):
        k.tap(day * DAY, "ann")
        k.tap(day * DAY + SECOND, "ben")
        k.tap(day * DAY + HOUR, "ann")
        k.tap(day * DAY + HOUR, "ben")
    k.tap(2 * DAY, "ann")
    k.boot(2 * SECOND)
    k.tap(0, "ben")
    assert same_time_pairs(k.state) == {session.id for session in k.sessions[-2:]}
