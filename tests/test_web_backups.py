"""Copies of the database: verified, five at the most, and never more than an administrator's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from web_fixtures import NOON, World, a_world

from kiosk.store.schema import StoreError
from kiosk.store.verify import verify
from kiosk.web.backups import KEPT, copies, make


def name(number: int) -> str:
    return f"kiosk-2026-10-{number:02}-120000.db"


def test_a_copy_is_whole_and_its_paper_names_its_root(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        world.worked("p1", "mill-1", NOON, NOON + 1000)
        told: list[tuple[int, int]] = []
        out = tmp_path / "out"
        make(out, lambda done, of: told.append((done, of)), world.database, tmp_path / "backups" / name(1))
        (copy,) = copies(tmp_path / "backups")
        size = world.newest() + 1
    assert out.read_text().startswith(f"{name(1)}: {size} entries, verified; root ")
    assert told[-1] == (size, size)
    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700

    with closing(sqlite3.connect(copy)) as connection:
        assert list(verify(connection)) == []


def test_five_copies_are_kept_and_what_is_not_a_copy_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with a_world(tmp_path) as world:
        for number in range(1, KEPT + 3):
            make(tmp_path / "out", lambda _done, _of: None, world.database, folder / name(number))
            (folder / "notes.txt").write_text("mine")
    assert [each.name for each in copies(folder)] == [name(number) for number in range(KEPT + 2, 2, -1)]
    assert (folder / "notes.txt").exists()


def test_a_copy_that_does_not_verify_leaves_the_older_ones(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with a_world(tmp_path) as world:
        make(tmp_path / "out", lambda _done, _of: None, world.database, folder / name(1))
        damage(world)
        with pytest.raises(StoreError, match="no backup was made"):
            make(tmp_path / "out", lambda _done, _of: None, world.database, folder / name(2))
    assert [each.name for each in copies(folder)] == [name(1)]


def damage(world: World) -> None:
    """One byte of the history, past every guard."""
    guards = world.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
    for (guard,) in guards.fetchall():
        world.connection.execute(f"DROP TRIGGER {guard}")  # a name that the database itself told
    world.connection.execute("UPDATE ledger SET bytes = CAST(replace(bytes, 'boot', 'toob') AS BLOB) WHERE seq = 0")
