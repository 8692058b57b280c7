"""The browser that pages are walked with: Debian's Chromium, wherever it was installed or unpacked."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import Browser, Playwright

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
