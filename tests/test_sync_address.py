"""Where a delivery may go, and over what."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kiosk.sync.address import Undeliverable, destination, is_public
from kiosk.sync.post import Answer, Limits, post

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://0.0.0.0/x",
        "https://0/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://0177.0.0.1/x",
        "https://127.1/x",
        "https://10.0.0.1/x",
        "https://172.16.5.5/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/x",
        "https://198.18.0.1/x",
        "https://192.0.2.1/x",
        "https://224.0.0.1/x",
        "https://255.255.255.255/x",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[fe80::1]/x",
        "https://[fc00::1]/x",
        "https://[fec0::1]/x",
        "https://[ff02::1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:password@example.com/x",
        "https:///x",
        "https://exa mple.com:70000/",
        "",
    ],
)
def test_addresses_that_a_record_never_goes_to(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        if host == "example.com":
            return [PUBLIC]
        return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    with pytest.raises(Undeliverable):
        destination(url, local=False, resolve=resolve)


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("answer", [["10.0.0.7"], [PUBLIC, "127.0.0.1"], [], ["nonsense"]])
def test_a_name_that_also_means_a_private_address_is_refused(answer: list[str]) -> None:
    with pytest.raises(Undeliverable):
        destination("https://hr.example/x", local=False, resolve=lambda *_: answer)


def test_a_name_that_nobody_knows_is_told_so() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Undeliverable, match="cannot be resolved"):
        destination("https://hr.example/x", local=False, resolve=unknown)


def test_the_name_is_asked_once_and_the_connection_goes_to_that_answer() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    to = destination("https://hr.example:8443/in?a=b", local=False, resolve=lambda *_: answers.pop(0))
    assert (to.addresses, to.host, to.port, to.target) == ((PUBLIC,), "hr.example", 8443, "/in?a=b")
    assert to.host_header == "hr.example:8443"
    assert len(answers) == 1


def test_a_local_enterprise_may_be_in_the_house_and_without_tls() -> None:
    to = destination("http://127.0.0.1:8090/hooks/a", local=True)
    assert to.addresses == ("127.0.0.1",)


class Secure:
    """A TLS server that takes a POST and answers 204; its certificate is for `name`."""

    def __init__(self, folder: Path, name: str, *, days: int) -> None:
        self.certificate = folder / "certificate.pem"
        _certificate(folder, name, days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._context = context
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                with plain, self._context.wrap_socket(plain, server_side=True) as connection:
                    heard = connection.recv(65_536)
                    while heard and not heard.endswith(b"body"):  # what is hung up on unread breaks the connection
                        heard += connection.recv(65_536)
                    self.requests.append(heard)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                continue


def _certificate(folder: Path, name: str, days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Callable[..., Secure]]:
    made: list[Secure] = []

    def make(name: str, days: int = 36_500) -> Secure:
        made.append(Secure(tmp_path, name, days=days))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _send(there: Secure, host: str, *, trusted: bool = True) -> Answer:
    to = destination(f"https://{host}:{there.port}/in", local=True, resolve=lambda *_: ["127.0.0.1"])
    tls = ssl.create_default_context(cafile=str(there.certificate)) if trusted else None
    return post(to, {"x": "y"}, b"body", tls=tls, limits=Limits(read_s=5))


def test_the_certificate_is_checked_against_the_name_not_the_address(secure: Callable[..., Secure]) -> None:
    there = secure("hr.example")
    assert _send(there, "hr.example").status == 204
    assert f"Host: hr.example:{there.port}".encode() in there.requests[0]


def test_a_certificate_of_another_name_is_refused_and_nothing_is_sent(secure: Callable[..., Secure]) -> None:
    there = secure("other.example")
    with pytest.raises(Undeliverable, match="certificate is not valid"):
        _send(there, "hr.example")
    assert there.requests == []


def test_a_certificate_nobody_vouches_for_is_refused(secure: Callable[..., Secure]) -> None:
    there = secure("hr.example")
    with pytest.raises(Undeliverable, match="certificate is not valid"):
        _send(there, "hr.example", trusted=False)
    assert there.requests == []


def test_an_expired_certificate_is_refused(secure: Callable[..., Secure]) -> None:
    there = secure("hr.example", days=30)
    with pytest.raises(Undeliverable, match="expired"):
        _send(there, "hr.example")


def test_the_address_in_an_ipv6_url_is_written_with_brackets_in_the_host_header() -> None:
    to = destination("http://[::1]:8090/x", local=True, resolve=lambda *_: ["::1"])
    assert to.host == str(ipaddress.ip_address("::1"))
    assert to.host_header == "[::1]:8090"
