"""What an apprentice sees and touches after a tap, in a real Chromium, at the sizes and in the kiosk's languages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route
from test_web_browser import SIZES, a_kiosk, a_page, shoot
from web_fixtures import HOUR, MINUTE, NOON, World, a_busy_morning, a_world, invented_lab, ref, text

from kiosk.commands import AskChoices, Done, PickMachine, QuestionSession
from kiosk.domain.choices import MachineChoice
from kiosk.store import learners
from kiosk.store.learners import PersonRecord, QuestionRow, SignOffRow
from kiosk.store.schema import write
from kiosk.words import words
from lab_config.model import Competency, Programme

pytestmark = pytest.mark.browser

PERSON_OF = {"kk": "p4", "ru": "p2", "en": "p3"}
LANGUAGES = tuple(PERSON_OF)
FITS = [("800x480", language) for language in LANGUAGES] + [("1024x600", "kk"), ("1920x1080", "ru")]

LONG = (
    (
        "СББ фрезер, токарь, ажарлау станоктарында жұмыс істеу",
        "Работа на фрезерных, токарных и шлифовальных станках с ЧПУ",
        "Operating CNC mills, lathes, grinders",
    ),
    ("Тәлімгердің басшылығымен баптау", "Наладка под руководством наставника", "Setup under supervision"),
    ("Өз бетінше баптау және жұмыс істеу", "Самостоятельная наладка и работа", "Setup and operation, independent"),
    ("СББ станоктарында өңдеу негіздері", "Основы обработки на станках с ЧПУ", "Principles of CNC machining"),
    ("Қарапайым бағдарламаларды құрастыру", "Составление простых программ", "Writing basic programs"),
    ("Механикалық өңдеу негіздері", "Основы механической обработки", "Foundations of machining"),
    ("Роботтандырылған ұяшықта жұмыс істеу", "Работа в роботизированной ячейке", "Working in a robot cell"),
)
SKILLS = (
    (
        "Сызбаны оқиды және операциялардың ретін анықтайды",
        "Читает чертёж и определяет порядок операций",
        "Reads drawings and plans the order of operations",
    ),
    ("Құралды таңдайды және өлшейді", "Выбирает и измеряет инструмент", "Chooses and measures tools"),
    (
        "Бірінші бөлшекті өлшеп, түзету енгізеді",
        "Измеряет первую деталь и вводит коррекцию",
        "Measures the first part and corrects",
    ),
)

OVERFLOWING = """() => {
  const root = document.documentElement;
  const wide = root.scrollWidth > root.clientWidth || root.scrollHeight > root.clientHeight;
  const shown = (each) => each.getClientRects().length > 0;
  const cut = [...document.querySelectorAll(
      '.answer, .answer .said, .answer .main, .answer .totals, .answer li, .touch, .sheet, .sheet-head, .sheet-body, '
      + '.tiles, .tile .words, .rows, .rows > li, .warning, .pairing')]
    .filter(shown)
    .filter((each) => each.scrollHeight > each.clientHeight + 1 || each.scrollWidth > each.clientWidth + 1)
    .map((each) => `${each.className || each.parentNode.className} ${each.textContent.trim().slice(0, 40)}`);
  const outside = [...document.querySelectorAll('.answer *, .sheet *, .warning *')].filter(shown)
    .filter((each) => { const r = each.getBoundingClientRect();
      return r.width && (r.bottom > innerHeight + 1 || r.right > innerWidth + 1 || r.top < -1 || r.left < -1); })
    .map((each) => `outside: ${each.tagName} ${each.getAttribute('class') ?? ''}`)
    .filter((each) => !each.includes('remaining'));
  const small = [...document.querySelectorAll('.touch')].filter(shown)
    .filter((each) => { const r = each.getBoundingClientRect(); return r.height < 72 || r.width < 72; })
    .map((each) => `small: ${each.textContent.trim()}`);
  return [...(wide ? ['the page'] : []), ...cut, ...outside, ...small];
}"""


def a_programme() -> Programme:
    lab = invented_lab()
    first = lab.programmes[0]
    more = tuple(
        replace(first.processes[0], id=f"CNC{10 + index}", title=text(*titles), required_ms=(30 + 30 * index) * HOUR)
        for index, titles in enumerate(LONG)
    )
    skills = tuple(Competency(f"S{index}", "CNC3", text(*titles)) for index, titles in enumerate(SKILLS))
    return replace(first, processes=(*first.processes, *more), competencies=skills)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path, programmes=(a_programme(),)) as made:
        yield made


def a_record(world: World, person: str) -> None:
    """Hours in several processes, skills, briefings that end, a question that waits."""
    today = date(2026, 10, 29)
    for index, process in enumerate(("CNC3", "CNC10", "CNC11", "CNC12", "CNC4")):
        start = NOON - (30 + 24 * index) * HOUR
        review = "pending" if index % 2 else "approved"
        hours: dict[str, object] = {"review": review, "decided_credited_ms": None if index % 2 else 5 * HOUR}
        hours["decided_process"] = None if index % 2 else process
        machine, end = ("mill-1", "robot-1")[index % 2], start + 5 * HOUR + 7 * MINUTE
        world.worked(person, machine, start, end, process=process, **hours)
    asked = world.worked(person, "lathe-1", NOON - 5 * HOUR, NOON - 4 * HOUR)
    at_ms = NOON - HOUR
    signed = [
        SignOffRow(seq, ref(person), "cnc-operator", "CNC3", skill, level, ref("bauyrzhan"), at_ms, "web", None, None)
        for seq, skill, level in ((1, "S0", 2), (2, "S1", 1))
    ]
    held = (
        ("briefing:cnc", (today + timedelta(days=5)).isoformat()),
        ("briefing:welding", "2026-10-12"),
        ("qualification:crane", None),
    )
    with world.lock, write(world.connection):
        learners.put_person(
            world.connection,
            PersonRecord(ref(person), held, tuple(signed), (QuestionRow(9, asked, ref(person), at_ms, None),)),
        )


def choices(_command: object) -> Done:
    """One machine last chosen, some free, some refused."""
    processes = ("CNC3", "CNC4", "CNC10", "CNC11", "CNC12")
    made = [
        MachineChoice("mill-1", "in", "", (), processes),
        MachineChoice("lathe-1", "in", "", (), ("CNC3",)),
        MachineChoice("mill-2", "observer", "", ("briefing:cnc",), processes),
        MachineChoice("bench-1", "out", "", (), ("CNC3",)),
        MachineChoice("robot-1", "in", "", (), ("CNC3",)),
        MachineChoice("mecha-1", "in", "", (), ("CNC3",)),
        MachineChoice("electro-1", "in", "", (), ("CNC3",)),
        MachineChoice("weld-1", "refused", "not_qualified", ("briefing:welding",), ("CNC3",)),
        MachineChoice("weld-2", "refused", "machine_full", (), ("CNC3",)),
        MachineChoice("grinder-1", "refused", "machine_locked", (), ("CNC3",)),
    ]
    return Done((), tuple(made))


def ready(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_function("document.getElementById('lost').hidden")


def touched(page: Page, selector: str) -> None:
    page.wait_for_selector(selector)
    page.dispatch_event(selector, "pointerdown")
    page.click(selector)


@pytest.mark.parametrize(("size", "language"), FITS)
def test_every_screen_of_a_visit_fits_and_can_be_touched_with_gloves(
    world: World, chromium: Browser, size: str, language: str
) -> None:
    person = PERSON_OF[language]
    a_busy_morning(world)
    world.tap_out(person)
    a_record(world, person)
    world.answers[AskChoices] = choices
    say = words(language).gettext
    with a_kiosk(world) as address, a_page(chromium, SIZES[size], "en") as page:
        ready(page, address)

        wrong: dict[str, list[str]] = {}

        def look(name: str) -> None:
            shoot(page, f"visit-{name}-{language}-{size}")
            if found := page.evaluate(OVERFLOWING):
                wrong[name] = found

        world.tap_in(person, "mill-1")
        page.wait_for_selector(".answer.in .touch")
        look("in")
        touched(page, f".touch:has-text('{say('Another work process')}')")
        page.wait_for_selector(".choosing .tile")
        look("processes")
        touched(page, ".tile >> nth=1")
        page.wait_for_selector(".sheet.said.yes")
        look("process-chosen")
        world.tap_out(person)
        page.wait_for_selector(".answer.out .touch")
        look("out")
        touched(page, f".touch:has-text('{say('My record')}')")
        page.wait_for_selector(".me-hours li")
        look("me-hours")
        for part, title in (("skills", "Skills"), ("papers", "Briefings"), ("sessions", "My sessions")):
            touched(page, f".tabs .touch:has-text('{say(title)}')")
            page.wait_for_selector(f".me-{part} li")
            look(f"me-{part}")
        touched(page, ".row:not([disabled])")
        page.wait_for_selector(".wrong .tile")
        look("wrong")
        touched(page, ".wrong .tile >> nth=0")
        page.wait_for_selector(".sheet.said.yes")
        look("asked")
        ready(page, f"{address}/?screen=door")
        world.told("pick", person, None)
        page.wait_for_selector(".choosing .tile")
        look("machines")
        touched(page, ".tile >> nth=0")
        page.wait_for_selector(".choosing .wide")
        look("machine-processes")
        with page.expect_response("**/pick"):
            touched(page, ".wide .tile >> nth=0")
        asked = [type(each) for each in world.commands]
        assert PickMachine in asked
        assert QuestionSession in asked
        assert wrong == {}


@pytest.mark.parametrize("late", ["**/touch", "**/pick"])
def test_a_late_no_to_the_visit_before_leaves_the_next_persons_screen_open(
    world: World, chromium: Browser, late: str
) -> None:
    world.answers[AskChoices] = choices
    held: list[Route] = []
    with a_kiosk(world) as address, closing(chromium.new_page(locale="en")) as page:
        ready(page, f"{address}/?screen=door")
        page.route(late, lambda route: held.append(route))  # noqa: PLW0108 - it looks at the code of what it is given
        world.told("pick", "p1", None)
        touched(page, ".choosing .tile >> nth=1")
        first = page.get_attribute("#visit [data-visit]", "data-visit")
        while not held:
            page.wait_for_timeout(20)
        world.told("pick", "p2", None)
        page.wait_for_selector(f"#visit [data-visit]:not([data-visit='{first}'])")
        for each in held:
            each.fulfill(status=410, body="")
        page.wait_for_timeout(300)  # nothing tells that a screen was not closed
        assert page.is_visible(".choosing .tile >> nth=0")
