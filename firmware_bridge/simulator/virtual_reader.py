"""A badge reader that speaks by itself, on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.registry import reader_class
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.virtual_port import BITS_A_BYTE, VirtualPort

__all__ = ["BITS_A_BYTE", "FAULTS", "VirtualReader"]

WITHOUT_CHECKSUM = ("line", "parallax")
GARBAGE = b"\x98\x80\x98\x80\x1e\x66"
FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "silence": lambda _frame: b"",
    "checksum": lambda frame: bytes((*frame[:5], frame[5] ^ 1, *frame[6:])),
    "cut": lambda frame: frame[: len(frame) // 2],
    "garbage": lambda frame: GARBAGE * (len(frame) // len(GARBAGE) + 1),
}
"""What becomes of a frame."""


class VirtualReader(VirtualPort):
    """Speaks `protocol` byte for byte. With `paced`, at `baud` or at the protocol's own speed."""

    def __init__(self, protocol: str, *, paced: bool = False, baud: int | None = None) -> None:
        self.protocol = protocol
        self.fault = ""
        """One of `FAULTS`, while it lasts."""
        self._frame = FRAMES[protocol]
        super().__init__(paced=paced, baud=baud or reader_class(protocol).baud)

    @property
    def has_checksum(self) -> bool:
        """Can a reader of its kind tell that a frame was damaged?"""
        return self.protocol not in WITHOUT_CHECKSUM

    def tap(self, uid: str, times: int = 1) -> None:
        """Hold a badge to it for `times` frames."""
        for _ in range(times):
            frame = self._frame(uid)
            self.raw(FAULTS[self.fault](frame) if self.fault else frame)

    def ghost(self, digits: int = 10) -> None:
        """A card of zeros, which a coil reads out of thin air (esp-rfid #411)."""
        self.tap("0" * digits)
