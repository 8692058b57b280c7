"""A reader and a machine dialect of another maker: installed as a package, and used like those that are built in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.simulator.virtual_port import VirtualPort
from tests.mqtt_fixtures import client

ROOT = Path(__file__).parent.parent
PACKAGE = Path(__file__).parent / "third_party"
FRAME = b"#04A1B2C3*D4\n"
LAB = """
[lab]
id = "w3"
[[reader]]
id = "r1"
port = "{port}"
protocol = "acme-rfid"
machine = "mill-1"
[[machine]]
id = "mill-1"
status = {{dialect = "acme-monitor", topic = "acme/17"}}
[[programme]]
id = "cnc"
title = "CNC"
[[programme.process]]
id = "CNC3"
title = "Mills"
machines = ["mill-1"]
"""
PEOPLE = "person_id,role,surname,given,programme,badges\np1,apprentice,Doe,Jo,cnc,04A1B2C3\n"

Sheber = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the package, built and installed without the network."""
    folder = tmp_path_factory.mktemp("acme")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", folder, PACKAGE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def sheber(installed: Path, tmp_path: Path) -> Sheber:
    """`sheber(...)`: the command in a process of its own, which sees the package."""
    return calling(installed, tmp_path)


def calling(*folders: Path) -> Sheber:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(str(folder) for folder in (ROOT, *folders))
        command = [sys.executable, "-m", "kiosk", *(str(argument) for argument in arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )

    return call


@pytest.fixture
def line() -> Iterator[VirtualPort]:
    port = VirtualPort()
    yield port
    port.close()


def test_its_frames_are_decoded(sheber: Sheber) -> None:
    done = sheber("decode", "reader", "acme-rfid", (FRAME + b"#04A1B2C3*D5\n").hex())
    assert done.stdout.splitlines() == ['{"badge":"04A1B2C3"}', '{"rejected":"checksum"}'], done.stderr


def test_its_messages_are_decoded(sheber: Sheber) -> None:
    done = sheber("decode", "machine", "acme-monitor", "--topic", "acme/17/mode", "--payload", "R")
    assert json.loads(done.stdout)["state"] == "running", done.stderr


def test_an_option_that_it_does_not_know_is_said_in_its_own_words(sheber: Sheber, tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text(LAB.format(port="/dev/ttyUSB0").replace('topic = "acme/17"', 'topc = "acme/17"'))
    done = sheber("check", "--lab", lab)
    assert done.returncode == 78
    assert "Did you mean `topic`?" in done.stdout


def test_its_tap_opens_a_session_whose_hours_its_monitor_proves(sheber: Sheber, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB.format(port="/dev/ttyUSB0"))
    (tmp_path / "people.csv").write_text(PEOPLE)
    begin, minute = 1_793_257_200_000, 60_000
    tap = {"kind": "serial", "reader": "r1", "hex": FRAME.hex()}
    heard = [
        {"t": begin, "kind": "boot", "boot": "b1", "boot_ms": 0, "synced": True},
        {"t": begin + 1_000, "kind": "mqtt", "topic": "acme/17/mode", "payload": "R", "retain": False},
        {"t": begin + 2_000, **tap},
        {"t": begin + 2_000 + minute, "kind": "mqtt", "topic": "acme/17/mode", "payload": "R", "retain": False},
        {"t": begin + 2_000 + 2 * minute, **tap},
        {"t": begin + 3 * minute, "kind": "end"},
    ]
    (tmp_path / "day.jsonl").write_text("".join(json.dumps(each) + "\n" for each in heard))
    done = sheber(
        "replay", tmp_path / "day.jsonl", "--lab", tmp_path / "lab.toml", "--people", tmp_path / "people.csv", "--json"
    )
    session = json.loads(done.stdout.splitlines()[0])
    assert (session["person"], session["credited_ms"]) == ("p1", 2 * minute), done.stdout + done.stderr


def test_its_wires_are_tried_like_all_others(sheber: Sheber, tmp_path: Path, line: VirtualPort, mosquitto: Any) -> None:
    (tmp_path / "lab.toml").write_text(LAB.format(port=line.port) + f"[mqtt]\nport = {mosquitto.port}\n")
    with client(mosquitto.host, mosquitto.port) as monitor, talking(monitor, line):
        done = sheber("check", "--lab", tmp_path / "lab.toml", "--devices", "--listen", "4s")
    told = done.stdout.splitlines()
    assert f"OK       reader r1, {line.port}: it reads cards." in told
    assert any(each.startswith("OK       machine mill-1, acme/17: it speaks") for each in told), done.stdout


def test_what_is_heard_on_an_unknown_line_is_recognised_as_its_reader(sheber: Sheber, line: VirtualPort) -> None:
    with talking(None, line):
        done = sheber("listen", "reader", line.port, "--for", "3s")
    assert 'protocol = "acme-rfid"' in done.stdout, done.stdout + done.stderr


def test_two_packages_that_claim_one_name_are_an_error_in_words(installed: Path, tmp_path: Path) -> None:
    info = tmp_path / "rival-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sheber.readers]\nacme-rfid = sheber_acme.reader:AcmeReader\n")
    (tmp_path / "lab.toml").write_text(LAB.format(port="/dev/ttyUSB0"))
    sheber = calling(installed, tmp_path)
    decoded, checked = sheber("decode", "reader", "acme-rfid", "00"), sheber("check", "--lab", tmp_path / "lab.toml")
    assert "the reader protocol `acme-rfid` is claimed twice" in decoded.stderr
    assert (decoded.returncode, checked.returncode) == (2, 78)
    assert "claimed twice" in checked.stdout
    assert "Traceback" not in decoded.stderr + checked.stderr


class talking:  # noqa: N801  used like a function
    """Taps and reports several times a second, until it is left."""

    def __init__(self, monitor: Any, line: VirtualPort) -> None:
        import threading

        self._monitor, self._line = monitor, line
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _talk(self) -> None:
        while not self._over.wait(0.2):
            self._line.raw(FRAME)
            if self._monitor is not None:
                self._monitor.say("acme/17/mode", "R")
