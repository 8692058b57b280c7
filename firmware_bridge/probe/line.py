"""Listening to one port to find out what is wrong with it, or what it is: protocol and speed included."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from firmware_bridge import ports
from firmware_bridge.dialogue import Dialogue
from firmware_bridge.line_watch import complaint, slower_speed
from firmware_bridge.ports import Port
from firmware_bridge.probe.protocols import Candidate, Chorus, Read, asking
from firmware_bridge.readers.asking import Asking
from firmware_bridge.readers.base import Badge, Decoder

SPEEDS = (9_600, 2_400, 57_600, 115_200, 19_200, 38_400)
"""Tried in turn while bytes come that nobody reads."""
FRAME_BYTES = 12
"""About one frame. Of a reader that sends faster than we listen less arrives of each, or nothing at all."""
BURSTS = 2
"""So much of a line may be noise; what comes oftener and nobody reads is a reader at another speed."""
PATIENCE_S = 4.0
"""At a speed where nothing comes any more another one is tried after so long."""
QUIET_S = 0.25
"""A frame is over when nothing came for so long; a tap that gives no more is not cut in two."""
FIRST_S = 2.0
"""A reader that speaks by itself is waited for so long before others are asked."""
ASKED_S = 0.7
ASK_AGAIN_S = 15.0
SAMPLE_BYTES = 4_096
OWN = Candidate("")
"""Stands for the decoder that was given."""


class LineProbe:
    """One port. Raises one of `ports.PORT_ERRORS`, or `ValueError`, where it cannot be opened or goes away."""

    def __init__(self, port: str, decoder: Decoder | None = None, baud: int | None = None) -> None:
        """With a `decoder` that one is tried first; without one, whoever speaks by itself or answers is looked for."""
        self._name = port
        self._decoder = decoder
        self._looks = decoder is None
        self.asks = isinstance(decoder, Asking)
        """Is it a reader that says nothing unasked?"""
        self._unread = self._bursts = 0
        self._fresh = False
        self._last_s = 0.0
        self._usual_baud = decoder.baud if decoder is not None else SPEEDS[0]
        self.baud = baud or self._usual_baud
        """What is listened at now; where something was found, what it was found at."""
        self._first_baud = self.baud
        self._tried = {self.baud}
        self._port: Port | None = None
        self._mine = OWN
        self._tune()
        self.sample = b""
        """What came first at the first speed."""
        self.bytes = 0
        self.reads = 0
        """Badges that the decoder at hand read."""
        self.found: Candidate | None = None
        """What reads the line instead, or what it is."""
        self.answered = False
        """Did a reader that must be asked answer?"""

    def open(self) -> None:
        """Take the port for ourselves."""
        self._port = ports.opened(self._name, self.baud)

    def close(self) -> None:
        """Give it back."""
        if self._port is not None:
            ports.close(self._port)

    @property
    def rejected(self) -> dict[str, int]:
        """What the decoder at hand rejected, by reason."""
        return self._decoder.rejected if self._decoder is not None else {}

    @property
    def complaint(self) -> str:
        """What seems wrong with a line on which bytes come and nobody reads them; empty where all is well."""
        if not self.sample or self.reads or self.found:
            return ""
        return complaint(self.sample, self._first_baud, self._usual_baud)

    def listen(
        self,
        for_s: float,
        stopping: threading.Event,
        on_read: Callable[[Read], None] = lambda _: None,
        on_tune: Callable[[int], None] = lambda _: None,
        *,
        ends_with_answer: bool = False,
    ) -> None:
        """Listen for so long; `on_tune` is told of each other speed that is tried."""
        until_s = time.monotonic() + for_s
        ask_s = time.monotonic() + FIRST_S
        dialogue = self._dialogue()
        while time.monotonic() < until_s and not stopping.is_set():
            data = self._exchange(dialogue)
            self._take(data, on_read)
            if ends_with_answer and (self.reads or self.found or self.answered):
                return
            if self._looks and self.found is None and not self.bytes and time.monotonic() >= ask_s:
                self._ask_around(stopping, until_s, on_read)
                ask_s = time.monotonic() + ASK_AGAIN_S
                dialogue = self._dialogue()
            if self._is_unread():
                self._next_speed()
                on_tune(self.baud)

    def _dialogue(self) -> Dialogue | None:
        return Dialogue(self._decoder, time.monotonic()) if isinstance(self._decoder, Asking) else None

    def _exchange(self, dialogue: Dialogue | None) -> bytes:
        """Say what is due, and what came meanwhile."""
        assert self._port is not None
        if dialogue is not None:
            now_s = time.monotonic()
            if dialogue.overdue(now_s) and self._decoder is not None:
                self._decoder.finish()
                dialogue.heard(now_s)
            request = dialogue.due(now_s)
            if request:
                ports.write_out(self._port, ports.descriptor_of(self._port), request)
        return ports.read_some(self._port)

    def _take(self, data: bytes, on_read: Callable[[Read], None]) -> None:
        if not data:
            return
        self.bytes += len(data)
        self._unread += len(data)
        self._fresh = True
        self._last_s = time.monotonic()
        if self.baud == self._first_baud:
            self.sample = (self.sample + data)[:SAMPLE_BYTES]
        reads = self._chorus.feed(data)
        if self._decoder is not None:
            reads = self._own(data) or ([] if self.reads or self.answered else reads)
        for read in reads:
            self._unread = 0
            self.found = None if read.candidate == OWN else read.candidate
            on_read(read)

    def _own(self, data: bytes) -> list[Read]:
        """What the decoder at hand makes of it."""
        assert self._decoder is not None
        badges = [event for event in self._decoder.feed(data) if isinstance(event, Badge)]
        self.reads += len(badges)
        if isinstance(self._decoder, Asking) and self._decoder.understood:
            self.answered = True
            self._unread = 0
        return [Read(self._mine, badge) for badge in badges]

    def _is_unread(self) -> bool:
        quiet_s = time.monotonic() - self._last_s
        if self.reads or self.found or self.answered or quiet_s < QUIET_S:
            return False
        tuned = self.baud != self._first_baud
        if not self._unread:
            return tuned and quiet_s >= PATIENCE_S
        self._bursts += self._fresh
        self._fresh = False
        return self._unread >= FRAME_BYTES or self._bursts >= BURSTS or tuned

    def _next_speed(self) -> None:
        likely = slower_speed(self.sample, self._first_baud, self._usual_baud)
        speeds: tuple[int, ...] = SPEEDS
        if likely is not None:
            speeds = (likely, *SPEEDS)
        elif len(self.sample) < FRAME_BYTES:
            # So little of a frame: the sender is faster. One that is slower makes more bytes of it, not fewer.
            speeds = (*(speed for speed in sorted(SPEEDS) if speed > self._first_baud), *SPEEDS)
        order = [speed for speed in dict.fromkeys(speeds) if speed not in self._tried]
        self._tune_to(order[0] if order else self._first_baud)
        if not order:
            self._tried.clear()
        self._tried.add(self.baud)

    def _ask_around(self, stopping: threading.Event, until_s: float, on_read: Callable[[Read], None]) -> None:
        """Ask each kind of reader that must be asked; whoever answers is the one."""
        before = self.baud
        for candidate, decoder in asking():
            if stopping.is_set() or time.monotonic() >= until_s:
                break
            self._tune_to(decoder.baud)
            self._decoder, self._mine = decoder, candidate
            dialogue = Dialogue(decoder, time.monotonic())
            end_s = time.monotonic() + ASKED_S
            while time.monotonic() < end_s and not stopping.is_set():
                for read in self._own(self._exchange(dialogue)):
                    on_read(read)
                dialogue.heard(time.monotonic())
                if decoder.understood:
                    self.found = candidate
                    return
        self._decoder, self._mine = None, OWN
        self._tune_to(before)

    def _tune_to(self, baud: int) -> None:
        port: Any = self._port
        if baud != self.baud:
            # A port that cannot do this speed stays at its own; the next one is tried.
            with suppress(ValueError):
                port.baudrate = baud
        self.baud = baud
        self._tune()

    def _tune(self) -> None:
        """Bytes of one speed mean nothing at another."""
        self._chorus = Chorus()
        self._unread = self._bursts = 0
        self._fresh = False
        self._last_s = time.monotonic()
