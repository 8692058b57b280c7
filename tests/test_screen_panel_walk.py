"""Every page of the instructor's panel, the pairing page, a lost connection, judged as the apprentice's screen is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_screen_walk import ONCE
from test_web_panel_fits import Look, briefing_pages, card_pages, floor_pages, learner_pages
from web_fixtures import a_world

from kiosk.web.apps import create_kiosk_app
from kiosk.web.feed import Feed
from kiosk.web.server import Server
from lab_config.model import LANGUAGES
from tests.eyes import SIZES, Eyes, a_watched_page
from tests.panel_fixtures import MASTER_OF, NEW_BADGE, PIN, a_floor, type_pin

pytestmark = pytest.mark.browser


class Judge(Look):
    """Walks as `Look` does and judges every page; the roll call speaks to everybody in the room."""

    def __init__(self, page: Page, eyes: Eyes) -> None:
        super().__init__(page, "")
        self.eyes = eyes

    def see(self, name: str, selector: str) -> None:
        """A page is there; what is wrong with it?"""
        self.page.wait_for_selector(selector)
        self.eyes.look(f"panel-{name}", alone=not name.startswith("roll"))


@pytest.mark.parametrize(("size", "language"), ONCE)
def test_every_page_of_the_panel_is_for_everybody(tmp_path: Path, chromium: Browser, size: str, language: str) -> None:
    with a_floor(tmp_path) as floor, a_watched_page(chromium, size, language) as page:
        page.goto(floor.address)
        page.wait_for_selector("#lost", state="hidden")
        floor.readers["lathe-1"].tap(NEW_BADGE)
        page.wait_for_selector(".answer.no")
        floor.readers["mill-1"].tap(NEW_BADGE)
        floor.tap("p4")
        page.wait_for_selector(".answer.in")
        floor.tap(MASTER_OF[language])
        judge = Judge(page, Eyes(page, floor.kiosk.lab, size, language))
        judge.see("pin", ".pad")
        type_pin(page, "1111")
        judge.see("pin-wrong", ".note.refused")
        type_pin(page, PIN)
        judge.see("home", ".master.home")
        learner_pages(judge)
        card_pages(judge)
        floor_pages(judge)
        briefing_pages(floor, judge)
        judge.touch(".home .tile:has(.icon-screen)", "other-screen", ".master:not(.home)")
    assert judge.eyes.wrong == {}


@pytest.mark.parametrize("language", ["kk", *(pytest.param(each, marks=pytest.mark.slow) for each in ("ru", "en"))])
def test_a_lost_connection_is_for_everybody(
    tmp_path: Path, chromium: Browser, free_port: Callable[[], int], language: str
) -> None:
    languages = (language, *(each for each in LANGUAGES if each != language))
    with a_world(tmp_path, languages=languages) as world:
        services = world.services()
        feed = Feed(services)
        server = Server(f"127.0.0.1:{free_port()}", create_kiosk_app(services, feed), feed)
        feed.start()
        server.start()
        # Not the watched page: that the stream is gone is what its console is to say.
        context = chromium.new_context(viewport=dict(zip(("width", "height"), SIZES["800x480"], strict=True)))
        page = context.new_page()
        page.goto(server.address)
        page.wait_for_selector("#lost", state="hidden")
        server.stop()
        feed.stop()
        page.wait_for_selector("#lost:visible")
        eyes = Eyes(page, world.lab, "800x480", language)
        eyes.look("lost", alone=False)
        context.close()
    assert eyes.wrong == {}


@pytest.mark.parametrize("size", ["800x480", *(pytest.param(each, marks=pytest.mark.slow) for each in list(SIZES)[1:])])
def test_the_page_of_a_screen_that_is_not_paired_is_for_everybody(tmp_path: Path, chromium: Browser, size: str) -> None:
    with a_world(tmp_path) as world, a_watched_page(chromium, size, "kk") as page:
        client = create_kiosk_app(world.services()).test_client()
        asked = client.get("/", environ_base={"REMOTE_ADDR": "192.168.10.7"})
        kiosk = Server("127.0.0.1:0", create_kiosk_app(world.services(), feed := Feed(world.services())), feed)
        feed.start()
        kiosk.start()
        try:
            page.route(f"{kiosk.address}/", lambda route: route.fulfill(body=asked.text, content_type="text/html"))
            page.goto(kiosk.address)
            eyes = Eyes(page, world.lab, size, "kk")
            eyes.look("pair", alone=False)
        finally:
            kiosk.stop()
            feed.stop()
    assert eyes.wrong == {}
