"""What is said on a broker for a while: every topic, and how often. Nothing is left behind there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.machines.base import Asked
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.mqtt_client import Broker, connect, hung_up, new_connection, refusal, why
from firmware_bridge.options import OptionError

ANSWER_S = 5.0
"""A broker greets within this, or it is none."""
TOPICS_MAX = 5_000


class BrokerError(Exception):
    """Why the broker cannot be heard, and what to do, in words."""


@dataclass(frozen=True)
class Message:
    """One publication. `at_ms` counts from the beginning of the listening."""

    topic: str
    payload: bytes
    retained: bool
    at_ms: int


@dataclass
class Topic:
    """What was heard on one topic."""

    live: int = 0
    """Messages that were said now."""
    kept: int = 0
    """Messages that the broker had kept."""


@dataclass
class Overheard:
    """All topics, up to `TOPICS_MAX`."""

    topics: dict[str, Topic] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    """Filters that the broker does not let us hear."""

    def take(self, message: Message) -> None:
        """Remember it."""
        if message.topic not in self.topics and len(self.topics) >= TOPICS_MAX:
            return
        topic = self.topics.setdefault(message.topic, Topic())
        if message.retained:
            topic.kept += 1
        else:
            topic.live += 1

    def alive(self) -> list[str]:
        """Topics on which something was said now, sorted."""
        return sorted(name for name, topic in self.topics.items() if topic.live)


def overhear(
    broker: Broker,
    filters: Sequence[str],
    for_s: float,
    stopping: threading.Event,
    on_message: Callable[[Message], Iterable[Asked]],
    greetings: Iterable[Asked] = (),
) -> Overheard:
    """Listen for so long. What `on_message` returns is asked; `greetings` are, once the topics are heard.

    Raises `BrokerError` where nothing can be heard.
    """
    ear = _Ear(broker, filters, on_message, tuple(greetings))
    try:
        ear.open()
        ear.wait(for_s, stopping)
    finally:
        ear.close()
    return ear.overheard


class _Ear:
    def __init__(
        self,
        broker: Broker,
        filters: Sequence[str],
        on_message: Callable[[Message], Iterable[Asked]],
        greetings: tuple[Asked, ...],
    ) -> None:
        self._broker = broker
        self._filters = filters
        self._on_message = on_message
        self._greetings = greetings
        self.overheard = Overheard()
        self._heard_s = time.monotonic()
        self._subscribed = threading.Event()
        self._over = threading.Event()
        self._problem = ""
        self._fault: Exception | None = None
        try:
            self._client = new_connection(broker, "", None)
        except OptionError as error:
            raise BrokerError(f"{error.key} {error.message}") from error
        self._client.on_unreadable = self._failed
        self._client.on_connect = self._came
        self._client.on_subscribe = self._answered
        self._client.on_message = self._heard
        self._client.on_disconnect = self._went

    def open(self) -> None:
        try:
            connect(self._client, self._broker)
        except (OSError, ValueError) as error:
            raise BrokerError(why(error, self._broker)) from error
        self._client.loop_start()
        until_s = time.monotonic() + ANSWER_S
        while not self._subscribed.wait(0.02) and not self._over.is_set() and time.monotonic() < until_s:
            pass
        if not self._subscribed.is_set():
            raise BrokerError(
                self._problem or f"what listens at {self._broker.where} does not speak MQTT; correct [mqtt]"
            )

    def wait(self, for_s: float, stopping: threading.Event) -> None:
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s and not stopping.wait(0.05):
            if self._fault is not None:
                raise self._fault
            if self._over.is_set():
                raise BrokerError(self._problem or f"the broker at {self._broker.where} went away; look at its log")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _came(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._problem = refusal(reason)
            self._over.set()
        else:
            self._heard_s = time.monotonic()
            client.subscribe([(name, 0) for name in self._filters or ("sheber/echo",)])

    def _answered(
        self, client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        pairs = zip(self._filters, reasons, strict=False)
        self.overheard.refused = tuple(name for name, reason in pairs if reason.is_failure)
        for asked in self._greetings:
            client.publish(asked.topic, asked.payload, qos=0)
        self._subscribed.set()

    def _heard(self, client: Client, _data: object, message: MQTTMessage) -> None:
        # paho's thread dies of an exception in silence (facts, 1): it is raised in `wait` instead.
        try:
            self._pass_on(client, message)
        except Exception as error:  # noqa: BLE001
            self._fault = error

    def _pass_on(self, client: Client, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            return
        at_ms = int((time.monotonic() - self._heard_s) * 1000)
        heard = Message(topic, bytes(message.payload), message.retain, at_ms)
        self.overheard.take(heard)
        for asked in self._on_message(heard):
            client.publish(asked.topic, asked.payload, qos=0)

    def _went(self, _client: Client, _data: object, _flags: DisconnectFlags, _reason: ReasonCode, *_: Any) -> None:
        if not self._problem and not self._subscribed.is_set():
            self._problem = hung_up(self._broker)
        self._over.set()

    def _failed(self, error: Exception) -> None:
        self._problem = f"the broker at {self._broker.where} sent what cannot be read ({error}); try another version"
        self._over.set()
