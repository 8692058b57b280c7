"""Payloads in, what was told out: every captured payload, the describable dialects, and hostile bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.machines.base import STATES, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.machines.payload import JSON_DEPTH_MAX, PAYLOAD_BYTES_MAX
from firmware_bridge.options import OptionError
from lab_config import model
from tests.wires_fixtures import captures

CAPTURED = captures("mqtt.jsonl")
TASMOTA = [one for one in CAPTURED if one["family"].startswith("tasmota")]

TEXT = {"topic": "lab/mill/state", "states": {"RUN": "running", "IDLE": "idle", "1": "setup", "true": "fault"}}
TEXT_WILL = {**TEXT, "will_topic": "lab/mill/lwt", "offline": "gone"}
JSON = {"topic": "lab/mill", "pointer": "/machine/state", "states": TEXT["states"]}
WATTS = {"topic": "lab/plug", "pointer": "/power_w"}
PLUG = {"topic": "tele/mill-1/SENSOR"}

HOSTILE = [
    b"",
    b"\x00",
    b"\xff\xfe",
    '{"power_w":1}'.encode("utf-16"),
    b"\xef\xbb\xbf{}",
    b"{",
    b'"',
    b"[" * 100_000,
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'"' * 200_001,
    b'"\\"' * 50_000,
    b"9" * 100_000,
    b"-1e999",
    b"NaN",
    b"Infinity",
    b'{"power_w":NaN}',
    b'{"power_w":1e999}',
    b'{"power_w":1,"power_w":2}',
    b'{"power_w":"\\ud800"}',
    b'{"ENERGY":{"Power":true}}',
    b'{"ENERGY":{"Power":[]}}',
    b'{"ENERGY":{"Power":[1,null]}}',
    b'{"ENERGY":[]}',
    b'{"POWER":{"a":1}}',
    b"x" * (PAYLOAD_BYTES_MAX + 1),
]


def dialect(name: str, options: dict[str, Any], **more: bool) -> Dialect:
    return registry.machine(name, options, **more)


def told(source: Dialect, topic: str, payload: bytes | str) -> Told:
    (one,) = source.translate(topic, payload.encode() if isinstance(payload, str) else payload, False)
    return one


def test_the_states_of_the_wires_are_those_of_the_lab() -> None:
    assert STATES == model.STATES


# -- Tasmota ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configured", [False, True], ids=["by shape", "configured"])
@pytest.mark.parametrize("capture", TASMOTA, ids=lambda one: one["id"])
def test_each_tasmota_payload_means_what_it_must(capture: dict[str, Any], configured: bool) -> None:
    expect, topic = capture["expect"], capture["topic"]
    ours = {} if "/cmnd/" in topic or not configured else {"topic": topic}
    one = told(dialect("tasmota", ours, any_topic=not ours), topic, capture["payload_utf8"])
    if "ignore" in expect:
        assert isinstance(one, Ignored) or (isinstance(one, Reported) and one.state is None and one.power_w is None)
        return
    if expect.get("conn") == "offline":
        assert isinstance(one, Gone)
        return
    assert isinstance(one, Reported)
    assert one.state == expect.get("state")
    assert one.power_w == expect.get("power_w")


@pytest.mark.parametrize("payload", ["OFF", '{"POWER":"OFF"}', '{"POWER1":"OFF"}'])
def test_a_relay_that_is_off_means_off_plain_or_in_json(payload: str) -> None:
    assert told(dialect("tasmota", PLUG), "stat/mill-1/POWER", payload) == Reported("off", detail="relay off")


def test_of_several_relays_only_the_machines_own_switches_it_off() -> None:
    both = '{"POWER1":"ON","POWER2":"OFF"}'
    first, second = dialect("tasmota", PLUG), dialect("tasmota", {**PLUG, "relay": 2})
    assert told(first, "tele/mill-1/STATE", both) == Reported(detail="relay on")
    assert told(second, "tele/mill-1/STATE", both) == Reported("off", detail="relay off")
    assert told(second, "stat/mill-1/POWER2", "OFF") == Reported("off", detail="relay off")
    assert told(first, "stat/mill-1/POWER2", "OFF") == Reported(detail="relay 2 of several")


def test_watts_of_three_phases_are_added() -> None:
    phases = '{"Time":"2026-10-29T11:05:00","ENERGY":{"Total":[1,2,3],"Power":[810,795.5,802]}}'
    assert told(dialect("tasmota", PLUG), "tele/mill-1/SENSOR", phases) == Reported(power_w=2407.5)


def test_watts_of_several_clamps_are_added() -> None:
    clamps = '{"ANALOG":{"CTEnergy1":{"Power":2300},"CTEnergy2":{"Power":10},"Temperature1":20}}'
    assert told(dialect("tasmota", PLUG), "tele/mill-1/SENSOR", clamps) == Reported(power_w=2310.0)


def test_no_watts_behind_a_relay_that_is_off_stay_off_until_it_is_on_again() -> None:
    plug, none = dialect("tasmota", PLUG), '{"ENERGY":{"Power":0}}'
    assert told(plug, "tele/mill-1/SENSOR", none) == Reported(power_w=0.0)
    told(plug, "tele/mill-1/STATE", '{"POWER":"OFF"}')
    assert told(plug, "tele/mill-1/SENSOR", none) == Reported("off", detail="relay off")
    told(plug, "tele/mill-1/STATE", '{"POWER":"ON"}')
    assert told(plug, "tele/mill-1/SENSOR", none) == Reported(power_w=0.0)


def test_watts_behind_a_relay_that_is_said_to_be_off_are_watts() -> None:
    plug = dialect("tasmota", PLUG)
    told(plug, "tele/mill-1/STATE", '{"POWER":"OFF"}')
    assert told(plug, "tele/mill-1/SENSOR", '{"ENERGY":{"Power":810}}') == Reported(power_w=810.0)


def test_an_alarm_is_no_relay_and_a_bit_mask_no_watts() -> None:
    plug = dialect("tasmota", PLUG)
    assert told(plug, "stat/mill-1/RESULT", '{"POWER_LOW":"OFF"}') == Reported(detail="alive")
    assert told(plug, "stat/mill-1/STATUS", '{"Status":{"Module":8,"Power":3}}') == Reported(detail="alive")


def test_an_answer_about_everything_gives_the_relay_and_the_watts() -> None:
    answer = '{"Status":{"Power":1},"StatusSNS":{"ENERGY":{"Power":0}},"StatusSTS":{"POWER":"OFF"}}'
    assert told(dialect("tasmota", PLUG), "stat/mill-1/STATUS0", answer) == Reported("off", 0.0, "relay off")


def test_a_relay_word_that_is_neither_on_nor_off_is_unmapped() -> None:
    one = told(dialect("tasmota", PLUG), "stat/mill-1/POWER", "TOGGLE")
    assert isinstance(one, Reported)
    assert one.unmapped
    assert one.state is None


@pytest.mark.parametrize(
    ("configured", "filters"),
    [
        ("tele/mill-1/SENSOR", ("tele/mill-1/+", "stat/mill-1/+")),
        ("stat/mill-1/POWER1", ("tele/mill-1/+", "stat/mill-1/+")),
        ("emoncms/x/denky/tele/SENSOR", ("emoncms/x/denky/tele/+", "emoncms/x/denky/stat/+")),
        ("MyHome/Bathroom/tele/sonoff/LWT", ("MyHome/Bathroom/tele/sonoff/+", "MyHome/Bathroom/stat/sonoff/+")),
        ("tool/tablesaw/power", ("tool/tablesaw/power",)),
    ],
)
def test_one_topic_of_a_device_is_enough_to_hear_all_of_it(configured: str, filters: tuple[str, ...]) -> None:
    assert dialect("tasmota", {"topic": configured}).topics() == filters


def test_another_devices_message_is_ignored() -> None:
    plug = dialect("tasmota", PLUG)
    assert told(plug, "tele/mill-2/LWT", "Offline") == Ignored("another topic")
    assert told(plug, "stat/mill-1/POWER", "OFF") == Reported("off", detail="relay off")


def test_a_plug_is_given_two_and_a_half_periods_of_silence() -> None:
    assert dialect("tasmota", PLUG).default_stale_after_ms == 13 * 60_000


def test_a_will_topics_other_words_are_nothing() -> None:
    assert told(dialect("tasmota", PLUG), "tele/mill-1/LWT", "offline?") == Ignored("neither Online nor Offline")


# -- text and json ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "topic", "payload", "expect"),
    [
        ("text", TEXT, "lab/mill/state", "RUN", Reported("running")),
        ("text", TEXT, "lab/mill/state", " RUN\n", Reported("running")),
        ("text", TEXT, "lab/mill/state", "run", Reported(detail="unmapped:run")),
        ("text", TEXT, "lab/mill/state", "", Reported(detail="unmapped:")),
        ("text", TEXT, "lab/mill/other", "RUN", Ignored("another topic")),
        ("text", TEXT_WILL, "lab/mill/lwt", "gone", Gone("last will")),
        ("text", TEXT_WILL, "lab/mill/lwt", "online", Ignored("not the offline word")),
        ("text", TEXT_WILL, "lab/mill/lwt", "offline", Ignored("not the offline word")),
        ("text", TEXT_WILL, "lab/mill/state", "gone", Reported(detail="unmapped:gone")),
        ("text", {"topic": "w"}, "w", "812.4", Reported(power_w=812.4)),
        ("text", {"topic": "w"}, "w", "-3", Reported(power_w=-3.0)),
        ("text", {"topic": "w"}, "w", "812,4", Rejected("not a number")),
        ("text", {"topic": "w"}, "w", "1e999", Rejected("a number out of range")),
        ("text", {"topic": "w"}, "w", "nan", Rejected("not a number")),
        ("text", {"topic": "w"}, "w", "1_000", Rejected("not a number")),
        ("json", JSON, "lab/mill", '{"machine":{"state":"RUN"}}', Reported("running")),
        ("json", JSON, "lab/mill", '{"machine":{"state":1}}', Reported("setup")),
        ("json", JSON, "lab/mill", '{"machine":{"state":true}}', Reported("fault")),
        ("json", JSON, "lab/mill", '{"machine":{"state":"PAUSE"}}', Reported(detail="unmapped:PAUSE")),
        ("json", JSON, "lab/mill", '{"machine":{}}', Rejected("the pointer finds nothing")),
        ("json", JSON, "lab/mill", '{"machine":"RUN"}', Rejected("the pointer finds nothing")),
        ("json", JSON, "lab/mill", '{"machine":{"state":null}}', Rejected("the pointer finds no single value")),
        ("json", JSON, "lab/mill", '{"machine":{"state":["RUN"]}}', Rejected("the pointer finds no single value")),
        ("json", WATTS, "lab/plug", '{"power_w":812.4}', Reported(power_w=812.4)),
        ("json", WATTS, "lab/plug", '{"power_w":true}', Rejected("not a number")),
        ("json", WATTS, "lab/plug", '{"power_w":"812"}', Rejected("not a number")),
        ("json", WATTS, "lab/plug", '{"power_w":1,"power_w":900}', Rejected("a key twice in one object")),
        ("json", WATTS, "lab/plug", '{"power_w":NaN}', Rejected("NaN is no number")),
        ("json", WATTS, "lab/plug", '{"other":1e999,"power_w":1}', Rejected("a number out of range")),
        ("json", WATTS, "lab/plug", "RUN", Rejected("not JSON")),
        ("json", {"topic": "w", "pointer": ""}, "w", "12", Reported(power_w=12.0)),
        ("json", {"topic": "w", "pointer": "/a/1/b~1c~0"}, "w", '{"a":[0,{"b/c~":5}]}', Reported(power_w=5.0)),
        ("json", {"topic": "w", "pointer": "/01"}, "w", "[1,2]", Rejected("the pointer finds nothing")),
        ("json", {"topic": "w", "pointer": "/-"}, "w", "[1,2]", Rejected("the pointer finds nothing")),
        ("json", {"topic": "w", "pointer": "/9"}, "w", "[1,2]", Rejected("the pointer finds nothing")),
        ("json", {"topic": "w", "pointer": "/"}, "w", '{"":7}', Reported(power_w=7.0)),
    ],
)
def test_a_described_topic_tells_what_its_table_says(
    name: str, options: dict[str, Any], topic: str, payload: str, expect: Told
) -> None:
    assert told(dialect(name, options), topic, payload) == expect


def test_a_will_on_the_topic_of_the_state_is_told_from_its_values() -> None:
    source = dialect("text", {**TEXT, "will_topic": TEXT["topic"]})
    assert source.topics() == ("lab/mill/state",)
    assert told(source, "lab/mill/state", "offline") == Gone("last will")
    assert told(source, "lab/mill/state", "RUN") == Reported("running")


@pytest.mark.parametrize(("options", "stale_after_ms"), [(TEXT, 120_000), (TEXT_WILL, None)])
def test_a_source_with_a_will_may_be_silent_for_ever(options: dict[str, Any], stale_after_ms: int | None) -> None:
    assert dialect("text", options).default_stale_after_ms == stale_after_ms
    assert dialect("json", {**options, "pointer": "/a"}).default_stale_after_ms == stale_after_ms


def test_foreign_words_are_shown_short_and_printable() -> None:
    one = told(dialect("text", TEXT), "lab/mill/state", "\x1b[31m" + "x" * 1_000)
    assert isinstance(one, Reported)
    assert one.unmapped
    assert one.detail.isprintable()
    assert len(one.detail) < 100


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "key", "remedy"),
    [
        ("tasmota", {}, "topic", "is missing; write"),
        ("tasmota", {"topic": "tele/mill-1"}, "topic", "ends with SENSOR"),
        ("tasmota", {"topic": "cmnd/mill-1/POWER"}, "topic", "no topic that Tasmota reports on"),
        ("tasmota", {"topic": "tele/+/SENSOR"}, "topic", "without the wildcards"),
        ("tasmota", {**PLUG, "relay": 0}, "relay", "from 1 to 32"),
        ("tasmota", {**PLUG, "relay": True}, "relay", "from 1 to 32"),
        ("tasmota", {**PLUG, "topc": "x"}, "topc", "did you mean `topic`"),
        ("text", {"states": {"RUN": "running"}}, "topic", "is missing; write"),
        ("text", {"topic": 5}, "topic", "must be a text"),
        ("text", {"topic": "a#"}, "topic", "without the wildcards"),
        ("text", {**TEXT, "states": {}}, "states", "must be a table"),
        ("text", {**TEXT, "states": {"RUN": "runing"}}, "states.RUN", "must be one of running"),
        ("text", {**TEXT, "offline": "gone"}, "offline", "write will_topic"),
        ("text", {**TEXT, "pointer": "/a"}, "pointer", "no such option"),
        ("json", {"topic": "lab/mill"}, "pointer", "is missing; write"),
        ("json", {"topic": "lab/mill", "pointer": "machine"}, "pointer", "begins with"),
        ("json", {"topic": "lab/mill", "pointer": "/a~2"}, "pointer", "~0"),
    ],
)
def test_a_wrong_option_is_named_with_the_remedy(name: str, options: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(OptionError) as raised:
        dialect(name, options)
    assert raised.value.key == key
    assert remedy in raised.value.message


# -- whatever arrives -------------------------------------------------------------------------------------------------

ALL_SOURCES = [("text", TEXT_WILL), ("text", {"topic": "w"}), ("json", JSON), ("json", WATTS), ("tasmota", PLUG)]
TOPICS = ["lab/mill/state", "lab/mill/lwt", "w", "lab/mill", "lab/plug", "tele/mill-1/SENSOR", "stat/mill-1/POWER"]


@pytest.mark.parametrize(("name", "options"), ALL_SOURCES, ids=lambda one: one if isinstance(one, str) else "")
@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_payload_never_tells_a_state_or_watts(name: str, options: dict[str, Any], payload: bytes) -> None:
    source = dialect(name, options)
    for topic in (*source.topics(), *TOPICS):
        for one in source.translate(topic, payload, True):
            assert not isinstance(one, Reported) or (one.state is None and one.power_w is None)


@pytest.mark.parametrize("name", ["json", "tasmota"])
def test_a_document_may_be_nested_to_the_limit_and_no_deeper(name: str) -> None:
    source = dialect(name, {"pointer": "/x"} if name == "json" else {}, any_topic=True)
    for depth, why in ((JSON_DEPTH_MAX, None), (JSON_DEPTH_MAX + 1, Rejected("nested deeper than 32"))):
        payload = '{"x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        assert (told(source, "tele/a/SENSOR", payload) == why) == (why is not None)


def test_brackets_inside_a_string_are_not_depth() -> None:
    payload = json.dumps({"power_w": 5, "note": "[{" * 100 + '"\\'})
    assert told(dialect("json", WATTS), "lab/plug", payload) == Reported(power_w=5.0)


@given(
    st.sampled_from(ALL_SOURCES),
    st.sampled_from(TOPICS) | st.text(max_size=30),
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    ),
    st.booleans(),
)
def test_translating_never_raises(source: tuple[str, dict[str, Any]], topic: str, payload: bytes, kept: bool) -> None:
    for one in dialect(*source).translate(topic, payload, kept):
        assert isinstance(one, Told)


@pytest.mark.parametrize("capture", [one for one in CAPTURED if one["topic"]], ids=lambda one: one["id"])
def test_every_captured_payload_of_any_maker_is_survived(capture: dict[str, Any]) -> None:
    payload = bytes.fromhex(capture["payload_hex"]) if "payload_hex" in capture else capture["payload_utf8"].encode()
    for name, options in (("tasmota", {}), ("text", {}), ("json", {"pointer": "/state"})):
        assert dialect(name, options, any_topic=True).translate(capture["topic"], payload, False)
