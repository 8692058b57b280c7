"""Topic filters: everything is heard, and by one subscription only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from firmware_bridge.mqtt_topics import Routes, fewest, joined, overlap

LEVEL = st.sampled_from(["a", "b", "$SYS", ""])
TOPICS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    """Any filter that MQTT allows."""
    levels = draw(st.lists(st.sampled_from(["a", "b", "+", "$SYS", ""]), min_size=1, max_size=4))
    return "/".join([*levels, "#"] if draw(st.booleans()) else levels) or "+"


@given(st.lists(filters(), max_size=6), TOPICS)
def test_what_any_filter_matches_exactly_one_subscription_matches(asked: list[str], topic: str) -> None:
    wanted = any(topic_matches_sub(each, topic) for each in asked)
    subscriptions = [each for each in fewest(asked) if topic_matches_sub(each, topic)]
    assert len(subscriptions) <= 1
    assert subscriptions or not wanted


@given(st.lists(st.lists(filters(), max_size=3), max_size=4), TOPICS)
def test_a_message_goes_to_each_listener_that_asked_for_it_once(asked: list[list[str]], topic: str) -> None:
    routes = Routes(dict(enumerate(asked)))
    expected = [n for n, own in enumerate(asked) if any(topic_matches_sub(each, topic) for each in own)]
    assert routes.concerned(topic) == expected


@pytest.mark.parametrize(
    ("one", "other", "covering"),
    [
        ("a/+", "a/b", "a/+"),
        ("a/#", "a", "a/#"),
        ("a/#", "a/+/c", "a/#"),
        ("a/+/c", "a/b/+", "a/+/+"),
        ("+/b/#", "a/+", "+/+/#"),
    ],
)
def test_filters_that_overlap_are_joined_into_the_narrowest_that_covers_both(
    one: str, other: str, covering: str
) -> None:
    assert overlap(one, other)
    assert joined(one, other) == covering


@pytest.mark.parametrize(("one", "other"), [("a/b", "a/c"), ("a/+", "a/b/c"), ("+/x", "$SYS/x"), ("a/+/c", "a/b")])
def test_filters_without_a_common_topic_stay_apart(one: str, other: str) -> None:
    assert fewest([one, other]) == (one, other)


def test_a_filter_that_another_covers_is_not_subscribed_to() -> None:
    assert fewest(["tele/m/SENSOR", "tele/m/+", "tele/m/+", "x"]) == ("tele/m/+", "x")
