"""The link to a real mosquitto: what it hears, what it says, how it survives an outage, and how it dies aloud."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.mqtt_client import Broker, Presence
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import BrokerChanged, MachineReported, Observation, SourceLost
from firmware_bridge.options import OptionError
from firmware_bridge.simulator.broker import LoopbackBroker
from tests.mqtt_fixtures import hears
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
PLUG: dict[str, object] = {"topic": "tele/mill-1/SENSOR"}
LAMP: dict[str, object] = {"topic": "lab/lathe/state", "states": {"RUN": "running"}, "will_topic": "lab/lathe/lwt"}
WATTS_300 = '{"ENERGY":{"Power":300}}'
INFLIGHT = 20
"""mosquitto's own limit of messages that a client has not acknowledged."""


class Other:
    """Another client of the broker: it says things, and remembers what it hears."""

    def __init__(self, host: str, port: int, *topics: str) -> None:
        self.heard: list[tuple[str, str]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._remember
        self._client.on_connect = lambda client, *_: [client.subscribe(topic, 1) for topic in topics]
        self._client.connect(host, port)
        self._client.loop_start()

    def _remember(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload.decode()))

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None  # it holds us, and we it: paho closes its sockets only when it is let go


class Kiosk:
    """Links under test, stopped at the end."""

    def __init__(self, where: Any, wait_until: Wait) -> None:
        self._where, self._wait = where, wait_until
        self.links: list[MqttLink] = []
        self.others: list[Other] = []
        self.crashes: list[BaseException] = []

    def link(
        self,
        machines: Mapping[str, tuple[str, Mapping[str, object]]],
        inbox: Inbox,
        *,
        connected: bool = True,
        presence: Presence | None = None,
    ) -> MqttLink:
        pairs: list[tuple[str, Dialect]] = [(name, registry.machine(*one)) for name, one in machines.items()]
        link = MqttLink(
            Broker(self._where.host, self._where.port), pairs, inbox.deliver, self.crashes.append, presence=presence
        )
        self.links.append(link)
        link.start()
        if connected:
            self._wait(lambda: hears(link) if pairs else link.connected, what="the connection")
        return link

    def other(self, *topics: str) -> Other:
        other = Other(self._where.host, self._where.port, *topics)
        self.others.append(other)
        return other

    def close(self) -> None:
        for one in (*self.links, *self.others):
            one.stop() if isinstance(one, MqttLink) else one.close()
        assert self.crashes == []


@pytest.fixture
def kiosk(mosquitto: Any, wait_until: Wait) -> Iterator[Kiosk]:
    kiosk = Kiosk(mosquitto, wait_until)
    yield kiosk
    kiosk.close()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def reports(inbox: Inbox) -> list[MachineReported]:
    return inbox.of(MachineReported)


def test_a_plugs_watts_arrive_after_the_connection_was_announced(kiosk: Kiosk, inbox: Inbox, wait_until: Wait) -> None:
    kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox)
    other = kiosk.other()
    other.say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: reports(inbox), what="the watts")
    assert inbox.observations == [BrokerChanged(True), MachineReported("mill-1", power_w=300.0)]


def test_a_kept_message_says_that_it_was_kept(kiosk: Kiosk, inbox: Inbox, wait_until: Wait) -> None:
    other = kiosk.other()
    other.say("lab/lathe/state", "RUN", retain=True)
    other.say("lab/lathe/lwt", "offline", retain=True)
    kiosk.link({"lathe": ("text", LAMP)}, inbox)
    wait_until(lambda: len(inbox.observations) == 3, what="both")
    assert inbox.of(MachineReported) == [MachineReported("lathe", "running", retained=True)]
    assert inbox.of(SourceLost) == [SourceLost("lathe", retained=True, detail="last will")]


def test_machines_that_share_topics_hear_each_message_once(kiosk: Kiosk, inbox: Inbox, wait_until: Wait) -> None:
    same = {"topic": "tele/mill-1/SENSOR", "pointer": "/ENERGY/Power"}
    kiosk.link({"a": ("tasmota", PLUG), "b": ("tasmota", PLUG), "c": ("json", same)}, inbox)
    other = kiosk.other()
    other.say("tele/mill-1/SENSOR", WATTS_300)
    other.say("tele/mill-1/LWT", "Offline")
    wait_until(lambda: len(inbox.of(SourceLost)) == 2, what="the will")
    assert [(one.machine, one.power_w) for one in reports(inbox)] == [("a", 300.0), ("b", 300.0), ("c", 300.0)]


def test_outcomes_are_counted_for_each_machine(kiosk: Kiosk, inbox: Inbox, wait_until: Wait) -> None:
    link = kiosk.link({"lathe": ("text", LAMP), "mill-1": ("tasmota", PLUG)}, inbox)
    other = kiosk.other()
    for topic, payload in (
        ("lab/lathe/state", "RUN"),
        ("lab/lathe/state", "WARMING UP"),
        ("lab/lathe/lwt", "online"),
        ("tele/mill-1/SENSOR", "{"),
        ("tele/mill-1/LWT", "Offline"),
    ):
        other.say(topic, payload)
    wait_until(lambda: inbox.of(SourceLost), what="the last of them")
    assert link.counts() == {
        "lathe": {"reported": 1, "unmapped": 1, "ignored": 1},
        "mill-1": {"rejected": 1, "gone": 1},
    }


def test_a_message_is_acknowledged_only_once_it_is_stored(kiosk: Kiosk, wait_until: Wait) -> None:
    inbox = Inbox(stores=False)
    kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox)
    other = kiosk.other()
    for _ in range(INFLIGHT + 10):
        other.say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: len(reports(inbox)) == INFLIGHT, what="as many as may be unacknowledged")
    assert len(inbox.unstored) == INFLIGHT
    inbox.store()
    wait_until(lambda: len(reports(inbox)) == INFLIGHT + 10, what="the rest")


def test_messages_that_mean_nothing_or_are_too_long_never_block_the_line(
    kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    link = kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox)
    other = kiosk.other()
    for _ in range(INFLIGHT + 10):
        other.say("tele/mill-1/SENSOR", b"\xff[[[[")
    other.say("tele/mill-1/SENSOR", b" " * (PAYLOAD_BYTES_MAX + 1))
    other.say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: reports(inbox), what="the one that means something")
    assert link.counts() == {"mill-1": {"rejected": INFLIGHT + 10, "reported": 1}}
    assert link.totals()["too_long"] == 1


def test_a_broker_that_is_absent_at_the_start_is_told_once_and_waited_for(
    mosquitto: Any, kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    mosquitto.stop()
    link = kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox, connected=False)
    wait_until(lambda: inbox.observations, what="the first word")
    assert f"no broker answers at 127.0.0.1:{mosquitto.port}" in link.problem
    mosquitto.start()
    wait_until(lambda: hears(link), what="the subscription")
    assert inbox.observations == [BrokerChanged(False), BrokerChanged(True)]
    assert link.problem == ""


def test_after_an_outage_everything_is_heard_again(
    mosquitto: Any, kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    link = kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox)
    mosquitto.stop()
    wait_until(lambda: not link.connected, what="the loss")
    mosquitto.start()
    wait_until(lambda: hears(link, 2), what="the return")
    kiosk.other().say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: reports(inbox), what="the watts")
    assert inbox.of(BrokerChanged) == [BrokerChanged(True), BrokerChanged(False), BrokerChanged(True)]


def test_a_confirmation_from_before_an_outage_acknowledges_nothing_of_after(
    mosquitto: Any, kiosk: Kiosk, wait_until: Wait
) -> None:
    inbox = Inbox(stores=False)
    link = kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox)
    kiosk.other().say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: inbox.unstored, what="the first message")
    old = inbox.unstored.pop()
    mosquitto.stop()
    wait_until(lambda: not link.connected, what="the loss")
    mosquitto.start()
    wait_until(lambda: hears(link, 2), what="the return")
    other = kiosk.other()
    for _ in range(INFLIGHT + 1):
        other.say("tele/mill-1/SENSOR", WATTS_300)
    wait_until(lambda: len(inbox.unstored) == INFLIGHT, what="as many as may be unacknowledged")
    old()
    assert len(inbox.unstored) == INFLIGHT
    inbox.store()
    wait_until(lambda: len(reports(inbox)) == INFLIGHT + 2, what="the last one")


def test_presence_is_online_while_we_run_and_offline_after_a_goodbye(
    kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    other = kiosk.other("sheber/#")
    link = kiosk.link({}, inbox, presence=Presence("sheber/w3/kiosk/status"))
    wait_until(lambda: other.heard, what="online")
    link.stop()
    wait_until(lambda: len(other.heard) == 2, what="offline")
    assert other.heard == [("sheber/w3/kiosk/status", "online"), ("sheber/w3/kiosk/status", "offline")]


def test_presence_is_offline_by_the_will_when_we_die(kiosk: Kiosk, inbox: Inbox, wait_until: Wait) -> None:
    other = kiosk.other("sheber/#")
    link = kiosk.link({}, inbox, presence=Presence("sheber/w3/kiosk/status"))
    wait_until(lambda: other.heard, what="online")
    assert link._client is not None
    wire = link._client.socket()
    assert wire is not None
    wire.shutdown(2)  # type: ignore[attr-defined]
    wait_until(lambda: len(other.heard) >= 2, what="the will")
    assert other.heard[1] == ("sheber/w3/kiosk/status", "offline")


def test_the_newest_states_are_said_again_to_a_broker_that_forgot_them(
    mosquitto: Any, kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    link = kiosk.link({"mill-1": ("tasmota", PLUG)}, inbox, presence=Presence("sheber/w3/kiosk/status"))
    link.publish("sheber/w3/machine/mill-1/state", "idle", retain=True)
    mosquitto.stop()
    wait_until(lambda: not link.connected, what="the loss")
    link.publish("sheber/w3/machine/mill-1/state", "running", retain=True)
    link.publish("sheber/w3/machine/mill-1/enable", "1", retain=False)
    mosquitto.start()
    wait_until(lambda: link.connected, what="the return")
    other = kiosk.other("sheber/#")
    wait_until(lambda: len(other.heard) >= 2, what="both states")
    assert sorted(set(other.heard)) == [
        ("sheber/w3/kiosk/status", "online"),
        ("sheber/w3/machine/mill-1/state", "running"),
    ]
    assert link.totals()["dropped_publish"] == 1


def test_a_fault_of_ours_is_handed_over_so_that_the_process_can_end(mosquitto: Any, wait_until: Wait) -> None:
    crashes: list[BaseException] = []

    def broken(observation: Observation, on_stored: object = None) -> None:
        raise ZeroDivisionError("a fault of ours")

    link = MqttLink(Broker(mosquitto.host, mosquitto.port), [], broken, crashes.append)
    link.start()
    wait_until(lambda: crashes, what="the fault")
    assert str(crashes[0]) == "a fault of ours"
    assert not link.is_deaf()
    link.stop()


def test_a_loop_that_lives_and_does_nothing_is_noticed_although_it_claims_to_be_connected(
    mosquitto: Any, wait_until: Wait
) -> None:
    released = threading.Event()

    def stuck(observation: Observation, on_stored: object = None) -> None:
        if observation == BrokerChanged(True):
            released.wait(60)

    where = Broker(mosquitto.host, mosquitto.port)
    link = MqttLink(where, [], stuck, pytest.fail, echo_every_s=0.1, echo_patience_s=0.5)
    assert not link.is_deaf()
    link.start()
    wait_until(link.is_deaf, what="the silence")
    released.set()
    link.stop()
    assert not link.is_deaf()


def test_stopping_is_quick_also_while_there_is_no_broker(
    mosquitto: Any, kiosk: Kiosk, inbox: Inbox, wait_until: Wait
) -> None:
    mosquitto.stop()
    link = kiosk.link({}, inbox, connected=False)
    wait_until(lambda: inbox.observations, what="the first word")
    done = threading.Event()
    threading.Thread(target=lambda: (link.stop(), done.set())).start()
    assert done.wait(2)
    link.stop()


def test_a_password_comes_from_its_file_and_a_wrong_one_is_told_in_words(
    tmp_path: Path, inbox: Inbox, wait_until: Wait
) -> None:
    # "user root": started by root, mosquitto gives up its rights and could not read this test's folder.
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(tmp_path / "users"), "sheber", "right"], check=True)
    (tmp_path / "right").write_text("right\n")
    (tmp_path / "wrong").write_text("wrong\n")
    broker = LoopbackBroker(f"user root\npassword_file {tmp_path / 'users'}\n")
    broker.start()
    refused = link_as(broker, tmp_path / "wrong", inbox)
    wait_until(lambda: refused.problem, what="the refusal")
    assert "check username and password_file" in refused.problem
    refused.stop()
    link = link_as(broker, tmp_path / "right", inbox)
    wait_until(lambda: link.connected, what="the connection")
    link.stop()
    broker.close()
    with pytest.raises(OptionError, match="name a file with the password"):
        link_as(broker, tmp_path / "none", inbox)


def link_as(broker: LoopbackBroker, password_file: Path, inbox: Inbox) -> MqttLink:
    where = Broker(broker.host, broker.port, username="sheber", password_file=str(password_file))
    link = MqttLink(where, [], inbox.deliver, pytest.fail)
    link.start()
    return link


def test_a_broker_behind_tls_is_reached_when_its_authority_is_known(
    tmp_path: Path, inbox: Inbox, wait_until: Wait, free_port: Callable[[], int]
) -> None:
    write_certificate(tmp_path)
    port = free_port()
    files = f"cafile {tmp_path}/crt\ncertfile {tmp_path}/crt\nkeyfile {tmp_path}/key\n"
    broker = LoopbackBroker(f"user root\nlistener {port} 127.0.0.1\n{files}")
    broker.start()
    link = MqttLink(Broker(broker.host, port, ca_file=f"{tmp_path}/crt"), [], inbox.deliver, pytest.fail)
    link.start()
    wait_until(lambda: link.connected, what="the connection")
    link.stop()
    broker.close()
    with pytest.raises(OptionError, match="check the TLS files"):
        MqttLink(Broker(ca_file=f"{tmp_path}/none"), [], inbox.deliver, pytest.fail).start()


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
