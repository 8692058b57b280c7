"""Another screen of the lab is let in once: it shows six digits, an instructor types them, a signed cookie remembers.

Whoever sits at the kiosk itself (loopback) needs none of this. Codes are kept in memory and in real time.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from time import monotonic

from itsdangerous import BadSignature, URLSafeSerializer

from kiosk.refs import new_code, new_token

CODE_S = 300.0
"""A code that nobody confirmed is over after so long."""
MAX_WAITING = 16
MAX_WAITING_OF_A_SOURCE = 3
"""A device that asks on and on takes nobody else's place."""
SCREEN_COOKIE = "sheber_screen"
ASKER_COOKIE = "sheber_pairing"
EVERY_READER = ""
"""A screen that the configuration does not name answers to every reader that no other screen claims."""


@dataclass
class _Asker:
    code: str
    source: str
    until: float
    screen: str | None = None
    """Where the instructor put it; None while nobody confirmed."""


class Pairings:
    """Screens that wait to be let in. May be used from any thread."""

    def __init__(self, now: Callable[[], float] = monotonic, code: Callable[[], str] = new_code) -> None:
        self._now = now
        self._code = code
        self._lock = threading.Lock()
        self._askers: OrderedDict[str, _Asker] = OrderedDict()

    def ask(self, asker: str | None, source: str) -> tuple[str, str] | None:
        """(asker, code) for a screen that asks, the same code until it is over; None while too many wait."""
        with self._lock:
            self._forget()
            known = self._askers.get(asker) if asker else None
            if asker and known is not None:
                return asker, known.code
            same_source = sum(each.source == source for each in self._askers.values())
            if len(self._askers) >= MAX_WAITING or same_source >= MAX_WAITING_OF_A_SOURCE:
                return None
            taken = {each.code for each in self._askers.values()}
            code = next(each for each in iter(self._code, None) if each not in taken)
            token = new_token()
            self._askers[token] = _Asker(code, source, self._now() + CODE_S)
            return token, code

    def confirm(self, code: str, screen: str = EVERY_READER) -> bool:
        """An instructor says that the screen showing `code` is `screen` of the lab; False where none shows it."""
        with self._lock:
            self._forget()
            for asker in self._askers.values():
                if asker.code == code and asker.screen is None:
                    asker.screen = screen
                    return True
            return False

    def claim(self, asker: str | None) -> str | None:
        """The screen that a confirmed asker has become, once; None for everybody else."""
        with self._lock:
            self._forget()
            known = self._askers.get(asker) if asker else None
            if asker is None or known is None or known.screen is None:
                return None
            del self._askers[asker]
            return known.screen

    def _forget(self) -> None:
        now = self._now()
        for token in [token for token, each in self._askers.items() if each.until <= now]:
            del self._askers[token]


def pass_for(secret: bytes, screen: str) -> str:
    """What the cookie of a paired screen holds: signed, and good for this kiosk alone."""
    return str(_signer(secret).dumps({"screen": screen, "of": new_token()}))


def screen_of_pass(secret: bytes, cookie: str | None) -> str | None:
    """The screen that a cookie stands for; None for a wrong one or none."""
    if not cookie:
        return None
    try:
        said = _signer(secret).loads(cookie)
    except BadSignature:
        return None
    screen = said.get("screen") if isinstance(said, dict) else None
    return screen if isinstance(screen, str) else None


def screen_of_request(secret: bytes, address: str, cookies: str, asked: str) -> str | None:
    """Which screen is it that asks for the live stream? None where it may not; only the kiosk itself may choose."""
    if is_at_the_kiosk(address):
        return asked
    try:
        morsel = SimpleCookie(cookies).get(SCREEN_COOKIE)
    except CookieError:
        return None
    return screen_of_pass(secret, morsel.value if morsel is not None else None)


def is_at_the_kiosk(address: str) -> bool:
    """Does the request come from this very computer?"""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _signer(secret: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="sheber screen")
