"""Names, badges, accounts and texts: kept beside the ledger, found again, and forgettable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.commands import PersonRow
from kiosk.proofs import decode_base64
from kiosk.store import people
from kiosk.store.schema import open_writer, write

ROW = PersonRow(
    person_id="p1",
    role="apprentice",
    surname="Сериков",
    given="Әлібек",
    patronymic="Нұрланұлы",
    group="CNC-24",
    language="kk",
    birth_date="2008-03-01",
    programme="cnc-operator",
    enterprise="ent-steel",
    personnel_number="4711",
    contract="12/2026",
    contract_from="2026-09-01",
    contract_to="2027-06-30",
    consent_until="2027-06-30",
)
REF = "00112233aabbccdd"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, write(connection):
        yield connection


def test_a_person_is_found_by_reference_and_by_id_with_everything_that_was_given(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    person = people.person_by_ref(db, REF)
    assert person is not None
    assert person == people.person_by_id(db, "p1")
    given_values = {name: value for name, value in vars(ROW).items() if name not in ("badges", "qualifications")}
    assert vars(person) == {"person_ref": REF, **given_values}
    assert person.short_name == "Сериков Ә."


def test_a_changed_row_replaces_everything_but_the_reference(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    people.update_person(db, REF, replace(ROW, person_id="p2", surname="Сейт", active=False, contract_to=None))
    person = people.person_by_ref(db, REF)
    assert person is not None
    assert (person.person_id, person.surname, person.active, person.contract_to) == ("p2", "Сейт", False, None)


def test_two_people_cannot_share_an_id(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    with pytest.raises(sqlite3.IntegrityError):
        people.insert_person(db, "ffff", ROW)


def test_an_erased_person_is_an_empty_row_whose_badges_nobody_knows(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    people.insert_badge(db, "b1", "0F00448FB0", REF)
    people.erase_person(db, REF)
    erased = people.person_by_ref(db, REF)
    assert erased is not None
    kept = {name for name, value in vars(erased).items() if value not in (None, "", False)}
    assert kept == {"person_ref", "role"}
    assert erased.short_name == ""
    assert people.badge_by_uid(db, "0F00448FB0") is None
    assert (people.people(db), people.badges(db)) == ([], [])


def test_nothing_personal_is_in_the_text_form_of_a_person_for_logs(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    people.insert_badge(db, "b1", "0F00448FB0", REF)
    shown = repr(people.person_by_ref(db, REF)) + repr(people.badges(db))
    assert not [
        secret for secret in ("Сериков", "Әлібек", "Нұрлан", "2008", "4711", "12/2026", "0F00448FB0") if secret in shown
    ]


def test_people_come_in_the_order_of_the_kazakh_alphabet(db: sqlite3.Connection) -> None:
    ordered = ["Абаев", "Әбенов", "Кәрімов", "Қасымов", "Уәли", "Ұлан", "Үсенов", "Хан", "Һасан", "Ыбыраев", "Ізбасар"]
    for number, name in enumerate(sorted(ordered)):
        people.insert_person(db, f"ref{number}", PersonRow(str(number), "apprentice", name, "А"))
    assert [person.surname for person in people.people(db)] == ordered


def test_the_alphabet_has_every_kazakh_letter_once() -> None:
    assert len(people.KAZAKH_ALPHABET) == len(set(people.KAZAKH_ALPHABET)) == 42
    assert sorted(people.KAZAKH_ALPHABET, key=people.kazakh_key) == list(people.KAZAKH_ALPHABET)


@given(st.text())
def test_case_does_not_change_the_order_of_a_kazakh_word(text: str) -> None:
    cyrillic = "".join(letter for letter in text.lower() if letter in people.KAZAKH_ALPHABET)
    assert people.kazakh_key(cyrillic.upper()) == people.kazakh_key(cyrillic)


@pytest.mark.parametrize(
    ("surname", "given_name", "shown"),
    [("Сериков", "әлібек", "Сериков Ә."), ("Сериков", "", "Сериков"), ("Сериков", "  Ә", "Сериков Ә.")],
)
def test_a_short_name_is_the_surname_and_one_letter(surname: str, given_name: str, shown: str) -> None:
    assert people.short_name(surname, given_name) == shown


def test_a_badge_changes_hands_and_is_blocked(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    people.insert_badge(db, "b1", "0F00448FB0", None)
    people.update_badge(db, "b1", REF, blocked=False)
    assert people.badge_by_uid(db, "0F00448FB0") == people.Badge("b1", "0F00448FB0", REF, blocked=False)
    people.update_badge(db, "b1", REF, blocked=True)
    assert people.badges_of(db, REF) == [people.Badge("b1", "0F00448FB0", REF, blocked=True)]
    assert people.badge_by_ref(db, "b1") == people.badge_by_uid(db, "0F00448FB0")
    assert people.badge_by_uid(db, "FFFFFFFF") is None


def test_a_badge_in_other_hands_is_told_before_an_import(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    people.insert_badge(db, "b1", "0F00448FB0", REF)
    mine, theirs = replace(ROW, badges=("0F00448FB0",)), PersonRow("p2", "apprentice", "А", "Б", badges=("0F00448FB0",))
    assert people.taken_badges(db, [mine]) == []
    assert people.taken_badges(db, [theirs]) == [("0F00448FB0", "p2", "p1")]


def test_an_account_is_found_by_name_and_gets_a_new_password(db: sqlite3.Connection) -> None:
    people.insert_person(db, REF, ROW)
    user = people.User("u1", "a.serikova", "instructor", "hash", REF, "2026-12-31", 1_700_000_000_000, active=True)
    people.add_user(db, user)
    assert people.user_by_name(db, "a.serikova") == people.user_by_ref(db, "u1") == user
    assert people.set_password(db, "a.serikova", "new hash")
    assert not people.set_password(db, "nobody", "new hash")
    assert people.users(db) == [replace(user, password_hash="new hash")]
    with pytest.raises(sqlite3.IntegrityError):
        people.add_user(db, replace(user, user_ref="u2"))
    assert "hash" not in repr(user).replace("password_hash", "")


def test_a_text_is_kept_under_its_salted_hash_with_the_salt_to_check_it(db: sqlite3.Connection) -> None:
    key = people.store_text(db, "Ұста көмектесті", b"0123456789abcdef")
    assert people.text_by_hash(db, key) == "Ұста көмектесті"
    salted = people.salted_text(db, key)
    assert salted is not None
    assert people.text_hash(salted[1], decode_base64(salted[0])) == key
    assert people.store_text(db, "Ұста көмектесті", b"another salt 000") != key
    assert people.text_by_hash(db, "unknown") is None
