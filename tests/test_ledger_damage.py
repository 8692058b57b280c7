"""A damaged ledger is put aside in plain sight, and recording goes on in a new log that names it; never silently."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from store_helpers import head_of, note_of, tampering

from firmware_bridge.observations import BadgeSeen
from kiosk import office
from kiosk.audit import audit
from kiosk.commands import AddUser, BlockBadge, CommandRefused, ImportPeople
from kiosk.desk import Desk
from kiosk.domain.entries import LogStarted
from kiosk.inbox import Heard
from kiosk.proofs import encode_base64
from kiosk.store import people, quarantine
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_reader, open_writer, write
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, HandClock, ledger, of_type, running_kiosk, small_lab
from tests.test_durability import MIB, Wait, a_clerk, fill, needs_root, tmpfs

QUALIFIED = replace(AIGERIM, qualifications=(("briefing:cnc", "2030-01-01"),))
SECOND = replace(PYOTR, badges=("67003B51C6", "67003B51C7"))


class Workshop:
    """A kiosk that worked, knows people, signed a head, and was stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.database = self.data / "kiosk.db"
        self.clock = HandClock()
        with closing(self.open()) as desk:
            desk.start()
            stamp = self.clock.stamp()
            commands = (
                ImportPeople((QUALIFIED, SECOND, MASTER)),
                BlockBadge("67003B51C7", "i1"),
                AddUser("master", "instructor", "hash", "i1"),
            )
            desk.relive([(stamp, command) for command in commands])
            with write(desk.connection):
                people.store_text(desk.connection, "He was seen at the canteen", b"salt")
                self.head = head_of(desk.connection)
                Ledger(desk.connection).store_checkpoint(note_of(self.head))
            self.tap(desk)
            self.log = desk.core.state.log

    def open(self) -> Desk:
        return Desk(self.database, self.clock, small_lab(self.folder / "lab"))

    def tap(self, desk: Desk, badge: str = AIGERIM.badges[0]) -> None:
        desk.handle([Heard(self.clock.stamp(), BadgeSeen("mill-1", badge))])
        self.clock.move(60_000)

    def start_again(self) -> Desk:
        desk = self.open()
        desk.start()
        return desk

    def edit(self, statement: str, *values: Any) -> None:
        with tampering(self.database) as connection:
            connection.execute(statement, values)

    @property
    def first(self) -> dict[str, Any]:
        return ledger(self.data)[0]

    @property
    def aside(self) -> list[Path]:
        return quarantine.put_aside(self.database)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def page_of(path: Path, table: str) -> int:
    """Where the first page of a table begins."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        return (int(page) - 1) * 4096


DAMAGE: dict[str, Callable[[Workshop], None]] = {
    "an edited entry": lambda w: w.edit("UPDATE ledger SET bytes = x'7b7d' WHERE seq = 3"),
    "a changed letter": lambda w: w.edit(
        "UPDATE ledger SET bytes = CAST(replace(CAST(bytes AS TEXT), 'p', 'q') AS BLOB) WHERE seq = 4"
    ),
    "a deleted entry": lambda w: w.edit("DELETE FROM ledger WHERE seq = 2"),
    "a tail cut off behind what was signed": lambda w: w.edit("DELETE FROM ledger WHERE seq >= 5"),
    "a hash of the tree": lambda w: w.edit("UPDATE tree SET hash = zeroblob(32) WHERE level = 1 AND idx = 1"),
    "a node of the tree gone": lambda w: w.edit("DELETE FROM tree WHERE level = 1 AND idx = 1"),
    "an unreadable checkpoint": lambda w: w.edit("UPDATE checkpoints SET note = 'x'"),
    "a malformed page of the log": lambda w: overwrite(w.database, page_of(w.database, "ledger"), bytes(200)),
    "a malformed page of a view": lambda w: overwrite(w.database, page_of(w.database, "sessions"), b"\xff" * 99),
    "a file that is no database": lambda w: overwrite(w.database, 0, b"no database any more"),
    "a file cut in half": lambda w: os.truncate(w.database, 20_000),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_start_puts_a_damaged_ledger_aside_unchanged_and_records_in_a_new_log(
    workshop: Workshop, damage: Callable[[Workshop], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(workshop)
    before = sha256(workshop.database.read_bytes()).digest()
    with closing(workshop.start_again()) as desk:
        workshop.tap(desk)
    (aside,) = workshop.aside
    assert sha256(aside.read_bytes()).digest() == before
    assert workshop.first["type"] == "log_started"
    assert workshop.first["log"] != workshop.log
    assert workshop.first["predecessor"]["file"] == aside.name
    assert [r.levelname for r in caplog.records if "is damaged" in r.message] == ["CRITICAL"]
    with closing(open_reader(workshop.database)) as connection:
        assert audit(connection).findings == ()


def test_the_new_log_names_the_newest_signed_head_of_the_old_one(workshop: Workshop) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    workshop.start_again().close()
    assert workshop.first["predecessor"] == {
        "log": workshop.log,
        "size": workshop.head.size,
        "root": encode_base64(workshop.head.root),
        "file": workshop.aside[0].name,
    }


def test_a_log_of_which_nothing_was_signed_is_named_without_a_head(workshop: Workshop) -> None:
    workshop.edit("DELETE FROM checkpoints")
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    workshop.start_again().close()
    predecessor = workshop.first["predecessor"]
    assert (predecessor["log"], predecessor["size"], predecessor["root"]) == (workshop.log, None, None)


def test_a_file_of_which_nothing_can_be_read_is_named_by_its_name_alone(workshop: Workshop) -> None:
    overwrite(workshop.database, 0, b"no database any more")
    workshop.start_again().close()
    file = workshop.aside[0].name
    assert workshop.first["predecessor"] == {"log": None, "size": None, "root": None, "file": file}
    assert file.startswith("kiosk.db.damaged-20")


def test_people_their_badges_accounts_and_texts_go_on_in_the_new_log(workshop: Workshop) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE type = 'session_opened'")
    with closing(workshop.start_again()) as desk:
        old, new = desk.core.state, desk.connection
        aigerim = people.person_by_id(new, "p1")
        assert aigerim is not None
        assert (aigerim.surname, aigerim.contract) == (AIGERIM.surname, AIGERIM.contract)
        known = old.people[aigerim.person_ref]
        assert known.qualifications == {"briefing:cnc": "2030-01-01"}
        assert known.contracts == {"ent-steel": ("2026-01-01", "2030-12-31")}
        assert known.consents == {"ent-steel": "2030-12-31"}
        assert [user.name for user in people.users(new)] == ["master"]
        assert people.text_by_hash(new, people.text_hash("He was seen at the canteen", b"salt")) is not None
        workshop.tap(desk)
        workshop.tap(desk, "67003B51C7")
    assert of_type(workshop.data, "session_opened")[0]["person_ref"] == aigerim.person_ref
    assert of_type(workshop.data, "tap_refused")[0]["reason"] == "badge_blocked"
    assert [entry["by"] for entry in of_type(workshop.data, "qualification_granted")] == ["import"]


def test_no_name_goes_into_the_new_log(workshop: Workshop) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    workshop.start_again().close()
    written = json.dumps(ledger(workshop.data), ensure_ascii=False)
    assert not [word for word in (AIGERIM.surname, AIGERIM.badges[0], "canteen", '"p1"') if word in written]


def test_a_consent_is_not_taken_over_past_an_entry_that_may_have_withdrawn_it(workshop: Workshop) -> None:
    workshop.edit("DELETE FROM ledger WHERE type = 'session_opened'")
    workshop.edit("INSERT INTO ledger VALUES (99, 'tap_read', x'00', x'00')")
    with closing(workshop.start_again()) as desk:
        assert [person.consents for person in desk.core.state.people.values()] == [{}, {}, {}]
        assert any(person.contracts for person in desk.core.state.people.values())


def test_a_roster_may_tell_anew_of_a_consent_that_is_in_doubt(workshop: Workshop) -> None:
    workshop.edit("INSERT INTO ledger VALUES (99, 'tap_read', x'00', x'00')")
    with closing(workshop.start_again()) as desk:
        desk.relive([(HandClock().stamp(), ImportPeople((AIGERIM,)))])
    assert [entry["until"] for entry in of_type(workshop.data, "consent_given")] == [AIGERIM.consent_until]


def test_a_withdrawn_consent_stays_withdrawn(workshop: Workshop) -> None:
    with closing(open_writer(workshop.database)) as connection, write(connection):
        given = of_type(workshop.data, "consent_given")[0]
        size = Ledger(connection).size
        withdrawn = {key: value for key, value in given.items() if key != "until"}
        entry = json.dumps(withdrawn | {"type": "consent_withdrawn", "seq": size}).encode()
        Ledger(connection).append("consent_withdrawn", entry)
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    with closing(workshop.start_again()) as desk:
        desk.relive([(HandClock().stamp(), ImportPeople((AIGERIM,)))])  # whose roster still has it
    assert of_type(workshop.data, "consent_given") == []


def test_rows_around_a_bad_page_are_taken_over(workshop: Workshop) -> None:
    many = tuple(replace(PYOTR, person_id=f"x{n}", badges=(f"AA{n:08X}",), surname="Ы" * 60) for n in range(300))
    with closing(workshop.open()) as desk:
        desk.start()
        desk.relive([(workshop.clock.stamp(), ImportPeople(many))])
        desk.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        hit = people.person_by_id(desk.connection, "x150")
    assert hit is not None
    at = workshop.database.read_bytes().index(f"{hit.person_ref}x150apprentice".encode())
    overwrite(workshop.database, at // 4096 * 4096, b"\xff" * 100)
    with closing(workshop.start_again()) as desk:
        kept = {person.person_id for person in people.people(desk.connection)}
    assert {"p1", "p2", "i1", "x0", "x299"} <= kept
    assert 250 < len(kept) < 303


def test_a_power_cut_between_putting_aside_and_beginning_anew_forgets_nothing(workshop: Workshop) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    workshop.open().close()  # put aside and an empty file made, but nothing begun
    assert len(workshop.aside) == 1
    with closing(workshop.start_again()) as desk:
        assert people.person_by_id(desk.connection, "p1") is not None
    assert workshop.first["predecessor"]["size"] == workshop.head.size


def test_a_write_ahead_log_left_behind_by_a_power_cut_follows_its_database(workshop: Workshop) -> None:
    aside = workshop.database.with_name("kiosk.db.damaged-20260101T000000Z")
    workshop.database.rename(aside)
    wal = workshop.database.with_name("kiosk.db-wal")
    wal.write_bytes(b"the last taps")
    workshop.open().close()
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"the last taps"


def test_damage_after_damage_is_put_aside_beside_the_first_and_names_the_second(workshop: Workshop) -> None:
    for _ in range(3):
        workshop.clock.step_wall(-86_400_000)  # a clock without a battery
        workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 1")
        workshop.start_again().close()
        assert workshop.first["predecessor"]["file"] == workshop.aside[-1].name
    assert len(workshop.aside) == 3


def test_a_command_beside_no_kiosk_moves_nothing_and_says_what_to_do(workshop: Workshop) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    with pytest.raises(StoreError, match="start sheber run"):
        office.perform(workshop.data, BlockBadge("0F00448FB0", "i1"))
    assert workshop.aside == []


def test_a_sound_ledger_goes_on_in_the_same_log(workshop: Workshop) -> None:
    workshop.start_again().close()
    assert workshop.aside == []
    assert [entry["predecessor"] for entry in of_type(workshop.data, "log_started")] == [None]


def test_a_disk_that_cannot_be_read_is_no_damage(workshop: Workshop) -> None:
    workshop.database.with_name("kiosk.db-wal").mkdir()  # SQLite says that it cannot open the file
    with pytest.raises(StoreError, match="cannot use the database"):
        workshop.open()
    assert workshop.aside == []


def test_a_running_kiosk_says_that_a_ledger_was_put_aside(workshop: Workshop, tmp_path: Path) -> None:
    workshop.edit("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    with running_kiosk(tmp_path) as (kiosk, _):
        from urllib.request import urlopen

        with urlopen(f"{kiosk.addresses[0]}/health") as answer:
            health = json.load(answer)
        with urlopen(f"{kiosk.addresses[0]}/metrics") as answer:
            metrics = answer.read().decode()
    assert (health["ok"], health["ledgers_damaged"]) == (True, 1)
    assert "sheber_ledger_damaged_total 1\n" in metrics


def test_an_entry_that_fits_its_hash_is_read_for_what_it_says(workshop: Workshop) -> None:
    """The damage itself is never believed: a forged grant without its hash is not taken over."""
    (granted,) = of_type(workshop.data, "qualification_granted")
    forged = json.dumps(granted | {"until": None}).encode()
    workshop.edit("UPDATE ledger SET bytes = ? WHERE seq = ?", forged, granted["seq"])
    workshop.start_again().close()
    assert of_type(workshop.data, "qualification_granted") == []


@needs_root
def test_damage_that_is_met_while_the_disk_was_full_is_put_aside_too_and_recording_goes_on(
    tmp_path: Path, wait_until: Wait
) -> None:
    with tmpfs(tmp_path / "disk", 4 * MIB) as disk, a_clerk(tmp_path, disk / "data") as (clerk, _, told):
        clerk.submit(ImportPeople((AIGERIM,)))
        filler = fill(disk)
        with pytest.raises(CommandRefused, match="not_recording"):
            clerk.submit(ImportPeople((PYOTR,)))
        for file in ("kiosk.db", "kiosk.db-wal"):
            if (disk / "data" / file).exists():
                overwrite(disk / "data" / file, 0, b"no database any more")
        filler.unlink()
        wait_until(lambda: not clerk.trouble, what="the recovery")
        assert clerk.submit(ImportPeople((PYOTR,))).value == 1
        assert len(quarantine.put_aside(disk / "data" / "kiosk.db")) == 1
        began = [entry.body for entry in told if isinstance(entry.body, LogStarted)]
    assert [body.predecessor is None for body in began] == [True, False]
