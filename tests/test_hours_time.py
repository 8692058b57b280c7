"""hours.md, section 8: boots, anchors and labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hours_fixtures import HOUR, MINUTE, NAME, NINE, PEOPLE, Kiosk, lab, machine, utc_ms

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from lab_config.model import Enterprise

DAY = 24 * HOUR


def kiosk(synced: bool = True, **changed: object) -> Kiosk:
    return Kiosk(lab(machine(**changed)), synced=synced)  # type: ignore[arg-type]


def anchors(bodies: list[e.Body]) -> list[str]:
    return [body.source for body in bodies if isinstance(body, e.ClockAnchored)]


def clock(k: Kiosk, at: int, *, steps_ms: int = 0, synced: bool = True) -> list[e.Body]:
    """The wall clock steps, or becomes synchronised."""
    k.synced, k.wall_offset_ms = synced, k.wall_offset_ms + steps_ms
    return k.hear(at, o.ClockChanged())


def test_a_synchronised_boot_is_anchored_once() -> None:
    k = kiosk()
    assert anchors([entry.body for entry in k.entries]) == ["ntp"]
    assert clock(k, MINUTE) == []


@pytest.mark.parametrize(("step", "sources"), [(500, []), (501, ["step"]), (-500, []), (-501, ["step"])])
def test_a_step_of_more_than_half_a_second_is_anchored(step: int, sources: list[str]) -> None:
    assert anchors(clock(kiosk(), MINUTE, steps_ms=step)) == sources


def test_no_step_of_the_wall_clock_alters_a_duration() -> None:
    k = kiosk()
    k.say(0, "running")
    k.tap(0, "ann")
    clock(k, 10 * MINUTE, steps_ms=HOUR)
    clock(k, 20 * MINUTE, steps_ms=-2 * HOUR)
    k.tap(30 * MINUTE, "ann")
    assert k.numbers().credited_ms == 30 * MINUTE
    assert (k.shown()["start"], k.shown()["end"]) == (NINE, NINE + 30 * MINUTE)


def test_a_stamp_resolves_by_the_last_anchor_at_or_before_it_and_before_the_first_by_the_first() -> None:
    k = kiosk(synced=False)
    k.tap(MINUTE, "ann")
    clock(k, 2 * MINUTE, steps_ms=HOUR)
    k.tap(3 * MINUTE, "ben")
    clock(k, 4 * MINUTE, steps_ms=HOUR)
    k.tap(4 * MINUTE, "cem")
    starts = [k.shown(n)["start"] - NINE for n in range(3)]
    assert starts == [HOUR + MINUTE, HOUR + 3 * MINUTE, 2 * HOUR + 4 * MINUTE]


def test_an_unsynchronised_step_anchors_nothing() -> None:
    assert clock(kiosk(synced=False), MINUTE, steps_ms=DAY, synced=False) == []


def test_the_gap_between_two_boots_is_the_difference_of_utc_and_never_negative() -> None:
    k = kiosk(day_end=())
    k.tap(0, "ann")
    k.wait(MINUTE)
    k.boot(5 * MINUTE)
    k.wait(MINUTE)
    assert k.numbers().presence_ms == 7 * MINUTE
    k.boot(0, wall_ms=NINE - DAY)
    k.wait(MINUTE)
    assert k.numbers().presence_ms == 8 * MINUTE


def test_a_restart_of_the_program_in_the_same_boot_goes_on_by_boot_time() -> None:
    k = kiosk()
    k.say(0, "running")
    k.tap(0, "ann")
    k.wait(MINUTE)
    k.hear(3 * MINUTE, o.Booted(e.At("b0", MINUTE)))
    k.say(3 * MINUTE, "running")
    k.tap(4 * MINUTE, "ann")
    assert k.numbers().by_state_ms == {"running": 2 * MINUTE, "unknown": 2 * MINUTE}
    assert k.again().timeline.boot_ids == {"b0"}


def test_without_an_anchor_sessions_are_uncertain_until_there_is_one() -> None:
    k = kiosk(synced=False)
    k.say(0, "running")
    k.tap(0, "ann")
    k.tap(MINUTE, "ann")
    assert k.flags() == ("clock_uncertain",)
    clock(k, 2 * MINUTE)
    assert k.flags() == ()


def test_an_instructor_dates_a_boot_once_and_gaps_are_measured_again() -> None:
    k = kiosk(synced=False, day_end=())
    k.tap(0, "ann")
    k.wait(MINUTE)
    k.boot(0, synced=True, wall_ms=NINE + DAY)
    k.tap(0, "ben")
    assert k.shown(1)["start"] == NINE + DAY
    (entered,) = [
        body
        for body in k.hear(MINUTE, o.BootDated("b0", 0, NINE + 23 * HOUR, "ivan"))
        if isinstance(body, e.ClockAnchored)
    ]
    assert (entered.source, entered.by, entered.at) == ("instructor", "ivan", e.At("b0", 0))
    assert k.shown(0)["start"] == NINE + 23 * HOUR
    for boot, code in (("b0", "already_dated"), ("b0+", "already_dated"), ("b9", "unknown_boot")):
        with pytest.raises(o.DecisionRefused) as raised:
            k.hear(2 * MINUTE, o.BootDated(boot, 0, NINE, "ivan"))
        assert raised.value.code == code


def test_a_short_outage_stays_short_when_the_gap_is_measured_again() -> None:
    k = kiosk(synced=False, day_end=())
    k.tap(0, "ann")
    k.wait(MINUTE)
    k.boot(MINUTE, synced=False)
    k.hear(MINUTE, o.BootDated("b0", 0, NINE, "ivan"))
    k.hear(MINUTE, o.BootDated("b0+", 0, NINE + 3 * MINUTE, "ivan"))
    assert k.open() == ["ann"]
    assert k.numbers().presence_ms == 4 * MINUTE


def test_a_closing_in_a_gap_that_turns_out_shorter_ends_where_the_next_boot_begins() -> None:
    k = kiosk(synced=False, max_session_ms=2 * MINUTE)
    k.tap(0, "ann")
    k.wait(MINUTE)
    k.boot(5 * MINUTE, synced=False)
    assert k.ended() == ("max_session", 2 * MINUTE)
    k.tap(0, "ann")
    k.hear(MINUTE, o.BootDated("b0", 0, NINE, "ivan"))
    k.hear(MINUTE, o.BootDated("b0+", 0, NINE + MINUTE, "ivan"))
    assert (k.span(0), k.span(1)) == ((0, MINUTE), (MINUTE, None))


def test_what_was_decided_in_a_boot_without_a_date_is_released_when_it_is_dated() -> None:
    described = lab(machine(), enterprises=(Enterprise("ent", NAME),))
    row = replace(PEOPLE[0], enterprise="ent", contract="7", consent_until="2030-01-01")
    for dated in ("by an instructor", "by the clock"):
        k = Kiosk(described, (row,), synced=False)
        k.say(0, "running")
        k.tap(0, "ann")
        k.tap(HOUR, "ann")
        made = k.hear(2 * HOUR, o.ReviewAsked((k.session().id,), "approved", "ivan"))
        assert [body.type for body in made] == ["session_reviewed"]
        if dated == "by the clock":
            made = clock(k, 3 * HOUR)
        else:
            made = k.hear(3 * HOUR, o.BootDated("b0", 0, NINE + DAY, "ivan"))
        assert [body.type for body in made] == ["clock_anchored", "record_released"]
        released = made[1]
        assert isinstance(released, e.RecordReleased)
        assert released.record["flags"] == []


def test_the_day_end_follows_the_clock_once_it_is_known() -> None:
    k = kiosk(synced=False, day_end=("23:00",), max_session_ms=20 * HOUR)
    k.tap(0, "ann")
    clock(k, MINUTE, steps_ms=10 * HOUR)  # it is 19:01, not 09:01
    k.wait(4 * HOUR - 1)
    assert k.open() == ["ann"]
    k.wait(4 * HOUR)
    assert k.ended() == ("day_end", 4 * HOUR)


def test_a_session_over_midnight_is_one_session() -> None:
    k = Kiosk(lab(machine()), began_ms=utc_ms("2026-10-05 23:30"))
    k.tap(0, "ann")
    k.tap(HOUR, "ann")
    assert k.numbers().presence_ms == HOUR


def test_the_night_of_29_february_2024_has_an_hour_more() -> None:
    k = Kiosk(lab(machine(day_end=())), began_ms=utc_ms("2024-02-29 22:00"))
    k.tap(0, "ann")
    k.wait(3 * HOUR)
    assert k.state.timeline.local(k.moment()).isoformat() == "2024-03-01T00:00:00+05:00"
    assert k.numbers().presence_ms == 3 * HOUR


def test_what_was_due_after_a_boot_ended_is_not_due_because_the_next_began_at_once() -> None:
    k = kiosk(stale_after_ms=MINUTE)
    k.say(0, "running")
    for number in range(12):
        k.tap(0, f"stranger{number}")
    before = len(k.entries)
    k.wait(1_000)
    k.boot(0)
    assert [entry.body.type for entry in k.entries[before:]] == ["boot_started", "clock_anchored", "state_changed"]
    changed = k.entries[-1].body
    assert isinstance(changed, e.StateChanged)
    assert (changed.cause, changed.at) == ("down", e.At("b0", 1_000))
