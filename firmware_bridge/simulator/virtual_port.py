"""A serial port without hardware: a pseudo-terminal that any program opens, with the faults of a real one."""

from __future__ import annotations

import os
import pty
import shutil
import tempfile
import threading
import time
import tty
from pathlib import Path

BITS_A_BYTE = 10
"""8N1: a start bit, eight bits, a stop bit."""
HEARD_BYTES = 4096


class VirtualPort:
    """The far end of a serial line. Plugged in from the start.

    `port` is a stable name, as /dev/serial/by-id is: it leads to the terminal of the moment, and to nothing while the
    reader is unplugged. `device` is that terminal. With `paced`, bytes take the time they take at `baud`.
    """

    def __init__(self, *, paced: bool = False, baud: int = 9600) -> None:
        self._byte_s = BITS_A_BYTE / baud if paced else 0.0
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="sheber-reader-"))
        self._name = self._folder / "port"
        self._line: tuple[int, int] | None = None
        self.lost_bytes = 0
        """Bytes that nobody read in time, or that were sent while unplugged."""
        self.replug()

    @property
    def port(self) -> str:
        """What to open; the same for the whole life of the reader."""
        return str(self._name)

    @property
    def device(self) -> str:
        """The terminal behind `port` now, as /dev/pts/3; empty while unplugged."""
        return os.ttyname(self._line[1]) if self._line else ""

    def raw(self, data: bytes) -> None:
        """Put any bytes on the line. Like a UART it never waits for a reader: what does not fit is lost."""
        with self._lock:
            if not self._byte_s:
                self._write(data)
                return
            for byte in data:
                self._write(bytes((byte,)))
                time.sleep(self._byte_s)

    def heard(self) -> bytes:
        """What was written to it since the last call."""
        with self._lock:
            if self._line is None:
                return b""
            try:
                return os.read(self._line[0], HEARD_BYTES)
            except BlockingIOError:
                return b""

    def unplug(self) -> None:
        """The port is gone, for whoever has it open too."""
        with self._lock:
            if self._line is None:
                return
            self._name.unlink(missing_ok=True)
            for descriptor in self._line:
                os.close(descriptor)
            self._line = None

    def replug(self) -> None:
        """The port is back."""
        with self._lock:
            if self._line is not None:
                return
            # Our own hold on the far end spares us an end of file whenever a program closes the port.
            near, far = pty.openpty()
            tty.setraw(far)
            os.set_blocking(near, False)
            self._name.symlink_to(os.ttyname(far))
            self._line = near, far

    def lose_name(self) -> None:
        """The name under by-id is gone while the terminal behind it stays, as when a driver keeps a dead device."""
        self._name.unlink()

    def close(self) -> None:
        """Unplug for good, and clean up."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, data: bytes) -> None:
        written = 0
        if self._line is not None:
            try:
                written = os.write(self._line[0], data)
            except BlockingIOError:
                written = 0
        self.lost_bytes += len(data) - written
