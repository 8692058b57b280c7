"""What many tests share: a free port, a real broker, waiting for a condition, and no thread left behind."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.patience import wait_for

if TYPE_CHECKING:
    from delivery_fixtures import Endpoint, Reply
    from playwright.sync_api import Browser
    from sync_fixtures import College

# A law that holds is shown by the same examples each time, however slow the machine is; `./test --all` takes new ones.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile") is None:
        settings.load_profile("steady")


LONGEST = ("staff_walk", "faults_power", "faults_io", "faults_kill", "migrations", "hours_oracle", "screen_walk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker: those that take minutes come first, or the last of them would run alone."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONGEST)


@pytest.fixture
def wait_until() -> Callable[..., object]:
    """`wait_until(condition, timeout_s, what)`: its first true value, or the test fails saying `what` never came."""
    return wait_for


PORTS_OF_A_WORKER = 2_500
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Below those that Linux gives out by itself (32768 and above), and each worker has its own: a port that was free a
# moment ago, or whose broker is away for a moment, is then not taken by somebody else.
_FIRST = 10_000 + WORKER % 8 * PORTS_OF_A_WORKER
_offsets = itertools.cycle(range(PORTS_OF_A_WORKER))
for _ in range(random.randrange(PORTS_OF_A_WORKER)):  # two runs at a time on one machine begin at different ones
    next(_offsets)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    return next(port for port in (_FIRST + offset for offset in _offsets) if _is_free(port))


@pytest.fixture
def free_port() -> Callable[[], int]:
    """`free_port()`: a loopback port that nobody listened on a moment ago; call it once for each port."""
    return _free_port


@dataclass
class Broker:
    """A real mosquitto on loopback; `stop()` and `start()` make an outage on the same port. It keeps nothing."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=_free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen; returns when a connection is taken."""
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is missing; run ./test, or install it with: apt-get install mosquitto")
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(f"listener {self.port} {self.host}\nallow_anonymous true\npersistence false\n")
        log = self.folder / "mosquitto.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen([program, "-c", str(configuration)], stdout=output, stderr=output)
        wait_for(self._answers, what=f"mosquitto to listen; its log is {log}")

    def stop(self) -> None:
        """Leave, as at a power cut: no client hears a goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"mosquitto ended with status {self._process.returncode}; see {self.folder / 'mosquitto.log'}")
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own, with `host`, `port`, `stop()` and `start()`."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """A thread that outlives its test holds ports and files, and keeps a real process from ending."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(10)
    names = ", ".join(sorted(thread.name for thread in left if thread.is_alive()))
    if names:
        pytest.fail(f"threads left running: {names}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for a file's tests, each of which opens contexts of its own."""
    from playwright.sync_api import sync_playwright

    from tests.browser import chromium as start_chromium

    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    """A college with a sync process beside its kiosk, and nothing released yet."""
    from sync_fixtures import College

    college = College(tmp_path)
    yield college
    college.close()


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    """Makes an enterprise's address that gives these replies in turn, and then `after`."""
    from delivery_fixtures import Endpoint

    made: list[Endpoint] = []

    def make(*replies: Reply, after: Reply | None = None) -> Endpoint:
        made.append(Endpoint(*replies, after=after))
        return made[-1]

    yield make
    for one in made:
        one.close()
