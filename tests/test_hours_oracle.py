"""Two implementations of hours.md, event by event: the kiosk's, and the naive one of `oracle.py`."""

from __future__ import annotations

import json
import random
from typing import Any

from hours_histories import LAB, PEOPLE, Line, history, replayed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle


def _without_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_zeros(member) for key, member in value.items() if not (key != "t" and member == 0)}
    return value


def _comparable(result: Line) -> Line:
    """Everything the contract names; the session's own number and what it leaves open are not compared."""
    own = {"session", "decided_credited_ms", "decided_process"}
    return {
        key: _without_zeros(value) if isinstance(value, dict) else value
        for key, value in result.items()
        if key not in own
    }


def disagreement(lines: list[Line]) -> str:
    """What the two say differently about a history; empty where they agree in every field of every line."""
    oracle = Oracle(LAB, PEOPLE)
    for line in lines:
        oracle.line(line)
    ours = [_comparable(result) for result in replayed(lines).results()]
    theirs = [_comparable(result) for result in oracle.results()]
    if ours == theirs:
        return ""
    told = [f"{len(ours)} lines of ours, {len(theirs)} of theirs"]
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            keys = [key for key in one | other if one.get(key) != other.get(key)]
            told += [f"ours   {one}", f"theirs {other}", f"differ in {keys}"]
            break
    return "\n".join([*(json.dumps(line) for line in lines), *told])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data(), length=st.integers(1, 40))
def test_both_agree_on_small_histories_and_shrink_what_they_do_not(data: st.DataObject, length: int) -> None:
    lines = history(lambda choices: data.draw(st.sampled_from(choices)), length)
    assert disagreement(lines) == ""


def test_both_agree_on_hundreds_of_long_adversarial_days() -> None:
    for seed in range(300):
        lines = history(random.Random(seed).choice, 60 + seed % 60)
        assert disagreement(lines) == "", f"seed {seed}"
