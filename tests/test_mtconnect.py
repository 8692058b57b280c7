"""MTConnect by MQTT: documents of both JSON versions, single observations, adapter lines, and agents that vanish."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.machines.base import NOT_OURS, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import MachineReported, SourceLost
from firmware_bridge.options import OptionError
from firmware_bridge.simulator.mtconnect_agent import MTConnectVoice, VirtualAgent
from firmware_bridge.simulator.voices import Doing
from firmware_bridge.simulator.workshop import Workshop
from kiosk.cli.decode import decode
from tests.wires_fixtures import Inbox, captures

CAPTURED = [one for one in captures("mqtt.jsonl") if one["family"].startswith("mtconnect")]
LATHE = {"device": "lathe", "agent": "agent-1"}
SINGLE = {**LATHE, "form": "observations"}
CURRENT, SAMPLE, WILL = "MTConnect/Current/lathe", "MTConnect/Sample/lathe", "MTConnect/Probe/agent-1/Availability"
HELD = ("INTERRUPTED", "FEED_HOLD", "OPTIONAL_STOP", "PROGRAM_OPTIONAL_STOP", "PROGRAM_STOPPED", "WAIT")
IDLE = ("READY", "STOPPED", "PROGRAM_COMPLETED")
Event = tuple[str, str, str]


def dialect(options: dict[str, Any] | None = None) -> Dialect:
    return registry.machine("mtconnect", LATHE if options is None else options)


def told(source: Dialect, topic: str, payload: object, *, kept: bool = False) -> Told:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    (one,) = source.translate(topic, text.encode(), kept)
    return one


def event(name: str, word: str, key: str = "", sequence: int = 1) -> dict[str, Any]:
    """An element of an event, or of a condition whose level is its name and whose code is the word."""
    stamp = {"timestamp": "2026-09-21T10:00:00.1234567Z", "sequence": sequence}
    if name in ("Normal", "Warning", "Fault", "Unavailable"):
        code = {"nativeCode": word} if word else {}
        return {"dataItemId": key or "system", "type": "SYSTEM", **stamp, **code}
    return {"dataItemId": key or name.lower(), **stamp, "value": word}


def streams(*events: tuple[Any, ...], version: int = 2, instance: int = 1, uuid: str = "lathe") -> dict[str, Any]:
    """A streams document of one device; each of `events` is the arguments of `event`."""
    header = {"instanceId": instance, "version": "2.7.0.0"}
    component: dict[str, Any] = {"component": "Controller", "componentId": "ct"}
    for one in events:
        kind = "Condition" if one[0] in ("Normal", "Warning", "Fault", "Unavailable") else "Events"
        if version == 1:
            component.setdefault(kind, []).append({one[0]: event(*one)})
        else:
            component.setdefault(kind, {}).setdefault(one[0], []).append(event(*one))
    if version == 1:
        device = {"name": "Lathe", "uuid": uuid, "ComponentStreams": [{"ComponentStream": component}]}
        return {"MTConnectStreams": {"Header": header, "Streams": [{"DeviceStream": device}]}}
    device = {"name": "Lathe", "uuid": uuid, "ComponentStream": [component]}
    return {"MTConnectStreams": {"jsonVersion": 2, "Header": header, "Streams": {"DeviceStream": [device]}}}


def observed(source: Dialect, key: str, kind: str, word: str, **more: Any) -> Told:
    told_one = {"dataItemId": key, "type": kind, "category": "EVENT", "result": word, "sequence": 5, **more}
    return told(source, f"MTConnect/Devices/lathe/Observations/{key}", told_one)


# -- what was captured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", CAPTURED, ids=lambda one: one["id"])
def test_each_captured_message_means_what_it_must_when_it_is_decoded_alone(capture: dict[str, Any]) -> None:
    expect = capture["expect"]
    arguments = ["machine", "mtconnect", "--topic", capture["topic"] or "any", "--payload", capture["payload_utf8"]]
    result = CliRunner().invoke(decode, [*arguments, *(["--retain"] if capture["retain"] else [])])
    assert result.exit_code == 0
    line = json.loads(result.output)
    state = expect.get("state")
    assert line["state"] == ("unknown" if state == "offline" else state)
    assert line["alive"] == (state != "offline")
    items = line.get("items", [])
    assert "native" not in expect or expect["native"] in [one["native"] for one in items]
    assert "item" not in expect or [one["item"] for one in items] == [expect["item"]]


# -- one item ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("word", "expect"),
    [
        ("ACTIVE", Reported("running")),
        *[(word, Reported("idle", detail="held")) for word in HELD],
        *[(word, Reported("idle")) for word in IDLE],
        ("UNAVAILABLE", Gone("Execution is UNAVAILABLE")),
        ("DANCING", Reported(detail="unmapped:DANCING")),
    ],
)
def test_an_execution_means_the_same_in_every_form(version: int, word: str, expect: Told) -> None:
    assert told(dialect(), CURRENT, streams(("Execution", word), version=version)) == expect
    assert observed(dialect(SINGLE), "exec", "EXECUTION", word) == expect
    line = f"2026-09-21T10:00:00.1234567Z|exec|{word}"
    assert told(dialect({"topic": "shop/lathe"}), "shop/lathe", line) == expect
    assert told(dialect({"topic": "shop/lathe/execution"}), "shop/lathe/execution", word) in (
        expect,
        Gone("the agent is UNAVAILABLE"),
    )


@pytest.mark.parametrize("mode", ["AUTOMATIC", "MANUAL", "MANUAL_DATA_INPUT", "SEMI_AUTOMATIC", "EDIT"])
def test_a_mode_changes_nothing(mode: str) -> None:
    running = streams(("ControllerMode", mode), ("Execution", "ACTIVE"))
    assert told(dialect(), CURRENT, running) == Reported("running")
    assert observed(dialect(SINGLE), "mode", "CONTROLLER_MODE", mode) == Reported(detail=f"CONTROLLER_MODE {mode}")


def test_a_result_may_have_the_key_value_or_result_and_a_type_may_be_missing() -> None:
    source = dialect(SINGLE)
    topic = "MTConnect/Devices/lathe/Observations/x"
    assert told(source, topic, {"dataItemId": "pexecution", "value": "ACTIVE"}) == Reported("running")
    assert told(source, topic, {"dataItemId": "d1", "name": "pexecution", "result": "READY"}) == Reported("running")
    assert told(source, topic, {"dataItemId": "d1", "type": "e:EXECUTION", "result": "x"}) == Reported("running")


# -- how items combine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("events", "expect"),
    [
        ([("Execution", "ACTIVE"), ("EmergencyStop", "TRIGGERED")], Reported("estop")),
        ([("EmergencyStop", "TRIGGERED"), ("Fault", "1202")], Reported("estop")),
        ([("Execution", "UNAVAILABLE"), ("EmergencyStop", "TRIGGERED")], Reported("estop")),
        ([("Execution", "ACTIVE"), ("EmergencyStop", "UNAVAILABLE")], Gone("EmergencyStop is UNAVAILABLE")),
        ([("Execution", "ACTIVE"), ("Fault", "1202")], Reported("fault")),
        ([("Execution", "ACTIVE"), ("Warning", "1202")], Reported("running")),
        ([("Execution", "ACTIVE"), ("Unavailable", "")], Reported("running")),
        ([("Execution", "READY", "x1"), ("Execution", "ACTIVE", "x2")], Reported("running")),
        ([("Execution", "UNAVAILABLE", "x1"), ("Execution", "ACTIVE", "x2")], Reported("running")),
        ([("Execution", "FEED_HOLD", "x1"), ("Execution", "READY", "x2")], Reported("idle", detail="held")),
        ([("Execution", "ACTIVE"), ("Availability", "UNAVAILABLE", "", 2)], Gone("the machine is UNAVAILABLE")),
        ([("Availability", "AVAILABLE")], Reported(detail="AVAILABILITY AVAILABLE")),
    ],
)
def test_the_gravest_of_what_was_last_said_is_the_state(version: int, events: list[Event], expect: Told) -> None:
    assert told(dialect(), CURRENT, streams(*events, version=version)) == expect


def test_single_observations_add_up() -> None:
    source = dialect(SINGLE)
    assert observed(source, "exec", "EXECUTION", "ACTIVE") == Reported("running")
    assert observed(source, "estop", "EMERGENCY_STOP", "TRIGGERED") == Reported("estop")
    assert observed(source, "exec", "EXECUTION", "READY") == Reported("estop")
    assert observed(source, "estop", "EMERGENCY_STOP", "ARMED") == Reported("idle")
    fault = {"category": "CONDITION", "level": "FAULT", "result": None}
    assert observed(source, "system", "SYSTEM", "", **fault, nativeCode="1") == Reported("fault")
    assert observed(source, "system", "SYSTEM", "", **fault, nativeCode="2") == Reported("fault")
    normal = {**fault, "level": "NORMAL"}
    assert observed(source, "system", "SYSTEM", "", **normal, nativeCode="1") == Reported("fault")
    assert observed(source, "system", "SYSTEM", "", **normal) == Reported("idle")


def test_a_line_of_an_adapter_tells_a_fault_and_its_end() -> None:
    source = dialect({"topic": "shdr"})
    assert told(source, "shdr", "2026-09-21T10:00:00Z|system|FAULT|1202|100|HIGH|Overtravel") == Reported("fault")
    assert told(source, "shdr", "|exec|ACTIVE|mode|AUTOMATIC") == Reported("fault")
    assert told(source, "shdr", "0.5|system|NORMAL||||") == Reported("running")
    assert told(source, "shdr", "* uuid: 0000") == Ignored("nothing observed in it")


def test_a_line_that_names_a_level_alone_is_a_condition_too() -> None:
    source = dialect({"topic": "shdr"})
    assert told(source, "shdr", "2|logic|FAULT") == Reported("fault")
    assert told(source, "shdr", "2|logic|NORMAL|exec|READY") == Reported("fault")
    assert told(source, "shdr", "2|logic|NORMAL") == Reported("idle")


def test_several_single_observations_may_come_in_one_array() -> None:
    both = [{"dataItemId": "d1", "type": "EXECUTION", "result": "ACTIVE"}, {"dataItemId": "d2", "type": "MESSAGE"}]
    assert told(dialect({"topic": "t"}), "t", both) == Reported("running")


@pytest.mark.parametrize("version", [1, 2])
def test_what_one_document_tells_is_heard_in_the_order_of_its_sequences(version: int) -> None:
    events = [("Normal", "", "", 12), ("Fault", "1202", "", 10), ("Execution", "READY", "", 9)]
    assert told(dialect(), SAMPLE, streams(*events, version=version)) == Reported("idle")


def test_a_sample_adds_to_what_is_known_and_current_replaces_it() -> None:
    source = dialect()
    told(source, CURRENT, streams(("Execution", "ACTIVE"), ("EmergencyStop", "TRIGGERED")))
    assert told(source, SAMPLE, streams(("Execution", "READY"))) == Reported("estop")
    assert told(source, CURRENT, streams(("Execution", "READY"))) == Reported("idle")


def test_an_agent_that_restarted_begins_anew() -> None:
    source = dialect()
    told(source, SAMPLE, streams(("EmergencyStop", "TRIGGERED"), instance=1))
    assert told(source, SAMPLE, streams(("Execution", "ACTIVE"), instance=1)) == Reported("estop")
    assert told(source, SAMPLE, streams(("Execution", "ACTIVE"), instance=2)) == Reported("running")


def test_a_new_connection_begins_anew() -> None:
    source = dialect(SINGLE)
    observed(source, "estop", "EMERGENCY_STOP", "TRIGGERED")
    source.forget()
    assert observed(source, "exec", "EXECUTION", "ACTIVE") == Reported("running")


def test_an_item_that_is_to_be_ignored_does_not_count() -> None:
    source = dialect({**LATHE, "ignore": ["emergencystop", "coolant"]})
    events = [("Execution", "ACTIVE"), ("EmergencyStop", "UNAVAILABLE"), ("Fault", "7", "coolant")]
    assert told(source, CURRENT, streams(*events)) == Reported("running")


def test_of_several_devices_in_one_document_only_ours_counts() -> None:
    both = streams(("Execution", "READY"))
    other = streams(("Execution", "ACTIVE"), uuid="mill")["MTConnectStreams"]["Streams"]["DeviceStream"]
    both["MTConnectStreams"]["Streams"]["DeviceStream"] += other
    assert told(dialect(), CURRENT, both) == Reported("idle")
    assert told(dialect({"device": "mill", "topic": "all"}), "all", both) == Reported("running")
    assert told(dialect({"device": "drill", "topic": "all"}), "all", both) == Ignored("another device")


# -- agents that vanish -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [LATHE, SINGLE], ids=["documents", "observations"])
@pytest.mark.parametrize("kept", [False, True], ids=["live", "kept"])
def test_the_will_of_the_agent_is_a_bare_word(options: dict[str, Any], kept: bool) -> None:
    assert told(dialect(options), WILL, "UNAVAILABLE", kept=kept) == Gone("the agent is UNAVAILABLE")
    assert told(dialect(options), WILL, "AVAILABLE", kept=kept) == Reported(detail="available")


def test_after_the_agents_will_nothing_before_it_is_known() -> None:
    source = dialect(SINGLE)
    observed(source, "exec", "EXECUTION", "ACTIVE")
    told(source, WILL, "UNAVAILABLE")
    told(source, WILL, "AVAILABLE")
    assert observed(source, "mode", "CONTROLLER_MODE", "MANUAL") == Reported(detail="CONTROLLER_MODE MANUAL")


def test_a_document_that_the_broker_kept_does_not_colour_what_is_said_now() -> None:
    source = dialect()
    assert told(source, CURRENT, streams(("Execution", "ACTIVE")), kept=True) == Reported("running")
    assert told(source, SAMPLE, streams(("ControllerMode", "MANUAL"))) == Reported(detail="CONTROLLER_MODE MANUAL")


@pytest.mark.parametrize(
    ("topic", "payload", "expect"),
    [
        (CURRENT, {"MTConnectDevices": {"Devices": []}}, Ignored("nothing observed in it")),
        (CURRENT, {"MTConnectStreams": {"Streams": {}}}, Ignored("nothing observed in it")),
        (CURRENT, "", Ignored("nothing observed in it")),
        (CURRENT, streams(("Position", "12.5")), Reported()),
        (CURRENT, {"other": 1}, Rejected("no observation in it")),
        (CURRENT, "ACTIVE", Rejected("no document, no line, and no word of a known item")),
        (CURRENT, "a|exec|ACTIVE", Rejected("an adapter's line that does not begin with a time")),
        (CURRENT, '{"Execution":NaN}', Rejected("NaN is no number")),
        ("MTConnect/Current/mill", streams(("Execution", "ACTIVE")), NOT_OURS),
        ("MTConnect/Probe/agent-2/Availability", "UNAVAILABLE", NOT_OURS),
    ],
)
def test_what_tells_no_state_tells_none(topic: str, payload: object, expect: Told) -> None:
    assert told(dialect(), topic, payload) == expect


# -- options ----------------------------------------------------------------------------------------------------------

WILLS = ("MTConnect/Probe/agent-1/Availability", "MTConnect/Probe/agent-1/Available")
ANY_WILLS = ("MTConnect/Probe/+/Availability", "MTConnect/Probe/+/Available")


@pytest.mark.parametrize(
    ("options", "filters", "stale_after_ms"),
    [
        (LATHE, (CURRENT, SAMPLE, *WILLS), 30_000),
        ({"device": "lathe"}, (CURRENT, SAMPLE, *ANY_WILLS), 30_000),
        (SINGLE, ("MTConnect/Devices/lathe/Observations/#", *WILLS), None),
        ({"topic": "shop/lathe"}, ("shop/lathe",), 30_000),
        ({"topic": "shop/lathe", "agent": "agent-1"}, ("shop/lathe", *WILLS), 30_000),
    ],
)
def test_what_is_listened_to_and_how_long_it_may_be_silent(
    options: dict[str, Any], filters: tuple[str, ...], stale_after_ms: int | None
) -> None:
    source = dialect(options)
    assert source.topics() == filters
    assert source.default_stale_after_ms == stale_after_ms


@pytest.mark.parametrize(
    ("options", "key", "remedy"),
    [
        ({}, "device", "is missing; write"),
        ({"device": "#"}, "device", "without the wildcards"),
        ({**LATHE, "form": "xml"}, "form", "must be one of documents, observations"),
        ({**LATHE, "ignore": "estop"}, "ignore", "must be a list"),
        ({**LATHE, "agnt": "x"}, "agnt", "did you mean `agent`"),
    ],
)
def test_a_wrong_option_is_named_with_the_remedy(options: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(OptionError) as raised:
        dialect(options)
    assert raised.value.key == key
    assert remedy in raised.value.message


# -- whatever arrives -------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["MTConnectStreams", "Streams", "DeviceStream", "Header", "instanceId", "Events", "Execution"])
KEYS = NAMES | st.sampled_from(["dataItemId", "type", "category", "result", "value", "sequence", "Fault", "uuid"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
LINES = st.lists(st.sampled_from(["exec", "ACTIVE", "FAULT", "", "2", "2026-09-21T10:00:00Z", "\n", "*"])).map("|".join)


@given(
    st.sampled_from([{}, LATHE, SINGLE, {"topic": "t"}]),
    st.lists(
        st.tuples(
            st.sampled_from([CURRENT, SAMPLE, WILL, "t", "MTConnect/Devices/lathe/Observations/exec"]) | st.text(),
            st.binary(max_size=60) | (JSON.map(json.dumps) | LINES).map(str.encode),
            st.booleans(),
        ),
        max_size=6,
    ),
)
def test_translating_never_raises(options: dict[str, Any], messages: list[tuple[str, bytes, bool]]) -> None:
    source = registry.machine("mtconnect", options, any_topic=not options)
    for topic, payload, kept in messages:
        assert all(isinstance(one, Told) for one in source.translate(topic, payload, kept))
        json.dumps(source.describe(topic, payload), allow_nan=False)


def test_an_item_may_tell_its_type_where_its_name_tells_nothing() -> None:
    execution = {"dataItemId": "d1", "type": "EXECUTION", "result": "ACTIVE"}
    document: dict[str, Any] = {"header": {}, "streams": [{"componentStreams": [{"events": [execution]}]}]}
    assert told(dialect(), CURRENT, document) == Reported("running")
    fault = {"dataItemId": "d2", "type": "SYSTEM", "category": "CONDITION", "level": "FAULT"}
    document["streams"][0]["componentStreams"].append({"conditions": [fault]})
    assert told(dialect(), CURRENT, document) == Reported("fault")


def test_a_block_is_no_execution_whatever_its_id() -> None:
    assert told(dialect(), CURRENT, streams(("Block", "ACTIVE", "exec"))) == Reported()


def test_what_is_remembered_is_bounded() -> None:
    source = dialect(SINGLE)
    for number in range(2_000):
        observed(source, f"exec{number}", "EXECUTION", "READY")
    assert observed(source, "another", "EXECUTION", "ACTIVE") == Reported("idle")
    assert observed(source, "exec0", "EXECUTION", "ACTIVE") == Reported("running")


# -- an agent over a real broker --------------------------------------------------------------------------------------

Wait = Callable[..., Any]


@pytest.mark.parametrize("version", [0, 1, 2], ids=["observations", "JSON version 1", "JSON version 2"])
def test_a_virtual_agent_says_what_its_dialect_understands(version: int) -> None:
    voice = MTConnectVoice("mill-1", version)
    source = dialect({key: value for key, value in voice.status().items() if key != "dialect"})
    before = "off"
    for at_s, doing in enumerate(("running", "idle", "fault", "setup", "estop", "off", "running")):
        now = Doing(doing, 500.0, at_s + 0.25)
        heard = [
            one
            for said in (*voice.changed(before, now), *voice.now(now))
            for one in source.translate(said.topic, said.data, False)
        ]
        before = doing
        if doing == "off":
            assert any(isinstance(one, Gone) for one in heard)
        else:
            assert heard[-1] == Reported("idle" if doing == "setup" else doing)


@pytest.mark.parametrize("version", [0, 2], ids=["observations", "documents"])
def test_an_agent_that_loses_its_machine_and_then_the_broker_is_followed(
    version: int, mosquitto: Any, wait_until: Wait
) -> None:
    where = {"host": mosquitto.host, "port": mosquitto.port}
    agent = VirtualAgent("mill-1", version, period_s=0.2, **where)
    agent.set_phase("running", hold=True)
    inbox, crashes = Inbox(), list[BaseException]()
    source = dialect({key: value for key, value in agent.status.items() if key != "dialect"})
    link = MqttLink(Broker(**where), [("mill-1", source)], inbox.deliver, crashes.append)
    workshop = Workshop({}, {"mill-1": agent})

    def last() -> str | None:
        states = [one.state for one in inbox.of(MachineReported) if one.state is not None and not one.retained]
        return states[-1] if states else None

    try:
        link.start()
        wait_until(lambda: link.connected, what="the link")
        workshop.start()
        wait_until(lambda: last() == "running", what="the state")
        agent.agent.has_adapter = False
        agent.set_phase("idle", hold=True)
        wait_until(lambda: inbox.of(SourceLost), what="UNAVAILABLE")
        agent.agent.has_adapter = True
        agent.set_phase("fault", hold=True)
        wait_until(lambda: last() == "fault", what="the fault")
        gone = len(inbox.of(SourceLost))
        agent.set_fault("offline")
        wait_until(lambda: len(inbox.of(SourceLost)) > gone, what="the will")
    finally:
        link.stop()
        workshop.stop()
    assert crashes == []
