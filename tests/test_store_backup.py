"""A backup is a verified copy, made while the kiosk writes; anything less leaves no file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_helpers import append, findings, head_of, make_log, tampering

from kiosk.store.backup import backup
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_reader, open_writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "kiosk.db"
    make_log(path, 50)
    return path


def test_a_copy_of_a_running_kiosk_holds_what_was_committed_and_goes_on_as_a_kiosk(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with closing(open_writer(path)) as writer:
        append(writer, 5)  # still in the write-ahead log
        report = backup(path, target)
        append(writer, 1)
    assert (report.path, report.entries) == (target, 55)
    assert findings(target) == []
    with closing(open_reader(target)) as copy:
        assert head_of(copy).root == report.root
    with closing(open_writer(target)) as copy:
        append(copy, 1)
        assert Ledger(copy).size == 56


def test_a_copy_is_one_file_that_its_owner_alone_reads(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    backup(path, folder / "copy.db")
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


def test_an_older_backup_is_replaced(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    backup(path, target)
    with closing(open_writer(path)) as writer:
        append(writer, 5)
    assert backup(path, target).entries == 55


def test_a_file_that_is_no_backup_is_never_replaced(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "lab.toml"
    target.write_text("[lab]")
    with pytest.raises(StoreError, match="no Sheber backup"):
        backup(path, target)
    assert target.read_text() == "[lab]"


def test_the_running_database_is_never_replaced_by_its_copy(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with closing(open_reader(path)) as connection:
        for source in (path, connection):
            for target in (path, link):
                with pytest.raises(StoreError, match="running database itself"):
                    backup(source, target)


def test_a_damaged_ledger_gives_no_backup_and_leaves_no_file(path: Path, tmp_path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET bytes = x'00' WHERE seq = 7")
    with pytest.raises(StoreError, match="entry 7 does not fit"):
        backup(path, tmp_path / "copy.db")
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


def test_a_damaged_page_gives_no_backup(path: Path, tmp_path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[8192:12288] = bytes(4096)
    path.write_bytes(bytes(whole))
    with pytest.raises(StoreError, match=r"damaged|verify|could not be written"):
        backup(path, tmp_path / "copy.db")


def test_a_missing_folder_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="choose another folder"):
        backup(path, tmp_path / "nowhere" / "copy.db")


def test_a_backup_from_the_writing_connection_itself_works(path: Path, tmp_path: Path) -> None:
    with closing(open_writer(path)) as writer:
        assert backup(writer, tmp_path / "copy.db").entries == 50
        assert isinstance(writer, sqlite3.Connection)
        append(writer, 1)


@pytest.mark.parametrize("ending", [".lock", "-wal", "-journal"])
def test_a_database_that_a_kiosk_uses_is_never_replaced_by_a_backup(path: Path, tmp_path: Path, ending: str) -> None:
    """Nor is one with a write-ahead log, which SQLite would play back into the copy."""
    target = tmp_path / "other" / "kiosk.db"
    target.parent.mkdir()
    backup(path, target)
    before = target.read_bytes()
    target.with_name(target.name + ending).touch()
    with pytest.raises(StoreError, match="in use as a database"):
        backup(path, target)
    assert target.read_bytes() == before
