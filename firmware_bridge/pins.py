"""Output pins of the board, through gpiozero, which is imported only where a lab has a panel.

`GPIOZERO_PIN_FACTORY` chooses the library beneath as in any gpiozero program; unset, it is lgpio and nothing else: the
others that gpiozero falls back to write to the board's registers behind the kernel's back.
"""

from __future__ import annotations

import os
from typing import Protocol


class Output(Protocol):
    """One pin that is driven."""

    def on(self) -> None:
        """Drive it high."""

    def off(self) -> None:
        """Drive it low."""

    def close(self) -> None:
        """Let go of it."""


class PinError(Exception):
    """Why a pin cannot be driven, in words."""


def output(pin: int) -> Output:
    """The pin of that number (BCM), driven low. Raises `PinError` where it is not there, or another program has it."""
    try:
        from gpiozero.devices import Device  # noqa: PLC0415  a lab without a panel need not have it
        from gpiozero.output_devices import DigitalOutputDevice  # noqa: PLC0415

        if Device.pin_factory is None and not os.environ.get("GPIOZERO_PIN_FACTORY"):
            from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415

            Device.pin_factory = LGPIOFactory()  # type: ignore[no-untyped-call]
        driven: Output = DigitalOutputDevice(pin, initial_value=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # each library beneath gpiozero raises errors of its own
        remedy = "on a Raspberry Pi install python3-lgpio and add the user to the group gpio; elsewhere take out panel"
        raise PinError(f"pin {pin} cannot be driven ({error}); {remedy}") from error
    return driven
