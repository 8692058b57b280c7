"""What readers that must be asked answer with: the other direction of `readers/`, written apart from it."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")


def pn532_answer(told: bytes) -> bytes:
    """`told`, its code first, in the frame of an answer."""
    data = b"\xd5" + told
    return b"\0\0\xff" + bytes((len(data), 256 - len(data))) + data + bytes(((256 - sum(data)) % 256, 0))


def pn532(uids: Sequence[str]) -> bytes:
    """InListPassiveTarget's answer for these cards: Mifare Classic with four bytes, Ultralight with more."""
    cards = b""
    for place, uid in enumerate(uids, 1):
        number = bytes.fromhex(uid)
        kind = b"\x00\x04\x08" if len(number) == 4 else b"\x00\x44\x00"
        cards += bytes((place,)) + kind + bytes((len(number),)) + number
    return pn532_answer(bytes((0x4B, len(uids))) + cards)


def yrm100_frame(kind: int, command: int, parameters: bytes, head: int = 0xBB) -> bytes:
    """An answer (01) or a notice (02) of the reader."""
    body = bytes((kind, command, len(parameters) >> 8, len(parameters) & 0xFF)) + parameters
    return bytes((head,)) + body + bytes((sum(body) % 256, 0x7E if head == 0xBB else 0xDD))


def yrm100(uids: Sequence[str], head: int = 0xBB) -> bytes:
    """One notice a tag; "no tag" where there is none."""
    if not uids:
        return yrm100_frame(0x01, 0xFF, b"\x15", head)
    frames = b""
    for uid in uids:
        epc = bytes.fromhex(uid)
        told = bytes((len(epc) // 2 << 3, 0)) + epc
        # CRC-16/GENIBUS is the plain CCITT sum from FFFF, inverted.
        check = binascii.crc_hqx(told, 0xFFFF) ^ 0xFFFF
        frames += yrm100_frame(0x02, 0x22, b"\xc9" + told + check.to_bytes(2, "big"), head)
    return frames


def twn4_answer(uids: Sequence[str], *, form: str = "text", crc: bool = False) -> bytes:
    """SearchTag's answer for no tag or one, ISO14443_SearchMultiTag's for more."""
    numbers = [bytes.fromhex(uid) for uid in uids]
    if not numbers:
        told = b"\0\0"
    elif len(numbers) == 1:
        told = bytes((0, 1, 0x80, len(numbers[0]) * 8, len(numbers[0]))) + numbers[0]
    else:
        listed = b"".join(bytes((len(number),)) + number for number in numbers)
        told = bytes((0, 1, len(numbers), len(listed))) + listed
    return twn4_frame(told, form=form, crc=crc)


def twn4_frame(told: bytes, *, form: str = "text", crc: bool = False) -> bytes:
    """Any answer, its error code first."""
    if crc:
        told += _elatec_crc(told).to_bytes(2, "little")
    if form == "binary":
        return len(told).to_bytes(2, "little") + told
    return told.hex().upper().encode("ascii") + b"\r"


def _elatec_crc(data: bytes) -> int:
    """As the maker's reference code has it, byte by byte instead of bit by bit."""
    crc = 0xFFFF
    for byte in data:
        mixed = byte ^ (crc & 0xFF)
        mixed ^= (mixed << 4) & 0xFF
        crc = (((mixed << 8) | (crc >> 8)) ^ (mixed >> 4) ^ (mixed << 3)) & 0xFFFF
    return crc


ACTIVE_FRAMES: dict[str, Callable[[Sequence[str]], bytes]] = {"pn532": pn532, "twn4": twn4_answer, "yrm100": yrm100}
"""By protocol: what is on the line when these badges are in the field."""
