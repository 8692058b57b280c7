"""However the bytes of publications are cut and glued on their way, each is heard once, whole and in order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from firmware_bridge.mqtt_client import Broker
from firmware_bridge.observations import MachineReported
from tests.mqtt_fixtures import DESCRIBED, LAMP, RudeBroker, client, hears, linked, publication
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
TOPIC = b"tele/mill-1/SENSOR"
COUNT = 300


def watts(number: int, more: int = 0) -> bytes:
    return b'{"ENERGY":{"Power":%d},"more":"%s"}' % (number, b"x" * more)


def heard(inbox: Inbox) -> list[float | None]:
    return [one.power_w for one in inbox.of(MachineReported)]


@pytest.mark.parametrize("seed", range(4))
def test_packets_in_pieces_of_any_size_are_heard_once_and_in_order(seed: int, wait_until: Wait) -> None:
    chance, broker, inbox = Random(seed), RudeBroker(), Inbox()
    # Longer than one look at the socket, and lengths of one, two and three bytes.
    sizes = [chance.choice((0, 10, 200, 20_000, 90_000)) for _ in range(COUNT // 5)]
    whole = b"".join(publication(TOPIC, watts(number, size)) for number, size in enumerate(sizes))
    with linked(Broker(port=broker.port), inbox, {"mill-1": ("tasmota", {"topic": TOPIC.decode()})}):
        wait_until(broker.is_heard, what="the subscription")
        while whole:
            size = chance.choice((1, 2, 3, 7, 300, 70_000, 300_000))
            broker.send(whole[:size])
            whole = whole[size:]
        wait_until(lambda: len(heard(inbox)) == len(sizes), what="all of them")
    assert heard(inbox) == list(range(len(sizes)))
    broker.close()


def test_other_packets_between_publications_are_not_lost(wait_until: Wait) -> None:
    broker, inbox = RudeBroker(), Inbox()
    pong = b"\xd0\x00"
    with linked(Broker(port=broker.port), inbox, {"mill-1": ("tasmota", {"topic": TOPIC.decode()})}) as link:
        wait_until(broker.is_heard, what="the subscription")
        broker.send(*(publication(TOPIC, watts(number)) + pong for number in range(COUNT)))
        wait_until(lambda: len(heard(inbox)) == COUNT, what="all of them")
        assert link.connected
    assert heard(inbox) == list(range(COUNT))
    broker.close()


def test_a_publication_that_is_damaged_ends_the_connection_and_not_the_link(wait_until: Wait) -> None:
    broker, inbox = RudeBroker(), Inbox()
    with linked(Broker(port=broker.port), inbox, {"mill-1": ("tasmota", {"topic": TOPIC.decode()})}):
        wait_until(broker.is_heard, what="the subscription")
        good = publication(TOPIC, watts(1))
        broker.send(good + b"\x30\x04\xff\xffab" + good)
        wait_until(lambda: broker.connections == 2, what="another connection")
    broker.close()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_flood_is_heard_whole_and_in_order_and_leaves_room_for_our_own_words(
    mosquitto: Any, wait_until: Wait, qos: int, version: str
) -> None:
    inbox = Inbox()
    with (
        linked(Broker(port=mosquitto.port, version=version), inbox, {"press": ("json", DESCRIBED)}) as link,
        client(mosquitto.host, mosquitto.port, "sheber/said") as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        for number in range(COUNT):
            other.publish("lab/press", '{"state":"RUN","n":%d}' % number, qos=qos)  # noqa: UP031
        link.publish("sheber/said", "in between", retain=False)
        wait_until(lambda: link.totals().get("messages", 0) == COUNT, what="all of them")
        wait_until(lambda: other.heard, what="our own word")
    assert {one.state for one in inbox.of(MachineReported)} == {"running"}


def test_what_is_acknowledged_later_is_acknowledged_all_the_same(mosquitto: Any, wait_until: Wait) -> None:
    """The broker has no more than twenty on their way: those after them come only for acknowledgements."""
    inbox = Inbox(stores=False)
    with (
        linked(Broker(port=mosquitto.port), inbox, {"lathe": ("text", LAMP)}) as link,
        client(mosquitto.host, mosquitto.port) as other,
    ):
        wait_until(lambda: hears(link), what="the subscription")
        inbox.store()
        for _ in range(60):
            other.say("lab/lathe/state", "RUN")
        wait_until(lambda: len(inbox.unstored) >= 20, what="a full window")

        def all_came() -> bool:
            inbox.store()
            return len(inbox.of(MachineReported)) == 60

        wait_until(all_came, what="those after it")
