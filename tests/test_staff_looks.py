"""What the office's pages look like where a picture tells little: on paper, folded, and without colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from people_fixtures import one
from playwright.sync_api import Page, expect, sync_playwright
from web_fixtures import PASSWORD, World, a_review_day, a_world

from kiosk.web.apps import create_staff_app
from kiosk.web.server import Server
from tests.browser import chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(Path(tmp_path_factory.mktemp("looks"))) as made:
        a_review_day(made)
        yield made


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    """An instructor's, on the review; addresses are relative to the staff side."""
    server = Server("127.0.0.1:0", create_staff_app(world.services()))
    server.start()
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        page = browser.new_page(base_url=server.address, locale="en")
        page.goto("/login")
        page.fill("[name=name]", "bauyrzhan")
        page.fill("[name=password]", PASSWORD)
        page.click("main [type=submit]")
        page.wait_for_url("**/review")
        yield page
        browser.close()
    server.stop()


def test_paper_has_what_the_page_lists_and_none_of_its_buttons(page: Page) -> None:
    page.emulate_media(media="print")
    page.goto("/review")
    assert page.locator("article.session:visible").count() == page.locator("article.session").count() > 0
    assert page.locator("#clean ~ form tbody tr:visible").count() > 0
    assert page.locator("button:visible, summary:visible, nav:visible").count() == 0
    page.emulate_media(media="screen")


def test_a_link_to_a_folded_part_opens_it(page: Page) -> None:
    page.goto(one("p3"))
    page.evaluate("document.querySelectorAll('details.fold').forEach((each) => { each.open = false; })")
    page.click("nav.within a[href='#agreements']")
    expect(page.locator("details#agreements")).to_have_attribute("open", "")
    page.goto("/review")
    page.goto(f"{one('p3')}#badges")
    expect(page.locator("details#badges")).to_have_attribute("open", "")


def test_states_on_the_strip_differ_by_a_pattern_too(page: Page) -> None:
    page.goto("/review")
    stretches = page.locator(".strip .picture rect:not(.badge, .others)")
    fills = stretches.evaluate_all("(all) => all.map((each) => getComputedStyle(each).fill)")
    assert all("url" in each for each in fills)
    assert len(set(fills)) > 1
