"""One thread a port: open, read, feed, deliver; lose the port, wait, reopen."""

from __future__ import annotations

import errno
import io
import os
import select
import termios
import threading
from collections.abc import Callable
from typing import Protocol

import serial

from firmware_bridge.delivery import Deliver
from firmware_bridge.observations import BadgeSeen, ReaderChanged
from firmware_bridge.readers.base import Badge, Decoder, Event, is_zero
from firmware_bridge.readers.transforms import transform as transform_named

READ_BYTES = 4096
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
"""A reader that is plugged in again is back within this."""
POLL_S = 0.1
"""How long a read of a port without a file descriptor (rfc2217://) waits."""
STOP_S = 0.5

PORT_ERRORS = (serial.SerialException, OSError, termios.error)
"""What a port does that is unplugged, missing or taken. Anything else is a fault of ours and ends the process."""


class Port(Protocol):
    """What is used of a pyserial port, whatever its URL made it."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def fileno(self) -> int:
        """Its file descriptor; raises where it has none."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer after the timeout."""

    def close(self) -> None:
        """Give it back."""


class SerialLink:
    """Listens to one reader until `stop`. Every badge of every frame is delivered, at once; the domain de-bounces."""

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
        self._bytes = self._opened = self._zeros = 0

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
        """Is the port open?"""
        return self._last_told is not None and self._last_told.connected

    def counts(self) -> dict[str, int]:
        """Totals since start: bytes, frames (good ones), opened, and `rejected_<reason>`."""
        rejected = self._decoder.rejected
        rejected["noise"] = rejected.get("noise", 0) + self._zeros
        return {
            "bytes": self._bytes,
            "frames": self._decoder.badges,
            "opened": self._opened,
            **{f"rejected_{reason}": count for reason, count in sorted(rejected.items())},
        }

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
            port = serial.serial_for_url(  # type: ignore[no-untyped-call]
                self._port, baudrate=self._baud, timeout=POLL_S, exclusive=True
            )
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
            _close(port)
            # Half a frame of before must never be joined to half a frame of after.
            self._take(self._decoder.finish())

    def _listen(self, port: Port) -> str:
        descriptor = _descriptor(port)
        while not self._stopping.is_set():
            try:
                data = self._read(port) if descriptor is None else self._read_ready(descriptor)
            except PORT_ERRORS as error:
                return in_words(self._port, error)
            if data:
                self._bytes += len(data)
                self._take(self._decoder.feed(data))
        return ""

    def _read_ready(self, descriptor: int) -> bytes:
        """What is there now; empty when woken by `stop`. The fastest way of all that were measured."""
        ready, _, _ = select.select([descriptor, self._wake_read], [], [])
        if self._wake_read in ready:
            return b""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.EIO, "the line ended")
        return data

    @staticmethod
    def _read(port: Port) -> bytes:
        first = port.read(1)
        return first + port.read(port.in_waiting) if first else first

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Badge):
                continue
            uid = self._transform(event.uid)
            # What is left of a number after a transform can be zeros, too, and many cards would share it.
            if is_zero(uid):
                self._zeros += 1
            else:
                self._deliver(BadgeSeen(self._reader, uid))

    def _tell(self, connected: bool, detail: str) -> None:
        """Say it once: a port that is still missing for the same reason is no news."""
        told = ReaderChanged(self._reader, connected, detail)
        if told != self._last_told:
            self._last_told = told
            self._deliver(told)


def in_words(port: str, error: BaseException) -> str:
    """What is wrong with a port and what to do, for the instructor."""
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return f"{port} is not there; plug the reader in"
        case errno.EACCES | errno.EPERM:
            return f"{port} may not be opened; add the kiosk's user to the group dialout"
        case errno.EAGAIN | errno.EBUSY:
            return f"{port} is held by another program; close that one"
        case errno.EIO:
            return f"{port} went away; plug the reader in again"
        case _:
            return f"{port} failed: {error}; check the cable and the port's name"


def _descriptor(port: Port) -> int | None:
    try:
        return port.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None


def _close(port: Port) -> None:
    try:
        port.close()
    except PORT_ERRORS:
        # It is gone already; the handle is released all the same.
        return
