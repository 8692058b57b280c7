"""Sparkplug B: births and numbers and deaths, what is no evidence, and what metrics mean."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_bridge.machines.base import Dialect, Gone, Ignored, Rejected, Reported
from firmware_bridge.machines.sparkplug_payload import Metric, read
from firmware_bridge.options import OptionError
from firmware_bridge.simulator.sparkplug_encoder import (
    BOOLEAN,
    DOUBLE,
    INT8,
    STRING,
    Measured,
    write,
)
from kiosk.cli.decode import decode
from tests.sparkplug_fixtures import (
    ALIAS,
    DEVICE,
    NCMD,
    NODE,
    asks,
    bd_seq,
    born,
    by_alias,
    dialect,
    state,
    states,
    tell,
    told,
)
from tests.wires_fixtures import captures

CAPTURED = [one for one in captures("mqtt.jsonl") if one["family"] == "sparkplug-b"]


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
