"""A process that has imported the product once and forks a child for each start, since imports take a second each.

What runs in the child is the product's own command (`kiosk.cli:main run ...`) or another named function; from outside
it is a process like any other: its own pid, kill -9, an exit status. `Nursery` runs `python -m tests.faults.nursery`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PRELOAD = ("kiosk.cli.run", "kiosk.web.apps", "kiosk.web.feed", "kiosk.web.server", "kiosk.web.staff_rooms")
PRELOAD += ("kiosk.web.announce", "kiosk.web.panel", "tests.faults.desk_run")
PR_SET_PDEATHSIG = 1
PR_SET_PTRACER = 0x59616D61
ANY_TRACER = ctypes.c_ulong(-1)
RUN = "kiosk.cli:main"


class Nursery:
    """The side of whoever wants processes: one child at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.nursery"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=ROOT)
        self._heard_so_far = b""
        self._descriptor = -1
        self._tracer: subprocess.Popen[bytes] | None = None
        self.child: int | None = None

    def start(
        self,
        target: str,
        arguments: Sequence[str],
        log: Path,
        *,
        strace: Sequence[str] = (),
        file_limit: int | None = None,
    ) -> int:
        """Fork a child that calls `target` (`module:function`) with these arguments; its pid.

        `strace` are options for a tracer that is attached before the call; `file_limit` is its RLIMIT_FSIZE in bytes.
        """
        assert self.child is None
        asked = {"target": target, "arguments": list(arguments), "log": str(log), "traced": bool(strace)}
        self._say({**asked, "file_limit": file_limit})
        self.child = int(self._heard())
        self._descriptor = os.pidfd_open(self.child)
        self._say({"go": True})
        if strace:
            command = ["strace", "-f", "-q", *strace, "-p", str(self.child)]
            self._tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.child

    @property
    def has_ended(self) -> bool:
        """Has the child ended by itself? `wait` then returns at once."""
        if b"\n" in self._heard_so_far:
            return True
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def wait(self) -> int:
        """Until the child has ended; its status, negative for a signal."""
        status = int(self._heard())
        self.child = None
        os.close(self._descriptor)
        if self._tracer is not None:
            self._tracer.wait(20)
            self._tracer = None
        return status

    def kill(self) -> int:
        """kill -9, and wait; harmless to a child that has ended by itself."""
        assert self.child is not None
        # By its descriptor: the nursery may have reaped it already, and its number may be another's by now.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        return self.wait()

    def close(self) -> None:
        """End everything."""
        if self.child is not None:
            self.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _say(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    def _heard(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._heard_so_far:
            data = self._process.stdout.read(4096)
            if not data:
                raise RuntimeError("the nursery died; its words are on standard error")
            self._heard_so_far += data
        line, _, self._heard_so_far = self._heard_so_far.partition(b"\n")
        return line


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Import, then fork for each line of standard input."""
    _die_with_parent()
    for name in PRELOAD:
        importlib.import_module(name)
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_born(request)
        print(child, flush=True)
        sys.stdin.readline()  # "go": by now the child is known by a descriptor, and may be reaped
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_born(request: dict[str, Any]) -> None:
    status = 1
    try:
        _die_with_parent()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        if request["traced"]:
            ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY_TRACER)
            while not _is_traced():
                time.sleep(0.001)
        if request["file_limit"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
        module, _, name = request["target"].partition(":")
        getattr(importlib.import_module(module), name)(request["arguments"])
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - what kept a child from its work belongs into its log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _is_traced() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return "TracerPid:\t0\n" not in status


if __name__ == "__main__":
    main()
