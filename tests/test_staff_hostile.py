"""Names made to break a page, a query, a spreadsheet or the order of letters: shown as they are, and harmless."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Browser, Dialog
from test_staff_walk import Walk
from test_web_browser import a_staff_side
from web_fixtures import PASSWORD, World, a_review_day, a_world, ref

from kiosk.store import people
from kiosk.store.schema import write
from tests.staff_eyes import WIDTHS, StaffEyes, pattern

pytestmark = pytest.mark.browser

NAMES = (
    "'; DROP TABLE people; --",
    "<img src=x onerror=alert(1)>\"'",
    "{{7*7}}${7*7}%(num)s%s",
    "\N{RIGHT-TO-LEFT OVERRIDE}вокиреС",
    '=HYPERLINK("http://example.com";"x")',
    "＝1+1",
    "@SUM(A1)",
    "-2+3|cmd",
    "Ә" * 200,
    "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH SPACE}Ким",
    "👩🏽‍🏭 Ғ Қ Ң Ө Ұ Ү Һ І",
)
"""After reliability.md, rows 28 and 29."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("hostile")) as made:
        sessions = a_review_day(made)
        with made.lock, write(made.connection):
            for number, name in enumerate(NAMES):
                person = f"p{number + 1}"
                row = people.PersonRow(
                    f"h{number}", "apprentice", name, name, name, group=name[:60], programme="cnc-operator",
                    enterprise=name[:60], personnel_number=name[:60], contract=name[:60], birth_date="2010-01-01",
                )  # fmt: skip
                if number < 5:
                    people.update_person(made.connection, ref(person), row)
                else:
                    people.insert_person(made.connection, ref(person), row)
            key = people.store_text(made.connection, NAMES[1], b"salt")
            made.connection.execute(
                "UPDATE sessions SET decided_text_hash = ? WHERE session = ?", (key, sessions["decided"])
            )
        yield made


@pytest.mark.parametrize("width", ["360", pytest.param("1920", marks=pytest.mark.slow)])
@pytest.mark.timeout(660)
def test_a_hostile_name_is_text_on_every_page_and_in_every_file(world: World, chromium: Browser, width: str) -> None:
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    dialogs: list[str] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    with a_staff_side(world) as home:
        context = chromium.new_context(viewport=size, locale="ru")  # type: ignore[arg-type]
        page = context.new_page()
        walk = Walk(page, home)
        page.on("dialog", refuse)
        page.on("pageerror", lambda error: walk.complaints.append(f"{pattern(page.url)}: {error}"))
        page.on(
            "console",
            lambda said: walk.complaints.append(f"{said.text} {said.location}") if said.type == "error" else None,
        )
        page.goto(home)
        page.fill("input[name=name]", "lead")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_selector("form.who")
        eyes = StaffEyes(page, world.lab, width, "ru", "lead")
        shown = set()
        for kind in walk.pages():
            text = page.inner_text("body")
            shown |= {name for name in NAMES if name in text}
            assert "49" not in re.findall(r"\b49\b", text) or "{{7*7}}" in text
            eyes.look(kind)
        for address in walk.files.values():
            answer = context.request.get(address)
            if answer.status == 200:
                assert not formulas(answer.headers["content-type"], answer.body()), address
        context.close()
    assert (dialogs, eyes.wrong, walk.complaints) == ([], {}, [])
    assert set(NAMES[:3]) <= shown
    assert [each.surname for each in people.people(world.connection) if each.person_id == "h0"] == [NAMES[0]]


def formulas(kind: str, data: bytes) -> list[str]:
    """Cells that a spreadsheet program would compute."""
    if "spreadsheetml" in kind:
        book = load_workbook(io.BytesIO(data))
        return [str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    if "csv" in kind:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig")), delimiter=";")
        return [cell for row in rows for cell in row if re.match(r"[=+\-@\t\r＝＋－＠]", cell) and not number(cell)]
    return []


def number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+([.,:]\d+)?", cell) is not None


def test_what_would_be_computed_is_found() -> None:
    assert formulas("text/csv", b"a;=1+1;-3,5\r\n") == ["=1+1"]
