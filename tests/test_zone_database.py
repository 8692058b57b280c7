"""A zone database that has Almaty at the wrong hour is refused at the start (hours, section 8)."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

from tests.kiosk_fixtures import write_lab

ROOT = Path(__file__).parents[1]


def zones_of_2023(folder: Path) -> Path:
    """A database in which Almaty is still at UTC+6 (RFC 8536, version 1, one type)."""
    zone = folder / "Asia" / "Almaty"
    zone.parent.mkdir(parents=True)
    header = b"TZif\0" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    zone.write_bytes(header + struct.pack(">lBB", 6 * 3600, 0, 0) + b"+06\0")
    return folder


def test_a_kiosk_does_not_start_on_an_old_zone_database_and_says_what_to_update(tmp_path: Path) -> None:
    lab = write_lab(tmp_path, {})
    done = subprocess.run(
        [sys.executable, "-m", "kiosk", "run", "--lab", str(lab), "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "PYTHONTZPATH": str(zones_of_2023(tmp_path / "zones"))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert "The zone database is older than 2024a" in said
    assert "apt install --only-upgrade tzdata" in said
    assert not (tmp_path / "data").exists()
