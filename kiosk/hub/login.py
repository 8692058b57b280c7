"""Who may look: one account for each enterprise, and a wait that grows with every wrong password."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from hashlib import sha256

from argon2.exceptions import Argon2Error, InvalidHashError
from flask_login import UserMixin

from kiosk.hub.config import HASHER, HubEnterprise

FREE_TRIES = 5
LONGEST_WAIT_MS = 900_000
REMEMBERED = 10_000
"""Names and addresses whose failures are remembered; beyond that the oldest are forgotten."""


class Account(UserMixin):
    """The account of one enterprise. Its session ends when its password changes."""

    def __init__(self, enterprise: HubEnterprise) -> None:
        self.enterprise = enterprise

    def get_id(self) -> str:
        """What the session cookie holds."""
        return f"{self.enterprise.id}:{sha256(self.enterprise.password_hash.encode()).hexdigest()[:16]}"

    @classmethod
    def of_session(cls, enterprises: Mapping[str, HubEnterprise], session_id: str) -> Account | None:
        """The account that a session cookie names, if it still holds."""
        enterprise = enterprises.get(session_id.partition(":")[0])
        account = None if enterprise is None else cls(enterprise)
        return account if account is not None and account.get_id() == session_id else None


class Doorkeeper:
    """Checks passwords, one at a time, and makes guessing slow: per name and per address."""

    def __init__(self, enterprises: Mapping[str, HubEnterprise], now_ms: Callable[[], int]) -> None:
        self._enterprises = enterprises
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, int]] = {}
        self._nobody = HASHER.hash("nobody has this password")

    def wait_ms(self, user: str, address: str) -> int:
        """How long until the next try of this user, or from this address, is looked at."""
        now = self._now_ms()
        return max(self._left(f"user {user}", now), self._left(f"address {address}", now))

    def account(self, user: str, password: str, address: str) -> Account | None:
        """The account, if the password is its own and no wait is due."""
        with self._lock:
            if self.wait_ms(user, address):
                return None
            enterprise = self._enterprises.get(user)
            try:
                HASHER.verify(self._nobody if enterprise is None else enterprise.password_hash, password)
            except (Argon2Error, InvalidHashError):
                enterprise = None
            keys = (f"user {user}", f"address {address}")
            for key in keys:
                count, _ = self._failures.pop(key, (0, 0))
                if enterprise is None:
                    self._failures[key] = (count + 1, self._now_ms())
            while len(self._failures) > REMEMBERED:
                self._failures.pop(next(iter(self._failures)))
        return None if enterprise is None else Account(enterprise)

    def _left(self, key: str, now: int) -> int:
        count, since = self._failures.get(key, (0, 0))
        if count < FREE_TRIES:
            return 0
        wait = min(LONGEST_WAIT_MS, 1_000 << min(count - FREE_TRIES, 20))
        return min(wait, max(0, since + wait - now))
