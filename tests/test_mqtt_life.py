"""The link over time, in both versions of MQTT: brokers that freeze, leave, come back, refuse, or take little."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from firmware_bridge.machines.base import Dialect, Reported, Told
from firmware_bridge.mqtt_client import Broker, Presence
from firmware_bridge.observations import BrokerChanged, MachineReported
from firmware_bridge.simulator.broker import LoopbackBroker
from tests.mqtt_fixtures import PLUG, RudeBroker, client, hears, linked
from tests.patience import at_best
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
WATTS = '{"ENERGY":{"Power":300}}'
SOURCE = {"mill-1": ("tasmota", PLUG)}
both_versions = pytest.mark.parametrize("version", ["3.1.1", "5"])


class Listener(Dialect):
    """A source that asks for any filters, and takes every message as a sign of life."""

    default_stale_after_ms = None

    def __init__(self, *filters: str) -> None:
        self._filters = filters

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        return cls()

    def topics(self) -> tuple[str, ...]:
        return self._filters

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        return [Reported("running", detail=topic)]


@both_versions
def test_subscriptions_that_overlap_deliver_each_message_once_to_each_machine(
    mosquitto: Any, wait_until: Wait, version: str
) -> None:
    inbox = Inbox()
    machines = {
        "a": Listener("cell/+/state", "cell/1/+"),
        "b": Listener("cell/1/state", "cell/1/state"),
        "c": Listener("cell/#", "cell/1/state"),
        "d": Listener("cell/2/+"),
        "e": Listener("+/1/#"),
    }
    with (
        linked(Broker(port=mosquitto.port, version=version), inbox, dialects=machines) as link,
        client(mosquitto.host, mosquitto.port) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        other.say("cell/1/state", "RUN")
        other.say("cell/2/end", "RUN")
        wait_until(lambda: [r for r in inbox.of(MachineReported) if r.machine == "d"], what="the last")
        heard = [(r.machine, r.detail) for r in inbox.of(MachineReported)]
        assert heard == [(m, "cell/1/state") for m in "abce"] + [(m, "cell/2/end") for m in "cd"]
        assert link.totals()["messages"] == 2


@both_versions
def test_what_was_kept_is_marked_and_presence_falls_in_either_version(
    mosquitto: Any, wait_until: Wait, version: str
) -> None:
    inbox = Inbox()
    with client(mosquitto.host, mosquitto.port, "sheber/#") as other:
        other.say("tele/mill-1/SENSOR", WATTS, retain=True)
        where = Broker(port=mosquitto.port, version=version)
        with linked(where, inbox, SOURCE, presence=Presence("sheber/w3/kiosk/status")) as link:
            wait_until(lambda: inbox.of(MachineReported), what="what was kept")
            wait_until(lambda: other.heard, what="online")
            assert inbox.of(MachineReported) == [MachineReported("mill-1", power_w=300.0, retained=True)]
            assert link.problem == ""
        wait_until(lambda: len(other.heard) == 2, what="offline")
        assert [payload for _, payload, _, _ in other.heard] == ["online", "offline"]


@pytest.mark.parametrize("version", ["3.1.1", pytest.param("5", marks=pytest.mark.slow)])
def test_a_broker_that_freezes_is_noticed_within_15_s_and_heard_again_within_5_s_of_its_return(
    mosquitto: Any, wait_until: Wait, version: str
) -> None:
    inbox = Inbox()
    process = mosquitto._process.pid
    with linked(Broker(port=mosquitto.port, version=version), inbox, SOURCE) as link:
        wait_until(lambda: link.connected, what="the connection")

        def share_of_the_limits() -> float:
            began_s = time.monotonic()
            os.kill(process, signal.SIGSTOP)
            try:
                wait_until(lambda: not link.connected, what="the silence")
                noticed_s = time.monotonic() - began_s
                assert "is silent" in link.problem
            finally:
                os.kill(process, signal.SIGCONT)
            began_s = time.monotonic()
            wait_until(lambda: link.connected, what="the return")
            assert not link.is_deaf()
            return max(noticed_s / 15, (time.monotonic() - began_s) / 5)

        assert at_best(share_of_the_limits, 1, 3) < 1
        times = link.totals()["silences"]
    changes = inbox.of(BrokerChanged)
    assert changes == [BrokerChanged(True), *[BrokerChanged(False), BrokerChanged(True)] * times]


def test_a_broker_that_takes_us_in_and_never_answers_is_given_up(wait_until: Wait) -> None:
    silent = RudeBroker(connack=b"")
    with linked(Broker(port=silent.port), Inbox(), echo_every_s=0.1, echo_patience_s=0.3) as link:
        wait_until(lambda: silent.connections >= 2, what="the second attempt")
        assert "is silent" in link.problem
        assert not link.connected
    silent.close()


def test_a_broker_that_is_away_for_long_costs_no_memory_and_is_found_within_5_s(
    mosquitto: Any, wait_until: Wait
) -> None:
    mosquitto.stop()
    with linked(Broker(port=mosquitto.port), Inbox(), SOURCE) as link:
        wait_until(lambda: link.problem, what="the first word")
        gc.collect()
        threads, objects = threading.active_count(), len(gc.get_objects())
        for n in range(20_000):
            link.publish("sheber/w3/machine/mill-1/state", "running" if n % 2 else "idle", retain=True)
            link.publish("sheber/w3/machine/mill-1/enable", "1", retain=False)

        def nothing_is_kept() -> bool:
            gc.collect()
            return len(gc.get_objects()) - objects < 500 and threading.active_count() <= threads

        # An attempt to connect has objects of its own, for as long as it lasts.
        wait_until(nothing_is_kept, what="nothing kept")
        assert link.totals()["dropped_publish"] == 20_000

        def found_s() -> float:
            mosquitto.stop()
            wait_until(lambda: not link.connected, what="the loss")
            mosquitto.start()
            began_s = time.monotonic()
            wait_until(lambda: link.connected, what="the return")
            return time.monotonic() - began_s

        assert at_best(found_s, 5) < 5


def test_a_permission_said_into_a_frozen_broker_is_said_at_most_once_and_not_again_on_the_next_connection(
    mosquitto: Any, wait_until: Wait
) -> None:
    process = mosquitto._process.pid
    topic = "sheber/w3/machine/mill-1/enable"
    with (
        client(mosquitto.host, mosquitto.port, "sheber/#") as other,
        linked(Broker(port=mosquitto.port), Inbox(), echo_every_s=0.2, echo_patience_s=3) as link,
    ):
        wait_until(lambda: link.connected, what="the connection")
        link.publish(topic, "1", retain=False)
        wait_until(lambda: len(other.heard) == 1, what="the first")
        os.kill(process, signal.SIGSTOP)
        try:
            for _ in range(10):
                link.publish(topic, "1", retain=False)
            wait_until(lambda: not link.connected, what="the silence")
        finally:
            os.kill(process, signal.SIGCONT)
        wait_until(lambda: link.connected, what="the return")
        link.publish("sheber/w3/last", "x", retain=False)
        wait_until(lambda: other.heard[-1][0] == "sheber/w3/last", what="the last word")
        assert [t for t, *_ in other.heard].count(topic) <= 2
        assert link.totals()["dropped_publish"] >= 9


@both_versions
def test_a_subscription_that_the_broker_refuses_is_told_in_words(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Wait, version: str
) -> None:
    plugin = next(Path("/usr/lib").rglob("mosquitto_dynamic_security.so"))
    rules = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [],
        "groups": [],
        "roles": [],
    }
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    broker = LoopbackBroker(f"user root\nplugin {plugin}\nplugin_opt_config_file {tmp_path}/rules.json\n")
    broker.start()
    with linked(Broker(port=broker.port, version=version), Inbox(), SOURCE) as link:
        wait_until(lambda: link.connected and link.problem, what="the refusal")
        assert "tele/mill-1/+" in link.problem
        assert "check its access list" in link.problem
        assert link.totals()["connections"] == 1
    broker.close()


@both_versions
def test_a_refused_password_is_told_in_words_and_tried_again(tmp_path: Path, wait_until: Wait, version: str) -> None:
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(tmp_path / "users"), "sheber", "right"], check=True)
    password = tmp_path / "password"
    password.write_text("wrong\n")
    broker = LoopbackBroker(f"user root\nallow_anonymous false\npassword_file {tmp_path / 'users'}\n")
    broker.start()
    where = Broker(port=broker.port, username="sheber", password_file=str(password), version=version)
    with linked(where, Inbox()) as link:
        wait_until(lambda: link.problem, what="the refusal")
        assert "check username and password_file" in link.problem
        password.write_text("right\n")
        wait_until(lambda: link.connected, what="the right one, without a restart")
    broker.close()


def test_a_broker_that_takes_small_packets_only_is_told_in_words_and_heard_all_the_same(wait_until: Wait) -> None:
    broker = LoopbackBroker("max_packet_size 60\n")
    broker.start()
    inbox = Inbox()
    with (
        linked(Broker(port=broker.port, version="5"), inbox, SOURCE) as link,
        client("127.0.0.1", broker.port) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        link.publish("sheber/w3/machine/mill-1/session", '{"occupied":true,"since_ms":1795000000000}', retain=True)
        assert link.problem == "the broker takes packets of 60 bytes at most; raise its max_packet_size"
        other.say("tele/mill-1/SENSOR", WATTS)
        wait_until(lambda: inbox.of(MachineReported), what="the watts")
        assert link.totals()["connections"] == 1
    broker.close()


def test_a_version_that_the_broker_does_not_speak_is_told_in_words(wait_until: Wait) -> None:
    old = RudeBroker(connack=b"\x20\x02\x00\x01")
    with linked(Broker(port=old.port, version="5"), Inbox()) as link:
        wait_until(lambda: link.problem, what="the refusal")
        assert "write another version in [mqtt]" in link.problem
    old.close()


def test_an_idle_line_is_proven_alive_without_a_word_to_anybody(mosquitto: Any, wait_until: Wait) -> None:
    with (
        client(mosquitto.host, mosquitto.port, "#") as other,
        linked(Broker(port=mosquitto.port), Inbox(), echo_every_s=0.05, echo_patience_s=20) as link,
    ):
        wait_until(lambda: link.connected, what="the connection")
        until_s = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > until_s, what="many echoes")
        assert link.connected
        assert link.totals() == {"connections": 1}
        assert other.heard == []
