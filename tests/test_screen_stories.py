"""Days of a workshop as the screen shows them: real readers, a whole kiosk, a real browser, and the ledger after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Broker
from playwright.sync_api import Browser, Page
from test_web_browser import SIZES, a_page
from web_fixtures import HOUR, MINUTE

from kiosk.clock import ScaledClock
from kiosk.commands import GrantQualification
from tests.kiosk_fixtures import running_kiosk
from tests.panel_fixtures import NEW_BADGE, Floor, a_floor, open_panel

pytestmark = pytest.mark.browser
Wait = Callable[..., object]


class LeapingClock(ScaledClock):
    """Runs as time does, and leaps where a story says that hours went by."""

    leapt_ms = 0

    def leap(self, ms: int) -> None:
        """Later that day."""
        self.leapt_ms += ms

    def _passed_ms(self) -> int:
        return super()._passed_ms() + self.leapt_ms


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
def floor(tmp_path: Path, clock: LeapingClock) -> Iterator[Floor]:
    with a_floor(tmp_path, clock=clock) as made:
        yield made


@pytest.fixture
def page(floor: Floor, chromium: Browser) -> Iterator[Page]:
    with a_page(chromium, SIZES["1024x600"]) as opened:
        opened.goto(floor.address)
        opened.wait_for_selector("#lost", state="hidden")
        yield opened


def taps(floor: Floor, page: Page, person: str, then: str, reader: str = "mill-1") -> str:
    """A card, and what the screen says to it."""
    page.evaluate("document.getElementById('answer').replaceChildren()")
    floor.tap(person, reader)
    page.wait_for_selector(f".answer.{then} .headline")
    return page.inner_text("#answer")


def test_the_first_day_of_an_apprentice_goes_from_a_strange_card_to_hours_of_their_own(
    floor: Floor, page: Page, clock: LeapingClock
) -> None:
    floor.readers["mill-1"].tap(NEW_BADGE)
    page.wait_for_selector(".answer.no .languages")
    open_panel(floor, page)
    page.click(".home .tile:has-text('Unknown card')")
    page.click(".letters button:has-text('К')")
    page.click(".tile:has-text('Ким')")
    page.click(".ask .go")
    page.wait_for_selector(".master .note.done")
    clock.leap(MINUTE)
    floor.readers["lathe-1"].tap(NEW_BADGE)
    page.wait_for_selector(".answer.no .missing")
    assert "Ким" in page.inner_text("#answer")
    clock.leap(MINUTE)
    floor.readers["mill-1"].tap(NEW_BADGE)
    page.wait_for_selector(".answer.in")
    clock.leap(2 * HOUR)
    floor.readers["mill-1"].tap(NEW_BADGE)
    page.wait_for_selector(".answer.out")
    assert "2:00" in page.inner_text("#answer")
    page.dispatch_event(".answer .touch", "pointerdown")
    page.click(".answer .touch")
    page.wait_for_selector(".me-hours li")
    (closed,) = floor.entries("session_closed")
    assert closed["reason"] == "tap_out"


def test_who_forgot_to_tap_out_is_told_at_the_next_tap(floor: Floor, page: Page, clock: LeapingClock) -> None:
    taps(floor, page, "p5", "in")
    clock.leap(23 * HOUR)
    said = taps(floor, page, "p5", "in")
    assert "Ваш сеанс завершён" in said
    first, second = floor.entries("session_opened")
    (closed,) = floor.entries("session_closed")
    assert (closed["session"], closed["closed_by"]) == (first["seq"], "system")
    assert second["seq"] > closed["seq"]
    sign, know = page.locator(".answer .sign").bounding_box(), page.locator(".answer .know").bounding_box()
    assert sign is not None
    assert know is not None
    assert sign["y"] + sign["height"] <= know["y"] + 1


def test_at_the_wrong_machine_the_screen_says_what_is_missing_and_the_session_goes_on(
    floor: Floor, page: Page, clock: LeapingClock
) -> None:
    taps(floor, page, "p5", "in")
    clock.leap(MINUTE)
    said = taps(floor, page, "p5", "no", "lathe-1")
    assert "Токарный станок" in said
    assert "cnc" in said
    assert floor.entries("session_closed") == []


def test_who_goes_on_to_another_machine_reads_where_work_ended(floor: Floor, page: Page, clock: LeapingClock) -> None:
    for briefing in ("briefing:cnc", "briefing:welding"):
        floor.kiosk.submit(GrantQualification("p5", briefing, None, floor.users["i2"]))
    taps(floor, page, "p5", "in")
    clock.leap(HOUR)
    said = taps(floor, page, "p5", "in", "lathe-1")
    assert "Токарный станок" in said
    assert "Фрезерный станок с ЧПУ 1" in said
    (closed,) = floor.entries("session_closed")
    assert closed["reason"] == "moved"


def test_who_was_relieved_and_taps_late_reads_when_their_session_ended(
    floor: Floor, page: Page, clock: LeapingClock
) -> None:
    taps(floor, page, "p5", "in")
    clock.leap(HOUR)
    taps(floor, page, "p6", "in")
    clock.leap(MINUTE)
    said = taps(floor, page, "p5", "tell")
    assert "Ваш сеанс закончился" in said or "завершён" in said
    assert [each["reason"] for each in floor.entries("session_closed")] == ["handover"]


def test_two_people_within_a_second_are_both_answered_and_both_recorded(
    floor: Floor, page: Page, wait_until: Wait
) -> None:
    page.evaluate(
        """() => { window.answered = [];
        const tapped = window.sheberVisit.tapped;
        window.sheberVisit.tapped = (event) => { tapped(event);
          window.answered.push(document.querySelector('#answer .name').textContent); }; }"""
    )
    floor.tap("p5", "mill-1")
    floor.tap("p6", "lathe-1")
    wait_until(lambda: len(page.evaluate("window.answered")) == 2, what="both answers")
    assert set(page.evaluate("window.answered")) == {"Шмидт А.", "Сериков Ә."}
    assert page.evaluate("window.answered").pop() == page.inner_text("#answer .name")
    wait_until(lambda: floor.entries("session_opened") and floor.entries("tap_refused"), what="both entries")


def test_a_reader_that_is_unplugged_is_shown_while_somebody_watches(floor: Floor, page: Page) -> None:
    taps(floor, page, "p5", "in")
    page.evaluate("window.sheberVisit.leave()")
    page.wait_for_selector(".reader-lost", state="detached", timeout=40_000)
    floor.readers["lathe-1"].close()
    page.wait_for_selector("[data-machine=lathe-1] .reader-lost", timeout=40_000)
    taps(floor, page, "p6", "in")


def test_the_broker_dies_while_somebody_watches_and_taps_go_on(
    tmp_path: Path, chromium: Browser, mosquitto: Broker
) -> None:
    with (
        running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, readers),
        a_page(chromium, SIZES["1024x600"]) as page,
    ):
        page.goto(kiosk.addresses[0])
        page.wait_for_selector("#lost", state="hidden")
        page.wait_for_selector(".mark", state="detached", timeout=40_000)
        mosquitto.stop()
        page.wait_for_selector(".mark :text('No link to the machines')", timeout=40_000)
        readers["mill-1"].tap("0F00448FB0")
        page.wait_for_selector(".answer.in .headline")
        mosquitto.start()
        page.wait_for_selector(".mark", state="detached", timeout=40_000)
