"""Ten minutes of bytes that atheris found interesting, over every reader and every dialect (`./test --all`)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from firmware_bridge import registry

DECODERS = [("reader", name) for name in registry.READERS] + [("machine", name) for name in registry.MACHINES]
EACH_S = 600 // len(DECODERS)


@pytest.mark.slow
@pytest.mark.timeout(EACH_S + 120)
@pytest.mark.parametrize(("kind", "name"), DECODERS)
def test_no_bytes_break_what_a_decoder_promises(kind: str, name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", kind, name, "--seconds", str(EACH_S)]
    fuzzed = subprocess.run(command, capture_output=True, check=False)
    assert fuzzed.returncode == 0, fuzzed.stderr[-3_000:].decode(errors="replace")
