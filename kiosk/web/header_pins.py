"""The 40 pins of a Raspberry Pi's header, by their numbers on the board.

Source: the maker's documentation, "GPIO and the 40-pin header"; the same on every board from the B+ of 2014 on.
"""

from __future__ import annotations

from dataclasses import dataclass

_LAYOUT: tuple[tuple[int | str, int | str], ...] = (
    ("3V3", "5V"),
    (2, "5V"),
    (3, "GND"),
    (4, 14),
    ("GND", 15),
    (17, 18),
    (27, "GND"),
    (22, 23),
    ("3V3", 24),
    (10, "GND"),
    (9, 25),
    (11, 8),
    ("GND", 7),
    (0, 1),
    (5, "GND"),
    (6, 12),
    (13, "GND"),
    (19, 16),
    (26, 20),
    ("GND", 21),
)
"""Row by row from the end with the card slot: the odd pin, the even pin; a number is a GPIO."""


@dataclass(frozen=True)
class Pin:
    """One pin of the header."""

    number: int
    """1 to 40, as on the board."""
    label: str
    """`3V3`, `5V`, `GND` or `GPIO17`."""
    gpio: int | None
    row: int
    """0 to 19."""
    even: bool
    """In the column towards the board's edge."""


def _pin(row: int, column: int, what: int | str) -> Pin:
    gpio = what if isinstance(what, int) else None
    return Pin(2 * row + 1 + column, f"GPIO{what}" if gpio is not None else str(what), gpio, row, column == 1)


PINS = tuple(_pin(row, column, what) for row, both in enumerate(_LAYOUT) for column, what in enumerate(both))
GROUNDS = tuple(pin.number for pin in PINS if pin.label == "GND")


def pin_of(gpio: int) -> Pin | None:
    """The pin of a GPIO number (BCM); None where the header has none."""
    return next((pin for pin in PINS if pin.gpio == gpio), None)


def nearest_ground(number: int) -> int:
    """The pin with ground that is nearest to that pin."""
    wanted = PINS[number - 1]
    return min(
        GROUNDS, key=lambda each: (abs(PINS[each - 1].row - wanted.row), PINS[each - 1].even != wanted.even, each)
    )
