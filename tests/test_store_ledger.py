"""The log on disk: it only appends, and whoever changed it anyway is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_helpers import (
    LOG_ID,
    ORIGIN,
    PowerCutError,
    append,
    append_in_vain,
    entry,
    findings,
    head_of,
    make_log,
    note_of,
    root_of,
    tampering,
)

from kiosk.proofs import Checkpoint, leaf_hash, verify_consistency, verify_inclusion
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError, open_reader, open_writer, write
from kiosk.store.verify import MAX_FINDINGS, Finding, verify

COUNT = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kiosk.db"
    make_log(path, COUNT)
    return path


def kept_head(path: Path) -> Checkpoint:
    with closing(open_reader(path)) as connection:
        return head_of(connection)


# --- appending and proving ---


def test_entries_come_back_in_order_and_in_pieces(path: Path) -> None:
    with closing(open_reader(path)) as connection:
        ledger = Ledger(connection)
        assert list(ledger.entries()) == [(seq, entry(seq)) for seq in range(COUNT)]
        assert list(ledger.entries(after=97)) == [(98, entry(98)), (99, entry(99))]
        assert list(ledger.entries(after=9, limit=1)) == [(10, entry(10))]
        assert (ledger.entry(5), ledger.entry(COUNT)) == (entry(5), None)


def test_every_size_of_the_log_has_the_root_of_its_entries(path: Path) -> None:
    leaves = [leaf_hash(entry(seq)) for seq in range(COUNT)]
    with closing(open_reader(path)) as connection:
        ledger = Ledger(connection)
        assert [ledger.root(size) for size in range(COUNT + 1)] == [root_of(leaves[:size]) for size in range(COUNT + 1)]
        assert ledger.root() == root_of(leaves)


def test_proofs_from_the_file_verify(path: Path) -> None:
    with closing(open_reader(path)) as connection:
        ledger = Ledger(connection)
        for size in (1, 2, 3, 64, 65, 99, 100):
            for seq in range(0, size, 7):
                verify_inclusion(leaf_hash(entry(seq)), seq, size, ledger.inclusion(seq, size), ledger.root(size))
            verify_consistency(size, COUNT, ledger.root(size), ledger.root(), ledger.consistency(size, COUNT))


def test_a_proof_for_a_size_that_was_not_reached_is_refused(path: Path) -> None:
    with closing(open_reader(path)) as connection, pytest.raises(ValueError, match="100 entries, not 101"):
        Ledger(connection).inclusion(0, 101)


def test_a_rolled_back_entry_leaves_no_trace_in_the_tree(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        with pytest.raises(PowerCutError):
            append_in_vain(connection)
        append(connection, 28)
        assert verify(connection) == []


def test_a_log_is_named_once(path: Path) -> None:
    with closing(open_writer(path)) as connection, write(connection):
        assert (Ledger(connection).log_id, Ledger(connection).origin) == (LOG_ID, ORIGIN)
        Ledger(connection).name_log(LOG_ID)
        with pytest.raises(StoreError, match="already named"):
            Ledger(connection).name_log("lab/ffffffffffffffff")


def test_a_log_without_a_name_has_no_origin(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, pytest.raises(StoreError, match="no name yet"):
        _ = Ledger(connection).origin


# --- checkpoints ---


def test_the_newest_checkpoint_is_found(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        ledger = Ledger(connection)
        notes = {size: note_of(Checkpoint(ORIGIN, size, ledger.root(size))) for size in (10, 50, 90)}
        assert ledger.newest_checkpoint() is None
        with write(connection):
            for note in notes.values():
                ledger.store_checkpoint(note)
                ledger.store_checkpoint(note)
        assert ledger.newest_checkpoint() == notes[90]
        assert verify(connection) == []


@pytest.mark.parametrize(
    ("checkpoint", "reason"),
    [
        (Checkpoint(ORIGIN, 10, bytes(32)), "another history"),
        (Checkpoint(ORIGIN, 101, bytes(32)), "another history"),
        (Checkpoint("sheber/other/0", 10, bytes(32)), "not of"),
    ],
)
def test_a_checkpoint_of_something_else_is_not_kept(path: Path, checkpoint: Checkpoint, reason: str) -> None:
    with closing(open_writer(path)) as connection, write(connection):
        with pytest.raises(StoreError, match=reason):
            Ledger(connection).store_checkpoint(note_of(checkpoint))
        with pytest.raises(StoreError, match="cannot be read"):
            Ledger(connection).store_checkpoint("nonsense")


# --- the triggers ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET bytes = x'00' WHERE seq = 5",
        "DELETE FROM ledger WHERE seq = 99",
        "DELETE FROM ledger",
        "INSERT INTO ledger VALUES (5, 'tap_read', x'00', x'00')",
        "INSERT OR REPLACE INTO ledger VALUES (5, 'tap_read', x'00', x'00')",
        "REPLACE INTO ledger VALUES (99, 'tap_read', x'00', x'00')",
        "INSERT OR IGNORE INTO ledger VALUES (5, 'tap_read', x'00', x'00')",
        "INSERT INTO ledger VALUES (5, 't', x'', x'') ON CONFLICT (seq) DO UPDATE SET bytes = x'00'",
        "INSERT INTO ledger VALUES (101, 'tap_read', x'00', x'00')",
        "INSERT INTO ledger VALUES (-1, 'tap_read', x'00', x'00')",
        "INSERT INTO ledger VALUES (NULL, 'tap_read', x'00', x'00')",
        "INSERT INTO ledger (type, bytes, leaf) VALUES ('tap_read', x'00', x'00')",
    ],
)
def test_sql_from_a_plain_connection_cannot_change_the_log(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="only appends"):
            connection.execute(statement)
        assert Ledger(connection).size == COUNT
    assert findings(path) == []


# --- tampering, class by class ---


def test_an_untouched_log_has_no_findings(path: Path) -> None:
    assert findings(path, kept_head(path)) == []


def test_verifying_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    findings(path)
    assert path.read_bytes() == before


def test_an_edited_entry_is_named(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET bytes = ? WHERE seq = 41", (entry(41, "edited"),))
    assert findings(path)[0] == ("bytes", 41)


def test_an_entry_edited_together_with_its_hash_is_found_by_the_tree(path: Path) -> None:
    data = entry(41, "edited")
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET bytes = ?, leaf = ? WHERE seq = 41", (data, leaf_hash(data)))
    assert findings(path) == [("tree", 40)]


def test_a_deleted_entry_is_named(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("DELETE FROM ledger WHERE seq = 41")
    assert findings(path) == [("missing", 41)]


def test_a_deleted_entry_whose_gap_was_closed_is_named(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("DELETE FROM ledger WHERE seq = 41")
        for seq in range(42, COUNT):
            connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (seq - 1, seq))
    assert findings(path)[0] == ("seq", 41)


def test_two_swapped_entries_are_named(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET seq = -1 WHERE seq = 10")
        connection.execute("UPDATE ledger SET seq = 10 WHERE seq = 20")
        connection.execute("UPDATE ledger SET seq = 20 WHERE seq = -1")
    assert findings(path)[0] == ("seq", 10)


def test_an_entry_filed_under_another_type_is_named(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET type = 'session_opened' WHERE seq = 41")
    assert findings(path) == [("type", 41)]


def test_a_changed_subtree_is_found(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE tree SET hash = zeroblob(32) WHERE level = 3 AND idx = 5")
    assert findings(path) == [("tree", 40)]


def test_a_cut_tail_is_found_by_what_is_left_of_the_tree(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("DELETE FROM ledger WHERE seq >= 90")
    assert findings(path) == [("cut", 90)]


def rewrite(path: Path, changed: int, size: int = COUNT) -> None:
    """History written anew from entry `changed` on, with every hash right again."""
    with tampering(path) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM ledger")
        connection.execute("DELETE FROM tree")
        for seq in range(size):
            Ledger(connection).append("tap_read", entry(seq, "forged" if seq == changed else ""))
        connection.execute("COMMIT")


def test_a_tail_cut_with_its_hashes_is_found_against_a_kept_checkpoint(path: Path) -> None:
    kept = kept_head(path)
    rewrite(path, changed=-1, size=90)
    assert findings(path) == []
    assert findings(path, kept) == [("cut", 90)]


def test_a_history_written_anew_is_found_against_a_kept_checkpoint(path: Path) -> None:
    kept = kept_head(path)
    rewrite(path, changed=70)
    assert findings(path) == []
    assert findings(path, kept) == [("checkpoint", 0)]


def test_stored_checkpoints_narrow_down_where_history_was_written_anew(path: Path) -> None:
    with closing(open_writer(path)) as connection, write(connection):
        for size in (30, 60, 90):
            Ledger(connection).store_checkpoint(note_of(Checkpoint(ORIGIN, size, Ledger(connection).root(size))))
    rewrite(path, changed=70)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (finding,) = verify(connection)
    assert finding == Finding(
        "checkpoint",
        60,
        "the log is not the one that the stored checkpoint of size 90 vouches for: an entry from 60 to 89 was changed",
    )


def test_an_older_copy_put_back_is_found_against_a_kept_checkpoint(path: Path) -> None:
    old = path.read_bytes()
    with closing(open_writer(path)) as connection:
        append(connection, 5)
    kept = kept_head(path)
    path.write_bytes(old)
    assert findings(path, kept) == [("cut", COUNT)]


def test_a_checkpoint_of_another_log_says_nothing_about_this_one(path: Path) -> None:
    assert findings(path, Checkpoint("sheber/other/0", 10, bytes(32))) == [("checkpoint", None)]


@pytest.mark.parametrize(
    "note", ["nonsense", note_of(Checkpoint(ORIGIN, 11, bytes(32))), note_of(Checkpoint("x", 10, bytes(32)))]
)
def test_a_stored_checkpoint_that_is_none_of_this_log_is_found(path: Path, note: str) -> None:
    with tampering(path) as connection:
        connection.execute("INSERT INTO checkpoints VALUES (10, ?)", (note,))
    assert findings(path) == [("checkpoint", None)]


def test_an_entry_in_another_spelling_is_named_even_with_right_hashes(path: Path) -> None:
    data = entry(COUNT).replace(b'"v":1', b'"v": 1')
    with closing(open_writer(path)) as connection, write(connection):
        Ledger(connection).append("tap_read", data)
    assert findings(path) == [("form", COUNT)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seq=st.integers(0, COUNT - 1), column=st.sampled_from(["bytes", "leaf"]), bit=st.integers(0, 10_000))
def test_one_flipped_bit_in_any_entry_or_hash_is_found_there(path: Path, seq: int, column: str, bit: int) -> None:
    with tampering(path) as connection:
        (data,) = connection.execute(f"SELECT {column} FROM ledger WHERE seq = ?", (seq,)).fetchone()
        changed = bytearray(data)
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
        connection.execute(f"UPDATE ledger SET {column} = ? WHERE seq = ?", (bytes(changed), seq))
        assert verify(connection)[0].seq == seq
        connection.execute(f"UPDATE ledger SET {column} = ? WHERE seq = ?", (data, seq))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_the_file_is_found_or_harmless(path: Path, data: st.DataObject) -> None:
    """Harmless: the entries are all still there, byte for byte."""
    whole = path.read_bytes()
    where = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[where] ^= 1 << data.draw(st.integers(0, 7))
    copy = path.with_name("copy.db")
    copy.write_bytes(bytes(broken))
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        if verify(connection) == []:
            stored = connection.execute("SELECT bytes FROM ledger ORDER BY seq").fetchall()
            assert stored == [(entry(seq),) for seq in range(COUNT)]


def test_a_log_that_is_bad_throughout_gives_a_bounded_answer(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE ledger SET bytes = x'00'")
        assert len(verify(connection)) == MAX_FINDINGS


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    make_log(tmp_path / "kiosk.db", 0)
    assert findings(tmp_path / "kiosk.db") == []


def test_a_log_that_grows_while_it_is_verified_is_seen_as_it_was_at_the_beginning(path: Path) -> None:
    counts: list[int] = []
    with closing(open_writer(path)) as writer, closing(open_reader(path)) as reader:
        append(writer, 4000)

        def grow(count: int) -> None:
            counts.append(count)
            append(writer, 1)

        assert verify(reader, progress=grow) == []
    assert counts == [4096, 4100]
