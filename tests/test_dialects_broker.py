"""A plug that speaks in parts, over a real mosquitto: asked at the start, and begun anew after an outage."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from firmware_bridge import registry
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import BrokerChanged, MachineReported
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]


class Shelly:
    """A device of the second generation: it says what changes, and everything when it is asked."""

    def __init__(self, host: str, port: int) -> None:
        self.output, self.apower = True, 812.5
        self.answers = True
        self.listens = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("mill-1/rpc", 1)
        self._client.on_subscribe = lambda *_: self.listens.set()
        self._client.on_message = self._answer
        self._client.connect(host, port)
        self._client.loop_start()

    def changes(self, **said: object) -> None:
        notice = {"src": "shelly-1", "method": "NotifyStatus", "params": {"ts": 1.61, "switch:0": said}}
        self._client.publish("mill-1/events/rpc", json.dumps(notice), qos=0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # They hold us, and we the client: paho closes its sockets only when it is let go.
        self._client.on_message = self._client.on_subscribe = None

    def _answer(self, client: Client, _data: object, message: MQTTMessage) -> None:
        request = json.loads(message.payload)
        if self.answers and request["method"] == "Shelly.GetStatus":
            status = {"mqtt": {"connected": True}, "switch:0": {"output": self.output, "apower": self.apower}}
            client.publish(f"{request['src']}/rpc", json.dumps({"id": request["id"], "src": "s", "result": status}))


@pytest.fixture
def shelly(mosquitto: Any) -> Iterator[Shelly]:
    shelly = Shelly(mosquitto.host, mosquitto.port)
    assert shelly.listens.wait(40)
    yield shelly
    shelly.close()


@pytest.fixture
def inbox(mosquitto: Any) -> Iterator[Inbox]:
    inbox, crashes = Inbox(), list[BaseException]()
    machines = [("mill-1", registry.machine("shelly2", {"topic": "mill-1"}))]
    link = MqttLink(Broker(mosquitto.host, mosquitto.port), machines, inbox.deliver, crashes.append)
    link.start()
    yield inbox
    link.stop()
    assert crashes == []


def watts(inbox: Inbox) -> list[float | None]:
    return [one.power_w for one in inbox.of(MachineReported)]


def test_a_plug_that_says_only_changes_is_known_from_the_start(shelly: Shelly, inbox: Inbox, wait_until: Wait) -> None:
    wait_until(lambda: watts(inbox), what="the answer")
    shelly.changes(voltage=230.1)
    shelly.changes(apower=20.0)
    wait_until(lambda: len(watts(inbox)) == 3, what="two changes")
    assert watts(inbox) == [812.5, 812.5, 20.0]


def test_after_an_outage_nothing_is_taken_from_before_it(
    shelly: Shelly, inbox: Inbox, mosquitto: Any, wait_until: Wait
) -> None:
    wait_until(lambda: watts(inbox), what="the answer")
    shelly.answers = False
    mosquitto.stop()
    wait_until(lambda: inbox.observations[-1] == BrokerChanged(False), what="the outage")
    mosquitto.start()

    # A change that is said before the kiosk listens again is lost, as a real one is.
    def a_change_is_heard() -> bool:
        shelly.changes(voltage=230.1)
        return len(watts(inbox)) > 1

    wait_until(a_change_is_heard, what="a change")
    assert set(watts(inbox)[1:]) == {None}
