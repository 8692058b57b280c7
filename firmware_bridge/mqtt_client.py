"""One connection to the broker: how it is opened, over TLS or not, and in words why it is not.

Each connection is a paho client of its own. So nothing that was said into a connection that broke is said again into
the next one, minutes later and no longer true; and certificates and passwords are read anew, whoever changed them.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX
from firmware_bridge.options import OptionError

VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
KEEPALIVE_S = 10
"""A broker announces our death one and a half of these after a power cut."""
CONNECT_TIMEOUT_S = 2.0
UNSENT_MAX = 1_000
READ_BYTES = 65_536
PUBLISH, PUBACK_HEAD = 3, b"\x40\x02"
PACKET_BYTES_MAX = PAYLOAD_BYTES_MAX + 65_535 + 1_024
"""The largest payload, the longest topic, and what MQTT 5 adds: no broker need send us more."""


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
    version: str = "3.1.1"
    """Of MQTT: `3.1.1` or `5`."""

    @property
    def where(self) -> str:
        """Host and port, for a sentence."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Presence:
    """A retained topic that says whether we are there: `offline` is the last will."""

    topic: str
    online: str = "online"
    offline: str = "offline"


class BrokenOffError(ConnectionError):
    """The other end does not finish a TLS handshake."""


class Publication(MQTTMessage):
    """One that was heard: without the lock of one that is said, which takes longer to make than all the rest."""

    def __init__(self, mid: int, topic: bytes, payload: bytes, qos: int, retain: bool) -> None:
        self.mid, self._topic, self.payload, self.qos, self.retain = mid, topic, payload, qos, retain


class OneConnection(Client):
    """paho's client for one connection: it does not come back by itself.

    paho's thread dies of a packet that it cannot read, such as an MQTT 5 property with a byte order mark in it, which
    any client of the broker may send. Here that is told to `on_unreadable` instead.
    """

    on_unreadable: Callable[[Exception], None]
    _unread = memoryview(b"")
    _acknowledged = b""
    _reader: int | None = None
    _has_looked = False

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """All packets of one look at the socket; paho does not know of those in memory, and would wait for more."""
        self._reader, self._has_looked = threading.get_ident(), False
        code = super().loop_read(max_packets)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._unread and self.socket() is not None:
            if not self._take_publication():
                code = super().loop_read(max_packets)
        acknowledged, self._acknowledged = self._acknowledged, b""
        if acknowledged and self.socket() is not None:
            self._packet_queue(MessageType.PUBACK, acknowledged, 0, 1)
        return code

    def ack(self, mid: int, qos: int) -> MQTTErrorCode:
        """As paho's; those that are given while packets are read leave together."""
        if qos != 1 or self._protocol == VERSIONS["5"] or threading.get_ident() != self._reader:
            return super().ack(mid, qos)
        self._acknowledged += PUBACK_HEAD + mid.to_bytes(2, "big")
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _sock_recv(self, bufsize: int) -> bytes:
        """paho reads byte after byte: half of what a message costs are its five system calls."""
        if not self._unread:
            if self._has_looked:
                raise BlockingIOError  # in a flood, what we have to say must get its turn
            self._has_looked = True
            self._unread = memoryview(super()._sock_recv(READ_BYTES))
        taken, self._unread = bytes(self._unread[:bufsize]), self._unread[bufsize:]
        return taken

    def _take_publication(self) -> bool:
        """A whole PUBLISH (MQTT 3.1.1, 3.3) at QoS 0 or 1, which nearly every packet is; paho takes four times as long.

        False for anything else, and for what is damaged: paho knows what to do about it.
        """
        head, qos = self._unread[0], self._unread[0] >> 1 & 3
        if head >> 4 != PUBLISH or qos > 1 or self._in_packet["command"] or self._protocol == VERSIONS["5"]:
            return False
        size, begin = _remaining_length(self._unread[1:5])
        end, topic = begin + size, begin + 2
        topic_end = topic + int.from_bytes(self._unread[begin:topic], "big")
        payload = topic_end + 2 * qos
        if not begin or payload > end or end > len(self._unread):
            return False
        packet, self._unread = self._unread[:end], self._unread[end:]
        number = int.from_bytes(packet[topic_end:payload], "big")
        message = Publication(number, bytes(packet[topic:topic_end]), bytes(packet[payload:]), qos, bool(head & 1))
        if self.on_message is not None:
            self.on_message(self, None, message)
        return True

    def _thread_main(self) -> None:
        try:
            super()._thread_main()
        except Exception as error:  # noqa: BLE001  whatever it was, the connection is over
            self.on_unreadable(error)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """paho's own leaves the socket open when the handshake fails, which it may do for days."""
        assert self._ssl_context is not None
        secure = self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            secure.settimeout(CONNECT_TIMEOUT_S)
            secure.do_handshake()
        except ssl.SSLError:
            secure.close()
            raise
        except OSError as error:
            secure.close()
            raise BrokenOffError("the other end breaks the handshake off") from error
        return secure


def _remaining_length(data: memoryview) -> tuple[int, int]:
    """The length after a packet's first byte (MQTT 3.1.1, 2.2.3), and where what it counts begins; 0 for none."""
    size = 0
    for place, byte in enumerate(data):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return size, place + 2
    return 0, 0


def new_connection(broker: Broker, client_id: str, presence: Presence | None) -> OneConnection:
    """A client ready to connect, with a clean session. Raises `OptionError` for secrets that cannot be used."""
    client = OneConnection(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if broker.version == "5" else True,
        protocol=VERSIONS[broker.version],
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_queued_messages_set(UNSENT_MAX)
    if presence is not None:
        client.will_set(presence.topic, presence.offline, qos=1, retain=True)
    if broker.username is not None:
        client.username_pw_set(broker.username, _secret(broker.password_file))
    if broker.ca_file:
        try:
            # An empty password: a key that wants one is an error, not a question on a terminal nobody looks at.
            client.tls_set(broker.ca_file, broker.cert_file or None, broker.key_file or None, keyfile_password="")
        except (OSError, ValueError) as error:
            raise OptionError("mqtt.ca_file", f"cannot be used ({error}); check the TLS files") from error
    return client


def connect(client: Client, broker: Broker) -> None:
    """Open the line and send the greeting; waits for the network. Raises `OSError` or `ValueError`, see `why`."""
    properties = None
    if broker.version == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = PACKET_BYTES_MAX
    client.connect(broker.host, broker.port, keepalive=KEEPALIVE_S, properties=properties)


def why(error: Exception, broker: Broker) -> str:
    """Why no line could be opened, and what to do, in words."""
    match error:
        case ssl.SSLCertVerificationError():
            reason = error.verify_message.rstrip(".")
            return (
                f"the certificate of the broker at {broker.where} is refused: {reason}; check it, ca_file and the clock"
            )
        case BrokenOffError() | ssl.SSLError():
            reason = str(error) if isinstance(error, BrokenOffError) else error.reason
            return f"no TLS with the broker at {broker.where}: {reason}; check port, ca_file and cert_file"
        case socket.gaierror() | ValueError():
            return f"no host is called {broker.host}; correct [mqtt]"
        case _:
            return f"no broker answers at {broker.where}; start it, or correct [mqtt]"


def refusal(reason: ReasonCode) -> str:
    """A broker's no to our greeting, and what to do, in words."""
    remedy = "check username and password_file"
    if "protocol" in str(reason).lower():
        remedy = "write another version in [mqtt]"
    elif "identifier" in str(reason).lower():
        remedy = "check the broker's rules for client ids"
    return f"the broker refuses us: {reason}; {remedy}"


def hung_up(broker: Broker) -> str:
    """A line that the other end closed before it answered the greeting."""
    missing = "cert_file, if it demands a client certificate" if broker.ca_file else "port, and ca_file if it wants TLS"
    return f"what listens at {broker.where} hangs up without an answer; check {missing}"


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("mqtt.password_file", f"cannot be read ({error}); name a file with the password") from error
