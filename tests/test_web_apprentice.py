"""What the screen does for an apprentice: who may touch what, how long, what is heard, and what a refusal says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request
from test_web_browser import SIZES, a_kiosk, a_page, shoot
from test_web_visits import FITS, LANGUAGES, OVERFLOWING, PERSON_OF, a_programme, choices, ready, touched
from web_fixtures import HOUR, MINUTE, NOON, Listener, World, a_busy_morning, a_world, ref

from kiosk.commands import AskChoices, CommandRefused, TouchStillHere
from kiosk.store import learners
from kiosk.store.learners import PersonRecord
from kiosk.store.schema import write
from kiosk.web.apps import create_kiosk_app
from kiosk.web.feed import Feed
from kiosk.web.server import Server
from kiosk.web.visits import Visits
from kiosk.words import words

pytestmark = pytest.mark.browser
GENTLE = {"HX-Request": "true"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path, programmes=(a_programme(),)) as made:
        yield made


def will_stand_idle(world: World, person: str, machine: str, left_ms: int) -> int:
    session = world.tap_in(person, machine, world.now_ms - HOUR)
    world.alter(session, idle_at_ms=world.now_ms + left_ms)
    return session


# --- refusals and closings -------------------------------------------------------------------------------------------


def refusals(world: World, person: str) -> dict[str, Callable[[], object]]:
    """Every reason; with what there is to say beside it."""
    return {
        "not-qualified": lambda: world.refused(
            "not_qualified", person, "robot-1", missing=["briefing:welding", "qualification:robot"]
        ),
        "machine-full": lambda: world.refused("machine_full", person, "mill-1"),
        "busy-elsewhere": lambda: world.refused("busy_elsewhere", person, "robot-1"),
        "locked": lambda: world.refused("machine_locked", person, "grinder-1"),
        "blocked": lambda: world.refused("badge_blocked", person, "mill-1"),
        "inactive": lambda: world.refused("person_inactive", person, "mill-1"),
        "unknown": lambda: world.refused("unknown_badge"),
    }


@pytest.mark.parametrize(("size", "language"), FITS)
def test_every_refusal_fits_the_screen_in_the_persons_language(
    world: World, chromium: Browser, size: str, language: str
) -> None:
    person = PERSON_OF[language]
    a_busy_morning(world)
    world.tap_in("p5", "mill-1", NOON + HOUR)
    held = PersonRecord(ref(person), (("briefing:welding", "2026-10-12"),), (), ())
    with world.lock, write(world.connection):
        learners.put_person(world.connection, held)
    wrong = {}
    with a_kiosk(world) as address, a_page(chromium, SIZES[size]) as page:
        ready(page, address)
        for name, act in refusals(world, person).items():
            page.evaluate("document.getElementById('answer').replaceChildren()")
            act()
            page.wait_for_selector(".answer.no .headline")
            shoot(page, f"refused-{name}-{language}-{size}")
            if found := page.evaluate(OVERFLOWING):
                wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_not_qualified_learns_what_ended_when_and_who_gives_it(
    world: World, chromium: Browser, language: str
) -> None:
    person, say = PERSON_OF[language], words(language).gettext
    held = PersonRecord(ref(person), (("briefing:welding", "2026-10-12"),), (), ())
    with world.lock, write(world.connection):
        learners.put_person(world.connection, held)
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:
        ready(page, address)
        world.refused("not_qualified", person, "robot-1", missing=["briefing:welding", "qualification:robot"])
        text = page.inner_text(".answer.no")
        for said in (
            say("Safety briefing: %(what)s", what="welding"),
            say("ended on %(day)s", day="12.10.2026"),
            say("not given yet"),
            say("Who can give it"),
            "Ахметов Б.",
        ):
            assert said in text


def test_a_session_that_the_system_closed_is_told_at_the_next_tap(world: World, chromium: Browser) -> None:
    closed = world.worked("p2", "mill-2", NOON - HOUR, NOON, reason="idle_timeout")
    world.state("mill-1", "running")
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, address)
        seq = world.newest() + 1
        world.alter(closed, told=seq)
        world.tap_in("p2", "mill-1")
        page.wait_for_selector(".answer.in .know")
        shoot(page, "told-closed-ru-800x480")
        text = page.inner_text(".know")
        for said in ("Ваш сеанс завершён", "Фрезерный станок с ЧПУ 2", "12:00"):
            assert said in text
        assert page.evaluate(OVERFLOWING) == []


def test_a_silent_machine_is_told_at_once(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, address)
        world.tap_in("p2", "mill-1")
        page.wait_for_selector(".know :text('Нет сигнала от станка')")
        shoot(page, "silent-machine-ru-800x480")


def test_a_closing_is_told_beside_the_choice_of_a_machine_too(world: World, chromium: Browser) -> None:
    world.answers[AskChoices] = choices
    closed = world.worked("p2", "mill-2", NOON - HOUR, NOON, reason="idle_timeout")
    seq = world.newest() + 1
    world.alter(closed, told=seq)
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, f"{address}/?screen=door")
        world.told("pick", "p2", None)
        page.wait_for_selector(".choosing .know :text('Ваш сеанс завершён')")
        shoot(page, "told-machines-ru-800x480")
        assert page.evaluate(OVERFLOWING) == []


# --- visits ----------------------------------------------------------------------------------------------------------


def test_a_visit_closes_by_itself(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:
        page.clock.install()
        ready(page, address)
        world.tap_in("p3", "mill-1")
        touched(page, ".answer .touch >> nth=1")
        page.wait_for_selector(".me")
        page.clock.run_for(14_000)
        assert page.is_visible(".me")
        page.clock.run_for(1_500)
        page.wait_for_selector("#visit", state="hidden")


def test_the_next_tap_takes_over(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:
        ready(page, address)
        world.tap_in("p3", "mill-1")
        touched(page, ".answer .touch >> nth=1")
        page.wait_for_selector(".me")
        world.tap_in("p2", "mill-1")
        page.wait_for_selector(".answer.in :text('Ким В.')")
        assert not page.is_visible("#visit")


def test_a_dead_token_brings_the_idle_board(tmp_path: Path, world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address:
        context = chromium.new_context(viewport={"width": 1024, "height": 600})
        page = context.new_page()
        ready(page, address)
        world.tap_in("p3", "mill-1")
        page.wait_for_selector(".answer .touch")
        assert world.feed is not None
        world.feed._services.visits.overtaken("mill-1", 10**6)  # as a restart would leave it
        touched(page, ".answer .touch >> nth=1")
        page.wait_for_selector("#answer", state="hidden")
        assert not page.is_visible("#visit")
        context.close()


def test_without_a_live_token_every_page_of_a_visit_is_gone(world: World) -> None:
    client = create_kiosk_app(world.services()).test_client()
    for path in ("me", "machines", "machines/mill-1", "processes", "sessions/1"):
        assert client.get(f"/visit/made-up/{path}").status_code == 410
    for path in ("pick", "process", "sessions/1", "touch"):
        assert client.post(f"/visit/made-up/{path}", headers=GENTLE).status_code == 410


def test_a_form_of_another_page_does_nothing(world: World) -> None:
    services = world.services()
    visit = services.visits.begin("mill-1", ref("p1"), "apprentice", 1)
    assert visit is not None
    client = create_kiosk_app(services).test_client()
    assert client.post(f"/visit/{visit.token}/pick", data={"machine": "mill-1"}).status_code == 403
    assert client.post("/still/1").status_code == 403
    assert world.commands == []


def test_nobody_sees_or_questions_another_persons_session(world: World) -> None:
    session = world.worked("p2", "mill-1", NOON - HOUR, NOON)
    services = world.services()
    visit = services.visits.begin("mill-1", ref("p3"), "apprentice", 10**6)
    assert visit is not None
    page = create_kiosk_app(services).test_client().get(f"/visit/{visit.token}/sessions/{session}")
    assert "That is not your session." in page.text
    assert "12:00" not in page.text


@pytest.mark.parametrize("part", ["nothing", "hours/../x", "<script>"])
def test_a_part_that_does_not_exist_is_not_found(world: World, part: str) -> None:
    services = world.services()
    visit = services.visits.begin("mill-1", ref("p3"), "apprentice", 1)
    assert visit is not None
    client = create_kiosk_app(services).test_client()
    assert client.get(f"/visit/{visit.token}/me", query_string={"part": part}).status_code == 404


def test_only_the_screens_of_a_reader_learn_its_visit(world: World) -> None:
    with a_kiosk(world) as address:
        door, hall = Listener(address, "/feed?screen=door"), Listener(address, "/feed?screen=hall")
        for each in (door, hall):
            each.next("status")
        world.told("pick", "p2", None)
        own, other = door.next("tap")["data"], hall.next("tap")["data"]
        assert own["visit"]
        assert own["visit"] not in str(other)
        assert "visit" not in other
        door.close()
        hall.close()


@pytest.mark.parametrize("reason", ["badge_blocked", "person_inactive"])
def test_a_card_that_may_have_been_found_in_the_street_opens_nothing(world: World, reason: str) -> None:
    with a_kiosk(world) as address:
        listener = Listener(address)
        listener.next("status")
        world.refused(reason, "p2")
        assert "visit" not in listener.next("tap")["data"]
        listener.close()


def test_a_name_is_text_and_never_a_tag(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, address)
        world.tap_in("p3", "mill-1")
        touched(page, ".answer .touch >> nth=1")
        assert "O'Brien<script>" in page.inner_text(".sheet .name")


def test_nothing_is_asked_of_another_host(world: World, chromium: Browser) -> None:
    asked: list[str] = []
    world.answers[AskChoices] = choices
    with a_kiosk(world) as address, a_page(chromium, SIZES["1024x600"]) as page:

        def note(request: Request) -> None:
            asked.append(request.url)

        page.on("request", note)
        ready(page, f"{address}/?screen=door")
        world.told("pick", "p3", None)
        page.wait_for_selector(".choosing .tile")
        assert all(url.startswith(address) for url in asked)


def test_too_late_a_choice_says_so(world: World, chromium: Browser) -> None:
    world.answers[AskChoices] = choices
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, f"{address}/?screen=door")
        world.told("pick", "p2", None)
        page.wait_for_selector(".choosing .tile")
        world.refuse = "not_waiting"
        touched(page, ".tile >> nth=1")
        page.wait_for_selector(".sheet.said.no :text('Время вышло. Приложите карту ещё раз.')")
        shoot(page, "visit-too-late-ru-800x480")


# --- warnings and sound ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_an_idle_closing_is_warned_of_and_a_touch_says_still_here(
    world: World, chromium: Browser, wait_until: Callable[..., object], size: str
) -> None:
    a_busy_morning(world)
    world.open_by_person.clear()
    session = will_stand_idle(world, "p4", "mill-2", 4 * MINUTE)
    will_stand_idle(world, "p2", "lathe-1", 5 * MINUTE - 1000)
    with a_kiosk(world) as address, a_page(chromium, SIZES[size]) as page:
        ready(page, address)
        page.wait_for_selector(".warning >> nth=1")
        assert page.evaluate("document.documentElement.dataset.sound") == "warn"
        shoot(page, f"warning-{size}")
        assert page.evaluate(OVERFLOWING) == []
        page.click(f".warning[data-session='{session}'] .still")
        wait_until(lambda: world.commands == [TouchStillHere(session)], what="the command")


def test_a_warning_comes_when_it_is_due_without_anything_happening(world: World, chromium: Browser) -> None:
    will_stand_idle(world, "p4", "mill-2", 6 * MINUTE)
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, address)
        assert page.query_selector(".warning") is None
        world.now_ms += MINUTE + 1
        page.wait_for_selector(".warning", timeout=40_000)


def test_still_here_too_late_is_a_no(world: World) -> None:
    def refused(_command: object) -> object:
        raise CommandRefused("no_open_session")

    world.answers[TouchStillHere] = refused  # type: ignore[assignment]
    client = create_kiosk_app(world.services()).test_client()
    assert client.post("/still/3", headers=GENTLE).status_code == 409


def test_the_first_tap_is_heard_before_anybody_touched(world: World, chromium: Browser) -> None:
    with a_kiosk(world) as address, a_page(chromium, SIZES["800x480"]) as page:
        ready(page, address)
        world.refused("unknown_badge")
        page.wait_for_selector(".answer.no")
        page.wait_for_function("window.sheberSound.state() === 'running'")


def test_after_a_restart_of_the_kiosk_a_tap_is_answered_without_a_touch(
    world: World, chromium: Browser, free_port: Callable[[], int]
) -> None:
    listen = f"127.0.0.1:{free_port()}"

    def started() -> tuple[Feed, Server]:
        services = replace(world.services(), visits=Visits())
        world.feed = Feed(services)
        server = Server(listen, create_kiosk_app(services, world.feed), world.feed)
        world.feed.start()
        server.start()
        return world.feed, server

    def stopped(feed: Feed, server: Server) -> None:
        server.stop()
        feed.stop()
        world.feed = None

    context = chromium.new_context()
    page: Page = context.new_page()
    running = started()
    ready(page, f"http://{listen}")
    stopped(*running)
    page.wait_for_selector("#lost:visible")
    running = started()
    page.wait_for_selector("#lost", state="hidden", timeout=40_000)
    world.tap_in("p2", "mill-1")
    touched(page, ".answer .touch >> nth=1")
    page.wait_for_selector(".me")
    context.close()
    stopped(*running)


@pytest.mark.parametrize("size", SIZES)
def test_a_screen_that_waits_to_be_let_in_fits(world: World, chromium: Browser, size: str) -> None:
    client = create_kiosk_app(world.services()).test_client()
    client.environ_base["REMOTE_ADDR"] = "192.168.10.7"
    page_text = client.get("/").text
    with a_kiosk(world) as address, a_page(chromium, SIZES[size]) as page:
        page.route("**/pairing", lambda route: route.fulfill(body=page_text, content_type="text/html"))
        page.goto(f"{address}/pairing")
        page.wait_for_selector(".digits")
        shoot(page, f"pairing-{size}")
        assert page.evaluate(OVERFLOWING) == []
