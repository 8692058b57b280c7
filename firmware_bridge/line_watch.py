"""Bytes that are never a frame: what may be wrong with the line, in words.

A speed that is set too high leaves its mark: a bit of the sender is heard several times, from a falling edge on. Which
speeds could have made the bytes is computed, not guessed. A speed set too low loses what would tell it.
"""

from __future__ import annotations

import math

ENOUGH_BYTES, SAMPLE_BYTES = 48, 192
"""After so many bytes without one whole frame it is no accident; so many of them are looked at."""
SPEEDS = (1_200, 2_400, 4_800, 9_600, 14_400, 19_200, 38_400, 57_600, 115_200)
"""What readers send at (wire formats, section A), and the usual ones between."""
SAMPLES = 9
"""Of a byte: its start bit and eight bits, each looked at in its middle."""
EDGE = 0.12
"""A look so near to the sender's next bit (in bits) may see either."""
MOSTLY = 0.9
TIMES_MIN = 2
"""A speed nearer than half leaves too little of a mark to be told from none."""
PAIRS_MIN = 4


class LineWatch:
    """Watches one open port. `baud` is what it listens at, `usual_baud` what its protocol says."""

    def __init__(self, baud: int, usual_baud: int) -> None:
        self._baud = baud
        self._usual_baud = usual_baud
        self._sample = bytearray()
        self._understood = 0
        self.complaint = ""
        """What seems wrong and what to do; empty while all is well."""

    def heard(self, data: bytes, understood: int) -> None:
        """These bytes came; `understood` counts all whole frames so far."""
        if understood != self._understood:
            self._understood = understood
            self._sample.clear()
            self.complaint = ""
        elif len(self._sample) < SAMPLE_BYTES:
            self._sample += data[: SAMPLE_BYTES - len(self._sample)]
            if len(self._sample) >= ENOUGH_BYTES:
                self.complaint = complaint(bytes(self._sample), self._baud, self._usual_baud)


def complaint(data: bytes, baud: int, usual_baud: int) -> str:
    """What seems wrong with a line on which `data` came at `baud` and nothing else."""
    if is_text_of_bytes(data):
        return "bytes above 7F arrive as UTF-8 text; switch the converter or bridge to raw (binary) mode"
    told = "bytes arrive but never a whole frame"
    slower = slower_speed(data, baud, usual_baud)
    if slower is not None:
        return f"{told}: the reader seems to send at {slower}, not at {baud}; set baud = {slower}"
    if baud != usual_baud:
        return f"{told} at {baud}; the usual speed of this protocol is {usual_baud}: leave baud out"
    faster = [speed for speed in SPEEDS if speed > baud]
    speeds = f"; if the protocol is right, try baud = {' or '.join(map(str, faster))}" if faster else ""
    return f"{told}: check the reader's protocol and its wires{speeds}"


def slower_speed(data: bytes, baud: int, usual_baud: int) -> int | None:
    """The speed below `baud` that the bytes were sent at, None where none explains them."""
    possible = [
        speed
        for speed in SPEEDS
        if speed * TIMES_MIN <= baud and sum(_could_be(byte, baud / speed) for byte in data) >= MOSTLY * len(data)
    ]
    if not possible:
        return None
    if usual_baud in possible:
        return usual_baud
    # What a slow sender makes fits every speed between, too; only bytes of zeros alone fit all that are slow enough.
    return possible[0] if any(data) else possible[-1]


def is_text_of_bytes(data: bytes) -> bool:
    """Did something on the way take each byte for a letter: FF is C3 BF then, 80 is C2 80?"""
    whole = data.lstrip(bytes(range(0x80, 0xC0))).rstrip(b"\xc2\xc3")
    try:
        letters = whole.decode("utf-8")
    except UnicodeDecodeError:
        return False
    high = [letter for letter in letters if letter > "\x7f"]
    return len(high) >= PAIRS_MIN and all(letter <= "\xff" for letter in high)


def _could_be(byte: int, times: float) -> bool:
    """Could a sender whose bits last `times` of ours have made this byte?"""
    levels: dict[int, int] = {0: 0}
    for sample in range(SAMPLES):
        place = (sample + 0.5) / times
        bit = math.floor(place)
        if min(place - bit, bit + 1 - place) * times < EDGE and times < SAMPLES:
            continue
        level = byte >> (sample - 1) & 1 if sample else 0
        if levels.setdefault(bit, level) != level:
            return False
    return True
