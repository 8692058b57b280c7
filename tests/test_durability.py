"""A disk that fills, is read-only or fails: red, no tap acknowledged, recovery by itself, what was said kept."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.observations import BadgeSeen
from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk import office
from kiosk.ballast import Ballast
from kiosk.clerk import Clerk
from kiosk.commands import CommandRefused, ImportPeople
from kiosk.desk import Desk
from kiosk.domain.entries import Entry
from kiosk.inbox import Heard, Inbox
from kiosk.store.faults import HistoryDamagedError, disk_fault, require_tail
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_reader, open_writer
from tests.kiosk_fixtures import AIGERIM, PEOPLE, PYOTR, HandClock, ledger, of_type, small_lab, write_lab

Wait = Callable[..., Any]
MIB = 1024 * 1024

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own, which only root may")


def run(*command: str) -> str:
    """A system tool; the test fails with its words where it does."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


@contextmanager
def tmpfs(folder: Path, size: int) -> Iterator[Path]:
    """A small disk of its own."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        run("umount", "--lazy", str(folder))


def fill(disk: Path) -> Path:
    """A file that leaves no byte."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@dataclass
class Kiosk:
    """`sheber run` as a user starts it, with two readers and its screen."""

    folder: Path
    data: Path
    readers: dict[str, VirtualReader]
    process: subprocess.Popen[bytes]
    wait: Wait

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "run.log").read_text()

    @property
    def screen(self) -> str:
        """The address of the kiosk screen."""
        return str(self.wait(lambda: re.search(r"kiosk screen (\S+)", self.log), 20, "the start").group(1))

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        try:
            with urllib.request.urlopen(f"{self.screen}/health", timeout=40) as answer:
                body = answer.read()
        except urllib.error.HTTPError as answer:
            body = answer.read()
            answer.close()
        told: dict[str, Any] = json.loads(body)
        return told

    def page(self) -> str:
        """The screen's first page."""
        with urllib.request.urlopen(f"{self.screen}/", timeout=40) as answer:
            return str(answer.read().decode())

    def is_red(self, reason: str) -> bool:
        """Is nothing recorded, for this reason?"""
        told = self.health()
        return told["recording"] is False and told["reason"] == reason

    def tap(self, uid: str, reader: str = "mill-1") -> None:
        """A badge, once the port is open."""
        self.wait(lambda: self.health()["readers"][reader]["connected"], 5, "the port")
        self.readers[reader].tap(uid)

    def count(self, entry_type: str) -> int:
        """Entries of a type on the disk."""
        return len(of_type(self.data, entry_type))


@contextmanager
def a_kiosk(folder: Path, data: Path, wait_until: Wait, *, people: bool = True) -> Iterator[Kiosk]:
    """Started, and stopped as systemd stops it."""
    readers = {name: VirtualReader("rdm6300") for name in ("mill-1", "lathe-1")}
    lab = write_lab(folder / "lab", {name: reader.port for name, reader in readers.items()})
    command = [sys.executable, "-m", "kiosk", "run", "--lab", str(lab), "--data", str(data)]
    with (folder / "run.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    made = Kiosk(folder, data, readers, process, wait_until)
    try:
        wait_until(lambda: "staff side" in made.log, what="the start")
        if people:
            office.perform(data, ImportPeople(PEOPLE))
        yield made
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, made.log
        assert "Traceback" not in made.log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for reader in readers.values():
            reader.close()


def until_status(address: str, accept: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Follows a screen's live stream up to a status that is accepted; the names of all events on the way."""
    names: list[str] = []
    with urllib.request.urlopen(f"{address}/feed", timeout=40) as stream:
        for raw in stream:
            kind, _, rest = raw.decode().rstrip("\n").partition(": ")
            if kind == "event":
                names.append(rest)
            elif kind == "data" and names[-1] == "status" and accept(json.loads(rest)):
                return names
    pytest.fail("the stream ended")


# --- the whole kiosk on a real small disk ----------------------------------------------------------------------------


@needs_root
def test_a_full_disk_is_red_refuses_the_tap_and_recording_goes_on_when_there_is_room(
    tmp_path: Path, wait_until: Wait
) -> None:
    with tmpfs(tmp_path / "disk", 8 * MIB) as disk, a_kiosk(tmp_path, disk / "data", wait_until) as kiosk:
        kiosk.tap(AIGERIM.badges[0])
        wait_until(lambda: kiosk.count("session_opened") == 1, what="the first session")
        before = ledger(kiosk.data)
        filler = fill(disk)
        kiosk.tap(PYOTR.badges[0], "lathe-1")
        names = until_status(kiosk.screen, lambda status: "Диск заполнен" in status["reason"])
        page = kiosk.page()
        with pytest.raises(CommandRefused, match="not_recording"):
            office.perform(kiosk.data, ImportPeople(PEOPLE))
        assert kiosk.is_red("disk_full")
        assert ledger(kiosk.data) == before
        filler.unlink()
        wait_until(lambda: kiosk.health()["recording"], what="the recovery")
        kiosk.tap(PYOTR.badges[0], "lathe-1")
        wait_until(lambda: kiosk.count("session_opened") == 2, what="the second session")
        after = ledger(kiosk.data)
    assert "tap" not in names
    assert 'id="alarm" role="alert"' in page
    assert all(words in page for words in ("Дискіде бос орын қалмады", "Диск заполнен", "The disk is full"))
    assert after[: len(before)] == before
    assert [entry["reason"] for entry in after if entry["type"] == "observations_lost"] == ["not_recording"]
    assert [entry for entry in after if entry["type"] == "session_closed"] == []


@needs_root
def test_the_ballast_lets_a_kiosk_on_a_full_disk_record_again_with_nobody_there(
    tmp_path: Path, wait_until: Wait
) -> None:
    with tmpfs(tmp_path / "disk", 80 * MIB) as disk, a_kiosk(tmp_path, disk / "data", wait_until) as kiosk:
        ballast = disk / "data" / "ballast"
        assert ballast.stat().st_blocks * 512 == 16 * MIB
        fill(disk)
        kiosk.tap(AIGERIM.badges[0])
        wait_until(lambda: kiosk.is_red("disk_full"), what="the red screen")
        wait_until(lambda: kiosk.health()["recording"], what="the recovery")
        assert not ballast.exists()
        kiosk.tap(AIGERIM.badges[0])
        wait_until(lambda: kiosk.count("session_opened") == 1, what="the session")


@needs_root
def test_a_kiosk_started_on_a_full_disk_is_red_and_begins_its_log_when_there_is_room(
    tmp_path: Path, wait_until: Wait
) -> None:
    with tmpfs(tmp_path / "disk", 4 * MIB) as disk:
        filler = fill(disk)
        with a_kiosk(tmp_path, disk / "data", wait_until, people=False) as kiosk:
            assert kiosk.is_red("disk_full")
            assert "The disk is full" in kiosk.page()
            kiosk.tap(AIGERIM.badges[0])
            filler.unlink()
            wait_until(lambda: kiosk.health()["recording"], what="the first start")
            office.perform(kiosk.data, ImportPeople(PEOPLE))
            kiosk.tap(AIGERIM.badges[0])
            wait_until(lambda: kiosk.count("session_opened") == 1, what="the session")
            assert [entry["reason"] for entry in of_type(kiosk.data, "observations_lost")] == ["not_recording"]


@needs_root
def test_a_kiosk_started_on_a_read_only_disk_is_red_and_goes_on_where_it_was_once_it_can_write(
    tmp_path: Path, wait_until: Wait
) -> None:
    with tmpfs(tmp_path / "disk", 8 * MIB) as disk:
        with a_kiosk(tmp_path, disk / "data", wait_until) as kiosk:
            kiosk.tap(AIGERIM.badges[0])
            wait_until(lambda: kiosk.count("session_opened") == 1, what="the session")
            wait_until(lambda: kiosk.health()["recording"], what="an acknowledged tap")
        before = ledger(disk / "data")
        run("mount", "-o", "remount,ro", str(disk))
        with a_kiosk(tmp_path, disk / "data", wait_until, people=False) as kiosk:
            assert kiosk.is_red("read_only")
            assert "The disk cannot be written" in kiosk.page()
            run("mount", "-o", "remount,rw", str(disk))
            wait_until(lambda: kiosk.health()["recording"], what="the recovery")
            kiosk.tap(PYOTR.badges[0], "lathe-1")
            wait_until(lambda: kiosk.count("session_opened") == 2, what="the second session")
            wait_until((disk / "data" / "control.sock").exists, what="the control socket")
            assert ledger(kiosk.data)[: len(before)] == before


@needs_root
def test_a_file_system_that_makes_itself_read_only_is_red_and_holds_what_was_acknowledged(
    tmp_path: Path, wait_until: Wait
) -> None:
    image, disk = tmp_path / "disk.ext4", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    run("mkfs.ext4", "-q", "-F", str(image))
    disk.mkdir()
    run("mount", "-o", "loop,errors=remount-ro", str(image), str(disk))
    try:
        with a_kiosk(tmp_path, disk / "data", wait_until) as kiosk:
            kiosk.tap(AIGERIM.badges[0])
            wait_until(lambda: kiosk.count("session_opened") == 1, what="the session")
            before = ledger(kiosk.data)
            device = Path(run("findmnt", "-no", "SOURCE", str(disk)).strip()).name
            Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")
            kiosk.tap(PYOTR.badges[0], "lathe-1")
            wait_until(lambda: kiosk.is_red("read_only"), what="the red screen")
            assert "The disk cannot be written" in kiosk.page()
        run("umount", str(disk))
        run("mount", "-o", "loop", str(image), str(disk))
        assert ledger(disk / "data") == before
    finally:
        run("umount", "--lazy", str(disk))


def test_a_failed_sync_acknowledges_nothing_until_the_tail_was_read_again(tmp_path: Path, wait_until: Wait) -> None:
    with a_kiosk(tmp_path, tmp_path / "data", wait_until) as kiosk:
        kiosk.tap(AIGERIM.badges[0])
        wait_until(lambda: kiosk.count("session_opened") == 1, what="the session")
        before = ledger(kiosk.data)
        with (tmp_path / "strace.log").open("wb") as output:
            strace = subprocess.Popen(
                f"strace -f -qq -o /dev/null -p {kiosk.process.pid} -e inject=fsync,fdatasync:error=EIO".split(),
                stderr=output,
            )
        try:
            task = Path(f"/proc/{kiosk.process.pid}/task")
            wait_until(
                lambda: all("TracerPid:\t0\n" not in (each / "status").read_text() for each in task.iterdir()),
                10,
                "strace to hold every thread",
            )
            kiosk.tap(PYOTR.badges[0], "lathe-1")
            names = until_status(kiosk.screen, lambda status: "Диск неисправен" in status["reason"])
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(40)
        wait_until(lambda: kiosk.health()["recording"], what="the recovery")
        after = ledger(kiosk.data)
        kiosk.tap(AIGERIM.badges[0])
        wait_until(lambda: len(ledger(kiosk.data)) > len(after), what="the tap after it")
    assert "tap" not in names
    assert after[: len(before)] == before
    lost = sum(entry["count"] for entry in after if entry["type"] == "observations_lost")
    opened = sum(entry["type"] == "session_opened" for entry in after)
    assert (opened, lost) in {(1, 1), (2, 0)}  # an unacknowledged tap: counted as lost, or there once


# --- the clerk alone -------------------------------------------------------------------------------------------------


@contextmanager
def a_clerk(folder: Path, data: Path) -> Iterator[tuple[Clerk, Inbox, list[Entry]]]:
    """A clerk's thread on a folder, and everything it said was on disk."""
    clock = HandClock()
    inbox = Inbox(clock)
    told: list[Entry] = []
    clerk = Clerk(data / "kiosk.db", small_lab(folder / "lab"), clock, inbox, told.extend)
    clerk.start()
    clerk.wait_ready(10)
    try:
        yield clerk, inbox, told
    finally:
        inbox.close()
        clerk.join(40)
    assert not clerk.is_alive()


@needs_root
def test_what_is_heard_in_red_is_answered_counted_and_never_entered_later(tmp_path: Path, wait_until: Wait) -> None:
    with tmpfs(tmp_path / "disk", 4 * MIB) as disk, a_clerk(tmp_path, disk / "data") as (clerk, inbox, told):
        clerk.submit(ImportPeople(PEOPLE))
        filler = fill(disk)
        stored: list[int] = []
        for number in range(5):
            inbox.deliver(BadgeSeen("mill-1", AIGERIM.badges[0]), lambda number=number: stored.append(number))  # type: ignore[misc]
        wait_until(lambda: len(stored) == 5, what="the broker's acknowledgements")
        with pytest.raises(CommandRefused, match="not_recording"):
            clerk.submit(ImportPeople(PEOPLE))
        filler.unlink()
        wait_until(lambda: not clerk.trouble, what="the recovery")
        wait_until(lambda: told[-1].body.type == "observations_lost", what="what is told last")
        entries = ledger(disk / "data")
    assert [entry["type"] for entry in entries].count("session_opened") == 0
    assert [entry["seq"] for entry in entries] == [entry.seq for entry in told]
    assert entries[-1]["count"] == 5


@needs_root
def test_a_clerk_that_is_stopped_in_red_answers_everybody_and_ends(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", 2 * MIB) as disk:
        fill(disk)
        with a_clerk(tmp_path, disk / "data") as (clerk, inbox, _told):
            assert clerk.trouble == "disk_full"
            answer = inbox.ask(ImportPeople(PEOPLE))
        with pytest.raises(CommandRefused, match="not_recording"):
            answer.result(0)


def test_a_transaction_that_meets_a_full_database_leaves_nothing_and_is_told_from_other_errors(tmp_path: Path) -> None:
    with closing(Desk(tmp_path / "data" / "kiosk.db", HandClock(), small_lab(tmp_path / "lab"))) as desk:
        desk.start()
        before = ledger(tmp_path / "data")
        desk.connection.execute("PRAGMA max_page_count=1")  # SQLite takes the size there is for the smallest
        taps = [Heard(HandClock().stamp(), BadgeSeen("mill-1", f"AABBCC{number:04X}")) for number in range(2_000)]
        with pytest.raises(sqlite3.OperationalError) as full:
            desk.handle(taps)
        assert not desk.connection.in_transaction
    assert disk_fault(full.value, tmp_path) == "disk_full"
    assert ledger(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(30, "Read-only file system"), "read_only"),
        (OSError(5, "Input/output error"), "disk_fault"),
        (OSError(13, "Permission denied"), None),
        (sqlite3.OperationalError("no such table: badges"), None),
        (ValueError("a fault of ours"), None),
        (HistoryDamagedError("entry 3"), "history_damaged"),
    ],
)
def test_only_a_disk_that_fails_is_waited_for(tmp_path: Path, error: Exception, code: str | None) -> None:
    assert disk_fault(error, tmp_path) == code


def test_a_start_that_the_disk_prevented_is_known_by_its_cause(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "kiosk.db").mkdir()
    with pytest.raises(StoreError) as directory:
        open_writer(folder / "kiosk.db")
    assert disk_fault(directory.value, folder) is None
    error = StoreError("cannot use the database")
    error.__cause__ = OSError(30, "Read-only file system")
    assert disk_fault(error, folder) == "read_only"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger SET leaf = zeroblob(32) WHERE seq = (SELECT max(seq) - 1 FROM ledger)",
        "UPDATE ledger SET bytes = CAST('{}' AS BLOB) WHERE seq = (SELECT max(seq) FROM ledger)",
        "DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)",
        "UPDATE tree SET hash = zeroblob(32) WHERE level = 1 AND idx = 1",
    ],
)
def test_a_tail_that_is_not_what_was_acknowledged_is_noticed(tmp_path: Path, damage: str) -> None:
    database = tmp_path / "data" / "kiosk.db"
    with closing(Desk(database, HandClock(), small_lab(tmp_path / "lab"))) as desk:
        desk.start()
    with closing(open_reader(database)) as connection:
        seq = Ledger(connection).size - 1
        data = Ledger(connection).entry(seq)
        assert data is not None
        require_tail(connection, seq, data)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(damage)
    with closing(open_reader(database)) as connection, pytest.raises(HistoryDamagedError):
        require_tail(connection, seq, data)


# --- the ballast -----------------------------------------------------------------------------------------------------


def test_the_ballast_is_really_allocated_and_made_once(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path, MIB)
    ballast.keep()
    made = ballast.path.stat()
    ballast.keep()
    assert (made.st_size, made.st_blocks * 512 >= MIB) == (MIB, True)
    assert ballast.path.stat().st_mtime_ns == made.st_mtime_ns


@needs_root
def test_a_ballast_is_put_aside_only_where_four_times_its_size_is_free(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", 8 * MIB) as disk:
        Ballast(disk, 3 * MIB).keep()
        assert not (disk / "ballast").exists()
        Ballast(disk, 2 * MIB).keep()
        assert (disk / "ballast").exists()


def test_a_ballast_is_given_up_once(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path, MIB)
    ballast.keep()
    assert [ballast.free(), ballast.free()] == [True, False]
    assert not ballast.path.exists()
