"""A correction: "this is wrong" at the kiosk, an instructor's decision, the next revision at the enterprise."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from test_main_job import DemoLab, seconds_of_workshop, sessions, sign_in

from tests.patience import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoLab]:
    lab = DemoLab(tmp_path_factory.mktemp("correction") / "data")
    yield lab
    lab.process.send_signal(signal.SIGINT)
    lab.process.wait(40)
    lab.output.close()


def records_of(demo: DemoLab, session: int) -> list[dict[str, Any]]:
    """What the hub holds about a session, the newest revision last."""
    found = [each["entry"] for each in demo.records("ent-steel") if each["entry"]["session"] == session]
    return sorted((each["record"] for each in found), key=lambda record: int(record["revision"]))


def touch(page: Page, where: str) -> None:
    """With a finger."""
    page.dispatch_event(where, "pointerdown")
    page.click(where)


def test_what_an_apprentice_says_is_wrong_reaches_the_enterprise_as_the_next_revision(
    demo: DemoLab, chromium: Browser
) -> None:
    screen = chromium.new_page(viewport={"width": 1024, "height": 600})
    screen.goto(demo.where["kiosk"])
    screen.wait_for_selector("#lost", state="hidden")
    staff = chromium.new_page(viewport={"width": 1280, "height": 800}, locale="ru-RU")

    demo.tap("mill-1", "p1")
    session = wait_for(lambda: sessions(demo, "p1", "mill-1", "end_ms IS NULL"), what="the session")[0]["session"]
    screen.wait_for_timeout(seconds_of_workshop(4) * 1000)
    demo.tap("mill-1", "p1")
    done = f"session = {session} AND end_ms IS NOT NULL"
    worked = wait_for(lambda: sessions(demo, "p1", "mill-1", done), what="its end")[0]
    assert worked["presence_ms"] >= 3 * 60_000

    sign_in(staff, demo)
    staff.goto(f"{demo.where['staff']}/review/{session}")
    staff.locator("button.approve").click()
    first = wait_for(lambda: records_of(demo, session), 30, "the record")[0]
    assert (first["revision"], first["supersedes"]) == (1, None)

    screen.wait_for_timeout(seconds_of_workshop(1) * 1000)
    demo.tap("mill-1", "p1")
    screen.wait_for_selector(".answer.in")
    screen.wait_for_timeout(seconds_of_workshop(1) * 1000)
    demo.tap("mill-1", "p1")
    screen.wait_for_selector(".answer.out .touch")
    touch(screen, ".answer.out .touch")
    screen.wait_for_selector(".me-hours li")
    touch(screen, ".tabs .touch:nth-child(3)")
    screen.wait_for_selector(".me-sessions li")
    touch(screen, f'.row[hx-get$="/sessions/{session}"]')
    screen.wait_for_selector(".wrong .tile")
    said = screen.inner_text(".wrong .tile >> nth=0").strip()
    touch(screen, ".wrong .tile >> nth=0")
    screen.wait_for_selector(".sheet.said.yes")
    screen.close()

    staff.goto(f"{demo.where['staff']}/review")
    card = staff.locator(f"article#s{session}")
    expect(card.locator(".question")).to_contain_text(said)
    card.locator("details.adjust summary").click()
    card.locator('details.adjust input[name="credited"]').fill("0:02")
    card.locator('details.adjust select[name="reason"]').select_option("forgot_tap")
    card.locator('details.adjust button[value="adjusted"]').click()
    expect(staff.locator("#undo")).to_be_visible()

    both = wait_for(lambda: found if len(found := records_of(demo, session)) == 2 else None, 30, "the second revision")
    second = both[-1]
    assert (second["revision"], second["supersedes"], second["id"]) == (2, 1, first["id"])
    assert (second["credited_ms"], second["review"]["decision"]) == (2 * 60_000, "adjusted")

    staff.goto(f"{demo.where['staff']}/review/{session}")
    history = staff.locator(".history")
    expect(history.locator("li").first).to_contain_text("редакция 2")
    expect(history).to_contain_text(said)
    expect(history).to_contain_text("заменяет прежнее решение")
    staff.close()
