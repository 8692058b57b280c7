"""What makes different readers agree on one card: a change of the canonical number, chosen per reader in the lab.

An EM4100 card has 40 bits. What readers make of the card printed `0008075634 123,14706`, and what makes all agree:

    rdm6300, id12, parallax, gwiot7941, most that send hex       6F007B3972    low32      wiegand26
    line, decimal, 13 digits       0476749445490                 6F007B3972    low32      wiegand26
    line, decimal, 10 digits       0008075634                      007B3972               wiegand26
    line, wiegand, 5 + 5 digits    00123,14706                     007B3972               wiegand26
    line, decimal, 8 digits        08075634                          7B3972
    line, wiegand                  123,14706                         7B3972
    a reader that sends each byte's bits the other way round     F600DE9C4E    reverse_bits, or reverse_bits+low32

The less a number holds, the more cards share it: let the reader that says least decide, and take nothing less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from firmware_bridge.options import OptionError


def reverse(uid: str) -> str:
    """The bytes in the other order: `2C7FB28F` becomes `8FB27F2C` (libnfc #146: two programs, one card)."""
    return bytes.fromhex(uid)[::-1].hex().upper()


def reverse_bits(uid: str) -> str:
    """The bits of each byte in the other order: `0F00448FB0` becomes `F00022F10D` (Proxmark3: "Unique TAG ID")."""
    return "".join(f"{int(f'{byte:08b}'[::-1], 2):02X}" for byte in bytes.fromhex(uid))


def low40(uid: str) -> str:
    """The lower 40 bits: of an animal's tag `03843A3529A171` the national id, `3A3529A171`."""
    return f"{int(uid, 16) & 0xFF_FFFF_FFFF:010X}"


def low32(uid: str) -> str:
    """The lower 32 bits, which Wiegand-34 carries and a card's ten digits spell: `6F007B3972` becomes `007B3972`."""
    return f"{int(uid, 16) & 0xFFFF_FFFF:08X}"


def wiegand26(uid: str) -> str:
    """The lower 24 bits, which Wiegand-26 carries and `123,14706` spells: `6F007B3972` becomes `7B3972`."""
    return f"{int(uid, 16) & 0xFF_FFFF:06X}"


TRANSFORMS: dict[str, Callable[[str], str]] = {
    "low32": low32,
    "low40": low40,
    "reverse": reverse,
    "reverse_bits": reverse_bits,
    "wiegand26": wiegand26,
}


def transform(name: str | None) -> Callable[[str], str]:
    """The function of that name, or of several joined by `+` and done from left to right: `reverse+low32`.

    None leaves a number as it is. Raises `OptionError` for an unknown name.
    """
    if name is None:
        return str
    steps = [_step(part) for part in name.split("+")]
    return lambda uid: reduce(lambda number, step: step(number), steps, uid)


def _step(name: str) -> Callable[[str], str]:
    if name not in TRANSFORMS:
        there = ", ".join(TRANSFORMS)
        raise OptionError("transform", f"there is no `{name}`; those there are: {there}, or some of them joined by +")
    return TRANSFORMS[name]
