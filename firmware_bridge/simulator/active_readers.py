"""Badge readers that must be asked: they sleep until they are woken, answer, and fail on request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from firmware_bridge.simulator import active_frames as frames
from firmware_bridge.simulator.virtual_port import VirtualPort

STEP_S = 0.01
WAKES_A_PN532 = 0x55
CARDS_AT_ONCE = 2
"""A PN532 holds no more."""
GARBAGE = b"\x98\x80\x98\x80\x1e\x66"
STEPS_A_POLL = 3
"""A UHF module goes round its field some thirty times a second."""

Field = Callable[[], Sequence[str]]
"""Asked at each look: the badges that are there now."""


class Device(Protocol):
    """What a reader's firmware does in one step with the bytes that came: what it puts on the line."""

    def step(self, came: bytes, look: Field) -> bytes:
        """Called every ten milliseconds, with `came` empty most of the time."""


class Pn532Device:
    """Deaf until a rising edge woke it, and blind until SAMConfiguration; acknowledges, then answers."""

    def __init__(self) -> None:
        self._line = b""
        self._awake = self._configured = False

    def step(self, came: bytes, look: Field) -> bytes:
        """Answers each whole command."""
        if not self._awake:
            self._awake = WAKES_A_PN532 in came
        if not self._awake:
            return b""
        self._line += came
        said = b""
        while (begin := self._line.find(b"\0\0\xff")) >= 0 and len(self._line) > begin + 4:
            size = self._line[begin + 3]
            if len(self._line) < begin + size + 7:
                break
            command = self._line[begin + 5 : begin + 5 + size]
            right = (size + self._line[begin + 4]) % 256 == 0 and sum(
                self._line[begin + 5 : begin + 6 + size]
            ) % 256 == 0
            self._line = self._line[begin + size + 7 :]
            said += frames.ACK + self._answer(command, look) if right else b""
        return said

    def _answer(self, command: bytes, look: Field) -> bytes:
        match command[:2]:
            case b"\xd4\x14":
                self._configured = True
                return frames.pn532_answer(b"\x15")
            case b"\xd4\x32":
                return frames.pn532_answer(b"\x33")
            case b"\xd4\x4a":
                return frames.pn532(look()[: min(command[2], CARDS_AT_ONCE)]) if self._configured else b""
            case _:
                return frames.SYNTAX_ERROR


class Yrm100Device:
    """Idle until it is told to poll; then it tells every round, hit or not. Deaf to the other make's marks."""

    def __init__(self, head: int = 0xBB) -> None:
        self._head = head
        self._line = b""
        self._rounds = self._steps = 0

    def step(self, came: bytes, look: Field) -> bytes:
        """Does what it is told, then the rounds that are left."""
        self._line += came
        said = b""
        while (begin := self._line.find(bytes((self._head,)))) >= 0 and len(self._line) >= begin + 7:
            size = 7 + self._line[begin + 4]
            if len(self._line) < begin + size:
                break
            command, self._line = self._line[begin : begin + size], self._line[begin + size :]
            said += self._answer(command, look)
        self._steps += 1
        if self._rounds and self._steps % STEPS_A_POLL == 0:
            self._rounds -= 1
            said += frames.yrm100(look(), self._head)
        return said

    def _answer(self, command: bytes, look: Field) -> bytes:
        if sum(command[1:-2]) % 256 != command[-2]:
            return frames.yrm100_frame(0x01, 0xFF, b"\x17", self._head)
        match command[2]:
            case 0x22:
                return frames.yrm100(look(), self._head)
            case 0x27:
                self._rounds = int.from_bytes(command[6:8], "big")
                return b""
            case 0x28:
                self._rounds = 0
                return frames.yrm100_frame(0x01, 0x28, b"\0", self._head)
            case _:
                return frames.yrm100_frame(0x01, 0xFF, b"\x17", self._head)


class Twn4Device:
    """Takes SearchTag in one of its forms; anything else is an unknown function (01)."""

    def __init__(self, form: str = "text", *, crc: bool = False) -> None:
        self._form, self._crc = form, crc
        self._line = b""
        self._search = frames.twn4_frame(b"\x05\x00\x20", form=form, crc=crc)

    def step(self, came: bytes, look: Field) -> bytes:
        """Answers each whole command."""
        self._line += came
        said = b""
        while (size := self._size()) and len(self._line) >= size:
            command, self._line = self._line[:size], self._line[size:]
            if command == self._search:
                # One search finds one tag.
                said += frames.twn4_answer(look()[:1], form=self._form, crc=self._crc)
            else:
                said += frames.twn4_frame(b"\x01", form=self._form, crc=self._crc)
        return said

    def _size(self) -> int:
        if self._form == "binary":
            return 2 + int.from_bytes(self._line[:2], "little") if len(self._line) >= 2 else 0
        return self._line.find(b"\r") + 1


DEVICES: dict[str, Callable[[], Device]] = {"pn532": Pn532Device, "twn4": Twn4Device, "yrm100": Yrm100Device}
"""By protocol: the reader in its usual form."""

FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "silence": lambda _said: b"",
    "nack": lambda _said: frames.NACK,
    "error": lambda _said: frames.ACK + frames.SYNTAX_ERROR,
    "checksum": lambda said: said[:-3] + bytes((said[-3] ^ 1,)) + said[-2:],
    "cut": lambda said: said[: len(said) // 2],
    "garbage": lambda said: GARBAGE * (len(said) // len(GARBAGE) + 1),
}
"""What becomes of an answer."""


class ActiveReader(VirtualPort):
    """A reader of `protocol` that answers on its port until `close`. Unplugged and plugged in, it is a reader reset."""

    def __init__(self, protocol: str, make: Callable[[], Device] | None = None) -> None:
        self.protocol = protocol
        self.fault = ""
        """One of `FAULTS`, while it lasts."""
        self._make = make or DEVICES[protocol]
        self._device = self._make()
        self._lying: list[str] = []
        self._passing: dict[str, int] = {}
        self._closing = threading.Event()
        super().__init__()
        self._thread = threading.Thread(target=self._run, name=f"virtual {protocol}", daemon=True)
        self._thread.start()

    def tap(self, uid: str, times: int = 1) -> None:
        """Hold a badge to it until it was read `times` times."""
        bytes.fromhex(uid)
        self._passing[uid] = times

    def lay(self, *uids: str) -> None:
        """Leave these badges on it, and no others."""
        self._lying = list(uids)

    def reset(self) -> None:
        """Its power failed for a moment; the port, on another supply, never noticed."""
        self._device = self._make()

    def replug(self) -> None:
        """The port is back, and the reader behind it begins anew."""
        super().replug()
        self.reset()

    def close(self) -> None:
        """Unplug for good, and clean up."""
        self._closing.set()
        self._thread.join()
        super().close()

    def _run(self) -> None:
        while not self._closing.wait(STEP_S):
            said = self._device.step(self.heard(), self._look)
            if said:
                self.raw(FAULTS[self.fault](said) if self.fault else said)

    def _look(self) -> Sequence[str]:
        passing = [uid for uid, times in self._passing.items() if times > 0]
        for uid in passing:
            self._passing[uid] -= 1
        return [*self._lying, *passing]
