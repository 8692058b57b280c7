"""What people did: told by the ledger or kept beside it, found by any filter, a page at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.commands import PersonRow
from kiosk.domain import entries as e
from kiosk.proofs import canonical
from kiosk.store import acts, people, views
from kiosk.store.acts import Act
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_writer, write

AT = e.At("b1", 5)
NOON = 1_800_000_000_000
MINUTE = 60_000

TOLD = (
    (e.SessionReviewed(7, "anna", "adjusted", "u1", "forgot_tap"), "u1", "anna", 7, None, "adjusted"),
    (e.ManualSessionEntered("anna", "mill-1", None, 1, 2, "u1", "forgot_tap"), "u1", "anna", 0, "mill-1", "forgot_tap"),
    (e.CompetencySigned("anna", "p", "CNC3", "tools", 2, "u1", "seen"), "u1", "anna", None, None, "tools:2"),
    (e.QualificationGranted("anna", "briefing:cnc", "2027-01-01", "u1"), "u1", "anna", None, None,
     "briefing:cnc:2027-01-01"),
    (e.QualificationGranted("anna", "briefing:cnc", None, "u1"), "u1", "anna", None, None, "briefing:cnc:"),
    (e.BadgeAssigned("b1", "anna"), None, "anna", None, None, "b1"),
    (e.BadgeBlocked("strange"), None, None, None, None, "strange"),
    (e.ConsentGiven("anna", "steel", "2027-06-30"), None, "anna", None, None, "steel:2027-06-30"),
    (e.ConsentWithdrawn("anna", "steel"), None, "anna", None, None, "steel"),
    (e.ContractRecorded("anna", "steel", "2026-09-01", None), None, "anna", None, None, "steel:2026-09-01:"),
    (e.MachineLocked("mill-1", True, "u1"), "u1", None, None, "mill-1", "locked"),
    (e.MachineLocked("mill-1", False, "u1"), "u1", None, None, "mill-1", "given_back"),
    (e.SessionQuestioned(7, "anna"), None, "anna", 7, None, ""),
    (e.ClockAnchored(AT, NOON, "instructor", "u1"), "u1", None, None, None, "instructor"),
    (e.SessionClosed(7, "anna", "mill-1", "closed", "instructor", AT, None, "u1"), "u1", "anna", 7, "mill-1", "closed"),
    (e.PersonRecorded("anna", "apprentice", "cnc", True), None, "anna", None, None, "apprentice:cnc:active"),
    (e.RecordReleased("steel", 7, {"person_ref": "anna"}), None, "anna", 7, None, "steel"),
)  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection, write(connection):
        yield connection


def enter(db: sqlite3.Connection, body: e.Body, at_ms: int = NOON, *, synced: bool = True) -> int:
    """An entry as the clerk writes it, and what it tells."""
    seq = Ledger(db).size
    entry = e.Entry(seq, e.Stamp("b1", seq, at_ms, synced), "n", body)
    Ledger(db).append(body.type, canonical(e.to_object(entry)))
    acts.follow(db, seq)
    return seq


def reviewed(by: str = "u1", person: str = "anna") -> e.SessionReviewed:
    return e.SessionReviewed(7, person, "approved", by)


@pytest.mark.parametrize(("body", "by", "person", "session", "machine", "subject"), TOLD)
def test_an_entry_tells_who_did_what_with_whom(
    db: sqlite3.Connection,
    body: e.Body,
    by: str | None,
    person: str | None,
    session: int | None,
    machine: str | None,
    subject: str,
) -> None:
    enter(db, body)
    assert acts.acts(db) == [Act(0, 0, NOON, body.type, by, person, session, machine, subject)]


def test_every_kind_of_the_ledger_is_a_type_of_entry_and_was_told_above() -> None:
    assert set(acts.LEDGER_KINDS) <= set(e.TYPES)
    assert set(acts.LEDGER_KINDS) - {body.type for body, *_ in TOLD} == {"person_merged", "person_erased"}


@pytest.mark.parametrize(
    "body",
    [
        e.SessionClosed(7, "anna", "mill-1", "tap_out", "person", AT),
        e.ClockAnchored(AT, NOON, "ntp"),
        e.StateChanged("mill-1", "running", AT, "report"),
    ],
)
def test_what_nobody_did_is_no_act(db: sqlite3.Connection, body: e.Body) -> None:
    enter(db, body)
    assert acts.acts(db) == []


def test_a_blocked_badge_is_told_of_whose_it_was_then(db: sqlite3.Connection) -> None:
    for body in (e.BadgeAssigned("b1", "anna"), e.BadgeBlocked("b1"), e.BadgeAssigned("b1", "boris")):
        enter(db, body)
    acts.make_anew(db)
    assert [act.person_ref for act in acts.acts(db, kinds=["badge_blocked"])] == ["anna"]


def test_a_clock_that_nobody_set_puts_no_act_before_the_one_before_it(db: sqlite3.Connection) -> None:
    shown = [(NOON, True), (5, False), (NOON + MINUTE, False), (7, False), (NOON + 2 * MINUTE, True), (NOON, True)]
    for at_ms, synced in shown:
        enter(db, reviewed(), at_ms, synced=synced)
    expected = [NOON, NOON, NOON + MINUTE, NOON + MINUTE, NOON + 2 * MINUTE, NOON]
    assert [at_ms for (at_ms,) in db.execute("SELECT at_ms FROM acts ORDER BY id")] == expected


@settings(max_examples=40, deadline=None)
@given(
    told=st.lists(
        st.tuples(st.sampled_from([body for body, *_ in TOLD]), st.integers(0, 50), st.booleans()), max_size=25
    )
)
def test_acts_made_again_are_those_that_were_told_one_by_one(
    told: list[tuple[e.Body, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("acts") / "kiosk.db"
    with closing(open_writer(path)) as db, write(db):
        for body, at_ms, synced in told:
            enter(db, body, at_ms, synced=synced)
        one_by_one = db.execute("SELECT * FROM acts ORDER BY id").fetchall()
        acts.make_anew(db)
        assert db.execute("SELECT * FROM acts ORDER BY id").fetchall() == one_by_one


def test_an_entry_that_is_damaged_tells_nothing_and_stops_nothing(db: sqlite3.Connection) -> None:
    for data in (b"\xff\xfe", b"", b'{"by":', b'{"by":"u1","stamp":{"wall_ms":"noon"}}', b"[]"):
        Ledger(db).append("session_reviewed", data)
    acts.make_anew(db)
    assert [(act.id, act.at_ms, act.subject) for act in acts.acts(db)] == [(4, 0, ""), (3, 0, "")]


# --- beside the ledger ---


def test_what_is_beside_the_ledger_stays_when_all_else_is_made_again(db: sqlite3.Connection) -> None:
    enter(db, reviewed())
    acts.note(db, NOON, "signed_in", "u1")
    acts.note(db, NOON, "exported", "u1", "report:hours", person_ref="anna", machine="mill-1")
    before = acts.acts(db)
    assert [(act.seq, act.kind) for act in before] == [(None, "exported"), (None, "signed_in"), (0, "session_reviewed")]
    acts.make_anew(db)
    assert acts.acts(db) == before
    views.clear(db)
    assert acts.acts(db) == before[:2]


def test_an_act_of_the_ledger_cannot_be_noted_without_it(db: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="no act beside the ledger"):
        acts.note(db, NOON, "session_reviewed", "u1")


def test_an_act_is_found_by_its_number(db: sqlite3.Connection) -> None:
    acts.note(db, NOON, "signed_in", "u1")
    (shown,) = acts.acts(db)
    assert acts.act(db, shown.id) == shown
    assert acts.act(db, 0) is None


# --- pages and filters ---


def test_what_was_about_somebodys_double_is_about_them(db: sqlite3.Connection) -> None:
    for ref in ("anna", "anna-2"):
        people.insert_person(db, ref, PersonRow(ref, "apprentice", "А", "Б"))
        enter(db, reviewed(person=ref))
    enter(db, reviewed(person="boris"))
    db.execute("UPDATE people SET merged_into = 'anna' WHERE person_ref = 'anna-2'")
    assert [(act.seq, act.person_ref) for act in acts.acts(db, person_ref="anna")] == [(1, "anna"), (0, "anna")]
    assert [act.person_ref for act in acts.acts(db)] == ["boris", "anna", "anna"]


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "by": st.sampled_from(["u1", "u2", "nobody"]),
        "kinds": st.sets(st.sampled_from(["session_reviewed", "machine_locked", "signed_in", "backed_up"])),
        "person_ref": st.sampled_from(["anna", "boris"]),
        "first_ms": st.integers(0, 8),
        "last_ms": st.integers(0, 8),
    },
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Ninety acts in nine milliseconds."""
    with closing(open_writer(tmp_path_factory.mktemp("acts") / "kiosk.db")) as connection, write(connection):
        for number in range(60):
            by, person = ("u1", "u2")[number % 2], ("anna", "boris", "vera")[number % 3]
            told = e.MachineLocked("mill-1", True, by) if number % 4 == 0 else reviewed(by, person)
            enter(connection, told, number * 7 % 9)
            if number % 2:
                acts.note(connection, number * 5 % 9, "signed_in", ("u1", "u2")[number % 4 == 1])
        yield connection


@settings(max_examples=150, deadline=None)
@given(chosen=FILTERS, limit=st.integers(1, 40))
def test_pages_give_what_fits_once_each_and_newest_first(
    busy: sqlite3.Connection, chosen: dict[str, object], limit: int
) -> None:
    def fits(act: Act) -> bool:
        kinds = chosen.get("kinds")
        return (
            chosen.get("by") in (None, act.by)
            and (not kinds or act.kind in kinds)  # type: ignore[operator]
            and chosen.get("person_ref") in (None, act.person_ref)
            and chosen.get("first_ms", 0) <= act.at_ms <= chosen.get("last_ms", 99)  # type: ignore[operator]
        )

    found: list[Act] = []
    page = acts.acts(busy, limit=limit, **chosen)  # type: ignore[arg-type]
    while page:
        assert len(page) <= limit
        found += page
        page = acts.acts(busy, limit=limit, before=(found[-1].at_ms, found[-1].id), **chosen)  # type: ignore[arg-type]
    assert found == [act for act in acts.acts(busy, limit=1000) if fits(act)]
    assert all((left.at_ms, left.id) > (right.at_ms, right.id) for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        ({}, "acts_at (at_ms>? AND at_ms<?)"),
        ({"before": (5, 5)}, "acts_at (at_ms>? AND at_ms<?)"),
        ({"first_ms": 1, "last_ms": 5}, "acts_at (at_ms>? AND at_ms<?)"),
        ({"kinds": ["signed_in"]}, "acts_kind (kind=? AND at_ms>? AND at_ms<?)"),
        ({"kinds": ["signed_in", "backed_up"], "before": (5, 5)}, "acts_kind (kind=? AND at_ms>? AND at_ms<?)"),
        ({"by": "u1"}, "acts_by (by=? AND kind=? AND at_ms>? AND at_ms<?)"),
        ({"by": "u1", "kinds": ["signed_in"]}, "acts_by (by=? AND kind=? AND at_ms>? AND at_ms<?)"),
        ({"person_ref": "anna"}, "acts_person (person_ref=? AND at_ms>? AND at_ms<?)"),
        ({"person_ref": "anna", "kinds": ["signed_in"]}, "acts_person (person_ref=? AND at_ms>? AND at_ms<?)"),
        ({"person_ref": "anna", "by": "u1"}, "acts_person (person_ref=? AND at_ms>? AND at_ms<?)"),
    ],
)
def test_every_filter_is_a_short_walk_along_an_index(
    db: sqlite3.Connection, chosen: dict[str, object], index: str
) -> None:
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    acts.acts(db, **chosen)  # type: ignore[arg-type]
    db.set_trace_callback(None)
    (query,) = (each for each in asked if "FROM acts" in each)
    steps = [str(step) for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    walks = [step for step in steps if " acts " in step]
    assert walks
    assert all(step.startswith("SEARCH acts ") and step.endswith(f" INDEX {index}") for step in walks)
