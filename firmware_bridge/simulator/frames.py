"""What a reader puts on its line for a badge: the other direction of `readers/`, written apart from it."""

from __future__ import annotations

from collections.abc import Callable


def rdm6300(uid: str) -> bytes:
    """The module's 14 bytes for a number of five bytes."""
    number = bytes.fromhex(uid)
    if len(number) != 5:
        raise ValueError(f"an RDM6300 sends five bytes; {uid} has {len(number)}")
    check = 0
    for byte in number:
        check ^= byte
    return b"\x02" + number.hex().upper().encode() + f"{check:02X}".encode() + b"\x03"


def line(uid: str) -> bytes:
    """The number in hex, and CR LF."""
    return bytes.fromhex(uid).hex().upper().encode() + b"\r\n"


FRAMES: dict[str, Callable[[str], bytes]] = {"line": line, "rdm6300": rdm6300}
