"""No acknowledged tap is lost by a power cut: every state that may be left on the disk is opened and checked."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.faults.disk import Disk
from tests.faults.failing_disk import Bench
from tests.faults.nursery import Nursery
from tests.faults.oracle import LifeStory
from tests.faults.power import AS_MADE, Findings, explore
from tests.faults.recording import Recording, Run, record
from tests.faults.trace import Op, TraceError, parse

ROOT = Path(__file__).parent.parent
PROCESSES = 2
SECONDS = 600


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as made:
        yield made


@pytest.fixture(scope="module")
def recording(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A desk that starts, is killed, starts, outgrows its write-ahead log, stops, and starts again."""
    return record(tmp_path_factory.mktemp("recording"), nursery, AS_MADE)


def require(found: Findings, states: int) -> None:
    """So many states, none of them bad."""
    print(found)
    assert found.bad == 0, found.examples
    assert found.states >= states


@pytest.mark.timeout(SECONDS + 60)
def test_of_5000_power_cuts_none_loses_an_acknowledged_entry(recording: Recording) -> None:
    require(explore(recording, 5_000, seconds=SECONDS, processes=PROCESSES), 5_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_40000_power_cuts_none_loses_an_acknowledged_entry(recording: Recording) -> None:
    require(explore(recording, 40_000, seed=2, seconds=1700), 40_000)


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_database_that_synchronises_less_is_found_to_lose_entries(
    nursery: Nursery, tmp_path: Path, synchronous: str
) -> None:
    runs = [Run(run.taps // 4, run.close, synchronous) for run in AS_MADE]
    found = explore(record(tmp_path / "recording", nursery, runs), 300, processes=PROCESSES)
    print(synchronous, found.states, found.bad, found.by_kind)
    assert found.by_kind["lost"] > found.states / 10


def test_an_acknowledgement_before_the_synchronisation_is_found(recording: Recording) -> None:
    ops = list(recording.ops[:900])
    for number in range(1, len(ops)):
        if ops[number].kind == "told" and ops[number - 1].kind == "sync":
            ops[number - 1], ops[number] = ops[number], ops[number - 1]
    found = explore(Recording(tuple(ops), recording.entries), 900, processes=PROCESSES)
    assert found.by_kind["lost"] > 0


@pytest.mark.parametrize("fail", ["12+", "16+"])
def test_what_a_failed_synchronisation_left_in_memory_only_takes_nothing_with_it_after_the_next_start(
    nursery: Nursery, tmp_path: Path, fail: str
) -> None:
    """The disk fails for a moment, the kiosk ends and is started again; what it reads then may not be on the disk."""
    made = record(tmp_path / "recording", nursery, [Run(30, fail_sync=fail), Run(20)])
    assert made.syncs_failed >= 2
    require(explore(made, 400, processes=PROCESSES), 300)


def test_a_kiosk_refuses_to_record_with_an_sqlite_that_does_not_keep_full_durability(tmp_path: Path) -> None:
    """A library that was built to ignore the setting: the kiosk reads it back, and does not start."""
    with closing(Bench(tmp_path)) as bench:
        bench.fresh(tmp_path / "data")
        built_otherwise = """
import sqlite3, sys
real = sqlite3.connect
def connect(*arguments, **options):
    connection = real(*arguments, **options)
    connection.execute("PRAGMA synchronous=NORMAL")
    ignores = lambda action, name, value, *_: action == sqlite3.SQLITE_PRAGMA and name == "synchronous" and value
    connection.set_authorizer(lambda *asked: sqlite3.SQLITE_IGNORE if ignores(*asked) else sqlite3.SQLITE_OK)
    return connection
sqlite3.connect = connect
from kiosk.cli import main
main(sys.argv[1:])
"""
        command = [
            sys.executable,
            "-c",
            built_otherwise,
            "run",
            "--lab",
            str(bench.lab),
            "--data",
            str(tmp_path / "data"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "SQLite does not keep synchronous=FULL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_screen_of_a_whole_kiosk_answers_only_after_the_log_is_synchronised(tmp_path: Path) -> None:
    calls = "trace=pwrite64,fdatasync,fsync,sendto,sendmsg,write"
    with closing(Bench(tmp_path)) as bench:
        bench.fresh(tmp_path / "data")
        options = ("-y", "-s", "60", "-e", "signal=none", "-e", calls, "-o", str(tmp_path / "trace"))
        life, story = bench.life(tmp_path / "data", strace=options), LifeStory()
        assert bench.use(life, story, Random(3), 20) == []
        bench.end(life, story)
    answers, synchronised = 0, True
    for line in (tmp_path / "trace").read_text(encoding="utf-8", errors="replace").splitlines():
        if "pwrite64(" in line and "kiosk.db-wal>" in line:
            synchronised = False
        elif re.search(r"fdatasync(\(.*kiosk.db-wal>\)| resumed>\)) += 0", line):
            synchronised = True
        elif r"event: tap" in line:
            answers += 1
            assert synchronised, f"answer {answers} was sent before its entry was on the disk"
    assert answers == len(story.taps) == 20


@pytest.mark.parametrize("torn", ["web.secret", "web.crt", "web.key"])
def test_a_file_that_a_power_cut_left_empty_keeps_nobody_from_the_staff_side(tmp_path: Path, torn: str) -> None:
    with closing(Bench(tmp_path, staff="0.0.0.0:0")) as bench:
        data = tmp_path / "data"
        bench.fresh(data)
        for _ in range(2):
            life = bench.life(data)
            life.come_up()
            life.kill()
            (data / torn).write_bytes(b"")
        life = bench.life(data)
        life.come_up()
        address = life.staff_address
        trusting = ssl.create_default_context(cafile=str(data / "web.crt"))
        trusting.check_hostname = False
        with urllib.request.urlopen(f"{address}/login", timeout=40, context=trusting) as answer:
            assert answer.status == 200
        life.kill()


def test_a_disk_keeps_what_was_synchronised_and_of_the_rest_any_part() -> None:
    disk = Disk(512)
    for op in (Op("create", "a"), Op("write", "a", 0, b"1" * 1024), Op("sync", "a"), Op("sync_names")):
        disk.do(op)
    for op in (Op("write", "a", 0, b"2" * 1024), Op("create", "b"), Op("write", "b", 0, b"3"), Op("sync", "b")):
        disk.do(op)
    chance = Random(1)
    states = [disk.after_a_cut(chance).files for _ in range(300)]
    assert {state["a"][0:1] + state["a"][1023:] for state in states} >= {b"11", b"12", b"21", b"22"}
    assert any(b"1" in state["a"][:512] and b"2" in state["a"][:512] for state in states), "no torn sector"
    assert {"b" in state for state in states} == {True, False}
    assert all(state.get("b", b"3") == b"3" and len(state["a"]) == 1024 for state in states)


def test_a_later_synchronisation_does_not_bring_back_what_a_failed_one_left_behind() -> None:
    disk = Disk(512)
    for op in (Op("create", "a"), Op("sync_names"), Op("write", "a", 0, b"1"), Op("sync_failed", "a"), Op("sync", "a")):
        disk.do(op)
    assert disk.as_seen() == {"a": b"1"}
    assert {disk.after_a_cut(Random(seed)).files["a"] for seed in range(50)} >= {b"", b"1"}


def test_a_call_that_the_recording_does_not_know_is_no_silent_gap() -> None:
    line = '7 rename("\\x2f\\x64\\x2f\\x61", "\\x2f\\x64\\x2f\\x62") = 0\n'
    with pytest.raises(TraceError, match="rename on a: teach the explorer"):
        list(parse([line], Path("/d"), "told"))
