"""A real mosquitto as a child process, on a free loopback port, with nothing kept."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_S = 5.0
STOP_S = 2.0
CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
"""


class BrokerError(RuntimeError):
    """mosquitto is not installed or does not start; the sentence says what to do."""


class LoopbackBroker:
    """Runs until `stop`; `start` again comes back on the same port, as after a restart."""

    host = "127.0.0.1"

    def __init__(self, extra: str = "") -> None:
        """`extra`: more lines of mosquitto.conf."""
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="sheber-broker-"))
        self.port = _free_port()

    def start(self) -> None:
        """Returns when it answers. Raises `BrokerError`."""
        # Debian keeps it in /usr/sbin, which a user's path does not have.
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise BrokerError("mosquitto is not installed; install the package mosquitto")
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port) + self._extra, encoding="utf-8")
        self._process = subprocess.Popen(  # noqa: S603  a fixed program with our own file
            [program, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise BrokerError(
                    f"mosquitto does not start on port {self.port}; see why with: {program} -v -c {configuration}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """End it. May be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it for good, and clean up."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self.host, self.port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
