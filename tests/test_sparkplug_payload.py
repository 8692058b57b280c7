"""The Sparkplug B payload, byte for byte, and whatever else arrives."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.machines.base import Gone, Rejected, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX, PayloadError
from firmware_bridge.machines.sparkplug_payload import Metric, read
from firmware_bridge.simulator.sparkplug_encoder import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Measured,
    write,
)
from tests.sparkplug_fixtures import (
    DEVICE,
    NODE,
    STATE,
    bd_seq,
    dialect,
    states,
    tell,
)

INTEGERS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64, UINT8: 8, UINT16: 16, UINT32: 32, UINT64: 64}


def integers(datatype: int) -> st.SearchStrategy[int]:
    bits = INTEGERS[datatype]
    is_signed = datatype <= INT64
    return st.integers(-(1 << bits - 1) if is_signed else 0, (1 << bits - is_signed) - 1)


VALUES = st.one_of(
    *[st.tuples(st.just(datatype), integers(datatype)) for datatype in INTEGERS],
    st.tuples(st.just(FLOAT), st.floats(width=32)),
    st.tuples(st.just(DOUBLE), st.floats()),
    st.tuples(st.just(BOOLEAN), st.booleans()),
    st.tuples(st.just(STRING), st.text(max_size=20)),
    st.tuples(st.just(STRING), st.none()),
)
METRICS = st.lists(
    st.builds(
        lambda typed, **more: Measured(*typed, **more),
        VALUES,
        name=st.none() | st.text(max_size=10),
        alias=st.none() | st.integers(0, 2**64 - 1),
        timestamp_ms=st.none() | st.integers(0, 2**63),
        is_historical=st.booleans(),
        quality=st.sampled_from([None, 0, 192, 500]),
    ),
    max_size=5,
)


@given(METRICS, st.none() | st.integers(0, 255), st.none() | st.integers(0, 2**63))
def test_what_is_written_is_read_back(metrics: list[Measured], seq: int | None, timestamp_ms: int | None) -> None:
    payload = read(write(metrics, seq=seq, timestamp_ms=timestamp_ms))
    assert (payload.seq, payload.timestamp_ms) == (seq, timestamp_ms)
    for metric, measured in zip(payload.metrics, metrics, strict=True):
        assert (metric.name, metric.alias, metric.datatype) == (measured.name, measured.alias, measured.datatype)
        assert (metric.timestamp_ms, metric.is_historical) == (measured.timestamp_ms, measured.is_historical)
        assert metric.is_null == (measured.value is None)
        assert metric.is_good == (measured.quality in (None, 192))
        if isinstance(measured.value, float) and math.isnan(measured.value):
            assert isinstance(metric.value, float)
            assert math.isnan(metric.value)
        else:
            assert metric.value == measured.value


@given(METRICS.filter(bool), st.data())
def test_a_payload_that_is_cut_never_reads_as_the_whole_one(metrics: list[Measured], data: st.DataObject) -> None:
    whole = write(metrics, seq=3)
    at = data.draw(st.integers(0, len(whole) - 1))
    with suppress(PayloadError):
        assert len(read(whole[:at]).metrics) < len(metrics) or read(whole[:at]).seq is None


@pytest.mark.parametrize(
    ("payload_hex", "why"),
    [
        ("12ff", "cut off"),
        ("1205", "cut off"),
        ("08ffffffffffffffffffffff01", "never ends"),
        ("08", "cut off"),
        ("00", "without a number"),
        ("0b", "no known kind"),
        ("0f", "no known kind"),
        ("0d0102", "cut off"),
        ("12030a01ff", "not UTF-8"),
        ("22125350425631 2e305f434f4d50524553534544".replace(" ", ""), "compressed"),
        ("12044a020a00", "as many values"),
        ("1200" * 10_001, "10 000 metrics"),
    ],
)
def test_a_malformed_payload_is_refused_with_the_reason(payload_hex: str, why: str) -> None:
    with pytest.raises(PayloadError, match=why):
        read(bytes.fromhex(payload_hex))


def test_unknown_fields_are_skipped() -> None:
    assert read(bytes.fromhex("aa0603abcdef" + "1801" + "f906" + "00" * 8)).seq == 1


@pytest.mark.parametrize("payload_hex", ["2501020304", "2101020304050607ff", "15ffffffff", "1801" + "25ffffffff"])
def test_a_field_of_another_kind_than_its_number_has_is_unknown(payload_hex: str) -> None:
    assert read(bytes.fromhex(payload_hex)).metrics == ()


def test_a_signed_value_is_carried_as_unsigned() -> None:
    # {datatype: Int32, int_value: 4294967295}
    assert read(bytes.fromhex("12082003" + "50ffffffff0f")).metrics == (Metric(value=-1, datatype=INT32),)
    assert read(write([Measured(INT32, -1, name="t")], seq=0)).metrics[0].value == -1


# -- whatever arrives -------------------------------------------------------------------------------------------------

KINDS = ("NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD")


@given(
    st.sampled_from([{}, NODE, DEVICE, {**NODE, "birth": "optional"}]),
    st.lists(
        st.tuples(
            st.sampled_from([f"spBv1.0/G/{kind}/N{'/D' if kind[0] == 'D' else ''}" for kind in KINDS]) | st.text(),
            st.binary(max_size=60) | METRICS.map(lambda metrics: write(metrics, seq=0)),
            st.booleans(),
        ),
        max_size=8,
    ),
)
def test_translating_never_raises(options: dict[str, Any], messages: list[tuple[str, bytes, bool]]) -> None:
    source = registry.machine("sparkplug", options, any_topic=not options)
    for topic, payload, kept in messages:
        assert all(isinstance(one, Told) for one in source.translate(topic, payload, kept))
        json.dumps(source.describe(topic, payload), allow_nan=False)


def test_a_payload_of_the_largest_size_is_read_in_time_and_a_larger_one_refused() -> None:
    many = write([Measured(STRING, "x", f"State/{number}", number) for number in range(9_000)], seq=0)
    assert PAYLOAD_BYTES_MAX * 0.6 < len(many) <= PAYLOAD_BYTES_MAX
    source = dialect()
    assert isinstance(source.translate("spBv1.0/G/NBIRTH/N", many, False)[0], Reported)
    assert source.translate("spBv1.0/G/NBIRTH/N", b"\0" * (PAYLOAD_BYTES_MAX + 1), False) == [
        Rejected("larger than 256 kB")
    ]


STEPS = st.lists(
    st.sampled_from(["nbirth", "dbirth", "ndata", "ddata", "ndeath", "old death", "ddeath", "forget"])
    | st.tuples(st.just("lost"), st.sampled_from(["nbirth", "dbirth", "ndata", "ddata"])),
    max_size=40,
)


@settings(max_examples=300)
@given(STEPS)
def test_no_state_ever_comes_from_an_alias_that_was_not_born_in_this_connection(steps: list[Any]) -> None:
    """A node gives its alias another meaning at each birth, so that a state by an old one is a wrong state."""
    source = dialect(DEVICE)
    seq, bd, life = 0, 0, 0
    heard_life: int | None = None
    words = ("EXECUTE", "HELD", "ABORTED", "OFF", "RESETTING")
    for step in steps:
        is_lost, kind = (True, step[1]) if isinstance(step, tuple) else (False, step)
        if kind == "forget":
            source.forget()
            heard_life = None
            continue
        if kind in ("ndeath", "old death"):
            all_told = tell(source, "NDEATH", [bd_seq(bd - (kind == "old death"))], None)
            heard_life = None if any(isinstance(one, Gone) for one in all_told) else heard_life
            continue
        if kind == "nbirth":
            seq, bd, life = 0, bd + 1, life + 1
        metrics = {
            "nbirth": [bd_seq(bd)],
            "dbirth": [Measured(STRING, words[life % 5], STATE, life)],
            "ddata": [Measured(STRING, words[life % 5], alias=life)],
        }.get(kind, [])
        number, seq = seq, (seq + 1) % 256
        if is_lost:
            continue
        all_told = tell(source, kind.upper(), metrics, number)
        if kind == "nbirth":
            heard_life = None
        if kind == "dbirth" and states(all_told):
            heard_life = life
        if kind == "ddata" and states(all_told):
            assert heard_life == life
