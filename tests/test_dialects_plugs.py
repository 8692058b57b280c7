"""Plugs and meters that are not Tasmota: what is added up, what is off, and what a relay that is on does not say."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.options import OptionError

GEN1: dict[str, Any] = {"topic": "shellies/mill-1"}
GEN2: dict[str, Any] = {"topic": "mill-1"}
ZIGBEE: dict[str, Any] = {"topic": "zigbee2mqtt/mill-1"}
NODE: dict[str, Any] = {"topic": "mill-1", "item": "sensor/power", "relay": "switch/relay"}


def told(source: Dialect, topic: str, payload: str, *, kept: bool = False) -> Told:
    (one,) = source.translate(topic, payload.encode(), kept)
    return one


def notice(source: Dialect, component: str, *, kept: bool = False, method: str = "NotifyStatus") -> Told:
    return told(source, "mill-1/events/rpc", f'{{"method":"{method}","params":{{{component}}}}}', kept=kept)


# -- Shelly, first generation -----------------------------------------------------------------------------------------


def test_a_first_generation_counter_is_in_watt_minutes_and_never_watts() -> None:
    plug = registry.machine("shelly1", GEN1)
    topic = "shellies/mill-1/relay/0/energy"
    assert told(plug, topic, "81010") == Reported(detail="alive")
    assert plug.describe(topic, b"81010") == {"energy_wh": 1350.17}
    assert plug.describe("shellies/mill-1/emeter/0/total", b"81010.5") == {"energy_wh": 81010.5}


def test_of_several_channels_only_the_machines_own_counts() -> None:
    second = registry.machine("shelly1", {**GEN1, "channel": 1})
    assert told(second, "shellies/mill-1/relay/0", "off") == Reported(detail="channel 0 of several")
    assert told(second, "shellies/mill-1/relay/0/power", "700") == Reported(detail="channel 0 of several")
    assert told(second, "shellies/mill-1/relay/1", "off") == Reported("off", detail="relay off")


def test_a_plug_that_is_off_stays_off_though_its_meter_says_0_watts() -> None:
    plug = registry.machine("shelly1", GEN1)
    told(plug, "shellies/mill-1/relay/0", "off")
    assert told(plug, "shellies/mill-1/relay/0/power", "0.0") == Reported("off", 0.0, "relay off")
    assert told(plug, "shellies/mill-1/relay/0", "on") == Reported(detail="relay on")
    assert told(plug, "shellies/mill-1/relay/0/power", "0.0") == Reported(power_w=0.0)


def test_a_plug_that_cut_off_an_overload_is_at_fault_until_it_says_another_word() -> None:
    plug = registry.machine("shelly1", GEN1)
    assert told(plug, "shellies/mill-1/relay/0", "overpower") == Reported("fault", detail="overpower")
    assert told(plug, "shellies/mill-1/relay/0/power", "0.0") == Reported("fault", 0.0, "overpower")
    assert told(plug, "shellies/mill-1/relay/0", "off") == Reported("off", detail="relay off")


def test_three_clamps_are_one_machine_once_all_were_heard() -> None:
    meter = registry.machine("shelly1", {**GEN1, "phases": 3})
    assert told(meter, "shellies/mill-1/emeter/0/power", "100") == Reported(detail="1 of 3 phases")
    assert told(meter, "shellies/mill-1/emeter/1/power", "200.5") == Reported(detail="2 of 3 phases")
    assert told(meter, "shellies/mill-1/emeter/2/power", "300") == Reported(power_w=600.5)
    assert told(meter, "shellies/mill-1/emeter/0/power", "0") == Reported(power_w=500.5)
    meter.forget()
    assert told(meter, "shellies/mill-1/emeter/0/power", "0") == Reported(detail="1 of 3 phases")


def test_watts_that_add_up_to_no_number_are_refused() -> None:
    meter = registry.machine("shelly1", {**GEN1, "phases": 2})
    told(meter, "shellies/mill-1/emeter/0/power", "1e308")
    assert told(meter, "shellies/mill-1/emeter/1/power", "1e308") == Rejected("a number out of range")


@pytest.mark.parametrize("topic", ["shellies/mill-1/relay/0/command", "shellies/mill-1/input/0"])
def test_a_first_generation_command_or_button_is_nothing(topic: str) -> None:
    assert isinstance(told(registry.machine("shelly1", GEN1), topic, "off"), Ignored)


# -- Shelly, second generation ----------------------------------------------------------------------------------------


def test_what_changed_is_added_to_what_is_known() -> None:
    plug = registry.machine("shelly2", GEN2)
    full = '{"id":0,"output":true,"apower":812.5,"voltage":230.1}'
    assert told(plug, "mill-1/status/switch:0", full) == Reported(power_w=812.5, detail="relay on")
    assert notice(plug, '"switch:0":{"id":0,"voltage":229.8}') == Reported(power_w=812.5, detail="relay on")
    assert notice(plug, '"switch:0":{"apower":20.5}') == Reported(power_w=20.5, detail="relay on")


def test_watts_from_before_a_switching_are_forgotten() -> None:
    plug = registry.machine("shelly2", GEN2)
    notice(plug, '"switch:0":{"output":true,"apower":812}')
    assert notice(plug, '"switch:0":{"output":false}') == Reported("off", detail="relay off")
    assert notice(plug, '"switch:0":{"output":true}') == Reported(detail="relay on")


def test_a_full_status_replaces_what_was_known() -> None:
    plug = registry.machine("shelly2", GEN2)
    notice(plug, '"switch:0":{"output":true,"apower":812}')
    assert notice(plug, '"switch:0":{"output":true}', method="NotifyFullStatus") == Reported(detail="relay on")


@pytest.mark.parametrize("how", ["a new connection", "its last will"])
def test_nothing_is_added_to_what_was_known_before(how: str) -> None:
    plug = registry.machine("shelly2", GEN2)
    notice(plug, '"switch:0":{"output":true,"apower":812}')
    if how == "its last will":
        assert told(plug, "mill-1/online", "false") == Gone("last will")
    else:
        plug.forget()
    assert notice(plug, '"switch:0":{"voltage":230}') == Reported(detail="alive")


def test_what_the_broker_had_kept_is_told_and_not_added() -> None:
    plug = registry.machine("shelly2", GEN2)
    assert notice(plug, '"switch:0":{"output":true,"apower":812}', kept=True).power_w == 812  # type: ignore[union-attr]
    assert notice(plug, '"switch:0":{"voltage":230}') == Reported(detail="alive")


def test_an_overload_is_a_fault_until_it_is_switched_on_again() -> None:
    plug = registry.machine("shelly2", GEN2)
    notice(plug, '"switch:0":{"output":true,"apower":3900}')
    assert notice(plug, '"switch:0":{"errors":["overpower"]}').state == "fault"  # type: ignore[union-attr]
    assert notice(plug, '"switch:0":{"output":false,"apower":0}').state == "fault"  # type: ignore[union-attr]
    assert notice(plug, '"switch:0":{"output":true}') == Reported(detail="relay on")


@pytest.mark.parametrize(
    ("component", "said", "power_w"),
    [
        ("pm1:0", '"pm1:0":{"apower":52.5}', 52.5),
        ("em1:1", '"em1:0":{"act_power":9},"em1:1":{"act_power":1500}', 1500.0),
        ("em:0", '"em:0":{"a_act_power":1,"b_act_power":2,"total_act_power":2407.5}', 2407.5),
        ("switch:3", '"switch:0":{"apower":9},"switch:3":{"output":true,"apower":40}', 40.0),
    ],
)
def test_the_machine_may_hang_on_any_meter_of_the_device(component: str, said: str, power_w: float) -> None:
    one = notice(registry.machine("shelly2", {**GEN2, "component": component}), said)
    assert isinstance(one, Reported)
    assert one.power_w == power_w


def test_a_script_that_runs_is_no_machine_that_runs() -> None:
    plug = registry.machine("shelly2", GEN2)
    assert notice(plug, '"script:1":{"id":1,"running":true}') == Reported(detail="another component")


def test_an_event_of_a_button_and_a_broken_status_are_no_sign_of_life() -> None:
    plug = registry.machine("shelly2", GEN2)
    assert isinstance(notice(plug, '"events":[]', method="NotifyEvent"), Ignored)
    assert notice(plug, '"switch:0":{"apower":"812"}') == Rejected("apower is not a number")
    assert notice(plug, '"switch:0":{"output":1}') == Rejected("output is neither true nor false")
    assert notice(plug, '"switch:0":5') == Rejected("switch:0 is not a JSON object")


# -- Zigbee2MQTT ------------------------------------------------------------------------------------------------------


def test_a_zigbee_plugs_topics_are_its_own_and_the_bridges_state() -> None:
    topics = ("zigbee2mqtt/mill-1", "zigbee2mqtt/mill-1/+", "zigbee2mqtt/bridge/state")
    assert registry.machine("zigbee2mqtt", ZIGBEE).topics() == topics
    deep = registry.machine("zigbee2mqtt", {"topic": "lab/zigbee/mill/1", "base": "lab/zigbee"})
    assert deep.topics()[2] == "lab/zigbee/bridge/state"


@pytest.mark.parametrize("topic", ["zigbee2mqtt/mill-1/availability", "zigbee2mqtt/bridge/state"])
@pytest.mark.parametrize("word", ["offline", '{"state":"offline"}'])
def test_an_unavailable_plug_or_bridge_is_gone_in_the_old_words_and_the_new(topic: str, word: str) -> None:
    assert told(registry.machine("zigbee2mqtt", ZIGBEE), topic, word) == Gone("last will")


@pytest.mark.parametrize("topic", ["zigbee2mqtt/mill-1", "zigbee2mqtt/mill-1/availability"])
def test_a_topic_that_was_removed_tells_nothing(topic: str) -> None:
    assert told(registry.machine("zigbee2mqtt", ZIGBEE), topic, "") == Ignored("the topic was removed")


def test_the_firmwares_state_is_not_the_machines() -> None:
    said = '{"update":{"state":"available"},"linkquality":43}'
    assert told(registry.machine("zigbee2mqtt", ZIGBEE), "zigbee2mqtt/mill-1", said) == Reported(detail="alive")


def test_of_several_zigbee_relays_only_the_machines_own_switches_it_off() -> None:
    left = registry.machine("zigbee2mqtt", {**ZIGBEE, "channel": "left"})
    said = '{"state_left":"ON","state_right":"OFF","power":90}'
    assert told(left, "zigbee2mqtt/mill-1", said) == Reported(detail="relay on")
    assert told(left, "zigbee2mqtt/mill-1", '{"state_left":"OFF"}') == Reported("off", detail="relay off")


def test_attributes_may_come_one_by_one() -> None:
    plug = registry.machine("zigbee2mqtt", ZIGBEE)
    assert told(plug, "zigbee2mqtt/mill-1/power", "812") == Reported(power_w=812.0)
    assert told(plug, "zigbee2mqtt/mill-1/state", "OFF") == Reported("off", detail="relay off")
    assert told(plug, "zigbee2mqtt/mill-1/power", "0") == Reported("off", 0.0, "relay off")
    assert told(plug, "zigbee2mqtt/mill-1/power", "NULL") == Rejected("not a number")


@pytest.mark.parametrize(
    "topic",
    ["zigbee2mqtt/mill-1/set", "zigbee2mqtt/mill-1/set/state", "zigbee2mqtt/mill-1/get", "zigbee2mqtt/bridge/logging"],
)
def test_a_zigbee_command_or_log_is_nothing(topic: str) -> None:
    assert isinstance(told(registry.machine("zigbee2mqtt", ZIGBEE), topic, '{"state":"OFF","power":0}'), Ignored)


def test_a_discovery_document_is_nothing_to_a_node_or_a_plug() -> None:
    for name in ("zigbee2mqtt", "esphome"):
        source = registry.machine(name, {}, any_topic=True)
        for topic in ("homeassistant/switch/mill/config", "homeassistant/status", "homeassistant/switch/a/state"):
            assert isinstance(told(source, topic, "offline"), Ignored)


# -- ESPHome ----------------------------------------------------------------------------------------------------------


def test_a_nodes_topics_are_its_item_its_relay_and_its_status() -> None:
    topics = ("mill-1/sensor/power/state", "mill-1/switch/relay/state", "mill-1/status")
    assert registry.machine("esphome", NODE).topics() == topics


def test_a_nodes_relay_that_is_off_takes_the_watts_with_it() -> None:
    node = registry.machine("esphome", NODE)
    assert told(node, "mill-1/sensor/power/state", "812.25") == Reported(power_w=812.25)
    assert told(node, "mill-1/switch/relay/state", "OFF") == Reported("off", detail="relay off")
    assert told(node, "mill-1/sensor/power/state", "0.0") == Reported("off", 0.0, "relay off")
    assert told(node, "mill-1/switch/relay/state", "ON") == Reported(detail="relay on")


def test_a_sensor_that_does_not_answer_its_node_is_no_sign_of_life() -> None:
    assert told(registry.machine("esphome", NODE), "mill-1/sensor/power/state", "nan") == Rejected("not a number")


def test_a_nodes_words_tell_the_states_of_a_table() -> None:
    options = {"topic": "mill-1", "item": "binary_sensor/spindle", "states": {"ON": "running", "OFF": "idle"}}
    node = registry.machine("esphome", options)
    assert told(node, "mill-1/binary_sensor/spindle/state", "ON") == Reported("running")
    assert told(node, "mill-1/binary_sensor/spindle/state", "on") == Reported(detail="unmapped:on")
    assert told(node, "mill-1/binary_sensor/door/state", "ON") == Ignored("another item")
    assert node.default_stale_after_ms is None


@pytest.mark.parametrize(
    "item", ["sensor/power_factor", "sensor/apparent_power", "sensor/energy_power", "switch/restart"]
)
def test_what_only_sounds_like_watts_or_a_relay_is_neither(item: str) -> None:
    node = registry.machine("esphome", {}, any_topic=True)
    assert told(node, f"mill-1/{item}/state", "OFF") == Reported(detail="alive")


def test_without_configuration_a_zigbee_topic_is_known_by_its_name_or_by_what_only_such_a_device_says() -> None:
    source = registry.machine("zigbee2mqtt", {}, any_topic=True)
    for topic in ("zigbee2mqtt/mill-1", "lab/Zigbee2MQTT-2/mill/1", "z2m/mill-1"):
        assert told(source, topic, '{"state":"OFF"}') == Reported("off", detail="relay off")
        source.forget()
    assert told(source, "lab/mill-1", '{"power":7,"linkquality":43}') == Reported(power_w=7.0)
    assert isinstance(told(source, "lab/mill-1", '{"power":7}'), Ignored)
    assert told(source, "lab/zigbee/bridge/state", "offline") == Gone("last will")


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "topic", "payload"),
    [
        ("shelly1", GEN1, "shellies/mill-1/command", b"update"),
        ("shelly2", GEN2, "mill-1/rpc", b'{"id": 1, "src": "mill-1/kiosk", "method": "Shelly.GetStatus"}'),
        ("zigbee2mqtt", {**ZIGBEE, "channel": "l2"}, "zigbee2mqtt/mill-1/get", b'{"state_l2": ""}'),
    ],
)
def test_a_plug_is_asked_for_its_state_at_the_start(
    name: str, options: dict[str, Any], topic: str, payload: bytes
) -> None:
    assert registry.machine(name, options).greeting() == (Asked(topic, payload),)
    assert registry.machine(name, {}, any_topic=True).greeting() == ()


def test_a_shellys_answer_is_its_full_status() -> None:
    plug = registry.machine("shelly2", GEN2)
    assert "mill-1/kiosk/rpc" in plug.topics()
    answer = '{"id":1,"src":"shellyplus1pm-1","dst":"mill-1/kiosk","result":{"switch:0":{"output":true,"apower":812}}}'
    assert told(plug, "mill-1/kiosk/rpc", answer) == Reported(power_w=812.0, detail="relay on")


@pytest.mark.parametrize(
    ("name", "options", "minutes"),
    [("shelly1", GEN1, 2), ("shelly2", GEN2, 3), ("zigbee2mqtt", ZIGBEE, 15), ("esphome", NODE, 3)],
)
def test_a_meter_is_given_some_of_its_own_periods_of_silence(name: str, options: dict[str, Any], minutes: int) -> None:
    assert registry.machine(name, options).default_stale_after_ms == minutes * 60_000


@pytest.mark.parametrize(
    ("name", "options", "key", "remedy"),
    [
        ("shelly1", {}, "topic", 'topic = "shellies/mill-1"'),
        ("shelly1", {"topic": "mill-1"}, "topic", 'an example is "shellies/mill-1"'),
        ("shelly1", {**GEN1, "channel": 99}, "channel", "from 0 to 15"),
        ("shelly1", {**GEN1, "phases": 4}, "phases", "from 1 to 3"),
        ("shelly2", {}, "topic", "is missing; write"),
        ("shelly2", {**GEN2, "component": "script:1"}, "component", 'component = "switch:0"'),
        ("zigbee2mqtt", {}, "topic", 'topic = "zigbee2mqtt/mill-1"'),
        ("zigbee2mqtt", {"topic": "mill-1"}, "topic", "base topic and a name"),
        ("zigbee2mqtt", {**ZIGBEE, "base": "lab"}, "topic", "base topic and a name"),
        ("zigbee2mqtt", {**ZIGBEE, "channel": "a/b"}, "channel", 'channel = "l2"'),
        ("esphome", {"topic": "mill-1"}, "item", 'item = "sensor/power"'),
        ("esphome", {**NODE, "item": "power"}, "item", "domain and object id"),
        ("esphome", {**NODE, "relay": "sensor/a"}, "relay", "must be a switch"),
        ("esphome", {"topic": "m", "item": "text_sensor/a"}, "states", "words need a table"),
        ("esphome", {**NODE, "states": {"ON": "runing"}}, "states.ON", "must be one of"),
    ],
)
def test_a_wrong_option_of_a_plug_is_named_with_the_remedy(
    name: str, options: dict[str, Any], key: str, remedy: str
) -> None:
    with pytest.raises(OptionError) as raised:
        registry.machine(name, options)
    assert raised.value.key == key
    assert remedy in raised.value.message
