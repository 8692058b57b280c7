"""Accounts, and what people did that no entry of the ledger tells of. Runs inside the clerk's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date

from kiosk import commands as c
from kiosk import refs
from kiosk.commands import CommandRefused, Done
from kiosk.domain.entries import Stamp
from kiosk.store import acts, people
from kiosk.vouching import refuse_unless

ROLES = ("instructor", "lead", "admin", "auditor")

AccountCommand = c.AddUser | c.SaveUser | c.LinkUser | c.SetPassword | c.SetPin | c.NoteAct


class Accounts:
    """Carries out commands about accounts, on one writing connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def perform(self, command: AccountCommand, stamp: Stamp) -> Done:
        """Carry out one command; `CommandRefused` where it cannot be."""
        match command:
            case c.AddUser():
                return self._add(command, stamp)
            case c.SaveUser():
                return self._save(command, stamp)
            case c.LinkUser():
                return self._link(command, stamp)
            case c.SetPassword():
                user = self._own_or_any(command.name, command.by)
                people.set_password(self._connection, user.name, command.password_hash, command.must_change)
                return self._noted("password_changed", command.by, user.user_ref, stamp)
            case c.SetPin():
                user = self._own_or_any(command.name, command.by)
                people.set_pin(self._connection, user.name, command.pin_hash)
                return self._noted("pin_changed", command.by, user.user_ref, stamp)
            case c.NoteAct():
                if command.kind not in acts.OFFICE_KINDS:
                    raise CommandRefused("unknown_act", command.kind)
                acts.note(self._connection, stamp.wall_ms, command.kind, command.by, command.subject)
                return Done()

    def _add(self, command: c.AddUser, stamp: Stamp) -> Done:
        refuse_unless(self._connection, command.by, ("admin",), "needs_admin")
        _refuse_strange_role(command.role)
        _refuse_no_day(command.until)
        if people.user_by_name(self._connection, command.name) is not None:
            raise CommandRefused("user_exists", command.name)
        user = people.User(
            user_ref=refs.new_ref(),
            name=command.name,
            role=command.role,
            password_hash=command.password_hash,
            person_ref=self._person_ref(command.person_id),
            until=command.until,
            created_ms=stamp.wall_ms,
            active=True,
            must_change=command.must_change,
        )
        people.add_user(self._connection, user)
        return self._noted("account_added", command.by, user.user_ref, stamp, user.user_ref)

    def _save(self, command: c.SaveUser, stamp: Stamp) -> Done:
        refuse_unless(self._connection, command.by, ("admin",), "needs_admin")
        _refuse_strange_role(command.role)
        _refuse_no_day(command.until)
        person_ref = self._person_ref(command.person_id)
        user = self._user(command.name)
        stays = command.role == "admin" and command.active and command.until is None
        if not stays and people.lasting_admins(self._connection) == {user.user_ref}:
            raise CommandRefused("last_admin", user.name)
        changed = replace(user, role=command.role, until=command.until, active=command.active, person_ref=person_ref)
        people.save_user(self._connection, changed)
        return self._noted("account_changed", command.by, user.user_ref, stamp)

    def _link(self, command: c.LinkUser, stamp: Stamp) -> Done:
        refuse_unless(self._connection, command.by, ("admin",), "needs_admin")
        person_ref = self._person_ref(command.person_id)
        user = self._user(command.name)
        people.save_user(self._connection, replace(user, person_ref=person_ref))
        return self._noted("account_changed", command.by, user.user_ref, stamp)

    def _own_or_any(self, name: str, by: str) -> people.User:
        """The account, where it is the asker's own or they administer."""
        user = self._user(name)
        if by != user.user_ref:
            refuse_unless(self._connection, by, ("admin",), "needs_admin")
        return user

    def _user(self, name: str) -> people.User:
        user = people.user_by_name(self._connection, name)
        if user is None:
            raise CommandRefused("unknown_user", name)
        return user

    def _person_ref(self, person_id: str | None) -> str | None:
        if person_id is None:
            return None
        person = people.person_by_id(self._connection, person_id)
        if person is None:
            raise CommandRefused("unknown_person", person_id)
        return person.person_ref

    def _noted(self, kind: str, by: str, user_ref: str, stamp: Stamp, value: object = None) -> Done:
        """What was done is listed, with the account it was done to; never with its name."""
        acts.note(self._connection, stamp.wall_ms, kind, by, user_ref)
        return Done((), value)


def _refuse_strange_role(role: str) -> None:
    if role not in ROLES:
        raise CommandRefused("unknown_role", role)


def _refuse_no_day(day: str | None) -> None:
    try:
        date.fromisoformat(day or "9999-12-31")
    except ValueError:
        raise CommandRefused("bad_date", str(day)) from None
