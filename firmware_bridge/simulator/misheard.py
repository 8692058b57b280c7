"""What a UART makes of bytes that were sent at another speed than its own."""

from __future__ import annotations

from itertools import pairwise


def misheard(data: bytes, sent_baud: int, heard_baud: int, *, gap_bits: int = 3) -> bytes:
    """`data`, sent 8N1 with `gap_bits` of silence between bytes, as a receiver at `heard_baud` takes it.

    A byte begins at a falling edge; each bit is looked at in its middle. A byte whose stop bit is low is handed over
    all the same, as Linux does, and the line must rise before the next one begins.
    """
    line = [1]
    for byte in data:
        line += [0, *(byte >> bit & 1 for bit in range(8)), 1, *[1] * gap_bits]
    line += [1] * 10

    def level(at_s: float) -> int:
        place = int(at_s * sent_baud)
        return line[place] if place < len(line) else 1

    heard = bytearray()
    free_s = 0.0
    falls = [place / sent_baud for place, (before, after) in enumerate(pairwise(line), 1) if before > after]
    for fall_s in falls:
        if fall_s < free_s:
            continue
        looks = [level(fall_s + (look + 0.5) / heard_baud) for look in range(10)]
        if looks[0]:
            continue  # a glitch, too short to be a start bit
        heard.append(sum(bit << place for place, bit in enumerate(looks[1:9])))
        free_s = fall_s + 9.5 / heard_baud
    return bytes(heard)
