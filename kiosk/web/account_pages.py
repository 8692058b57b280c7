"""`/settings/accounts`: who may sign in. For administrators; a password made here is shown once and changed at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import AddUser, Command, CommandRefused, SaveUser, SetPassword, SetPin
from kiosk.passwords import fits_account, hash_password
from kiosk.refs import new_password
from kiosk.store import acts, people
from kiosk.store.people import User
from kiosk.store.schema import open_reader
from kiosk.web.access import ROLES
from kiosk.web.accounts import ELSEWHERE, PASSWORD
from kiosk.web.apps import account, services_of_app, usable
from kiosk.web.login import note, sign_ins
from kiosk.web.own_password import refusal
from kiosk.web.reading import Reading, today
from kiosk.web.services import Services
from kiosk.web.settings import devices, moment
from kiosk.words import day

accounts = Blueprint("accounts", __name__, url_prefix="/settings/accounts")
NOBODY = ""


@dataclass(frozen=True)
class AccountRow:
    """One account of the list, in words."""

    ref: str
    name: str
    role: str
    owner: str
    until: str
    state: str
    """`usable`, `blocked` or `ended`."""
    must_change: bool
    has_pin: bool
    last: str
    """When it last signed in; empty where it never did."""


@accounts.get("")
def show() -> str:
    """Every account, and a form for a new one."""
    return _list({})


@accounts.post("")
def add() -> str | tuple[str, int]:
    """A new account. Its password is made here and is on this answer only, so the answer is no redirect."""
    form = request.form
    name, until = form.get("name", "").strip(), form.get("until", "").strip()
    fault = _unfit_name(name) or _unfit_day(until)
    password = new_password()
    if fault is None:
        fault = _asked(
            AddUser(
                name,
                form.get("role", ""),
                hash_password(password),
                form.get("person") or None,
                until or None,
                must_change=True,
                by=account().user_ref,
            )
        )
    if fault is not None:
        return _list(form, fault), 400
    return render_template("staff/account_password.html", name=name, password=password, new=True)


@accounts.get("/<ref>")
def one(ref: str) -> str:
    """One account: what it may, and what can be done about it."""
    return _one(_user(ref))


@accounts.post("/<ref>")
def save(ref: str) -> BaseResponse | tuple[str, int]:
    """Role, last day, whose it is, and whether it is blocked."""
    user, form = _user(ref), request.form
    until = form.get("until", "").strip()
    fault = _unfit_day(until) or _asked(
        SaveUser(
            user.name,
            form.get("role", ""),
            until or None,
            active="blocked" not in form,
            person_id=form.get("person") or None,
            by=account().user_ref,
        )
    )
    if fault is not None:
        return _one(user, fault), 400
    flash(gettext("The account is changed."), "done")
    return redirect(url_for("accounts.one", ref=ref), 303)


@accounts.post("/<ref>/password")
def reset(ref: str) -> str | BaseResponse:
    """A password for whoever forgot theirs: it is on this answer only, and every sign-in with the old one ends."""
    user, password = _user(ref), new_password()
    if user.user_ref == account().user_ref:
        return redirect(url_for("password.ask"), 303)
    fault = _asked(SetPassword(user.name, hash_password(password), must_change=True, by=account().user_ref))
    if fault is not None:
        return _one(user, fault)
    sign_ins().end_others(user.name, why=PASSWORD)
    return render_template("staff/account_password.html", name=user.name, password=password, new=False)


@accounts.post("/<ref>/pin")
def clear_pin(ref: str) -> BaseResponse | tuple[str, int]:
    """No PIN: the panel at the kiosk stays shut until its owner chooses another."""
    user = _user(ref)
    fault = _asked(SetPin(user.name, None, by=account().user_ref))
    if fault is not None:
        return _one(user, fault), 400
    flash(gettext("The PIN is taken away."), "done")
    return redirect(url_for("accounts.one", ref=ref), 303)


@accounts.post("/<ref>/devices")
def end(ref: str) -> BaseResponse:
    """Signed out on every device."""
    user = _user(ref)
    if sign_ins().end_others(user.name, but=account().token, why=ELSEWHERE):
        note("signed_out", account().user_ref, user.user_ref)
    flash(gettext("Signed out there."), "done")
    return redirect(url_for("accounts.one", ref=ref), 303)


def _list(typed: Mapping[str, str], fault: str = "") -> str:
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        rows = [_row(services, reading, user) for user in people.users(connection)]
        owners = _owners(connection)
    return render_template(
        "staff/accounts.html", rows=rows, owners=owners, roles=ROLES, typed=typed, fault=fault, today=_today(services)
    )


def _one(user: User, fault: str = "") -> str:
    services = services_of_app(current_app)
    typed = request.form if fault else {}
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        row = _row(services, reading, user)
        owner = people.person_by_ref(connection, user.person_ref) if user.person_ref else None
        owners = _owners(connection, owner)
    return render_template(
        "staff/account.html",
        row=row,
        owners=owners,
        roles=ROLES,
        role=typed.get("role", user.role),
        until=typed.get("until", user.until or ""),
        person=typed.get("person", owner.person_id if owner else NOBODY),
        blocked="blocked" in typed if typed else not user.active,
        devices=devices(services, sign_ins().of(user.name), sign_ins().id_of(account().token)),
        own=user.user_ref == account().user_ref,
        fault=fault,
    )


def _row(services: Services, reading: Reading, user: User) -> AccountRow:
    state = "usable" if usable(services, user) else "ended" if user.active else "blocked"
    last = acts.acts(reading.connection, limit=1, by=user.user_ref, kinds=("signed_in",))
    return AccountRow(
        ref=user.user_ref,
        name=user.name,
        role=gettext(phrases.ROLES.get(user.role, user.role)),
        owner=reading.full_name(user.person_ref) if user.person_ref else "",
        until=day(user.until) if user.until else "",
        state=state,
        must_change=user.must_change,
        has_pin=user.pin_hash is not None,
        last=moment(last[0].at_ms, reading.zone) if last else "",
    )


def _owners(connection: sqlite3.Connection, linked: people.Person | None = None) -> list[tuple[str, str]]:
    """(person_id, name) of whom an account may be: those who instruct, and who has it now."""
    found = [each for each in people.people(connection) if each.role == "instructor" and each.active]
    if linked is not None and linked.person_id and linked.person_id not in {each.person_id for each in found}:
        found.append(linked)
    return [(each.person_id, " ".join(filter(None, (each.surname, each.given, each.patronymic)))) for each in found]


def _user(ref: str) -> User:
    with closing(open_reader(services_of_app(current_app).database)) as connection:
        user = people.user_by_ref(connection, ref)
    if user is None:
        abort(404)
    return user


def _asked(command: Command) -> str | None:
    """None where the clerk did it; else why not."""
    try:
        services_of_app(current_app).submit(command)
    except CommandRefused as error:
        return refusal(error)
    return None


def _unfit_name(name: str) -> str | None:
    if fits_account(name):
        return None
    return gettext("The name of an account has one to sixty-four letters, digits and signs, and no spaces.")


def _unfit_day(until: str) -> str | None:
    if not until:
        return None
    try:
        last = date.fromisoformat(until)
    except ValueError:
        message = phrases.COMMAND_REFUSALS["bad_date"]
        return gettext(message)
    past = last.isoformat() < _today(services_of_app(current_app))
    return (
        gettext("That day has passed. Block the account instead.") if past and "blocked" not in request.form else None
    )


def _today(services: Services) -> str:
    return today(services.lab, services.wall_ms())
