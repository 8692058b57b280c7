"""The screen's bench runs and says what it promises; how fast it all is is no test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.browser
def test_the_bench_measures_a_painted_answer_beside_an_empty_event(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.screen", "--taps", "3", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    for who in ("one screen", "16 screens"):
        for what in ("entry to the painted answer", "an empty event, sent to painted"):
            assert f"{who}  {what}" in done.stdout
    assert "goal: 95th of entry to painted under 100 ms: " in done.stdout
    assert "clocks agree within" in done.stdout
