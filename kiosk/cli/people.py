"""`sheber people`, `sheber badge` and `sheber user`: the roster, the cards and the accounts.

Reading looks into the database; every change is a command to the kiosk, which alone writes.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TypeVar

import click

from kiosk import passwords
from kiosk.badge_numbers import UNFIT, BadgeNumberError, PrintedNumberError, badge_number, candidates, told_bits
from kiosk.cli.common import data_option, fail
from kiosk.commands import (
    AddUser,
    AssignBadge,
    BlockBadge,
    Command,
    CommandRefused,
    Done,
    ImportPeople,
    LinkUser,
    SetPassword,
    SetPin,
)
from kiosk.imports.comparison import FIELDS, Comparison, compare_people, refused_people
from kiosk.imports.people import RosterFile, read_roster
from kiosk.store import people as store
from kiosk.store.schema import StoreError, open_reader

DATABASE = "kiosk.db"
USER_ROLES = ("instructor", "lead", "admin", "auditor")
MAX_LINE = 1_000

_REFUSALS = {
    "unknown_badge": "no such badge is known: look at sheber people list",
    "badge_taken": "that badge belongs to somebody: block it, or give another one",
    "unknown_person": "no such person is in the roster: look at sheber people list",
    "user_exists": "there is an account of that name already: choose another, or use sheber user passwd",
    "unknown_user": "there is no account of that name: look at sheber user list",
    "merged_person": "the roster names somebody who was merged with another: leave that row out",
    **{code: f"that badge cannot be given to anybody: {what}; {remedy}" for code, (what, remedy) in UNFIT.items()},
}

_WEAK = {
    passwords.TOO_SHORT: f"a password has at least {passwords.SHORTEST} characters: choose another, of several words",
    passwords.TOO_LONG: f"a password has at most {passwords.LONGEST} characters: choose another",
    passwords.NAMED: "a password must not hold the account's name: choose another",
    passwords.COMMON: "that password is common, and others would guess it: choose another, of several words",
    passwords.WALK: "that password only walks along the keys or repeats itself: choose another, of several words",
}

Found = TypeVar("Found")


# --- people ---------------------------------------------------------------------------------------------------------


@click.group()
def people() -> None:
    """The roster."""


@people.command("import", epilog="Example: sheber people import group-2026.csv --data /var/lib/sheber --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything and import nothing.")
@data_option
def import_command(file: Path, dry_run: bool, data: Path) -> None:
    """Import people from FILE, CSV or XLSX: all of its rows, or none and a report of each bad one."""
    roster = read_roster(file)
    known = (data / DATABASE).exists()
    problems = roster.problems
    if known and not problems:
        problems = _read(data, lambda connection: refused_people(connection, roster))
    for problem in problems:
        click.echo(f"sheber: {file}: {problem}", err=True)
    if problems:
        fail(f"nothing was imported: {len(problems)} problem(s) in {file}")
    found = _read(data, lambda connection: compare_people(connection, roster.rows)) if known else None
    for sentence in _taken_away(found, roster) if found else ():
        click.echo(f"sheber: {file}: {sentence}", err=True)
    if not dry_run:
        _perform(data, ImportPeople(roster.rows))
        click.echo(f"{len(roster.rows)} people imported")
        return
    click.echo(f"{len(roster.rows)} people would be imported")
    if found and (found.changed or found.unchanged):
        click.echo(f"{len(found.new)} new, {len(found.changed)} changed, {found.unchanged} as they are")


def _taken_away(found: Comparison, roster: RosterFile) -> Iterator[str]:
    """What people on the roster have, and would have no longer."""
    emptied = Counter(column for change in found.changed for column in change.emptied)
    for column in (each for each in FIELDS if emptied[each]):
        who = _people(emptied[column])
        if column in roster.columns:
            has = "who has" if emptied[column] == 1 else "who have"
            yield f"column {column} is empty for {who} on the roster {has} something there; it is emptied"
        else:
            has = "has" if emptied[column] == 1 else "have"
            yield f"there is no column {column}, in which {who} on the roster {has} something; it is emptied"
    earlier = sum(1 for change in found.changed if change.earlier)
    if earlier:
        has = "has" if earlier == 1 else "have"
        yield (
            f"{_people(earlier)} {has} a qualification that ends earlier than now; is the file older than the last"
            " briefing?"
        )


def _people(count: int) -> str:
    return f"{count} person" if count == 1 else f"{count} people"


@people.command("list", epilog="Example: sheber people list --data /var/lib/sheber --json")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@data_option
def list_people(as_json: bool, data: Path) -> None:
    """Everybody in the roster, in the order of the Kazakh alphabet."""
    found, badges = _read(data, lambda connection: (store.people(connection), store.badges(connection)))
    rows = [
        {
            "person_id": person.person_id,
            "role": person.role,
            "surname": person.surname,
            "given": person.given,
            "group": person.group,
            "active": person.active,
            "badges": [badge.uid for badge in badges if badge.person_ref == person.person_ref and not badge.blocked],
        }
        for person in found
    ]
    _print(rows, as_json)


# --- badges ---------------------------------------------------------------------------------------------------------


@click.group()
def badge() -> None:
    """Cards and tags."""


@badge.command("find", epilog='Example: sheber badge find "123,14706" --data /var/lib/sheber')
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@data_option
def find_badge(number: str, as_json: bool, data: Path) -> None:
    """List the badges that NUMBER may mean: printed on a card, or hexadecimal.

    Also those are found that nobody has, once they were shown to a reader.
    """
    found, everybody = _read(data, lambda connection: (store.badges(connection), store.people(connection)))
    ids = {person.person_ref: person.person_id for person in everybody}
    fitting = set(candidates(number, (badge.uid for badge in found)))
    rows = [
        {"badge": badge.uid, "person_id": ids.get(badge.person_ref or ""), "blocked": badge.blocked}
        for badge in found
        if badge.uid in fitting
    ]
    if not rows:
        fail(f"no known badge fits {number}: tap the card at a reader, and look again")
    _print(rows, as_json)
    if len(rows) > 1:
        click.echo(f"sheber: {_ambiguous(number, len(rows))}", err=True)


@badge.command("add", epilog="Example: sheber badge add 0F00448FB0 p17 --data /var/lib/sheber")
@click.argument("number")
@click.argument("person_id")
@data_option
def add_badge(number: str, person_id: str, data: Path) -> None:
    """Give the badge NUMBER to PERSON_ID.

    A number printed on a card will do where a reader has seen one badge that fits it, and only one.
    """
    uid = _meant(data, number)
    _perform(data, AssignBadge(uid, person_id))
    click.echo(f"badge {uid} now belongs to {person_id}")


@badge.command("block", epilog="Example: sheber badge block 0F00448FB0 --data /var/lib/sheber")
@click.argument("number")
@data_option
def block_badge(number: str, data: Path) -> None:
    """Refuse the lost badge NUMBER from now on."""
    uid = _meant(data, number)
    _perform(data, BlockBadge(uid))
    click.echo(f"badge {uid} is refused from now on")


@badge.command("replace", epilog="Example: sheber badge replace 0F00448FB0 67003B51C6 --data /var/lib/sheber")
@click.argument("old")
@click.argument("new")
@data_option
def replace_badge(old: str, new: str, data: Path) -> None:
    """Give the badge NEW to the owner of OLD, then refuse OLD."""
    lost, uid = _meant(data, old), _meant(data, new)
    if lost == uid:
        raise click.UsageError("OLD and NEW are the same badge")
    person_id = _read(data, lambda connection: _owner(connection, lost))
    if person_id is None:
        fail(f"badge {lost} belongs to nobody: look at sheber people list")
    _perform(data, AssignBadge(uid, person_id))
    _perform(data, BlockBadge(lost))
    click.echo(f"badge {uid} now belongs to {person_id}, and {lost} is refused")


def _owner(connection: sqlite3.Connection, uid: str) -> str | None:
    held = store.badge_by_uid(connection, uid)
    person = None if held is None or held.person_ref is None else store.person_by_ref(connection, held.person_ref)
    return None if person is None else person.person_id


def _meant(data: Path, text: str) -> str:
    """The badge number that `text` is, or the one known number that a printed one fits; ends where it is not sure."""
    try:
        uid = badge_number(text)
    except PrintedNumberError as error:
        known = candidates(text, _known(data))
        if not known:
            raise click.UsageError(str(error)) from error
    except BadgeNumberError as error:
        raise click.UsageError(str(error)) from error
    else:
        known = candidates(text, _known(data)) if told_bits(text) else ()
        if not known or uid in known:
            return uid
        fail(f"{text} may be a badge's number or the one printed on {' or '.join(known)}: write 0x{uid}, or that one")
    if len(known) > 1:
        fail(f"{_ambiguous(text, len(known))} ({', '.join(known)})")
    return known[0]


def _ambiguous(text: str, count: int) -> str:
    told = told_bits(text)
    why = f"which tells only {told} bits of a number" if told else "which can be read in two ways"
    return f"{count} badges fit {text}, {why}: tap the card at a reader to know which it is"


def _known(data: Path) -> list[str]:
    return [badge.uid for badge in _read(data, store.badges)]


# --- accounts -------------------------------------------------------------------------------------------------------


keep_option = click.option(
    "--keep-password", is_flag=True, help="It was chosen by whose account it is: no other need be chosen at sign-in."
)


@click.group()
def user() -> None:
    """Accounts for the staff side; a password is read from the terminal or from standard input."""


@user.command("add", epilog="Example: sheber user add a.serikova --role instructor --person i1 --data /var/lib/sheber")
@click.argument("name")
@click.option("--role", type=click.Choice(USER_ROLES), required=True, help="What the account may do.")
@click.option("--person", help="The person_id whose account it is; nobody decides on their own sessions.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day it may be used, as 2026-09-30.")
@keep_option
@data_option
def add_user(name: str, role: str, person: str | None, until: date | None, keep_password: bool, data: Path) -> None:
    """Make the account NAME; whose it is chooses another password at the first sign-in."""
    _require_name(name)
    last_day = None if until is None else f"{until:%Y-%m-%d}"
    _perform(
        data, AddUser(name, role, passwords.hash_password(_new_password(name)), person, last_day, not keep_password)
    )
    click.echo(f"account {name} made, role {role}" + (f", until {last_day}" if last_day else ""))


@user.command("passwd", epilog="Example: sheber user passwd a.serikova --data /var/lib/sheber")
@click.argument("name")
@keep_option
@data_option
def passwd(name: str, keep_password: bool, data: Path) -> None:
    """Give the account NAME a new password; whose it is chooses another one at the next sign-in."""
    _perform(data, SetPassword(name, passwords.hash_password(_new_password(name)), not keep_password))
    click.echo(f"account {name} has a new password")


@user.command("pin", epilog="Example: sheber user pin a.serikova --data /var/lib/sheber")
@click.argument("name")
@data_option
def pin(name: str, data: Path) -> None:
    """Give the account NAME a new PIN for the instructor's panel; it is read as a password is."""
    _perform(data, SetPin(name, passwords.hash_password(_new_pin())))
    click.echo(f"account {name} has a new PIN")


@user.command("person", epilog="Example: sheber user person a.serikova i1 --data /var/lib/sheber")
@click.argument("name")
@click.argument("person_id")
@data_option
def link_person(name: str, person_id: str, data: Path) -> None:
    """Say that the account NAME is PERSON_ID's: their badge then opens the panel for it."""
    _perform(data, LinkUser(name, person_id))
    click.echo(f"account {name} is {person_id}'s")


@user.command("list", epilog="Example: sheber user list --data /var/lib/sheber")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@data_option
def list_users(as_json: bool, data: Path) -> None:
    """Every account; never a password."""
    found, everybody = _read(data, lambda connection: (store.users(connection), store.people(connection)))
    ids = {person.person_ref: person.person_id for person in everybody}
    rows = [
        {
            "name": account.name,
            "role": account.role,
            "person_id": None if account.person_ref is None else ids.get(account.person_ref),
            "until": account.until,
            "pin": account.pin_hash is not None,
            "active": account.active,
        }
        for account in found
    ]
    _print(rows, as_json)


def _new_password(name: str) -> str:
    """Hidden and twice from a terminal, else the first line of standard input."""
    password = _typed("Password")
    why = passwords.weakness(password, name)
    if why is not None:
        fail(_WEAK[why])
    return password


def _new_pin() -> str:
    """Hidden and twice from a terminal, else the first line of standard input."""
    digits = _typed("PIN")
    if passwords.pin_weakness(digits) is not None:
        fail(
            f"a PIN has {passwords.SHORTEST_PIN} to {passwords.LONGEST_PIN} digits, not in a row and not all the same:"
            " choose another"
        )
    return digits


def _typed(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline(MAX_LINE).rstrip("\r\n")


def _require_name(name: str) -> None:
    if not passwords.fits_account(name):
        raise click.UsageError(
            f"an account name has 1 to {passwords.LONGEST_ACCOUNT} letters and no spaces, such as a.serikova"
        )


# --- shared ---------------------------------------------------------------------------------------------------------


def _perform(data: Path, command: Command) -> Done:
    """Have the command done by the running kiosk, or here where none runs; a refusal ends with a sentence."""
    from kiosk.office import perform  # noqa: PLC0415 - it brings the whole core with it

    try:
        return perform(data, command)
    except CommandRefused as error:
        detail = f" ({error.detail})" if error.detail else ""
        fail(_REFUSALS.get(error.code, f"the kiosk refused with {error.code}") + detail)
    except StoreError as error:
        fail(str(error))


def _read(data: Path, query: Callable[[sqlite3.Connection], Found]) -> Found:
    path = data / DATABASE
    try:
        with closing(open_reader(path)) as connection:
            return query(connection)
    except StoreError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"cannot read {path}: {error}; run sheber ledger verify, or put back a verified backup")


def _print(rows: Iterable[Mapping[str, object]], as_json: bool) -> None:
    """The rows as JSON lines, or as tab-separated columns in the order of their keys."""
    for row in rows:
        click.echo(
            json.dumps(row, ensure_ascii=False) if as_json else "\t".join(_cell(value) for value in row.values())
        )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(value)
    return "-" if value in (None, "") else str(value)
