"""A badge reader that speaks by itself, on a pseudo-terminal."""

from __future__ import annotations

from firmware_bridge.registry import reader_class
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.virtual_port import BITS_A_BYTE, VirtualPort

__all__ = ["BITS_A_BYTE", "VirtualReader"]


class VirtualReader(VirtualPort):
    """Speaks `protocol` byte for byte. With `paced`, at `baud` or at the protocol's own speed."""

    def __init__(self, protocol: str, *, paced: bool = False, baud: int | None = None) -> None:
        self.protocol = protocol
        self._frame = FRAMES[protocol]
        super().__init__(paced=paced, baud=baud or reader_class(protocol).baud)

    def tap(self, uid: str, times: int = 1) -> None:
        """Hold a badge to it for `times` frames."""
        for _ in range(times):
            self.raw(self._frame(uid))
