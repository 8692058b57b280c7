"""The screen and the review pages in a real Chromium: what a person sees, at the sizes screens have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from web_fixtures import HOUR, MINUTE, NOON, PASSWORD, World, a_busy_morning, a_review_day, a_world

from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.web.feed import Feed
from kiosk.web.server import Server
from kiosk.web.services import KioskStatus, ReaderStatus, SourceStatus
from kiosk.web.staff_door import StaffDoor
from tests.browser import complaints_of

pytestmark = pytest.mark.browser

SIZES = {"800x480": (800, 480), "1024x600": (1024, 600), "1920x1080": (1920, 1080)}
ARTEFACTS = Path(__file__).parent / "artefacts"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@contextmanager
def a_kiosk(world: World, demo: bool = False) -> Iterator[str]:
    services = world.services(demo)
    world.feed = Feed(services)
    server = Server("127.0.0.1:0", create_kiosk_app(services, world.feed), world.feed)
    world.feed.start()
    server.start()
    try:
        yield server.address
    finally:
        server.stop()
        world.feed.stop()
        world.feed = None


@contextmanager
def a_staff_side(world: World) -> Iterator[str]:
    services = world.services()
    feed = Feed(services)
    app = create_staff_app(services)
    server = Server("127.0.0.1:0", app, feed, door=StaffDoor(app).admit)
    feed.start()
    server.start()
    try:
        yield server.address
    finally:
        feed.stop()
        server.stop()


@contextmanager
def a_page(chromium: Browser, size: tuple[int, int], language: str = "en") -> Iterator[Page]:
    """A page that fails the test when anything was said on its console."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, locale=language)
    page = context.new_page()
    complaints = complaints_of(page)
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def shoot(page: Page, name: str, whole: bool = False) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.png").write_bytes(page.screenshot(full_page=whole, animations="disabled"))


OVERFLOWING = """() => {
  const root = document.documentElement;
  const wide = root.scrollWidth > root.clientWidth || root.scrollHeight > root.clientHeight;
  const cut = [...document.querySelectorAll('.machine, .answer .said, .answer, .answer .totals, .foot, .top')]
    .filter((each) => each.offsetParent !== null || each.classList.contains('answer'))
    .filter((each) => each.scrollHeight > each.clientHeight + 1 || each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.className + ' ' + (each.dataset.machine ?? ''));
  return [...(wide ? ['the page'] : []), ...cut];
}"""


@pytest.mark.parametrize("size", SIZES)
def test_ten_machines_fit_the_screen_without_scrolling(world: World, chromium: Browser, size: str) -> None:
    a_busy_morning(world)
    world.tap_in("p5", "mill-1", NOON + 140 * MINUTE, role="observer")
    lost = {each.id: ReaderStatus(each.id != "weld-2") for each in world.lab.readers}
    world.status = replace(world.status, readers=lost)
    with a_kiosk(world) as address, a_page(chromium, SIZES[size]) as page:
        page.goto(address)
        page.wait_for_function("document.querySelectorAll('.machine').length === 10")
        shoot(page, f"board-{size}")
        assert page.evaluate(OVERFLOWING) == []


def test_the_demo_board_with_every_mark_fits_the_smallest_screen(tmp_path: Path, chromium: Browser) -> None:
    with a_world(tmp_path, demo=True) as world:
        a_busy_morning(world)
        world.status = KioskStatus(recording=True, broker=False, clock_synced=False)
        with a_kiosk(world, demo=True) as address, a_page(chromium, SIZES["800x480"]) as page:
            page.goto(address)
            page.wait_for_selector(".mark")
            shoot(page, "board-demo-800x480")
            assert page.evaluate(OVERFLOWING) == []


def answers(world: World) -> dict[str, tuple[object, str]]:
    """Every kind of answer: how it comes about, and a word that must be on the screen."""
    world.worked("p2", "mill-1", NOON - 2 * HOUR, NOON - HOUR)
    session = world.worked("p2", "mill-1", NOON, NOON + 42 * MINUTE, reason="handover")
    return {
        "in": (lambda: world.tap_in("p1", "mill-1"), "Жұмыс басталды"),
        "still-on": (lambda: world.told("still_on", "p1", "mill-1", world.open_by_person["p1"]), "жүріп жатыр"),
        "out": (lambda: world.tap_out("p1", world.now_ms + 95 * MINUTE), "Жұмыс аяқталды"),
        "observer": (
            lambda: world.tap_in("p4", "robot-1", role="observer", missing=["briefing:cnc", "qualification:robot"]),
            "бақылаушысыз",
        ),
        "handed-over": (lambda: world.told("handed_over", "p2", "mill-1", session), "12:42"),
        "unknown-badge": (lambda: world.refused("unknown_badge"), "Unknown card"),
        "not-qualified": (
            lambda: world.refused("not_qualified", "p5", "robot-1", missing=["briefing:cnc", "qualification:robot"]),
            "ещё не выдано",
        ),
        "machine-full": (lambda: world.refused("machine_full", "p3", "weld-1"), "Wait until"),
        "busy-elsewhere": (lambda: world.refused("busy_elsewhere", "p4", "robot-1"), "басқа станокта"),
    }


@pytest.mark.parametrize("size", SIZES)
def test_every_answer_fills_the_screen_and_fits_it(world: World, chromium: Browser, size: str) -> None:
    a_busy_morning(world)
    world.open_by_person.pop("p1")
    acts = answers(world)
    with a_kiosk(world) as address, a_page(chromium, SIZES[size]) as page:
        page.goto(address)
        page.wait_for_function("!document.getElementById('lost') || document.getElementById('lost').hidden")
        for name, (act, words) in acts.items():
            act()  # type: ignore[operator]
            page.wait_for_selector(f".answer:visible :text('{words}')")
            shoot(page, f"answer-{name}-{size}")
            assert page.evaluate(OVERFLOWING) == [], name


def test_the_answer_goes_by_itself_and_the_board_shows_who_is_on(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:
        page.goto(address)
        world.state("mill-1", "running")
        world.tap_in("p1", "mill-1")
        page.wait_for_selector(".answer.in")
        page.wait_for_selector("[data-machine=mill-1] .who:text('Сериков Ә.')", state="attached")
        page.wait_for_selector(".answer", state="hidden", timeout=40_000)


def test_what_is_not_recorded_is_said_over_everything(world: World, chromium: Browser) -> None:
    a_busy_morning(world)
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:
        page.goto(address)
        page.wait_for_selector("#alarm", state="hidden")
        world.status = KioskStatus(recording=False, reason="The disk is full: free some space.")
        page.wait_for_selector("#alarm:visible")
        assert "The disk is full" in page.inner_text("#why")
        shoot(page, "not-recording-1024x600")
        world.status = KioskStatus(recording=True)
        page.wait_for_selector("#alarm", state="hidden")


def test_a_lost_connection_is_shown_and_heals_by_itself(
    world: World, chromium: Browser, free_port: Callable[[], int]
) -> None:
    services = world.services()
    feed = Feed(services)
    listen = f"127.0.0.1:{free_port()}"
    server = Server(listen, create_kiosk_app(services, feed), feed)
    feed.start()
    server.start()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(server.address)
    page.wait_for_selector("#lost", state="hidden")
    server.stop()
    feed.stop()
    page.wait_for_selector("#lost:visible")
    feed = Feed(services)
    again = Server(listen, create_kiosk_app(services, feed), feed)
    feed.start()
    again.start()
    page.wait_for_selector("#lost", state="hidden", timeout=40_000)
    context.close()
    again.stop()
    feed.stop()


def test_a_visitor_of_the_demo_taps_a_badge(tmp_path: Path, chromium: Browser) -> None:
    with a_world(tmp_path, demo=True) as world:
        a_busy_morning(world)
        with a_kiosk(world, demo=True) as address, a_page(chromium, SIZES["1024x600"], "ru") as page:
            page.goto(address)
            page.click("#try")
            page.click("label:has-text('Ким В.')")
            page.click("label:has-text('Токарный станок с ЧПУ')")
            shoot(page, "demo-panel-1024x600")
            page.click("#panel button[type=submit]")
            page.wait_for_selector("#panel", state="hidden")
            assert world.taps == [("lathe-1", "67003B51C7")]


def sign_in(page: Page, address: str, name: str = "bauyrzhan") -> None:
    page.goto(f"{address}/login")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/review")


@pytest.mark.parametrize(("language", "width"), [("kk", 1280), ("ru", 1280), ("en", 1280), ("ru", 360), ("en", 1920)])
def test_the_review_fits_every_width(world: World, chromium: Browser, language: str, width: int) -> None:
    a_review_day(world)
    with a_staff_side(world) as address, a_page(chromium, (width, 900), language) as page:
        sign_in(page, address)
        shoot(page, f"review-{language}-{width}", whole=True)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_an_adjustment_is_made_with_a_reason(world: World, chromium: Browser) -> None:
    session = a_review_day(world)["idle"]
    with a_staff_side(world) as address, a_page(chromium, (1280, 900)) as page:
        sign_in(page, address)
        card = page.locator(f"#s{session}")
        card.locator("summary", has_text="Adjust").click()
        card.locator("[name=credited]").fill("1:30")
        card.locator("details[open] [name=reason]").select_option("setup_counts")
        card.locator("details[open] [name=text]").fill("Тіс жонғышты баптады")
        shoot(page, "review-adjust-1280")
        card.locator("details[open] button").click()
        page.wait_for_selector("#undo")
        command = world.commands[-1]
        assert (command.session, command.credited_ms) == (session, 90 * MINUTE)  # type: ignore[union-attr]


def test_the_sign_in_page_is_plain(world: World, chromium: Browser) -> None:
    with a_staff_side(world) as address, a_page(chromium, (1024, 700), "kk") as page:
        page.goto(address)
        shoot(page, "login-1024")
        assert page.url.endswith(("/login?next=%2Freview", "/login?next=/review"))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_the_page_of_machines_fits_in_every_language(
    chromium: Browser, world: World, width: int, language: str
) -> None:
    world.status = KioskStatus(
        recording=True,
        broker=True,
        readers={
            "mill-1": ReaderStatus(True, "", 41),
            "lathe-1": ReaderStatus(
                False, "/dev/x is not there; plug the reader in", 12, {"checksum": 3, "framing": 1}
            ),
        },
        machines_heard={"mill-1": NOON, "lathe-1": NOON - 30 * HOUR},
        sources={
            "mill-1": SourceStatus(10_000, {"reported": 2_000, "ignored": 4}),
            "lathe-1": SourceStatus(300_000, {"reported": 3, "unmapped": 2}, "AUFWAERMPHASE_OHNE_ENDE_" * 2),
        },
    )
    a_busy_morning(world)
    with a_staff_side(world) as address, a_page(chromium, (width, 900), language) as page:
        sign_in(page, address)
        page.goto(f"{address}/machines")
        wide = page.evaluate("document.documentElement.scrollWidth")
        shoot(page, f"machines-{language}-{width}", whole=True)
    assert wide <= width
