"""What makes different readers agree on one card: a change of the canonical number, chosen per reader in the lab."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.options import OptionError


def reverse(uid: str) -> str:
    """The bytes in the other order: `2C7FB28F` becomes `8FB27F2C` (libnfc #146: two programs, one card)."""
    return bytes.fromhex(uid)[::-1].hex().upper()


def low32(uid: str) -> str:
    """The lower 32 bits, which the ten digits printed on a card spell: `67003BA867` becomes `003BA867`."""
    return f"{int(uid, 16) & 0xFFFF_FFFF:08X}"


def wiegand26(uid: str) -> str:
    """The lower 24 bits, which Wiegand-26 carries and `123,45678` spells: `6F007B3972` becomes `7B3972`."""
    return f"{int(uid, 16) & 0xFF_FFFF:06X}"


TRANSFORMS: dict[str, Callable[[str], str]] = {"low32": low32, "reverse": reverse, "wiegand26": wiegand26}


def transform(name: str | None) -> Callable[[str], str]:
    """The function of that name; None leaves a number as it is. Raises `OptionError` for an unknown name."""
    if name is None:
        return str
    if name not in TRANSFORMS:
        raise OptionError("transform", f"there is no `{name}`; those there are: {', '.join(TRANSFORMS)}")
    return TRANSFORMS[name]
