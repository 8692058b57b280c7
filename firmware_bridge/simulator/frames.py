"""What a reader puts on its line for a badge: the other direction of `readers/`, written apart from it."""

from __future__ import annotations

from collections.abc import Callable


def rdm6300(uid: str) -> bytes:
    """The module's 14 bytes for a number of five bytes."""
    number = _of_five(uid)
    return b"\x02" + number.hex().upper().encode() + f"{_xor(number):02X}".encode() + b"\x03"


def id12(uid: str) -> bytes:
    """The 16 bytes of an ID-12 for a number of five bytes."""
    return rdm6300(uid)[:-1] + b"\r\n\x03"


def parallax(uid: str) -> bytes:
    """The 12 bytes of a Parallax reader for a number of five bytes."""
    return b"\n" + _of_five(uid).hex().upper().encode() + b"\r"


def gwiot7941(uid: str) -> bytes:
    """A 7941E's frame for an EM4100 card's five bytes or a Mifare card's four."""
    number = bytes.fromhex(uid)
    if len(number) not in (4, 5):
        raise ValueError(f"a 7941E sends four or five bytes; {uid} has {len(number)}")
    told = bytes((len(number) + 5, 2 if len(number) == 5 else 1)) + number
    return b"\x02" + told + bytes((_xor(told), 3))


def wl134a(uid: str) -> bytes:
    """The 30 bytes of a WL-134A for an animal's tag of the 14 digits country and national id."""
    if len(uid) != 14:
        raise ValueError(f"a WL-134A sends 14 digits, country and national id; {uid} has {len(uid)}")
    digits = (uid[4:][::-1] + uid[:4][::-1] + "01" + "0" * 10).upper().encode()
    return b"\x02" + digits + bytes((_xor(digits), _xor(digits) ^ 0xFF, 3))


def line(uid: str) -> bytes:
    """The number in hex, and CR LF."""
    return bytes.fromhex(uid).hex().upper().encode() + b"\r\n"


def _of_five(uid: str) -> bytes:
    number = bytes.fromhex(uid)
    if len(number) != 5:
        raise ValueError(f"an EM4100 card has five bytes; {uid} has {len(number)}")
    return number


def _xor(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check


FRAMES: dict[str, Callable[[str], bytes]] = {
    "gwiot7941": gwiot7941,
    "id12": id12,
    "line": line,
    "parallax": parallax,
    "rdm6300": rdm6300,
    "wl134a": wl134a,
}
