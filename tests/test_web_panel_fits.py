"""Every page of the instructor's panel fits the screen and is big enough for a glove, in each language."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_web_browser import SIZES, a_page, shoot
from test_web_visits import OVERFLOWING

from kiosk.words import words
from tests.panel_fixtures import MASTER_OF, NEW_BADGE, PIN, Floor, a_floor, type_pin

pytestmark = pytest.mark.browser
FITS = [("800x480", "kk")]
"""The smallest, in the longest words; `./test --all` has every pair."""
REST = [(size, language) for size in SIZES for language in ("kk", "ru", "en") if (size, language) not in FITS]


class Look:
    """Touches, and looks at what comes of each."""

    def __init__(self, page: Page, tag: str) -> None:
        self.page = page
        self.tag = tag
        self.wrong: dict[str, object] = {}

    def see(self, name: str, selector: str) -> None:
        """A page is there; does it fit?"""
        self.page.wait_for_selector(selector)
        shoot(self.page, f"panel-{name}-{self.tag}")
        found = self.page.evaluate(OVERFLOWING)
        if found:
            self.wrong[name] = found

    def touch(self, selector: str, name: str, then: str) -> None:
        """One touch, and what is seen after it."""
        self.page.click(selector)
        self.see(name, then)

    def home(self) -> None:
        """Back to the first page."""
        self.page.click(".tabs button >> nth=-1")
        self.page.wait_for_selector(".master.home")


@pytest.mark.parametrize(("size", "language"), [*FITS, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in REST)])
def test_every_page_fits_and_takes_a_glove(tmp_path: Path, chromium: Browser, size: str, language: str) -> None:
    with a_floor(tmp_path) as floor, a_page(chromium, SIZES[size], language) as page:
        page.goto(floor.address)
        page.wait_for_selector("#lost", state="hidden")
        floor.readers["lathe-1"].tap(NEW_BADGE)
        page.wait_for_selector(".answer.no")
        floor.readers["mill-1"].tap(NEW_BADGE)
        floor.tap("p4")
        page.wait_for_selector(".answer.in")
        floor.tap(MASTER_OF[language])
        look = Look(page, f"{language}-{size}")
        look.see("pin", ".pad")
        type_pin(page, "1111")
        look.see("pin-wrong", ".note.refused")
        type_pin(page, PIN)
        look.see("home", ".master.home")
        learner_pages(look)
        card_pages(look)
        floor_pages(look)
        briefing_pages(floor, look)
    assert look.wrong == {}
    granted = floor.entries("qualification_granted")
    assert len(granted) == 7


def learner_pages(look: Look) -> None:
    look.touch(".home .tile:has-text('Қожахметова')", "learner", ".master.learner")
    look.touch(".learner .tile >> nth=0", "level", ".master.judging")
    look.touch(".notes label >> nth=1", "level-noted", ".notes :checked >> xpath=..")
    look.touch("button.level >> nth=2", "signed", ".note.done")
    look.touch(".tabs button >> nth=1", "today", ".line")
    look.touch(".line .touch", "today-ended", ".note.done")
    look.home()


def card_pages(look: Look) -> None:
    look.touch(".home .tile:has(.icon-card)", "card-letters", ".letters")
    look.touch(".letters button:has-text('<')", "card-names", ".card .tile")
    look.touch(".card .tile", "card-how", ".ask")
    look.touch(".ask .go", "hours", ".master.hours")
    look.touch(".ask button >> nth=2", "hours-entered", ".master.home")


def floor_pages(look: Look) -> None:
    look.touch(".home .tile:has(.icon-list)", "sessions", ".master:not(.home)")
    look.home()
    look.touch(".home .tile:has(.icon-locked)", "machines", ".tile:has(.icon-unlocked)")
    look.touch(".tile:has(.icon-unlocked) >> nth=0", "machines-locked", ".tile.is-refused")
    look.touch(".tile.is-refused", "machines-back", ".note.done:not(:has-text('✗'))")
    look.home()


def briefing_pages(floor: Floor, look: Look) -> None:
    look.touch(".home .tile:has(.icon-shield)", "briefings", ".tile:has-text('cnc')")
    look.touch(".tile:has-text('cnc')", "validity", ".tile.last-time")
    look.touch(".tile.last-time", "roll-empty", ".roll")
    language = look.page.get_attribute(".roll", "lang")
    assert words(language).gettext("Tap your card") in look.page.inner_text(".roll")
    for number, person in enumerate(("p2", "p4", "p5", "p6", "p7", "p9", "p10"), 1):
        floor.tap(person)
        look.page.wait_for_selector(f".roll .count:has-text('{number}')")
    look.see("roll", ".roll .pager")
    floor.readers["mill-1"].tap("1234567890")
    look.see("roll-unknown", ".heard.no")
    look.touch(".tabs .go", "roll-done", ".master.home .note.done")
