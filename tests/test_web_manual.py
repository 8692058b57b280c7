"""What instructors do about sessions besides deciding, through the pages and the real desk behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_clerk import Workshop
from test_web_staff import token
from web_fixtures import HASH, PASSWORD
from werkzeug.test import TestResponse

from kiosk import office, phrases
from kiosk.commands import (
    AddUser,
    CommandRefused,
    DateBoot,
    EnterManual,
    GrantQualification,
    LockMachine,
)
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.store import people, views
from kiosk.web.apps import create_staff_app
from kiosk.web.services import KioskStatus, Services
from lab_config.model import LANGUAGES
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, ledger, of_type, small_lab

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
ENGLISH = {"Accept-Language": "en"}
BY_HAND = {
    "person": "p1",
    "machine": "mill-1",
    "process": "CNC3",
    "start": "2026-11-18T08:00",
    "end": "2026-11-18T10:30",
    "reason": "kiosk_down",
    "text": "power cut",
}
"""The workshop's clock begins on Wednesday, 18 November 2026, 16:06 (UTC+5)."""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    for name, role, person in (("qanat", "instructor", "i1"), ("lead", "lead", None), ("own", "instructor", "p1")):
        made.ask(AddUser(name, role, HASH, person))
    for role in ("auditor", "admin"):
        made.ask(AddUser(role, role, HASH))
    yield made
    made.desk.close()


@pytest.fixture
def client(workshop: Workshop) -> FlaskClient:
    return client_of(workshop)


def client_of(workshop: Workshop, name: str = "qanat") -> FlaskClient:
    """Somebody signed in, on the pages of this workshop."""
    services = Services(
        lab=small_lab(workshop.folder / "lab"),
        database=workshop.data / "kiosk.db",
        submit=workshop.ask,
        wall_ms=lambda: workshop.clock.wall_ms(),  # noqa: PLW0108 - a restart brings another clock
        status=lambda: KioskStatus(recording=True),
        secret_key=b"k" * 32,
    )
    client = create_staff_app(services).test_client()
    page = client.get("/login", headers=ENGLISH)
    client.post("/login", data={"csrf_token": token(page), "name": name, "password": PASSWORD})
    return client


def review(client: FlaskClient) -> str:
    return client.get("/review", headers=ENGLISH).text


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    fields["csrf_token"] = token(client.get("/review", headers=ENGLISH))
    return client.post(path, data=fields, follow_redirects=True, headers=ENGLISH)


def user_ref(workshop: Workshop, name: str) -> str:
    user = people.user_by_name(workshop.desk.connection, name)
    assert user is not None
    return user.user_ref


def rows(workshop: Workshop) -> list[views.SessionView]:
    return views.sessions_of_dates(workshop.desk.connection, "0000", "9999")


def entry(workshop: Workshop, **changed: Any) -> EnterManual:
    """Two hours of this morning, by an account."""
    now_ms = workshop.clock.wall_ms()
    values = {
        "person_id": "p1",
        "machine": "mill-1",
        "process": "CNC3",
        "start_ms": now_ms - 3 * HOUR_MS,
        "end_ms": now_ms - HOUR_MS,
        "by": user_ref(workshop, "qanat"),
        "reason": "kiosk_down",
    }
    return EnterManual(**{**values, **changed})


# --- hours by hand ---------------------------------------------------------------------------------------------------


def test_hours_by_hand_are_entered_as_stated_and_wait_for_a_decision(client: FlaskClient, workshop: Workshop) -> None:
    answer = post(client, "/review/by-hand", **BY_HAND)
    assert "Entered. It waits for a decision." in answer.text
    (row,) = rows(workshop)
    assert (row.presence_ms, row.credited_ms, row.evidence) == (150 * MINUTE_MS, 150 * MINUTE_MS, "manual")
    assert (row.review, row.machine, row.process, row.local_date) == ("pending", "mill-1", "CNC3", "2026-11-18")
    assert "Entered by hand by: qanat. The kiosk did not work: power cut" in answer.text
    assert "power cut" not in str(ledger(workshop.data))


def test_who_entered_them_may_decide_and_both_entries_say_who(client: FlaskClient, workshop: Workshop) -> None:
    post(client, "/review/by-hand", **BY_HAND)
    session = rows(workshop)[0].session
    assert "Approved." in post(client, f"/review/{session}", decision="approved").text
    by = user_ref(workshop, "qanat")
    assert of_type(workshop.data, "manual_session_entered")[0]["by"] == by
    assert of_type(workshop.data, "session_reviewed")[0]["by"] == by
    assert rows(workshop)[0].evidence == "manual"


def test_the_machines_states_are_not_shown_as_evidence_of_hours_by_hand(
    client: FlaskClient, workshop: Workshop
) -> None:
    post(client, "/review/by-hand", **BY_HAND)
    page = client.get(f"/review/{rows(workshop)[0].session}", headers=ENGLISH).text
    assert "entered by hand" in page
    assert 'class="strip"' not in page


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"end": ""}, "Write both times"),
        ({"start": "yesterday"}, "Write both times"),
        ({"reason": ""}, "Choose a reason."),
        ({"reason": "forgot_tap"}, "Choose a reason."),
        ({"end": "2026-11-18T07:59"}, "The end must come after the beginning"),
        ({"end": "2026-11-18T16:07"}, "both must have passed"),
        ({"start": "2026-11-17T08:00"}, "longer than a session may be"),
        ({"machine": "mill-9"}, "That machine is not in the workshop"),
        ({"process": "WELD"}, "That work process is not in the plan."),
        ({"person": "p9"}, "That person is not on the list"),
    ],
)
def test_what_cannot_be_entered_is_said_in_words_and_stays_on_the_page(
    client: FlaskClient, workshop: Workshop, changed: dict[str, str], words: str
) -> None:
    answer = post(client, "/review/by-hand", **{**BY_HAND, **changed})
    assert words in answer.text
    assert answer.status_code == 422
    assert 'value="power cut"' in answer.text
    assert rows(workshop) == []


def test_nobody_is_credited_twice_for_an_hour(client: FlaskClient) -> None:
    post(client, "/review/by-hand", **BY_HAND)
    assert "Nobody is credited twice." in post(client, "/review/by-hand", **BY_HAND).text


def test_nobody_enters_hours_of_their_own(workshop: Workshop) -> None:
    with pytest.raises(CommandRefused, match="own_session"):
        workshop.ask(entry(workshop, by=user_ref(workshop, "own")))
    assert 'value="p1"' not in review(client_of(workshop, "own"))


def test_only_active_apprentices_are_offered_by_name(client: FlaskClient, workshop: Workshop) -> None:
    page = review(client)
    assert f'<option value="{PYOTR.person_id}">Иванов Пётр</option>' in page
    assert f'value="{MASTER.person_id}"' not in page


def test_a_text_nobody_could_enter_leaves_nothing_behind(workshop: Workshop) -> None:
    with pytest.raises(CommandRefused, match="not_past"):
        workshop.ask(entry(workshop, end_ms=workshop.clock.wall_ms() + 1, text="too soon"))
    assert workshop.desk.connection.execute("SELECT count(*) FROM texts").fetchone() == (0,)


def test_hours_by_hand_survive_a_rebuild(client: FlaskClient, workshop: Workshop) -> None:
    post(client, "/review/by-hand", **BY_HAND)
    workshop.desk.close()
    assert office.rebuild(workshop.data).same


# --- a boot without a clock ------------------------------------------------------------------------------------------


def a_lesson_without_a_clock(workshop: Workshop) -> views.SessionView:
    """The kiosk comes back with a clock of 2020 that nobody sets."""
    away_ms = 1_600_000_000_000 - workshop.clock.wall_ms()
    workshop.restart("boot-2", away_ms, synced=False)
    return workshop.lesson(minutes=30)


def test_a_session_of_an_unset_clock_is_dated_with_all_of_its_boot(client: FlaskClient, workshop: Workshop) -> None:
    first = a_lesson_without_a_clock(workshop)
    workshop.clock.move(HOUR_MS)
    second = workshop.lesson(minutes=30)
    assert "clock_uncertain" in first.flags
    assert "Say when it was" in review(client)
    answer = post(client, f"/review/{first.session}/began", began="2026-11-19T08:05")
    assert "Dated. The session began: Thursday, 19.11.2026, 08:05" in answer.text
    dated = {row.session: row for row in rows(workshop)}
    assert dated[second.session].start_ms - dated[first.session].start_ms == 90 * MINUTE_MS
    assert {row.local_date for row in dated.values()} == {"2026-11-19"}
    assert not any("clock_uncertain" in row.flags for row in dated.values())
    anchor = of_type(workshop.data, "clock_anchored")[-1]
    assert (anchor["source"], anchor["by"]) == ("instructor", user_ref(workshop, "qanat"))


def test_a_boot_is_dated_once(client: FlaskClient, workshop: Workshop) -> None:
    session = a_lesson_without_a_clock(workshop).session
    post(client, f"/review/{session}/began", began="2026-11-19T08:05")
    assert "has a certain date already" in post(client, f"/review/{session}/began", began="2026-11-20T08:05").text
    assert len([each for each in of_type(workshop.data, "clock_anchored") if each["source"] == "instructor"]) == 1


@pytest.mark.parametrize("began", ["2026-11-17T08:05", "2020-09-13T17:26"])
def test_a_boot_cannot_be_dated_before_the_one_that_came_before_it(
    client: FlaskClient, workshop: Workshop, began: str
) -> None:
    session = a_lesson_without_a_clock(workshop).session
    assert (
        "the kiosk knows what happened before and after" in post(client, f"/review/{session}/began", began=began).text
    )


def test_a_boot_cannot_be_dated_after_the_next_one_or_after_now(workshop: Workshop) -> None:
    session = a_lesson_without_a_clock(workshop).session
    workshop.restart("boot-3", 1_795_500_000_000 - workshop.clock.wall_ms())
    by = user_ref(workshop, "qanat")
    for late_ms in (-28 * MINUTE_MS, HOUR_MS):
        with pytest.raises(CommandRefused, match="out_of_order"):
            workshop.ask(DateBoot(session, 1_795_500_000_000 + late_ms, by))
    workshop.ask(DateBoot(session, 1_795_500_000_000 - 31 * MINUTE_MS, by))


@pytest.mark.parametrize("began", ["", "08:05", "2026-13-01T08:05", "0000-01-01T00:00", "x" * 500])
def test_a_beginning_that_is_no_date_and_time_is_asked_for_again(
    client: FlaskClient, workshop: Workshop, began: str
) -> None:
    session = a_lesson_without_a_clock(workshop).session
    assert "Write the date and the time." in post(client, f"/review/{session}/began", began=began).text


def test_a_session_with_a_certain_date_is_not_asked_for_one(client: FlaskClient, workshop: Workshop) -> None:
    session = workshop.lesson().session
    assert "Say when it was" not in client.get(f"/review/{session}", headers=ENGLISH).text


# --- closing, locking, granting --------------------------------------------------------------------------------------


def test_an_open_session_is_closed_now_and_says_who_did_it(client: FlaskClient, workshop: Workshop) -> None:
    workshop.tap(AIGERIM)
    workshop.clock.move(20 * MINUTE_MS)
    session = rows(workshop)[0].session
    assert f"/review/{session}/close" in client.get("/board", headers=ENGLISH).text
    assert "Closed." in post(client, f"/review/{session}/close", back="board").text
    (row,) = rows(workshop)
    assert (row.reason, row.closed_by, row.presence_ms) == ("closed_by_instructor", "other", 20 * MINUTE_MS)
    assert of_type(workshop.data, "session_closed")[0]["by"] == user_ref(workshop, "qanat")
    assert "The session has ended already." in post(client, f"/review/{session}/close").text
    assert "There is no such session" in post(client, "/review/99999/close").text


def test_nobody_closes_or_dates_their_own_session(workshop: Workshop) -> None:
    own = client_of(workshop, "own")
    workshop.tap(AIGERIM)
    session = rows(workshop)[0].session
    assert f"/review/{session}/close" not in own.get("/board", headers=ENGLISH).text
    assert "Nobody decides on their own sessions." in post(own, f"/review/{session}/close").text
    assert "Nobody decides on their own sessions." in post(own, f"/review/{session}/began", began=BY_HAND["start"]).text


def test_a_machine_is_locked_for_the_next_and_given_back(workshop: Workshop) -> None:
    by = user_ref(workshop, "lead")
    workshop.ask(LockMachine("mill-1", True, by))
    workshop.tap(AIGERIM)
    assert of_type(workshop.data, "tap_refused")[0]["reason"] == "machine_locked"
    workshop.ask(LockMachine("mill-1", False, by))
    workshop.clock.move(MINUTE_MS)
    workshop.tap(AIGERIM)
    assert len(rows(workshop)) == 1
    with pytest.raises(CommandRefused, match="unknown_machine"):
        workshop.ask(LockMachine("mill-9", True, by))


def test_a_qualification_is_granted_until_a_day_and_to_nobody_by_themselves(workshop: Workshop) -> None:
    by = user_ref(workshop, "lead")
    workshop.ask(GrantQualification("p1", "briefing:cnc", "2027-01-31", by))
    granted = of_type(workshop.data, "qualification_granted")[0]
    assert (granted["qualification"], granted["until"], granted["by"]) == ("briefing:cnc", "2027-01-31", by)
    with pytest.raises(CommandRefused, match="bad_date"):
        workshop.ask(GrantQualification("p1", "briefing:cnc", "31.01.2027", by))
    with pytest.raises(CommandRefused, match="own_session"):
        workshop.ask(GrantQualification("p1", "briefing:cnc", None, user_ref(workshop, "own")))


# --- who may ---------------------------------------------------------------------------------------------------------

FORMS = ("/review/by-hand", "/review/1/began", "/review/1/close")


@pytest.mark.parametrize("name", ["auditor", "admin"])
def test_auditors_and_administrators_see_no_form_and_are_sent_away(workshop: Workshop, name: str) -> None:
    workshop.tap(AIGERIM)
    a_lesson_without_a_clock(workshop)
    client = client_of(workshop, name)
    page = review(client) + client.get("/board", headers=ENGLISH).text
    assert not any(words in page for words in ("Enter by hand", "Say when it was", "Close this session"))
    size = len(ledger(workshop.data))
    assert [post(client, path, **BY_HAND).status_code for path in FORMS] == [403] * 3
    assert len(ledger(workshop.data)) == size


@pytest.mark.parametrize("name", ["auditor", "admin"])
def test_the_clerk_refuses_them_too_whatever_page_let_them_through(workshop: Workshop, name: str) -> None:
    by = user_ref(workshop, name)
    for command in (entry(workshop, by=by), DateBoot(1, 1, by), LockMachine("mill-1", True, by)):
        with pytest.raises(CommandRefused, match="not_instructor"):
            workshop.ask(command)


def test_a_lead_may_and_a_badge_owner_without_that_role_may_not(workshop: Workshop) -> None:
    assert "Entered." in post(client_of(workshop, "lead"), "/review/by-hand", **BY_HAND).text
    apprentice = people.person_by_id(workshop.desk.connection, "p2")
    assert apprentice is not None
    with pytest.raises(CommandRefused, match="not_instructor"):
        workshop.ask(entry(workshop, by=apprentice.person_ref))


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_token_changes_nothing(client: FlaskClient, workshop: Workshop, path: str) -> None:
    size = len(ledger(workshop.data))
    assert client.post(path, data=BY_HAND).status_code == 400
    assert len(ledger(workshop.data)) == size


def test_without_an_account_there_is_only_the_login(client: FlaskClient) -> None:
    post(client, "/logout")
    page = client.get("/login", headers=ENGLISH)
    for path in FORMS:
        answer = client.post(path, data={**BY_HAND, "csrf_token": token(page)})
        assert answer.status_code == 401
        assert 'action="/login"' in answer.text


# --- words -----------------------------------------------------------------------------------------------------------


def test_every_reason_has_its_words() -> None:
    assert tuple(phrases.MANUAL_REASON_WORDS) == MANUAL_REASONS


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_carry_no_inline_script_or_style(workshop: Workshop, language: str) -> None:
    a_lesson_without_a_clock(workshop)
    workshop.tap(PYOTR)
    page = client_of(workshop).get("/review", headers={"Accept-Language": language}).text
    assert 'action="/review/by-hand"' in page
    assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", page)
