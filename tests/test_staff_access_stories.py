"""Accounts as a college lives with them, on a whole kiosk: a substitute for a week, roles, a forgotten password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kiosk.commands import AddUser, MergePeople
from kiosk.store import acts, people
from kiosk.store.schema import open_reader
from tests.kiosk_fixtures import HandClock
from tests.panel_fixtures import HASHER, PIN, Floor, a_floor
from tests.patience import wait_for
from tests.test_web_panel_guard import tapped

DAY_MS = 86_400_000
ENGLISH = {"Accept-Language": "en"}
ADMIN = "the admin's own words"
CHOSEN = "алма ағашы гүлдеді"


@dataclass
class Desk:
    """Somebody at a browser of their own."""

    floor: Floor

    def __post_init__(self) -> None:
        self.browser: FlaskClient = self.floor.kiosk._servers[1]._cheroot.wsgi_app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.browser.get(path, headers=ENGLISH, follow_redirects=True)

    def post(self, path: str, page: str = "", **fields: str) -> TestResponse:
        """Sends the form of a page."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page or path).text)
        assert found is not None
        data = {"csrf_token": found[1], **fields}
        return self.browser.post(path, data=data, headers=ENGLISH, follow_redirects=True)

    def sign_in(self, name: str, password: str) -> TestResponse:
        return self.post("/login", name=name, password=password)

    def change(self, current: str, new: str) -> TestResponse:
        return self.post("/password", current=current, new=new, again=new)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def floor(tmp_path: Path, clock: HandClock) -> Iterator[Floor]:
    with a_floor(tmp_path, clock=clock) as made:
        made.kiosk.submit(AddUser("admin", "admin", HASHER.hash(ADMIN)))
        made.kiosk.submit(AddUser("lead", "lead", HASHER.hash(ADMIN), "i4"))
        yield made


@pytest.fixture
def admin(floor: Floor) -> Desk:
    desk = Desk(floor)
    assert desk.sign_in("admin", ADMIN).status_code == 200
    return desk


def noted(floor: Floor, *kinds: str) -> list[tuple[str, str | None]]:
    """(kind, account name) of what is listed, oldest first."""
    connection = open_reader(floor.data / "kiosk.db")
    names = {user.user_ref: user.name for user in people.users(connection)}
    found = [(each.kind, names.get(each.by or "")) for each in reversed(acts.acts(connection, kinds=kinds))]
    connection.close()
    return found


def user(floor: Floor, name: str) -> people.User:
    connection = open_reader(floor.data / "kiosk.db")
    found = people.user_by_name(connection, name)
    connection.close()
    assert found is not None
    return found


def once(page: TestResponse) -> str:
    """The password that is shown once."""
    found = re.search(r'class="once">([^<]+)<', page.text)
    assert found is not None, page.text
    return found[1]


def local_day(clock: HandClock, days: int) -> str:
    from zoneinfo import ZoneInfo

    from kiosk.words import local
    from lab_config.model import Lab, LocalText

    zone = ZoneInfo(Lab("x", LocalText({})).timezone)
    return local(clock.wall_ms() + days * DAY_MS, zone).date().isoformat()


def test_a_substitute_works_until_the_last_day_and_is_out_at_once_on_the_next(
    floor: Floor, admin: Desk, clock: HandClock
) -> None:
    friday = local_day(clock, 2)
    page = admin.post("/settings/accounts", name="b.substitute", role="instructor", until=friday, person="")
    password = once(page)
    assert password not in admin.get("/settings/accounts").text

    substitute = Desk(floor)
    assert "Change the password" in substitute.sign_in("b.substitute", password).text
    assert "Choose one that only you know" in substitute.get("/review").text
    assert "That is the present password" in substitute.change(password, password).text
    assert "The password is changed." in substitute.change(password, CHOSEN).text
    assert substitute.get("/review").status_code == 200
    assert "Change the password" not in substitute.get("/review").text

    clock.move(2 * DAY_MS)
    assert "/logout" in substitute.get("/review").text
    clock.move(DAY_MS)
    gone = substitute.get("/review")
    assert "this account is blocked or its last day is over" in gone.text
    assert "Name and password do not fit." in substitute.sign_in("b.substitute", CHOSEN).text
    assert ("account_added", "admin") in noted(floor, "account_added")
    assert ("password_changed", "b.substitute") in noted(floor, "password_changed")


def test_a_forgotten_password_is_replaced_by_one_for_once_and_every_old_sign_in_ends(floor: Floor, admin: Desk) -> None:
    master = Desk(floor)
    master.sign_in("i1", "a password")
    ref = user(floor, "i1").user_ref
    password = once(admin.post(f"/settings/accounts/{ref}/password", page=f"/settings/accounts/{ref}"))
    assert "the password of this account was changed" in master.get("/review").text
    assert "Name and password do not fit." in master.sign_in("i1", "a password").text
    assert "Change the password" in master.sign_in("i1", password).text
    assert "The password is changed." in master.change(password, CHOSEN).text


def test_what_only_a_lead_may_is_refused_to_an_instructor_in_words_and_nothing_changes(floor: Floor) -> None:
    floor.tap("p1")
    wait_for(lambda: floor.entries("session_opened"), what="the session")
    floor.tap("p1")
    time_passes = floor.kiosk.clock
    assert isinstance(time_passes, HandClock)
    wait_for(lambda: _closed(floor, time_passes), what="its end")
    session = floor.entries("session_opened")[0]["seq"]
    lead, instructor = Desk(floor), Desk(floor)
    lead.sign_in("lead", ADMIN)
    instructor.sign_in("i1", "a password")
    assert lead.post(f"/review/{session}", decision="approved").status_code == 200
    (decided,) = floor.entries("session_reviewed")
    answer = instructor.post(f"/review/{session}", decision="rejected", reason="not_present")
    assert "Ask a lead instructor for a second decision." in answer.text
    assert floor.entries("session_reviewed") == [decided]

    assert "Not for this account" in instructor.get("/audit").text
    assert instructor.get("/settings/accounts").status_code == 403
    one, two = (ref_of(floor, each) for each in ("p2", "p7"))
    assert instructor.get(f"/people/{one}/merge/{two}").status_code == 403
    with pytest.raises(Exception, match="leads_only"):
        floor.kiosk.submit(MergePeople("p2", "p7", floor.users["i1"]))
    assert floor.entries("person_merged") == []


def _closed(floor: Floor, clock: HandClock) -> bool:
    clock.move(30_000)
    if not floor.entries("session_closed"):
        floor.tap("p1")
    return bool(floor.entries("session_closed"))


def ref_of(floor: Floor, person_id: str) -> str:
    connection = open_reader(floor.data / "kiosk.db")
    found = people.person_by_id(connection, person_id)
    connection.close()
    assert found is not None
    return found.person_ref


def test_guessing_at_a_password_stops_no_card_at_a_reader(floor: Floor) -> None:
    guesser = Desk(floor)
    while "Too many tries" not in guesser.sign_in("i1", "wrong").text:
        pass
    floor.tap("p2")
    wait_for(lambda: floor.entries("session_opened"), what="the tap that nobody's guesses may keep out")


def test_the_last_administrator_stays_one(floor: Floor, admin: Desk) -> None:
    ref = user(floor, "admin").user_ref
    page = admin.post(f"/settings/accounts/{ref}", role="instructor", until="", person="")
    assert "This is the last administrator without an end date." in page.text
    assert user(floor, "admin").role == "admin"


def test_an_own_pin_opens_the_panel_rules_and_all(floor: Floor) -> None:
    master = Desk(floor)
    master.sign_in("i1", "a password")
    before = user(floor, "i1").pin_hash
    for pin, words in (
        ("1234", "its digits stand in a row"),
        ("12", "four to eight digits"),
        ("0000", "not all the same"),
    ):
        assert words in master.post("/settings/pin", page="/settings", pin=pin, current="a password").text
    assert (
        "The present password is not right."
        in master.post("/settings/pin", page="/settings", pin="9413", current="?").text
    )
    assert user(floor, "i1").pin_hash == before
    assert (
        "The PIN is changed." in master.post("/settings/pin", page="/settings", pin="9413", current="a password").text
    )
    assert HASHER.verify(user(floor, "i1").pin_hash or "", "9413")
    assert PIN != "9413"


def test_an_administrator_takes_a_pin_away_and_the_panel_stays_shut(floor: Floor, admin: Desk) -> None:
    ref = user(floor, "i2").user_ref
    assert (
        "The PIN is taken away." in admin.post(f"/settings/accounts/{ref}/pin", page=f"/settings/accounts/{ref}").text
    )
    assert user(floor, "i2").pin_hash is None


def test_signed_in_devices_are_listed_and_ended_from_another(floor: Floor) -> None:
    office, phone = Desk(floor), Desk(floor)
    office.sign_in("i1", "a password")
    phone.browser.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36"
    phone.sign_in("i1", "a password")
    page = office.get("/settings").text
    assert "Chrome, Android" in page
    device = re.search(r'name="device" value="([^"]+)"', page)
    assert device is not None
    office.post("/settings/devices", page="/settings", device=device[1])
    assert "You were signed out from another device." in phone.get("/review").text
    phone.sign_in("i1", "a password")
    office.post("/settings/devices", page="/settings")
    assert "You were signed out from another device." in phone.get("/review").text
    assert "/logout" in office.get("/review").text


def test_a_new_password_ends_the_other_devices_and_keeps_this_one(floor: Floor) -> None:
    office, phone = Desk(floor), Desk(floor)
    office.sign_in("i3", "a password")
    phone.sign_in("i3", "a password")
    for new, words in (
        ("short", "at least ten characters"),
        ("i3-password-2026", "Others would guess"),
        ("qwertyuiop12", "walks along the keys"),
    ):
        assert words in office.change("a password", new).text
    assert "All other devices are signed out." in office.change("a password", CHOSEN).text
    assert "the password of this account was changed" in phone.get("/review").text
    assert "/logout" in office.get("/review").text


def test_who_did_what_is_listed_narrowed_and_carried_out(floor: Floor, admin: Desk) -> None:
    admin.post("/settings/accounts", name="c.new", role="auditor", until="", person="")
    Desk(floor).sign_in("i1", "wrong")
    page = admin.get("/audit").text
    assert "added an account" in page
    assert "c.new" in page
    assert "wrong password" in page
    ref = user(floor, "i1").user_ref
    narrowed = admin.get(f"/audit?who={ref}").text
    assert '<td data-label="Did">wrong password' in narrowed
    assert '<td data-label="Did">added an account' not in narrowed
    table = admin.get("/audit/acts.csv?kind=account_added").data.decode("utf-8-sig")
    assert table.splitlines()[0] == "When;Who;Did;What;Person;Machine;Session"
    assert ";admin;added an account;c.new;" in table
    assert "made a file" in admin.get("/audit?kind=exported").text


def test_a_backup_is_made_verified_and_fetched_while_the_kiosk_records(floor: Floor, admin: Desk) -> None:
    page = admin.post("/settings/backups")
    assert page.status_code == 200
    made = floor.data / "backups"
    floor.tap("p2")
    wait_for(lambda: floor.entries("session_opened"), what="a tap meanwhile")
    (copy,) = wait_for(lambda: list(made.glob("kiosk-*.db")), 30, "the copy")
    assert copy.stat().st_mode & 0o777 == 0o600
    wait_for(lambda: copy.name in admin.get("/settings/backups").text, what="its row")
    with admin.browser.get(f"/settings/backups/{copy.name}") as answer:
        assert answer.data == copy.read_bytes()
    lead = Desk(floor)
    lead.sign_in("lead", ADMIN)
    assert lead.browser.get(f"/settings/backups/{copy.name}").status_code == 403
    assert admin.browser.get("/settings/backups/kiosk.db").status_code == 404
    assert ("backed_up", "admin") in noted(floor, "backed_up")


def test_a_wrong_pin_at_the_panel_is_listed_like_a_wrong_password(floor: Floor, admin: Desk) -> None:
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin="5937")
    page = admin.get("/audit?kind=sign_in_failed").text
    assert "panel:mill-1" in page
    assert "Smith Jane" in page
    assert "5937" not in page
