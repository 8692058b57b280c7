"""Who is signed in: one password check at a time, growing delays for guessers, sign-ins that end and say why."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from time import monotonic

from argon2.exceptions import InvalidHashError, VerificationError
from flask_login import UserMixin

from kiosk.passwords import LONGEST_ACCOUNT, as_hashed, hasher
from kiosk.refs import new_ref, new_token

IDLE_S = 30 * 60
ABSOLUTE_S = 12 * 3600
PROVED_S = 10 * 60
"""So long after somebody typed their own password nobody asks for it again before they change another's account."""
FREE_TRIES = 5
FREE_TRIES_OF_A_SOURCE = 20
"""A whole college may come from one address."""
FIRST_DELAY_S = 15.0
LONGEST_DELAY_S = 900.0
HOUR_S = 3600.0
MOST_IN_AN_HOUR = 100
"""Wrong passwords of one account that are looked at within an hour, whatever succeeds between them (ASVS)."""
MOST_OF_DEVICES = 20
"""So many of them are kept for browsers that the account was signed in from before: strangers cannot use them up."""
FREE = {"account": FREE_TRIES, "device": FREE_TRIES, "source": FREE_TRIES_OF_A_SOURCE}
HOURLY = {"account": MOST_IN_AN_HOUR - MOST_OF_DEVICES, "devices": MOST_OF_DEVICES}
"""By what a try is counted by (`_keys`): how many cost no wait, and how many are looked at within an hour."""
REMEMBERED = 4096
QUEUE_S = 5.0
"""How long a login waits for the one before it."""
LONGEST_DEVICE = 300

IDLE, TOO_LONG, ELSEWHERE, PASSWORD, CLOSED, LEFT = "idle", "too_long", "elsewhere", "password", "closed", "left"
"""Why a sign-in is over: unused, half a day old, by another device, by a new password, with its account, by leaving."""


_Key = tuple[str, str]


class Account(UserMixin):
    """The signed-in person, as one request sees them."""

    def __init__(
        self, token: str, user_ref: str, name: str, role: str, person_ref: str | None, must_change: bool = False
    ) -> None:
        self.token = token
        self.user_ref = user_ref
        self.name = name
        self.role = role
        self.person_ref = person_ref
        self.must_change = must_change
        """The password was made by somebody else: until it is changed there is no other page."""

    def get_id(self) -> str:
        """What the session cookie holds: the sign-in, not the account."""
        return self.token

    @property
    def decides(self) -> bool:
        """May this role decide on sessions?"""
        return self.role in {"instructor", "lead"}


@dataclass(frozen=True)
class SignIn:
    """One browser that gave a right password."""

    id: str
    """For forms; it opens nothing."""
    name: str
    started: float
    seen: float
    proved: float
    """When its password was typed last."""
    since_ms: int = 0
    """When it began, on the domain's clock."""
    source: str = ""
    device: str = ""
    """What the browser calls itself."""
    passwords: frozenset[str] = field(default=frozenset(), repr=False)
    """The hash it was opened by, and for a moment the one that its owner changes it for."""


class SignIns:
    """Kept in memory only: a restart, a logout or time ends them, whatever a stolen cookie says."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._by_token: OrderedDict[str, SignIn] = OrderedDict()
        self._over: OrderedDict[str, str] = OrderedDict()

    def begin(self, name: str, since_ms: int = 0, source: str = "", device: str = "", password_hash: str = "") -> str:
        """A new token for an account name, which ends with the password that `password_hash` is of."""
        token, now = new_token(), self._now()
        passwords = frozenset({password_hash})
        with self._lock:
            self._by_token[token] = SignIn(
                new_ref(), name, now, now, now, since_ms, source, device[:LONGEST_DEVICE], passwords
            )
            while len(self._by_token) > REMEMBERED:
                self._by_token.popitem(last=False)
        return token

    def name_of(self, token: str, used: bool = True) -> str | None:
        """The account of a live sign-in, which is thereby used; `None` once it is over.

        What a page asks by itself is no use: a page that keeps itself fresh would never be signed out.
        """
        now = self._now()
        with self._lock:
            sign_in = self._by_token.get(token)
            if sign_in is None:
                return None
            why = self._why_over(sign_in, now)
            if why is not None:
                self._end(token, why)
                return None
            if used:
                self._by_token[token] = replace(sign_in, seen=now)
            return sign_in.name

    def is_of(self, token: str, password_hash: str) -> bool:
        """Was it opened by this password? One of another ends: whoever changed it, also where no page knew."""
        with self._lock:
            found = self._by_token.get(token)
            if found is None:
                return False
            if password_hash not in found.passwords:
                self._end(token, PASSWORD)
            return password_hash in found.passwords

    def stay_with(self, token: str, password_hash: str) -> None:
        """Its owner changes the password for this one, and stays."""
        with self._lock:
            found = self._by_token.get(token)
            if found is not None:
                self._by_token[token] = replace(found, passwords=found.passwords | {password_hash})

    def prove(self, token: str) -> None:
        """Whoever has it typed their password just now."""
        with self._lock:
            if token in self._by_token:
                self._by_token[token] = replace(self._by_token[token], proved=self._now())

    def proved_lately(self, token: str) -> bool:
        """Was its password typed within the last minutes?"""
        with self._lock:
            found = self._by_token.get(token)
            return found is not None and self._now() - found.proved < PROVED_S

    def of(self, name: str) -> list[SignIn]:
        """The live sign-ins of an account, the latest first."""
        now = self._now()
        with self._lock:
            found = [each for each in self._by_token.values() if each.name == name and not self._why_over(each, now)]
        return sorted(found, key=lambda each: each.started, reverse=True)

    def id_of(self, token: str) -> str | None:
        """Which of them this is."""
        with self._lock:
            found = self._by_token.get(token)
        return None if found is None else found.id

    def end(self, token: str, why: str = LEFT) -> None:
        """Over, here and for every copy of the cookie."""
        with self._lock:
            if token in self._by_token:
                self._end(token, why)

    def end_one(self, name: str, sign_in: str, why: str = ELSEWHERE) -> bool:
        """Ends the sign-in of that id if it is the account's own; was there one?"""
        return self._end_those(lambda each, _: each.name == name and each.id == sign_in, why) == 1

    def end_others(self, name: str, but: str | None = None, why: str = ELSEWHERE) -> int:
        """Ends all of an account's, except that of the token `but`; how many."""
        return self._end_those(lambda each, token: each.name == name and token != but, why)

    def why_over(self, token: str) -> str | None:
        """One of the codes above for a sign-in that ended not long ago; None for one that is not known (a restart)."""
        with self._lock:
            return self._over.get(token)

    def _end_those(self, which: Callable[[SignIn, str], bool], why: str) -> int:
        with self._lock:
            tokens = [token for token, each in self._by_token.items() if which(each, token)]
            for token in tokens:
                self._end(token, why)
        return len(tokens)

    def _end(self, token: str, why: str) -> None:
        del self._by_token[token]
        self._over[token] = why
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)

    @staticmethod
    def _why_over(sign_in: SignIn, now: float) -> str | None:
        if now - sign_in.started >= ABSOLUTE_S:
            return TOO_LONG
        return IDLE if now - sign_in.seen >= IDLE_S else None


@dataclass
class _Failures:
    """The wrong tries at one account, of one source or of one device."""

    recent: deque[float]
    """Within the last hour, at the most as many as are looked at."""
    count: int = 0
    until: float = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until another is looked at."""
        full = 0 < len(self.recent) == self.recent.maxlen
        return max(self.until, self.recent[0] + HOUR_S if full else 0.0) - now


class Throttle:
    """Wrong passwords by account and by source: some are free, then each costs twice the wait of the last.

    A `device` that the account was signed in from before has tries of its own and does not wait for strangers.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def wait_s(self, account: str, source: str, device: str = "") -> float:
        """Seconds until another try is looked at; 0 when it is now."""
        with self._lock:
            return self._wait_s(_keys(account, source, device))

    def take(self, account: str, source: str, device: str = "") -> float:
        """Like `wait_s`; where it is 0 the try is counted as wrong already, so that many at once are not one.

        `succeeded` or `unseen` take it back.
        """
        with self._lock:
            keys = _keys(account, source, device)
            wait = self._wait_s(keys)
            if wait <= 0:
                self._failed(keys)
            return wait

    def failed(self, account: str, source: str, device: str = "") -> None:
        """One more wrong password, or wrong name."""
        with self._lock:
            self._failed(_keys(account, source, device))

    def succeeded(self, account: str, source: str | None = None, device: str = "") -> None:
        """The right password forgives the account; a source that guesses others stays known.

        That of a device forgives the device: whoever guesses elsewhere gains nothing by its owner's coming and going.
        """
        forgiven, other = _keys(account, source or "", device)
        with self._lock:
            found = self._failures.get(forgiven)
            if found is not None:
                found.count, found.until = 0, 0.0
                if source is not None and found.recent:
                    found.recent.pop()
            if source is not None:
                self._take_back(other)

    def unseen(self, account: str, source: str, device: str = "") -> None:
        """The try that was taken could not be looked at."""
        with self._lock:
            for key in _keys(account, source, device):
                self._take_back(key)

    def recall(self, failures: Iterable[tuple[str, float]]) -> None:
        """Failures of before a restart, oldest first: (account, seconds ago)."""
        with self._lock:
            now = self._now()
            for account, ago_s in failures:
                self._count(_keys(account, "")[0], now - ago_s)

    def _wait_s(self, keys: Iterable[_Key]) -> float:
        now = self._now()
        known = (self._failures[key] for key in keys if key in self._failures)
        return max(0.0, *(each.wait_s(now) for each in known), 0.0)

    def _failed(self, keys: Iterable[_Key]) -> None:
        now = self._now()
        for key in keys:
            self._count(key, now)

    def _count(self, key: _Key, now: float) -> None:
        known = self._failures.setdefault(key, _Failures(deque(maxlen=HOURLY.get(key[0], 0))))
        self._failures.move_to_end(key)
        known.count += 1
        known.until = now + _delay_s(key[0], known.count)
        known.recent.append(now)
        if len(self._failures) > REMEMBERED:
            del self._failures[self._least_guessed()]

    def _least_guessed(self) -> tuple[str, str]:
        """Who is forgotten: many invented names must not wash out the one that is guessed."""
        once = next((key for key, each in self._failures.items() if each.count <= 1), None)
        return once or min(self._failures, key=lambda each: self._failures[each].count)

    def _take_back(self, key: _Key) -> None:
        known = self._failures.get(key)
        if known is None:
            return
        known.count = max(0, known.count - 1)
        known.until = 0.0
        if known.recent:
            known.recent.pop()


def _delay_s(kind: str, count: int) -> float:
    if kind not in FREE:
        return 0.0
    over = count - FREE[kind]
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(over, 16)) if over >= 0 else 0.0


def _keys(account: str, source: str, device: str = "") -> tuple[_Key, _Key]:
    """What a try is counted by: first what a right password forgives."""
    name = account[: LONGEST_ACCOUNT + 1].casefold()  # what anybody may send is not kept at any length
    return (("device", device), ("devices", name)) if device else (("account", name), ("source", source))


BROWSERS = (
    ("Edge", r"\bEdgA?/"),
    ("Opera", r"\bOPR/"),
    ("Yandex", r"\bYaBrowser/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bVersion/.*\bSafari/"),
)
SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


def device_name(agent: str) -> str:
    """`Firefox, Windows`: a browser and a system by their own names; empty where it says neither."""
    found = (next((name for name, mark in each if re.search(mark, agent)), "") for each in (BROWSERS, SYSTEMS))
    return ", ".join(filter(None, found))


_one_at_a_time = threading.Lock()


@cache
def _nobodys_hash() -> str:
    """Checked where there is no such account, so that the answer takes as long."""
    return hasher().hash(new_token())


class TooBusy(Exception):
    """Too many logins at this moment."""


def password_is_right(password_hash: str | None, password: str) -> bool:
    """Checks one password, alone; as slowly for an account that does not exist (`None`). Raises `TooBusy`."""
    nobodys = _nobodys_hash()
    if not _one_at_a_time.acquire(timeout=QUEUE_S):
        raise TooBusy
    try:
        return hasher().verify(password_hash or nobodys, as_hashed(password)) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _one_at_a_time.release()
