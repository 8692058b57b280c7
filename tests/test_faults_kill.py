"""No acknowledged tap is lost, doubled or invented by kill -9: a real kiosk, tapped at random and killed at random."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import SystemRandom

import pytest

ROOT = Path(__file__).parent.parent


def storms(kills: list[int], timeout_s: float) -> list[dict[str, object]]:
    """Storms of so many kills each, two at a time, each with a seed of its own; their figures."""
    seeds = [SystemRandom().randrange(1_000_000) for _ in kills]
    waiting = list(zip(seeds, kills, strict=True))
    figures: list[dict[str, object]] = []
    while waiting:
        pair, waiting = waiting[:2], waiting[2:]
        command = [sys.executable, "-m", "tests.faults.storm"]
        running = [
            (seed, subprocess.Popen([*command, "--seed", str(seed), "--kills", str(count)], cwd=ROOT, stdout=-1))
            for seed, count in pair
        ]
        try:
            for seed, process in running:
                told, _ = process.communicate(timeout=timeout_s)
                assert told, f"the storm with seed {seed} broke off; its words are above"
                figures.append(json.loads(told))
        finally:
            for _, process in running:
                process.kill()
                process.wait()
    return figures


def require(figures: list[dict[str, object]], kills: int) -> None:
    """Nothing broken, and a storm that deserves its name."""
    faults = [f"seed {each['seed']}: {fault}" for each in figures for fault in each["faults"]]  # type: ignore[attr-defined]
    total = {key: sum(each[key] for each in figures) for key in ("kills", "in_flight", "taps", "answered", "starting")}  # type: ignore[misc]
    print(total)
    assert faults == []
    assert total["kills"] == kills
    assert total["in_flight"] >= 0.3 * kills, total
    assert total["starting"] > 0, total
    assert total["answered"] >= kills, total


@pytest.mark.timeout(660)
def test_a_hundred_kills_lose_double_and_invent_nothing() -> None:
    require(storms([50, 50], 600), 100)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_thousand_kills_lose_double_and_invent_nothing() -> None:
    require(storms([100] * 10, 460), 1000)
