"""The record an enterprise receives: read strictly, its times to the millisecond."""

from __future__ import annotations

import json

import pytest
from delivery_fixtures import LOG, record
from hypothesis import given
from hypothesis import strategies as st

from kiosk.domain.utc import utc_text
from kiosk.records import RecordError, fingerprint, parse_record, strict_json, utc_ms

YEAR_9999 = 253_402_300_799_999


def test_the_contract_s_example_is_read() -> None:
    example = """{"v":1,"type":"hours.session","id":"0b3e8a52-63a5-4f0c-9d6b-111111111111","revision":1,
     "supersedes":null,"lab":"ktsk-w3","log":"ktsk-w3/8c1f","person_seq":17,"person_ref":"aa","machine":{"id":"mill-1","class":"cnc_mill"},
     "programme":"cnc-operator","process":"CNC3",
     "start":"2026-10-29T11:05:00.000Z","end":"2026-10-29T13:31:00.000Z","local_date":"2026-10-29",
     "presence_ms":8760000,"by_state_ms":{"running":6120000,"setup":1500000,"idle":1140000},
     "credited_ms":7920000,"unverified_ms":0,"evidence":"badge+machine","flags":[],
     "review":{"decision":"approved","by":"i1","at":"2026-10-29T15:02:11.000Z","reason":null},
     "rules":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"""
    read = parse_record(json.loads(example))
    assert (read.end_ms - read.start_ms, read.credited_ms, read.person_seq) == (8_760_000, 7_920_000, 17)
    assert read.origin == "sheber/ktsk-w3/8c1f"
    assert read.decided_at_ms is not None
    assert utc_text(read.decided_at_ms) == "2026-10-29T15:02:11.000Z"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"type": "hours.day"},
        {"id": "7"},
        {"id": "0B3E8A52-63A5-4F0C-9D6B-111111111111"},
        {"revision": 0},
        {"revision": 1.0},
        {"revision": 2, "supersedes": None},
        {"supersedes": 1},
        {"supersedes": []},
        {"lab": ""},
        {"lab": "other"},
        {"log": "line\nbreak"},
        {"person_seq": -1},
        {"person_seq": True},
        {"person_seq": 2**53},
        {"machine": "mill-1"},
        {"machine": {"id": "mill-1"}},
        {"process": 3},
        {"start": "2026-10-29T11:05:00Z"},
        {"start": "2026-10-29T11:05:00.000+05:00"},
        {"start": "2026-13-29T11:05:00.000Z"},
        {"end": "2020-01-01T00:00:00.000Z"},
        {"local_date": "20261029"},
        {"presence_ms": "8760000"},
        {"credited_ms": 1.5},
        {"credited_ms": -1},
        {"by_state_ms": {"flying": 1}},
        {"by_state_ms": {"running": None}},
        {"evidence": "hearsay"},
        {"flags": "overlap"},
        {"flags": [1]},
        {"review": None},
        {"review": {"decision": "maybe", "by": "i1", "at": None, "reason": None}},
        {"rules": "x"},
        {"rules": "E" * 64},
    ],
)
def test_what_is_not_a_record_is_refused_with_the_member_s_name(changes: dict[str, object]) -> None:
    with pytest.raises(RecordError, match=r"^record"):
        parse_record(record(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(record()))
def test_every_member_is_needed(name: str) -> None:
    value = record()
    del value[name]
    with pytest.raises(RecordError, match=name):
        parse_record(value)


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        parse_record(value)


def test_members_of_a_later_version_are_left_alone() -> None:
    assert parse_record({**record(), "colour": "red"}).log == LOG


@given(st.integers(min_value=-62_135_596_800_000 + 1, max_value=YEAR_9999))
def test_a_moment_comes_back_to_the_millisecond(moment: int) -> None:
    assert utc_ms(utc_text(moment)) == moment


def test_a_fingerprint_is_read_aloud_in_groups_of_four() -> None:
    groups = fingerprint("name+00000000+key").split(" ")
    assert [len(group) for group in groups] == [4] * 16


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_proper_json_is_read_as_it_is(value: object) -> None:
    assert strict_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        strict_json(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":2}', b"NaN", b"-Infinity", b'"\\ud800"', b'{"\\udfff":1}', b"[" * 33 + b"]" * 33, b"\xff\xfe1\0"],
)
def test_json_that_readers_understand_differently_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        strict_json(data)
