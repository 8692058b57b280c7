"""A serial port, whatever its name made it: opened, written to, found gone, and what is wrong with it in words."""

from __future__ import annotations

import errno
import io
import os
import socket
import termios
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import serial

READ_BYTES = 4096
POLL_S = 0.1
"""How long a read of a port without a file descriptor (rfc2217://) waits."""
LINE_IDLE_S, PROBE_EVERY_S, PROBES = 1, 1, 3
"""A network that swallows everything is noticed after four seconds, one that refuses at once."""

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

    def write(self, data: bytes) -> int | None:
        """Put bytes on the line."""

    def open(self) -> None:
        """Take it."""

    def close(self) -> None:
        """Give it back."""


def opened(name: str, baud: int) -> Port:
    """The port, ours alone. Raises one of `PORT_ERRORS`, or `ValueError` for what can be no port."""
    port: Port = serial.serial_for_url(  # type: ignore[no-untyped-call]
        name, baudrate=baud, timeout=POLL_S, exclusive=True, do_not_open=True
    )
    try:
        port.open()
    except BaseException:
        close(port)
        raise
    _probe_the_network(port)
    return port


def descriptor_of(port: Port) -> int | None:
    """Its file descriptor, None where it has none (rfc2217://)."""
    try:
        return port.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None


def read_some(port: Port) -> bytes:
    """What a port without a file descriptor has now, or has within `POLL_S`."""
    first = port.read(1)
    return first + port.read(min(port.in_waiting, READ_BYTES)) if first else first


def write_out(port: Port, descriptor: int | None, data: bytes) -> None:
    """Put a request on the line. One that it does not take is lost, like an answer: it is asked again."""
    if descriptor is None:
        port.write(data)
        return
    with suppress(BlockingIOError):
        os.write(descriptor, data)


def require_named(name: str, descriptor: int) -> None:
    """Raise `OSError` where a path no longer leads to the device that is open.

    A link under /dev/serial/by-id vanishes with the reader and comes back to another tty; some drivers keep the old one
    open without a word for as long as somebody holds it.
    """
    if "://" not in name and Path(name).stat().st_rdev != os.fstat(descriptor).st_rdev:
        raise OSError(errno.EIO, "the name leads to another device now")


def close(port: Port) -> None:
    """Give it back, whatever state it is in."""
    line = _socket_of(port)
    # It may be gone already; the handle is released all the same.
    with suppress(*PORT_ERRORS):
        port.close()
    # pyserial 3.5 leaves a socket open whose other end went first.
    if line is not None:
        line.close()


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


def _probe_the_network(port: Port) -> None:
    """A reader behind a network says nothing for hours; whether it still could is asked by TCP itself."""
    line = _socket_of(port)
    if line is None:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, LINE_IDLE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def _socket_of(port: Port) -> socket.socket | None:
    line = getattr(port, "_socket", None)
    return line if isinstance(line, socket.socket) else None
