"""Durations, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_config.durations import LONGEST_MS, UNITS_MS, format_duration, parse_duration


@given(st.integers(0, LONGEST_MS))
def test_what_is_formatted_reads_back_to_the_millisecond(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.dictionaries(st.sampled_from(list(UNITS_MS)), st.integers(0, 999), min_size=1), st.sampled_from(["", " "]))
def test_each_unit_adds_its_part(counts: dict[str, int], space: str) -> None:
    text = space.join(f"{counts[unit]}{unit}" for unit in UNITS_MS if unit in counts)
    assert parse_duration(text) == sum(count * UNITS_MS[unit] for unit, count in counts.items())


@given(st.one_of(st.text(max_size=20), st.floats(), st.integers(), st.booleans(), st.none(), st.binary(max_size=3)))
def test_anything_else_is_a_sentence_about_what_is_wrong(value: object) -> None:
    told = "."
    try:
        milliseconds = parse_duration(value)
    except ValueError as error:
        milliseconds, told = 0, str(error)
    assert 0 <= milliseconds <= LONGEST_MS
    assert told.endswith(".")


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("3s", 3_000),
        ("10min", 600_000),
        ("1h30min", 5_400_000),
        ("168h45min", 607_500_000),
        ("500ms", 500),
        ("2d", 172_800_000),
        ("33.75h", 121_500_000),
        (" 1 h 30 min ", 5_400_000),
        (90, 90_000),
        (0.25, 250),
        (0.1, 100),
        (0, 0),
    ],
)
def test_texts_and_numbers_of_seconds_are_durations(written: object, milliseconds: int) -> None:
    assert parse_duration(written) == milliseconds


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "empty"),
        ("soon", "not a duration"),
        ("5", "not a duration"),
        ("5m", "not a unit"),
        ("5H", "not a unit"),
        ("30min1h", "large to small"),
        ("1h1h", "large to small"),
        ("-3s", "not a duration"),
        (-3, "negative"),
        (True, "not a duration"),
        (float("inf"), "not a duration"),
        (["3s"], "not a duration"),
        (0.0001, "finer"),
        ("0.5ms", "finer"),
        ("40000d", "hundred years"),
        ("٣s", "not a duration"),
    ],
)
def test_what_is_no_duration_is_told_why(written: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_duration(written)
