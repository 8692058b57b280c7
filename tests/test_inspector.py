"""What a start with a snapshot leaves out is looked at within seconds afterwards; nothing that rots goes unfound."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Event

import pytest
from store_helpers import head_of, note_of, tampering

from kiosk import office, snapshot
from kiosk.clerk import Clerk
from kiosk.desk import Desk
from kiosk.inbox import Inbox
from kiosk.inspector import Inspector
from kiosk.office import DATABASE
from kiosk.store import examine, quarantine
from kiosk.store.ledger import Ledger
from kiosk.store.schema import DamagedError, StoreError, open_writer, write
from tests.bench.history import Past
from tests.bench.history import history as years
from tests.kiosk_fixtures import HandClock, of_type, write_lab

Wait = Callable[..., object]
OLD = 100
"""An entry that every start with a snapshot leaves out."""


class Workshop:
    """Three days of a workshop, signed and with a snapshot, on a real file."""

    def __init__(self, folder: Path) -> None:
        self.database = years(3, folder) / DATABASE
        self.snapshot = snapshot.place(self.database)
        self.clock = HandClock(1_900_000_000_000, "later")
        with closing(open_writer(self.database)) as connection:
            memory = snapshot.Memory(self.database)
            state, _ = memory.recall(connection)
            with write(connection):
                Ledger(connection).store_checkpoint(note_of(head_of(connection)))
                snapshot.rows_written(connection)  # the history is made once, perhaps by an older program
            snapshot.keep(self.snapshot, state, Ledger(connection).root())
            self.size = state.size
        assert self.size > 2 * (examine.TAIL + examine.PIECE)

    def start(self) -> None:
        with closing(Desk(self.database, self.clock, Past().lab)) as desk:
            desk.start()

    def edit(self, statement: str, *values: object) -> None:
        with tampering(self.database) as connection:
            connection.execute(statement, values)

    @property
    def aside(self) -> list[Path]:
        return quarantine.put_aside(self.database)

    def page_of_an_old_entry(self) -> int:
        """Where the page begins that holds it."""
        with closing(sqlite3.connect(self.database)) as connection:
            (data,) = connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (OLD,)).fetchone()
        return self.database.read_bytes().index(data) // 4096 * 4096


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def inspected(database: Path, wait_until: Wait) -> bool:
    """Does one whole inspection find damage?"""
    found = Event()
    inspector = Inspector(database, found.set)
    inspector.start()
    try:
        wait_until(lambda: found.is_set() or inspector.inspections, what="the end of the inspection")
    finally:
        inspector.stop()
        inspector.join(40)
    return found.is_set()


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


DAMAGE: dict[str, Callable[[Workshop], None]] = {
    "an edited entry": lambda w: w.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = ?", OLD),
    "one flipped bit of an entry": lambda w: w.edit(
        "UPDATE ledger SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"v\":1', '\"v\":3') AS BLOB) WHERE seq = ?", OLD
    ),
    "a deleted entry": lambda w: w.edit("DELETE FROM ledger WHERE seq = ?", OLD),
    "another type": lambda w: w.edit("UPDATE ledger SET type = 'tap_reae' WHERE seq = ?", OLD),
    "an entry and its hash edited together": lambda w: w.edit(
        "UPDATE ledger SET bytes = x'7b7d', leaf = ? WHERE seq = ?", sha256(b"\0{}").digest(), OLD
    ),
    "a hash of the tree": lambda w: w.edit("UPDATE tree SET hash = zeroblob(32) WHERE level = 1 AND idx = 30"),
    "a hash far up in the tree": lambda w: w.edit("UPDATE tree SET hash = zeroblob(32) WHERE level = 9 AND idx = 0"),
    "a node of the tree gone": lambda w: w.edit("DELETE FROM tree WHERE level = 3 AND idx = 1"),
    "a malformed page of the log": lambda w: overwrite(w.database, w.page_of_an_old_entry(), bytes(64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_that_a_start_with_a_snapshot_leaves_out_is_found_by_an_inspection_and_put_aside_by_the_next_start(
    workshop: Workshop, wait_until: Wait, damage: Callable[[Workshop], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(workshop)
    workshop.start()
    assert workshop.aside == []
    assert inspected(workshop.database, wait_until)
    assert [r.levelname for r in caplog.records if "is damaged" in r.message] == ["CRITICAL"]
    assert not workshop.snapshot.exists()
    before = sha256(workshop.database.read_bytes()).digest()
    workshop.start()
    (aside,) = workshop.aside
    assert sha256(aside.read_bytes()).digest() == before
    (began,) = of_type(workshop.database.parent, "log_started")
    assert began["predecessor"]["size"] == workshop.size


@pytest.mark.parametrize(
    "damage",
    [
        lambda w: w.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = ?", w.size - 3),
        lambda w: w.edit("DELETE FROM ledger WHERE seq = ?", w.size - 3),
        lambda w: w.edit("DELETE FROM ledger WHERE seq >= ?", w.size - 3),
        lambda w: w.edit("UPDATE tree SET hash = zeroblob(32) WHERE level = 2 AND idx = ?", w.size // 4 - 1),
        lambda w: w.edit("UPDATE checkpoints SET note = 'x'"),
        lambda w: overwrite(w.database, 0, b"no database any more"),
        lambda w: os.truncate(w.database, 20_000),
    ],
    ids=["edited", "deleted", "cut off", "tree", "checkpoint", "no database", "half a file"],
)
def test_damage_at_the_end_of_the_log_is_found_by_the_start_itself_whatever_vouches_for_it(
    workshop: Workshop, damage: Callable[[Workshop], None]
) -> None:
    damage(workshop)
    workshop.start()
    assert len(workshop.aside) == 1


def test_a_start_without_a_snapshot_looks_at_every_entry(workshop: Workshop) -> None:
    workshop.snapshot.unlink()
    workshop.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = ?", OLD)
    workshop.start()
    assert len(workshop.aside) == 1


def test_a_snapshot_of_another_program_vouches_for_nothing(workshop: Workshop) -> None:
    workshop.snapshot.write_bytes(workshop.snapshot.read_bytes().replace(snapshot.program().encode(), b"0" * 64))
    workshop.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = ?", OLD)
    workshop.start()
    assert len(workshop.aside) == 1


def test_a_sound_ledger_is_inspected_again_and_again_while_the_kiosk_writes(
    workshop: Workshop, wait_until: Wait
) -> None:
    found = Event()
    with closing(Desk(workshop.database, workshop.clock, Past().lab)) as desk:
        desk.start()
        inspector = Inspector(workshop.database, found.set, every_s=0.01)
        inspector.start()

        def inspected_twice() -> bool:
            workshop.clock.move(60_000)
            workshop.clock.step_wall(5_000)
            desk.pass_time(heartbeat=True)
            return inspector.inspections >= 2

        wait_until(inspected_twice, what="the second inspection")
        inspector.stop()
        inspector.join(40)
        assert desk.core.state.size > workshop.size
    assert not found.is_set()
    assert workshop.snapshot.exists()


def test_a_ledger_that_cannot_be_read_just_now_is_no_damage(workshop: Workshop) -> None:
    found = Event()
    inspector = Inspector(workshop.database.with_name("not-there") / DATABASE, found.set)
    inspector.start()
    inspector.stop()
    inspector.join(40)
    assert not found.is_set()


def logged(database: Path) -> object:
    """What the ledger holds, as SQL reads it."""
    with closing(sqlite3.connect(database)) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("ledger", "tree", "checkpoints")
        ]


def flips(seed: int, count: int, size: int) -> Iterator[tuple[int, int]]:
    chance = Random(seed)
    for _ in range(count):
        yield chance.randrange(size), 1 << chance.randrange(8)


def test_every_flipped_bit_of_the_file_is_found_or_changes_nothing_of_the_ledger(workshop: Workshop) -> None:
    whole, held = workshop.database.read_bytes(), logged(workshop.database)
    unseen = 0
    for at, bit in flips(11, 200, len(whole)):
        overwrite(workshop.database, at, bytes([whole[at] ^ bit]))
        if quarantine.what_is_damaged(workshop.database) is None:
            assert logged(workshop.database) == held, f"bit {bit} of byte {at}"
            unseen += 1
        overwrite(workshop.database, at, whole[at : at + 1])
    assert unseen < 150, "hardly any flip lay in the ledger"


def test_a_clerk_that_stumbles_over_damage_has_the_next_start_look_at_everything(
    workshop: Workshop, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(workshop.database)) as connection:
        pages = connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'badges'").fetchall()
    for (page,) in pages:
        overwrite(workshop.database, (page - 1) * 4096, b"\xff" * 99)
    inbox = Inbox(workshop.clock)
    clerk = Clerk(workshop.database, Past().lab, workshop.clock, inbox, lambda _entries: None)
    clerk.start()
    try:
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            clerk.wait_ready(10)
    finally:
        inbox.close()
        clerk.join(40)
    assert not workshop.snapshot.exists()
    workshop.start()
    assert len(workshop.aside) == 1


def test_a_hash_of_the_tree_that_is_missing_is_damage(workshop: Workshop) -> None:
    workshop.edit("DELETE FROM tree WHERE level = 3 AND idx = 1")
    with closing(sqlite3.connect(workshop.database)) as connection, pytest.raises(DamagedError) as missing:
        Ledger(connection).node(3, 1)
    assert quarantine.is_damage(missing.value)


def schema_and_rows(database: Path) -> object:
    """What is derived, and what keeps it quick to find."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM sessions ORDER BY 1").fetchall()
        return rows, sorted(
            connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall(), key=str
        )


@pytest.mark.parametrize(
    "damage", [DAMAGE["an edited entry"], DAMAGE["a deleted entry"], DAMAGE["a node of the tree gone"]]
)
def test_a_rebuild_of_a_damaged_ledger_says_what_is_damaged_and_changes_no_row(
    workshop: Workshop, damage: Callable[[Workshop], None]
) -> None:
    damage(workshop)
    before = schema_and_rows(workshop.database)
    with pytest.raises(StoreError, match="run sheber ledger verify"):
        office.rebuild(workshop.database.parent)
    assert schema_and_rows(workshop.database) == before


def test_the_command_rebuild_checks_everything_and_leaves_the_database_as_it_was(workshop: Workshop) -> None:
    before = schema_and_rows(workshop.database)
    command = [sys.executable, "-m", "kiosk", "rebuild", "--data", str(workshop.database.parent)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"{workshop.size} entries gave" in told.stdout
    assert told.stdout.count("entries gave") == 1
    assert schema_and_rows(workshop.database) == before
    assert workshop.snapshot.exists()


def test_a_running_kiosk_that_finds_damage_ends_and_its_next_start_records_in_a_new_log(
    workshop: Workshop, tmp_path: Path, wait_until: Wait
) -> None:
    lab = write_lab(tmp_path / "lab", {})
    log = tmp_path / "run.log"

    def run() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            command = [sys.executable, "-m", "kiosk", "run", "--lab", str(lab), "--data", str(workshop.database.parent)]
            return subprocess.Popen(command, stdout=output, stderr=output)

    workshop.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = ?", OLD)
    assert run().wait(40) == 70
    assert f"entry {OLD} does not fit its hash" in log.read_text()
    assert workshop.aside == []
    second = run()
    try:
        wait_until(lambda: "staff side" in log.read_text().rpartition("does not fit its hash")[2], what="the start")
        assert len(workshop.aside) == 1
        second.send_signal(signal.SIGTERM)
        assert second.wait(40) == 0
    finally:
        second.kill()
        second.wait()
