"""The process that holds the relays: a pin falls whatever the kiosk, or that process itself, dies of."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.file_pins import Board
from tests.patience import at_best

Wait = Callable[..., Any]
KIOSK = """
    import time
    from firmware_bridge.relay import Relays
    relays = Relays([5, 6])
    while True:
        relays.beat({5})
        time.sleep(0.2)
"""
LIMIT_S = 2.0
"""Contract, section 7."""


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[Board]:
    """A new board for each measurement."""
    return (Board(tmp_path / f"board-{number}") for number in itertools.count())


@contextmanager
def beating(board: Board) -> Iterator[subprocess.Popen[bytes]]:
    """A process that permits pin 5 again and again."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KIOSK)], env=board.environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def holder_of(process: subprocess.Popen[bytes]) -> int:
    """The process that holds the relays for it."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def fall_s(board: Board, since_s: float, wait_until: Wait) -> float:
    """How long after that moment pin 5 was low."""
    wait_until(lambda: board.level(5) == 0, what="the fall")
    return board.history(5)[-1][0] - since_s


def test_a_permitted_relay_is_held_and_another_is_not(board: Board, wait_until: Wait) -> None:
    with beating(board):
        wait_until(lambda: board.level(5) == 1, what="the permission")
        assert board.level(6) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV])
def test_a_relay_falls_within_2_s_of_the_death_or_the_standstill_of_the_kiosk(
    boards: Iterator[Board], wait_until: Wait, number: signal.Signals
) -> None:
    def fallen_s() -> float:
        board = next(boards)
        with beating(board) as process:
            wait_until(lambda: board.level(5) == 1, what="the permission")
            began_s = time.monotonic()
            process.send_signal(number)
            return fall_s(board, began_s, wait_until)

    assert at_best(fallen_s, LIMIT_S) < LIMIT_S


def test_a_holder_that_is_killed_leaves_its_pin_and_the_next_one_begins_with_it_low(
    board: Board, wait_until: Wait
) -> None:
    with beating(board) as process:
        wait_until(lambda: board.level(5) == 1, what="the permission")
        first = holder_of(process)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(board.history(5)) >= 4, what="another holder")
        assert [level for _, level in board.history(5)][:4] == [0, 1, 0, 1]
        assert holder_of(process) != first


def test_a_holder_that_is_told_to_end_lets_go(boards: Iterator[Board], wait_until: Wait) -> None:
    def low_s() -> float:
        board = next(boards)
        with beating(board) as process:
            wait_until(lambda: board.level(5) == 1, what="the permission")
            began_s = time.monotonic()
            os.kill(holder_of(process), signal.SIGTERM)
            wait_until(lambda: len(board.history(5)) >= 3, what="the fall")
            return board.history(5)[2][0] - began_s

    assert at_best(low_s, LIMIT_S) < LIMIT_S


def test_a_holder_that_stands_still_is_replaced_by_one_that_begins_low(
    boards: Iterator[Board], wait_until: Wait
) -> None:
    def low_s() -> float:
        board = next(boards)
        with beating(board) as process:
            wait_until(lambda: board.level(5) == 1, what="the permission")
            first = holder_of(process)
            began_s = time.monotonic()
            os.kill(first, signal.SIGSTOP)
            wait_until(lambda: len(board.history(5)) >= 3, what="the fall")
            assert board.history(5)[2][1] == 0
            assert holder_of(process) != first
            return board.history(5)[2][0] - began_s

    assert at_best(low_s, LIMIT_S) < LIMIT_S


def test_lines_in_pieces_and_lines_that_pile_up_mean_the_newest(board: Board, wait_until: Wait) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-m", "firmware_bridge.relay", "5", "6"], stdin=subprocess.PIPE, env=board.environment
    )
    assert holder.stdin is not None
    try:
        for piece in (b"5\n", b"5 ", b"6", b"\n\n5 6\n6\n"):
            holder.stdin.write(piece)
            holder.stdin.flush()
        wait_until(lambda: (board.level(5), board.level(6)) == (0, 1), what="the newest line")
    finally:
        holder.stdin.close()
        assert holder.wait(40) == 0
    assert board.level(6) == 0


def test_pins_that_are_not_there_are_told_in_words(board: Board) -> None:
    bare = {**board.environment, "GPIOZERO_PIN_FACTORY": "none-such"}
    ended = subprocess.run(
        [sys.executable, "-m", "firmware_bridge.relay", "5"], env=bare, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert ended.stdout.startswith("pin 5 cannot be driven (")
    assert ended.stderr == ""
