"""Where a delivery may go: never to an address of this machine or its network, unless the lab says `local = true`.

The name is resolved once, every address is judged, and the connection goes to exactly an address that was judged; so a
name that answers differently the second time (DNS rebinding) gains nothing. Source: OWASP ASVS 5.0, 1.3.6.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

Resolve = Callable[[str, int], list[str]]
"""(host, port) -> addresses as text, the preferred first; `OSError` where the name is not known."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Undeliverable(Exception):
    """No answer could be had. `reason` is one short sentence for a person, `code` one of `kiosk.delivery_status`."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True)
class Destination:
    """An address that was judged, and the names that the request and its certificate carry."""

    scheme: str
    host: str
    """As a certificate names it, without brackets."""
    port: int
    target: str
    """Path and query."""
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def system_resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def destination(url: str, *, local: bool, resolve: Resolve = system_resolve) -> Destination:
    """The judged destination of `url`, or `Undeliverable`.

    Without `local`: https only, and every address the name has must be a public one.
    """
    try:
        parsed = parse_url(url)
    except LocationParseError:
        raise Undeliverable("the address is not a URL; correct it in lab.toml", "address") from None
    scheme, host = parsed.scheme or "", (parsed.host or "").strip("[]")
    if scheme not in ("https", "http") or (scheme == "http" and not local):
        raise Undeliverable("the address must begin with https://; correct it in lab.toml", "address")
    if not host or parsed.auth is not None:
        raise Undeliverable("the address must name a host and no password; correct it in lab.toml", "address")
    port = parsed.port or {"https": 443, "http": 80}[scheme]
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError):
        raise Undeliverable("the name of its host cannot be resolved", "name") from None
    if not addresses:
        raise Undeliverable("the name of its host has no address", "name")
    if not local and not all(is_public(address) for address in addresses):
        told = "its host lies in a private network; if that is meant, set local = true in lab.toml"
        raise Undeliverable(told, "private")
    return Destination(scheme, host, port, parsed.request_uri, tuple(addresses))


def is_public(address: str) -> bool:
    """May a lab's record go there? No for private, loopback, link-local, reserved, multicast, and what hides one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local)
