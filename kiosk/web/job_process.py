"""The process that a job runs in: after everything else on this computer, and with nothing but what it was given.

It reads one pickle (of the process that started it) and says lines of JSON: how far it is, and how it ended. Its input
stays open as long as the kiosk lives: at its end this process ends too, however the kiosk died.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from kiosk.store.schema import StoreError

NICENESS = 15
SAY_EVERY_S = 0.2

log = logging.getLogger(__name__)


def main(given: BinaryIO, said: BinaryIO) -> None:
    """Do the work that is given, and say how it went: nothing is well."""
    os.nice(NICENESS)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses Ctrl-C means the kiosk, which ends this
    name, out, arguments = pickle.load(given)  # noqa: S301 - from the process that started this one, by a pipe
    threading.Thread(target=_end_with, args=(given,), daemon=True).start()
    module, _, function = name.partition(":")
    work: Callable[..., Any] = getattr(import_module(module), function)
    _say(said, over=_outcome(work, Path(out), _teller(said), arguments))


def _end_with(given: BinaryIO) -> None:
    given.read()
    os._exit(1)


def _outcome(work: Callable[..., Any], out: Path, tick: Callable[[int, int], None], arguments: tuple[Any, ...]) -> str:
    try:
        work(out, tick, *arguments)
    except (StoreError, OSError) as error:
        log.warning("the job failed: %s", error)
        return "disk"
    except Exception:
        log.exception("the job failed")
        return "crashed"
    return ""


def _teller(said: BinaryIO) -> Callable[[int, int], None]:
    """Tells how far it is, not more often than anybody looks."""
    last = [0.0]

    def tick(done: int, of: int) -> None:
        now = time.monotonic()
        if done >= of or now - last[0] >= SAY_EVERY_S:
            last[0] = now
            _say(said, done=done, of=of)

    return tick


def _say(said: BinaryIO, **words: object) -> None:
    said.write(json.dumps(words).encode() + b"\n")
    said.flush()


if __name__ == "__main__":
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints talks to the log, not to who waits
    main(os.fdopen(0, "rb"), output)
