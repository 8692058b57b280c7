"""What may be a password or a PIN, without asking a network."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk import passwords
from kiosk.passwords import COMMON, NAMED, TOO_LONG, TOO_SHORT, WALK, hash_password, hasher, pin_weakness, weakness
from kiosk.refs import new_password

COLLEGE = ("№3 шеберхана", "Колледж сварки имени Беделбаева")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", TOO_SHORT),
        ("kq7mx4tn9", TOO_SHORT),
        ("x" * 201, TOO_LONG),
        ("1111111111", WALK),
        ("abcabcabcabc", WALK),
        ("qwerty12345", WALK),
        ("йцукенгшщз", WALK),
        ("1qaz2wsx3edc4rfv", WALK),
        ("9876543210", WALK),
        ("basketball", COMMON),
        ("password2026!", COMMON),
        ("P@ssw0rd2026", COMMON),
        ("sheber2026!!", COMMON),
        ("Шебер-Мастер-2026", COMMON),
        ("Пароль2026!", COMMON),
        ("gfhjkm2026!", COMMON),
        ("январь2026!", COMMON),
        ("Желтоқсан-2026", COMMON),
        ("Беделбаева2026", COMMON),
        ("A.Serikova-77", NAMED),
        ("serikova-rocks", NAMED),
    ],
)
def test_what_others_would_guess_is_refused_with_the_reason(password: str, why: str) -> None:
    assert weakness(password, "a.serikova", COLLEGE) == why


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "күн сайын таза ауа",
        "Собака бежит домой",
        "almaty-apple-river",
        "kt7m-q4xd-9hwn",
        "🐎🔋🐎 staple ok",
    ],
)
def test_length_is_enough_no_kind_of_character_is_demanded(password: str) -> None:
    assert weakness(password, "a.serikova", COLLEGE) is None


@given(st.text(max_size=250), st.text(max_size=20))
def test_any_text_at_all_is_judged(password: str, account: str) -> None:
    assert weakness(password, account, (account,)) in {None, TOO_SHORT, TOO_LONG, NAMED, COMMON, WALK}


def test_a_handed_over_password_passes_its_own_rules() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    assert all(weakness(each, "a.serikova", COLLEGE) is None for each in made)


def test_a_letter_typed_in_two_ways_is_one_password() -> None:
    typed = "Йод, ёж и её йогурт"
    kept = hash_password(unicodedata.normalize("NFC", typed))
    assert hasher().verify(kept, passwords.as_hashed(unicodedata.normalize("NFD", typed)))


def test_passwords_are_kept_as_the_contract_says() -> None:
    assert hash_password("correct horse battery").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("digits", "why"),
    [
        ("123", TOO_SHORT),
        ("123456789", TOO_LONG),
        ("12a4", COMMON),
        ("١٢٣٥", COMMON),
        ("0000", COMMON),
        ("1234", WALK),
        ("8765", WALK),
        ("7890", WALK),
        ("2580", None),
        ("19283746", None),
    ],
)
def test_a_pin_is_four_to_eight_digits_and_no_stairs(digits: str, why: str | None) -> None:
    assert pin_weakness(digits) == why


def test_the_list_is_as_long_as_the_standard_asks_and_small_enough_to_carry() -> None:
    assert len(passwords.common()) >= 3000
    assert all(each == each.casefold() for each in passwords.common())
