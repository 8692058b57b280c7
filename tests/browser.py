"""The browser that pages are walked with: Debian's Chromium, wherever it was installed or unpacked."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium(playwright: Playwright) -> Browser:
    """A running Chromium; the test fails with the remedy where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing; run ./test, or install it with: apt-get install chromium")
    return playwright.chromium.launch(executable_path=program, args=FLAGS)


def complaints_of(page: Page, *harmless: str) -> list[str]:
    """What the page will say on its console in error or warning, but for messages with a `harmless` part.

    A touch calls off the question how things stand that is under way; htmx tells of that in two lines, and it is no
    fault of the page.
    """
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or any(part in message.text for part in harmless):
            return
        if message.text.startswith("htmx:sendAbort") and said[-1:] and said[-1].startswith("htmx:afterRequest"):
            said.pop()
        else:
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said
