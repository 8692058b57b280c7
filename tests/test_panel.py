"""Lamps and buzzer on gpiozero's own mock pins: what is shown, for how long, and what happens without pins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from firmware_bridge.panel import PanelPins, Panels, Signal
from kiosk.domain import entries as e
from kiosk.domain.entries import At
from kiosk.voice import answers
from tests.patience import at_best

Wait = Callable[..., Any]
AT = At("b", 1)
MILL = {"mill-1": PanelPins(green=17, red=27, buzzer=22)}


@pytest.fixture
def board() -> Iterator[MockFactory]:
    """A board of mock pins, which remember what happened to them."""
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory.close()
    Device.pin_factory = before


@pytest.fixture
def panels(board: MockFactory) -> Iterator[Panels]:
    panels = Panels(MILL, [])
    panels.start()
    yield panels
    panels.stop()


def shown(board: MockFactory) -> tuple[int, int, int]:
    """Green, red, buzzer."""
    return tuple(int(board.pin(n).state) for n in (17, 27, 22))  # type: ignore[return-value]


def tones(board: MockFactory) -> int:
    return sum(int(change.state) for change in board.pin(22).states)


def test_a_panel_is_dark_and_silent_at_first(panels: Panels, board: MockFactory) -> None:
    assert panels.problem == ""
    assert shown(board) == (0, 0, 0)


@pytest.mark.parametrize(
    ("signal", "lamps", "count"),
    [(Signal.ACCEPTED, (1, 0), 1), (Signal.REFUSED, (0, 1), 3), (Signal.WARNING, (1, 1), 2)],
)
def test_each_answer_has_its_lamps_and_its_number_of_tones(
    panels: Panels, board: MockFactory, wait_until: Wait, signal: Signal, lamps: tuple[int, int], count: int
) -> None:
    panels.answer("mill-1", signal)
    wait_until(lambda: shown(board) == (*lamps, 1), what="the answer")
    wait_until(lambda: tones(board) == count and shown(board) == (0, 0, 0), what="its end")


def test_an_answer_is_seen_within_a_tenth_of_a_second_and_a_newer_one_replaces_it(
    panels: Panels, board: MockFactory, wait_until: Wait
) -> None:
    def seen_s() -> float:
        taken = []
        for signal, lamps in ((Signal.ACCEPTED, (1, 0)), (Signal.REFUSED, (0, 1))):
            began = time.monotonic()
            panels.answer("mill-1", signal)
            wait_until(lambda lamps=lamps: shown(board)[:2] == lamps, what="the answer")
            taken.append(time.monotonic() - began)
        return max(taken)

    assert at_best(seen_s, 0.1) < 0.1


def test_between_answers_the_lamps_show_what_lasts(panels: Panels, board: MockFactory, wait_until: Wait) -> None:
    panels.steady("mill-1", green=True, red=False)
    wait_until(lambda: shown(board) == (1, 0, 0), what="occupied")
    panels.answer("mill-1", Signal.REFUSED)
    wait_until(lambda: shown(board)[1] == 1, what="the refusal")
    panels.steady("mill-1", green=False, red=True)
    wait_until(lambda: shown(board) == (0, 1, 0) and tones(board) == 3, what="withdrawn")


def test_a_panel_with_one_lamp_and_a_machine_without_a_panel_are_answered_too(
    board: MockFactory, wait_until: Wait
) -> None:
    panels = Panels({"lathe-1": PanelPins(red=4)}, [])
    panels.start()
    panels.answer("lathe-1", Signal.REFUSED)
    panels.answer("drill-1", Signal.REFUSED)
    wait_until(lambda: board.pin(4).state, what="red")
    panels.stop()
    assert not board.pin(4).state
    assert panels.problem == ""


def test_pins_that_are_not_there_are_told_in_words_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none-such")
    before, Device.pin_factory = Device.pin_factory, None
    panels = Panels(MILL, ["mill-1"])
    panels.start()
    Device.pin_factory = before
    panels.answer("mill-1", Signal.ACCEPTED)
    panels.steady("mill-1", green=True, red=True)
    panels.permit(["mill-1"])
    assert panels.problem.startswith("pin 17 cannot be driven (")
    assert "take out panel" in panels.problem
    panels.stop()


def test_two_parts_on_one_pin_are_told_in_words(board: MockFactory) -> None:
    panels = Panels({"mill-1": PanelPins(green=17), "mill-2": PanelPins(green=17)}, [])
    panels.start()
    assert panels.problem.startswith("pin 17 cannot be driven (")
    panels.stop()


def test_a_pin_that_fails_later_darkens_its_panel_and_no_other(board: MockFactory, wait_until: Wait) -> None:
    panels = Panels({**MILL, "lathe-1": PanelPins(green=4)}, [])
    panels.start()
    board.pin(17).function = "input"  # somebody else took it over: driving it is an error now
    panels.answer("mill-1", Signal.ACCEPTED)
    wait_until(lambda: panels.problem, what="the words")
    assert panels.problem.startswith("the panel mill-1 went dark")
    panels.answer("lathe-1", Signal.ACCEPTED)
    wait_until(lambda: board.pin(4).state, what="green at the other")
    panels.stop()


OPENED = e.SessionOpened("x", "mill-1", None, None, "operator", "r", "y", AT, "")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (OPENED, [("mill-1", Signal.ACCEPTED)]),
        (e.SessionClosed(1, "x", "mill-1", "tap_out", "person", AT), [("mill-1", Signal.ACCEPTED)]),
        (e.SessionClosed(1, "x", "mill-1", "moved", "person", AT), []),
        (e.SessionClosed(1, "x", "mill-1", "idle_timeout", "system", AT), [("mill-1", Signal.WARNING)]),
        (e.SessionClosed(1, "x", "mill-1", "closed_by_instructor", "other", AT), [("mill-1", Signal.WARNING)]),
        (e.TapRead("r", "y", "x", "mill-1", "still_on", 1), [("mill-1", Signal.ACCEPTED)]),
        (e.TapRead("r", "y", "x", "mill-1", "handed_over", 1), [("mill-1", Signal.WARNING)]),
        (e.TapRead("r", "y", "x", None, "pick"), []),
        (e.TapRefused("r", "y", None, "mill-1", "unknown_badge", AT), [("mill-1", Signal.REFUSED)]),
        (e.TapRefused("door", "y", None, None, "unknown_badge", AT), []),
        (e.StateChanged("mill-1", "running", AT, "report"), []),
    ],
)
def test_a_panel_answers_what_was_written(body: e.Body, expected: list[tuple[str, Signal]]) -> None:
    assert list(answers(body)) == expected
