"""The certificate of the staff side: the one that lab.toml names, or one of the kiosk's own making.

Its own is for years, because each new one must be accepted anew in every browser, and because the kiosk may make it
while its clock is still wrong. It is made anew in its last month.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kiosk.store.faults import disk_fault
from kiosk.store.files import keep_file

if TYPE_CHECKING:
    from cryptography import x509

LOG = logging.getLogger(__name__)
NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)
"""RFC 5280, 4.1.2.5: the last year that is written with two digits."""
DAY_MS = 86_400_000
RENEW_MS = 30 * DAY_MS
ANYWHERE = ("192.0.2.1", "2001:db8::1")
"""Addresses for examples (RFC 5737, RFC 3849): asked for the way there, which sends nothing."""


@dataclass(frozen=True)
class Certificate:
    """What the staff side shows to browsers."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of its DER form, as browsers show it: `AB:CD:...`."""
    not_after_ms: int
    names: tuple[str, ...]
    """The host names and addresses that it is for."""
    self_made: bool


def given_certificate(certificate: Path, key: Path) -> Certificate:
    """The pair that the configuration names; `OSError` where the first is no certificate."""
    try:
        return _described(certificate, key, self_made=False)
    except ValueError as error:
        raise OSError(f"{certificate} is no certificate in PEM form: name another as tls_cert in lab.toml") from error


def self_made_certificate(folder: Path, now_ms: int = 0, names: Iterable[str] = ()) -> Certificate:
    """The certificate and key in `folder`, made when they are not there or end within a month of `now_ms`.

    `names` are host names and addresses that it is for, beside the machine's own. Where the disk takes nothing it lives
    in memory, for this run: the staff side must say that nothing is recorded.
    """
    certificate, key = folder / "web.crt", folder / "web.key"
    if is_whole(certificate) and is_whole(key):
        with suppress(ValueError):  # the rest of a write that a power cut ended
            found = _described(certificate, key, self_made=True)
            if found.not_after_ms - now_ms > RENEW_MS:
                return found
            LOG.warning(
                "the certificate %s ends within a month, so it is made anew: its fingerprint changes", certificate
            )
    return _made(certificate, key, [*_own_names(), *names])


def names_of(listen: str, public_url: str | None) -> Iterator[str]:
    """Under which a browser may ask: the address listened at, or those of the machine, and the host of `public_url`."""
    host = listen.rpartition(":")[0].strip("[]")
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - it is asked whether the configuration says so
        yield from _own_addresses()
    else:
        yield host
    named = urlsplit(public_url).hostname if public_url else None
    if named:
        yield named


def is_whole(path: Path) -> bool:
    """Is it there, and not the empty rest of a write that a power cut ended?"""
    return path.exists() and path.stat().st_size > 0


def _own_names() -> tuple[str, ...]:
    host = socket.gethostname()
    return host, f"{host}.local", "localhost"


def _own_addresses() -> Iterator[str]:
    """Those that this machine would be asked at from its network."""
    for family, target in zip((socket.AF_INET, socket.AF_INET6), ANYWHERE, strict=True):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            yield probe.getsockname()[0]


def _made(certificate: Path, key: Path, names: list[str]) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - costs 40 ms of every start and is rarely needed
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
    secret = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(secret, hashes.SHA256())
    )
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # A key without its certificate is made anew, never the other way round.
    with suppress(OSError):
        certificate.unlink(missing_ok=True)
    key = _kept(key, pem)
    return _described(_kept(certificate, made.public_bytes(serialization.Encoding.PEM)), key, self_made=True)


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415 - see _made

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii") if not name.isascii() else name)


def _described(certificate: Path, key: Path, self_made: bool) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - see _made
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    digest = hashlib.sha256(found.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    names: tuple[str, ...] = ()
    with suppress(x509.ExtensionNotFound):
        general = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(each.value) for each in general)
    return Certificate(
        certificate,
        key,
        fingerprint=":".join(digest[at : at + 2] for at in range(0, len(digest), 2)),
        not_after_ms=round(found.not_valid_after_utc.timestamp() * 1000),
        names=names,
        self_made=self_made,
    )


def _kept(path: Path, data: bytes) -> Path:
    """`path` with `data` in it, or a path in memory where the disk takes nothing."""
    try:
        keep_file(path, data)
    except OSError as error:
        if disk_fault(error, path.parent) is None:
            raise
        LOG.warning("%s could not be kept: %s; it is made anew at the next start", path, error.strerror)
        handle = os.memfd_create(path.name)
        os.write(handle, data)
        return Path(f"/proc/self/fd/{handle}")
    return path
