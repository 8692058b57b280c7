"""A database that is brought up to date while the power goes is the old one or the new one, and its ledger the same."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from store_helpers import LOG_ID, append, findings, make_log, tampering

from kiosk.domain import entries as e
from kiosk.proofs import canonical
from kiosk.store import acts, schema, totals
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_writer, write
from kiosk.store.tables import MIGRATIONS

KILLS = 60
LESSONS = 40
ENTRIES = 50 + 4 * LESSONS

NEXT = (
    "ALTER TABLE people ADD COLUMN note TEXT",
    "CREATE TABLE visits (visit INTEGER PRIMARY KEY, words TEXT NOT NULL) STRICT",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    " INSERT INTO visits SELECT i, hex(randomblob(100)) FROM n",
    "CREATE INDEX visits_words ON visits (words)",
    "DROP INDEX badges_person",
    "DELETE FROM visits WHERE visit % 2",
    "UPDATE texts SET text = text || ' '",
)
LADDER = MIGRATIONS | {"m998_a_year_later": NEXT, "m999_another": ("CREATE TABLE last_step (a INTEGER) STRICT",)}
"""Every migration there is, and two of a future version."""

KILLER = """
import contextlib, json, os, signal, sys, time
from pathlib import Path
import sqlite_utils
from kiosk.store import schema

schema.MIGRATIONS = json.loads(sys.argv[1])
if sys.argv[2].startswith("careless"):
    schema.write = contextlib.nullcontext
copies = [Path(name) for name in sys.argv[3:]]

def migrate(path, after_s):
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        schema.open_writer(path)
        os._exit(0)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return time.monotonic() - began if after_s is None else os.WIFSIGNALED(status)

whole_s = min(migrate(path, None) for path in copies[:3])
rest = copies[3:]
print(sum(migrate(path, 1.1 * whole_s * number / len(rest)) for number, path in enumerate(rest)))
"""
"""Forks, so that each kill costs a migration and not a start of Python."""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is of the future version."""
    monkeypatch.setattr(schema, "MIGRATIONS", LADDER)


def old_database(path: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database as the version with so many migrations left it; none makes no file."""
    path.parent.mkdir()
    if version == 0:
        return
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", dict(list(LADDER.items())[:version]))
        make_log(path, ENTRIES - 4 * LESSONS)
        with closing(open_writer(path)) as connection:
            work(connection, LESSONS)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def work(connection: sqlite3.Connection, count: int) -> None:
    """So many decisions, badges and sessions, as every version has written them."""
    ledger = Ledger(connection)
    reviews = ("pending", "approved", "rejected")
    with write(connection):
        for number in range(count):
            at_ms, person = 1_700_000_000_000 + 60_000 * number, f"person-{number % 5}"
            told: tuple[e.Body, ...] = (
                e.BadgeAssigned(f"b{number}", person),
                e.BadgeBlocked(f"b{number - 1}"),
                e.SessionReviewed(number, person, "approved", "u1"),
                e.StateChanged("mill-1", "running", e.At("b1", number), "report"),
            )
            for body in told:
                entry = e.Entry(ledger.size, e.Stamp("b1", number, at_ms, number % 7 > 0), "n", body)
                ledger.append(body.type, canonical(e.to_object(entry)))
            session = {
                "session": number, "person_ref": person, "machine": "mill-1", "role": "operator", "start_ms": at_ms,
                "end_ms": at_ms + 60_000 if number % 6 else None, "local_date": f"2023-11-{number % 20 + 10}",
                "presence_ms": 60_000, "by_state": '{"idle":0,"running":60000}', "credited_ms": 50_000,
                "unverified_ms": 0, "uncredited": "{}", "evidence": "badge", "flags": "[]",
                "review": reviews[number % 3], "process": "CNC3" if number % 4 else None,
                "decided_credited_ms": 40_000, "decided_process": "CNC4",
            }  # fmt: skip
            names, marks = ", ".join(session), ", ".join("?" * len(session))
            connection.execute(f"INSERT INTO sessions ({names}) VALUES ({marks})", tuple(session.values()))


def shape(path: Path) -> tuple[int, str]:
    """The version a file says it has, and everything it is made of."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        made_of = [tuple(row) for row in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")]
        for table in ("visits", "_sqlite_migrations", "acts", "person_totals", "machine_days"):
            if any(row[1] == table for row in made_of):
                made_of.append((table, *connection.execute(f"SELECT count(*) FROM {table}").fetchone()))
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return version, repr(made_of)


def ledger_bytes(path: Path) -> str:
    """A fingerprint of every row of the log and its tree."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT seq, type, bytes, leaf FROM ledger ORDER BY seq").fetchall()
        tree = connection.execute("SELECT * FROM tree ORDER BY 1, 2").fetchall()
        return sha256(repr((rows, tree)).encode()).hexdigest()


def killed_copies(source: Path, how: str) -> tuple[list[Path], int]:
    """Copies of a database that migrations were killed on, one after the other a little later; and how many died."""
    copies = [source.parent.parent / how / str(number) / "kiosk.db" for number in range(KILLS + 3)]
    for copy in copies:
        shutil.copytree(source.parent, copy.parent)
    command = [sys.executable, "-c", KILLER, json.dumps(LADDER), how, *map(str, copies)]
    return copies, int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("version", range(len(LADDER)))
def test_killed_at_any_moment_of_a_migration_it_is_old_or_new_and_the_next_start_finishes(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source" / "kiosk.db"
    old_database(source, version, monkeypatch)
    before = ledger_bytes(source) if version else ""
    old = shape(source) if version else shape(tmp_path / "nothing.db")
    copies, killed = killed_copies(source, "careful")
    new = shape(copies[0])
    assert new[0] == len(LADDER)

    seen = [shape(copy) for copy in copies]
    assert set(seen) == {old, new}
    assert killed > KILLS // 4
    for copy in copies:
        open_writer(copy).close()
        assert shape(copy) == new
        assert not version or ledger_bytes(copy) == before


@pytest.mark.usefixtures("later")
def test_this_test_sees_a_migration_that_is_not_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source" / "kiosk.db"
    old_database(source, len(MIGRATIONS), monkeypatch)
    for storm in range(10):  # a kill may always come too early or too late
        copies, _ = killed_copies(source, f"careless-{storm}")
        if {shape(copy) for copy in copies} - {shape(source), shape(copies[0])}:
            return
    pytest.fail("no kill left anything half done")


@pytest.mark.usefixtures("later")
def test_a_migrated_log_is_whole_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, len(MIGRATIONS), monkeypatch)
    with closing(open_writer(path)) as connection:
        assert Ledger(connection).log_id == LOG_ID
        append(connection, 1)
    assert findings(path) == []


@pytest.mark.usefixtures("later")
def test_a_migration_that_would_touch_the_log_is_stopped_and_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, len(MIGRATIONS), monkeypatch)
    old, before = shape(path), ledger_bytes(path)
    replaced = "INSERT OR REPLACE INTO ledger VALUES (0, '', x'', x'')"
    for statement in ("UPDATE ledger SET type = 'x'", "DELETE FROM ledger", replaced):
        monkeypatch.setattr(schema, "MIGRATIONS", LADDER | {"m9999_touches": ("CREATE TABLE t (a)", statement)})
        with pytest.raises(StoreError, match="the ledger only appends"):
            open_writer(path)
        assert (shape(path), ledger_bytes(path)) == (old, before)


def test_the_version_before_refuses_a_migrated_database_in_words_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, len(LADDER), monkeypatch)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version of Sheber: install that version or a later one"):
        open_writer(path)
    assert path.read_bytes() == before


def test_only_what_is_committed_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that was cut off before the upgrade is no part of it."""
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, len(MIGRATIONS), monkeypatch)
    before = ledger_bytes(path)
    script = (
        "import os, signal, sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from store_helpers import entry\n"
        "from kiosk.store.schema import open_writer; from kiosk.store.ledger import Ledger\n"
        f"connection = open_writer(Path({str(path)!r})); connection.execute('BEGIN IMMEDIATE')\n"
        f"Ledger(connection).append('tap_read', entry({ENTRIES})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    monkeypatch.setattr(schema, "MIGRATIONS", LADDER)
    with closing(open_writer(path)) as connection, write(connection):
        assert Ledger(connection).size == ENTRIES
    assert ledger_bytes(path) == before


ROWS = tuple(
    f"SELECT '{table}', * FROM {table} ORDER BY 1, 2, 3, 4, 5" for table in ("acts", "person_totals", "machine_days")
)


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_migration_fills_in_is_what_the_log_and_the_sessions_say(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, version, monkeypatch)
    with closing(open_writer(path)) as connection, write(connection):
        filled = [row for query in ROWS for row in connection.execute(query)]
        acts.make_anew(connection)
        totals.make_anew(connection)
        assert [row for query in ROWS for row in connection.execute(query)] == filled
        assert len(acts.acts(connection, limit=500)) == 3 * LESSONS
        assert {act.person_ref for act in acts.acts(connection, kinds=["badge_blocked"])} > {None, "person-1"}
        assert sum(total.sessions for total in totals.person_totals(connection)) == 33


def test_a_migration_goes_past_an_entry_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find it is for the examination after it, which puts the ledger aside."""
    path = tmp_path / "data" / "kiosk.db"
    old_database(path, 2, monkeypatch)
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET bytes = x'00ff' WHERE seq = 52")
    with closing(open_writer(path)) as connection:
        assert len(acts.acts(connection, limit=500)) == 3 * LESSONS - 1
