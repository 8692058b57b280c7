"""Whatever arrives, no dialect of a device crashes, waits or grows; and the command tells each of them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Gone, Rejected, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from kiosk.cli.decode import decode
from tests.wires_fixtures import captures

SOURCES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (
        "shelly1",
        {"topic": "shellies/a", "phases": 3},
        ("shellies/a/relay/0", "shellies/a/emeter/1/power", "shellies/a/online"),
    ),
    ("shelly2", {"topic": "a"}, ("a/events/rpc", "a/status/switch:0", "a/online")),
    ("zigbee2mqtt", {"topic": "z/a"}, ("z/a", "z/a/power", "z/a/availability", "z/bridge/state")),
    ("esphome", {"topic": "a", "item": "sensor/p", "relay": "switch/r"}, ("a/sensor/p/state", "a/switch/r/state")),
    (
        "octoprint",
        {"topic": "o"},
        ("o/event/PrinterStateChanged", "o/progress/printing", "o/temperature/bed", "o/mqtt"),
    ),
    ("moonraker", {"topic": "m"}, ("m/klipper/status", "m/klipper/state/print_stats/state", "m/moonraker/status")),
    ("bambu", {"topic": "device/b"}, ("device/b/report",)),
    ("packml", {"topic": "s/l"}, ("s/l/Status/StateCurrent",)),
    ("fischertechnik", {"topic": "f/i/state/mpo"}, ("f/i/state/mpo",)),
    ("fischertechnik", {"topic": "module/v1/ff/a"}, ("module/v1/ff/a/state", "module/v1/ff/a/connection")),
]
KEYS = [
    *("switch:0", "output", "apower", "errors", "params", "method", "state", "power", "update", "print", "gcode_state"),
    *(
        "stg_cur",
        "hms",
        "print_error",
        "status",
        "print_stats",
        "webhooks",
        "progress",
        "printer_data",
        "flags",
        "code",
    ),
    *("actionState", "paused", "connectionState", "server", "state_id", "actual", "target", "value", "fail_reason"),
]
WORDS = ["NotifyStatus", "ON", "OFF", "offline", "RUNNING", "FAILED", "printing", "shutdown", "ready", "PRINTING", "6"]
HOSTILE = [
    b"\x00",
    b"\xff\xfe",
    '{"state":"OFF"}'.encode("utf-16"),
    b"\xef\xbb\xbf{}",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"print":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'"' * 200_001,
    b"9" * 100_000,
    b"-1e999",
    b"NaN",
    b"Infinity",
    b'{"power":NaN}',
    b'{"print":{"gcode_state":"RUNNING","stg_cur":1e999}}',
    b'{"state":"OFF","state":"ON"}',
    b'{"method":"NotifyStatus","params":{"switch:0":{"apower":1,"apower":2}}}',
    b'{"method":"NotifyStatus","params":[{"switch:0":{"apower":1}}]}',
    b'{"method":["NotifyStatus"],"params":{}}',
    b'{"print":{"gcode_state":{"a":"RUNNING"}}}',
    b'{"status":{"print_stats":{"state":["printing"]}}}',
    b"x" * (PAYLOAD_BYTES_MAX + 1),
]
TOPICS = [
    *(topic for _, _, topics in SOURCES for topic in topics),
    "a/\x00\x07/state",
    "\ud800/status",
    "/",
    "",
    "a/" * 30_000,
]

documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


def every(name: str, options: dict[str, Any]) -> list[Dialect]:
    return [registry.machine(name, options), registry.machine(name, {}, any_topic=True)]


@pytest.mark.parametrize(("name", "options", "topics"), SOURCES, ids=[name for name, _, _ in SOURCES])
@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_payload_never_tells_a_state_or_watts(
    name: str, options: dict[str, Any], topics: tuple[str, ...], payload: bytes
) -> None:
    for source in every(name, options):
        for topic in (*topics, *TOPICS):
            for one in source.translate(topic, payload, False):
                assert not isinstance(one, Gone)
                assert not isinstance(one, Reported) or (one.state is None and one.power_w is None)


@given(
    st.sampled_from(SOURCES),
    st.lists(
        st.tuples(
            st.sampled_from(TOPICS) | st.text(max_size=30),
            documents | st.sampled_from(WORDS).map(str.encode) | st.binary(max_size=60),
            st.booleans(),
        ),
        max_size=6,
    ),
)
def test_translating_never_raises_whatever_came_before(
    source: tuple[str, dict[str, Any], tuple[str, ...]], said: list[tuple[str, bytes, bool]]
) -> None:
    name, options, topics = source
    for one in every(name, options):
        for topic, payload, kept in said:
            for where in (topic, topics[0]):
                json.dumps(one.describe(where, payload), allow_nan=False)
                for told in one.translate(where, payload, kept):
                    assert isinstance(told, Told)
                    assert not isinstance(told, Reported) or len(told.detail) < 100


@given(st.sampled_from(SOURCES), st.lists(documents, max_size=8))
def test_a_dialect_that_forgets_tells_the_same_as_a_new_one(
    source: tuple[str, dict[str, Any], tuple[str, ...]], said: list[bytes]
) -> None:
    name, options, topics = source
    used = registry.machine(name, options)
    for payload in said:
        used.translate(topics[0], payload, False)
    used.forget()
    new = registry.machine(name, options)
    for payload in said:
        assert used.translate(topics[0], payload, False) == new.translate(topics[0], payload, False)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in SOURCES}))
def test_the_longest_topic_is_judged_at_once(name: str) -> None:
    source = registry.machine(name, {}, any_topic=True)
    begin = time.process_time()
    for topic in ("a/" * 32_000, "/" * 65_000, "device/" * 9_000, "a/Status/" * 7_000, "shellies/relay/0/" * 3_000):
        source.translate(topic, b"{}", False)
    assert time.process_time() - begin < 2


def test_what_is_remembered_does_not_grow() -> None:
    for name, options, topics in SOURCES:
        source = registry.machine(name, options)
        for number in range(500):
            for payload in (
                f'{{"print":{{"gcode_state":"RUNNING","print_error":"{number}{"9" * 999}"}}}}',
                str(number),
            ):
                for topic in topics:
                    source.translate(topic, payload.encode(), False)
        known = getattr(source, "_known", None)
        assert sys.getsizeof(repr(known)) < 500


def test_a_document_that_is_deeper_than_32_is_refused_by_each_that_reads_json() -> None:
    deep = b'{"a":' * 33 + b"1" + b"}" * 33
    for name, topic in (("shelly2", "a/events/rpc"), ("bambu", "device/b/report"), ("zigbee2mqtt", "z2m/a")):
        (one,) = registry.machine(name, {}, any_topic=True).translate(topic, deep, False)
        assert one == Rejected("nested deeper than 32")


@pytest.mark.parametrize("capture", [one for one in captures("mqtt.jsonl") if one["topic"]], ids=lambda one: one["id"])
def test_every_captured_payload_of_any_maker_is_survived(capture: dict[str, Any]) -> None:
    payload = bytes.fromhex(capture["payload_hex"]) if "payload_hex" in capture else capture["payload_utf8"].encode()
    for name in sorted({name for name, _, _ in SOURCES}):
        assert registry.machine(name, {}, any_topic=True).translate(capture["topic"], payload, False)


@pytest.mark.parametrize(
    ("name", "topic", "payload", "line"),
    [
        (
            "shelly1",
            "shellies/a/relay/1/power",
            "812.5",
            {"state": None, "power_w": 812.5, "alive": True, "detail": ""},
        ),
        (
            "shelly2",
            "a/events/rpc",
            '{"method":"NotifyStatus","params":{"switch:0":{"apower":11.5}}}',
            {"state": None, "power_w": 11.5, "alive": True, "detail": "alive"},
        ),
        ("zigbee2mqtt", "z2m/a/set", '{"state":"OFF"}', {"ignored": "a command, not a report"}),
        ("bambu", "device/b/report", "{", {"rejected": "not JSON"}),
        (
            "moonraker",
            "m/moonraker/status",
            '{"server":"offline"}',
            {"state": "unknown", "power_w": None, "alive": False, "detail": "last will"},
        ),
    ],
)
def test_the_command_tells_a_message_without_any_configuration(
    name: str, topic: str, payload: str, line: dict[str, Any]
) -> None:
    result = CliRunner().invoke(decode, ["machine", name, "--topic", topic, "--payload", payload])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == line


def test_the_command_judges_watts_by_the_machines_thresholds() -> None:
    arguments = [
        "--topic",
        "a/status/switch:0",
        "--payload",
        '{"output":true,"apower":400}',
        "--option",
        "running_above_w=350",
    ]
    result = CliRunner().invoke(decode, ["machine", "shelly2", *arguments])
    assert json.loads(result.stdout)["state"] == "running"
