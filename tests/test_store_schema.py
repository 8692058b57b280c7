"""Opening the database: durable or not at all, one writer, nothing foreign, nothing newer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from store_helpers import PowerCutError, append, append_in_vain, make_log

from kiosk.store.ledger import Ledger
from kiosk.store.meta import Heartbeat, beat, get_meta, last_heartbeat, put_meta
from kiosk.store.schema import StoreError, open_reader, open_writer, write


def test_a_new_file_is_durable_private_and_current(tmp_path: Path) -> None:
    path = tmp_path / "data" / "kiosk.db"
    with closing(open_writer(path)) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
        append(connection, 1)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert pragmas == [2, "wal"]
    assert set(modes) == {"kiosk.db", "kiosk.db-wal", "kiosk.db-shm", "kiosk.db.lock"}
    assert set(modes.values()) == {0o600}


def test_a_current_file_opens_without_the_migration_library(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    make_log(path, 1)
    script = (
        "import sys; from pathlib import Path; from kiosk.store.schema import open_writer\n"
        f"open_writer(Path({str(path)!r})).close(); sys.exit('sqlite_utils' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_second_writer_is_refused_in_words_and_let_in_after_the_first_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    with closing(open_writer(path)), pytest.raises(StoreError, match="another process writes"):
        open_writer(path)
    open_writer(path).close()


def test_a_second_writing_process_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    script = f"from pathlib import Path; from kiosk.store.schema import open_writer; open_writer(Path({str(path)!r}))"
    with closing(open_writer(path)):
        done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert "StoreError: another process writes" in done.stderr


def test_a_failed_opening_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="cannot use the database"):
        open_writer(path)
    path.unlink()
    open_writer(path).close()


def test_a_reader_sees_what_is_committed_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    with closing(open_writer(path)) as writer, closing(open_reader(path)) as reader:
        append(writer, 3)
        assert Ledger(reader).size == 3
        with pytest.raises(sqlite3.OperationalError, match=r"readonly|read-only"):
            reader.execute("DELETE FROM people")


def test_a_reader_opens_a_database_that_nobody_writes(tmp_path: Path) -> None:
    path = tmp_path / "a folder with # and ?" / "kiosk.db"
    make_log(path, 2)
    with closing(open_reader(path)) as reader:
        assert Ledger(reader).size == 2


def test_a_missing_database_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        open_reader(tmp_path / "kiosk.db")
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_database_is_for_its_writer_to_finish(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    path.touch()
    with pytest.raises(StoreError, match="start sheber run once"):
        open_reader(path)
    open_writer(path).close()
    open_reader(path).close()


@pytest.mark.parametrize(
    "sign",
    [
        "PRAGMA user_version=99",
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('kiosk', 'm9', '')",
    ],
)
@pytest.mark.parametrize("opener", [open_writer, open_reader])
def test_a_database_of_a_newer_version_is_refused_in_words(tmp_path: Path, sign: str, opener: object) -> None:
    path = tmp_path / "kiosk.db"
    make_log(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sign)
    assert callable(opener)
    with pytest.raises(StoreError, match="newer version"):
        opener(path)


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    for opener in (open_writer, open_reader):
        with pytest.raises(StoreError, match="another program's"):
            opener(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use the data folder"):
        open_writer(tmp_path / "file" / "kiosk.db")


def test_a_migration_that_fails_leaves_no_half_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kiosk.db"
    from kiosk.store import schema

    broken = {"m001_ledger_people_views": ("CREATE TABLE one (a)", "CREATE TABLE one (a)")}
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(StoreError, match="already exists"):
            open_writer(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    open_writer(path).close()


def test_a_transaction_that_fails_leaves_nothing_and_the_connection_usable(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection:
        with pytest.raises(PowerCutError):
            append_in_vain(connection)
        assert Ledger(connection).size == 0
        append(connection, 1)
        assert Ledger(connection).size == 1


def test_meta_and_heartbeat_keep_the_last_value(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, write(connection):
        assert (get_meta(connection, "key"), last_heartbeat(connection)) == (None, None)
        for number in (1, 2):
            put_meta(connection, "key", str(number))
            beat(connection, Heartbeat("b1", number, number))
        assert get_meta(connection, "key") == "2"
        assert last_heartbeat(connection) == Heartbeat("b1", 2, 2)
