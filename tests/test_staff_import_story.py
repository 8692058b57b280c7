"""A group with two bad rows: handed in, both seen, mended, imported; and the first of them taps her card."""

from __future__ import annotations

import os
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Browser, Page, expect
from staff_fixtures import HASH, PASSWORD

from kiosk.commands import AddUser
from tests.browser import complaints_of
from tests.eyes import AXE, PICTURES, RUN_AXE, WCAG
from tests.kiosk_fixtures import of_type, running_kiosk
from tests.patience import wait_for
from tests.workbooks import saved

pytestmark = pytest.mark.browser

HEADING = ("person_id", "role", "surname", "given", "group", "language", "programme", "enterprise", "badges")
COUNT = 25
BAD = {9: ("birth", "31.02.2008"), 17: ("badge", 1234567890)}


def group_of_25(folder: Path, mended: bool) -> Path:
    """The group as the office typed it in a spreadsheet program: a day that is none, and a card made a number."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([*HEADING, "birth_date"])
    for number in range(1, COUNT + 1):
        badge = f"AA000000{number:02}"
        row = [
            f"g{number}",
            "apprentice",
            "Сериков",
            f"Әлихан {number}",
            "CNC-26",
            "kk",
            "cnc",
            "ent-steel",
            badge,
            "14.03.2008",
        ]
        if number in BAD and not mended:
            what, value = BAD[number]
            row[9 if what == "birth" else 8] = value  # type: ignore[call-overload]
        sheet.append(row)
    path = folder / ("mended.xlsx" if mended else "group.xlsx")
    path.write_bytes(saved(book))
    return path


def looked_at(page: Page, name: str) -> None:
    """Nothing is too wide for a small screen, axe-core finds nothing; the picture is kept where a folder is named."""
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE, list(WCAG)) == []
    if os.environ.get(PICTURES):
        (Path(os.environ[PICTURES]) / f"import-{name}.png").write_bytes(page.screenshot(full_page=True))
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_group_with_two_bad_rows_is_handed_in_mended_and_imported(tmp_path: Path, chromium: Browser) -> None:
    with running_kiosk(tmp_path) as (kiosk, readers):
        kiosk.submit(AddUser("office", "lead", HASH))
        page = chromium.new_page(viewport={"width": 1280, "height": 800}, locale="ru-RU")
        complaints = complaints_of(page, "422")
        page.goto(f"{kiosk.addresses[1]}/people/import")
        page.fill('input[name="name"]', "office")
        page.fill('input[name="password"]', PASSWORD)
        page.press('input[name="password"]', "Enter")
        expect(page.locator("h1")).to_have_text("Импорт людей")

        page.set_input_files('input[name="file"]', group_of_25(tmp_path, mended=False))
        page.get_by_role("button", name="Проверить файл").click()
        lines = page.locator(".problems tbody tr")
        expect(lines).to_have_count(2)
        expect(lines.nth(0)).to_contain_text("10")
        expect(lines.nth(0)).to_contain_text("«31.02.2008» — не день.")
        expect(lines.nth(1)).to_contain_text("18")
        expect(lines.nth(1)).to_contain_text("превратила карту «1234567890» в число")
        looked_at(page, "two-bad-rows")

        page.set_input_files('input[name="file"]', group_of_25(tmp_path, mended=True))
        page.get_by_role("button", name="Проверить исправленный файл").click()
        expect(page.locator("h1")).to_have_text("Что сделает этот файл")
        assert len(of_type(tmp_path / "data", "person_recorded")) == 3, "nothing is written before the yes"
        looked_at(page, "preview")

        page.get_by_role("button", name="Импортировать всех: 25").click()
        expect(page.locator(".flash.done")).to_contain_text("Импортировано 25 человек.")
        assert len(of_type(tmp_path / "data", "person_recorded")) == 3 + COUNT

        readers["mill-1"].tap("AA00000001")
        wait_for(lambda: of_type(tmp_path / "data", "session_opened"), what="her session")
        page.close()
        assert complaints == []
