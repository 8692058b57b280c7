"""One life of `sheber run`, watched from outside: its start, its live stream, its end."""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from tests.faults.nursery import ROOT, RUN, Nursery

START_TIMEOUT_S = 90.0
SCREEN = re.compile(r"^kiosk screen (http://\S+)$", re.MULTILINE)
STAFF = re.compile(r"^staff side   (https?://\S+)$", re.MULTILINE)
RED = "NOT RECORDING"
TAP = re.compile(rb"id: (\d+)\nevent: tap\n")


class Process(Protocol):
    """What a life runs in."""

    @property
    def has_ended(self) -> bool:
        """Did it end by itself?"""

    def kill(self) -> int:
        """kill -9 and wait; the status."""

    def wait(self) -> int:
        """Its end; the status."""


class Command:
    """`python -m kiosk run`, exactly as it is installed."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kiosk", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    @property
    def has_ended(self) -> bool:
        """Did it end by itself?"""
        return self._process.poll() is not None

    def kill(self) -> int:
        """kill -9."""
        self._process.kill()
        return self._process.wait()

    def wait(self) -> int:
        """Its end."""
        return self._process.wait(20)


class LifeError(Exception):
    """A kiosk that does not start or answer; the reason in a sentence."""


class Life:
    """`sheber run` on `data`; `up` once its readers are open and its stream is read."""

    def __init__(self, nursery: Nursery | None, lab: Path, data: Path, log: Path, **options: object) -> None:
        log.unlink(missing_ok=True)
        arguments = ["run", "--lab", str(lab), "--data", str(data)]
        self._log = log
        self._process: Process = Command(arguments, log) if nursery is None else nursery
        if nursery is not None:
            nursery.start(RUN, arguments, log, **options)  # type: ignore[arg-type]
        self._stream: socket.socket | None = None
        self._tail = b""
        self.alive = True
        self.shown: list[int] = []
        """The numbers of the entries whose answers stood on the screen, in order."""

    def come_up(self) -> None:
        """Wait until taps are accepted and answers are seen; `LifeError` where that never comes."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while (found := SCREEN.search(self.words())) is None:
            self._be_patient(deadline_s, "the screen's address")
        address = found.group(1)
        while not self._hears(address):
            self._be_patient(deadline_s, "the readers' ports")
        place = urlsplit(address)
        self._stream = socket.create_connection((place.hostname or "", place.port or 0), timeout=10)
        self._stream.sendall(f"GET /feed HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        while b"event: status" not in self._tail:
            data = self._stream.recv(65536)
            if not data:
                raise LifeError(f"the stream ended; it said: {self.words()[-2000:]}")
            self._tail += data
        self._tail = b""
        self._stream.setblocking(False)

    def look(self, wait_s: float = 0.0) -> int:
        """How many answers have been shown so far, after waiting up to `wait_s` for something new."""
        if self._stream is None:
            return 0
        if wait_s:
            select.select([self._stream], [], [], wait_s)
        try:
            while data := self._stream.recv(1 << 20):
                self._tail += data
        except OSError:  # nothing more for the moment, or the end of the process
            pass
        end = 0
        for found in TAP.finditer(self._tail):
            self.shown.append(int(found.group(1)))
            end = found.end()
        self._tail = self._tail[max(end, len(self._tail) - 64) :]
        return len(self.shown)

    def kill(self) -> int:
        """kill -9, then read what had been shown until then."""
        return self._after(self._process.kill())

    def wait(self) -> int:
        """It ends by itself: the status, after reading what was shown."""
        return self._after(self._process.wait())

    @property
    def is_red(self) -> bool:
        """Has it said that it does not record?"""
        return RED in self.words()

    def words(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def _after(self, status: int) -> int:
        self.alive = False
        self.look()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        return status

    @staticmethod
    def _hears(address: str) -> bool:
        """Is every reader's port open?"""
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
                health = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:  # it ended, perhaps
            return False
        return all(reader["connected"] for reader in health["readers"].values())

    @property
    def has_ended(self) -> bool:
        """Did the process end by itself?"""
        return self._process.has_ended

    @property
    def staff_address(self) -> str:
        """Where it says the staff side is."""
        found = STAFF.search(self.words())
        if found is None:
            raise LifeError(f"it did not say where the staff side is: {self.words()[-500:]}")
        return found.group(1)

    def _be_patient(self, deadline_s: float, what: str) -> None:
        if self.has_ended:
            raise LifeError(f"it ended while one waited for {what}; it said: {self.words()[-2000:]}")
        if time.monotonic() > deadline_s:
            raise LifeError(f"waited {START_TIMEOUT_S:g} s in vain for {what}; it said: {self.words()[-2000:]}")
        time.sleep(0.002)
