"""Typing a password in a real browser: it can be shown, pasted, and is hidden again before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from web_fixtures import PASSWORD, World, a_world

from kiosk.web.apps import create_staff_app
from kiosk.web.server import Server
from tests.browser import chromium


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def address(world: World) -> Iterator[str]:
    server = Server("127.0.0.1:0", create_staff_app(world.services()))
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = chromium(playwright)
        yield found
        found.close()


def test_each_password_can_be_shown_and_is_hidden_again_when_it_is_sent(browser: Browser, address: str) -> None:
    page = browser.new_page(locale="ru-RU")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}/login")
    page.fill("[name=name]", "bauyrzhan")
    page.fill("[name=password]", PASSWORD)
    page.click("[data-reveal=password]")
    assert page.get_attribute("[name=password]", "type") == "text"
    page.evaluate("document.forms[0].addEventListener('submit', () => { window.name = window.password.type; })")
    page.click("main [type=submit]")
    page.wait_for_url("**/review")
    assert page.evaluate("window.name") == "password"
    for path in ("/settings", "/password"):
        page.goto(address + path)
        fields = page.locator("main [type=password]").count()
        assert fields >= 2
        assert page.locator("main [data-reveal]:visible").count() == fields
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
        assert len(ids) == len(set(ids))
    assert faults == []


def test_without_a_script_the_same_form_signs_in(browser: Browser, address: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/login?next=/settings")
    assert page.locator("[data-reveal]:visible").count() == 0
    page.fill("[name=name]", "bauyrzhan")
    page.fill("[name=password]", PASSWORD)
    page.click("main [type=submit]")
    page.wait_for_url("**/settings")
