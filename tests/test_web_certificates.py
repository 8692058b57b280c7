"""The staff side's TLS, asked by a real client: whose certificate, for which names, how long, which versions."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from web_fixtures import World, a_world

from kiosk.assembly import Kiosk
from kiosk.web import certificates
from kiosk.web.apps import create_staff_app
from kiosk.web.certificates import NOT_AFTER, RENEW_MS, Certificate, given_certificate, names_of, self_made_certificate
from kiosk.web.server import Server
from tests.web_fixtures import invented_lab


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def made(tmp_path: Path) -> Certificate:
    return self_made_certificate(tmp_path, names=["10.1.2.3", "sheber.college.kz"])


@pytest.fixture
def port(world: World, made: Certificate) -> Iterator[int]:
    services = replace(world.services(), certificate=made)
    server = Server("127.0.0.1:0", create_staff_app(services), tls=(made.certificate, made.key))
    server.start()
    yield urlsplit(server.address).port or 0
    server.stop()


def shown(port: int, context: ssl.SSLContext) -> tuple[bytes, str | None]:
    """The certificate in DER form and the version that a client got."""
    with socket.create_connection(("127.0.0.1", port), timeout=40) as plain, context.wrap_socket(plain) as connection:
        found = connection.getpeercert(binary_form=True)
        assert found is not None
        return found, connection.version()


def careless() -> ssl.SSLContext:
    """A client that looks at the certificate by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_a_client_that_pins_the_fingerprint_meets_the_kiosk(port: int, made: Certificate) -> None:
    der, version = shown(port, careless())
    assert hashlib.sha256(der).hexdigest().upper() == made.fingerprint.replace(":", "")
    assert version == "TLSv1.3"
    assert len(made.fingerprint) == 95


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_file_checks_the_name_too(port: int, made: Certificate, host: str) -> None:
    context = ssl.create_default_context(cafile=str(made.certificate))
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=40)
    if host == "localhost":
        connection.request("GET", "/login")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Set-Cookie"].startswith("__Host-sheber_session=")
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            connection.request("GET", "/login")
    connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(port: int) -> None:
    old = careless()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown(port, old)
    enough = careless()
    enough.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shown(port, enough)[1] == "TLSv1.2"


def said_to(port: int, sent: bytes) -> bytes:
    """What comes back for these bytes, until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=40) as plain:
        plain.sendall(sent)
        answer = b""
        while piece := plain.recv(4096):
            answer += piece
    return answer


def test_who_forgot_the_s_of_https_is_told(port: int) -> None:
    answer = said_to(port, b"GET / HTTP/1.1\r\nHost: kiosk\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"Write https:// before the address.")


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01garbage" * 20, b"\x00\xff" * 40])
def test_bytes_that_are_no_tls_fill_no_log(port: int, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    said_to(port, sent)
    said_to(port, sent)
    assert [record for record in caplog.records if record.exc_info or record.levelname in {"WARNING", "ERROR"}] == []


def test_it_is_for_the_machines_names_and_those_it_is_asked_by(made: Certificate) -> None:
    host = socket.gethostname()
    assert set(made.names) == {host, f"{host}.local", "localhost", "10.1.2.3", "sheber.college.kz"}
    read = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.1.2.3")]
    assert made.key.stat().st_mode & 0o777 == 0o600


def test_it_stays_the_same_until_its_last_month_and_is_made_anew_then(tmp_path: Path, made: Certificate) -> None:
    end_ms = round(NOT_AFTER.timestamp() * 1000)
    assert made.not_after_ms == end_ms
    assert self_made_certificate(tmp_path, end_ms - RENEW_MS - 1).fingerprint == made.fingerprint
    assert self_made_certificate(tmp_path, end_ms - RENEW_MS).fingerprint != made.fingerprint


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB"])
def test_what_a_power_cut_left_of_it_is_replaced(tmp_path: Path, made: Certificate, damage: bytes) -> None:
    made.certificate.write_bytes(damage)
    anew = self_made_certificate(tmp_path)
    assert anew.fingerprint != made.fingerprint
    assert self_made_certificate(tmp_path).fingerprint == anew.fingerprint


@pytest.mark.parametrize(
    ("listen", "public_url", "names"),
    [
        ("10.0.0.7:8443", None, ["10.0.0.7"]),
        ("[fd00::7]:8443", None, ["fd00::7"]),
        ("10.0.0.7:8443", "https://sheber.college.kz:8443/", ["10.0.0.7", "sheber.college.kz"]),
    ],
)
def test_its_names_come_from_the_configuration(listen: str, public_url: str | None, names: list[str]) -> None:
    assert list(names_of(listen, public_url)) == names


def test_a_listener_for_everybody_is_named_by_the_machines_own_addresses() -> None:
    for each in names_of("0.0.0.0:8443", None):
        assert not ipaddress.ip_address(each).is_unspecified


def test_a_given_certificate_is_described_and_another_file_is_told(tmp_path: Path, made: Certificate) -> None:
    given = given_certificate(made.certificate, made.key)
    assert (given.fingerprint, given.self_made) == (made.fingerprint, False)
    (tmp_path / "other.pem").write_text("no certificate")
    with pytest.raises(OSError, match="no certificate in PEM form"):
        given_certificate(tmp_path / "other.pem", made.key)


def test_openssl_finds_nothing_wrong_with_it(made: Certificate) -> None:
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-check_ss_sig",
        "-CAfile",
        str(made.certificate),
        str(made.certificate),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_kiosk_that_others_may_ask_says_its_fingerprint_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web = replace(invented_lab().web, listen="0.0.0.0:0", kiosk_listen="127.0.0.1:0")
    kiosk = Kiosk(replace(invented_lab(), web=web, readers=(), screens=()), tmp_path)
    kiosk.start()
    try:
        made = self_made_certificate(tmp_path)
        assert made.fingerprint in caplog.text
        assert kiosk.addresses[1].startswith("https://")
        der, _ = shown(urlsplit(kiosk.addresses[1]).port or 0, careless())
        assert hashlib.sha256(der).hexdigest().upper() == made.fingerprint.replace(":", "")
    finally:
        kiosk.stop()


def test_its_dates_need_no_clock() -> None:
    assert certificates.NOT_BEFORE.year == 2024
