"""Whatever a broker's clients send: nothing crashes, the loop lives, a counter goes up, and the next word is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.observations import MachineReported
from tests.mqtt_fixtures import DESCRIBED, LAMP, PLUG, RudeBroker, client, hears, linked, publication
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]

PAYLOADS = {
    "nothing": b"",
    "not JSON": b"{",
    "not a number": b'{"state":NaN,"ENERGY":{"Power":NaN}}',
    "infinity": b'{"state":-Infinity,"ENERGY":{"Power":Infinity}}',
    "a number out of range": b'{"state":1e999,"ENERGY":{"Power":1e999}}',
    "digits without end": b'{"state":' + b"9" * 5_000 + b"}",
    "a key twice": b'{"state":"RUN","state":"RUN","ENERGY":{"Power":1,"Power":1}}',
    "nested too deep": b"[" * 100_000,
    "nested too deep, and whole": b'{"state":' + b"[" * 40 + b"]" * 40 + b"}",
    "UTF-16": '{"state":"RUN"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"state":"RUN"}'.encode("utf-16-le"),
    "Latin-1": '{"state":"Б"}'.encode("cp1251"),
    "half a character": b'{"state":"\xd0"}',
    "a surrogate in the bytes": b'{"state":"\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a string without end": b'{"state":"' + b"\\" * 10_001,
    "zeros": b"\0" * 1_000,
}
STRANGE = {
    "a lone surrogate": b'{"state":"\\ud800"}',
    "zeros in a string": b'{"state":"\\u0000RUN"}',
    "line ends": b'{"state":"RUN\\r\\nINFO all is well"}',
    "right to left": '{"state":"\u202eNUR"}'.encode(),
    "a long word": b'{"state":"' + b"A" * 200_000 + b'"}',
}
"""Well-formed, and in no table."""


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_payloads_that_mean_nothing_are_counted_and_the_next_word_is_heard(
    mosquitto: Any, wait_until: Wait, version: str
) -> None:
    inbox = Inbox()
    with (
        linked(Broker(port=mosquitto.port, version=version), inbox, {"press": ("json", DESCRIBED)}) as link,
        client(mosquitto.host, mosquitto.port) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        for payload in (*PAYLOADS.values(), *STRANGE.values()):
            other.say("lab/press", payload)
        other.say("lab/press", b" " * (PAYLOAD_BYTES_MAX + 1))
        other.say("lab/press", '{"state":"RUN"}')
        wait_until(lambda: MachineReported("press", "running") in inbox.observations, what="the next word")
        assert link.counts()["press"] == {"rejected": len(PAYLOADS), "unmapped": len(STRANGE), "reported": 1}
        assert link.totals()["too_long"] == 1
        assert not link.is_deaf()
        for report in inbox.of(MachineReported):
            assert report.detail.isprintable()
            assert len(report.detail) < 500


@pytest.mark.parametrize(
    ("dialect", "options", "topic"), [("tasmota", PLUG, "tele/mill-1/SENSOR"), ("text", LAMP, "lab/lathe/state")]
)
def test_no_dialect_on_the_line_falls_over_such_payloads(
    mosquitto: Any, wait_until: Wait, dialect: str, options: dict[str, object], topic: str
) -> None:
    inbox = Inbox()
    with (
        linked(Broker(port=mosquitto.port), inbox, {"m": (dialect, options)}) as link,
        client(mosquitto.host, mosquitto.port) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        for payload in (*PAYLOADS.values(), *STRANGE.values()):
            other.say(topic, payload)
        wait_until(lambda: link.totals()["messages"] == len(PAYLOADS) + len(STRANGE), what="all of them")
        assert not [r for r in inbox.of(MachineReported) if r.state is not None or r.power_w is not None]
        assert not link.is_deaf()


@pytest.fixture
def rude() -> Iterator[RudeBroker]:
    broker = RudeBroker()
    yield broker
    broker.close()


def test_topics_that_no_broker_should_pass_on_are_counted(rude: RudeBroker, wait_until: Wait) -> None:
    inbox = Inbox()
    with linked(Broker(port=rude.port), inbox, {"mill-1": ("tasmota", PLUG)}) as link:
        wait_until(rude.is_heard, what="the subscription")
        rude.send(
            publication(b"tele/mill-1/\xff\xfe", b"{}"),
            publication(b"tele/mill-1/\xed\xa0\x80", b"{}"),
            publication(b"tele/mill-1/\x00\x1b[31m", b"{}"),
            publication(b"tele/mill-1/" + b"x" * 60_000, b"{}"),
            publication(b"tele/#", b"{}"),
            publication(b"tele/mill-1/SENSOR", b'{"ENERGY":{"Power":300}}'),
        )
        wait_until(lambda: inbox.of(MachineReported), what="the one that means something")
        assert link.totals()["bad_topic"] == 2
        assert link.totals()["messages"] == 6
        assert link.totals()["connections"] == 1


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x30\x04\xff\xffab",
        b"\x00\x00",
        b"\xf0\x00",
        b"\x30\xff\xff\xff\xff\xff",
        b"\x90\x00",
    ],
    ids=[
        "no topic",
        "half a length",
        "a topic longer than the packet",
        "kind 0",
        "kind 15",
        "an endless length",
        "suback",
    ],
)
def test_packets_that_are_none_cost_a_connection_and_no_more(
    rude: RudeBroker, wait_until: Wait, bytes_sent: bytes
) -> None:
    inbox = Inbox()
    with linked(
        Broker(port=rude.port), inbox, {"mill-1": ("tasmota", PLUG)}, echo_every_s=0.2, echo_patience_s=1
    ) as link:
        wait_until(rude.is_heard, what="the subscription")
        rude.send(bytes_sent)
        with_next = publication(b"tele/mill-1/SENSOR", b'{"ENERGY":{"Power":300}}')

        def heard_again() -> bool:
            if rude.is_heard():
                try:
                    rude.send(with_next)
                except (OSError, AssertionError):
                    return False
            return bool(inbox.of(MachineReported))

        wait_until(heard_again, what="the next word")
        assert not link.is_deaf()


def test_an_mqtt_5_property_that_cannot_be_read_sends_us_back_to_3_1_1(mosquitto: Any, wait_until: Wait) -> None:
    poison = Properties(PacketTypes.PUBLISH)
    poison.UserProperty = ("a", "b")
    poison.UserProperty[0] = ("a", "\ufeff")
    inbox = Inbox()
    with (
        linked(Broker(port=mosquitto.port, version="5"), inbox, {"mill-1": ("tasmota", PLUG)}) as link,
        client(mosquitto.host, mosquitto.port, version=5) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        other.say("tele/mill-1/SENSOR", "{}", properties=poison, retain=True)
        wait_until(lambda: link.totals().get("unreadable"), what="the packet")
        wait_until(lambda: hears(link, 2), what="the return")
        other.say("tele/mill-1/SENSOR", '{"ENERGY":{"Power":300}}', retain=False)
        wait_until(lambda: MachineReported("mill-1", power_w=300.0) in inbox.observations, what="the next word")
        assert link.totals()["unreadable"] == 1
        assert not link.is_deaf()
