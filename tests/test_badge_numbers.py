"""Badge numbers as people write them: in hexadecimal, as printed on a card, and those that nobody should have."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.badge_numbers import (
    BadgeNumberError,
    PrintedNumberError,
    badge_number,
    candidates,
    printed_digits,
    told_bits,
    unfit,
)
from kiosk.imports.people import read_people
from tests.wires_fixtures import captures

PRINTED = captures("printed.jsonl")
TWINS = ("6F007B3972", "0A007B3972", "6F017B3972", "6F007B3973")
CARDS = st.integers(1, 2**40 - 1)


def digits_of(card: int) -> list[str]:
    """Everything that may be printed on a card."""
    low = card & 0xFFFFFFFF
    return [
        f"{low:010d}",
        f"{low & 0xFFFFFF:08d}",
        f"{low >> 16 & 0xFF:03d},{low & 0xFFFF:05d}",
        f"{low >> 16:05d},{low & 0xFFFF:05d}",
        f"{card:013d}",
        f"{low:010d} {low >> 16 & 0xFF:03d},{low & 0xFFFF:05d}",
    ]


# -- hexadecimal ------------------------------------------------------------------------------------------------------


def test_a_number_of_digits_only_is_taken_as_hexadecimal_where_that_is_said_or_sure() -> None:
    assert badge_number("0x0008123456") == "0008123456"
    assert badge_number("6700385112") == "6700385112"
    assert badge_number("04112233") == "04112233"


@pytest.mark.parametrize("text", ["", "0", "0F0", "0F00448FBG", "card", "-5", "1,2,3", "300,00001", "٠٠٠٨٠٧٥٦٣٤"])
def test_what_is_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadgeNumberError, match="such as 0F00448FB0"):
        badge_number(text)


@given(st.text(max_size=20) | st.text("0123456789,xABCDEF ", max_size=20))
def test_no_text_whatever_makes_it_stumble(text: str) -> None:
    with suppress(BadgeNumberError):
        uid = badge_number(text)
        assert bytes.fromhex(uid).hex().upper() == uid
    assert set(candidates(text, TWINS)) <= set(TWINS)


# -- printed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", PRINTED, ids=lambda card: card["id"])
def test_the_numbers_printed_on_real_cards_find_them_and_enrol_nobody(card: dict[str, Any]) -> None:
    uid = card["uid_hex"]
    for number in (*card["printed"].values(), " ".join(card["printed"].values())):
        with pytest.raises(PrintedNumberError, match="printed on a card"):
            badge_number(number)
        assert candidates(number, ("67003B51C6", uid)) == (uid,)
    assert badge_number(uid.lower()) == uid


@given(CARDS)
def test_every_form_of_a_printed_number_finds_its_card(card: int) -> None:
    uid = f"{card:010X}"
    for number in digits_of(card):
        assert candidates(number, [uid]) == (uid,)


@pytest.mark.parametrize(
    ("number", "found", "bits"),
    [
        ("123,14706", ("6F007B3972", "0A007B3972", "6F017B3972"), 24),
        ("08075634", ("6F007B3972", "0A007B3972", "6F017B3972"), 24),
        ("0008075634", ("6F007B3972", "0A007B3972"), 32),
        ("00123,14706", ("6F007B3972", "0A007B3972"), 32),
        ("0008075634 123,14706", ("6F007B3972", "0A007B3972"), 32),
        ("0476749445490", ("6F007B3972",), 40),
        ("6F007B3972", ("6F007B3972",), 0),
        ("6f007b3972", ("6F007B3972",), 0),
        ("0008075635", ("6F007B3973",), 32),
        ("0008075636", (), 32),
    ],
)
def test_the_fewer_bits_are_printed_the_more_cards_fit(number: str, found: tuple[str, ...], bits: int) -> None:
    assert (candidates(number, TWINS), told_bits(number)) == (found, bits)


def test_two_printed_numbers_that_differ_are_no_card() -> None:
    assert printed_digits("0008075634 123,14707") == ""
    assert candidates("0008075634 123,14707", TWINS) == ()


def test_a_number_that_a_reader_shortened_is_found_as_far_as_it_goes() -> None:
    assert candidates("0008075634", ("007B3972", "7B3972", "7B3973")) == ("007B3972", "7B3972")


def test_a_longer_number_is_never_found_by_a_part_of_it() -> None:
    assert candidates("123,14706", ("047B3972001122", "04AABBCC7B3972")) == ()


def test_an_animals_tag_is_found_by_its_fifteen_digits() -> None:
    tags = ("03843A3529A171", "03843A3529A172")
    assert candidates("900250000023921", tags) == candidates("900 250000023921", tags) == ("03843A3529A171",)


def test_digits_that_may_be_both_are_looked_for_as_both() -> None:
    assert candidates("0008075634", ("0008075634", "6F007B3972")) == ("0008075634", "6F007B3972")


# -- not for anybody --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "code"),
    [
        ("08123456", "random_badge"),
        ("88045A11", "cascade_badge"),
        ("0000000000", "zero_badge"),
        ("0812345678", ""),
        ("88045A11223344", ""),
        ("04112233", ""),
        ("0F00448FB0", ""),
    ],
)
def test_a_number_that_is_not_one_cards_is_told_by_its_shape(uid: str, code: str) -> None:
    assert unfit(uid) == code


@pytest.mark.parametrize(
    ("uid", "sentence"),
    [
        ("08123456", "drawn anew at each tap, by phones and by cards that hide theirs; give this person a card"),
        ("88045a11", "only the beginning of a longer one; set the reader to send all seven bytes"),
        ("00000000", "zeros is what readers send without a card; read the card again"),
    ],
)
def test_nobody_is_enrolled_with_such_a_number(uid: str, sentence: str) -> None:
    assert badge_number(uid) == uid.upper()  # one that somebody has can still be blocked
    _, problems = read_people(f"person_id,role,surname,badges\np1,apprentice,Сериков,{uid}\n".encode())
    assert [sentence in str(problem) and "line 2, column badges" in str(problem) for problem in problems] == [True]
