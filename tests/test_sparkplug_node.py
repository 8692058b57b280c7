"""A Sparkplug node over a real broker: born again on request, dead by its will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware_bridge import registry
from firmware_bridge.machines.base import Reported
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import MachineReported, SourceLost
from firmware_bridge.simulator.sparkplug_node import SparkplugVoice, VirtualNode
from firmware_bridge.simulator.voices import Doing
from firmware_bridge.simulator.workshop import Workshop
from tests.sparkplug_fixtures import (
    NODE,
    dialect,
)
from tests.wires_fixtures import Inbox

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
        wait_until(lambda: shop.node.node.births > births, what="a rebirth")
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
        wait_until(lambda: shop.inbox.of(SourceLost), what="the will")


def test_births_that_are_lost_are_asked_for_again(mosquitto: Any, wait_until: Wait) -> None:
    with Shop(mosquitto) as shop:
        shop.node.node.loses_births = True
        shop.link.start()
        shop.workshop.start()
        wait_until(lambda: shop.node.node.births >= 2, what="another birth")
        assert shop.last() is None
        shop.node.node.loses_births = False
        wait_until(lambda: shop.last() == "running", what="the state")


def test_a_virtual_node_says_what_its_dialect_understands() -> None:
    voice = SparkplugVoice("mill-1")
    voice.connecting()
    source = registry.machine("sparkplug", {key: value for key, value in voice.status().items() if key != "dialect"})
    for at_s, doing in enumerate(("idle", "setup", "running", "fault", "off", "estop")):
        said = voice.now(Doing(doing, 500.0, float(at_s)))
        heard = [one for message in said for one in source.translate(message.topic, message.data, message.retain)]
        assert heard[-1] == Reported(doing, 500.0)
