"""The only place with names: people, badges, accounts and free texts, beside the ledger and never in it."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, field, fields
from hashlib import sha256
from typing import Any

from kiosk.commands import PersonRow
from kiosk.proofs import encode_base64

KAZAKH_ALPHABET = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"
_KAZAKH_RANK = {letter: rank for rank, letter in enumerate(KAZAKH_ALPHABET)}

SortKey = tuple[tuple[int, int], ...]


PAPERS = ("enterprise", "contract", "contract_from", "contract_to", "consent_until")
"""Fields of a person that have dated entries of their own."""


@dataclass(frozen=True)
class Person:
    """A row of `people`: what the roster said last; dates are ISO `YYYY-MM-DD`.

    Consents and contracts in force are dated entries of the ledger: pages may have recorded others since. After erasure
    only `person_ref` and `role` are left.
    """

    person_ref: str
    person_id: str
    """The roster's id; empty after erasure."""
    role: str
    surname: str = field(repr=False)
    given: str = field(repr=False)
    patronymic: str | None = field(repr=False)
    group: str | None
    active: bool
    language: str | None
    birth_date: str | None = field(repr=False)
    programme: str | None
    enterprise: str | None
    personnel_number: str | None = field(repr=False)
    contract: str | None = field(repr=False)
    contract_from: str | None
    contract_to: str | None
    consent_until: str | None

    @property
    def short_name(self) -> str:
        """`Сериков Ә.`; empty after erasure."""
        return short_name(self.surname, self.given)


@dataclass(frozen=True)
class Badge:
    """A card or tag: its number, whose it is, and whether it is refused."""

    badge_ref: str
    uid: str = field(repr=False)
    person_ref: str | None
    blocked: bool


@dataclass(frozen=True)
class User:
    """An account of the staff side."""

    user_ref: str
    name: str
    role: str
    password_hash: str = field(repr=False)
    person_ref: str | None
    until: str | None
    """The last day it may be used, or None."""
    created_ms: int
    active: bool
    pin_hash: str | None = field(default=None, repr=False)
    """Of the PIN for the instructor's panel, or None: then a badge alone opens nothing that wants one."""
    must_change: bool = False
    """Must its owner choose another password before anything else?"""


_PERSON = (
    "SELECT person_ref, coalesce(person_id, ''), role, surname, given, patronymic, grp, active, language, birth_date,"
    " programme, enterprise, personnel_number, contract, contract_from, contract_to, consent_until FROM people"
)
_BADGE = "SELECT badge_ref, coalesce(uid, ''), person_ref, blocked FROM badges"
_USER = (
    "SELECT user_ref, name, role, password_hash, person_ref, until, created_ms, active, pin_hash, must_change"
    " FROM users"
)


# --- people ---------------------------------------------------------------------------------------------------------


def people(connection: sqlite3.Connection) -> list[Person]:
    """Everybody who is neither erased nor another's double, in Kazakh alphabetical order."""
    rows = connection.execute(f"{_PERSON} WHERE person_id IS NOT NULL AND merged_into IS NULL")
    found = [_person(row) for row in rows]
    return sorted(found, key=lambda person: (kazakh_key(person.surname), kazakh_key(person.given), person.person_id))


def person_by_ref(connection: sqlite3.Connection, person_ref: str) -> Person | None:
    """The person a ledger entry names, or None; of a double the one they were merged into."""
    row = connection.execute(
        f"{_PERSON} WHERE person_ref = coalesce((SELECT merged_into FROM people WHERE person_ref = :ref), :ref)",  # noqa: S608
        {"ref": person_ref},
    ).fetchone()
    return None if row is None else _person(row)


def person_by_id(connection: sqlite3.Connection, person_id: str) -> Person | None:
    """The person of the roster's id, or None; none of a double."""
    row = connection.execute(f"{_PERSON} WHERE person_id = ? AND merged_into IS NULL", (person_id,)).fetchone()
    return None if row is None else _person(row)


def doubles(connection: sqlite3.Connection) -> dict[str, str]:
    """The roster's ids that were merged, each with the id of the person kept: a roster must not name them any more."""
    rows = connection.execute(
        "SELECT double.person_id, kept.person_id FROM people AS double JOIN people AS kept"
        " ON kept.person_ref = double.merged_into WHERE double.person_id IS NOT NULL AND kept.person_id IS NOT NULL"
    )
    return dict(rows.fetchall())


def insert_person(connection: sqlite3.Connection, person_ref: str, row: PersonRow) -> None:
    """A new person under a new random reference; badges and qualifications of the row are not looked at."""
    connection.execute(
        """
        INSERT INTO people (
            person_id, role, surname, given, patronymic, grp, active, language, birth_date, programme, enterprise,
            personnel_number, contract, contract_from, contract_to, consent_until, person_ref
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (*_person_values(row), person_ref),
    )


def update_person(connection: sqlite3.Connection, person_ref: str, row: PersonRow) -> None:
    """Replace everything about a person but the reference; badges and qualifications of the row are not looked at."""
    connection.execute(
        """
        UPDATE people SET
            person_id = ?, role = ?, surname = ?, given = ?, patronymic = ?, grp = ?, active = ?, language = ?,
            birth_date = ?, programme = ?, enterprise = ?, personnel_number = ?, contract = ?, contract_from = ?,
            contract_to = ?, consent_until = ?
        WHERE person_ref = ?
        """,
        (*_person_values(row), person_ref),
    )


def version(person: Person) -> str:
    """Another one whenever something else is known of the person, contract and consent apart, which have entries."""
    held = {name: value for name, value in asdict(person).items() if name not in PAPERS}
    return sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def record_contract(
    connection: sqlite3.Connection, person_ref: str, enterprise: str, number: str | None, personnel_number: str | None
) -> None:
    """Put a contract's number and the personnel number into the row; None leaves what is there."""
    connection.execute(
        "UPDATE people SET enterprise = coalesce(enterprise, ?), contract = coalesce(?, contract),"
        " personnel_number = coalesce(?, personnel_number) WHERE person_ref = ?",
        (enterprise, number, personnel_number, person_ref),
    )


def merge_person(connection: sqlite3.Connection, double: str, into: str) -> None:
    """The row is a double of another from now on: off the roster, its badges and accounts the other's."""
    connection.execute("UPDATE badges SET person_ref = ? WHERE person_ref = ?", (into, double))
    connection.execute("UPDATE users SET person_ref = ? WHERE person_ref = ?", (into, double))
    connection.execute(
        "UPDATE people SET merged_into = :into WHERE person_ref = :double OR merged_into = :double",
        {"into": into, "double": double},
    )


def erase_person(connection: sqlite3.Connection, person_ref: str) -> None:
    """Empty the row, those of the person's doubles, and the numbers of the badges: the hours stay, nameless."""
    connection.execute(
        """
        UPDATE people SET
            person_id = NULL, surname = '', given = '', patronymic = NULL, grp = NULL, active = 0, language = NULL,
            birth_date = NULL, programme = NULL, enterprise = NULL, personnel_number = NULL, contract = NULL,
            contract_from = NULL, contract_to = NULL, consent_until = NULL
        WHERE person_ref = :ref OR merged_into = :ref
        """,
        {"ref": person_ref},
    )
    connection.execute("UPDATE badges SET uid = NULL, blocked = 1 WHERE person_ref = ?", (person_ref,))


def write_anew(connection: sqlite3.Connection) -> None:
    """Write every row with a name, a number or a text into new pages. The caller commits.

    What is deleted is overwritten (`secure_delete`), but where SQLite moves rows between pages it leaves copies behind,
    in one of about seventy files; a page that is given up is overwritten whole.
    """
    connection.execute("PRAGMA defer_foreign_keys=ON")
    for table in ("people", "badges", "texts"):
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()  # noqa: S608 - names of our own
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
        if rows:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608


def short_name(surname: str, given: str) -> str:
    """The surname and one letter of the given name: `Сериков Ә.`."""
    initial = given.strip()[:1].upper()
    return f"{surname} {initial}." if initial else surname


def kazakh_key(text: str) -> SortKey:
    """A key that sorts as the Kazakh alphabet does (Ә after А, Қ after К, ...), whatever the case.

    Spaces and signs come first, then Cyrillic, then every other script.
    """
    return tuple(_letter_key(letter) for letter in unicodedata.normalize("NFC", text).casefold())


# --- badges ---------------------------------------------------------------------------------------------------------


def badge_by_uid(connection: sqlite3.Connection, uid: str) -> Badge | None:
    """The badge of a canonical number, or None."""
    row = connection.execute(f"{_BADGE} WHERE uid = ?", (uid,)).fetchone()
    return None if row is None else _badge(row)


def badge_by_ref(connection: sqlite3.Connection, badge_ref: str) -> Badge | None:
    """The badge a ledger entry names, or None."""
    row = connection.execute(f"{_BADGE} WHERE badge_ref = ?", (badge_ref,)).fetchone()
    return None if row is None else _badge(row)


def badges(connection: sqlite3.Connection) -> list[Badge]:
    """Every badge that has a number, by number."""
    return [_badge(row) for row in connection.execute(f"{_BADGE} WHERE uid IS NOT NULL ORDER BY uid")]


def badges_of(connection: sqlite3.Connection, person_ref: str) -> list[Badge]:
    """A person's badges, by number."""
    return [_badge(row) for row in connection.execute(f"{_BADGE} WHERE person_ref = ? ORDER BY uid", (person_ref,))]


def insert_badge(connection: sqlite3.Connection, badge_ref: str, uid: str, person_ref: str | None) -> None:
    """A new badge under a new random reference."""
    connection.execute(
        "INSERT INTO badges (badge_ref, uid, person_ref, blocked) VALUES (?, ?, ?, 0)", (badge_ref, uid, person_ref)
    )


def update_badge(connection: sqlite3.Connection, badge_ref: str, person_ref: str | None, blocked: bool) -> None:
    """Give a badge to a person (or to nobody), and refuse it or not."""
    connection.execute(
        "UPDATE badges SET person_ref = ?, blocked = ? WHERE badge_ref = ?", (person_ref, int(blocked), badge_ref)
    )


def taken_badges(connection: sqlite3.Connection, rows: Iterable[PersonRow]) -> list[tuple[str, str, str]]:
    """(badge, wanted by, held by) for each badge of an import that another person of the database already has."""
    holders = dict(
        connection.execute("SELECT uid, person_id FROM badges JOIN people USING (person_ref) WHERE uid IS NOT NULL")
    )
    wanted = ((uid, row.person_id) for row in rows for uid in row.badges)
    return [(uid, by, holders[uid]) for uid, by in wanted if holders.get(uid, by) != by]


# --- accounts -------------------------------------------------------------------------------------------------------


def users(connection: sqlite3.Connection) -> list[User]:
    """Every account, by name."""
    return [_user(row) for row in connection.execute(f"{_USER} ORDER BY name")]


def user_by_name(connection: sqlite3.Connection, name: str) -> User | None:
    """The account of that name, or None."""
    row = connection.execute(f"{_USER} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _user(row)


def user_by_ref(connection: sqlite3.Connection, user_ref: str) -> User | None:
    """The account a decision names, or None."""
    row = connection.execute(f"{_USER} WHERE user_ref = ?", (user_ref,)).fetchone()
    return None if row is None else _user(row)


def user_by_person(connection: sqlite3.Connection, person_ref: str) -> User | None:
    """The account whose owner's badge this is: of several the first that is active, by name; or None."""
    row = connection.execute(
        f"{_USER} WHERE person_ref = ? AND active = 1 ORDER BY name LIMIT 1", (person_ref,)
    ).fetchone()
    return None if row is None else _user(row)


def lasting_admins(connection: sqlite3.Connection) -> set[str]:
    """The accounts (`user_ref`) that may administer and have no last day."""
    rows = connection.execute("SELECT user_ref FROM users WHERE role = 'admin' AND active = 1 AND until IS NULL")
    return {ref for (ref,) in rows}


def add_user(connection: sqlite3.Connection, user: User) -> None:
    """A new account; sqlite3.IntegrityError where the name is taken."""
    columns = ", ".join(field.name for field in fields(User))
    marks = ", ".join("?" * len(fields(User)))
    connection.execute(f"INSERT INTO users ({columns}) VALUES ({marks})", astuple(user))  # noqa: S608 - our own names


def save_user(connection: sqlite3.Connection, user: User) -> None:
    """Replace an account's role, last day, whether it is active and whose it is."""
    connection.execute(
        "UPDATE users SET role = ?, until = ?, active = ?, person_ref = ? WHERE user_ref = ?",
        (user.role, user.until, int(user.active), user.person_ref, user.user_ref),
    )


def set_password(connection: sqlite3.Connection, name: str, password_hash: str, must_change: bool = False) -> bool:
    """Replace an account's password hash; False where there is no such account."""
    changed = connection.execute(
        "UPDATE users SET password_hash = ?, must_change = ? WHERE name = ?", (password_hash, int(must_change), name)
    )
    return changed.rowcount == 1


def set_pin(connection: sqlite3.Connection, name: str, pin_hash: str | None) -> bool:
    """Replace the hash of an account's PIN, or take it away; False where there is no such account."""
    return connection.execute("UPDATE users SET pin_hash = ? WHERE name = ?", (pin_hash, name)).rowcount == 1


# --- texts ----------------------------------------------------------------------------------------------------------


def text_hash(text: str, salt: bytes) -> str:
    """What the ledger keeps of a free text: base64 of SHA-256(salt || UTF-8)."""
    return encode_base64(sha256(salt + text.encode("utf-8")).digest())


def store_text(connection: sqlite3.Connection, text: str, salt: bytes) -> str:
    """Keep a free text under its salted hash, which is returned."""
    key = text_hash(text, salt)
    connection.execute(
        "INSERT OR REPLACE INTO texts (hash, salt, text) VALUES (?, ?, ?)", (key, encode_base64(salt), text)
    )
    return key


def text_by_hash(connection: sqlite3.Connection, key: str) -> str | None:
    """The text, or None where it was erased."""
    salted = salted_text(connection, key)
    return None if salted is None else salted[1]


def salted_text(connection: sqlite3.Connection, key: str) -> tuple[str, str] | None:
    """(salt in base64, text): what a receiver needs to check the hash; None where it was erased."""
    row = connection.execute("SELECT salt, text FROM texts WHERE hash = ?", (key,)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def forget_texts(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """The texts of these hashes go for ever; the hashes stay in the ledger and say nothing."""
    connection.executemany("DELETE FROM texts WHERE hash = ?", ((key,) for key in keys))


def _letter_key(letter: str) -> tuple[int, int]:
    rank = _KAZAKH_RANK.get(letter)
    if rank is not None:
        return 1, rank
    return (2 if letter.isalpha() else 0), ord(letter)


def _person_values(row: PersonRow) -> tuple[str | int | None, ...]:
    return (
        row.person_id,
        row.role,
        row.surname,
        row.given,
        row.patronymic,
        row.group,
        int(row.active),
        row.language,
        row.birth_date,
        row.programme,
        row.enterprise,
        row.personnel_number,
        row.contract,
        row.contract_from,
        row.contract_to,
        row.consent_until,
    )


def _person(row: tuple[Any, ...]) -> Person:
    return Person(**_named(Person, row, "active"))


def _badge(row: tuple[Any, ...]) -> Badge:
    return Badge(**_named(Badge, row, "blocked"))


def _user(row: tuple[Any, ...]) -> User:
    return User(**_named(User, row, "active", "must_change"))


def _named(kind: type[Person | Badge | User], row: tuple[Any, ...], *flags: str) -> dict[str, Any]:
    """The row by field name; the selects above list their columns in the order of the fields."""
    values = dict(zip((field.name for field in fields(kind)), row, strict=True))
    return values | {flag: bool(values[flag]) for flag in flags}
