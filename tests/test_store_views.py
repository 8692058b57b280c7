"""Derived rows and the outbox: written, changed, thrown away, and counted the right way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kiosk.store import outbox, views, waiting
from kiosk.store.schema import open_writer, write
from kiosk.store.views import Credit, MachineView, SessionView

HOUR = 3_600_000
VIEW = SessionView(
    session=10,
    person_ref="anna",
    machine="mill-1",
    programme="cnc-operator",
    process="CNC3",
    role="operator",
    start_ms=10 * HOUR,
    end_ms=12 * HOUR,
    local_date="2026-10-29",
    reason="tap_out",
    closed_by="person",
    presence_ms=2 * HOUR,
    by_state={"running": HOUR, "idle": HOUR},
    credited_ms=HOUR,
    unverified_ms=0,
    uncredited={"idle_over_grace": HOUR},
    evidence="badge+machine",
    flags=("status_lost", "too_long"),
)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, write(connection):
        yield connection


def put(db: sqlite3.Connection, *found: SessionView) -> None:
    for view in found:
        views.put_session(db, view)


def numbers(found: list[SessionView]) -> list[int]:
    return [view.session for view in found]


def test_the_table_has_exactly_the_columns_of_the_view(db: sqlite3.Connection) -> None:
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(sessions)")]
    assert columns == list(SessionView._fields)


def test_a_session_comes_back_as_it_was_put_and_the_last_one_put_stands(db: sqlite3.Connection) -> None:
    decided = VIEW._replace(
        review="approved", decided_by="u1", decided_credited_ms=HOUR, decided_process="CNC3", batch=3
    )
    for view in (VIEW._replace(end_ms=None, flags=()), VIEW, decided):
        put(db, view)
        assert views.session(db, 10) == view
    assert views.session(db, 11) is None


def test_sessions_are_found_by_day_by_person_by_being_open_and_by_waiting(db: sqlite3.Connection) -> None:
    put(
        db,
        VIEW,
        VIEW._replace(session=11, local_date="2026-10-30", person_ref="bolat", end_ms=None),
        VIEW._replace(session=12, local_date="2026-10-31", review="approved"),
    )
    assert numbers(views.sessions_of_dates(db, "2026-10-29", "2026-10-30")) == [10, 11]
    assert numbers(views.person_day(db, "anna", "2026-10-29")) == [10]
    assert numbers(views.person_sessions(db, "anna")) == [10, 12]
    assert numbers(views.open_sessions(db)) == [11]
    waiting_then = waiting.exceptions(db, waiting.Only("2026-10-01", "2026-10-31"), 9)
    assert numbers([*waiting_then.rows]) == [10]


def test_sessions_asked_by_number_come_by_start_and_those_there_are_not_are_left_out(db: sqlite3.Connection) -> None:
    put(db, VIEW, VIEW._replace(session=11, start_ms=VIEW.start_ms - 1), VIEW._replace(session=12))
    assert numbers(views.sessions_by_number(db, (10, 11, 99))) == [11, 10]
    assert views.sessions_by_number(db, ()) == []


def test_decided_time_counts_as_decided_and_waiting_time_is_apart(db: sqlite3.Connection) -> None:
    decided = VIEW._replace(review="approved", decided_credited_ms=HOUR, decided_process="CNC3")
    put(
        db,
        VIEW._replace(session=1, credited_ms=7),
        decided,
        decided._replace(session=2, review="adjusted", decided_credited_ms=5, decided_process="CNC4", credited_ms=99),
        VIEW._replace(session=3, review="rejected", decided_credited_ms=0, decided_process="CNC3"),
        VIEW._replace(session=4, process=None, credited_ms=3),
        decided._replace(session=5, person_ref="bolat"),
    )
    assert views.credited_by_process(db, "anna") == {None: Credit(0, 3), "CNC3": Credit(HOUR, 7), "CNC4": Credit(5, 0)}


def test_a_machine_keeps_its_last_state(db: sqlite3.Connection) -> None:
    views.put_machine(db, "mill-1", "running", 5, locked=False)
    views.put_machine(db, "mill-1", "idle", 6, locked=True)
    assert views.machines(db) == [MachineView("mill-1", "idle", 6, locked=True)]


def test_what_is_released_waits_in_order_until_its_own_enterprise_has_receipted_it(db: sqlite3.Connection) -> None:
    for seq, enterprise in [(7, "steel"), (3, "steel"), (5, "wood"), (9, "steel")]:
        outbox.put(db, seq, enterprise, "anna", 1)
    outbox.receipt(db, "wood", [3], "msg_x", 1)
    assert [row.seq for row in outbox.pending(db, "steel", size=100, limit=2)] == [3, 7]
    assert [row.seq for row in outbox.pending(db, "steel", size=9, limit=10)] == [3, 7]
    outbox.receipt(db, "steel", [3, 9], "msg_1", 1)
    assert [row.seq for row in outbox.pending(db, "steel", size=100, limit=10)] == [7]
    assert [row.seq for row in outbox.released(db, "steel", after=3, limit=10)] == [7, 9]
    assert outbox.counts(db) == [outbox.OutboxCount("steel", 3, 2, 7), outbox.OutboxCount("wood", 1, 0, 5)]
    assert [count.pending for count in outbox.counts(db)] == [1, 1]


def test_the_first_receipt_stands(db: sqlite3.Connection) -> None:
    outbox.receipt(db, "steel", [3], "msg_1", 1)
    outbox.receipt(db, "steel", [3], "msg_2", 2)
    assert db.execute("SELECT webhook_id, at_ms FROM receipts").fetchall() == [("msg_1", 1)]


def test_clearing_throws_away_what_is_derived_and_keeps_receipts(db: sqlite3.Connection) -> None:
    put(db, VIEW)
    views.put_machine(db, "mill-1", "running", 5, locked=False)
    outbox.put(db, 3, "steel", "anna", None)
    outbox.receipt(db, "steel", [3], "msg_1", 1)
    views.clear(db)
    assert (views.open_sessions(db), views.machines(db), outbox.counts(db)) == ([], [], [])
    outbox.put(db, 3, "steel", "anna", None)
    assert outbox.pending(db, "steel", 100, 10) == []
