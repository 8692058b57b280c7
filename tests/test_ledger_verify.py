"""`sheber ledger verify`, as an auditor types it: every way to touch a history is found, named, and left as it is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kiosk_fixtures import AIGERIM, PEOPLE, HandClock, small_lab
from store_helpers import head_of, note_of, tampering

from firmware_bridge.observations import BadgeSeen, MachineReported
from kiosk.cli import main
from kiosk.commands import ImportPeople
from kiosk.desk import Desk
from kiosk.inbox import Heard
from kiosk.proofs import canonical, leaf_hash
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader, open_writer, write
from kiosk.store.verify import verify

FLIPS = 1_000
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A morning of a real kiosk, and a checkpoint that it signed in the middle."""
    folder = tmp_path_factory.mktemp("morning")
    clock = HandClock()
    with closing(Desk(folder / "kiosk.db", clock, small_lab(folder / "lab"))) as desk:
        desk.start()
        desk.relive([(clock.stamp(), ImportPeople(PEOPLE))])
        for lesson in range(8):
            for _ in range(2):
                desk.handle([Heard(clock.stamp(), MachineReported("mill-1", "running" if lesson % 3 else "idle"))])
                desk.handle([Heard(clock.stamp(), BadgeSeen("mill-1", AIGERIM.badges[0]))])
                clock.move(20 * MINUTE_MS)
            if lesson == 4:
                with write(desk.connection):
                    Ledger(desk.connection).store_checkpoint(note_of(head_of(desk.connection)))
    return folder / "kiosk.db"


@pytest.fixture
def data(morning: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(morning, folder / "kiosk.db")
    return folder


def verified(data: Path, *words: str | Path) -> Result:
    """The command, which must leave every byte as it was."""
    before = [sha256(path.read_bytes()).hexdigest() for path in sorted(data.glob("kiosk.db*"))]
    result = CliRunner().invoke(main, ["ledger", "verify", "--data", str(data), *map(str, words)])
    main_file = sha256((data / "kiosk.db").read_bytes()).hexdigest()
    assert not before or main_file == before[0]
    return result


def found(data: Path, *words: str | Path) -> dict[str, Any]:
    """The first finding, as a script reads it."""
    result = verified(data, "--json", *words)
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert (told["ok"], told["root"]) == (False, None)
    finding: dict[str, Any] = told["findings"][0]
    assert f"sheber: {finding['message']}" in verified(data, *words).stderr
    return finding


def entries(data: Path) -> list[dict[str, Any]]:
    with closing(open_reader(data / "kiosk.db")) as connection:
        return [json.loads(entry) for _, entry in Ledger(connection).entries()]


def write_anew(data: Path, history: list[dict[str, Any]]) -> None:
    """Another history in the same log, with every hash right again."""
    with tampering(data / "kiosk.db") as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM ledger")
        connection.execute("DELETE FROM tree")
        for entry in history:
            Ledger(connection).append(entry["type"], canonical(entry))
        connection.execute("COMMIT")


def kept(data: Path) -> Path:
    """The newest head, as somebody keeps it elsewhere."""
    note = data.parent / "kept.note"
    with closing(open_reader(data / "kiosk.db")) as connection:
        note.write_text(note_of(head_of(connection)), encoding="utf-8")
    return note


def of_type(data: Path, entry_type: str) -> dict[str, Any]:
    return next(entry for entry in entries(data) if entry["type"] == entry_type)


def test_a_whole_log_is_said_to_be_whole_with_its_sessions_and_its_root(data: Path) -> None:
    result = verified(data)
    assert result.exit_code == 0
    assert "every one as it was written" in result.stdout
    assert "8 sessions, every one by the laws of hours" in result.stdout
    told = json.loads(verified(data, "--json", "--checkpoint", kept(data)).stdout)
    assert (told["ok"], told["entries"], told["sessions"], told["findings"]) == (True, len(entries(data)), 8, [])


def test_an_edited_entry_is_named(data: Path) -> None:
    entry = of_type(data, "session_closed")
    entry["at"]["boot_ms"] += 3_600_000
    with tampering(data / "kiosk.db") as connection:
        connection.execute("UPDATE ledger SET bytes = ? WHERE seq = ?", (canonical(entry), entry["seq"]))
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("bytes", entry["seq"])


def test_an_entry_edited_with_its_hash_is_named_to_within_its_pair(data: Path) -> None:
    entry = of_type(data, "session_closed")
    entry["at"]["boot_ms"] += 3_600_000
    changed = canonical(entry)
    with tampering(data / "kiosk.db") as connection:
        connection.execute(
            "UPDATE ledger SET bytes = ?, leaf = ? WHERE seq = ?", (changed, leaf_hash(changed), entry["seq"])
        )
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("tree", entry["seq"] & ~1)


def test_a_deleted_entry_is_named(data: Path) -> None:
    seq = of_type(data, "session_closed")["seq"]
    with tampering(data / "kiosk.db") as connection:
        connection.execute("DELETE FROM ledger WHERE seq = ?", (seq,))
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("missing", seq)


def test_two_swapped_entries_are_named_by_the_first(data: Path) -> None:
    with tampering(data / "kiosk.db") as connection:
        for old, new in ((10, -1), (20, 10), (-1, 20)):
            connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (new, old))
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("seq", 10)


def test_a_cut_tail_is_found_by_the_tree_that_is_left(data: Path) -> None:
    with tampering(data / "kiosk.db") as connection:
        connection.execute("DELETE FROM ledger WHERE seq >= 40")
        connection.execute("DELETE FROM checkpoints")
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("cut", 40)


def test_a_tail_cut_with_its_hashes_is_found_by_the_logs_own_checkpoint(data: Path) -> None:
    write_anew(data, entries(data)[:20])
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("cut", 20)


def test_a_tail_cut_behind_the_logs_own_checkpoint_is_found_by_one_kept_elsewhere(data: Path) -> None:
    note, history = kept(data), entries(data)
    write_anew(data, history[:-1])
    assert verified(data).exit_code == 0
    finding = found(data, "--checkpoint", note)
    assert (finding["code"], finding["seq"]) == ("cut", len(history) - 1)


def test_a_history_computed_anew_is_found_by_the_logs_own_checkpoint(data: Path) -> None:
    history = entries(data)
    opened = next(entry for entry in history if entry["type"] == "session_opened")
    opened["machine"] = "lathe-1"
    write_anew(data, history)
    assert found(data)["code"] == "checkpoint"


def test_a_history_computed_anew_together_with_its_checkpoints_is_found_by_one_kept_elsewhere(data: Path) -> None:
    note, history = kept(data), entries(data)
    next(entry for entry in history if entry["type"] == "session_opened")["nonce"] = "forged"
    write_anew(data, history)
    with tampering(data / "kiosk.db") as connection:
        connection.execute("DELETE FROM checkpoints")
    assert verified(data).exit_code == 0
    finding = found(data, "--checkpoint", note)
    assert (finding["code"], finding["seq"]) == ("checkpoint", 0)


def test_an_old_image_put_back_is_found_by_a_checkpoint_kept_elsewhere(data: Path) -> None:
    old = (data / "kiosk.db").read_bytes()
    size = len(entries(data))
    with closing(open_writer(data / "kiosk.db")) as connection, write(connection):
        last = entries(data)[-1]
        Ledger(connection).append(last["type"], canonical(last | {"seq": size}))
    note = kept(data)
    for leftover in data.glob("kiosk.db-*"):
        leftover.unlink()
    (data / "kiosk.db").write_bytes(old)
    assert verified(data).exit_code == 0
    finding = found(data, "--checkpoint", note)
    assert (finding["code"], finding["seq"]) == ("cut", size)


def test_a_file_that_is_cut_in_half_is_said_to_be_damaged(data: Path) -> None:
    whole = (data / "kiosk.db").read_bytes()
    (data / "kiosk.db").write_bytes(whole[: len(whole) // 2])
    result = verified(data)
    assert result.exit_code == 1
    assert result.stderr.startswith("sheber: ")


# --- the hours ---


def appended(data: Path, **changes: Any) -> int:
    """One more entry with right hashes, made by a hand or by another program; its number."""
    history = entries(data)
    seq = len(history)
    with closing(open_writer(data / "kiosk.db")) as connection, write(connection):
        entry = {key: value for key, value in (history[-1] | changes).items() if value is not None} | {"seq": seq}
        Ledger(connection).append(entry["type"], canonical(entry))
    return seq


def test_an_entry_of_a_type_that_is_not_known_is_said_to_be_a_newer_programs(data: Path) -> None:
    seq = appended(data, type="robot_certified")
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("unknown", seq)
    assert "'robot_certified' version 1, which this program does not know" in finding["message"]


def test_an_entry_that_contradicts_what_is_before_it_is_named(data: Path) -> None:
    closed = of_type(data, "session_closed")
    seq = appended(data, **closed)
    finding = found(data)
    assert (finding["code"], finding["seq"]) == ("fold", seq)


def test_hours_that_break_a_law_are_said_although_every_hash_is_right(data: Path) -> None:
    opened = of_type(data, "session_opened")
    last = entries(data)[-1]
    at = {"boot": last["stamp"]["boot"], "boot_ms": last["stamp"]["boot_ms"] - 60 * MINUTE_MS}
    appended(data, **{**opened, "stamp": last["stamp"], "machine": "lathe-1", "at": at})
    finding = found(data)
    assert finding["code"] == "law"
    assert "have one person at work twice" in finding["message"]


# --- one bit ---


@pytest.fixture(scope="module")
def opened(morning: Path) -> Iterator[sqlite3.Connection]:
    """The morning's log in memory, open to any hand."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with closing(sqlite3.connect(morning)) as source:
            source.backup(connection)
        for name in ("ledger_appends_only", "ledger_never_changes", "ledger_never_forgets"):
            connection.execute(f"DROP TRIGGER {name}")
        yield connection


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=FLIPS, deadline=None, suppress_health_check=list(HealthCheck))
@given(seq=st.integers(0, 40), column=st.sampled_from(["bytes"] * 4 + ["leaf", "type"]), bit=st.integers(0, 8_000))
def test_none_of_a_thousand_flipped_bits_goes_unnoticed(
    opened: sqlite3.Connection, seq: int, column: str, bit: int
) -> None:
    kind: Callable[[str], str] = {"type": "CAST({} AS TEXT)".format}.get(column, str)
    whole = opened.execute(f"SELECT CAST({column} AS BLOB) FROM ledger WHERE seq = ?", (seq,)).fetchone()[0]
    statement = f"UPDATE ledger SET {column} = {kind('?')} WHERE seq = ?"
    opened.execute(statement, (_flipped(whole, bit), seq))
    try:
        assert verify(opened)[0].seq == seq
    finally:
        opened.execute(statement, (whole, seq))
