"""What jobs of the tests do, in a process that imports little else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def writes(out: Path, tick: Callable[[int, int], None], text: str) -> None:
    tick(1, 2)
    out.write_text(f"{text} {os.getpriority(os.PRIO_PROCESS, 0)}")
    tick(2, 2)


def waits_for_a_file(out: Path, tick: Callable[[int, int], None], gate: Path) -> None:
    tick(3, 10)
    while not gate.exists():
        time.sleep(0.01)
    out.write_text("passed")


def leaves_pieces(out: Path, tick: Callable[[int, int], None], how: str) -> None:
    """As a workbook that is not done: what it was to be made of lies beside it."""
    (out.parent / "tmp1").write_text("names")
    (out.parent / "tmp2").write_text("names")
    out.write_text("half")
    tick(1, 2)
    if how == "fails":
        raise OSError(28, "No space left on device")
    if how == "dies":
        os.kill(os.getpid(), 9)
    time.sleep(60)


def fails(_out: Path, _tick: Callable[[int, int], None]) -> None:
    raise RuntimeError("a secret name")


def finds_no_room(_out: Path, _tick: Callable[[int, int], None]) -> None:
    raise OSError(28, "No space left on device")


def dies(_out: Path, _tick: Callable[[int, int], None]) -> None:
    os.kill(os.getpid(), 9)


def tells_its_number(_out: Path, _tick: Callable[[int, int], None], where: Path) -> None:
    where.write_text(str(os.getpid()))
    time.sleep(60)
