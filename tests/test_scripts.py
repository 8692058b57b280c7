"""The two scripts: what they install is locked, a second run does nothing, a failure is one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
RUNTIME, DEV = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> dict[str, str]:
    """Canonical name to version."""
    return {canonicalize_name(name): version for name, version, _, _ in PIN.findall(lock.read_text())}


def group(name: str) -> list[str]:
    """The requirements of a dependency group and of those it includes."""
    entries = PROJECT["dependency-groups"][name]
    return [r for entry in entries for r in ([entry] if isinstance(entry, str) else group(entry["include-group"]))]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (RUNTIME, PROJECT["project"]["dependencies"] + group("build")),
        (DEV, PROJECT["project"]["dependencies"] + group("dev")),
    ],
)
def test_a_lock_pins_what_the_project_asks_for(lock: Path, wanted: list[str]) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in {lock.name}: run .ci/lock"
        assert requirement.specifier.contains(pinned[name]), f"{name} {pinned[name]} in {lock.name}: run .ci/lock"


@pytest.mark.parametrize("lock", [RUNTIME, DEV])
def test_a_lock_holds_nothing_but_versions_and_hashes(lock: Path) -> None:
    assert PIN.sub("", lock.read_text()).strip() == ""


def test_the_tests_run_with_the_versions_that_are_shipped() -> None:
    assert pins(RUNTIME).items() <= pins(DEV).items()


@pytest.mark.parametrize("script", ["run", "test", ".ci/run", ".ci/lock", ".ci/prepare.sh"])
def test_a_script_can_be_read_by_bash(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", ["run", "test", ".ci/run", ".ci/lock"])
def test_a_script_can_be_called(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


# --- a small clone whose Python writes down what pip was asked -------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and a .venv whose `python -m pip` only takes notes."""
    folder = tmp_path / "clone"
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    for name in ("run", "test", "requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / ".venv/bin/python"
    python.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "-m pip" ] || exec {sys.executable} "$@"\necho "$@" >>{folder}/pip-calls\n'
    )
    sheber = folder / ".venv/bin/sheber"
    sheber.write_text('#!/bin/sh\necho "sheber $*"\n')
    broker = folder / "bin/mosquitto"
    broker.parent.mkdir()
    broker.write_text("#!/bin/sh\n")
    for program in (python, sheber, broker):
        program.chmod(0o755)
    return folder


def start(clone: Path, *command: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or f"{clone}/bin:/usr/bin:/bin", "HOME": str(clone)}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def pip_calls(clone: Path) -> int:
    notes = clone / "pip-calls"
    return len(notes.read_text().splitlines()) if notes.exists() else 0


def test_run_passes_its_arguments_to_the_demo(clone: Path) -> None:
    assert start(clone, "./run", "--port", "9000").stdout == "sheber demo --port 9000\n"


def test_a_second_run_installs_nothing(clone: Path) -> None:
    start(clone, "./run")
    before = pip_calls(clone)
    start(clone, "./run")
    assert (before, pip_calls(clone)) == (2, 2)


def test_a_run_after_the_tests_installs_nothing(clone: Path) -> None:
    start(clone, "bash", "-c", ". .ci/prepare.sh; need_python requirements-dev.lock")
    before = pip_calls(clone)
    start(clone, "./run")
    assert (before, pip_calls(clone)) == (2, 2)


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_run_after_a_change_installs_again(clone: Path, changed: str) -> None:
    start(clone, "./run")
    with (clone / changed).open("a") as file:
        file.write("# newer\n")
    start(clone, "./run")
    assert pip_calls(clone) == 4


def test_a_run_that_could_not_install_tries_again(clone: Path) -> None:
    python = clone / ".venv/bin/python"
    works = python.read_text()
    python.write_text(works + "exit 1\n")
    failed = start(clone, "./run")
    python.write_text(works)
    assert (failed.returncode, start(clone, "./run").stdout) == (1, "sheber demo\n")


def test_a_failure_of_pip_is_one_sentence_with_a_remedy(clone: Path) -> None:
    with (clone / ".venv/bin/python").open("a") as python:
        python.write("exit 1\n")
    said = start(clone, "./run").stderr.splitlines()
    assert said[-1] == (
        f"run: pip could not install requirements.lock; read the end of {clone}/.cache/prepare.log, "
        "check the network and try again."
    )


def test_a_missing_program_without_apt_is_one_sentence_with_a_remedy(clone: Path) -> None:
    few = clone / "few"
    few.mkdir()
    for tool in ("bash", "sh", "dirname", "basename", "mkdir", "cat", "flock", "sha256sum", "tee", "python3"):
        (few / tool).symlink_to(str(shutil.which(tool)))
    said = start(clone, "bash", "-c", ". .ci/prepare.sh; need_program no-such-broker no-such-broker", path=str(few))
    assert (said.returncode, said.stdout) == (1, "")
    assert (
        said.stderr
        == "bash: no-such-broker is missing and there is no apt-get here; install it by hand and try again.\n"
    )


def test_a_program_that_was_only_unpacked_finds_its_libraries(clone: Path) -> None:
    debian = clone / ".cache/debian"
    program, library = debian / "usr/sbin/mosquitto", debian / "usr/lib/x86_64-linux-gnu/libanything.so.1"
    for path in (program, library):
        path.parent.mkdir(parents=True)
    library.touch()
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH $1"\n')
    program.chmod(0o755)
    said = start(clone, "bash", "-c", ". .ci/prepare.sh; wrap_programs; mosquitto -v")
    assert said.stdout == f"{library.parent} -v\n", said.stderr
