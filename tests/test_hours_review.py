"""hours.md, section 7: decisions, and hours entered by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hours_fixtures import HOUR, MINUTE, NINE, Kiosk, lab, machine

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.rulebook import adopted


def done() -> Kiosk:
    """Ann worked an hour on a running mill and tapped out."""
    k = Kiosk(lab(machine()))
    k.say(0, "running")
    k.tap(0, "ann")
    k.tap(HOUR, "ann")
    return k


def decide(k: Kiosk, at: int, decision: str, number: int = 0, **more: Any) -> list[e.Body]:
    by = more.pop("by", "ivan")
    return k.hear(at, o.ReviewAsked((k.session(number).id,), decision, by, **more))


def refused(k: Kiosk, at: int, heard: o.Observation) -> str:
    with pytest.raises(o.DecisionRefused) as raised:
        k.hear(at, heard)
    return raised.value.code


def test_a_decision_is_an_entry_with_who_when_and_how_long_after() -> None:
    k = done()
    (entered,) = decide(k, 3 * HOUR, "approved")
    assert isinstance(entered, e.SessionReviewed)
    assert (entered.by, entered.lag_ms, entered.batch, entered.supersedes) == ("ivan", 2 * HOUR, 1, None)
    assert k.shown()["review"] == "approved"


def test_a_later_decision_supersedes_the_earlier_one_and_says_so() -> None:
    k = done()
    decide(k, 2 * HOUR, "approved")
    first = k.session().decisions[0].seq
    (entered,) = decide(k, 3 * HOUR, "rejected", reason="not_present")
    assert isinstance(entered, e.SessionReviewed)
    assert entered.supersedes == first
    assert [d.decision for d in k.session().decisions] == ["approved", "rejected"]


def test_an_adjustment_counts_instead_and_the_original_stays_visible() -> None:
    k = done()
    decide(k, 2 * HOUR, "adjusted", credited_ms=MINUTE, process="ALL", reason="other")
    shown = k.shown()
    assert (shown["credited_ms"], shown["decided_credited_ms"], shown["flags"]) == (HOUR, MINUTE, ["corrected"])


@pytest.mark.parametrize(("credited_ms", "code"), [(0, ""), (HOUR, ""), (HOUR + 1, "x"), (-1, "x"), (None, "x")])
def test_an_adjustment_lies_between_nothing_and_the_presence(credited_ms: int | None, code: str) -> None:
    k = done()
    asked = o.ReviewAsked((k.session().id,), "adjusted", "ivan", credited_ms=credited_ms)
    if code:
        assert refused(k, 2 * HOUR, asked) == "credited_out_of_range"
    else:
        assert k.hear(2 * HOUR, asked)


def test_nobody_decides_on_their_own_or_an_open_or_an_unknown_session() -> None:
    k = done()
    k.tap(2 * HOUR, "ben")
    ids = [s.id for s in k.sessions]
    assert refused(k, 3 * HOUR, o.ReviewAsked((ids[0],), "approved", "ann")) == "own_session"
    assert refused(k, 3 * HOUR, o.ReviewAsked((ids[0],), "approved", "ben")) == "not_instructor"
    assert refused(k, 3 * HOUR, o.ReviewAsked((ids[1],), "approved", "ivan")) == "session_open"
    assert refused(k, 3 * HOUR, o.ReviewAsked((9999,), "approved", "ivan")) == "unknown_session"


def test_clean_sessions_may_be_approved_together_and_one_that_is_not_clean_refuses_all() -> None:
    k = done()
    k.tap(HOUR + MINUTE, "ben")
    k.tap(2 * HOUR, "ben")
    both = tuple(s.id for s in k.sessions)
    k.say(2 * HOUR, "idle")
    k.tap(2 * HOUR, "cem")
    k.tap(3 * HOUR, "cem")
    assert refused(k, 4 * HOUR, o.ReviewAsked((*both, k.session(2).id), "approved", "ivan")) == "not_clean"
    made = k.hear(4 * HOUR, o.ReviewAsked(both, "approved", "ivan"))
    assert [body.batch for body in made if isinstance(body, e.SessionReviewed)] == [2, 2]


def test_a_decided_number_never_changes_because_a_rule_changed_later() -> None:
    k = done()
    k.tap(2 * HOUR, "ben")
    decide(k, 2 * HOUR, "approved")
    described = lab(machine(counts=("idle",), idle_grace_ms=0))
    k.hear(2 * HOUR, o.Adopted(*adopted(described)))
    k.wait(3 * HOUR)
    assert (k.numbers(0).credited_ms, k.numbers(1).credited_ms) == (HOUR, HOUR)
    k.tap(3 * HOUR, "cem")
    k.wait(4 * HOUR)
    assert k.numbers(2).credited_ms == 0  # opened under the new rules


# --- by hand --------------------------------------------------------------------------------------------------------


def by_hand(start: int, end: int, **changed: Any) -> o.ManualAsked:
    values: dict[str, Any] = {"person_ref": "ann", "machine": "mill", "process": "ALL", "by": "ivan", "reason": "other"}
    return o.ManualAsked(start_ms=NINE + start, end_ms=NINE + end, **(values | changed))


def test_a_manual_session_is_credited_as_stated_and_says_so_for_ever() -> None:
    k = done()
    k.hear(3 * HOUR, by_hand(-2 * HOUR, -HOUR))
    shown = k.shown(1)
    assert (shown["start"], shown["end"]) == (NINE - 2 * HOUR, NINE - HOUR)
    assert (shown["credited_ms"], shown["unverified_ms"], shown["uncredited_ms"]) == (HOUR, 0, {})
    assert (shown["evidence"], shown["flags"], shown["review"]) == ("manual", [], "pending")
    decide(k, 4 * HOUR, "adjusted", 1, credited_ms=MINUTE)
    assert (k.shown(1)["evidence"], k.shown(1)["decided_credited_ms"]) == ("manual", MINUTE)


def test_a_manual_session_takes_no_place_and_shares_no_crew() -> None:
    k = Kiosk(lab(machine(crew=2, crew_credit="split")))
    k.say(0, "running")
    k.tap(0, "ben")
    k.hear(2 * HOUR, by_hand(HOUR, 2 * HOUR))
    assert k.open() == ["ben"]
    assert k.numbers(0).credited_ms == 2 * HOUR


def test_no_anchor_moves_what_was_stated_in_utc() -> None:
    k = Kiosk(lab(machine()), synced=False)
    k.hear(3 * HOUR, by_hand(0, HOUR))
    k.synced, k.wall_offset_ms = True, k.wall_offset_ms + 24 * HOUR
    k.hear(4 * HOUR, o.ClockChanged())
    assert (k.shown()["start"], k.shown()["flags"]) == (NINE, [])


def test_how_long_after_hours_by_hand_somebody_decided_goes_by_the_clock_on_the_wall() -> None:
    k = Kiosk(lab(machine()))
    k.wall_offset_ms += 24 * HOUR
    k.hear(HOUR, o.ClockChanged())
    k.hear(2 * HOUR, by_hand(24 * HOUR, 25 * HOUR))
    (entered,) = decide(k, 2 * HOUR, "approved")
    assert isinstance(entered, e.SessionReviewed)
    assert entered.lag_ms == HOUR


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (by_hand(30 * MINUTE, 2 * HOUR), "overlap"),
        (by_hand(HOUR, 2 * HOUR), ""),
        (by_hand(-HOUR, 1), "overlap"),
        (by_hand(-HOUR, 0), ""),
        (by_hand(2 * HOUR, 3 * HOUR), ""),
        (by_hand(2 * HOUR, 3 * HOUR + 1), "not_past"),
        (by_hand(2 * HOUR, 2 * HOUR), "not_past"),
        (by_hand(1 * HOUR, 2 * HOUR, person_ref="zoe"), "unknown_person"),
        (by_hand(1 * HOUR, 2 * HOUR, machine="moon"), "unknown_machine"),
        (by_hand(1 * HOUR, 2 * HOUR, process="NONE"), "unknown_process"),
        (by_hand(1 * HOUR, 2 * HOUR, process=None), ""),
        (by_hand(1 * HOUR, 2 * HOUR, reason=""), "no_reason"),
        (by_hand(1 * HOUR, 2 * HOUR, by="ann"), "own_session"),
        (by_hand(1 * HOUR, 2 * HOUR, by="ben"), "not_instructor"),
    ],
)
def test_what_cannot_be_entered_by_hand_is_refused_by_a_code(asked: o.ManualAsked, code: str) -> None:
    k = done()
    if code:
        assert refused(k, 3 * HOUR, asked) == code
    else:
        assert len(k.hear(3 * HOUR, asked)) == 1
