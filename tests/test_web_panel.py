"""The instructor's panel in a real Chromium on a whole kiosk: badges at readers, fingers on the glass, the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_web_browser import SIZES, a_page

from kiosk.roll_call import SHOWN_S
from tests.panel_fixtures import NEW_BADGE, PIN, Floor, a_floor, badge_of, open_panel, type_pin

pytestmark = pytest.mark.browser
Wait = Callable[..., object]


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


@pytest.fixture
def page(floor: Floor, chromium: Browser) -> Iterator[Page]:
    with a_page(chromium, SIZES["800x480"]) as opened:
        show(floor, opened)
        yield opened


def show(floor: Floor, page: Page) -> None:
    """The kiosk's screen, connected."""
    page.goto(floor.address)
    page.wait_for_selector("#lost", state="hidden")


def tap_in(floor: Floor, page: Page, person_id: str) -> None:
    """An apprentice begins to work."""
    floor.tap(person_id)
    page.wait_for_selector(".answer.in")


def touch(page: Page, selector: str, then: str) -> None:
    """One touch, and what is seen after it."""
    page.click(selector)
    page.wait_for_selector(then)


def test_a_wrong_pin_opens_nothing_and_is_said(floor: Floor, page: Page) -> None:
    floor.tap("i3")
    page.wait_for_selector(".pad")
    type_pin(page, "1111")
    page.wait_for_selector(".note.refused:has-text('Wrong PIN')")
    assert page.locator(".master.home").count() == 0
    type_pin(page, PIN)
    page.wait_for_selector(".master.home")


def test_the_pin_can_be_typed_on_a_keyboard_and_is_never_shown(floor: Floor, page: Page) -> None:
    floor.tap("i3")
    page.wait_for_selector(".pad")
    page.keyboard.type("25990")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.type(PIN[2:])
    assert page.inner_text(".typed") == "●●●●"
    page.keyboard.press("Enter")
    page.wait_for_selector(".master.home")


def test_both_badges_and_three_touches_sign_a_skill(floor: Floor, page: Page) -> None:
    tap_in(floor, page, "p1")
    open_panel(floor, page)
    touch(page, ".tile:has-text('Ахметова')", ".master.learner")
    touch(page, ".tile:has-text('Reads drawings')", ".master.judging")
    page.click(".notes label:has-text('Worked safely')")
    touch(page, "button.level:has-text('alone')", ".note.done:has-text('alone')")
    (signed,) = floor.entries("competency_signed")
    assert (signed["competency"], signed["level"], signed["how"]) == ("CNC-a", 2, "panel_both_badges")
    assert (signed["by"], signed["mark"]) == (floor.users["i3"], None)
    assert signed["text_hash"] is not None


def test_an_open_session_is_ended_and_then_confirmed(floor: Floor, page: Page) -> None:
    tap_in(floor, page, "p1")
    open_panel(floor, page)
    touch(page, ".tile:has-text('Ахметова')", ".master.learner")
    touch(page, ".tabs button:has-text('Today')", ".line")
    touch(page, ".line button:has-text('End it')", ".line button:has-text('Confirm')")
    touch(page, ".line button:has-text('Confirm')", ".line:has-text('approved')")
    (closed,) = floor.entries("session_closed")
    (reviewed,) = floor.entries("session_reviewed")
    assert closed["reason"] == "closed_by_instructor"
    assert (reviewed["decision"], reviewed["by"], reviewed["mark"]) == ("approved", floor.users["i3"], None)


def test_any_open_session_is_ended_with_a_second_touch(floor: Floor, page: Page) -> None:
    tap_in(floor, page, "p1")
    open_panel(floor, page, reader="lathe-1")
    assert page.locator(".tile:has-text('Ахметова')").count() == 0  # tapped elsewhere: not both badges here
    touch(page, ".tile:has-text('Open sessions')", ".tile:has-text('CNC mill 1')")
    touch(page, ".tile:has-text('CNC mill 1')", "h1:has-text('End this session?')")
    assert floor.entries("session_closed") == []
    touch(page, ".ask button:has-text('End it')", ".note.done")
    assert len(floor.entries("session_closed")) == 1


def test_a_machine_is_withdrawn_and_given_back_by_a_touch_each(floor: Floor, page: Page) -> None:
    open_panel(floor, page)
    touch(page, ".tile:has-text('Machines')", ".tile:has-text('In use')")
    touch(page, ".tile:has-text('Lathe')", ".tile.is-refused:has-text('Lathe')")
    touch(page, ".tile:has-text('Lathe')", ".tile.is-in:has-text('Lathe')")
    assert [(each["machine"], each["locked"]) for each in floor.entries("machine_locked")] == [
        ("lathe-1", True),
        ("lathe-1", False),
    ]


def test_a_lost_card_is_replaced_and_its_refused_tap_entered_in_ten_touches(
    floor: Floor, page: Page, wait_until: Wait
) -> None:
    floor.readers["mill-1"].tap(NEW_BADGE)
    page.wait_for_selector(".answer.no")
    page.evaluate("window.touches = 0; document.addEventListener('click', () => { window.touches += 1; }, true)")
    open_panel(floor, page)
    touch(page, ".tile:has-text('Unknown card')", ".letters")
    touch(page, ".letters button:has-text('Қ')", ".tile:has-text('Қожахметова')")
    touch(page, ".tile:has-text('Қожахметова')", ".ask")
    touch(page, ".ask button:has-text('In place of')", ".master.hours")
    touch(page, ".ask button:has-text('Another reason')", ".master.home .note.done")
    assert page.evaluate("window.touches") == 10  # five of them the PIN
    (entered,) = floor.entries("manual_session_entered")
    assert (entered["machine"], entered["process"], entered["reason"]) == ("mill-1", "CNC3", "other")
    refused = floor.entries("tap_refused")[0]
    assert entered["start_ms"] == refused["stamp"]["wall_ms"]
    floor.tap("p4")
    page.wait_for_selector(".answer.no")
    assert floor.entries("tap_refused")[-1]["reason"] == "badge_blocked"
    floor.readers["lathe-1"].tap(NEW_BADGE)  # theirs now: the lathe wants a briefing of them
    wait_until(lambda: floor.entries("tap_refused")[-1]["reason"] == "not_qualified", what="the new card to be known")


def test_a_briefing_is_held_by_tapping(floor: Floor, page: Page, wait_until: Wait) -> None:
    open_panel(floor, page)
    touch(page, ".tile:has-text('Safety briefing')", ".tile:has-text('cnc')")
    touch(page, ".tile:has-text('cnc')", ".tile:has-text('One year')")
    touch(page, ".tile:has-text('One year')", ".roll")
    for number, person in enumerate(("p1", "p2", "p5"), 1):
        floor.tap(person)
        page.wait_for_selector(f".roll .count:has-text('{number}')")
        assert page.evaluate("document.documentElement.dataset.sound") == "in"
    floor.readers["mill-1"].tap(NEW_BADGE)
    page.wait_for_selector(".heard.no:has-text('Unknown card')")
    wait_until(lambda: page.evaluate("document.documentElement.dataset.sound") == "no", what="the low sound")
    touch(page, ".present button:has-text('Әбдіров')", ".roll .count:has-text('2')")
    floor.tap("i3")
    page.wait_for_selector(".master.home .note.done:has-text('2 people')", timeout=40_000)
    granted = floor.entries("qualification_granted")
    assert {each["qualification"] for each in granted} == {"briefing:cnc"}
    assert len(granted) == 2
    assert len({each["batch"] for each in granted} - {None}) == 1
    assert floor.entries("session_opened") + floor.entries("tap_refused") == []


def test_a_touch_calls_off_the_question_how_the_roll_stands_and_that_is_no_error(floor: Floor, page: Page) -> None:
    open_panel(floor, page)
    touch(page, ".tile:has-text('Safety briefing')", ".tile:has-text('cnc')")
    touch(page, ".tile:has-text('cnc')", ".tile:has-text('No end')")
    touch(page, ".tile:has-text('No end')", ".roll")
    with page.expect_request("**/roll?seen=*"):
        page.route("**/roll?seen=*", lambda _: None)  # a slow answer
    page.wait_for_timeout(400)
    with page.expect_event("requestfailed"):
        page.click(".tabs button:has-text('Stop')")
    page.wait_for_selector(".master.home .note.refused")


def test_a_screen_that_goes_away_gives_the_reader_back_and_enters_nobody(
    floor: Floor, page: Page, wait_until: Wait
) -> None:
    open_panel(floor, page)
    touch(page, ".tile:has-text('Safety briefing')", ".tile:has-text('cnc')")
    touch(page, ".tile:has-text('cnc')", ".tile:has-text('No end')")
    touch(page, ".tile:has-text('No end')", ".roll")
    floor.tap("p1")
    page.wait_for_selector(".roll .count:has-text('1')")
    show(floor, page)
    page.wait_for_timeout(SHOWN_S * 1000)
    tap_in(floor, page, "p2")
    assert floor.entries("qualification_granted") == []


def test_the_panel_stays_while_the_group_taps_and_says_that_it_is_no_work(floor: Floor, page: Page) -> None:
    open_panel(floor, page)
    touch(page, ".tile:has-text('Safety briefing')", ".tile:has-text('cnc')")
    touch(page, ".tile:has-text('cnc')", ".tile:has-text('No end')")
    touch(page, ".tile:has-text('No end')", ".roll")
    said = page.inner_text(".no-work")
    for words in ("Жұмыс басталмайды", "Работа не начинается", "It starts no work"):
        assert words in said
    page.wait_for_timeout(16_000)
    assert page.is_visible(".roll")
    touch(page, ".tabs button:has-text('Stop')", ".master.home .note.refused")
    floor.tap("p1")
    page.wait_for_selector(".answer.in")


def test_the_next_tap_takes_the_screen_from_the_panel(floor: Floor, page: Page) -> None:
    open_panel(floor, page)
    tap_in(floor, page, "p1")
    page.wait_for_selector(".master", state="detached")


def test_without_a_pin_every_decision_carries_its_mark(tmp_path: Path, chromium: Browser) -> None:
    with a_floor(tmp_path, panel_pin=False) as floor, a_page(chromium, SIZES["800x480"]) as page:
        show(floor, page)
        tap_in(floor, page, "p1")
        floor.tap("i4")
        page.wait_for_selector(".master.home")
        touch(page, ".tile:has-text('Ахметова')", ".master.learner")
        touch(page, ".tile >> nth=0", ".master.judging")
        touch(page, "button.level >> nth=3", ".note.done")
        (signed,) = floor.entries("competency_signed")
        assert signed["mark"] == "badge"


def test_an_instructor_without_an_account_is_told_whom_to_ask(floor: Floor, page: Page) -> None:
    floor.tap("i4")
    page.wait_for_selector(".master:has-text('ПИН-код'), .master:has-text('администратор')")
    assert page.locator(".pad").count() == 0
    assert badge_of("i4") not in page.content()
