"""Who is signed in: one password check at a time, growing delays for guessers, sign-ins that end."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from time import monotonic

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_login import UserMixin

from kiosk.refs import new_token

IDLE_S = 30 * 60
ABSOLUTE_S = 12 * 3600
FREE_TRIES = 5
FREE_TRIES_OF_A_SOURCE = 20
"""A whole college may come from one address."""
FIRST_DELAY_S = 15.0
LONGEST_DELAY_S = 900.0
REMEMBERED = 4096
QUEUE_S = 5.0
"""How long a login waits for the one before it."""


class Account(UserMixin):
    """The signed-in person, as one request sees them."""

    def __init__(self, token: str, user_ref: str, name: str, role: str, person_ref: str | None) -> None:
        self.token = token
        self.user_ref = user_ref
        self.name = name
        self.role = role
        self.person_ref = person_ref

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

    name: str
    started: float
    seen: float


class SignIns:
    """Kept in memory only: a restart, a logout or time ends them, whatever a stolen cookie says."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._by_token: OrderedDict[str, SignIn] = OrderedDict()

    def begin(self, name: str) -> str:
        """A new token for an account name."""
        token, now = new_token(), self._now()
        with self._lock:
            self._by_token[token] = SignIn(name, now, now)
            while len(self._by_token) > REMEMBERED:
                self._by_token.popitem(last=False)
        return token

    def name_of(self, token: str) -> str | None:
        """The account of a live sign-in, which is thereby seen again; `None` once it is over."""
        now = self._now()
        with self._lock:
            sign_in = self._by_token.get(token)
            if sign_in is None:
                return None
            if now - sign_in.seen >= IDLE_S or now - sign_in.started >= ABSOLUTE_S:
                del self._by_token[token]
                return None
            self._by_token[token] = replace(sign_in, seen=now)
            return sign_in.name

    def end(self, token: str) -> None:
        """Over, here and for every copy of the cookie."""
        with self._lock:
            self._by_token.pop(token, None)


class Throttle:
    """Wrong passwords by account and by source: some are free, then each costs twice the wait of the last."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, account: str, source: str) -> float:
        """Seconds until another try is looked at; 0 when it is now."""
        now = self._now()
        with self._lock:
            return max(0.0, *(self._failures.get(key, (0, 0.0))[1] - now for key in _keys(account, source)))

    def failed(self, account: str, source: str) -> None:
        """One more wrong password, or wrong name."""
        with self._lock:
            for key in _keys(account, source):
                count = self._failures.pop(key, (0, 0.0))[0] + 1
                over = count - (FREE_TRIES if key[0] == "account" else FREE_TRIES_OF_A_SOURCE)
                delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(over, 16)) if over >= 0 else 0.0
                self._failures[key] = (count, self._now() + delay)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, account: str) -> None:
        """The right password forgives the account; a source that guesses others stays known."""
        with self._lock:
            self._failures.pop(("account", account.casefold()), None)


def _keys(account: str, source: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("account", account.casefold()), ("source", source)


HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = threading.Lock()


@cache
def _nobodys_hash() -> str:
    """Checked where there is no such account, so that the answer takes as long."""
    return HASHER.hash(new_token())


class TooBusy(Exception):
    """Too many logins at this moment."""


def password_is_right(password_hash: str | None, password: str) -> bool:
    """Checks one password, alone; as slowly for an account that does not exist (`None`). Raises `TooBusy`."""
    if not _one_at_a_time.acquire(timeout=QUEUE_S):
        raise TooBusy
    try:
        return HASHER.verify(password_hash or _nobodys_hash(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _one_at_a_time.release()
