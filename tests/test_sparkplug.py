"""Sparkplug B: the payload as bytes, births and numbers and deaths, and a node that is asked to be born again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX, PayloadError
from firmware_bridge.machines.sparkplug_payload import Metric, read
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import MachineReported, SourceLost
from firmware_bridge.options import OptionError
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
from firmware_bridge.simulator.sparkplug_node import SparkplugVoice, VirtualNode
from firmware_bridge.simulator.voices import Doing
from firmware_bridge.simulator.workshop import Workshop
from kiosk.cli.decode import decode
from tests.wires_fixtures import Inbox, captures

CAPTURED = [one for one in captures("mqtt.jsonl") if one["family"] == "sparkplug-b"]
NODE = {"group": "G", "node": "N"}
DEVICE = {**NODE, "device": "D"}
NCMD = "spBv1.0/G/NCMD/N"
STATE, ALIAS = "Machine/State", 7


def dialect(options: dict[str, Any] | None = None) -> Dialect:
    return registry.machine("sparkplug", NODE if options is None else options)


def tell(source: Dialect, kind: str, metrics: list[Measured], seq: int | None, *, kept: bool = False) -> list[Told]:
    """What the source makes of a message of that kind; of a device's, of the device D."""
    behind = "/D" if kind.startswith("D") else ""
    return source.translate(f"spBv1.0/G/{kind}/N{behind}", write(metrics, seq=seq, timestamp_ms=5), kept)


def told(source: Dialect, kind: str, metrics: list[Measured], seq: int | None) -> Told:
    (one,) = tell(source, kind, metrics, seq)
    return one


def state(word: str | None, **more: Any) -> list[Measured]:
    return [Measured(STRING, word, **{"name": STATE, "alias": ALIAS, **more})]


def by_alias(word: str, **more: Any) -> list[Measured]:
    return state(word, name=None, **more)


def bd_seq(number: int) -> Measured:
    return Measured(UINT64, number, name="bdSeq")


def born(options: dict[str, Any] | None = None, *, bd: int = 1, seq: int = 0) -> Dialect:
    source = dialect(options)
    tell(source, "NBIRTH", [bd_seq(bd), *state("IDLE")], seq)
    return source


def asks(all_told: list[Told]) -> bool:
    return any(isinstance(one, Asked) and one.topic == NCMD for one in all_told)


def states(all_told: list[Told]) -> list[str]:
    return [one.state for one in all_told if isinstance(one, Reported) and one.state is not None]


# -- what was captured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", CAPTURED, ids=lambda one: one["id"])
def test_each_captured_message_means_what_it_must_when_it_is_decoded_alone(capture: dict[str, Any]) -> None:
    expect = capture["expect"]
    arguments = ["machine", "sparkplug", "--topic", capture["topic"], "--payload-hex", capture["payload_hex"]]
    result = CliRunner().invoke(decode, arguments)
    assert result.exit_code == 0
    line = json.loads(result.output)
    assert ("rejected" in line) == ("error" in expect)
    for key in ("kind", "seq", "bdSeq", "alias_collision"):
        assert key not in expect or line[key] == expect[key]
    if "state" in expect:
        assert line["state"] == ("unknown" if expect["state"] == "offline" else expect["state"])
    if "power_kw" in expect:
        assert line["power_w"] == pytest.approx(expect["power_kw"] * 1_000)
    if "alias" in expect:
        assert line["metrics"] == [{"alias": expect["alias"], "value": expect["value"]}]
    if expect.get("action") == "rebirth_request":
        assert line["asks"] == NCMD


def test_a_captured_birth_explains_the_data_after_it_and_a_gap_does_not_pass() -> None:
    payloads = {one["id"]: bytes.fromhex(one["payload_hex"]) for one in CAPTURED}
    source = dialect({**NODE, "state_metric": "Temperature", "states": {"22.5": "running"}})
    assert source.translate("spBv1.0/G/NBIRTH/N", payloads["M135"], False) == [Reported(detail="unmapped:21.5")]
    assert source.translate("spBv1.0/G/NDATA/N", payloads["M136"], False) == [Reported("running")]
    gap = source.translate("spBv1.0/G/NDATA/N", payloads["M138"], False)
    assert gap[0] == Ignored("a gap: seq 5 after 1")
    assert asks(gap)


# -- the payload ------------------------------------------------------------------------------------------------------

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


# -- births and numbers -----------------------------------------------------------------------------------------------


def test_an_alias_means_what_its_birth_said() -> None:
    assert told(born(), "NDATA", by_alias("EXECUTE"), 1) == Reported("running")


def test_numbers_go_on_from_255_to_0() -> None:
    source = born(seq=254)
    assert told(source, "NDATA", by_alias("EXECUTE"), 255) == Reported("running")
    assert told(source, "NDATA", by_alias("HELD"), 0) == Reported("idle", detail="held")


def test_a_birth_may_have_any_number_and_an_omitted_one_is_zero() -> None:
    assert states(tell(born(seq=200), "NDATA", by_alias("EXECUTE"), 201)) == ["running"]
    source = dialect()
    tell(source, "NBIRTH", state("IDLE"), None)
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == ["running"]


def test_the_numbers_run_over_the_node_and_all_its_devices() -> None:
    source = born()
    assert told(source, "DBIRTH", [], 1) == Ignored("another source of the node")
    assert told(source, "DDATA", [], 2) == Ignored("another source of the node")
    assert told(source, "NDATA", by_alias("EXECUTE"), 3) == Reported("running")


def test_after_a_gap_nothing_is_used_until_a_birth() -> None:
    source = born()
    for seq in (2, 3, 4):
        all_told = tell(source, "NDATA", by_alias("EXECUTE"), seq)
        assert states(all_told) == []
        assert asks(all_told)
    tell(source, "NBIRTH", state("IDLE"), 0)
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == ["running"]


def test_a_gap_that_no_birth_follows_ends_what_was_known() -> None:
    source = born()
    assert Gone not in [type(one) for one in tell(source, "NDATA", by_alias("EXECUTE"), 9)]
    assert Gone in [type(one) for one in tell(source, "NDATA", by_alias("EXECUTE"), 10)]


@pytest.mark.parametrize("metrics", [by_alias("EXECUTE"), state("EXECUTE", alias=None)], ids=["alias", "name"])
def test_what_comes_before_a_birth_is_not_used_and_a_birth_is_asked_for(metrics: list[Measured]) -> None:
    all_told = tell(dialect(), "NDATA", metrics, 4)
    assert all_told[0] == Ignored("no birth was heard in this connection")
    assert asks(all_told)


def test_an_alias_that_was_not_born_asks_for_a_birth_and_the_rest_of_its_message_is_not_used() -> None:
    all_told = tell(born(), "NDATA", [*state("EXECUTE"), *by_alias("HELD", alias=99)], 1)
    assert states(all_told) == []
    assert asks(all_told)


def test_an_alias_that_two_names_share_tells_nothing() -> None:
    source = dialect()
    tell(source, "NBIRTH", [Measured(DOUBLE, 1.5, name="Metric_1", alias=ALIAS), *state("IDLE")], 0)
    assert told(source, "NDATA", by_alias("EXECUTE"), 1) == Reported("idle")
    assert told(source, "NDATA", state("EXECUTE", alias=None), 2) == Reported("running")


def test_a_message_that_cannot_be_read_ends_what_follows_from_the_birth() -> None:
    source = born()
    all_told = source.translate("spBv1.0/G/NBIRTH/N", b"\x12\xff", False)
    assert isinstance(all_told[0], Rejected)
    assert asks(all_told)
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == []


def test_a_new_connection_forgets_aliases_and_asks_for_a_birth() -> None:
    source = born()
    source.forget()
    assert asks(list(source.greeting()))
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == []


def test_the_request_for_a_birth_is_what_a_node_understands() -> None:
    (asked,) = born().greeting()
    payload = read(asked.payload)
    assert (asked.topic, payload.seq, payload.timestamp_ms) == (NCMD, None, 5)
    assert payload.metrics == (Metric("Node Control/Rebirth", None, True, BOOLEAN, 5),)


def test_with_an_optional_birth_names_are_used_and_aliases_are_not() -> None:
    source = dialect({**NODE, "birth": "optional"})
    assert told(source, "NDATA", state("EXECUTE", alias=None), 40) == Reported("running")
    all_told = tell(source, "NDATA", by_alias("HELD"), 41)
    assert states(all_told) == []
    assert asks(all_told)
    assert states(tell(source, "NDATA", state("HELD", alias=None), 43)) == []
    assert states(tell(source, "NDATA", state("HELD", alias=None), 44)) == ["idle"]


# -- deaths -----------------------------------------------------------------------------------------------------------


def test_the_death_of_a_node_needs_the_number_of_its_birth() -> None:
    source = born(bd=88)
    assert isinstance(told(source, "NDEATH", [bd_seq(87)], None), Ignored)
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == ["running"]
    assert told(source, "NDEATH", [bd_seq(88)], None) == Gone("the node died")
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 2)) == []


def test_a_death_with_a_seq_of_its_own_is_a_death_all_the_same() -> None:
    assert told(born(bd=88), "NDEATH", [bd_seq(88)], 7) == Gone("the node died")


def test_an_old_death_is_known_as_old_also_after_a_gap() -> None:
    source = born(bd=88)
    tell(source, "NDATA", by_alias("EXECUTE"), 9)
    assert isinstance(told(source, "NDEATH", [bd_seq(87)], None), Ignored)


def device_born() -> Dialect:
    source = born(DEVICE)
    tell(source, "DBIRTH", state("IDLE"), 1)
    return source


def test_a_device_is_heard_by_its_own_messages_alone() -> None:
    source = dialect(DEVICE)
    assert isinstance(told(source, "NBIRTH", [bd_seq(1), *state("EXECUTE")], 0), Ignored)
    assert told(source, "DBIRTH", state("IDLE"), 1) == Reported("idle")
    assert isinstance(told(source, "NDATA", by_alias("ABORTED"), 2), Ignored)
    assert told(source, "DDATA", by_alias("EXECUTE"), 3) == Reported("running")


def test_a_nodes_death_takes_its_devices_along() -> None:
    assert told(device_born(), "NDEATH", [bd_seq(1)], None) == Gone("the node died")


def test_a_devices_death_ends_its_aliases_and_not_the_nodes_numbers() -> None:
    source = device_born()
    assert told(source, "DDEATH", [], 2) == Gone("the device died")
    assert states(tell(source, "DDATA", by_alias("EXECUTE"), 3)) == []
    source = device_born()
    tell(source, "DDEATH", [], 2)
    assert told(source, "DBIRTH", state("EXECUTE"), 3) == Reported("running")


def test_another_devices_death_is_not_ours() -> None:
    source = device_born()
    assert source.translate("spBv1.0/G/DDEATH/N/E", write([], seq=2), False) == [Ignored("another source of the node")]
    assert told(source, "DDATA", by_alias("EXECUTE"), 3) == Reported("running")


def test_a_device_that_is_not_among_those_born_again_is_gone() -> None:
    source = device_born()
    tell(source, "NBIRTH", [bd_seq(2)], 0)
    assert source.translate("spBv1.0/G/DBIRTH/N/E", write([], seq=1), False) == [Ignored("another source of the node")]
    assert Gone in [type(one) for one in source.translate("spBv1.0/G/DDATA/N/E", write([], seq=2), False)]


# -- what is no evidence ----------------------------------------------------------------------------------------------


def test_commands_and_the_states_of_hosts_are_never_state() -> None:
    source = born()
    command = write(state("EXECUTE"), seq=None)
    assert source.translate(NCMD, command, False) == [Ignored("a command, not a report")]
    assert source.translate("spBv1.0/G/DCMD/N/D", command, False) == [Ignored("a command, not a report")]
    (one,) = source.translate("spBv1.0/STATE/scada", b'{"online":false,"timestamp":1}', True)
    assert isinstance(one, Ignored)


def test_a_late_value_says_nothing_about_now_but_counts() -> None:
    source = born()
    assert told(source, "NDATA", by_alias("EXECUTE", is_historical=True), 1) == Reported("idle")
    assert told(source, "NDATA", by_alias("EXECUTE"), 2) == Reported("running")


@pytest.mark.parametrize(
    "metrics", [state(None, name=None), by_alias("EXECUTE", quality=0), by_alias("EXECUTE", quality=500)]
)
def test_a_value_that_is_null_bad_or_stale_leaves_nothing_known(metrics: list[Measured]) -> None:
    assert told(born(), "NDATA", metrics, 1) == Reported("unknown")


def test_a_birth_that_the_broker_kept_is_not_of_this_connection() -> None:
    source = dialect()
    (one,) = tell(source, "NBIRTH", state("EXECUTE"), 0, kept=True)
    assert isinstance(one, Ignored)
    assert states(tell(source, "NDATA", by_alias("EXECUTE"), 1)) == []


def test_another_node_is_not_ours() -> None:
    source = born()
    assert source.translate("spBv1.0/G/NDEATH/M", write([], seq=None), False) == [Ignored("another topic")]
    assert source.translate("spBv1.0/H/NDEATH/N", write([], seq=None), False) == [Ignored("another topic")]


# -- what the metrics mean --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "expect"),
    [
        ([Measured(STRING, "Execute", "Status/StateCurrentStr")], Reported("running")),
        ([Measured(STRING, "FEED_HOLD", "Execution")], Reported("idle", detail="held")),
        ([Measured(STRING, "dancing", "State")], Reported(detail="unmapped:dancing")),
        ([Measured(STRING, "IDLE", "State"), Measured(BOOLEAN, True, "estop.active")], Reported("estop")),
        ([Measured(STRING, "IDLE", "State"), Measured(BOOLEAN, True, "Alarm/EStop/Active")], Reported("estop")),
        ([Measured(STRING, "EXECUTE", "State"), Measured(BOOLEAN, True, "Machine/Fault")], Reported("fault")),
        (
            [Measured(STRING, "EXECUTE", "State"), Measured(BOOLEAN, True, "Alarm/LowCoolant/Active")],
            Reported("running"),
        ),
        ([Measured(BOOLEAN, True, "Active")], Reported()),
        ([Measured(BOOLEAN, False, "estop.active")], Reported("unknown")),
        ([Measured(DOUBLE, 2_800.0, "spindle.speed.rpm")], Reported("running", detail="by the spindle's speed")),
        ([Measured(DOUBLE, 2.5, "power.kw")], Reported(power_w=2_500.0)),
        ([Measured(DOUBLE, math.inf, "power.kw")], Reported("unknown")),
        ([Measured(DOUBLE, None, "power.kw")], Reported("unknown")),
        ([Measured(STRING, "EXECUTE", "x" * 300 + "/State")], Reported()),
    ],
)
def test_names_that_speak_for_themselves_tell_the_state(metrics: list[Measured], expect: Reported) -> None:
    assert told(dialect(), "NBIRTH", metrics, 0) == expect


def test_the_metrics_that_a_lab_names_count_alone() -> None:
    options = {
        "state_metric": "Mode",
        "states": {"3": "running", "true": "setup"},
        "power_metric": "P",
        "power_unit": "kW",
    }
    source = dialect({**NODE, **options})
    metrics = [*state("ABORTED"), Measured(INT8, 3, "Mode"), Measured(DOUBLE, 0.5, "P")]
    assert told(source, "NBIRTH", metrics, 0) == Reported("running", 500.0)
    assert told(source, "NDATA", [Measured(BOOLEAN, True, "Mode")], 1) == Reported("setup", 500.0)
    assert told(source, "NDATA", [Measured(INT8, -1, "Mode")], 2) == Reported(None, 500.0, "unmapped:-1")


@pytest.mark.parametrize(
    ("options", "key", "remedy"),
    [
        ({}, "group", "is missing; write"),
        ({"group": "G"}, "node", "is missing; write"),
        ({**NODE, "device": "a/b"}, "device", "without a slash"),
        ({**NODE, "node": "+"}, "node", "without the wildcards"),
        ({**NODE, "states": {"1": "running"}}, "states", "write state_metric"),
        ({**NODE, "power_unit": "kW"}, "power_unit", "write power_metric"),
        ({**NODE, "state_metric": "a", "states": {"1": "runing"}}, "states.1", "must be one of running"),
        ({**NODE, "birth": "never"}, "birth", "must be one of"),
        ({**NODE, "devise": "D"}, "devise", "did you mean `device`"),
    ],
)
def test_a_wrong_option_is_named_with_the_remedy(options: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(OptionError) as raised:
        dialect(options)
    assert raised.value.key == key
    assert remedy in raised.value.message


def test_all_of_a_node_is_listened_to_and_it_may_be_silent_for_ever() -> None:
    assert dialect(DEVICE).topics() == ("spBv1.0/G/+/N/#",)
    assert dialect(DEVICE).default_stale_after_ms is None


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


# -- a node over a real broker ----------------------------------------------------------------------------------------

Wait = Callable[..., Any]


class Shop:
    """One virtual node and the link that hears it."""

    def __init__(self, mosquitto: Any) -> None:
        where = {"host": mosquitto.host, "port": mosquitto.port}
        self.node = VirtualNode("mill-1", period_s=0.2, **where)
        self.node.set_phase("running", hold=True)
        self.workshop = Workshop({}, {"mill-1": self.node})
        self.inbox = Inbox()
        own = {key: value for key, value in self.node.status.items() if key != "dialect"}
        machines = [("mill-1", registry.machine("sparkplug", own))]
        self.crashes: list[BaseException] = []
        self.link = MqttLink(Broker(**where), machines, self.inbox.deliver, self.crashes.append)

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()
        self.workshop.stop()
        assert self.crashes == []

    def last(self) -> str | None:
        heard = [one for one in self.inbox.observations if isinstance(one, MachineReported | SourceLost)]
        return heard[-1].state if heard and isinstance(heard[-1], MachineReported) else None


def test_a_node_that_was_born_before_we_came_is_born_again_on_request(mosquitto: Any, wait_until: Wait) -> None:
    with Shop(mosquitto) as shop:
        shop.workshop.start()
        wait_until(lambda: shop.node.node.births == 1, what="the first birth")
        shop.link.start()
        wait_until(lambda: shop.last() == "running", what="the state")
        assert shop.node.node.births == 2
        assert shop.link.totals()["asked"] == 1


def test_a_node_of_two_machines_is_asked_once(mosquitto: Any, wait_until: Wait) -> None:
    where = {"host": mosquitto.host, "port": mosquitto.port}
    machines = [(name, dialect({**NODE, "device": name})) for name in ("mill-1", "mill-2")]
    crashes: list[BaseException] = []
    link = MqttLink(Broker(**where), machines, Inbox().deliver, crashes.append)
    link.start()
    wait_until(lambda: link.totals().get("messages"), what="our own request, which nobody takes for a report")
    link.stop()
    assert link.totals()["asked"] == 1
    assert crashes == []
    assert link.counts() == {"mill-1": {"ignored": 1}, "mill-2": {"ignored": 1}}


def test_a_gap_is_healed_by_a_rebirth(mosquitto: Any, wait_until: Wait) -> None:
    with Shop(mosquitto) as shop:
        shop.link.start()
        wait_until(lambda: shop.link.connected, what="the link")
        shop.workshop.start()
        wait_until(lambda: shop.last() == "running", what="the state")
        births = shop.node.node.births
        shop.node.node.skips = 3
        wait_until(lambda: shop.node.node.births > births, 10, what="a rebirth")
        shop.node.set_phase("idle", hold=True)
        wait_until(lambda: shop.last() == "idle", what="the new state")


def test_a_late_death_of_the_connection_before_changes_nothing_and_the_will_does(
    mosquitto: Any, wait_until: Wait
) -> None:
    with Shop(mosquitto) as shop:
        shop.link.start()
        wait_until(lambda: shop.link.connected, what="the link")
        shop.workshop.start()
        wait_until(lambda: shop.last() == "running", what="the state")
        shop.node.node.stale_deaths = 1
        wait_until(lambda: shop.link.counts()["mill-1"].get("ignored", 0) > 1, what="the old death")
        assert shop.inbox.of(SourceLost) == []
        shop.node.set_fault("offline")
        wait_until(lambda: shop.inbox.of(SourceLost), 20, what="the will")


def test_births_that_are_lost_are_asked_for_again(mosquitto: Any, wait_until: Wait) -> None:
    with Shop(mosquitto) as shop:
        shop.node.node.loses_births = True
        shop.link.start()
        shop.workshop.start()
        wait_until(lambda: shop.node.node.births >= 2, 10, what="another birth")
        assert shop.last() is None
        shop.node.node.loses_births = False
        wait_until(lambda: shop.last() == "running", 10, what="the state")


def test_a_virtual_node_says_what_its_dialect_understands() -> None:
    voice = SparkplugVoice("mill-1")
    voice.connecting()
    source = registry.machine("sparkplug", {key: value for key, value in voice.status().items() if key != "dialect"})
    for at_s, doing in enumerate(("idle", "setup", "running", "fault", "off", "estop")):
        said = voice.now(Doing(doing, 500.0, float(at_s)))
        heard = [one for message in said for one in source.translate(message.topic, message.data, message.retain)]
        assert heard[-1] == Reported(doing, 500.0)
