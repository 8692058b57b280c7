"""Every page of the staff side that a role can reach by its links, in every language and at every width."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request
from test_main_job import DemoLab

from kiosk.web.access import MENU, ROLES
from lab_config.load import load
from lab_config.model import LANGUAGES, Lab
from tests.staff_eyes import WIDTHS, StaffEyes, pattern

pytestmark = pytest.mark.browser

QUICK = (("instructor", "ru", "360"), ("lead", "kk", "1024"), ("admin", "en", "1920"))
"""Each language and width once, and the roles that change something; all of them in ./test --all."""
EVERYWHERE = [
    pytest.param(role, language, width, marks=() if (role, language, width) in QUICK else pytest.mark.slow)
    for role in ROLES
    for language in LANGUAGES
    for width in WIDTHS
]
PAGES_AT_MOST = 80


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoLab]:
    lab = DemoLab(tmp_path_factory.mktemp("walk") / "data", speed=1)
    yield lab
    lab.process.send_signal(signal.SIGINT)
    lab.process.wait(40)
    lab.output.close()


@pytest.fixture(scope="module")
def lab() -> Lab:
    return load(Path(__file__).parent.parent / "lab_config" / "demo")


@dataclass
class Walk:
    """One browser, signed in, that goes wherever the pages lead."""

    page: Page
    home: str
    complaints: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    """Pattern to address."""
    files: dict[str, str] = field(default_factory=dict)

    def pages(self) -> Iterator[str]:
        """Opens one page of each kind that is linked from somewhere; yields its pattern."""
        waiting = [urljoin(self.home, "/")]
        while waiting and len(self.seen) < PAGES_AT_MOST:
            address = waiting.pop(0)
            kind = pattern(address)
            if kind in self.seen or kind in self.files:
                continue
            answer = self.page.context.request.get(address)
            if answer.status != 200:
                self.complaints.append(f"{kind} is offered and answers {answer.status}")
                self.files[kind] = address
                continue
            if "text/html" not in answer.headers["content-type"]:
                self.files[kind] = address
                continue
            self.seen[kind] = address
            if pattern(answer.url) != kind:  # sent on: that page is looked at once
                waiting.insert(0, answer.url)
                continue
            self.page.goto(address)
            waiting += self._links()
            yield kind

    def _links(self) -> list[str]:
        hrefs = self.page.evaluate("() => [...document.querySelectorAll('a[href]')].map((each) => each.href)")
        return [each.partition("#")[0] for each in hrefs if self._ours(each)]

    def _ours(self, address: str) -> bool:
        return urlsplit(address).netloc == urlsplit(self.home).netloc and "/language/" not in address


@contextmanager
def walking(demo: DemoLab, chromium: Browser, role: str, language: str, width: str) -> Iterator[Walk]:
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    context = chromium.new_context(viewport=size, locale=language)  # type: ignore[arg-type]
    page = context.new_page()
    home = demo.where["staff"]
    walk = Walk(page, home)

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            walk.complaints.append(f"{pattern(page.url)}: console: {message.text}")

    def note(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(home).netloc and not request.url.startswith("data:"):
            walk.complaints.append(f"{pattern(page.url)}: asks elsewhere: {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: walk.complaints.append(f"{pattern(page.url)}: {error}"))
    page.on("request", note)
    account = next(each for each in demo.where["accounts"] if each["role"] == role)
    page.goto(home)
    page.fill("input[name=name]", account["user"])
    page.fill("input[name=password]", account["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("form.who")
    try:
        yield walk
    finally:
        context.close()


@pytest.mark.parametrize(("role", "language", "width"), EVERYWHERE)
@pytest.mark.timeout(660)
def test_every_page_is_for_everybody(
    demo: DemoLab, chromium: Browser, lab: Lab, role: str, language: str, width: str
) -> None:
    with walking(demo, chromium, role, language, width) as walk:
        eyes = StaffEyes(walk.page, lab, width, language, role)
        for kind in walk.pages():
            assert walk.page.get_attribute("html", "lang") == language
            eyes.look(kind)
    assert (eyes.wrong, walk.complaints) == ({}, [])
    reached = {re.match(r"/[a-z]*", kind).group() for kind in walk.seen}  # type: ignore[union-attr]
    assert {"/review", "/people", "/reports"} <= reached


@pytest.mark.parametrize(
    ("role", "width"),
    [
        ("lead", "1024"),
        pytest.param("admin", "360", marks=pytest.mark.slow),
        pytest.param("instructor", "1920", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(660)
def test_everything_can_be_reached_with_the_keyboard_alone(
    demo: DemoLab, chromium: Browser, lab: Lab, role: str, width: str
) -> None:
    with walking(demo, chromium, role, "ru", width) as walk:
        eyes = StaffEyes(walk.page, lab, width, "ru", role)
        for kind in walk.pages():
            eyes.tab_through(kind)
    assert (eyes.wrong, walk.complaints) == ({}, [])


def test_the_menu_holds_what_the_contract_names() -> None:
    rooms = {each.endpoint.partition(".")[0] for each in MENU}
    assert {"review", "board", "people", "briefings", "machines", "programmes", "sync", "reports", "audit"} <= rooms
    assert "settings" in rooms
