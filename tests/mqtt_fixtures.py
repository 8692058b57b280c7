"""What the tests of the broker's link share: a link that is stopped at the end, another client, and an authority."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect
from firmware_bridge.mqtt_client import Broker, Presence
from firmware_bridge.mqtt_link import MqttLink
from tests.wires_fixtures import Inbox

Sources = Mapping[str, tuple[str, Mapping[str, object]]]

PLUG: dict[str, object] = {"topic": "tele/mill-1/SENSOR"}
LAMP: dict[str, object] = {"topic": "lab/lathe/state", "states": {"RUN": "running"}, "will_topic": "lab/lathe/lwt"}
DESCRIBED: dict[str, object] = {"topic": "lab/press", "pointer": "/state", "states": {"RUN": "running"}}


@contextmanager
def linked(
    broker: Broker,
    inbox: Inbox,
    sources: Sources | None = None,
    *,
    dialects: Mapping[str, Dialect] | None = None,
    presence: Presence | None = None,
    **pace: float,
) -> Iterator[MqttLink]:
    """A link that is started; it must not have crashed at the end."""
    crashes: list[BaseException] = []
    pairs = [(name, registry.machine(*one)) for name, one in (sources or {}).items()] + list((dialects or {}).items())
    link = MqttLink(broker, pairs, inbox.deliver, crashes.append, presence=presence, **pace)
    link.start()
    try:
        yield link
    finally:
        link.stop()
    assert crashes == []


def hears(link: MqttLink, connection: int = 1) -> bool:
    """Has the broker confirmed what it is to send us, for the first or a later `connection`?

    Between the greeting and that word it may pass a message by, as any broker may.
    """
    return link.connected and link.totals().get("subscriptions", 0) >= connection


@contextmanager
def client(host: str, port: int, *topics: str, version: int = MQTTProtocolVersion.MQTTv311) -> Iterator[Any]:
    """Another client of the broker: `say(topic, payload, ...)`, and what it `heard`: (topic, payload, retain, qos)."""
    other = Client(CallbackAPIVersion.VERSION2, protocol=version)  # type: ignore[arg-type]
    heard: list[tuple[str, str, bool, int]] = []

    def remember(_client: Client, _data: object, message: MQTTMessage) -> None:
        heard.append((message.topic, bytes(message.payload).decode(), message.retain, message.qos))

    other.on_message = remember
    other.connect(host, port)
    for topic in topics:
        other.subscribe(topic, 1)
    other.loop_start()

    def say(topic: str, payload: str | bytes, **how: Any) -> None:
        other.publish(topic, payload, **{"qos": 1, **how}).wait_for_publish(5)

    other.say, other.heard = say, heard  # type: ignore[attr-defined]
    try:
        yield other
    finally:
        other.disconnect()
        other.loop_stop()
        del other.say  # which holds `other`: without it paho closes its sockets now, and not in somebody else's test


@dataclass
class Authority:
    """Makes certificates; `folder` then holds `NAME.crt` and `NAME.key`, and `ca.crt`."""

    folder: Path
    _key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority of {self.folder.name}")])
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.file = self.folder / "ca.crt"
        self.file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *addresses: str, days_left: int = 1) -> tuple[Path, Path]:
        """A certificate for these addresses and its key; a negative `days_left` has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        builder = self._builder(subject, key, days_left)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _builder(self, subject: x509.Name, key: Any, days_left: int = 1) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=10))
            .not_valid_after(now + datetime.timedelta(days=days_left))
        )


class RudeBroker(threading.Thread):
    """Speaks just enough MQTT to take us in, and then sends whatever bytes it is given."""

    def __init__(self, *, suback: int = 1, connack: bytes = b"\x20\x02\x00\x00") -> None:
        super().__init__(daemon=True)
        self._suback = suback
        self._connack = connack
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._line: socket.socket | None = None
        self.connections = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with line:
                try:
                    self._serve(line)
                except (OSError, EOFError):
                    self._line = None

    def send(self, *packets: bytes) -> None:
        assert self._line is not None
        self._line.sendall(b"".join(packets))

    def is_heard(self) -> bool:
        """Are we subscribed?"""
        return self._line is not None

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._line is not None:
            self._line.close()
        self.join(40)

    def _serve(self, line: socket.socket) -> None:
        while True:
            kind, body = self._packet(line)
            if kind == 0x10:
                line.sendall(self._connack)
            elif kind == 0x82:
                line.sendall(self._confirm(0x90, body[:2], bytes([self._suback])))
                self._line = line
            elif kind == 0xA2:
                line.sendall(self._confirm(0xB0, body[:2], b""))
            elif kind == 0xC0:
                line.sendall(b"\xd0\x00")
            elif kind & 0xF6 == 0x32:
                topic = int.from_bytes(body[:2], "big")
                line.sendall(b"\x40\x02" + body[2 + topic : 4 + topic])

    def _confirm(self, kind: int, mid: bytes, codes: bytes) -> bytes:
        v5 = len(self._connack) > 4
        body = mid + (b"\x00" if v5 else b"") + (codes or (b"\x11" if v5 else b""))
        return bytes([kind, len(body)]) + body

    @staticmethod
    def _packet(line: socket.socket) -> tuple[int, bytes]:
        def take(size: int) -> bytes:
            data = b""
            while len(data) < size:
                more = line.recv(size - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        kind, length, shift = take(1)[0], 0, 0
        while True:
            byte = take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, take(length)


def publication(topic: bytes, payload: bytes, properties: bytes | None = None) -> bytes:
    """A PUBLISH packet of QoS 0, byte for byte; with `properties` one of MQTT 5."""
    body = len(topic).to_bytes(2, "big") + topic
    if properties is not None:
        body += bytes([len(properties)]) + properties
    body += payload
    length, size = b"", len(body)
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return b"\x30" + length + body
