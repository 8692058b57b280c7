"""What the staff side asks before it does something: laid out, in one language, and for everybody, as every page is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from staff_fixtures import HASH, PASSWORD
from web_fixtures import HASH as WORLD_HASH
from web_fixtures import NOON, World, a_world, ref
from web_fixtures import PASSWORD as WORLD_PASSWORD

from kiosk.commands import AddUser
from kiosk.store import people
from kiosk.store.people import User
from kiosk.store.schema import write
from kiosk.web.accounts import PROVED_S
from kiosk.web.apps import create_staff_app
from kiosk.web.server import Server
from lab_config.model import LANGUAGES
from tests.browser import complaints_of
from tests.kiosk_fixtures import running_kiosk
from tests.staff_eyes import WIDTHS, StaffEyes
from tests.test_web_staff import Hand

pytestmark = pytest.mark.browser


@contextmanager
def signed_in(chromium: Browser, address: str, name: str, password: str, language: str, width: str) -> Iterator[Page]:
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    context = chromium.new_context(viewport=size, locale=language)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{address}/login")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("form.who")
    try:
        yield page
    finally:
        context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_question_for_the_own_password_is_for_everybody(tmp_path: Path, chromium: Browser, language: str) -> None:
    with a_world(tmp_path) as world:
        hand = Hand()
        server = Server("127.0.0.1:0", create_staff_app(world.services(), hand))
        server.start()
        try:
            with signed_in(chromium, server.address, admin(world), WORLD_PASSWORD, language, "360") as page:
                complaints = complaints_of(page, "401")
                page.goto(f"{server.address}/settings/accounts")
                page.fill("input[name=name]", "b.new")
                hand.now += PROVED_S
                page.press("input[name=name]", "Enter")
                page.wait_for_selector("input[name=own_password]")
                eyes = StaffEyes(page, world.lab, "360", language, "admin")
                eyes.look("confirm")
                eyes.tab_through("confirm")
                page.fill("input[name=own_password]", WORLD_PASSWORD)
                page.press("input[name=own_password]", "Enter")
                page.wait_for_selector("input[name=own_password]", state="detached")
            assert (eyes.wrong, complaints) == ({}, [])
            assert [each.name for each in world.commands if isinstance(each, AddUser)] == ["b.new"]
        finally:
            server.stop()


def admin(world: World) -> str:
    """Their name; they may change accounts."""
    with world.lock, write(world.connection):
        people.add_user(world.connection, User(ref("admin"), "admin", "admin", WORLD_HASH, None, None, NOON, True))
    return "admin"


def test_what_two_people_wrote_of_one_stands_side_by_side_for_everybody(tmp_path: Path, chromium: Browser) -> None:
    with running_kiosk(tmp_path) as (kiosk, _):
        kiosk.submit(AddUser("office", "lead", HASH))
        address = kiosk.addresses[1]
        for language in LANGUAGES:
            with (
                signed_in(chromium, address, "office", PASSWORD, language, "360") as first,
                signed_in(chromium, address, "office", PASSWORD, language, "360") as second,
            ):
                complaints = complaints_of(second, "409")
                first.goto(f"{address}/people")
                one = first.get_attribute(".person a, td a, li a[href^='/people/']", "href")
                for page in (first, second):
                    page.goto(f"{address}{one}/edit")
                first.fill("input[name=group]", f"ТМ-{language}")
                first.press("input[name=group]", "Enter")
                first.wait_for_url(f"{address}{one}")
                second.fill("input[name=group]", "ТМ-2")
                second.press("input[name=group]", "Enter")
                second.wait_for_selector(f"text=ТМ-{language}")
                eyes = StaffEyes(second, kiosk.lab, "360", language, "lead")
                eyes.look("conflict")
                assert (eyes.wrong, complaints) == ({}, [])
