"""Things by number; those that were laid down packed are unpacked when they are first asked for.

A workshop's sessions of years ago are hardly ever looked at: bytes are smaller than objects, and quicker to have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TypeVar, cast

T = TypeVar("T")


class Shelf(MutableMapping[int, T]):
    """A dictionary, in the order in which things were laid down. `unpack` makes a thing of its bytes."""

    def __init__(self, unpack: Callable[[bytes], T] | None = None) -> None:
        self._things: dict[int, T | bytes] = {}
        self._unpack = unpack

    def lay_down(self, packed: dict[int, bytes]) -> None:
        """Many things at once, as bytes."""
        self._things.update(packed)

    def packed(self, number: int, pack: Callable[[T], bytes]) -> bytes:
        """A thing's bytes; a thing that was never unpacked still has them."""
        thing = self._things[number]
        return thing if isinstance(thing, bytes) else pack(thing)

    def __getitem__(self, number: int) -> T:
        thing = self._things[number]
        if isinstance(thing, bytes) and self._unpack is not None:
            thing = self._things[number] = self._unpack(thing)
        return cast(T, thing)

    def __setitem__(self, number: int, thing: T) -> None:
        self._things[number] = thing

    def __delitem__(self, number: int) -> None:
        del self._things[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, number: object) -> bool:
        return number in self._things
