"""The bench runs and says everything it promises. How fast it all is is no test: a busy machine would fail it."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = {
    "fdatasync",
    "commit",
    "late",
    "wire",
    "entry_median",
    "entry_p99",
    "event_median",
    "event_p99",
    "frame_entry",
    "frame_event",
    "answered",
    "unpaced_commit",
    "unpaced_entry",
    "unpaced_event",
    "processor",
    "crowd",
    "start_new",
    "start_warm",
    "start_cold",
    "memory_idle",
    "memory",
}
WITH_GOAL = {"entry_median", "entry_p99", "event_p99", "answered", "start_new", "start_warm", "start_cold", "memory"}


@pytest.fixture(scope="module", autouse=True)
def the_bench_can_be_imported() -> None:
    """It is a package below the root, as `python -m tests.bench` finds it."""
    sys.path.insert(0, str(ROOT))


@pytest.mark.slow
def test_the_bench_measures_a_real_kiosk_and_judges_every_goal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--taps", "6", "--json", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    figures = {each["key"]: each for each in told["figures"]}
    assert set(figures) == ROWS
    assert {key for key, each in figures.items() if each["goal"]} == WITH_GOAL
    for each in figures.values():
        assert each["measured"]
        assert all(math.isfinite(value) and value > 0 for key, value in each["values"].items() if key != "shared")
        assert not each["verdict"] or each["verdict"] == "met" or len(each["verdict"]) > len("MISSED: ")
    assert figures["answered"]["values"]["answered"] == 6
    assert told["facts"].keys() >= {"cores", "processor", "python", "sqlite", "disk", "load"}


def test_a_disk_that_is_no_folder_is_said_in_a_sentence() -> None:
    command = [sys.executable, "-m", "tests.bench", "--dir", "/nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "the bench could not run: /nowhere is no folder; name one on the disk to measure with --dir\n"


def test_the_table_shows_each_figure_with_its_goal_and_what_misses_with_its_reason() -> None:
    from tests.bench.figures import Figure, table

    slow = Figure("a", "a tap", "9.00 ms", goal="under 5 ms", met=False, why="the disk alone takes 8 ms")
    text = table([slow, Figure("b", "a commit", "1.00 ms")], {"cores": "4"})
    assert "a tap     9.00 ms   under 5 ms  MISSED: the disk alone takes 8 ms" in text.splitlines()
    assert text.endswith("cores: 4")


def test_a_commit_of_somebody_else_is_seen_when_readers_see_it_and_not_before(tmp_path: Path) -> None:
    from tests.bench.commits import Commits

    path = tmp_path / "somebody.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (x)")
        commits = Commits(path)
        before = commits.count()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (1)")
        assert commits.count() == before
        writer.execute("COMMIT")
        assert commits.count() == before + 1
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("COMMIT")
        assert commits.count() == before + 1, "a transaction that writes nothing is no commit"
        commits.close()


def test_the_bench_of_a_long_history_judges_every_goal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.scale", "--days", "3", "--json", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    figures = {each["key"]: each for each in json.loads(done.stdout)["figures"]}
    judged = {"folded", "inclusion", "consistency", "append", "rebuild", "start"}
    assert {key for key, each in figures.items() if each["goal"]} == judged
    assert set(figures) == judged | {"bare", "parsed", "start_bare"}
    assert all(value > 0 for each in figures.values() for value in each["values"].values())


def test_the_percentile_of_few_values_is_one_of_them() -> None:
    from tests.bench.figures import percentile

    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert math.isnan(percentile([], 50))


@pytest.mark.slow
def test_the_bench_of_pages_asks_for_each_and_judges_it(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.bench.pages",
        "--days",
        "45",
        "--times",
        "3",
        "--json",
        "--dir",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"/review", "/people", "/reports", "/audit", "/sync"} <= {each["page"] for each in told["pages"]}
    assert all(each["median_ms"] > 0 and each["met"] in {True, False} for each in told["pages"])
