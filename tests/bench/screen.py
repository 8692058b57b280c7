"""`python -m tests.bench.screen`: from the committed entry to the painted answer, in a real browser.

A real `sheber run` with ten readers; a real Chromium shows its screen. The commit is seen in SQLite's shared memory
(`commits.py`), the paint by the browser itself: `performance.now()` in the task after the frame that follows the
event. The browser's clock is set against ours by asking it, fifty times; the shortest question bounds the error. Beside
each tap, in the same seconds, an empty event goes down the same stream: a relay between browser and kiosk adds it.
Then the same with sixteen screens at once, and what the fifteen others cost a tap.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from playwright.sync_api import Page, sync_playwright

from firmware_bridge.simulator.broker import BrokerError
from firmware_bridge.simulator.frames import rdm6300
from kiosk.office import DATABASE
from tests.bench import BenchError, lab
from tests.bench.__main__ import FIRST_BADGE, SEED, Site, a_site
from tests.bench.commits import Commits
from tests.bench.figures import facts, percentile
from tests.bench.process import Stream, run_command
from tests.browser import chromium

GOAL_S = 0.100
SCREENS = 16
PATIENCE_S = 3.0
PAUSE_S = (0.05, 0.25)
"""People; a board that follows an answer is drawn within the pause, as it would be."""
ASKED = 50
EMPTY = b"event: nothing\ndata: {}\n\n"
WATCH = """() => {
  const painted = [];
  let waiting = null;
  const keep = (pair) => { if (waiting) { waiting(pair); waiting = null; } else painted.push(pair); };
  window.nextPainted = (patience) => new Promise((done) => {
    if (painted.length) { done(painted.shift()); return; }
    waiting = done;
    setTimeout(() => { if (waiting === done) { waiting = null; done(null); } }, patience);
  });
  const after = (seen) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => keep([seen, performance.now()]);
    channel.port2.postMessage(0);
  });
  const tapped = window.sheberVisit.tapped;
  window.sheberVisit.tapped = (event) => { const seen = performance.now(); tapped(event); after(seen); };
  window.nothing = () => { const seen = performance.now(); after(seen); };
}"""
HEAR_NOTHING = """() => {
  const Source = window.EventSource;
  window.EventSource = class extends Source {
    constructor(...all) { super(...all); this.addEventListener('nothing', () => window.nothing?.()); }
  };
}"""


@dataclass
class Took:
    """Seconds, one for each tap."""

    committed: list[float] = field(default_factory=list)
    """Last byte to the entry."""
    seen: list[float] = field(default_factory=list)
    """The entry to the event in the page's script."""
    painted: list[float] = field(default_factory=list)
    """The entry to the painted answer."""
    empty: list[float] = field(default_factory=list)
    """An empty event: sent to painted."""
    shared: int = 0
    """Taps left out: another transaction fell into their time."""


class Relay:
    """Between the browser and the kiosk: passes every byte on, and can add an empty event to the live stream."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._stream: socket.socket | None = None
        self._whole = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def add_empty(self) -> float | None:
        """Between two events; returns when. None where one is just under way."""
        with self._lock:
            if self._stream is None or not self._whole:
                return None
            began_s = time.monotonic()
            self._stream.sendall(EMPTY)
            return began_s

    def close(self) -> None:
        """End every connection."""
        self._ended = True
        self._thread.join(2)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.1):
                if key.data is None:
                    self._pair()
                else:
                    self._pass_on(key.fileobj, key.data)  # type: ignore[arg-type]

    def _pair(self) -> None:
        browser, _ = self._listener.accept()
        kiosk = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        for each, other in ((browser, kiosk), (kiosk, browser)):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(each, selectors.EVENT_READ, other)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            data = source.recv(1 << 20)
        except OSError:
            data = b""
        with self._lock:
            if data:
                target.sendall(data)
                if b"text/event-stream; charset" in data:
                    self._stream = target
                if target is self._stream:
                    self._whole = data.endswith(b"\n\n")
                return
            if self._stream in {source, target}:
                self._stream = None
        for each in (source, target):
            if each.fileno() in {key.fd for key in self._selector.get_map().values()}:
                self._selector.unregister(each)
            each.close()


@contextmanager
def other_screens(port: int, count: int) -> Iterator[None]:
    """More live screens, which read what they are sent."""
    streams = [Stream(port) for _ in range(count)]
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.02):
            for each in streams:
                each.taps()

    reader = threading.Thread(target=read, name="screens", daemon=True)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join(5)
        for each in streams:
            each.close()


def offset_s(page: Page) -> tuple[float, float]:
    """(our monotonic clock minus the page's, half of the shortest question's time), in seconds."""
    tries = []
    for _ in range(ASKED):
        began_s = time.monotonic()
        theirs_ms = float(page.evaluate("performance.now()"))
        ended_s = time.monotonic()
        tries.append(((ended_s - began_s) / 2, (began_s + ended_s) / 2 - theirs_ms / 1e3))
    error_s, offset = min(tries)
    return offset, error_s


def taps(site: Site, page: Page, relay: Relay, visits: Iterator[tuple[str, str]], count: int) -> tuple[Took, float]:
    """One after the other, each with an empty event; what they took, and the error of the clocks."""
    took, chance = Took(), Random(SEED)
    offset, error_s = offset_s(page)
    with closing(Commits(site.data / DATABASE)) as commits:
        for _ in range(count):
            time.sleep(chance.uniform(*PAUSE_S))
            sent_s = relay.add_empty()
            if sent_s is not None:
                took.empty.append(_painted(page, offset)[1] - sent_s)
            time.sleep(chance.uniform(*PAUSE_S))
            reader, uid = next(visits)
            before = commits.count()
            site.readers[reader].raw(rdm6300(uid))
            began_s = time.monotonic()
            while commits.count() == before:
                if time.monotonic() - began_s > PATIENCE_S:
                    raise BenchError("a tap made no entry within 3 s")
                time.sleep(0.000_05)
            committed_s = time.monotonic()
            seen_s, painted_s = _painted(page, offset)
            if commits.count() - before != 1:
                took.shared += 1
                continue
            took.committed.append(committed_s - began_s)
            took.seen.append(seen_s - committed_s)
            took.painted.append(painted_s - committed_s)
    return took, error_s


def _painted(page: Page, offset: float) -> tuple[float, float]:
    """The next (seen, painted) by our clock."""
    first: list[float] | None = page.evaluate("(patience) => window.nextPainted(patience)", PATIENCE_S * 1e3)
    if first is None:
        raise BenchError("nothing was painted within 3 s")
    return first[0] / 1e3 + offset, first[1] / 1e3 + offset


def measure(folder: Path, count: int) -> list[str]:
    """Everything in one run; the lines to print."""
    about = facts(folder)
    with ExitStack() as parts:
        site = a_site(folder, parts)
        site.start(lab.STRANGER)
        run_command(site.environment, "people", "import", str(lab.write_people(folder)), "--data", str(site.data))
        site.kiosk.stop()
        site.start(FIRST_BADGE)
        relay = parts.enter_context(closing(Relay(site.screen)))
        browser = parts.enter_context(closing(chromium(parts.enter_context(sync_playwright()))))
        page = browser.new_page(viewport={"width": 1024, "height": 600})
        page.add_init_script(f"({HEAR_NOTHING})()")
        page.goto(f"http://127.0.0.1:{relay.port}/")
        page.wait_for_selector("#lost", state="hidden")
        page.evaluate(WATCH)
        visits = lab.visits()
        taps(site, page, relay, visits, 5)  # the first of anything is slower
        alone, error_s = taps(site, page, relay, visits, count)
        with other_screens(site.screen, SCREENS - 1):
            crowd, _ = taps(site, page, relay, visits, count)
    met = percentile(alone.painted, 95) < GOAL_S and percentile(crowd.painted, 95) < GOAL_S
    return [
        *_rows("one screen", alone),
        *_rows(f"{SCREENS} screens", crowd),
        f"goal: 95th of entry to painted under {GOAL_S * 1e3:g} ms: {'met' if met else 'MISSED'}",
        f"clocks agree within {error_s * 1e3:.2f} ms; {alone.shared + crowd.shared} taps left out; "
        f"load {about['load']} before, {os.getloadavg()[0]:.1f} after, on {about['cores']} cores",
    ]


def _rows(who: str, took: Took) -> list[str]:
    named = (
        ("last byte to the committed entry", took.committed),
        ("entry to the event in the page", took.seen),
        ("entry to the painted answer", took.painted),
        ("an empty event, sent to painted", took.empty),
    )
    return [
        f"{who:10}  {name:34} "
        + "   ".join(f"{each}% {percentile(values, each) * 1e3:7.2f} ms" for each in (50, 95, 99))
        + f"   ({len(values)})"
        for name, values in named
    ]


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.screen", description=__doc__)
    parser.add_argument("--taps", type=int, default=150, help="for each number of screens (default 150)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="on the disk to measure (default /var/tmp)")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="sheber-bench-", dir=asked.dir) as folder:
            print("\n".join(measure(Path(folder), max(1, asked.taps))))
    except (BenchError, BrokerError, OSError) as error:
        print(f"the bench could not run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
