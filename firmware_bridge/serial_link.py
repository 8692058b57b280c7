"""One thread a port: open, ask where the reader wants it, read, feed, deliver; lose the port, wait, reopen."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable

from firmware_bridge import ports
from firmware_bridge.delivery import Deliver
from firmware_bridge.dialogue import Dialogue
from firmware_bridge.line_watch import LineWatch
from firmware_bridge.observations import BadgeSeen, ReaderChanged
from firmware_bridge.ports import PORT_ERRORS, READ_BYTES, Port, in_words
from firmware_bridge.readers.asking import Asking
from firmware_bridge.readers.base import Badge, Decoder, Event, is_zero
from firmware_bridge.readers.transforms import transform as transform_named
from firmware_bridge.thinning import Thinning

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
"""A reader that is plugged in again is back within this."""
LOOK_S = 1.0
"""How often it is asked whether a port's name still leads to what is open: an unplug is seen within two seconds."""
STOP_S = 0.5
FLOOD_BYTES = 1_024
"""What no reader leaves unread; a line that has so much is read no faster than `_pace`."""
PACE_MIN = 32_000
"""Bytes a second: nearly three times what 115200 baud can bring, and little work."""
BABBLE_S = 5.0


class SerialLink:
    """Listens to one reader until `stop`. Badges are delivered at once; the domain de-bounces.

    A card that stays and a reader that babbles are thinned (`thinning`), so that they cannot crowd out the others.
    """

    def __init__(
        self,
        reader: str,
        port: str,
        decoder: Decoder,
        deliver: Deliver,
        *,
        baud: int | None = None,
        transform: str | None = None,
    ) -> None:
        """`port` is a path or a pyserial URL. Raises `OptionError` for an unknown `transform`."""
        self._reader = reader
        self._port = port
        self._decoder = decoder
        self._deliver = deliver
        self._baud = decoder.baud if baud is None else baud
        self._transform: Callable[[str], str] = transform_named(transform)
        self._thread = threading.Thread(target=self._run, name=f"reader {reader}", daemon=True)
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = -1, -1
        self._last_told: ReaderChanged | None = None
        self._thinning = Thinning()
        self._pace = max(PACE_MIN, self._baud // 5)
        self._bytes = self._opened = self._zeros = self._thinned = 0
        self._flood_bytes, self._babbled_at_s = 0, float("-inf")

    def start(self) -> None:
        """Begin to listen. A port that is not there yet is waited for."""
        self._wake_read, self._wake_write = os.pipe()
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the thread, within half a second. May be called again."""
        if self._stopping.is_set() or not self._thread.ident:
            return
        self._stopping.set()
        os.write(self._wake_write, b"\0")
        self._thread.join(STOP_S)
        # A thread that hangs in a driver keeps its end of the pipe; it dies with the process.
        if not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    def is_alive(self) -> bool:
        """Does its thread run?"""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Is the port open, and does a reader that must be asked answer?"""
        return self._last_told is not None and self._last_told.connected

    def counts(self) -> dict[str, int]:
        """Totals since start: bytes, frames (good ones), opened, thinned, and `rejected_<reason>`."""
        return {
            "bytes": self._bytes,
            "frames": self._decoder.badges,
            "opened": self._opened,
            "thinned": self._thinned,
            **{f"rejected_{reason}": count for reason, count in self.rejected().items()},
        }

    def rejected(self) -> dict[str, int]:
        """How often each reason of rejection occurred since start."""
        rejected = self._decoder.rejected
        rejected["noise"] = rejected.get("noise", 0) + self._zeros
        return dict(sorted(rejected.items()))

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            heard = self._bytes
            reason = self._hold()
            if self._stopping.is_set():
                return
            self._tell(False, reason)
            # A port that opens and fails at once, again and again, must not spin.
            pause_s = FIRST_PAUSE_S if self._bytes > heard else min(pause_s * 2, LONGEST_PAUSE_S)
            self._stopping.wait(pause_s)

    def _hold(self) -> str:
        """Open the port and listen until it is lost or `stop` is called; returns why it ended, in words."""
        try:
            port = ports.opened(self._port, self._baud)
        except PORT_ERRORS as error:
            return in_words(self._port, error)
        except ValueError as error:
            # pyserial: an unknown URL scheme or a speed that no port has.
            return f"{self._port} cannot be a port: {error}; correct port or baud in the lab"
        try:
            self._opened += 1
            self._tell(True, "")
            return self._listen(port)
        finally:
            ports.close(port)
            # Half a frame of before must never be joined to half a frame of after.
            self._take(self._decoder.finish())

    def _listen(self, port: Port) -> str:
        descriptor = ports.descriptor_of(port)
        watch = LineWatch(self._baud, self._decoder.baud)
        asked = self._decoder if isinstance(self._decoder, Asking) else None
        dialogue = Dialogue(asked, time.monotonic()) if asked else None
        look_s = time.monotonic() + LOOK_S
        while not self._stopping.is_set():
            try:
                self._ask(port, descriptor, dialogue)
                self._tell_how_it_is(watch, dialogue)
                data = self._read(port, descriptor, dialogue)
                if descriptor is not None and time.monotonic() >= look_s:
                    ports.require_named(self._port, descriptor)
                    look_s = time.monotonic() + LOOK_S
            except PORT_ERRORS as error:
                return in_words(self._port, error)
            if data:
                self._bytes += len(data)
                self._take(self._decoder.feed(data))
                watch.heard(data, asked.understood if asked else self._decoder.badges)
                if dialogue:
                    dialogue.heard(time.monotonic())
            self._keep_pace(len(data))
        return ""

    def _ask(self, port: Port, descriptor: int | None, dialogue: Dialogue | None) -> None:
        if dialogue is None:
            return
        if dialogue.overdue(time.monotonic()):
            # The answer may stand behind something that only looked like the beginning of a frame.
            self._take(self._decoder.finish())
            dialogue.heard(time.monotonic())
        request = dialogue.due(time.monotonic())
        if request:
            ports.write_out(port, descriptor, request)

    def _read(self, port: Port, descriptor: int | None, dialogue: Dialogue | None) -> bytes:
        if descriptor is None:
            return ports.read_some(port)
        return self._read_ready(descriptor, min(dialogue.wait_s(time.monotonic()), LOOK_S) if dialogue else LOOK_S)

    def _read_ready(self, descriptor: int, wait_s: float) -> bytes:
        """What comes first; empty when woken by `stop` or after `wait_s`. The fastest way of all that were measured."""
        ready, _, _ = select.select([descriptor, self._wake_read], [], [], wait_s)
        if not ready or self._wake_read in ready:
            return b""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.EIO, "the line ended")
        return data

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Badge):
                continue
            uid = self._transform(event.uid)
            # What is left of a number after a transform can be zeros, too, and many cards would share it.
            if is_zero(uid):
                self._zeros += 1
            elif self._thinning.passes(uid, time.monotonic()):
                self._deliver(BadgeSeen(self._reader, uid))
            else:
                self._thinned += 1

    def _keep_pace(self, size: int) -> None:
        """Bounded work: what a flooded line has beyond it is lost in the driver, as on a wire."""
        if size < FLOOD_BYTES:
            self._flood_bytes = 0
            return
        self._flood_bytes += size
        if self._flood_bytes > self._pace:
            self._babbled_at_s = time.monotonic()
        self._stopping.wait(size / self._pace)

    def _tell_how_it_is(self, watch: LineWatch, dialogue: Dialogue | None) -> None:
        silent = dialogue is not None and dialogue.silent
        if time.monotonic() - self._babbled_at_s < BABBLE_S:
            words = f"{self._port} brings more bytes than a reader can send; unplug the reader and check it"
        elif watch.complaint:
            words = f"{self._port}: {watch.complaint}"
        else:
            words = f"{self._port}: the reader does not answer; check its power, wires and baud" if silent else ""
        self._tell(not silent, words)

    def _tell(self, connected: bool, detail: str) -> None:
        """Say it once: a port that is still missing for the same reason is no news."""
        told = ReaderChanged(self._reader, connected, detail)
        if told != self._last_told:
            self._last_told = told
            self._deliver(told)
