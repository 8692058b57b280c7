"""hours.md, section 3: what a badge read comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hours_fixtures import HOUR, MINUTE, NAME, PEOPLE, Kiosk, apprentice, lab, machine, reads, refusals, utc_ms

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from lab_config.model import Process, Programme, Rules

TWO = (machine("mill"), machine("saw"))


def kiosk(**changed: object) -> Kiosk:
    return Kiosk(lab(machine(**changed), machine("saw")))  # type: ignore[arg-type]


# --- confirmation and de-bounce -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("second", "believed"), [(1_499, True), (1_500, False)])
def test_a_confirming_reader_wants_two_equal_frames_less_than_500_ms_apart(second: int, believed: bool) -> None:
    k = kiosk()
    assert k.tap(1_000, "ann", "twice") == []
    k.tap(second, "ann", "twice")
    assert k.open() == (["ann"] if believed else [])
    if believed:
        assert k.span() == (1_000, None)


def test_another_badge_between_two_equal_frames_confirms_neither() -> None:
    k = kiosk()
    for at, who in ((1_000, "ann"), (1_100, "ben"), (1_200, "ann")):
        k.tap(at, who, "twice")
    assert k.open() == []
    k.tap(1_300, "ann", "twice")
    assert k.span() == (1_200, None)


def test_a_read_dated_back_is_never_dated_before_an_entry_already_made() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "twice")
    k.tap(1_200, "ben", "saw")
    k.tap(1_400, "ann", "twice")
    assert k.span(1) == (1_200, None)


def test_a_deadline_between_two_frames_counts_at_its_own_moment() -> None:
    k = kiosk(max_session_ms=10_000)
    k.tap(0, "ben")
    k.tap(9_900, "ann", "twice")
    k.tap(10_300, "ann", "twice")  # nothing woke the kiosk in between
    assert k.ended(0) == ("max_session", 10_000)
    assert k.span(1) == (10_000, None)


def test_half_a_confirmation_does_not_survive_a_start() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "twice")
    k.boot(100)
    k.tap(0, "ann", "twice")
    assert k.open() == []


@pytest.mark.parametrize(("gap", "same"), [(2_999, True), (3_000, False)])
def test_a_badge_seen_again_within_debounce_of_its_last_sight_is_the_same_read(gap: int, same: bool) -> None:
    k = kiosk(no_toggle_ms=0)
    k.tap(0, "ann")
    k.tap(2_500, "ann")
    made = k.tap(2_500 + gap, "ann")
    assert made == [] if same else k.ended() == ("tap_out", 5_500)


def test_a_card_left_on_the_reader_does_nothing_for_hours() -> None:
    k = kiosk()
    k.tap(0, "ann")
    for at in range(2_000, HOUR, 2_000):
        assert k.tap(at, "ann") == []
    assert k.open() == ["ann"]


def test_debounce_is_of_one_badge_at_one_reader() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.tap(1_000, "ann", "saw")
    k.tap(1_500, "ben", "saw")
    assert k.open("saw") == ["ben"]
    assert k.open("mill") == []


def test_debounce_does_not_survive_a_start() -> None:
    k = kiosk(no_toggle_ms=0)
    k.tap(0, "ann")
    k.boot(1_000)
    k.tap(0, "ann")
    assert k.open() == []


# --- the roster -----------------------------------------------------------------------------------------------------


def test_ten_unknown_badges_within_a_minute_are_entered_and_the_rest_are_one_entry_with_a_count() -> None:
    k = kiosk()
    for number in range(15):
        made = k.tap(number * 4_000, f"stranger{number}")
        assert refusals(made) == (["unknown_badge"] if number < 10 else [])
    assert k.wait(59_999) == []
    counted = k.wait(60_000)
    assert [(body.count, body.at.boot_ms) for body in counted if isinstance(body, e.TapRefused)] == [(5, 60_000)]
    assert refusals(k.tap(60_000, "another")) == ["unknown_badge"]


def test_a_blocked_badge_is_refused_and_the_persons_other_badge_is_not() -> None:
    k = Kiosk(lab(*TWO), (replace(PEOPLE[0], badges=("ANN", "ANN2")),))
    k.hear(0, o.BadgeLost("ANN2"))
    assert refusals(k.tap(1_000, "ann2")) == ["badge_blocked"]
    k.tap(2_000, "ann")
    assert k.open() == ["ann"]


def test_a_block_changes_no_session_that_is_open() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.hear(1_000, o.BadgeLost("ANN"))
    assert k.open() == ["ann"]
    assert refusals(k.tap(20_000, "ann")) == ["badge_blocked"]
    assert k.open() == ["ann"]


def test_an_inactive_person_is_refused() -> None:
    k = Kiosk(lab(*TWO), (apprentice("ann", active=False),))
    assert refusals(k.tap(0, "ann")) == ["person_inactive"]


def test_an_instructors_badge_opens_no_session() -> None:
    k = Kiosk(lab(*TWO), (apprentice("ivan", role="instructor"),))
    assert reads(k.tap(0, "ivan")) == ["instructor"]
    assert k.sessions == []


# --- at the machine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "reason"), [(9_999, None), (10_000, "tap_out")])
def test_within_no_toggle_of_its_opening_a_session_is_only_shown(at: int, reason: str | None) -> None:
    k = kiosk()
    k.tap(0, "ann")
    made = k.tap(at, "ann")
    assert k.session().reason == reason
    assert reads(made) == ([] if reason else ["still_on"])


def test_a_tap_elsewhere_moves_the_person_in_one_transaction() -> None:
    k = kiosk()
    k.tap(0, "ann")
    made = k.tap(60_000, "ann", "saw")
    assert [type(body) for body in made] == [e.SessionClosed, e.SessionOpened]
    assert k.ended(0) == ("moved", 60_000)
    assert (k.session(0).closed_by, k.span(1)) == ("person", (60_000, None))


def test_refused_elsewhere_nothing_else_changes() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.hear(1_000, o.LockAsked("saw", True, "ivan"))
    assert refusals(k.tap(60_000, "ann", "saw")) == ["machine_locked"]
    assert k.open() == ["ann"]


def test_a_lock_changes_no_session_that_is_open_and_lets_people_out() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.hear(1_000, o.LockAsked("mill", True, "ivan"))
    k.tap(60_000, "ann")
    assert k.ended() == ("tap_out", 60_000)


def test_a_handover_closes_the_longest_present_operator() -> None:
    k = kiosk(crew=2, when_full="handover")
    for at, who in ((0, "ann"), (10_000, "ben"), (20_000, "cem")):
        k.tap(at, who)
    assert k.open() == ["ben", "cem"]
    assert (k.ended(0), k.session(0).closed_by) == (("handover", 20_000), "other")


def test_the_late_tap_of_who_was_handed_over_only_tells_and_the_next_takes_over() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.tap(60_000, "ben")
    assert reads(k.tap(70_000, "ann")) == ["handed_over"]
    assert k.open() == ["ben"]
    k.tap(80_000, "ann")
    assert k.open() == ["ann"]


def test_who_was_handed_over_and_has_opened_any_session_since_is_not_told() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.tap(60_000, "ben")
    k.tap(70_000, "ann", "saw")
    k.tap(90_000, "ann")
    assert k.open() == ["ann"]


def test_a_handover_not_yet_told_survives_a_start_but_not_the_day() -> None:
    k = Kiosk(lab(machine(day_end=())), began_ms=utc_ms("2026-10-05 23:50"))
    k.tap(0, "ann")
    k.tap(60_000, "ben")
    k.boot(30_000)
    assert reads(k.tap(0, "ann")) == ["handed_over"]
    k.tap(30_000, "ann")
    k.tap(60_000, "ben")  # he is told
    k.tap(70_000, "ben")
    k.tap(10 * MINUTE, "ann")  # the next day
    assert k.open() == ["ann"]


def test_a_handover_tells_only_at_that_machine() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.tap(60_000, "ben")
    assert reads(k.tap(70_000, "ann", "saw")) == []
    assert k.open("saw") == ["ann"]


# --- admission ------------------------------------------------------------------------------------------------------

NEEDS = ("briefing:cnc", "qualification:mill")


def test_every_missing_item_is_named() -> None:
    k = kiosk(requires=NEEDS)
    (refused,) = k.tap(0, "ann")
    assert isinstance(refused, e.TapRefused)
    assert (refused.reason, refused.missing) == ("not_qualified", NEEDS)


@pytest.mark.parametrize(("began", "reason"), [("2026-10-05 23:59", []), ("2026-10-06 00:00", ["not_qualified"])])
def test_until_is_the_last_valid_local_day(began: str, reason: list[str]) -> None:
    people = (apprentice("ann", qualifications=(("briefing:cnc", "2026-10-05"),)),)
    k = Kiosk(lab(machine(requires=NEEDS[:1])), people, began_ms=utc_ms(began))
    assert refusals(k.tap(0, "ann")) == reason


def test_who_lacks_something_observes_where_that_is_allowed_even_beside_a_full_crew() -> None:
    k = Kiosk(
        lab(machine(requires=NEEDS[:1], observers=True)),
        (apprentice("ann", qualifications=(("briefing:cnc", None),)), apprentice("ben")),
    )
    k.tap(0, "ann")
    k.tap(1_000, "ben")
    assert [(s.person_ref, s.role) for s in k.sessions] == [("ann", "operator"), ("ben", "observer")]
    assert k.open() == ["ann", "ben"]


def test_a_lock_is_looked_at_before_qualifications() -> None:
    k = kiosk(requires=NEEDS, observers=True)
    k.hear(0, o.LockAsked("mill", True, "ivan"))
    assert refusals(k.tap(1_000, "ann")) == ["machine_locked"]


def test_a_full_machine_hands_over_refuses_or_lets_watch() -> None:
    for when_full, outcome in (("handover", "operator"), ("observe", "observer"), ("refuse", None)):
        k = kiosk(when_full=when_full, observers=True)
        k.tap(0, "ann")
        made = k.tap(60_000, "ben")
        assert refusals(made) == ([] if outcome else ["machine_full"])
        assert [s.role for s in k.sessions[1:]] == ([outcome] if outcome else [])


def test_observers_take_no_place() -> None:
    k = kiosk(when_full="observe", observers=True)
    k.tap(0, "ann")
    k.tap(1_000, "ben")
    k.tap(20_000, "ann")
    k.tap(30_000, "cem")
    assert [s.role for s in k.sessions] == ["operator", "observer", "operator"]


def test_watching_a_neighbour_ends_nobodys_hours() -> None:
    k = kiosk(requires=NEEDS, observers=True)
    k.tap(0, "ann", "saw")
    assert refusals(k.tap(1_000, "ann")) == ["busy_elsewhere"]
    assert k.open("saw") == ["ann"]


def test_an_observer_who_operates_elsewhere_or_watches_elsewhere_moves() -> None:
    k = Kiosk(lab(machine(requires=NEEDS, observers=True), machine("lathe", requires=NEEDS, observers=True), TWO[1]))
    k.tap(0, "ann")
    k.tap(10_000, "ann", "lathe")
    k.tap(20_000, "ann", "saw")
    assert [(s.machine, s.role, s.reason) for s in k.sessions] == [
        ("mill", "observer", "moved"),
        ("lathe", "observer", "moved"),
        ("saw", "operator", None),
    ]


# --- the shared reader ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "opened"), [(15_999, True), (16_000, False)])
def test_a_pick_takes_the_waiting_read_to_a_machine_at_its_own_moment(at: int, opened: bool) -> None:
    k = kiosk()
    assert reads(k.tap(1_000, "ann", "door")) == ["pick"]
    k.pick(at, "saw")
    assert k.open("saw") == (["ann"] if opened else [])
    if opened:
        assert k.span() == (at, None)


def test_a_pick_uses_up_its_read_and_does_nothing_without_one() -> None:
    k = kiosk()
    assert k.pick(0, "saw") == []
    k.tap(1_000, "ann", "door")
    k.pick(2_000, "saw")
    assert k.pick(3_000, "mill") == []
    assert k.open("saw") == ["ann"]


def test_a_pick_on_the_own_machine_taps_out() -> None:
    k = kiosk()
    k.tap(0, "ann")
    k.tap(60_000, "ann", "door")
    k.pick(61_000, "mill")
    assert k.ended() == ("tap_out", 61_000)


def test_a_pick_is_refused_at_its_own_moment() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "door")
    k.hear(2_000, o.LockAsked("saw", True, "ivan"))
    (refused,) = k.pick(3_000, "saw")
    assert isinstance(refused, e.TapRefused)
    assert (refused.reason, refused.at.boot_ms) == ("machine_locked", 3_000)


def test_a_badge_blocked_between_its_read_and_its_pick_is_refused() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "door")
    k.hear(2_000, o.BadgeLost("ANN"))
    assert refusals(k.pick(3_000, "saw")) == ["badge_blocked"]


def test_a_newer_read_of_another_apprentice_replaces_an_older_one_and_a_stranger_does_not() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "door")
    k.tap(2_000, "nobody", "door")
    k.pick(3_000, "saw")
    assert k.open("saw") == ["ann"]
    k.tap(10_000, "ben", "door")
    k.tap(11_000, "cem", "door")
    k.pick(12_000, "mill")
    assert k.open("mill") == ["cem"]


def test_a_sight_that_is_the_same_read_does_not_renew_it() -> None:
    k = kiosk()
    for at in range(0, 15_000, 2_000):
        k.tap(at, "ann", "door")
    k.pick(15_000, "saw")
    assert k.open("saw") == []


def test_an_unpicked_read_does_not_survive_a_start() -> None:
    k = kiosk()
    k.tap(1_000, "ann", "door")
    k.boot(1_000)
    assert k.pick(0, "saw") == []


# --- the work process -----------------------------------------------------------------------------------------------

CHOICES = (
    Process("ONE", NAME, machines=("saw", "class:cnc")),
    Process("TWO", NAME, machines=("mill",)),
    Process("FAR", NAME, machines=("saw",)),
)


def trade(**changed: object) -> Kiosk:
    mill = machine("mill", machine_class="cnc", **changed)  # type: ignore[arg-type]
    return Kiosk(lab(mill, machine("saw"), processes=CHOICES))


def test_the_first_configured_process_of_the_machine_or_its_class_is_taken() -> None:
    k = trade()
    k.tap(0, "ann")
    assert k.session().process == "ONE"


@pytest.mark.parametrize(("at", "process"), [(14_999, "TWO"), (15_000, "ONE")])
def test_a_choice_within_choice_timeout_of_the_opening_replaces_it(at: int, process: str) -> None:
    k = trade()
    k.tap(0, "ann")
    k.pick(at, "mill", "TWO", reader="mill")
    assert k.session().process == process


def test_the_next_session_there_takes_the_persons_last_process() -> None:
    k = trade()
    k.tap(0, "ann")
    k.pick(1_000, "mill", "TWO", reader="mill")
    k.tap(60_000, "ann")
    k.tap(120_000, "ann")
    k.tap(180_000, "ben")
    assert [s.process for s in k.sessions] == ["TWO", "TWO", "ONE"]


def test_a_process_of_another_machine_or_of_nobody_cannot_be_chosen() -> None:
    k = trade()
    k.tap(0, "ann")
    for process in ("FAR", "NONE", None):
        assert k.pick(1_000, "mill", process, reader="mill") == []
    assert k.session().process == "ONE"


def test_a_choice_is_for_the_session_that_the_reader_opened_last() -> None:
    k = trade(crew=2)
    k.tap(0, "ann")
    k.tap(1_000, "ben")
    k.pick(2_000, "mill", "TWO", reader="mill")
    assert [s.process for s in k.sessions] == ["ONE", "TWO"]


def test_without_a_process_the_rules_say_what_counts() -> None:
    described = lab(machine(counts=("idle",)), rules=Rules(counts=("idle",)))
    k = Kiosk(replace(described, programmes=(Programme("other", NAME),)))
    k.say(0, "idle")
    k.tap(0, "ann")
    k.wait(60_000)
    assert (k.session().process, k.numbers().credited_ms) == (None, 60_000)
    assert k.flags() == ("no_process",)


def test_a_process_for_which_no_state_counts_credits_nothing() -> None:
    k = Kiosk(lab(machine(), processes=(Process("NONE", NAME, machines=("mill",), counts=()),)))
    k.say(0, "running")
    k.tap(0, "ann")
    k.wait(60_000)
    assert k.numbers().uncredited_ms == {"not_counted:running": 60_000}
