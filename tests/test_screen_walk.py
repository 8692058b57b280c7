"""Every picture of an apprentice's screen, judged by axe-core and our own rules: three languages, three sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_web_apprentice import will_stand_idle
from test_web_browser import a_kiosk
from test_web_visits import PERSON_OF, a_programme, a_record, choices, ready, touched
from web_fixtures import HOUR, MINUTE, NOON, World, a_busy_morning, a_world

from kiosk.commands import AskChoices
from kiosk.store import views
from kiosk.store.schema import write
from kiosk.web.services import KioskStatus, ReaderStatus
from tests.eyes import SIZES, Eyes, a_watched_page

pytestmark = pytest.mark.browser
Act = Callable[[], object]

REPRESENTATIVE = (("800x480", "ru"), ("1024x600", "kk"), ("1920x1080", "en"))
"""Each size and each language once; the rest is in ./test --all."""
EVERYWHERE = [
    pytest.param(size, language, marks=() if (size, language) in REPRESENTATIVE else pytest.mark.slow)
    for size in SIZES
    for language in PERSON_OF
]
ONCE = [
    pytest.param(size, language, marks=() if (size, language) == ("800x480", "ru") else pytest.mark.slow)
    for size in SIZES
    for language in PERSON_OF
]
"""Long walks: the smallest screen with the longest words; the rest is in ./test --all."""
VISIT = "() => document.querySelector('#visit:not([hidden]) [data-visit]')?.dataset.visit ?? null"
ALARMS = ("clerk_stopped", "disk_full", "read_only", "disk_fault", "history_damaged")


@contextmanager
def walking(
    folder: Path, chromium: Browser, size: str, language: str, path: str = "", **lab: object
) -> Iterator[tuple[World, Eyes]]:
    """A workshop on whose screen every picture is judged; the first language of the board is the person's."""
    languages = (language, *(each for each in PERSON_OF if each != language))
    with (
        a_world(folder, programmes=(a_programme(),), languages=languages, **lab) as world,
        a_kiosk(world) as address,
        a_watched_page(chromium, size, language) as page,
    ):
        eyes = Eyes(page, world.lab, size, language)
        ready(page, address + path)
        yield world, eyes
    assert eyes.wrong == {}


def asks_where(world: World, page: Page, person: str) -> None:
    """The person taps at the shared reader; the machines to choose from are this tap's, not those of one before."""
    before = page.evaluate(VISIT)
    world.told("pick", person, None)
    page.wait_for_function(f"(before) => ![null, before].includes(({VISIT})())", arg=before)
    page.wait_for_selector(".choosing .tile >> nth=1")


def tap_answers(world: World, person: str) -> dict[str, tuple[Act, str]]:
    """Every answer to a tap that is no refusal, and where it is seen."""
    earlier = world.worked(person, "mill-2", NOON - HOUR, NOON + 42 * MINUTE, reason="handover")

    def closed_by_system() -> None:
        session = world.worked(person, "mill-2", NOON - 3 * HOUR, NOON - 2 * HOUR, reason="idle_timeout")
        seq = world.newest() + 1
        with world.lock, write(world.connection):
            row = views.session(world.connection, session)
            assert row is not None
            views.put_session(world.connection, row._replace(told=seq))
        world.tap_in(person, "weld-1")

    missing = ["briefing:cnc", "qualification:robot"]
    return {
        "in": (lambda: world.tap_in(person, "mill-1"), ".answer.in"),
        "still-on": (
            lambda: world.told("still_on", person, "mill-1", world.open_by_person[person]),
            ".answer.tell",
        ),
        "out": (lambda: world.tap_out(person, world.now_ms + 95 * MINUTE), ".answer.out"),
        "in-told-closed": (closed_by_system, ".answer.in .know"),
        "observer": (
            lambda: world.tap_in(person, "robot-1", role="observer", missing=missing),
            ".answer.observer",
        ),
        "handed-over": (lambda: world.told("handed_over", person, "mill-2", earlier), ".answer.tell"),
        "instructor": (lambda: world.told("instructor", "i1", "mill-1"), ".answer.tell"),
    }


def refusals(world: World, person: str) -> dict[str, tuple[Act, str]]:
    """Every reason why a tap is refused."""
    missing = ["briefing:welding", "qualification:robot"]
    acts: dict[str, Act] = {
        "not-qualified": lambda: world.refused("not_qualified", person, "robot-1", missing=missing),
        "machine-full": lambda: world.refused("machine_full", person, "mill-1"),
        "busy-elsewhere": lambda: world.refused("busy_elsewhere", person, "robot-1"),
        "locked": lambda: world.refused("machine_locked", person, "grinder-1"),
        "blocked": lambda: world.refused("badge_blocked", person, "mill-1"),
        "inactive": lambda: world.refused("person_inactive", person, "mill-1"),
    }
    return {f"refused-{name}": (act, ".answer.no") for name, act in acts.items()}


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_every_answer_to_a_tap_is_for_everybody(tmp_path: Path, chromium: Browser, size: str, language: str) -> None:
    person = PERSON_OF[language]
    with walking(tmp_path, chromium, size, language) as (world, eyes):
        a_record(world, person)
        for name, (act, seen) in {**tap_answers(world, person), **refusals(world, person)}.items():
            if name == "instructor" and language != "kk":  # the one instructor here speaks Kazakh
                continue
            eyes.page.evaluate("window.sheberVisit.leave()")
            eyes.page.evaluate("document.getElementById('answer').replaceChildren()")
            act()
            eyes.page.wait_for_selector(f"{seen} >> visible=true")
            if name == "instructor":
                eyes.page.wait_for_selector("#visit .sheet")
            eyes.look(f"answer-{name}")
        eyes.page.evaluate("window.sheberVisit.leave()")
        world.refused("unknown_badge")
        eyes.page.wait_for_selector(".answer.no .languages")
        eyes.look("answer-refused-unknown", alone=False)


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_every_screen_of_a_visit_is_for_everybody(tmp_path: Path, chromium: Browser, size: str, language: str) -> None:
    person = PERSON_OF[language]
    with walking(tmp_path, chromium, size, language, "/?screen=door") as (world, eyes):
        page = eyes.page
        world.answers[AskChoices] = choices
        a_record(world, person)
        asks_where(world, page, person)
        eyes.look("pick-machines")
        while page.is_enabled(".pager .touch >> nth=1") if page.query_selector(".pager") else False:
            where = page.inner_text(".pager .where")
            touched(page, ".pager .touch >> nth=1")
            page.wait_for_function("(was) => document.querySelector('.pager .where').innerText !== was", arg=where)
            eyes.look(f"pick-machines-{page.inner_text('.pager .where')[0]}")
        asks_where(world, page, person)
        touched(page, ".choosing .tile >> nth=0")
        page.wait_for_selector(".choosing .wide")
        eyes.look("pick-process")
        with page.expect_response("**/pick"):
            touched(page, ".wide .tile >> nth=0")
        asks_where(world, page, person)
        world.refuse = "not_waiting"
        touched(page, ".choosing .tile >> nth=1")
        page.wait_for_selector(".sheet.said.no")
        eyes.look("pick-too-late")
        world.refuse = None
        asks_where(world, page, person)
        token = page.get_attribute("[data-visit]", "data-visit")
        for part in ("hours", "skills", "papers", "sessions"):
            page.evaluate(f"htmx.ajax('GET', '/visit/{token}/me?part={part}', '#visit')")
            page.wait_for_selector(f".me-{part} li")
            eyes.look(f"me-{part}")
        touched(page, ".row:not([disabled])")
        page.wait_for_selector(".wrong .tile")
        eyes.look("wrong")
        touched(page, ".wrong .tile >> nth=0")
        page.wait_for_selector(".sheet.said.yes")
        eyes.look("asked")


@pytest.mark.parametrize(("size", "language"), ONCE)
def test_the_board_and_every_warning_are_for_everybody(
    tmp_path: Path, chromium: Browser, size: str, language: str
) -> None:
    with walking(tmp_path, chromium, size, language) as (world, eyes):
        a_busy_morning(world)
        world.open_by_person.clear()
        eyes.page.wait_for_selector("[data-machine=bench-1] .who", state="attached")
        eyes.page.evaluate("window.sheberVisit.leave()")
        eyes.look("idle", alone=False)
        lost = {each.id: ReaderStatus(each.id != "weld-2") for each in world.lab.readers}
        world.status = KioskStatus(recording=True, broker=False, clock_synced=False, readers=lost)
        eyes.page.wait_for_selector(".reader-lost")
        eyes.look("idle-every-mark", alone=False)
        will_stand_idle(world, "p4", "mill-2", 4 * MINUTE)
        world.state("mill-2", "idle")
        eyes.page.wait_for_selector(".warning")
        eyes.page.evaluate("window.sheberVisit.leave()")
        eyes.look("idle-warning", alone=False)
        world.status = KioskStatus(recording=False, reason=ALARMS[0])
        eyes.page.wait_for_selector("#alarm:visible")
        eyes.look(f"not-recording-{ALARMS[0]}", alone=False)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_every_reason_why_nothing_is_recorded_is_for_everybody(tmp_path: Path, chromium: Browser, size: str) -> None:
    with walking(tmp_path, chromium, size, "kk") as (world, eyes):
        for reason in ALARMS:
            was = eyes.page.inner_text("#why") if eyes.page.is_visible("#why") else ""
            world.status = KioskStatus(recording=False, reason=reason)
            eyes.page.wait_for_function("(was) => document.getElementById('why').innerText !== was", arg=was)
            eyes.look(f"not-recording-{reason}", alone=False)
