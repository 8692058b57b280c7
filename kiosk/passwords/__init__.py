"""What a password must be, and how it is kept. The list of common ones is here, so that nothing asks a network."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 10
"""Characters. ASVS 5.0, 6.2.1 asks for 8 and likes 15."""
LONGEST = 200
SHORTEST_PIN = 4
LONGEST_PIN = 8
LONGEST_ACCOUNT = 64
SHORTEST_NAME = 4
"""An account's or a lab's word that is shorter may be anywhere in a password."""
OWN_LETTERS = 5
"""So many letters must be left of a password without the words that everybody here knows."""
MOSTLY = 0.8
"""Such a part of a password's steps to the next key makes it a walk."""

TOO_SHORT, TOO_LONG, NAMED, COMMON, WALK = "too_short", "too_long", "named", "common", "walk"

ROWS = (
    "`1234567890-=",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю.",
    "әіңғүұқөһ",
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "1йфя",
    "2цыч",
    "3увс",
)
"""Keys and letters that stand beside one another, in rows and in columns."""
LATIN = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
CYRILLIC = "йцукенгшщзхъфывапролджэячсмитьбю"
LEET = str.maketrans("@4310$57", "aaeiosst")
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_NO_LETTERS = re.compile(r"[\W\d_]+")


def weakness(password: str, account: str = "", known: Iterable[str] = ()) -> str | None:
    """Why this may not be a password: one of the codes above; None where it may.

    `account` is the name it is for, `known` what everybody there knows: the names of the lab and of the college.
    """
    plain = _plain(password)
    if len(plain) < SHORTEST:
        return TOO_SHORT
    if len(plain) > LONGEST:
        return TOO_LONG
    if any(word in plain for word in _words((account,))):
        return NAMED
    if _is_walk(plain):
        return WALK
    return COMMON if _is_common(plain, [*_words(known), *ours()]) else None


def pin_weakness(digits: str) -> str | None:
    """Why this may not be a PIN: `too_short`, `too_long`, `common` (not digits, or all alike) or `walk`; or None."""
    if len(digits) < SHORTEST_PIN:
        return TOO_SHORT
    if len(digits) > LONGEST_PIN:
        return TOO_LONG
    if not (digits.isascii() and digits.isdecimal()) or len(set(digits)) == 1:
        return COMMON
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(digits)}
    return WALK if steps in ({1}, {9}) else None


def fits_account(name: str) -> bool:
    """May an account have this name? Up to 64 characters that can be seen, without spaces."""
    seen = not any(letter.isspace() or unicodedata.category(letter)[0] == "C" for letter in name)
    return 0 < len(name) <= LONGEST_ACCOUNT and seen


def hash_password(secret: str) -> str:
    """The argon2id hash of a password or a PIN. Takes 30 to 300 ms and 19 MiB on purpose."""
    return hasher().hash(as_hashed(secret))


def as_hashed(secret: str) -> str:
    """One form of what may be typed in several: a letter and its mark as one character or as two (NFKC)."""
    return unicodedata.normalize("NFKC", secret)


@cache
def hasher() -> PasswordHasher:
    """With the parameters of contract.md, section 10."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - half a megabyte that listing people does not need

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def common() -> frozenset[str]:
    """Passwords that are tried first, as `_plain` gives them."""
    return frozenset(_lines("common.txt"))


@cache
def ours() -> tuple[str, ...]:
    """Words that lie near here, the longest first."""
    return tuple(sorted(_lines("ours.txt"), key=len, reverse=True))


def _lines(name: str) -> Iterator[str]:
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return (line for line in text.split("\n") if line)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(names: Iterable[str]) -> list[str]:
    """The words of some names that are long enough to matter, and the names themselves."""
    found = {part for name in names for part in (_plain(name), *_NO_LETTERS.split(_plain(name)))}
    return sorted((each for each in found if len(each) >= SHORTEST_NAME), key=len, reverse=True)


def _is_walk(plain: str) -> bool:
    steps = list(itertools.pairwise(plain))
    beside = sum(a == b or any(a + b in row or b + a in row for row in ROWS) for a, b in steps)
    return beside >= MOSTLY * len(steps) or len(set(plain)) <= 3


def _is_common(plain: str, words: list[str]) -> bool:
    """Common as it stands, without the figures around it, or nothing but words that everybody here knows."""
    forms = {plain, plain.translate(LEET), plain.translate(str.maketrans(LATIN, CYRILLIC))}
    forms |= {_EDGES.sub("", form) for form in (plain, *forms)} | {_EDGES.sub("", plain).translate(LEET)}
    if not forms.isdisjoint(common()):
        return True
    return any(_left(form, words) < OWN_LETTERS for form in forms if _names_one(form, words))


def _names_one(form: str, words: list[str]) -> bool:
    return any(word in form for word in words)


def _left(form: str, words: list[str]) -> int:
    """How many letters are left without the known words."""
    for word in words:
        form = form.replace(word, " ")
    return len(_NO_LETTERS.sub("", form))
