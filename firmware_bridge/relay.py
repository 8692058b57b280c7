"""The relays of the production enable, held by a small process of their own.

A pin keeps its level when the process that drives it is killed. So the kiosk drives no relay itself: it tells this
process twice a second which pins may be high. A second of silence, or the end of the pipe, which the kernel brings
about whatever the kiosk dies of, and the pins are low. Should this process die or stand still, the kiosk starts it
again, and its first act is to drive every pin low. What remains is for the wiring: a relay that is open at rest, a
pull-down at its pin, and `pinctrl_bcm2835.persist_gpio_outputs=n`. It permits production; it protects nobody.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import NoReturn

from firmware_bridge.pins import Output, PinError, output

log = logging.getLogger(__name__)

LET_GO_S = 1.0
SILENT_S = 1.2
"""A process that does not confirm a beat so long stands still."""
START_S = 10.0
"""How long it may take to begin, on a small machine."""
AGAIN_S, NO_PINS_AGAIN_S = 2.0, 60.0
"""Between two starts of the process; and of one that found no pins."""
CONFIRMED = b"\x06"
WORDS_BYTES = 500
ENDING_S = 2.0
STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
NO_PINS = 3
"""Exit status: the pins cannot be driven; why stands on standard output."""


class Relays:
    """The kiosk's end: `beat` twice a second, from one thread."""

    def __init__(self, pins: Collection[int]) -> None:
        self._pins = sorted(pins)
        self._holder: subprocess.Popen[bytes] | None = None
        self._started_s: float | None = None
        self._patience_s = 0.0
        """Until when the process may be silent."""
        self._words = b""
        self._again_s = AGAIN_S
        self.problem = ""
        """Why the relays cannot be driven, in words; empty when all is well."""

    def beat(self, high: Collection[int]) -> None:
        """These pins may be high for another second, the others not. Never waits, never raises."""
        self._listen()
        holder = self._running()
        if holder is None or holder.stdin is None:
            return
        line = " ".join(str(pin) for pin in self._pins if pin in high)
        # A full pipe or a broken one: the silence says it.
        with suppress(OSError):
            os.write(holder.stdin.fileno(), f"{line}\n".encode("ascii"))

    def stop(self) -> None:
        """Let go of all pins."""
        holder, self._holder = self._holder, None
        if holder is not None:
            _end(holder)

    def _listen(self) -> None:
        """What the process confirmed; one that stands still is ended, for its pins stay as they are."""
        holder = self._holder
        if holder is None or holder.stdout is None:
            return
        now_s = time.monotonic()
        with suppress(BlockingIOError):
            heard = os.read(holder.stdout.fileno(), 4096)
            self._words = (self._words + heard).replace(CONFIRMED, b"")[-WORDS_BYTES:]
            if CONFIRMED in heard:
                self._patience_s = now_s + SILENT_S
                self.problem = ""
        if now_s > self._patience_s and holder.poll() is None:
            self._say("the process that holds the relays stands still; starting it again")
            holder.kill()
            holder.wait()
            self._started_s = None

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._holder is not None and self._holder.poll() is not None:
            self._mourn(self._holder)
            self._holder = None
        now_s = time.monotonic()
        if self._holder is None and (self._started_s is None or now_s - self._started_s > self._again_s):
            self._started_s, self._patience_s, self._words = now_s, now_s + START_S, b""
            try:
                self._holder = subprocess.Popen(  # noqa: S603  ourselves, with numbers
                    [sys.executable, "-m", "firmware_bridge.relay", *map(str, self._pins)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            except OSError as error:
                self._say(f"the relays cannot be driven: {error.strerror}; restart the kiosk")
                return None
            for pipe in (self._holder.stdin, self._holder.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
        return self._holder

    def _mourn(self, holder: subprocess.Popen[bytes]) -> None:
        rest = (holder.stdout.read() or b"") if holder.stdout is not None else b""
        words = (self._words + rest).replace(CONFIRMED, b"").decode("utf-8", "replace").strip()
        _end(holder)
        self._again_s = NO_PINS_AGAIN_S if holder.returncode == NO_PINS else AGAIN_S
        self._say(words or f"the process that holds the relays ended with status {holder.returncode}; starting again")

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            log.warning(problem)
        self.problem = problem


def hold(pins: Sequence[int], source: int) -> None:
    """Drive `pins` as the lines from the descriptor `source` say, until its end; low at first, in silence, at the end.

    A line holds the numbers of the pins that are to be high. Raises `PinError`.
    """
    driven: dict[int, Output] = {}
    try:
        for pin in pins:
            driven[pin] = output(pin)
        _follow(driven, source)
    finally:
        for one in driven.values():
            one.off()
            one.close()


def _follow(driven: dict[int, Output], source: int) -> None:
    pending = b""
    while True:
        ready, _, _ = select.select([source], [], [], LET_GO_S)
        heard = os.read(source, 4096) if ready else b""
        if ready and not heard:
            return
        *lines, pending = (pending + heard).split(b"\n")
        if ready and not lines:
            continue
        if ready:
            os.write(STANDARD_OUTPUT, CONFIRMED)
        high = {int(word) for word in lines[-1].split()} if ready else set()
        for pin, one in driven.items():
            one.on() if pin in high else one.off()


def _end(holder: subprocess.Popen[bytes]) -> None:
    for pipe in (holder.stdin, holder.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    try:
        holder.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        holder.kill()
        holder.wait()


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def main(arguments: Sequence[str]) -> int:
    """`python -m firmware_bridge.relay PIN...`"""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the kiosk ends us in its own time
    try:
        hold([int(each) for each in arguments], STANDARD_INPUT)
    except PinError as error:
        os.write(STANDARD_OUTPUT, f"{error}\n".encode())
        return NO_PINS
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
