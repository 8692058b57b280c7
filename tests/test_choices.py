"""What a screen offers is what comes of the touch: the choice and the rules never disagree."""

from __future__ import annotations

from hours_fixtures import Kiosk, lab, machine
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.choices import machine_choices
from kiosk.domain.core import Core
from lab_config.model import Lab

WHO = ("ann", "ben", "cem", "dan")
WHERE = ("mill", "full", "watch", "strict")
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(WHO), st.sampled_from(WHERE), st.sampled_from((4_000, 12_000, 600_000))),
        st.tuples(st.just("lock"), st.sampled_from(WHERE), st.just(1_000)),
        st.tuples(st.just("grant"), st.sampled_from(WHO), st.just(1_000)),
    ),
    max_size=12,
)


def workshop() -> Lab:
    """One machine that is handed over, one that is full, one to watch at, one that refuses."""
    return lab(
        machine("mill"),
        machine("full", when_full="refuse"),
        machine("watch", requires=("q",), observers=True),
        machine("strict", requires=("q",)),
    )


def outcome(bodies: list[e.Body], person: str) -> tuple[str, str]:
    """What the entries say came of a touch of `person`."""
    for body in bodies:
        match body:
            case e.TapRefused(person_ref=ref, reason=reason) if ref == person:
                return "refused", reason
            case e.TapRead(person_ref=ref, outcome="still_on") if ref == person:
                return "still_on", ""
            case e.TapRead(person_ref=ref, outcome="handed_over") if ref == person:
                return "told", ""
            case e.SessionOpened(person_ref=ref, role=role) if ref == person:
                return ("in" if role == "operator" else "observer"), ""
            case e.SessionClosed(person_ref=ref, reason="tap_out") if ref == person:
                return "out", ""
    return "nothing", ""


def test_who_is_no_longer_active_is_offered_nothing() -> None:
    kiosk = Kiosk(workshop())
    kiosk.hear(1_000, o.PersonListed("ann", "apprentice", "trade", active=False))
    found = machine_choices(kiosk.state, "ann", kiosk.moment(1_000))
    assert {(choice.outcome, choice.reason) for choice in found} == {("refused", "person_inactive")}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_what_the_choice_says_is_what_a_touch_then_does(done: list[tuple[str, str, int]]) -> None:
    kiosk = Kiosk(workshop())
    for who, where, gap_ms in done:
        now = kiosk.now + gap_ms
        if who == "lock":
            kiosk.hear(now, o.LockAsked(where, not kiosk.state.machine(where).locked, "i1"))
        elif who == "grant":
            kiosk.hear(now, o.QualificationHeld(where, "q", None, "i1"))
        else:
            kiosk.tap(now, who, "door")
            kiosk.pick(now, where)
    now = kiosk.now + 4_000
    kiosk.wait(now)
    stamp = e.Stamp(kiosk.boot_id, now, kiosk.wall_offset_ms + now, kiosk.synced)
    for person in WHO:
        offered = machine_choices(kiosk.state, person, kiosk.moment(now))
        assert {choice.machine for choice in offered} == set(WHERE)
        for choice in offered:
            other = Core(nonce=lambda: "")
            other.state = kiosk.again()
            list(other.hear(stamp, o.BadgeRead("door", person.upper())))
            bodies = [entry.body for entry in other.hear(stamp, o.Picked("door", choice.machine, None))]
            assert outcome(bodies, person) == (choice.outcome, choice.reason)
