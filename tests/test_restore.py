"""A backup is verified before it replaces anything, and what comes after it is a new log that names the old one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from store_helpers import head_of, note_of, tampering

from firmware_bridge.observations import BadgeSeen
from kiosk import office
from kiosk.audit import audit
from kiosk.cli import main
from kiosk.commands import AddUser, BlockBadge, ImportPeople
from kiosk.desk import Desk
from kiosk.inbox import Heard
from kiosk.proofs import encode_base64
from kiosk.store import people
from kiosk.store.backup import backup
from kiosk.store.ledger import Ledger
from kiosk.store.schema import hold, open_reader, write
from kiosk.store.succession import NEXT, REPLACED, RESTORED, marked
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, HandClock, ledger, of_type, running_kiosk, small_lab
from tests.test_durability import MIB, needs_root, tmpfs

QUALIFIED = replace(AIGERIM, qualifications=(("briefing:cnc", "2030-01-01"),))
ROOT = Path(__file__).parent.parent


class College:
    """A kiosk that worked, was backed up, worked on for an hour, and was stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.database = self.data / "kiosk.db"
        self.file = folder / "stick" / "kiosk.db.backup"
        self.file.parent.mkdir(parents=True)
        self.clock = HandClock()
        with closing(self.open()) as desk:
            desk.start()
            self.do(desk, ImportPeople((QUALIFIED, PYOTR, MASTER)), AddUser("master", "instructor", "hash", "i1"))
            with write(desk.connection):
                people.store_text(desk.connection, "He was seen at the canteen", b"salt")
                Ledger(desk.connection).store_checkpoint(note_of(head_of(desk.connection)))
            self.tap(desk)
        self.backed_up = backup(self.database, self.file)
        self.log = ledger(self.data)[0]["log"]

    def open(self) -> Desk:
        return Desk(self.database, self.clock, small_lab(self.folder / "lab"))

    def do(self, desk: Desk, *commands: Any) -> None:
        desk.relive([(self.clock.stamp(), command) for command in commands])

    def tap(self, desk: Desk, badge: str = AIGERIM.badges[0]) -> None:
        desk.handle([Heard(self.clock.stamp(), BadgeSeen("mill-1", badge))])
        self.clock.move(60_000)

    def work_on(self, *commands: Any) -> None:
        """What happens after the backup."""
        with closing(self.open()) as desk:
            desk.start()
            self.do(desk, *commands)
            self.tap(desk)

    def restore(self, file: Path | None = None, *options: str) -> Result:
        arguments = ["restore", str(file or self.file), "--data", str(self.data), *options]
        return CliRunner().invoke(main, arguments)

    @property
    def first(self) -> dict[str, Any]:
        return ledger(self.data)[0]

    @property
    def replaced(self) -> list[Path]:
        return marked(self.database, REPLACED)

    @property
    def restored(self) -> list[Path]:
        return marked(self.database, RESTORED)

    def fingerprint(self) -> dict[str, str]:
        """Every file of the data folder with its contents, but for locks and what SQLite shares between readers."""
        found = sorted(path for path in self.data.rglob("*") if path.is_file())
        shared = (".lock", "-shm", "-wal")
        return {p.name: sha256(p.read_bytes()).hexdigest() for p in found if not p.name.endswith(shared)}


@pytest.fixture
def college(tmp_path: Path) -> College:
    return College(tmp_path)


def sheber(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "kiosk", *map(str, arguments)]
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_a_restore_begins_a_new_log_that_names_the_last_known_head_of_the_old_one(college: College) -> None:
    college.work_on()
    with closing(open_reader(college.database)) as connection:
        last = head_of(connection)
    done(college.restore())
    (replaced,), (restored,) = college.replaced, college.restored
    head = {"size": last.size, "root": encode_base64(last.root), "file": replaced.name}
    assert (college.first["type"], college.first["seq"]) == ("log_started", 0)
    assert college.first["log"] != college.log
    assert college.first["predecessor"] == {
        "log": college.log,
        **head,
        "restored": {
            "size": college.backed_up.entries,
            "root": encode_base64(college.backed_up.root),
            "file": restored.name,
        },
        "replaced": {"log": college.log, **head},
    }


def test_what_was_recorded_since_the_backup_is_counted_and_stays_in_a_file_of_its_own(college: College) -> None:
    college.work_on()
    before = college.fingerprint()["kiosk.db"]
    size = len(ledger(college.data))
    said = done(college.restore())
    (replaced,) = college.replaced
    ends = college.backed_up.entries
    assert f"ends at entry {ends - 1}; what was recorded since ({size - ends} entries) stays in {replaced.name}" in said
    assert sha256(replaced.read_bytes()).hexdigest() == before


def test_people_badges_accounts_and_texts_go_on_and_hours_stay_with_their_proofs(college: College) -> None:
    said = done(college.restore())
    with closing(college.open()) as desk:
        desk.start()
        aigerim = people.person_by_id(desk.connection, "p1")
        assert aigerim is not None
        known = desk.core.state.people[aigerim.person_ref]
        assert known.qualifications == {"briefing:cnc": "2030-01-01"}
        assert known.contracts == {"ent-steel": ("2026-01-01", "2030-12-31")}
        assert known.consents == {"ent-steel": "2030-12-31"}
        assert [user.name for user in people.users(desk.connection)] == ["master"]
        assert people.text_by_hash(desk.connection, people.text_hash("He was seen at the canteen", b"salt"))
        college.tap(desk)
    (opened,) = of_type(college.data, "session_opened")
    assert opened["person_ref"] == aigerim.person_ref
    assert f"{college.restored[0].name}: among them 1 sessions to decide" in said
    with closing(open_reader(college.restored[0])) as kept:
        assert audit(kept).root == college.backed_up.root


def test_after_a_restore_the_kiosk_runs_records_and_its_ledger_is_verified_and_rebuilt(
    college: College, tmp_path: Path
) -> None:
    college.work_on()
    assert sheber("restore", college.file, SHEBER_DATA=str(college.data)).returncode == 0
    with running_kiosk(tmp_path) as (kiosk, _):
        assert kiosk.addresses
    for command in (("ledger", "verify"), ("rebuild",)):
        result = sheber(*command, "--data", college.data)
        assert result.returncode == 0, result.stderr


def test_a_new_card_is_restored_onto(college: College, tmp_path: Path) -> None:
    card = tmp_path / "card"
    said = done(CliRunner().invoke(main, ["restore", str(college.file), "--data", str(card)]))
    assert "there was no ledger here" in said
    predecessor = ledger(card)[0]["predecessor"]
    assert (predecessor["log"], predecessor["size"]) == (college.log, college.backed_up.entries)
    assert predecessor["replaced"] is None
    assert not marked(card / "kiosk.db", REPLACED)


def test_where_nobody_knows_what_was_withdrawn_since_no_consent_is_taken_over(college: College, tmp_path: Path) -> None:
    card = tmp_path / "card"
    said = done(CliRunner().invoke(main, ["restore", str(college.file), "--data", str(card)]))
    assert "1 consents are not known to stand" in said
    assert of_type(card, "consent_given") == []
    assert of_type(card, "contract_recorded") != []


def test_a_badge_that_was_blocked_since_the_backup_stays_blocked(college: College) -> None:
    college.work_on(BlockBadge(AIGERIM.badges[0], "i1"))
    done(college.restore())
    with closing(college.open()) as desk:
        desk.start()
        college.tap(desk)
    assert [entry["reason"] for entry in of_type(college.data, "tap_refused")] == ["badge_blocked"]


def test_a_person_who_was_erased_since_the_backup_does_not_come_back(college: College) -> None:
    with closing(college.open()) as desk, write(desk.connection):
        found = people.person_by_id(desk.connection, "p1")
        assert found is not None
        people.erase_person(desk.connection, found.person_ref)
    done(college.restore())
    with closing(open_reader(college.database)) as connection:
        assert people.person_by_id(connection, "p1") is None
        assert people.badge_by_uid(connection, AIGERIM.badges[0]) is None


def test_what_was_replaced_is_one_file_with_all_that_was_recorded(college: College) -> None:
    with closing(open_reader(college.database)):  # whoever only reads leaves the write-ahead log behind
        college.work_on()
    assert college.database.with_name("kiosk.db-wal").stat().st_size > 0
    entries = ledger(college.data)
    done(college.restore())
    (replaced,) = college.replaced
    carried = college.folder / "carried" / "kiosk.db"
    carried.parent.mkdir()
    carried.write_bytes(replaced.read_bytes())
    assert ledger(carried.parent) == entries


def test_a_damaged_ledger_is_replaced_and_stays_as_it_is(college: College) -> None:
    college.work_on()
    with tampering(college.database) as connection:
        connection.execute("UPDATE ledger SET bytes = x'00' WHERE seq = 3")
    before = college.fingerprint()["kiosk.db"]
    said = done(college.restore())
    assert "is damaged (entry 3 does not fit its hash)" in said
    assert sha256(college.replaced[0].read_bytes()).hexdigest() == before
    assert college.first["predecessor"]["log"] == college.log


def test_a_file_in_the_ledgers_place_that_is_no_database_is_kept_too(college: College) -> None:
    college.database.write_bytes(b"what a failing card gave back")
    done(college.restore())
    assert college.replaced[0].read_bytes() == b"what a failing card gave back"
    assert college.first["predecessor"]["size"] == college.backed_up.entries


def test_a_restore_can_be_undone_by_restoring_what_was_replaced(college: College) -> None:
    college.work_on()
    done(college.restore())
    size = college.first["predecessor"]["size"]
    done(college.restore(college.replaced[0]))
    assert len(college.replaced) == 2
    assert college.first["predecessor"]["restored"]["size"] == size
    assert college.first["predecessor"]["log"] == college.log


def test_the_answer_for_scripts_is_one_object(college: College) -> None:
    college.work_on()
    size = len(ledger(college.data))
    told = json.loads(done(college.restore(None, "--json")))
    assert told["recorded_since"] == size - college.backed_up.entries
    assert (told["log"], told["predecessor"]) == (college.first["log"], college.first["predecessor"])
    assert told["carried"] == {"people": 3, "badges": 3, "users": 1, "texts": 1}


def test_no_name_goes_into_the_new_log_or_onto_the_screen(college: College) -> None:
    said = done(college.restore())
    written = json.dumps(ledger(college.data), ensure_ascii=False) + said
    assert not [word for word in (AIGERIM.surname, AIGERIM.badges[0], "canteen", '"p1"') if word in written]


# --- what is refused, with nothing changed ----------------------------------------------------------------------------


def _edited(file: Path) -> None:
    with tampering(file) as connection:
        connection.execute("UPDATE ledger SET bytes = x'7b7d' WHERE seq = 3")


def _newer(file: Path) -> None:
    with tampering(file) as connection:
        connection.execute("PRAGMA user_version=99")


def _unlawful(file: Path) -> None:
    with tampering(file) as connection:
        connection.execute("DELETE FROM ledger")
        connection.execute("DELETE FROM tree")
        connection.execute("DELETE FROM checkpoints")


def _bad_page(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[8192:12288] = bytes(4096)
    file.write_bytes(bytes(whole))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "an edited entry": (_edited, "entry 3 does not fit its hash"),
    "a damaged page": (_bad_page, "does not verify"),
    "a half": (lambda file: os.truncate(file, 20_000), "is no Sheber backup, or not whole"),
    "an empty file": (lambda file: file.write_bytes(b""), "is no Sheber backup"),
    "a text": (lambda file: file.write_text("id;name\n" * 5000), "is no Sheber backup"),
    "an encrypted file": (lambda file: file.write_bytes(os.urandom(50_000)), "is no Sheber backup"),
    "another version": (_newer, "newer version of Sheber"),
    "a backup of nothing": (_unlawful, "holds no log"),
}


@pytest.mark.parametrize(("spoil", "told"), BAD.values(), ids=BAD)
def test_a_bad_backup_is_refused_in_a_sentence_and_nothing_is_changed(
    college: College, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(college.file)
    before = college.fingerprint()
    result = college.restore()
    assert result.exit_code == 1, result.output
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert college.fingerprint() == before
    assert [path.name for path in college.data.iterdir() if path.is_dir()] == []


def test_a_missing_file_and_a_folder_are_no_backups(college: College) -> None:
    for file in (college.folder / "nowhere.db", college.folder):
        assert college.restore(file).exit_code == 2


def test_the_database_itself_is_no_backup_of_itself(college: College) -> None:
    before = college.fingerprint()
    result = college.restore(college.database)
    assert (result.exit_code, "is the database itself" in result.stderr) == (1, True)
    assert college.fingerprint() == before


def test_a_running_kiosk_is_not_taken_its_ledger(college: College, tmp_path: Path) -> None:
    with running_kiosk(tmp_path):
        result = sheber("restore", college.file, "--data", college.data)
        assert (result.returncode, "stop that kiosk first" in result.stderr) == (1, True)
        assert ledger(college.data)[0]["log"] == college.log
    assert college.replaced == []


@needs_root
def test_a_full_disk_takes_no_copy_and_keeps_what_it_has(college: College, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", MIB) as disk:
        data = disk / "data"
        data.mkdir()
        (data / "kiosk.db").write_bytes(college.database.read_bytes())
        filler = disk / "filler"
        with filler.open("wb") as file:
            file.write(bytes(disk_room(disk) - 60_000))
        before = (data / "kiosk.db").read_bytes()
        result = CliRunner().invoke(main, ["restore", str(college.file), "--data", str(data)])
        assert result.exit_code == 1, result.output
        assert "room" in result.stderr
        assert (data / "kiosk.db").read_bytes() == before
        assert sorted(path.name for path in data.iterdir()) == ["kiosk.db", "kiosk.db.lock"]


def disk_room(disk: Path) -> int:
    """Bytes that are free."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


@needs_root
def test_a_folder_of_another_user_is_left_to_that_user(college: College) -> None:
    os.chown(college.data, 12345, 12345)
    result = college.restore()
    assert (result.exit_code, "belongs to another user" in result.stderr) == (1, True)


# --- a power cut at any step ------------------------------------------------------------------------------------------


RENAMES = "?rename,?renameat,?renameat2"
"""Which of them a machine has depends on its processor."""


def killed_at(college: College, call: int) -> bool:
    """A real `sheber restore`, killed when it is about to rename for the nth time; False where it came to its end."""
    ended = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={RENAMES}"),
            *("-e", f"inject={RENAMES}:signal=KILL:when={call}"),
            *(sys.executable, "-m", "kiosk", "restore", str(college.file), "--data", str(college.data)),
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), ended.stderr
    return ended.returncode != 0


def test_a_power_cut_at_any_step_leaves_the_old_ledger_or_the_new_one(tmp_path: Path) -> None:
    outcomes, call, killed = [], 0, True
    while killed:
        call += 1
        college = College(tmp_path / str(call))
        college.work_on()
        for ending in ("-wal", ".snapshot"):  # a kiosk that was killed leaves some behind
            college.database.with_name(college.database.name + ending).touch()
        entries = ledger(college.data)
        killed = killed_at(college, call)
        hold(college.database).close()  # as whoever writes next does
        found = ledger(college.data)
        old = found == entries
        outcomes.append(old)
        assert old or found[0]["predecessor"]["size"] == len(entries)
        assert old != bool(college.replaced)
        assert not marked(college.database, NEXT)
        with closing(open_reader(college.database)) as connection:
            assert audit(connection).findings == ()
        done(college.restore())  # and it can be done again
    assert outcomes[0] is True
    assert outcomes[-2:] == [False, False]
    assert outcomes == sorted(outcomes, reverse=True)


def test_nothing_that_belonged_to_the_old_ledger_is_taken_for_the_new_ones(college: College) -> None:
    college.work_on()
    following = college.database.with_name("kiosk.db.next-20270101T000000Z")
    following.write_bytes(college.file.read_bytes())
    for ending in ("-wal", "-shm", "-journal", ".snapshot"):
        college.database.with_name(f"kiosk.db{ending}").write_bytes(b"of the old one")
    hold(college.database).close()
    assert college.database.read_bytes() == college.file.read_bytes()
    (replaced,) = college.replaced
    for ending in ("-wal", "-shm", "-journal", ".snapshot"):
        assert not college.database.with_name(f"kiosk.db{ending}").exists()
        assert replaced.with_name(replaced.name + ending).read_bytes() == b"of the old one"


def test_a_command_without_a_kiosk_goes_on_with_what_was_restored(college: College) -> None:
    done(college.restore())
    office.perform(college.data, BlockBadge(AIGERIM.badges[0], "i1"))
    assert office.rebuild(college.data).same
