"""A snapshot is derived: with it or without it, the same state. What it is not of, it is not used for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hours_histories import history
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hours_laws import kept, uncertain_histories

from kiosk import office, snapshot
from kiosk.desk import Desk
from kiosk.domain.entries import Entry, from_object, to_object
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State
from kiosk.proofs import canonical, parse_canonical
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_writer, write
from tests.bench.history import history as years
from tests.kiosk_fixtures import HandClock


def everything(state: State) -> dict[str, Any]:
    """All that a state knows, session by session, in its order."""
    told = {name: value for name, value in vars(state).items() if name not in ("_terms", "timeline", "sessions")}
    return told | {"timeline": vars(state.timeline), "sessions": list(state.sessions.items())}


def orders(state: State) -> dict[str, list[Any]]:
    """The order within each dictionary, which a start follows too."""
    return {name: list(value) for name, value in vars(state).items() if isinstance(value, dict) and name != "_terms"}


def folded(entries: list[Entry], state: State | None = None) -> State:
    state = state or State()
    for entry in entries:
        evolve(state, from_object(parse_canonical(canonical(to_object(entry)))))
    return state


def settled(state: State) -> State:
    """Its rows are written."""
    state.touched.clear()
    state.touched_machines.clear()
    state.touched_people.clear()
    return state


@settings(max_examples=40, deadline=None, derandomize=True)
@given(uncertain_histories, st.integers(1, 400))
def test_the_state_out_of_a_snapshot_and_the_rest_is_the_state_out_of_all_entries(lines: Any, cut: int) -> None:
    entries = kept(lines).entries
    cut = min(cut, len(entries))
    with tempfile.TemporaryDirectory() as folder, closing(open_writer(Path(folder) / "kiosk.db")) as connection:
        ledger = Ledger(connection)
        with write(connection):
            for entry in entries:
                ledger.append(entry.body.type, canonical(to_object(entry)))
        path = Path(folder) / "snapshot"
        snapshot.keep(path, folded(entries[:cut]), ledger.root(cut))
        restored = snapshot.restore(path, ledger)
        assert restored is not None
        snapshot.keep(path, restored, ledger.root(cut))  # packed again without having been unpacked
        restored = snapshot.restore(path, ledger)
        assert restored is not None
    whole = folded(entries[cut:], settled(folded(entries[:cut])))
    tail = folded(entries[cut:], restored)
    assert orders(tail) == orders(whole)
    assert everything(tail) == everything(whole)


@pytest.fixture
def kiosk(tmp_path: Path) -> tuple[Path, Path, bytes]:
    """A small log with a snapshot: database, snapshot, what it holds."""
    database, path = tmp_path / "kiosk.db", tmp_path / "kiosk.db.snapshot"
    entries = kept(history(Random(7).choice, 60)).entries
    with closing(open_writer(database)) as connection:
        with write(connection):
            for entry in entries:
                Ledger(connection).append(entry.body.type, canonical(to_object(entry)))
        snapshot.keep(path, folded(entries), Ledger(connection).root())
    return database, path, path.read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda held: b"",
        lambda held: held[:-1],
        lambda held: held.replace(b"running", b"setup..", 1),
        lambda held: held.replace(snapshot.program().encode(), b"0" * 64),
        lambda held: held.replace(b'"root":"', b'"root":"00', 1),
        lambda held: b"\xff\xfe" + held,
        lambda held: b"[]\n" + held,
    ],
)
def test_a_snapshot_that_is_damaged_or_of_another_program_or_log_is_none(
    kiosk: tuple[Path, Path, bytes], spoil: Callable[[bytes], bytes]
) -> None:
    database, path, held = kiosk
    with closing(open_writer(database)) as connection:
        assert snapshot.restore(path, Ledger(connection)) is not None
        path.write_bytes(spoil(held))
        assert snapshot.restore(path, Ledger(connection)) is None


def test_a_snapshot_of_a_longer_log_is_none(kiosk: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    _, path, _ = kiosk
    with closing(open_writer(tmp_path / "other.db")) as connection:
        assert snapshot.restore(path, Ledger(connection)) is None


def test_a_start_that_followed_much_leaves_a_snapshot_and_the_next_one_starts_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "KEEP_EVERY", 1_000)
    database = years(2, tmp_path) / office.DATABASE
    path = snapshot.place(database)
    states = []
    for number in range(2):
        with closing(Desk(database, HandClock(1_900_000_000_000 + number, f"later-{number}"), None)) as desk:
            assert path.exists() == bool(number)
            desk.start()
            states.append(settled(desk.core.state))
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    with closing(Desk(database, HandClock(), None)) as desk:
        assert everything(settled(desk.core.state)) == everything(states[1])


def test_rebuild_makes_the_snapshot_anew_from_the_first_entry(tmp_path: Path) -> None:
    database = years(2, tmp_path) / office.DATABASE
    snapshot.place(database).write_bytes(b"{}\n")
    report = office.rebuild(database.parent)
    assert report.same
    with closing(open_writer(database)) as connection:
        restored = snapshot.restore(snapshot.place(database), Ledger(connection))
    assert restored is not None
    assert restored.size == report.entries
