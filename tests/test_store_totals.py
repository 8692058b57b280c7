"""Sums for pages: at any time what the rows of sessions add up to."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiosk.store import totals, views, waiting
from kiosk.store.schema import open_writer, write
from kiosk.store.totals import MachineDay, PersonTotal, ProcessTotal, WeekTotal
from kiosk.store.views import Credit, SessionView
from tests.test_store_views import HOUR, VIEW

MONDAY = date(2026, 10, 26)
CLOSED = VIEW._replace(flags=())
APPROVED = CLOSED._replace(review="approved", decided_credited_ms=HOUR // 2, decided_process="CNC4")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, write(connection):
        yield connection


@st.composite
def rows(draw: st.DrawFn) -> SessionView:
    """One of six sessions, open or closed, in any state of review."""
    start_ms = draw(st.integers(0, 3)) * HOUR
    by_state = draw(st.dictionaries(st.sampled_from(["running", "idle", "off"]), st.integers(0, 3), max_size=3))
    review = draw(st.sampled_from(["pending", "approved", "adjusted", "rejected"]))
    decided = review in ("approved", "adjusted")
    return SessionView(
        session=draw(st.integers(1, 6)),
        person_ref=draw(st.sampled_from(["anna", "boris"])),
        machine=draw(st.sampled_from(["mill-1", "lathe-1"])),
        programme="cnc-operator",
        process=draw(st.sampled_from([None, "CNC3", "CNC4"])),
        role="operator",
        start_ms=start_ms,
        end_ms=draw(st.sampled_from([None, start_ms + HOUR])),
        local_date=draw(st.sampled_from(["2026-10-31", "2026-11-01", "2026-11-02"])),
        reason="tap_out",
        closed_by="person",
        presence_ms=sum(by_state.values()),
        by_state=by_state,
        credited_ms=draw(st.integers(0, 3)),
        unverified_ms=0,
        uncredited={},
        evidence="badge",
        review=review,
        decided_credited_ms=draw(st.integers(0, 3)) if decided else None,
        decided_process=draw(st.sampled_from([None, "CNC3", "CNC4"])) if decided else None,
    )


def added_up(db: sqlite3.Connection) -> tuple[list[PersonTotal], list[MachineDay]]:
    """The law, in other words than the store's: from the rows of closed sessions."""
    by_person: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0] * 5)
    by_machine: Counter[tuple[str, str, str]] = Counter()
    for row in views.sessions_of_dates(db, "0000", "9999"):
        if row.end_ms is None:
            continue
        decided = row.review in ("approved", "adjusted")
        process = row.decided_process if decided else row.process
        sums = by_person[row.person_ref, process or "", row.machine, row.local_date[:7]]
        counted = (row.decided_credited_ms or 0) if decided else 0
        waits = row.review == "pending"
        for place, value in enumerate((row.presence_ms, counted, row.credited_ms * waits, 1, int(waits))):
            sums[place] += value
        for state, ms in row.by_state.items():
            by_machine[row.local_date, row.machine, state] += ms
    return (
        [PersonTotal(who, month, process or None, machine, *sums)
         for (who, process, machine, month), sums in sorted(by_person.items())],
        [MachineDay(machine, day, state, ms) for (day, machine, state), ms in sorted(by_machine.items()) if ms],
    )  # fmt: skip


def kept(db: sqlite3.Connection) -> tuple[list[PersonTotal], list[MachineDay]]:
    return totals.person_totals(db), totals.machine_days(db, "0000", "9999")


STEPS = st.lists(
    st.one_of(
        rows(),
        st.lists(rows(), max_size=4),
        st.integers(1, 6),
        st.sampled_from(["UPDATE sessions SET machine = 'mill-1', presence_ms = presence_ms + 1", "in one go"]),
    ),
    max_size=15,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_totals_are_what_the_sessions_add_up_to_whatever_is_written(
    db: sqlite3.Connection, steps: list[SessionView | list[SessionView] | int | str]
) -> None:
    views.clear(db)
    for step in steps:
        if isinstance(step, SessionView):
            views.put_session(db, step)
        elif isinstance(step, list):
            views.put_sessions(db, step)
        elif isinstance(step, int):
            db.execute("DELETE FROM sessions WHERE session = ?", (step,))
        elif step == "in one go":
            with totals.added_up_at_the_end(db):
                db.execute("UPDATE sessions SET credited_ms = credited_ms + 1")
        else:
            db.execute(step)
        assert kept(db) == added_up(db)
    followed = kept(db)
    totals.make_anew(db)
    assert kept(db) == followed


def test_a_block_that_fails_leaves_rows_and_totals_as_they_were(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "kiosk.db")) as db:
        with write(db):
            views.put_session(db, CLOSED)
        before = kept(db)
        with pytest.raises(sqlite3.IntegrityError), write(db), totals.added_up_at_the_end(db):
            views.put_sessions(db, (CLOSED._replace(session=11), CLOSED._replace(session=12, evidence=None)))  # type: ignore[arg-type]
        with write(db):
            views.put_session(db, CLOSED)
        assert kept(db) == before == added_up(db)


def test_an_open_session_adds_nothing_yet(db: sqlite3.Connection) -> None:
    views.put_session(db, CLOSED._replace(end_ms=None))
    assert kept(db) == ([], [])


def test_rejected_hours_are_presence_only_until_they_wait_anew(db: sqlite3.Connection) -> None:
    views.put_session(db, CLOSED._replace(review="rejected", decided_credited_ms=0))
    assert totals.person_totals(db) == [PersonTotal("anna", "2026-10", "CNC3", "mill-1", 2 * HOUR, 0, 0, 1, 0)]
    assert waiting.exceptions(db, waiting.Only(), 9).count + waiting.clean(db, waiting.Only(), 9).count == 0
    views.put_session(db, CLOSED._replace(decided_reason="undone", decided_credited_ms=0))
    assert totals.person_totals(db) == [PersonTotal("anna", "2026-10", "CNC3", "mill-1", 2 * HOUR, 0, HOUR, 1, 1)]
    assert waiting.exceptions(db, waiting.Only(), 9).count + waiting.clean(db, waiting.Only(), 9).count == 1


def test_approved_hours_count_in_the_process_that_was_decided(db: sqlite3.Connection) -> None:
    views.put_session(db, APPROVED)
    views.put_session(db, CLOSED._replace(session=11, machine="lathe-1", process=None))
    assert totals.process_totals(db) == [
        ProcessTotal("anna", None, 2 * HOUR, 0, HOUR, 1, 1),
        ProcessTotal("anna", "CNC4", 2 * HOUR, HOUR // 2, 0, 1, 0),
    ]
    assert views.credited_by_process(db, "anna") == {None: Credit(0, HOUR), "CNC4": Credit(HOUR // 2, 0)}


def test_totals_are_asked_of_some_people_and_months(db: sqlite3.Connection) -> None:
    for number, (person, day) in enumerate(
        [("anna", "2026-09-30"), ("anna", "2026-10-01"), ("boris", "2026-10-31"), ("vera", "2026-11-01")]
    ):
        views.put_session(db, CLOSED._replace(session=number, person_ref=person, local_date=day))
    found = totals.person_totals(db, ["anna", "boris", "nobody"], "2026-10", "2026-10")
    assert [(each.person_ref, each.month) for each in found] == [("anna", "2026-10"), ("boris", "2026-10")]
    assert [each.month for each in totals.person_totals(db, first_month="2026-11")] == ["2026-11"]
    assert (totals.person_totals(db, []), totals.process_totals(db, ())) == ([], [])


def test_the_days_of_a_machine_are_asked_alone_and_with_the_others(db: sqlite3.Connection) -> None:
    views.put_session(db, CLOSED)
    views.put_session(db, CLOSED._replace(session=11, machine="lathe-1", by_state={"running": 5}))
    lathe = MachineDay("lathe-1", "2026-10-29", "running", 5)
    mill = [MachineDay("mill-1", "2026-10-29", state, HOUR) for state in ("idle", "running")]
    assert totals.machine_days(db, "2026-10-29", "2026-10-29") == [lathe, *mill]
    assert totals.machine_days(db, "2026-10-29", "2026-10-29", "lathe-1") == [lathe]
    assert totals.machine_days(db, "2026-10-30", "2026-12-31") == []


def test_a_week_goes_from_monday_to_sunday(db: sqlite3.Connection) -> None:
    for number in range(-1, 8):
        day = (MONDAY + timedelta(days=number)).isoformat()
        views.put_session(db, (APPROVED if number % 2 else CLOSED)._replace(session=20 + number, local_date=day))
    assert totals.week_totals(db, "anna", "2026-10-25", "2026-11-02") == [
        WeekTotal("2026-10-19", HOUR // 2, 0),
        WeekTotal("2026-10-26", 3 * HOUR // 2, 4 * HOUR),
        WeekTotal("2026-11-02", HOUR // 2, 0),
    ]
    assert totals.week_totals(db, "boris", "2026-10-25", "2026-11-02") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_persons_sessions_come_a_page_at_a_time_newest_first(db: sqlite3.Connection, limit: int) -> None:
    for number in range(7):
        day = (MONDAY + timedelta(days=number // 3)).isoformat()
        views.put_session(db, CLOSED._replace(session=number, local_date=day, start_ms=(number // 2) * HOUR))
    views.put_session(db, CLOSED._replace(session=99, person_ref="boris"))
    found: list[int] = []
    page = views.person_sessions_page(db, "anna", limit=limit)
    while page:
        found += [row.session for row in page]
        page = views.person_sessions_page(db, "anna", (page[-1].start_ms, page[-1].session), limit)
    assert found == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("ask", "walk"),
    [
        (lambda db: totals.week_totals(db, "anna", "2026-01-01", "2026-02-01"),
         "SEARCH sessions USING INDEX sessions_person (person_ref=? AND local_date>? AND local_date<?)"),
        (lambda db: totals.machine_days(db, "2026-01-01", "2026-02-01", "mill-1"),
         "SEARCH machine_days USING PRIMARY KEY (local_date>? AND local_date<?)"),
        (lambda db: totals.person_totals(db, ["anna"], "2026-01", "2026-02"),
         "SEARCH person_totals USING PRIMARY KEY (person_ref=?)"),
        (lambda db: totals.process_totals(db, ["anna"]),
         "SEARCH person_totals USING PRIMARY KEY (person_ref=?)"),
        (lambda db: views.person_sessions_page(db, "anna", (5, 5)),
         "SEARCH sessions USING INDEX sessions_person (person_ref=? AND local_date<?)"),
    ],
)  # fmt: skip
def test_what_pages_ask_is_a_short_walk_along_an_index(db: sqlite3.Connection, ask: object, walk: str) -> None:
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    ask(db)  # type: ignore[operator]
    db.set_trace_callback(None)
    steps = [str(step) for *_, step in db.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert walk in steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


def test_the_last_session_that_waits_with_a_flag_is_found_among_those_that_wait(db: sqlite3.Connection) -> None:
    for number, (flags, review, open_still) in enumerate(
        [
            (("clock_uncertain",), "pending", False),
            (("status_lost", "clock_uncertain"), "pending", False),
            (("status_lost",), "pending", False),
            (("clock_uncertain",), "approved", False),
            (("clock_uncertain",), "pending", True),
        ]
    ):
        end_ms = None if open_still else CLOSED.end_ms
        views.put_session(db, CLOSED._replace(session=number, flags=flags, review=review, end_ms=end_ms))
    found = views.newest_pending(db, "clock_uncertain")
    assert found is not None
    assert found.session == 1
    assert views.newest_pending(db, "overlap") is None
