"""A real mosquitto behind TLS: who is believed, who is refused, and what is said about it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.mqtt_client import Broker
from firmware_bridge.options import OptionError
from firmware_bridge.simulator.broker import LoopbackBroker
from tests.mqtt_fixtures import Authority, linked
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
VERSIONS = ("3.1.1", "5")


@contextmanager
def tls_broker(authority: Authority, certificate: tuple[Path, Path], port: int, extra: str = "") -> Iterator[int]:
    """Its TLS port. "user root": started by root, mosquitto gives up its rights and could not read these files."""
    crt, key = certificate
    broker = LoopbackBroker(
        f"user root\nlistener {port} 127.0.0.1\ncafile {authority.file}\ncertfile {crt}\nkeyfile {key}\n{extra}"
    )
    broker.start()
    try:
        yield port
    finally:
        broker.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "college")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_whose_authority_we_know_is_believed(
    authority: Authority, free_port: Callable[[], int], wait_until: Wait, version: str
) -> None:
    with (
        tls_broker(authority, authority.issue("broker", "127.0.0.1"), free_port()) as port,
        linked(Broker(port=port, ca_file=str(authority.file), version=version), Inbox()) as link,
    ):
        wait_until(lambda: link.connected, what="the connection")


def refused(broker: Broker, wait_until: Wait) -> str:
    """What the link says about a broker that it does not come to terms with."""
    with linked(broker, Inbox()) as link:
        wait_until(lambda: link.problem, what="the refusal")
        assert not link.connected
        return link.problem


def test_a_broker_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path, free_port: Callable[[], int], wait_until: Wait
) -> None:
    stranger = Authority(tmp_path / "stranger")
    with tls_broker(authority, authority.issue("broker", "127.0.0.1"), free_port()) as port:
        problem = refused(Broker(port=port, ca_file=str(stranger.file)), wait_until)
    assert problem.startswith(f"the certificate of the broker at 127.0.0.1:{port} is refused: ")
    assert "issuer" in problem or "self-signed" in problem
    assert problem.endswith("check it, ca_file and the clock")


def test_a_certificate_for_another_address_is_refused(
    authority: Authority, free_port: Callable[[], int], wait_until: Wait
) -> None:
    with tls_broker(authority, authority.issue("broker", "127.0.0.9"), free_port()) as port:
        problem = refused(Broker(port=port, ca_file=str(authority.file)), wait_until)
    assert "certificate is not valid for '127.0.0.1'" in problem


def test_an_expired_certificate_is_refused(
    authority: Authority, free_port: Callable[[], int], wait_until: Wait
) -> None:
    with tls_broker(authority, authority.issue("broker", "127.0.0.1", days_left=-1), free_port()) as port:
        problem = refused(Broker(port=port, ca_file=str(authority.file)), wait_until)
    assert "certificate has expired" in problem


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_demands_a_client_certificate_takes_ours(
    authority: Authority, free_port: Callable[[], int], wait_until: Wait, version: str
) -> None:
    crt, key = authority.issue("kiosk")
    with tls_broker(
        authority, authority.issue("broker", "127.0.0.1"), free_port(), "require_certificate true\n"
    ) as port:
        own = Broker(port=port, ca_file=str(authority.file), cert_file=str(crt), key_file=str(key), version=version)
        with linked(own, Inbox()) as link:
            wait_until(lambda: link.connected, what="the connection")


def test_a_client_certificate_that_is_not_given_or_not_the_brokers_kind_is_told(
    authority: Authority, tmp_path: Path, free_port: Callable[[], int], wait_until: Wait
) -> None:
    crt, key = Authority(tmp_path / "stranger").issue("kiosk")
    with tls_broker(
        authority, authority.issue("broker", "127.0.0.1"), free_port(), "require_certificate true\n"
    ) as port:
        without = refused(Broker(port=port, ca_file=str(authority.file)), wait_until)
        strange = refused(
            Broker(port=port, ca_file=str(authority.file), cert_file=str(crt), key_file=str(key)), wait_until
        )
    assert "cert_file" in without
    assert "cert_file" in strange


def hang_up_after_the_servers_word(listener: socket.socket, context: ssl.SSLContext, tries: list[int]) -> None:
    """TLS 1.3 as a broker speaks it that then refuses: for the client the handshake is done, its greeting fails."""
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        tries.append(line.fileno())
        with line:
            heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
            server = context.wrap_bio(heard, said, server_side=True)
            heard.write(line.recv(65_536))
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
            line.sendall(said.read())


def test_a_broker_that_hangs_up_while_it_is_greeted_is_told_in_words(authority: Authority, wait_until: Wait) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("broker", "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tries: list[int] = []
        threading.Thread(target=hang_up_after_the_servers_word, args=(listener, context, tries), daemon=True).start()
        own = Broker(port=listener.getsockname()[1], ca_file=str(authority.file))
        assert "hangs up" in refused(own, wait_until)
        assert len(tries) == 1
        listener.shutdown(socket.SHUT_RDWR)


def test_plain_text_to_a_tls_port_is_told_in_words(
    authority: Authority, free_port: Callable[[], int], wait_until: Wait
) -> None:
    with tls_broker(authority, authority.issue("broker", "127.0.0.1"), free_port()) as port:
        assert "ca_file if it wants TLS" in refused(Broker(port=port), wait_until)


def test_tls_to_a_plain_port_is_told_in_words(authority: Authority, mosquitto: Any, wait_until: Wait) -> None:
    problem = refused(Broker(port=mosquitto.port, ca_file=str(authority.file)), wait_until)
    assert "no TLS with the broker" in problem or "hangs up" in problem


def test_a_key_that_wants_a_password_is_an_error_and_no_question(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    crt, key = authority.issue("kiosk")
    locked = tmp_path / "locked.key"
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    own = Broker(ca_file=str(authority.file), cert_file=str(crt), key_file=str(locked))
    with pytest.raises(OptionError, match="check the TLS files"), linked(own, Inbox()):
        pass


def test_a_certificate_that_was_renewed_is_used_without_a_restart(
    authority: Authority, tmp_path: Path, free_port: Callable[[], int], wait_until: Wait
) -> None:
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(Authority(tmp_path / "old").file.read_bytes())
    with (
        tls_broker(authority, authority.issue("broker", "127.0.0.1"), free_port()) as port,
        linked(Broker(port=port, ca_file=str(trusted)), Inbox()) as link,
    ):
        wait_until(lambda: "is refused" in link.problem, what="the refusal")
        trusted.write_bytes(authority.file.read_bytes())
        wait_until(lambda: link.connected, what="the connection")
