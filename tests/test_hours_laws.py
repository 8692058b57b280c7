"""The laws of hours.md, section 5, for every generated history."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hours_histories import LAB, PEOPLE, START_MS, Choose, Line, history, replayed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiosk.domain import entries as e
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State
from kiosk.replay import Replay, session_object

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

# A seed and a length: the shorter history of a seed is the beginning of the longer one, so what fails shrinks quickly.
histories = st.builds(
    lambda seed, length: history(random.Random(seed).choice, length), st.integers(0, 10**9), st.integers(1, 100)
)


def _uncertain(seed: int, length: int) -> list[Line]:
    """Boots that do not know the time, clocks that step, dates and hours by hand."""
    choose = random.Random(-1 - seed).choice
    lines: list[Line] = []
    for line in history(random.Random(seed).choice, length):
        lines.append(line | ({"synced": choose((True, False))} if line["kind"] == "boot" else {}))
        if line["kind"] not in ("down", "end") and choose(range(6)) == 0:
            lines.append({"t": line["t"], **_instructed(choose)})
    return lines


def _instructed(choose: Choose) -> Line:
    wall = [START_MS + hours * 3_600_000 for hours in range(-2, 27)]
    match choose(("clock", "date_boot", "manual")):
        case "clock":
            return {"kind": "clock", "synced": choose((True, False)), "wall": choose(wall)}
        case "date_boot":
            dated = {"boot": choose(("b0", "b2", "b5")), "boot_ms": choose((0, 1_000, 100_000))}
            return {"kind": "date_boot", "utc": choose(wall)} | dated
    manual = {"person": choose(("p1", "p2")), "machine": "mill", "process": None, "reason": "other", "by": "i1"}
    return {"kind": "manual", "start": choose(wall), "end": choose(wall)} | manual


uncertain_histories = st.builds(_uncertain, st.integers(0, 10**9), st.integers(1, 100))


class Kept(Replay):
    """A replay that keeps its entries, as a ledger does."""

    def __init__(self) -> None:
        super().__init__(LAB, PEOPLE, lambda _: None)
        self.entries: list[e.Entry] = []
        hear = self._core.hear

        def kept(*heard: Any) -> Any:
            for entry in hear(*heard):
                self.entries.append(entry)
                yield entry

        self._core.hear = kept  # type: ignore[method-assign]


def kept(lines: list[Line]) -> Kept:
    replay = Kept()
    replay.run(json.dumps(line) for line in lines)
    return replay


def sessions(replay: Replay) -> list[Line]:
    return [result for result in replay.results() if result["kind"] == "session"]


@SETTINGS
@given(uncertain_histories)
def test_states_sum_to_presence_and_every_millisecond_is_credited_or_has_a_reason(lines: list[Line]) -> None:
    for session in sessions(replayed(lines)):
        assert sum(session["by_state_ms"].values()) == session["presence_ms"]
        assert 0 <= session["credited_ms"] <= session["presence_ms"]
        assert session["credited_ms"] + sum(session["uncredited_ms"].values()) == session["presence_ms"]
        assert all(ms >= 0 for ms in session["uncredited_ms"].values())
        assert "unknown" not in session["uncredited_ms"] or session["unverified_ms"] > 0


@SETTINGS
@given(uncertain_histories)
def test_no_minute_of_a_machine_is_invented_and_none_vanishes(lines: list[Line]) -> None:
    replay = replayed(lines)
    results = list(replay.results())
    span_ms = {sum(r["by_state_ms"].values()) for r in results if r["kind"] == "machine"}
    assert len(span_ms) == 1  # the same span for each machine
    for result in results:
        if result["kind"] != "machine":
            continue
        for name, ms in result["by_state_ms"].items():
            assert result["attributed_ms"][name] + result["unattributed_ms"][name] == ms
            assert 0 <= result["attributed_ms"][name] <= ms


@SETTINGS
@given(histories)
def test_the_operators_shares_of_a_machine_are_its_attributed_time(lines: list[Line]) -> None:
    replay = replayed(lines)
    results = list(replay.results())
    for machine in LAB.machines:
        here = [s for s in replay.state.sessions.values() if s.machine == machine.id and s.role == "operator"]
        now = replay.state.timeline.moment(e.At(replay._clock.boot, replay._clock.boot_ms))
        spans = [replay.state.span(s, now) for s in here]
        edges = sorted({edge for span in spans for edge in span})
        shares: dict[str, Fraction] = defaultdict(Fraction)
        for session in here:
            for stretch in replay.state.stretches(machine.id, session.opened, session.closed or now):
                points = [stretch.start, *(x for x in edges if stretch.start < x < stretch.end), stretch.end]
                for left, right in pairwise(points):
                    present = sum(a <= left < b for a, b in spans)
                    shares[stretch.state] += Fraction(right - left, present)
        (line,) = [r for r in results if r["kind"] == "machine" and r["machine"] == machine.id]
        assert {k: v for k, v in shares.items() if v} == {k: v for k, v in line["attributed_ms"].items() if v}


@SETTINGS
@given(uncertain_histories)
def test_nobody_is_an_operator_on_two_machines_at_one_instant(lines: list[Line]) -> None:
    replay = replayed(lines)
    now = replay.state.timeline.moment(e.At(replay._clock.boot, replay._clock.boot_ms))
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for session in replay.state.sessions.values():
        if session.role == "operator" and not session.manual:
            spans[session.person_ref].append(replay.state.span(session, now))
    for own in spans.values():
        present = sorted(span for span in own if span[0] < span[1])
        assert all(left[1] <= right[0] for left, right in pairwise(present))


@SETTINGS
@given(uncertain_histories, st.integers(0, 400))
def test_folding_again_in_one_go_or_in_pieces_gives_the_same_hours(lines: list[Line], cut: int) -> None:
    replay = kept(lines)
    state = State()
    for number, entry in enumerate(replay.entries):
        again = e.from_object(json.loads(json.dumps(e.to_object(entry))))
        assert again == entry
        evolve(state, again)
        if number == cut:  # looking at the numbers in the middle changes nothing
            for session in state.sessions.values():
                session_object(state, session, state.timeline.hear(entry.stamp))
    assert state.size == replay.state.size
    now = replay.state.timeline.moment(e.At(replay._clock.boot, replay._clock.boot_ms))
    for number in replay.state.sessions:
        ours = session_object(replay.state, replay.state.sessions[number], now)
        assert session_object(state, state.sessions[number], now) == ours
    assert state.handed_over == replay.state.handed_over
    assert state.open_by_machine == replay.state.open_by_machine
    assert {m: s.history for m, s in state.machines.items()} == {m: s.history for m, s in replay.state.machines.items()}


@SETTINGS
@given(histories, st.data())
def test_a_frame_or_a_message_delivered_twice_in_a_row_changes_nothing(lines: list[Line], data: st.DataObject) -> None:
    confirming = {reader.id for reader in LAB.readers if reader.confirm > 1}
    twice: list[Line] = []
    for line in lines:
        twice.append(line)
        repeatable = line["kind"] == "mqtt" or (line["kind"] == "badge" and line["reader"] not in confirming)
        if repeatable and data.draw(st.booleans()):
            twice.append(dict(line))
    assert list(replayed(twice).results()) == list(replayed(lines).results())


@SETTINGS
@given(histories, st.data())
def test_a_repeating_sources_retained_report_changes_nothing(lines: list[Line], data: st.DataObject) -> None:
    more: list[Line] = []
    for line in lines:
        if line["kind"] not in ("boot", "down") and data.draw(st.booleans()):
            more.append({"t": line["t"], "kind": "mqtt", "topic": "lab/mill", "payload": "RUN", "retain": True})
        more.append(line)
    assert list(replayed(more).results()) == list(replayed(lines).results())


@SETTINGS
@given(uncertain_histories, st.integers(1, 60))
def test_decided_numbers_never_change(lines: list[Line], cut: int) -> None:
    cut = min(cut, len(lines) - 1)
    early = {s["session"]: s for s in sessions(replayed(lines[:cut]))}
    late = {s["session"]: s for s in sessions(replayed(lines))}
    for number, session in early.items():
        if session["review"] != "pending":
            for name in ("presence_ms", "by_state_ms", "credited_ms", "unverified_ms", "uncredited_ms"):
                assert late[number][name] == session[name]


@SETTINGS
@given(histories)
def test_an_entry_names_at_most_one_apprentice(lines: list[Line]) -> None:
    people = {person.person_id for person in PEOPLE if person.role == "apprentice"}
    for entry in kept(lines).entries:
        text = json.dumps(e.to_object(entry))
        assert sum(f'"{person}"' in text for person in people) <= 1
