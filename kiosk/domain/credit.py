"""From a session's stretches to credited time, with a reason for every millisecond that is not (hours, section 5).

Pure arithmetic on `[start, end)` stretches of one axis in milliseconds. Nothing is rounded but a crew's shares, once a
session and state, half to even.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import NamedTuple

AFTER_ALL = "\U0010ffff"
"""Sorts after every state: (moment, AFTER_ALL) is past all changes at that moment."""


class Stretch(NamedTuple):
    """A machine was in one state from `start` to before `end`."""

    start: int
    end: int
    state: str

    @property
    def length_ms(self) -> int:
        """Its duration."""
        return self.end - self.start


_stretch = partial(tuple.__new__, Stretch)
"""Of a triple: a third of the time of the named tuple's own constructor."""


@dataclass(frozen=True)
class Terms:
    """The rules one session is credited by."""

    counts: frozenset[str]
    idle_grace_ms: int
    presence_counts: bool = False
    split: bool = False
    observer: bool = False
    has_source: bool = False
    """Is there anything that tells of the machine's states?"""
    long_session_ms: int = 0


class Credit(NamedTuple):
    """What the rules make of a session. Credited plus uncredited is the presence."""

    presence_ms: int
    by_state_ms: dict[str, int]
    credited_ms: int
    unverified_ms: int
    uncredited_ms: dict[str, int]
    counted_ms: int = 0
    """Machine time in counted states, whoever shares it."""


_credit = partial(tuple.__new__, Credit)


def cut(history: Sequence[tuple[int, str]], start: int, end: int) -> list[Stretch]:
    """The maximal stretches of `[start, end)`.

    `history` holds (moment, state) in ascending order; each holds until the next. A stretch of zero length does not
    exist, and neighbours in the same state are one.
    """
    first = max(bisect_right(history, (start, AFTER_ALL)) - 1, 0)
    return stretched([*history[first : bisect_left(history, (end, ""), first)], (end, "")], start)


def stretched(changes: Iterable[tuple[int, str]], start: int) -> list[Stretch]:
    """The same of changes that are all looked at: from the one that holds at `start` on; the last one is the end."""
    stretches: list[Stretch] = []
    state, left = None, start  # what holds from `left` on, where anything is known of it
    for at, following in changes:
        if following == state:
            continue
        if at > left:
            if state is not None:
                if stretches and stretches[-1].state == state:  # what was between had no length
                    left = stretches.pop().start
                stretches.append(_stretch((left, at, state)))
            left = at
        state = following
    return stretches


def credit(stretches: Sequence[Stretch], terms: Terms, crew: Sequence[tuple[int, int]] = ()) -> Credit:
    """Credit a session of these stretches.

    `crew` holds (moment, operators present) in ascending order and is looked at only where credit is split.
    """
    by_state: dict[str, int] = {}
    codes: dict[str, int] = {}
    credited: list[tuple[int, int, str]] = []
    presence = counted = whole = 0
    # An idle stretch has its grace after one that counts; at the very beginning, before one.
    grace = len(stretches) > 1 and stretches[1].state in terms.counts
    for start, end, state in stretches:
        length = ms = end - start
        presence += length
        by_state[state] = by_state.get(state, 0) + length
        counts = state in terms.counts
        if counts:
            counted += length
        elif not terms.presence_counts:
            ms = min(length, terms.idle_grace_ms) if grace and state == "idle" else 0
            if ms < length:
                code = _why_not(state, grace)
                codes[code] = codes.get(code, 0) + length - ms
        grace = counts
        if ms and terms.split:
            credited.append((start, start + ms, state))
        whole += ms
    if terms.observer:
        return Credit(presence, by_state, 0, 0, {"observer": presence} if presence else {}, counted)
    share = _shares(credited, crew) if terms.split else whole
    if share < whole:
        codes["shared"] = whole - share
    unverified = 0 if terms.presence_counts else by_state.get("unknown", 0)
    return _credit((presence, by_state, share, unverified, codes, counted))


def stated_credit(presence_ms: int) -> Credit:
    """What an instructor entered: credited as stated; of the machine nothing is known."""
    return Credit(presence_ms, {"unknown": presence_ms} if presence_ms else {}, presence_ms, 0, {})


@cache
def _why_not(state: str, grace: bool) -> str:
    """The code of what is not credited of a stretch in a state that does not count."""
    if state == "unknown":
        return "unknown"
    return "idle_over_grace" if grace and state == "idle" else f"not_counted:{state}"


def _shares(credited: Iterable[tuple[int, int, str]], crew: Sequence[tuple[int, int]]) -> int:
    """One operator's part of what is credited, rounded once a state."""
    exact: dict[str, Fraction] = {}
    for start, end, state in credited:
        for ms, operators in _present(start, end, crew):
            exact[state] = exact.get(state, Fraction(0)) + Fraction(ms, max(operators, 1))
    return sum(round(part) for part in exact.values())


def _present(start: int, end: int, crew: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The stretch in pieces of (duration, operators present)."""
    index = bisect_right(crew, start, key=lambda change: change[0]) - 1
    left = start
    while left < end:
        right = min(crew[index + 1][0], end) if index + 1 < len(crew) else end
        if right > left:
            yield right - left, crew[index][1] if index >= 0 else 1
        left = max(left, right)
        index += 1


def crew_changes(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """How many operators are present from each moment on, out of their `[start, end)` intervals."""
    steps: dict[int, int] = {}
    for start, end in intervals:
        if end > start:
            steps[start] = steps.get(start, 0) + 1
            steps[end] = steps.get(end, 0) - 1
    present = 0
    changes = []
    for moment in sorted(steps):
        present += steps[moment]
        changes.append((moment, present))
    return changes
