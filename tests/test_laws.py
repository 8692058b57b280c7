"""The laws of hours, asked of a folded ledger: what a workshop does keeps them, and each planted breach is found."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hours_histories import LAB, START_MS, replayed
from hypothesis import given
from test_hours_laws import SETTINGS, uncertain_histories

from kiosk.domain import entries as e
from kiosk.domain.credit import Credit
from kiosk.domain.laws import breaches, twice_at_work, unbalanced, unconserved
from kiosk.domain.rulebook import adopted
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State

MINUTE_MS = 60_000
WHOLE = Credit(100, {"running": 60, "idle": 40}, 70, 0, {"idle_over_grace": 30})


class Log:
    """A ledger as a hand may write it: each body takes the next number, at the minute that is given."""

    def __init__(self) -> None:
        self.state = State()
        config, rules = adopted(LAB)
        self.write(0, e.LogStarted("lab/1"))
        self.write(0, e.BootStarted(None))
        self.write(0, e.ConfigAdopted(config))
        self.write(0, e.RulesAdopted(rules))

    def write(self, minute: int, body: e.Body) -> int:
        stamp = e.Stamp("b0", minute * MINUTE_MS, START_MS + minute * MINUTE_MS, synced=True)
        seq = self.state.size
        evolve(self.state, e.from_object(json.loads(json.dumps(e.to_object(e.Entry(seq, stamp, "", body))))))
        return seq

    def opened(self, minute: int, machine: str = "mill", person: str = "p1") -> int:
        rules = self.state.rules.fingerprint
        at = e.At("b0", minute * MINUTE_MS)
        return self.write(minute, e.SessionOpened(person, machine, None, None, "operator", machine, "A1", at, rules))

    def closed(self, minute: int, session: int, at_minute: int) -> None:
        was = self.state.sessions[session]
        at = e.At("b0", at_minute * MINUTE_MS)
        self.write(minute, e.SessionClosed(session, was.person_ref, was.machine, "tap_out", "person", at))

    @property
    def breaches(self) -> list[str]:
        return list(breaches(self.state))


@pytest.fixture
def log() -> Log:
    return Log()


@SETTINGS
@given(uncertain_histories)
def test_whatever_happens_in_a_workshop_breaks_no_law(lines: list[dict[str, Any]]) -> None:
    assert list(breaches(replayed(lines).state)) == []


def test_an_empty_ledger_breaks_no_law() -> None:
    assert list(breaches(State())) == []


def test_an_orderly_day_breaks_no_law(log: Log) -> None:
    log.write(1, e.StateChanged("mill", "running", e.At("b0", MINUTE_MS), "report"))
    first = log.opened(2)
    log.closed(30, first, 30)
    second = log.opened(31, "saw")
    log.closed(60, second, 59)
    assert log.breaches == []


def test_a_person_who_is_at_work_on_two_machines_at_once_is_found(log: Log) -> None:
    first = log.opened(10, "mill")
    second = log.opened(20, "saw")
    log.closed(30, first, 30)
    log.closed(40, second, 40)
    assert log.breaches == [f"sessions {first} and {second} have one person at work twice for 600000 ms"]


def test_two_people_at_work_at_once_are_none(log: Log) -> None:
    log.opened(10, "mill", "p1")
    log.opened(10, "saw", "p2")
    log.write(20, e.BootStarted(None))
    assert log.breaches == []


def test_an_end_that_lies_beyond_the_log_is_found_and_so_is_the_time_it_invents(log: Log) -> None:
    session = log.opened(10)
    log.closed(20, session, 90)
    late, invented = log.breaches
    assert late == f"session {session} ends after the last entry of the log"
    assert invented == (
        "machine mill was in state unknown for 1200000 ms, but its operators' shares and the time without any make "
        "5400000 ms: time was invented"
    )


def test_an_end_before_the_beginning_is_found(log: Log) -> None:
    session = log.opened(10)
    log.closed(20, session, 5)
    assert log.breaches == [f"session {session} ends before it begins"]


def test_a_decision_on_more_than_the_presence_is_found(log: Log) -> None:
    session = log.opened(10)
    log.closed(20, session, 20)
    decided = log.write(
        30, e.SessionReviewed(session, "p1", "adjusted", "i1", "other", credited_ms=10**9, process="OP1")
    )
    assert log.breaches == [
        f"session {session}: entry {decided} decided on 1000000000 ms of a presence of 600000 ms",
    ]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (WHOLE._replace(by_state_ms={"running": 60, "idle": 39}), "the machine time by state is 99 ms"),
        (WHOLE._replace(credited_ms=101, uncredited_ms={"idle": -1}), "101 ms are credited of a presence of 100 ms"),
        (WHOLE._replace(credited_ms=-1, uncredited_ms={"idle": 101}), "-1 ms are credited"),
        (WHOLE._replace(credited_ms=71), "71 ms credited and 30 ms not do not make the presence of 100 ms"),
        (WHOLE._replace(uncredited_ms={"a": 31, "b": -1}), "do not make the presence"),
    ],
)
def test_numbers_of_a_session_that_do_not_add_up_are_found(numbers: Credit, sentence: str) -> None:
    assert list(unbalanced(7, WHOLE)) == []
    found = list(unbalanced(7, numbers))
    assert found[0].startswith("session 7: ")
    assert sentence in found[0]


def test_a_short_overlap_behind_a_long_session_is_found() -> None:
    spans = [("p1", 1, 0, 100), ("p1", 2, 10, 20), ("p1", 3, 90, 120), ("p2", 4, 0, 100), ("p1", 5, 120, 120)]
    assert [sentence.split(" have")[0] for sentence in twice_at_work(spans)] == ["sessions 1 and 2", "sessions 1 and 3"]


def test_a_minute_that_vanishes_from_a_machine_is_found() -> None:
    third = Fraction(100, 3)
    assert list(unconserved("mill", {"running": Fraction(100)}, {"running": third * 2}, {"running": third})) == []
    (sentence,) = unconserved("mill", {"running": Fraction(100)}, {"running": third}, {"running": third})
    assert sentence.endswith("make 200/3 ms: time was lost")
