"""The paho client: subscribe, translate, deliver, acknowledge once stored.

paho's own thread dies of an exception in a handler and still says it is connected. So every handler is total: what
cannot be foreseen goes to `on_crash`, which ends the process, and `is_deaf` tells a watchdog that the thread is gone.
The session is clean: a broker hands out the oldest of what it kept, unmarked, and what was said while we were away is
unknown. An acknowledgement after storage is only back-pressure; the broker is never the record.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.matcher import MQTTMatcher
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.delivery import Deliver
from firmware_bridge.machines.base import Dialect, Gone, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.observations import BrokerChanged, MachineReported, Observation, SourceLost
from firmware_bridge.options import OptionError

KEEPALIVE_S = 10
"""A broker that vanished without a word is noticed within one and a half of these."""
RECONNECT_S_MIN, RECONNECT_S_MAX = 1, 4
CONNECT_TIMEOUT_S = 2.0
FAREWELL_S = 0.3
UNSENT_MAX = 1_000


@dataclass(frozen=True)
class Broker:
    """Where the broker is and who we are to it. Secrets are file names; TLS is used where `ca_file` is set."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True)
class Presence:
    """A retained topic that says whether we are there: `offline` is the last will."""

    topic: str
    online: str = "online"
    offline: str = "offline"


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
    ) -> None:
        """`machines` are pairs of a machine's id and its source; several may share a topic."""
        self._broker = broker
        self._machines = tuple(machines)
        self._deliver = deliver
        self._on_crash = on_crash
        self._presence = presence
        self._routes = _routes(self._machines)
        self._filters = fewest(topic for _, dialect in self._machines for topic in dialect.topics())
        self._outcomes: dict[str, Counter[str]] = {machine: Counter() for machine, _ in self._machines}
        self._totals: Counter[str] = Counter()
        self._connected: bool | None = None
        self._connection = 0
        self._problem = ""
        self._running = False
        self._lock = threading.Lock()
        self._kept: dict[str, str] = {}
        """The retained topics we published, to be said again to a broker that came back."""
        self._client = self._make_client(client_id)

    def start(self) -> None:
        """Begin; a broker that is not there yet is waited for. Raises `OptionError` for an unreadable secret."""
        self._log_in()
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._running = True
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and end the thread. May be called again."""
        if not self._running:
            return
        self._running = False
        if self._connected and self._presence is not None:
            # A clean goodbye sends no will, so the word is said by hand.
            farewell = self._client.publish(self._presence.topic, self._presence.offline, qos=1, retain=True)
            # It was lost this very moment: then the will says it.
            with suppress(RuntimeError, ValueError):
                farewell.wait_for_publish(FAREWELL_S)
        self._client.disconnect()
        self._client.loop_stop()

    def is_deaf(self) -> bool:
        """Is paho's thread dead while it should run? Nothing else would tell: it still claims to be connected."""
        # paho has no public word for this; `_thread` is None once the thread ended.
        thread = self._client._thread
        return self._running and (thread is None or not thread.is_alive())

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

    def totals(self) -> dict[str, int]:
        """Of the link: messages, too_long, bad_topic, connections, dropped_publish."""
        return dict(self._totals)

    def publish(self, topic: str, payload: str, *, retain: bool) -> None:
        """Say something at QoS 1, from any thread. Never waits.

        What is retained is a state: the newest is said again after each reconnection. What is not is worth nothing
        later, and is dropped while the broker is away.
        """
        if retain:
            with self._lock:
                self._kept[topic] = payload
        if not self._connected:
            self._totals["dropped_publish"] += not retain
            return
        self._client.publish(topic, payload, qos=1, retain=retain)

    # -- what paho calls, in its own thread ---------------------------------------------------------------------------

    def _make_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTv311,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
        client.max_queued_messages_set(UNSENT_MAX)
        if self._presence is not None:
            client.will_set(self._presence.topic, self._presence.offline, qos=1, retain=True)
        client.on_connect = partial(self._guarded, self._came)
        client.on_connect_fail = partial(self._guarded, self._not_there)
        client.on_disconnect = partial(self._guarded, self._went)
        client.on_subscribe = partial(self._guarded, self._subscribed)
        client.on_message = partial(self._guarded, self._heard)
        return client

    def _log_in(self) -> None:
        broker = self._broker
        if broker.username is not None:
            self._client.username_pw_set(broker.username, _secret(broker.password_file))
        if broker.ca_file:
            try:
                self._client.tls_set(broker.ca_file, broker.cert_file or None, broker.key_file or None)
            except (OSError, ValueError) as error:
                raise OptionError("mqtt.ca_file", f"cannot be used ({error}); check the TLS files") from error

    def _guarded(self, handler: Callable[..., None], *arguments: Any) -> None:
        try:
            handler(*arguments)
        except Exception as error:  # noqa: BLE001  an exception here would kill paho's thread in silence
            self._on_crash(error)

    def _came(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses us: {reason}; check username and password_file")
            return
        self._connection += 1
        self._totals["connections"] += 1
        self._problem = ""
        self._connected = True
        self._deliver(BrokerChanged(True))
        if self._presence is not None:
            client.publish(self._presence.topic, self._presence.online, qos=1, retain=True)
        if self._filters:
            client.subscribe([(topic, 1) for topic in self._filters])
        else:
            self._say_kept(client)

    def _subscribed(
        self, client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._problem = "the broker refuses a subscription; check its access list"
        # Not in `_came`: paho sends what was unacknowledged when the connection broke right after that, and an old
        # state would overwrite the new one.
        self._say_kept(client)

    def _say_kept(self, client: Client) -> None:
        with self._lock:
            kept = dict(self._kept)
        for topic, payload in kept.items():
            client.publish(topic, payload, qos=1, retain=True)

    def _not_there(self, _client: Client, _data: object) -> None:
        where = f"{self._broker.host}:{self._broker.port}"
        self._lost(f"no broker answers at {where}; start it, or correct [mqtt]")

    def _went(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._running:
            self._lost(self._problem or f"the broker is lost: {reason}")

    def _lost(self, problem: str) -> None:
        self._problem = problem
        if self._connected is not False:
            self._connected = False
            self._deliver(BrokerChanged(False))

    def _heard(self, client: Client, _data: object, message: MQTTMessage) -> None:
        self._totals["messages"] += 1
        observations = self._translate(message)
        acknowledge = partial(self._acknowledge, client, message.mid, message.qos, self._connection)
        for observation in observations[:-1]:
            self._deliver(observation)
        if observations:
            self._deliver(observations[-1], acknowledge)
        else:
            acknowledge()

    def _acknowledge(self, client: Client, mid: int, qos: int, connection: int) -> None:
        # On a new connection the same number is another message.
        if connection == self._connection:
            client.ack(mid, qos)

    def _translate(self, message: MQTTMessage) -> list[Observation]:
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            self._totals["too_long"] += 1
            return []
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._totals["bad_topic"] += 1
            return []
        matches = self._routes.iter_match(topic)  # type: ignore[no-untyped-call]
        concerned = sorted({index for indices in matches for index in indices})
        observations: list[Observation] = []
        for machine, dialect in (self._machines[index] for index in concerned):
            for told in dialect.translate(topic, message.payload, message.retain):
                self._outcomes[machine][_outcome(told)] += 1
                observation = _observation(machine, told, message.retain)
                if observation is not None:
                    observations.append(observation)
        return observations


def fewest(filters: Iterable[str]) -> tuple[str, ...]:
    """The same topics by fewer filters: a broker may send a message once for each filter that matches it."""
    each = tuple(dict.fromkeys(filters))
    return tuple(one for one in each if not any(other != one and covers(other, one) for other in each))


def covers(wide: str, narrow: str) -> bool:
    """Does `wide` match every topic that `narrow` matches?"""
    levels = narrow.split("/")
    for index, level in enumerate(wide.split("/")):
        if level == "#":
            return True
        if index >= len(levels) or levels[index] == "#" or level not in ("+", levels[index]):
            return False
    return wide.count("/") == narrow.count("/")


def _routes(machines: Sequence[tuple[str, Dialect]]) -> MQTTMatcher:
    """Topic filters to the indices of the machines that asked for them."""
    routes: dict[str, list[int]] = {}
    for index, (_, dialect) in enumerate(machines):
        for topic in dialect.topics():
            routes.setdefault(topic, []).append(index)
    matcher = MQTTMatcher()  # type: ignore[no-untyped-call]
    for topic, indices in routes.items():
        matcher[topic] = tuple(indices)
    return matcher


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


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("mqtt.password_file", f"cannot be read ({error}); name a file with the password") from error
