"""Every captured payload of these makers means what it must, told by the shape of its topic and as configured."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Gone, Ignored, Reported, Told
from tests.wires_fixtures import captures

FAMILIES = {
    "shelly-gen1": "shelly1",
    "shelly-gen2": "shelly2",
    "shelly-gen3": "shelly2",
    "zigbee2mqtt": "zigbee2mqtt",
    "esphome": "esphome",
    "octoprint": "octoprint",
    "moonraker": "moonraker",
    "bambu": "bambu",
    "packml": "packml",
    "fischertechnik-txt": "fischertechnik",
    "fischertechnik-aps": "fischertechnik",
    "vda5050": "fischertechnik",
}
CAPTURED = captures("mqtt.jsonl")
OURS = [one for one in CAPTURED if one["family"] in FAMILIES]
IGNORED = [one for one in CAPTURED if "ignore" in one["expect"] and one["topic"]]
HELD = {"relay", "energy_wh", "energy_kwh", "native", "progress"}
DIALECTS = sorted(set(FAMILIES.values()))


def ids(capture: dict[str, Any]) -> str:
    return str(capture["id"])


def tell(capture: dict[str, Any], dialect: str, options: dict[str, Any] | None = None) -> Told:
    source = registry.machine(dialect, options or {}, any_topic=options is None)
    (one,) = source.translate(capture["topic"], capture["payload_utf8"].encode(), bool(capture["retain"]))
    return one


def check(told: Told, expect: dict[str, Any]) -> None:
    if "ignore" in expect:
        assert isinstance(told, Ignored) or (isinstance(told, Reported) and told.state is None and told.power_w is None)
        return
    if expect.get("conn") == "offline":
        assert isinstance(told, Gone)
        return
    if "input" in expect:
        assert isinstance(told, Ignored)
        return
    assert isinstance(told, Reported)
    assert told.state == expect.get("state")
    assert told.power_w == expect.get("power_w")
    assert told.detail == expect.get("detail", told.detail)


@pytest.mark.parametrize("capture", OURS, ids=ids)
def test_each_payload_means_what_it_must_by_the_shape_of_its_topic(capture: dict[str, Any]) -> None:
    told = tell(capture, FAMILIES[capture["family"]])
    if capture["expect"] == {"input": 0} and capture["family"] == "shelly-gen2":
        assert told == Reported(detail="another component")
    else:
        check(told, capture["expect"])


@pytest.mark.parametrize(
    "capture",
    [
        one
        for one in OURS
        if not HELD.isdisjoint(one["expect"]) and one["family"] not in ("esphome", "fischertechnik-txt")
    ],
    ids=ids,
)
def test_what_a_message_holds_beside_the_state_is_shown_to_who_looks_for_a_fault(capture: dict[str, Any]) -> None:
    source = registry.machine(FAMILIES[capture["family"]], {}, any_topic=True)
    described = source.describe(capture["topic"], capture["payload_utf8"].encode())
    for key in HELD & set(capture["expect"]):
        assert described[key] == capture["expect"][key]


CONFIGURED: dict[str, dict[str, Any]] = {
    "M058": {"topic": "shellies/shelly1"},
    "M063": {"topic": "shellies/shellies/shellyem3"},
    "M066": {"topic": "shellies/shellies/shellyem3/emeter/1/power"},
    "M074": {"topic": "shellies/NAPPALITV", "channel": 1},
    "M084": {"topic": "shellies/plus1pm"},
    "M088": {"topic": "shellies/plus1pm", "component": "switch:0"},
    "M093": {"topic": "shellyplusplugs-80646fd031f8"},
    "M105": {"topic": "zigbee2mqtt/z1"},
    "M111": {"topic": "zigbee2mqtt/remote"},
    "M113": {"topic": "zigbee2mqtt/z1"},
    "M116": {"topic": "zigbee2mqtt/TS0601_switch", "channel": "l2"},
    "M120": {"topic": "zigbee2mqtt/wall_switch_double"},
    "M125": {"topic": "attic-powerwall", "item": "sensor/firstfloor_inverter_power_demand"},
    "M127": {"topic": "attic-powerwall", "item": "sensor/firstfloor_inverter_power_demand"},
    "M128": {"topic": "livingroom", "item": "sensor/power"},
    "M173": {"topic": "octoPrint"},
    "M178": {"topic": "octoprint"},
    "M185": {"topic": "{instance}"},
    "M187": {"topic": "{instance}/klipper/status"},
    "M193": {"topic": "device/{SN}"},
    "M207": {"topic": "f/i/state/mpo"},
    "M210": {"topic": "module/v1/ff/NodeRed/SVR3QA0022", "will_topic": "module/v1/ff/NodeRed/status"},
    "M212": {"topic": "uagv/v1/Jungheinrich/2"},
    "M219": {"topic": "Site/Area/Line"},
}


@pytest.mark.parametrize("capture", [one for one in OURS if one["id"] in CONFIGURED], ids=ids)
def test_each_payload_means_the_same_to_a_configured_machine(capture: dict[str, Any]) -> None:
    options = CONFIGURED[capture["id"]]
    source = registry.machine(FAMILIES[capture["family"]], options)
    assert any(_matches(wanted, capture["topic"]) for wanted in source.topics()) or "ignore" in capture["expect"]
    check(tell(capture, FAMILIES[capture["family"]], options), capture["expect"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("capture", IGNORED, ids=ids)
def test_what_is_no_state_is_none_to_any_of_them(capture: dict[str, Any], dialect: str) -> None:
    told = tell(capture, dialect)
    assert not isinstance(told, Gone)
    # What looks like a plug that is off to somebody who was told that it is one, is one.
    if isinstance(told, Reported) and FAMILIES.get(capture["family"]) == dialect:
        assert (told.state, told.power_w) == (None, None)


def _matches(wanted: str, topic: str) -> bool:
    levels, said = wanted.split("/"), topic.split("/")
    if levels[-1] == "#":
        return said[: len(levels) - 1] == levels[:-1]
    return len(levels) == len(said) and all(w in ("+", s) for w, s in zip(levels, said, strict=True))
