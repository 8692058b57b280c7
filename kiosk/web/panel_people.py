"""Finding a person with gloves: by the letters that names really begin with, in the order of the Kazakh alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.store.people import Person, kazakh_key

FEW = 8
"""So many names are shown at once; of more, letters are asked first."""


@dataclass(frozen=True)
class Found:
    """What a page offers: letters to go on with, or names."""

    letters: Sequence[tuple[str, str]]
    """(how names begin then, as it is shown)."""
    names: Sequence[Person]


def narrow(everybody: Sequence[Person], prefix: str) -> Found:
    """Those whose name begins with `prefix`: themselves where they are few, else how their names go on."""
    begin = _plain(prefix)
    matching = [each for each in everybody if _label(each).startswith(begin)]
    if len(matching) <= FEW:
        return Found((), matching)
    while True:
        nexts = {_label(each)[: len(begin) + 1] for each in matching}
        if begin in nexts:  # somebody's whole name: namesakes, or a name within another
            return Found((), matching)
        if len(nexts) > 1:
            ordered = sorted(nexts, key=kazakh_key)
            return Found([(each, _shown(each)) for each in ordered], ())
        (begin,) = nexts


def groups(everybody: Sequence[Person]) -> list[str]:
    """The groups there are, in alphabetical order."""
    return sorted({each.group for each in everybody if each.group}, key=kazakh_key)


def _label(person: Person) -> str:
    return _plain(f"{person.surname} {person.given}")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _shown(prefix: str) -> str:
    return " ".join(part[:1].upper() + part[1:] for part in prefix.split(" "))
