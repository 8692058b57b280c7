"""What is shipped: the wheel holds all it needs, asks for all it needs, and a fresh installation plays the demo."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"

pytestmark = pytest.mark.timeout(400)  # the first time, packages are fetched; later they lie in .cache/wheels


def call(*command: object, **options: object) -> str:
    """What a program prints; a failure shows both of its outputs."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def pip(*arguments: object) -> str:
    return call(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    return next(folder.glob("sheber-*.whl"))


@pytest.fixture(scope="module")
def wheelhouse() -> Path:
    """The locked packages as files, fetched once for each lock and Python."""
    lock = ROOT / "requirements.lock"
    name = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    house = ROOT / ".cache" / "wheels" / name
    if not house.exists():
        part = house.with_suffix(f".{os.getpid()}")
        pip(
            "download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", part, "--requirement", lock
        )
        for old in house.parent.iterdir():
            if old != part:
                shutil.rmtree(old)
        part.rename(house)
    return house


@pytest.fixture(scope="module")
def installed(wheel: Path, wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel and what the wheel itself asks for."""
    home = tmp_path_factory.mktemp("installed")
    call(sys.executable, "-m", "venv", "--without-pip", home)
    pip("--python", home / "bin/python", "install", "--no-index", "--find-links", wheelhouse, wheel)
    return home


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, object]:
    """How to call a program so that it sees neither this checkout nor this environment."""
    return {"cwd": tmp_path, "env": {"PATH": PATH, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}}


@pytest.mark.parametrize(
    "pattern",
    [
        r"kiosk/web/templates/.*\.html",
        r"kiosk/web/static/.*\.css",
        r"kiosk/web/static/.*\.js",
        r"kiosk/locale/kk/LC_MESSAGES/.*\.mo",
        r"kiosk/reports/fonts/PTSans-Regular\.ttf",
        r"kiosk/reports/fonts/PTSans-Bold\.ttf",
        r"kiosk/reports/fonts/LICENSE\.txt",
        r"kiosk/locale/ru/LC_MESSAGES/.*\.mo",
        r"lab_config/demo/.*\.toml",
        r"lab_config/demo/.*\.csv",
        r"lab_config/deploy/.*\.service",
        r"sheber-.*\.dist-info/licenses/LICENSE",
    ],
)
def test_the_wheel_holds(wheel: Path, pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_only_the_three_packages(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"kiosk", "firmware_bridge", "lab_config"}


def test_an_installation_has_all_it_depends_on(installed: Path) -> None:
    pip("--python", installed / "bin/python", "check")


def test_every_module_can_be_imported_where_only_the_wheel_is(installed: Path, elsewhere: dict[str, object]) -> None:
    every = (
        "import importlib, pkgutil, kiosk, firmware_bridge, lab_config\n"
        "for package in (kiosk, firmware_bridge, lab_config):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
    )
    call(installed / "bin/python", "-I", "-c", every, **elsewhere)


def test_the_installed_command_says_what_it_can_do(installed: Path, elsewhere: dict[str, object]) -> None:
    assert "demo" in call(installed / "bin/sheber", "--help", **elsewhere)


def test_the_installed_command_says_its_version(installed: Path, elsewhere: dict[str, object]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert call(installed / "bin/sheber", "version", **elsewhere).strip() == project["version"]


def three_free_ports(free_port: Callable[[], int]) -> int:
    """A port whose two followers are free as well: the kiosk's, the staff's and the hub's."""
    ports = [free_port() for _ in range(3)]
    while ports[2] != ports[0] + 2:
        ports = [*ports[1:], free_port()]
    return ports[0]


def processes_of_session(session: int) -> list[str]:
    """The living processes that descend from the leader of `session`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # it ended while we looked
        name, _, rest = text.rpartition(")")
        state, _parent, _group, its_session, *_ = rest.split()
        if int(its_session) == session and state != "Z":
            found.append(name)
    return found


def machine_names(installed: Path) -> Iterator[str]:
    """What the demo's machines are called, in every language."""
    for path in installed.glob("lib/*/site-packages/lab_config/demo/**/*.toml"):
        for machine in tomllib.loads(path.read_text(encoding="utf-8")).get("machine", []):
            yield from machine["name"].values() if isinstance(machine["name"], dict) else [machine["name"]]


def test_the_installed_demo_shows_its_machines_and_ends_cleanly(
    installed: Path,
    elsewhere: dict[str, object],
    free_port: Callable[[], int],
    wait_until: Callable[..., object],
    tmp_path: Path,
) -> None:
    data, log = tmp_path / "data", tmp_path / "demo.log"
    command = [installed / "bin/sheber", "demo", "--port", str(three_free_ports(free_port)), "--data", data]
    with log.open("wb") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **elsewhere)  # type: ignore[call-overload]
    try:
        wait_until(lambda: (data / "demo.json").exists() or demo.poll() is not None, 30, f"demo.json; see {log}")
        assert demo.poll() is None, log.read_text()
        kiosk = json.loads((data / "demo.json").read_text())["kiosk"]
        with urllib.request.urlopen(kiosk, timeout=40) as answer:
            page = answer.read().decode()
        assert any(name in page for name in machine_names(installed))
        demo.send_signal(signal.SIGINT)
        assert demo.wait(40) == 0, log.read_text()
        wait_until(lambda: not processes_of_session(demo.pid), what="every process of the demo to end")
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
