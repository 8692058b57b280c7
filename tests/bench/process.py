"""A real `sheber run` in a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.office import DATABASE
from kiosk.store.schema import open_reader
from tests.bench import BenchError

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
RETRY_S = 0.02
TAP_TYPES = ("session_opened", "session_closed", "tap_read", "tap_refused")

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """How a start went, in seconds from the moment the process was asked for."""

    port_open_s: float
    tap_s: float
    """The first tap is a committed entry."""
    screen_s: float
    """The kiosk screen takes connections."""


@dataclass(frozen=True)
class Memory:
    """Of one process, in megabytes (10**6 bytes): `smaps_rollup`, and the highest resident so far."""

    rss_mb: float
    pss_mb: float
    anonymous_mb: float
    peak_mb: float


class KioskProcess:
    """`sheber run`; what it says goes to `log`."""

    def __init__(self, lab: Path, data: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._lab = lab
        self._data = data
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, reader: VirtualReader, uid: str, screen_port: int) -> Start:
        """Start it and tap as soon as the reader's port is open, again and again until a tap is an entry.

        A frame that is written before the port is set up is thrown away, as pyserial does; the next one follows 20 ms
        later. The database is looked into only from then on, so that nobody stands in the way of the start.
        """
        size = 0
        if (self._data / DATABASE).exists():
            size = ledger_size(self._data)
        began_s = time.monotonic()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kiosk", "run", "--lab", str(self._lab), "--data", str(self._data)],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=self._environment,
            )
        self._until(lambda: self._has_open(reader.device), "the reader's port is opened")
        port_open_s = time.monotonic() - began_s
        tapped_s = 0.0

        def accepted() -> bool:
            nonlocal tapped_s
            if time.monotonic() - tapped_s >= RETRY_S:
                reader.tap(uid)
                tapped_s = time.monotonic()
            return _has_tap(self._data, size)

        self._until(accepted, "a tap is accepted")
        tap_s = time.monotonic() - began_s
        self._until(lambda: _answers(screen_port), "the screen answers")
        return Start(port_open_s, tap_s, time.monotonic() - began_s)

    def stop(self) -> None:
        """End it politely; `BenchError` if it does not end well. May be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            status = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise BenchError(f"sheber run did not stop within {STOP_TIMEOUT_S:g} s; see {self._log}") from None
        if status:
            raise BenchError(f"sheber run ended with status {status}: {self._last_words()}")

    def memory(self) -> Memory:
        """Now."""
        assert self._process is not None
        proc = Path("/proc") / str(self._process.pid)
        sizes = _kilobytes(proc / "smaps_rollup")
        peak = _kilobytes(proc / "status")["VmHWM"]
        return Memory(*(kb * 1024 / 1e6 for kb in (sizes["Rss"], sizes["Pss"], sizes["Anonymous"], peak)))

    def processor_s(self) -> float:
        """Seconds of processor that all its threads took so far; a busy machine hardly changes it."""
        assert self._process is not None
        # What clock_getcpuclockid(3) makes of a process: its own clock, in nanoseconds.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def _has_open(self, device: str) -> bool:
        assert self._process is not None
        folder = f"/proc/{self._process.pid}/fd"
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 - a thousand times a second
                with suppress(OSError):
                    if os.readlink(f"{folder}/{name}") == device:  # noqa: PTH115
                        return True
        return False

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not condition():
            if self._process.poll() is not None:
                raise BenchError(f"sheber run ended before {what}: {self._last_words()}")
            if time.monotonic() > deadline_s:
                raise BenchError(f"waited {START_TIMEOUT_S:g} s in vain until {what}: {self._last_words()}")
            time.sleep(0.001)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


class Stream:
    """A browser's live stream, reduced to its socket: when do the bytes of a `tap` event arrive?"""

    _MARK = b"event: tap\n"

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        head = b""
        while b"event: status" not in head:
            data = self.socket.recv(65536)
            if not data:
                raise BenchError("the kiosk closed the stream; is GET /feed still its path?")
            head += data
        self.socket.setblocking(False)
        self._tail = b""

    def taps(self) -> int:
        """How many `tap` events began in the bytes that are there now."""
        try:
            data = self._tail + self.socket.recv(1 << 20)
        except BlockingIOError:
            return 0
        if len(data) == len(self._tail):
            raise BenchError("the kiosk closed the stream in the middle of the taps")
        # A mark may be cut in two; what is kept is too short to hold a whole one.
        self._tail = data[-(len(self._MARK) - 1) :]
        return data.count(self._MARK)

    def close(self) -> None:
        """Leave."""
        self.socket.close()


def get(port: int, path: str) -> None:
    """One page; `BenchError` unless it is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise BenchError(f"GET {path} at port {port} answered {answer.status}")


def as_installed(folder: Path) -> dict[str, str]:
    """The environment of a kiosk that was started before: Python keeps its bytecode, here in `folder`.

    Without it (PYTHONDONTWRITEBYTECODE, or a fresh checkout) each start compiles the sources: slower, and 6 MB more.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def run_command(environment: Mapping[str, str], *arguments: str) -> None:
    """A `sheber` command that must succeed."""
    command = [sys.executable, "-m", "kiosk", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"sheber {' '.join(arguments)} failed: {done.stderr.strip()}")


def forget_files(*folders: Path) -> None:
    """Ask the kernel to drop these folders, the interpreter's library and ours from its file cache, as far as it can.

    What another process has mapped stays, and so does what a hypervisor keeps: cold as far as a user can make it.
    """
    os.sync()
    library = Path(sysconfig.get_path("stdlib"))
    ours = [ROOT / name for name in ("kiosk", "firmware_bridge", "lab_config")]
    for folder in (library, Path(sysconfig.get_path("purelib")), *ours, *folders):
        for path in folder.rglob("*"):
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)


def free_ports() -> tuple[int, int]:
    """Two that nobody listens at now."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])


def ledger_size(data: Path) -> int:
    """How many entries there are."""
    with closing(open_reader(data / DATABASE)) as connection:
        (size,) = connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM ledger").fetchone()
        return int(size)


def entries_by_type(data: Path, since: int) -> dict[str, int]:
    """How many entries of each type there are from number `since` on."""
    with closing(open_reader(data / DATABASE)) as connection:
        return dict(connection.execute("SELECT type, count(*) FROM ledger WHERE seq >= ? GROUP BY type", (since,)))


def _has_tap(data: Path, since: int) -> bool:
    try:
        return not entries_by_type(data, since).keys().isdisjoint(TAP_TYPES)
    except sqlite3.OperationalError:
        return False  # a new file whose first transaction is just being made


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kilobytes(path: Path) -> dict[str, int]:
    """The `Name:   123 kB` lines of a file of /proc."""
    found = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[2] == "kB":
            found[parts[0].rstrip(":")] = int(parts[1])
    return found
