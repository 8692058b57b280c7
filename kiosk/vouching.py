"""Who may vouch for whom, and what somebody wrote beside it: what every command of an instructor asks first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass

from kiosk import refs
from kiosk.commands import CommandRefused
from kiosk.domain import observations as o
from kiosk.domain.entries import MARKS
from kiosk.store import people

VOUCHING = ("instructor", "lead")
OFFICE = ("instructor", "lead", "admin")
"""Who keeps the roster."""
LEADING = ("lead", "admin")
TEXT_LETTERS_MAX = 2_000

Hear = Callable[[o.Observation], tuple[int, ...]]
"""Hands an observation to the domain; returns the numbers of the entries it made."""


def refuse_other_roles(connection: sqlite3.Connection, by: str) -> None:
    """Instructors and leads vouch for hours; nobody else, whatever page let them through.

    `by` is an account, or at the panel the person of a badge who has none.
    """
    refuse_unless(connection, by, VOUCHING, "not_instructor")


def refuse_unless(connection: sqlite3.Connection, by: str, roles: Collection[str], code: str) -> None:
    """Refuse whoever has another role. The command line, which is nobody's account, may do everything."""
    role = role_of(connection, by)
    if role is not None and role not in roles:
        raise CommandRefused(code, role)


def role_of(connection: sqlite3.Connection, by: str) -> str | None:
    """The role of an account, or at the panel of a person without one; None of the command line."""
    known = people.user_by_ref(connection, by) or people.person_by_ref(connection, by)
    return None if known is None else known.role


def is_one_hand(connection: sqlite3.Connection, one: str, other: str) -> bool:
    """Did the same human being do both, by their account or, before they had one, by their badge alone?"""
    return one == other or _owner(connection, one) == _owner(connection, other)


def _owner(connection: sqlite3.Connection, by: str) -> str:
    user = people.user_by_ref(connection, by)
    return by if user is None or user.person_ref is None else user.person_ref


def refuse_oneself(connection: sqlite3.Connection, person_ref: str, by: str) -> None:
    """Nobody vouches for themselves, whatever account they use (hours, section 7)."""
    user = people.user_by_ref(connection, by)
    if by == person_ref or (user is not None and user.person_ref == person_ref):
        raise CommandRefused("own_session", person_ref)


def refuse_unmarked(mark: str | None) -> None:
    """An entry holds only the marks that it may."""
    if mark not in MARKS:
        raise CommandRefused("unknown_mark", str(mark))


@dataclass(frozen=True)
class Words:
    """A free text, and the salt that keeps it from being guessed from its hash."""

    text: str
    salt: bytes

    @property
    def hash(self) -> str | None:
        """What the ledger holds of it; None of no text."""
        return people.text_hash(self.text, self.salt) if self.text else None

    def keep(self, connection: sqlite3.Connection) -> None:
        """Put it beside the ledger, once its entry is made."""
        if self.text:
            people.store_text(connection, self.text, self.salt)


def written(text: str) -> Words:
    """The text with a new salt; `CommandRefused` where it is too long."""
    if len(text) > TEXT_LETTERS_MAX:
        raise CommandRefused("text_too_long")
    return Words(text, refs.new_salt())
