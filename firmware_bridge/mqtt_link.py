"""The link to the broker: subscribe, translate, deliver, acknowledge once stored.

paho's own thread dies of an exception in a handler and still says it is connected. So every handler is total: what
cannot be foreseen goes to `on_crash`, which ends the process. A thread of our own opens one connection after another
and asks each for an echo: a line whose other end is silent, or a loop that lives and does nothing, is given up, and
`is_deaf` tells a watchdog of a loop that not even that ends.
The session is clean: a broker hands out the oldest of what it kept, unmarked, and what was said while we were away is
unknown. An acknowledgement after storage is only back-pressure; the broker is never the record.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.delivery import Deliver
from firmware_bridge.machines.base import UNMAPPED, Asked, Dialect, Gone, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.mqtt_client import (
    Broker,
    OneConnection,
    Presence,
    connect,
    hung_up,
    new_connection,
    refusal,
    why,
)
from firmware_bridge.mqtt_topics import Routes, fewest
from firmware_bridge.observations import BrokerChanged, MachineReported, Observation, SourceLost
from firmware_bridge.options import OptionError

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 1.0, 2.0, 2.5)
"""Between attempts to connect; the last for as long as it takes."""
STEADY_S = 5.0
"""A connection that held so long earns a quick first attempt after its loss."""
ECHO_EVERY_S, ECHO_PATIENCE_S = 4.0, 8.0
"""A line that went silent is given up within their sum; the broker keeps longer silence of ours."""
ECHO = "sheber/echo"
"""A filter we never subscribe to: unsubscribing from it reaches nobody, and every broker confirms it."""
TICK_S = 0.25
PROTOCOL_ERROR = 0x82
"""MQTT 5, 2.4: the other end does not keep to the protocol."""
ENDING_S = 2.0
FAREWELL_S = 0.3
ASK_EVERY_S = 2.0
"""A source is asked the same thing no more often; what it goes on lacking makes it be asked again."""
HEADER_BYTES = 16
"""What a publication is longer than its topic and payload, at most."""


class MqttLink:
    """Hears the machines and publishes what the kiosk says."""

    def __init__(
        self,
        broker: Broker,
        machines: Sequence[tuple[str, Dialect]],
        deliver: Deliver,
        on_crash: Callable[[BaseException], None],
        *,
        client_id: str = "",
        presence: Presence | None = None,
        echo_every_s: float = ECHO_EVERY_S,
        echo_patience_s: float = ECHO_PATIENCE_S,
    ) -> None:
        """`machines` are pairs of a machine's id and its source; several may share a topic."""
        self._broker = broker
        self._machines = tuple(machines)
        self._deliver = deliver
        self._on_crash = on_crash
        self._client_id = client_id
        self._presence = presence
        self._echo_every_s, self._echo_patience_s = echo_every_s, echo_patience_s
        self._routes = Routes({index: dialect.topics() for index, (_, dialect) in enumerate(self._machines)})
        self._filters = fewest(topic for _, dialect in self._machines for topic in dialect.topics())
        self._outcomes: dict[str, Counter[str]] = {machine: Counter() for machine, _ in self._machines}
        self._unmapped: dict[str, str] = {}
        """Per machine, the last value that no table lists."""
        self._totals: Counter[str] = Counter()
        self._connected: bool | None = None
        self._problem = ""
        self._cause = ""
        """Why the connection at hand cannot last, once that is known."""
        self._largest: int | None = None
        """The longest packet that the broker takes, where it says so."""
        self._stuck = False
        self._asked_s: float | None = None
        """Since when an echo is waited for."""
        self._stopping = threading.Event()
        self._over = threading.Event()
        """The connection at hand ended, or is to."""
        self._lock = threading.Lock()
        self._kept: dict[str, str] = {}
        """The retained topics we published, to be said again to a broker that came back."""
        self._fleeting: dict[tuple[str, str], MQTTMessageInfo | None] = {}
        """What is not retained, by topic and payload: the last of each."""
        self._asked_of: dict[str, float] = {}
        """When each topic was last asked something; there are no more of them than machines."""
        self._client: OneConnection | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a broker that is not there yet is waited for. Raises `OptionError` for an unreadable secret."""
        new_connection(self._broker, self._client_id, self._presence)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and end the threads. May be called again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            self._over.set()
            thread.join(ENDING_S)

    def is_deaf(self) -> bool:
        """Will nothing be heard any more, although it should? Nothing else would tell; only a new process helps."""
        return self._thread is not None and (self._stuck or not self._thread.is_alive())

    @property
    def connected(self) -> bool:
        """Is the broker there?"""
        return bool(self._connected)

    @property
    def problem(self) -> str:
        """Why there is no connection or no subscription, in words; empty when all is well."""
        return self._problem

    def counts(self) -> dict[str, dict[str, int]]:
        """Per machine, how many messages were reported, gone, ignored, rejected or unmapped."""
        return {machine: dict(outcomes) for machine, outcomes in self._outcomes.items()}

    def unmapped(self) -> dict[str, str]:
        """Per machine, the last value that is in no table; none where all are."""
        return dict(self._unmapped)

    def totals(self) -> dict[str, int]:
        """Of the link: messages, too_long, bad_topic, connections, subscriptions, asked, silences, unreadable,
        dropped_publish."""
        return dict(self._totals)

    def publish(self, topic: str, payload: str, *, retain: bool) -> None:
        """Say something at QoS 1, from any thread. Never waits.

        What is retained is a state: the newest is said again after each reconnection. What is not is worth nothing
        later: it is dropped while the broker is away, or has not yet confirmed the same word said before.
        """
        if retain:
            with self._lock:
                self._kept[topic] = payload
        client = self._client
        if client is None or not self._connected:
            self._totals["dropped_publish"] += not retain
            return
        if retain:
            self._say(client, topic, payload, retain=True)
        elif _is_under_way(self._fleeting.get((topic, payload))):
            self._totals["dropped_publish"] += 1
        else:
            self._fleeting[topic, payload] = self._say(client, topic, payload, retain=False)

    def _say(self, client: Client, topic: str, payload: str, *, retain: bool) -> MQTTMessageInfo | None:
        size = len(topic.encode()) + len(payload.encode()) + HEADER_BYTES
        if self._largest is not None and size > self._largest:
            self._totals["dropped_publish"] += 1
            self._problem = f"the broker takes packets of {self._largest} bytes at most; raise its max_packet_size"
            return None
        return client.publish(topic, payload, qos=1, retain=retain)

    # -- our own thread: one connection after another -----------------------------------------------------------------

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._connect_once()
            except Exception as error:  # noqa: BLE001  a fault of ours
                self._on_crash(error)
                return
            attempt = 0 if time.monotonic() - began_s > STEADY_S else attempt + 1
            self._stopping.wait(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])

    def _connect_once(self) -> None:
        """One connection, from its first byte to its end."""
        self._cause, self._largest = "", None
        self._asked_s = time.monotonic()  # the first echo is the answer to our greeting
        self._over.clear()
        if self._stopping.is_set():
            return
        try:
            self._client = client = self._make_client()
            connect(client, self._broker)  # may already tell of the connection's end, and does then not raise
        except (OSError, ValueError) as error:
            self._client = None
            self._lost(str(error) if isinstance(error, OptionError) else why(error, self._broker))
            return
        client.loop_start()
        self._attend(client)
        self._end(client)

    def _make_client(self) -> OneConnection:
        client = new_connection(self._broker, self._client_id, self._presence)
        client.on_unreadable = self._unreadable
        client.on_connect = partial(self._guarded, self._came)
        client.on_disconnect = partial(self._guarded, self._went)
        client.on_subscribe = partial(self._guarded, self._subscribed)
        client.on_unsubscribe = partial(self._guarded, self._echoed)
        client.on_message = partial(self._guarded, self._heard)
        return client

    def _attend(self, client: Client) -> None:
        """Until the connection is over; one that gives no echo is given up."""
        asked_last_s = time.monotonic()
        while not self._over.wait(TICK_S):
            now_s = time.monotonic()
            if self._echo_is_late(now_s):
                self._totals["silences"] += 1
                self._cause = f"the broker at {self._broker.where} is silent; restart it"
                return
            if self._asked_s is None and now_s - asked_last_s > self._echo_every_s:
                self._asked_s = asked_last_s = now_s
                client.unsubscribe(ECHO)

    def _echo_is_late(self, now_s: float) -> bool:
        asked_s = self._asked_s
        return asked_s is not None and now_s - asked_s > self._echo_patience_s

    def _end(self, client: Client) -> None:
        """The end of a connection: with a goodbye where we stop, by force where the other end is silent."""
        if self._stopping.is_set():
            if self._connected and self._presence is not None:
                # A clean goodbye sends no will, so the word is said by hand.
                farewell = client.publish(self._presence.topic, self._presence.offline, qos=1, retain=True)
                # It was lost this very moment: then the will says it.
                with suppress(RuntimeError, ValueError):
                    farewell.wait_for_publish(FAREWELL_S)
            client.disconnect()
        elif not self._over.is_set():
            self._lost(self._cause)
            wire = client.socket()
            if wire is not None:
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
        # paho has no public word for its thread, and its own way to wait for it fails where it just ended.
        thread: threading.Thread | None = client._thread
        if thread is not None:
            thread.join(ENDING_S)
            self._stuck = thread.is_alive() and not self._stopping.is_set()
        self._client = None
        self._fleeting.clear()

    # -- what paho calls, in its own thread ---------------------------------------------------------------------------

    def _guarded(self, handler: Callable[..., None], client: Client, *arguments: Any) -> None:
        try:
            handler(client, *arguments)
        except Exception as error:  # noqa: BLE001  an exception here would kill paho's thread in silence
            self._on_crash(error)

    def _came(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._asked_s = None
        if reason.is_failure:
            self._cause = refusal(reason)
            self._lost(self._cause)
            return
        self._totals["connections"] += 1
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self._problem = ""
        self._connected = True
        self._asked_of.clear()
        for _, dialect in self._machines:
            dialect.forget()
        self._deliver(BrokerChanged(True))
        if self._presence is not None:
            self._say(client, self._presence.topic, self._presence.online, retain=True)
        with self._lock:
            kept = dict(self._kept)
        for topic, payload in kept.items():
            self._say(client, topic, payload, retain=True)
        if self._filters:
            client.subscribe([(topic, 1) for topic in self._filters])

    def _subscribed(
        self, client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._totals["subscriptions"] += 1
        # Not in `_came`: an answer must find us subscribed.
        for _, dialect in self._machines:
            for asked in dialect.greeting():
                self._ask(client, asked)
        refused = [topic for topic, reason in zip(self._filters, reasons, strict=False) if reason.is_failure]
        if refused:
            self._problem = f"the broker refuses to send us {', '.join(refused)}; check its access list"
            log.warning(self._problem)

    def _echoed(
        self, _client: Client, _data: object, _mid: int, _reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._asked_s = None

    def _went(
        self,
        client: Client,
        _data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is self._client and not self._stopping.is_set():
            if self._connected and reason.value == PROTOCOL_ERROR and not flags.is_disconnect_packet_from_server:
                self._unreadable(ValueError("its bytes are not MQTT"))
            answered = self._connected or self._cause
            lost = f"the broker is lost: {reason}" if answered else hung_up(self._broker)
            self._lost(self._cause or lost)
        self._over.set()

    def _unreadable(self, error: Exception) -> None:
        """A packet that paho cannot read. What makes one in MQTT 5 has no place in 3.1.1: so we go on with that.

        Else a message that the broker keeps, with a property that paho refuses, would throw us out at every return.
        """
        self._totals["unreadable"] += 1
        self._cause = f"the broker sent a packet that cannot be read ({error}); connecting again in MQTT 3.1.1"
        self._broker = replace(self._broker, version="3.1.1")
        self._lost(self._cause)
        self._over.set()

    def _lost(self, problem: str) -> None:
        if problem != self._problem:
            log.warning(problem)
        self._problem = problem
        if self._connected is not False:
            self._connected = False
            self._deliver(BrokerChanged(False))

    def _heard(self, client: Client, _data: object, message: MQTTMessage) -> None:
        self._totals["messages"] += 1
        observations = self._translate(client, message)
        acknowledge = partial(self._acknowledge, client, message.mid, message.qos)
        for observation in observations[:-1]:
            self._deliver(observation)
        if observations:
            self._deliver(observations[-1], acknowledge)
        else:
            acknowledge()

    def _acknowledge(self, client: Client, mid: int, qos: int) -> None:
        # On a new connection the same number is another message.
        if client is self._client:
            client.ack(mid, qos)

    def _ask(self, client: Client, asked: Asked) -> None:
        """Say it at QoS 0, for it is worth nothing later (so wants Sparkplug 3.0 its commands, too)."""
        now_s = time.monotonic()
        if now_s - self._asked_of.get(asked.topic, float("-inf")) < ASK_EVERY_S:
            return
        self._asked_of[asked.topic] = now_s
        self._totals["asked"] += 1
        client.publish(asked.topic, asked.payload, qos=0)

    def _translate(self, client: Client, message: MQTTMessage) -> list[Observation]:
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            self._totals["too_long"] += 1
            return []
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._totals["bad_topic"] += 1
            return []
        observations: list[Observation] = []
        for machine, dialect in (self._machines[index] for index in self._routes.concerned(topic)):
            for told in dialect.translate(topic, bytes(message.payload), message.retain):
                if isinstance(told, Asked):
                    self._ask(client, told)
                    continue
                self._outcomes[machine][_outcome(told)] += 1
                if isinstance(told, Reported) and told.unmapped:
                    self._unmapped[machine] = told.detail.removeprefix(UNMAPPED)
                observation = _observation(machine, told, message.retain)
                if observation is not None:
                    observations.append(observation)
        return observations


def _is_under_way(said: MQTTMessageInfo | None) -> bool:
    if said is None:
        return False
    try:
        return not said.is_published()
    except (RuntimeError, ValueError):
        return False  # it never left


def _observation(machine: str, told: Told, retained: bool) -> Observation | None:
    match told:
        case Reported():
            return MachineReported(machine, told.state, told.power_w, retained, told.detail)
        case Gone():
            return SourceLost(machine, retained, told.detail)
        case _:
            return None


def _outcome(told: Told) -> str:
    if isinstance(told, Reported) and told.unmapped:
        return "unmapped"
    return type(told).__name__.lower()
