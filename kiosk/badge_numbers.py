"""Badge numbers as people write them: what a reader sends, what is printed on a card, and what is no number to enrol.

A card is enrolled by the number that a reader sends. What is printed on it leaves out a part, so two cards can bear the
same: it finds badges that a reader has already sent, and says when it finds more than one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from firmware_bridge.readers.line import FORMATS

_HEX = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{2}){1,20})")
_ANIMAL = re.compile(r"([0-9]{3}) ?([0-9]{12})")
_EM4100_DIGITS = 10
_LARGEST_PRINTED = 0xFFFFFF
_REMEDY = "tap the card at a reader, or give its hexadecimal number (with 0x before it where it has digits only)"

UNFIT = {
    "random_badge": (
        "a number of four bytes that begins with 08 is drawn anew at each tap, by phones and by cards that hide theirs",
        "give this person a card with a number of its own",
    ),
    "cascade_badge": (
        "a number of four bytes that begins with 88 is only the beginning of a longer one",
        "set the reader to send all seven bytes, and read the card again",
    ),
    "zero_badge": ("a number of zeros is what readers send without a card", "read the card again"),
}
"""Why a number is no badge, by its code: what is wrong, and what to do. Codes are those of `CommandRefused`."""


class BadgeNumberError(ValueError):
    """A text is no badge number; `remedy` says what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class PrintedNumberError(BadgeNumberError):
    """It is a number printed on a card."""


def badge_number(text: str) -> str:
    """The canonical number of a badge given in hexadecimal, upper case; BadgeNumberError where it is something else.

    A number printed on a card (`0008123456` or `123,45678`) leaves out the version byte that a reader sends, so it
    cannot be turned into a badge number. Ten decimal digits up to 16777215 are taken for a printed one; `0x` before
    them says that they are hexadecimal.
    """
    match = _HEX.fullmatch(text)
    printed = printed_digits(text)
    if printed and (match is None or (len(text) == _EM4100_DIGITS and int(text) <= _LARGEST_PRINTED)):
        raise PrintedNumberError(
            f"{text} is a number printed on a card, which leaves out a part of what a reader sends", _REMEDY
        )
    if match is None:
        raise BadgeNumberError(
            f"{text} is no badge number", "give 2 to 40 hexadecimal digits, an even count, such as 0F00448FB0"
        )
    return match.group(1).upper()


def unfit(uid: str) -> str:
    """Why nobody should have this number, a code of `UNFIT`; empty where it is fit.

    ISO 14443-3: a UID of four bytes that begins with 08 is random; 88 is the cascade tag, before three bytes of a UID
    of seven (micropython-mfrc522 #20). Where a `transform` leaves four bytes of another card, those count as well.
    """
    if not uid.strip("0"):
        return "zero_badge"
    return {"08": "random_badge", "88": "cascade_badge"}.get(uid[:2], "") if len(uid) == 8 else ""


def printed_digits(text: str) -> str:
    """The hexadecimal digits that a printed number spells: the last ones of the badge's number; empty where it is none.

    `0008075634` 8 digits of hex (32 bits); `08075634` 6; `123,14706` 6; `00123,14706` 8; `0476749445490` all 10 of an
    EM4100 card; `900 250000023921` an animal's tag, whole. `0008075634 123,14706`, as many cards have it, is what both
    say, and nothing where they differ.
    """
    animal = _ANIMAL.fullmatch(text)
    if animal:
        return f"{int(animal[1]):04X}{int(animal[2]):010X}"
    found = [FORMATS["decimal"](word) or FORMATS["wiegand"](word) or "" for word in text.split()]
    longest = max(found, key=len, default="")
    return longest if all(digits and longest.endswith(digits) for digits in found) else ""


def candidates(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the `known` numbers that `text` may mean, hexadecimal or printed, in their order.

    What a reader or a transform has shortened fits as far as it goes.
    """
    match = _HEX.fullmatch(text)
    exact = match.group(1).upper() if match else ""
    digits = printed_digits(text)
    return tuple(uid for uid in known if uid == exact or (digits and _fits(digits, uid)))


def told_bits(text: str) -> int:
    """How many bits of a badge's number a printed number tells; 0 where it is none."""
    return 4 * len(printed_digits(text))


def _fits(digits: str, uid: str) -> bool:
    if max(len(digits), len(uid)) > _EM4100_DIGITS:  # only EM4100 cards are printed with a part of their number
        return digits == uid
    return uid.endswith(digits) or digits.endswith(uid)
