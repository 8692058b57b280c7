"""A morning's review: twenty-five apprentices of yesterday, six of them exceptions, one instructor at a keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect

from firmware_bridge.observations import BadgeSeen, MachineReported
from kiosk.commands import AddUser, Command, Done, ImportPeople, PersonRow, QuestionSession
from kiosk.desk import Desk
from kiosk.inbox import Asked, Heard
from kiosk.store import people, views
from kiosk.store.schema import open_reader
from kiosk.web.apps import create_staff_app
from kiosk.web.feed import Feed
from kiosk.web.server import Server
from kiosk.web.services import KioskStatus, Services
from kiosk.web.staff_door import StaffDoor
from lab_config.model import Lab, Machine, Reader, Rules
from tests.browser import complaints_of
from tests.kiosk_fixtures import HandClock, small_lab
from tests.staff_fixtures import HASH, PASSWORD

pytestmark = pytest.mark.browser
T = TypeVar("T")
MINUTE = 60_000
HOUR = 60 * MINUTE
GROUP = 25
MOST_GESTURES = 12
MASTER = PersonRow("i1", "instructor", "Жұмабаев", "Қанат", badges=("1100223344",))


def badge(number: int) -> str:
    return f"0F00A{number:05}"


APPRENTICES = tuple(
    PersonRow(f"p{n}", "apprentice", f"Серіков {n}", "Әлихан", programme="cnc", group="ЧПУ-21", badges=(badge(n),))
    for n in range(1, GROUP + 1)
)
QUIET = Rules(stale_after_ms=10 * HOUR)
MACHINES = {
    **{f"mill-{n}": QUIET for n in range(1, 6)},
    "silent-1": Rules(stale_after_ms=2 * MINUTE),
    "idle-1": replace(QUIET, idle_timeout_ms=20 * MINUTE),
    "off-1": QUIET,
    "bell-1": replace(QUIET, day_end=("17:30",)),
    "still-1": QUIET,
}


def a_lab(folder: Path) -> Lab:
    """One of each, and five mills; the clock begins at 16:06."""
    lab = small_lab(folder)
    mill, programme = lab.machines[0], lab.programmes[0]
    process = replace(programme.processes[0], machines=tuple(MACHINES))
    return replace(
        lab,
        machines=tuple(Machine(each, mill.name, status=mill.status, rules=rules) for each, rules in MACHINES.items()),
        readers=tuple(Reader(each, f"/dev/{each}", "rdm6300", machine=each) for each in MACHINES),
        programmes=(replace(programme, processes=(process,)),),
    )


@dataclass
class College:
    """A desk in a thread of its own, as in a kiosk, and the staff side over it."""

    folder: Path

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.lab = a_lab(self.folder / "lab")
        self.database = self.folder / "kiosk.db"
        self._thread = ThreadPoolExecutor(1)
        self.desk = self.at_the_desk(lambda: Desk(self.database, self.clock, self.lab))
        self.at_the_desk(self.desk.start)
        self.ask(ImportPeople((*APPRENTICES, MASTER)))
        self.ask(AddUser("qanat", "instructor", HASH, "i1"))
        services = Services(
            lab=self.lab,
            database=self.database,
            submit=self.ask,
            wall_ms=self.clock.wall_ms,
            status=lambda: KioskStatus(recording=True, broker=True),
            secret_key=b"k" * 32,
        )
        app = create_staff_app(services)
        self.feed = Feed(services)
        self.feed.start()
        self.server = Server("127.0.0.1:0", app, self.feed, door=StaffDoor(app).admit)
        self.server.start()

    def at_the_desk(self, act: Callable[[], T]) -> T:
        """Its database is for one thread."""
        return self._thread.submit(act).result()

    def ask(self, command: Command) -> Done:
        """A command and its answer."""
        answer: Future[Done] = Future()

        def handle() -> None:
            for given in self.desk.handle([Asked(self.clock.stamp(), command, answer)])[1]:
                given.give()

        self.at_the_desk(handle)
        return answer.result(0)

    def tap(self, number: int, machine: str) -> None:
        """A card at a machine."""
        self.at_the_desk(lambda: self.desk.handle([Heard(self.clock.stamp(), BadgeSeen(machine, badge(number)))]))

    def report(self, machine: str, state: str) -> None:
        """What a machine says."""
        self.at_the_desk(lambda: self.desk.handle([Heard(self.clock.stamp(), MachineReported(machine, state))]))

    def later(self, minutes: int) -> None:
        """Time goes by, and deadlines pass."""
        self.clock.move(minutes * MINUTE)
        self.at_the_desk(lambda: self.desk.pass_time(heartbeat=True))

    def sessions(self) -> list[views.SessionView]:
        """All there are."""
        with closing(open_reader(self.database)) as connection:
            return views.sessions_of_dates(connection, "0000", "9999")

    def close(self) -> None:
        self.server.stop()
        self.feed.stop()
        self.at_the_desk(self.desk.close)
        self._thread.shutdown()

    # --- yesterday

    def a_day(self) -> None:
        """Nineteen who worked and tapped out; six who did not, or whose machine did not."""
        for each in MACHINES:
            self.report(each, "idle" if each == "still-1" else "running")
        for number, machine in enumerate(("silent-1", "idle-1", "off-1", "bell-1", "still-1"), start=21):
            self.tap(number, machine)
        self.later(1)
        self.report("silent-1", "running")
        self.report("idle-1", "idle")
        self.report("off-1", "off")
        for round_ in range(4):
            hands = [number for number in range(round_ * 5 + 1, round_ * 5 + 6) if number <= 20]
            for number in hands:
                self.tap(number, f"mill-{(number - 1) % 5 + 1}")
            for _ in range(4):
                self.later(3 if round_ == 1 else 1)
                self.report("silent-1", "running")
            for number in hands:
                self.tap(number, f"mill-{(number - 1) % 5 + 1}")
        self.tap(21, "silent-1")
        self.tap(25, "still-1")
        self.later(60)
        first = self.sessions_of("p1")[0]
        self.ask(QuestionSession(first.session, first.person_ref, "I came half an hour earlier"))
        self.later(14 * 60)

    def sessions_of(self, person_id: str) -> list[views.SessionView]:
        """A person's."""
        with closing(open_reader(self.database)) as connection:
            person = people.person_by_id(connection, person_id)
            assert person is not None
            return views.person_sessions(connection, person.person_ref)


class Keyboard:
    """Counts what the instructor does."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.gestures: list[str] = []

    def press(self, key: str) -> None:
        """One key."""
        self.gestures.append(key)
        self.page.keyboard.press(key)

    def decide(self, key: str) -> None:
        """A key that brings the page anew."""
        with self.page.expect_navigation(wait_until="load"):
            self.press(key)


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    made = College(tmp_path)
    made.a_day()
    yield made
    made.close()


@pytest.fixture
def page(college: College, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="ru-RU")
    opened = context.new_page()
    complaints = complaints_of(opened)
    opened.goto(f"{college.server.address}/login")
    opened.fill("input[name=name]", "qanat")
    opened.fill("input[name=password]", PASSWORD)
    opened.press("input[name=password]", "Enter")
    opened.wait_for_selector("#exceptions")
    yield opened
    context.close()
    assert complaints == []


def current(page: Page) -> str:
    """What has the focus: a session's number, `approve-all`, or nothing of the list."""
    return str(page.evaluate("document.activeElement.closest('.stop')?.id ?? ''"))


def test_a_group_of_twenty_five_with_six_exceptions_takes_a_dozen_keys(college: College, page: Page) -> None:
    rows = college.sessions()
    assert (len(rows), sum(bool(row.flags) for row in rows)) == (GROUP, 6)
    assert {row.review for row in rows} == {"pending"}
    keyboard = Keyboard(page)
    began = monotonic()
    keyboard.press("j")
    kinds = []
    for _ in range(6):
        here = page.locator(f"#{current(page)}")
        kind = re.sub("proposal ", "", here.locator(".proposal").get_attribute("class") or "")
        kinds.append(kind)
        if kind == "look":
            keyboard.press("a")
            keyboard.decide("Enter")
        else:
            keyboard.decide("a")
    assert current(page) == "approve-all"
    keyboard.decide("a")
    took = monotonic() - began
    assert sorted(kinds) == ["adjust", "approve", "approve", "approve", "look", "reject"]
    decided = college.sessions()
    assert sorted({row.review for row in decided}) == ["adjusted", "approved", "rejected"]
    assert sum(row.review == "approved" for row in decided) == GROUP - 2
    assert {row.batch for row in decided} == {1, 19}
    assert all(row.decided_by for row in decided)
    assert len(keyboard.gestures) <= MOST_GESTURES, keyboard.gestures
    assert took < 60, f"the pages themselves took {took:.1f} s"


def test_undo_brings_back_what_the_last_key_decided(college: College, page: Page) -> None:
    keyboard = Keyboard(page)
    keyboard.press("j")
    first = current(page)
    keyboard.press("j")
    second = current(page)
    keyboard.decide("a")
    assert current(page) not in {first, second}
    assert page.locator(f"article#{second}").count() == 0
    expect(page.locator("#undo")).to_be_visible()
    keyboard.decide("u")
    assert current(page) == second
    assert {row.review for row in college.sessions()} == {"pending"}


def test_keys_are_letters_while_somebody_types_and_fold_away_with_escape(college: College, page: Page) -> None:
    keyboard = Keyboard(page)
    keyboard.press("j")
    here = current(page)
    keyboard.press("e")
    field = page.locator(f"#{here} input[name=text]").first
    field.focus()
    page.keyboard.type("a jar")
    assert field.input_value() == "a jar"
    assert {row.review for row in college.sessions()} == {"pending"}
    keyboard.press("Escape")
    assert page.locator(f"#{here} details[open]").count() == 0
    assert current(page) == here
    keyboard.press("k")
    assert current(page) == here
    keyboard.press("Shift+Slash")
    expect(page.locator("dialog#keys")).to_be_visible()
    keyboard.press("j")
    keyboard.press("Escape")
    assert current(page) in {here, ""}


def test_keys_that_are_switched_off_stay_off(college: College, page: Page) -> None:
    page.click("#keys-open")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert not current(page).startswith("s")
    page.reload()
    page.keyboard.press("j")
    assert current(page) == ""


def test_the_letters_of_another_layout_are_in_the_same_places(college: College, page: Page) -> None:
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'о', code: 'KeyJ', bubbles: true}))")
    assert current(page).startswith("s")


def test_what_was_announced_is_told_to_a_screen_reader(college: College, page: Page) -> None:
    keyboard = Keyboard(page)
    keyboard.press("j")
    while page.locator(f"#{current(page)} .proposal.look").count() == 0:
        keyboard.press("j")
    keyboard.press("a")
    expect(page.locator("#told")).to_contain_text("Enter")
    assert page.evaluate("document.activeElement.matches('button.approve')")


def test_the_morning_needs_no_script(college: College, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="ru-RU")
    page = context.new_page()
    page.goto(f"{college.server.address}/login")
    page.fill("input[name=name]", "qanat")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    for _ in range(6):
        page.locator("article.stop button.take, article.stop button.approve").first.click()
    page.click("#approve-all")
    assert "pending" not in {row.review for row in college.sessions()}
    page.goto(f"{college.server.address}/board")
    page.locator("#m-mill-1 summary").click()
    page.locator("#m-mill-1 button.bad").click()
    expect(page.locator("#m-mill-1 .state")).to_contain_text("выведен")
    context.close()
