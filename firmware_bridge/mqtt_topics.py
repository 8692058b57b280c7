"""Topic filters: as few subscriptions as hear everything once, and who asked for which topic.

Two filters that match the same topic may bring its messages twice (MQTT 3.1.1, 3.3.5: a server may send a copy for each
subscription). So no two filters that we subscribe to have a topic in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from paho.mqtt.matcher import MQTTMatcher

KNOWN_MAX = 1_024
"""Topics whose listeners are remembered; a filter with a wildcard may match any number."""


def fewest(filters: Iterable[str]) -> tuple[str, ...]:
    """Filters that match all that `filters` match, no topic twice; where two overlap, the one that covers both."""
    apart: list[str] = []
    for one in dict.fromkeys(filters):
        wide = one
        while (other := next((each for each in apart if overlap(each, wide)), None)) is not None:
            apart.remove(other)
            wide = joined(other, wide)
        apart.append(wide)
    return tuple(apart)


def overlap(one: str, other: str) -> bool:
    """Is there a topic that both filters match?"""
    if one.startswith("$") != other.startswith("$"):
        return False  # a wildcard in the first place does not match the broker's own topics (4.7.2)
    for left, right in zip_longest(one.split("/"), other.split("/")):
        if "#" in (left, right):
            return True
        if left != right and ("+" not in (left, right) or None in (left, right)):
            return False
    return True


def joined(one: str, other: str) -> str:
    """The narrowest filter that matches whatever either of two overlapping filters matches."""
    levels: list[str] = []
    for left, right in zip_longest(one.split("/"), other.split("/")):
        if "#" in (left, right):
            return "/".join((*levels, "#"))
        levels.append(left if left == right else "+")
    return "/".join(levels)


class Routes:
    """Which of several listeners asked for a topic."""

    def __init__(self, filters: Mapping[int, Iterable[str]]) -> None:
        """`filters`: the topic filters of each listener, by its number."""
        self._known: dict[str, list[int]] = {}
        asked: dict[str, list[int]] = {}
        for listener, topics in filters.items():
            for topic in dict.fromkeys(topics):
                asked.setdefault(topic, []).append(listener)
        self._matcher = MQTTMatcher()  # type: ignore[no-untyped-call]
        for topic, listeners in asked.items():
            self._matcher[topic] = tuple(listeners)

    def concerned(self, topic: str) -> list[int]:
        """The listeners of `topic`, each once, in their order."""
        known = self._known.get(topic)
        if known is None:
            matches = self._matcher.iter_match(topic)  # type: ignore[no-untyped-call]
            known = sorted({listener for listeners in matches for listener in listeners})
            if len(self._known) < KNOWN_MAX:
                self._known[topic] = known
        return known
