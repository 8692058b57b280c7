"""The roster and a person's page: what staff see there, and what becomes of what they change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_web_staff import sign_in, token
from web_fixtures import HOUR, MINUTE, NOON, World, a_review_day, a_world, ref
from werkzeug.test import TestResponse

from kiosk.commands import (
    AssignBadge,
    Command,
    Done,
    EnrolSeen,
    ErasePerson,
    GiveConsent,
    GrantQualification,
    MergePeople,
    NoteAct,
    PersonRow,
    RecordContract,
    RetireBadge,
    SavePerson,
    SignCompetency,
    WithdrawConsent,
)
from kiosk.store import learners, people
from kiosk.store.people import User
from kiosk.store.schema import write
from kiosk.web.apps import create_staff_app
from kiosk.web.people_changes import meant
from kiosk.web.people_frame import age_on
from lab_config.model import Competency

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        with write(made.connection):
            admin = people.user_by_name(made.connection, "lead")
            assert admin is not None
            people.add_user(
                made.connection,
                User(ref("admin"), "admin", "admin", admin.password_hash, None, None, NOON, True),
            )
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


def page(client: FlaskClient, path: str = "/people", language: str = "en") -> TestResponse:
    return client.get(path, headers={"Accept-Language": language}, follow_redirects=True)


def send(client: FlaskClient, path: str, follow: bool = True, **fields: object) -> TestResponse:
    form = {"csrf_token": token(page(client)), **fields}
    return client.post(path, data=form, headers=ENGLISH, follow_redirects=follow)


def one(person: str, rest: str = "") -> str:
    return f"/people/{ref(person)}{rest}"


def asked(world: World) -> list[Command]:
    """What the clerk was asked, but for the notes of who signed in."""
    return [each for each in world.commands if not isinstance(each, NoteAct)]


def names(answer: TestResponse) -> list[str]:
    return re.findall(r'<td class="person"><a href="[^"]+"><bdi>([^<]+)</bdi>', answer.text)


def change(world: World, person: str, **columns: Any) -> None:
    with write(world.connection):
        for column, value in columns.items():
            world.connection.execute(f"UPDATE people SET {column} = ? WHERE person_ref = ?", (value, ref(person)))


# --- the roster ------------------------------------------------------------------------------------------------------


def test_the_roster_stands_by_group_and_in_kazakh_order(client: FlaskClient, world: World) -> None:
    for person, group in (("p1", "Ә-1"), ("p4", "Б-1"), ("p5", "Ә-1"), ("p2", "А-1")):
        change(world, person, grp=group)
    sign_in(client)
    shown = page(client).text
    assert re.findall(r'<h2 id="group-\d+">(?:<bdi>)?([^<]+)', shown) == ["А-1", "Ә-1", "Б-1", "Without a group "]


def test_a_name_is_found_whatever_the_keyboard_and_stands_in_no_address(client: FlaskClient) -> None:
    sign_in(client)
    answer = send(client, "/people/find", follow=False, query="алихан")
    assert names(answer) == ["Сериков Әлихан Маратұлы"]
    assert "лихан" not in re.sub(r"<bdi>.*?</bdi>|value=\"[^\"]*\"|<title.*?</title>", "", answer.text)


def test_an_empty_search_is_the_plain_list_with_its_filters(client: FlaskClient) -> None:
    sign_in(client)
    answer = send(client, "/people/find", follow=False, query=" ", role="instructor")
    assert answer.headers["Location"] == "/people?role=instructor"
    assert names(page(client, "/people?role=instructor")) == ["Ахметов Бауыржан Сапарұлы"]


def test_who_is_off_the_list_is_shown_only_on_request(client: FlaskClient, world: World) -> None:
    change(world, "p2", active=0)
    sign_in(client)
    assert "Ким Виктория" not in names(page(client))
    assert names(page(client, "/people?active=no")) == ["Ким Виктория"]
    assert "Ким Виктория" in names(page(client, "/people?active=all"))


def test_fifty_stand_on_a_page(client: FlaskClient, world: World) -> None:
    with write(world.connection):
        for number in range(60):
            row = PersonRow(f"n{number}", "apprentice", f"Жаңа{number:02}", "А", group="Я-9")
            people.insert_person(world.connection, ref(f"n{number}"), row)
    sign_in(client)
    first, second = page(client, "/people?group=Я-9"), page(client, "/people?group=Я-9&page=2")
    assert (len(names(first)), len(names(second))) == (50, 10)
    assert "Page 1 of 2" in first.text
    found = send(client, "/people/find", query="жаңа", page="2")
    assert len(names(found)) == 10


@pytest.mark.parametrize("asked", ["0", "-1", "x", "99999999999999999999", "²"])
def test_a_page_that_is_not_there_is_one_that_is(client: FlaskClient, asked: str) -> None:
    sign_in(client)
    assert page(client, f"/people?page={asked}").status_code == 200


def test_the_roster_says_hours_age_questions_and_what_ends(client: FlaskClient, world: World) -> None:
    session = world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    change(world, "p1", birth_date="2010-05-21")
    with write(world.connection):
        record = learners.PersonRecord(
            ref("p1"),
            (("briefing:cnc", "2026-11-04"), ("briefing:welding", "2026-10-01")),
            (),
            (learners.QuestionRow(9000, session, ref("p1"), NOON, None),),
        )
        learners.put_person(world.connection, record)
    sign_in(client)
    shown = page(client).text
    row = shown[shown.index("Сериков") :].split("</tr>")[0]
    assert "under 18: 16" in row
    assert "1 question open" in row
    assert "Safety briefing: cnc: <b>6 days left</b>" in row
    assert "Safety briefing: welding: <b>ended on 01.10.2026</b>" in row
    assert "Waiting</b>" not in row
    assert "2:00 h" in row


# --- one person ------------------------------------------------------------------------------------------------------


def test_the_page_shows_each_process_against_the_plan_in_both_kinds_of_hours(client: FlaskClient, world: World) -> None:
    made = a_review_day(world)
    assert made
    sign_in(client)
    shown = page(client, one("p1")).text
    assert "Operating CNC mills and lathes" in shown
    assert "168:45 h" in shown
    assert "225,0 ac. h" in shown
    assert "At this pace" in shown or "There is no pace" in shown


def test_somebody_who_is_not_there_is_a_plain_404(client: FlaskClient) -> None:
    sign_in(client)
    assert page(client, "/people/0123456789abcdef").status_code == 404
    assert page(client, "/people/p1").status_code == 404


def test_an_erased_person_is_told_plainly_without_a_name(client: FlaskClient, world: World) -> None:
    world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    with write(world.connection):
        people.erase_person(world.connection, ref("p1"))
    sign_in(client)
    shown = page(client, one("p1"))
    assert shown.status_code == 200
    assert "This person was erased." in shown.text
    assert "2:00 h" in shown.text
    assert "Сериков" not in shown.text
    for path in ("/edit", "/record.pdf", "/sign/x", "/consent"):
        assert page(client, one("p1", path)).status_code in {404, 405}


def test_a_minor_is_told_with_the_limit_of_the_age(client: FlaskClient, world: World) -> None:
    change(world, "p1", birth_date="2011-10-30")
    session = world.worked("p1", "mill-1", NOON, NOON + HOUR, flags=("minor_limit",))
    sign_in(client)
    shown = page(client, one("p1")).text
    assert "14 years old: at most 24:00 h a week, and none from 22:00 to 06:00." in shown
    assert f'href="/review/{session}"' in shown


def test_sessions_are_turned_fifty_at_a_time(client: FlaskClient, world: World) -> None:
    for number in range(60):
        world.worked("p1", "mill-1", NOON + number * MINUTE, NOON + number * MINUTE + 30_000)
    sign_in(client)
    first = page(client, one("p1", "/sessions")).text
    older = re.search(r'href="([^"]+before=[^"]+)"', first)
    assert first.count('<td class="kept"><a href="/review/') == 50
    assert older is not None
    second = page(client, older[1]).text
    assert second.count('<td class="kept"><a href="/review/') == 10
    for odd in ("x", "1-", "-5", "9" * 40 + "-1"):
        assert page(client, one("p1", f"/sessions?before={odd}")).status_code == 200


@pytest.mark.parametrize(("name", "shown"), [("bauyrzhan", True), ("lead", True), ("admin", True), ("auditor", False)])
def test_card_numbers_are_for_those_who_give_cards(client: FlaskClient, name: str, shown: bool) -> None:
    sign_in(client, name)
    assert ("67003B51C6" in page(client, one("p1")).text) is shown


def test_an_auditor_sees_all_and_is_offered_no_change(client: FlaskClient, world: World) -> None:
    world.worked("p1", "mill-1", NOON, NOON + HOUR)
    sign_in(client, "auditor")
    shown = page(client, one("p1")).text
    assert re.findall(r'<form[^>]+action="([^"]+)"', shown) == ["/logout"]
    assert not re.search(r'href="[^"]*/(edit|merge|erase)"', shown)
    assert "/people/new" not in page(client).text
    for path in ("/edit", "/merge", "/erase"):
        assert page(client, one("p1", path)).status_code == 403
    assert send(client, one("p1", "/consent"), enterprise="x").status_code == 403
    assert send(client, "/people/find", query="Ким").status_code == 200


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("bauyrzhan", "/merge", 403),
        ("lead", "/merge", 200),
        ("admin", "/merge", 200),
        ("lead", "/erase", 403),
        ("admin", "/erase", 200),
        ("bauyrzhan", "/edit", 200),
        ("admin", "/edit", 200),
    ],
)
def test_joining_is_for_leads_and_erasing_for_administrators(
    client: FlaskClient, name: str, path: str, status: int
) -> None:
    sign_in(client, name)
    assert page(client, one("p1", path)).status_code == status


# --- changes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def skilled(tmp_path: Path) -> Iterator[World]:
    from dataclasses import replace

    from web_fixtures import invented_lab, text

    lab = invented_lab()
    skill = Competency("CNC-a", "CNC3", text("Сызбаны оқиды", "Читает чертёж", "Reads drawings"))
    programme = replace(lab.programmes[0], competencies=(skill,))
    with a_world(tmp_path, programmes=(programme,)) as made:
        yield made


def test_a_competency_is_signed_from_here(skilled: World) -> None:
    client = create_staff_app(skilled.services()).test_client()
    sign_in(client)
    answer = send(client, one("p1", "/sign/CNC-a"), follow=False, level="2", note=" neat ")
    assert answer.headers["Location"].endswith("#skill-CNC-a")
    assert asked(skilled) == [SignCompetency(ref("p1"), "CNC-a", 2, ref("bauyrzhan"), "neat", "web")]


def test_every_signature_stays_visible_with_who_and_when(skilled: World) -> None:
    rows = tuple(
        learners.SignOffRow(
            100 + n, ref("p1"), "cnc-operator", "CNC3", "CNC-a", level, ref("bauyrzhan"), NOON, "web", None, None
        )
        for n, level in enumerate((1, 2))
    )
    with write(skilled.connection):
        learners.put_person(skilled.connection, learners.PersonRecord(ref("p1"), (), rows, ()))
    client = create_staff_app(skilled.services()).test_client()
    sign_in(client)
    shown = page(client, one("p1")).text
    assert shown.index("</svg>alone</span>") < shown.index("29.10.2026, 12:00") < shown.index("<b>with help</b>")
    assert "<bdi>Ахметов Бауыржан Сапарұлы</bdi> · in the office" in shown


def test_what_was_typed_stays_where_the_clerk_says_no(skilled: World) -> None:
    client = create_staff_app(skilled.services()).test_client()
    sign_in(client)
    skilled.refuse = "not_recording"
    answer = send(client, one("p1", "/sign/CNC-a"), level="2", note="neat work")
    assert answer.status_code == 422
    assert 'value="neat work"' in answer.text
    assert "The kiosk records nothing now." in answer.text


def test_without_a_level_nothing_is_signed(skilled: World) -> None:
    client = create_staff_app(skilled.services()).test_client()
    sign_in(client)
    assert "Choose a level." in send(client, one("p1", "/sign/CNC-a"), level="7", note="x").text
    assert asked(skilled) == []


def test_a_qualification_is_granted_with_a_last_day_or_for_ever(client: FlaskClient, world: World) -> None:
    sign_in(client)
    send(client, one("p1", "/grant"), qualification="briefing:cnc", until="2027-10-29")
    send(client, one("p1", "/grant"), qualification="qualification:mill", until="")
    by = ref("bauyrzhan")
    assert asked(world) == [
        GrantQualification("p1", "briefing:cnc", "2027-10-29", by),
        GrantQualification("p1", "qualification:mill", None, by),
    ]
    assert "That is no day." in send(client, one("p1", "/grant"), qualification="x", until="31.02.2027").text


def test_consent_and_contract_become_dated_entries(client: FlaskClient, world: World) -> None:
    sign_in(client)
    send(client, one("p1", "/consent"), enterprise="ent-steel", until="2027-06-30")
    send(client, one("p1", "/consent/withdraw"), enterprise="ent-steel")
    send(client, one("p1", "/contract"), enterprise="e", first="2026-09-01", last="", number="Д-1", personnel_number="")
    by = ref("bauyrzhan")
    assert asked(world) == [
        GiveConsent("p1", "ent-steel", "2027-06-30", by),
        WithdrawConsent("p1", "ent-steel", by),
        RecordContract("p1", "e", "2026-09-01", None, "Д-1", None, by),
    ]


def test_a_card_is_given_as_seen_or_by_its_number_and_blocked_by_reference(client: FlaskClient, world: World) -> None:
    world.answers[EnrolSeen] = lambda _: Done((), {"badge_ref": "b", "refused": [{"seq": 1}]})
    sign_in(client)
    said = send(client, one("p1", "/badge/seen"), reader="door", replace="1").text
    send(client, one("p1", "/badge/number"), number="0F00448FB0")
    send(client, one("p1", "/badge/block"), badge=ref("67003B51C6"))
    send(client, one("p1", "/badge/block"), badge=ref("67003B51C7"))  # another's
    by = ref("bauyrzhan")
    assert asked(world) == [
        EnrolSeen("door", "p1", by, True),
        AssignBadge("0F00448FB0", "p1", by),
        RetireBadge(ref("67003B51C6"), by),
    ]
    assert "It was refused 1 time before" in said


def test_an_unknown_card_at_a_reader_is_offered_by_its_place_and_minute(client: FlaskClient, world: World) -> None:
    world.happens(
        "tap_refused",
        reader="door",
        badge_ref="f" * 16,
        person_ref=None,
        machine=None,
        reason="unknown_badge",
        at={},
        missing=[],
        count=1,
    )
    world.now_ms += 3 * MINUTE
    sign_in(client)
    shown = page(client, one("p1")).text
    assert "Unknown card at: door <small>3 minutes ago</small>" in shown


@pytest.mark.parametrize(
    ("typed", "uid", "why"),
    [
        ("67003B51C6", "67003B51C6", ""),
        ("0003887558", "67003B51C6", ""),
        ("0003887559", None, "No reader has seen a card"),
        ("hello", None, "That is no number of a card."),
        ("", None, "That is no number of a card."),
        ("08AABBCC", None, "another number each time"),
    ],
)
def test_a_number_is_what_a_reader_sends_or_what_is_printed(
    client: FlaskClient, typed: str, uid: str | None, why: str
) -> None:
    with client.application.test_request_context("/", headers=ENGLISH):
        found, said = meant(typed, ["67003B51C6"])
    assert found == uid
    assert why in said


def test_two_cards_that_fit_a_printed_number_are_not_guessed_between(client: FlaskClient) -> None:
    with client.application.test_request_context("/", headers=ENGLISH):
        found, said = meant("0003887558", ["67003B51C6", "01003B51C6"])
    assert found is None
    assert "Several cards" in said


# --- the form --------------------------------------------------------------------------------------------------------

TYPED = {
    "person_id": "p77",
    "role": "apprentice",
    "surname": " Әбіл ",
    "given": "Дана",
    "patronymic": "",
    "group": "ТМ-21",
    "language": "kk",
    "birth_date": "2009-03-04",
    "programme": "cnc-operator",
    "personnel_number": "S-9",
}


def test_somebody_new_is_saved_as_a_roster_would(client: FlaskClient, world: World) -> None:
    world.answers[SavePerson] = lambda _: Done((), ref("p1"))
    sign_in(client)
    answer = send(client, "/people/new", follow=False, **TYPED)
    assert answer.headers["Location"] == one("p1")
    row = PersonRow(
        "p77", "apprentice", "Әбіл", "Дана", None, "ТМ-21", True, "kk", "2009-03-04", "cnc-operator", None, "S-9"
    )
    assert asked(world) == [SavePerson(row, ref("bauyrzhan"), new=True)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("person_id", "p 77"),
        ("person_id", ""),
        ("surname", ""),
        ("surname", "А" * 250),
        ("given", "a\x07b"),
        ("birth_date", "2009-02-31"),
        ("language", "tlh"),
        ("role", "king"),
    ],
)
def test_a_field_that_cannot_be_says_so_beside_itself_and_keeps_the_rest(
    client: FlaskClient, world: World, field: str, value: str
) -> None:
    sign_in(client)
    answer = send(client, "/people/new", **{**TYPED, field: value})
    assert answer.status_code == 422
    assert f'id="wrong-{field}"' in answer.text
    assert 'value="ТМ-21"' in answer.text
    assert asked(world) == []


def test_a_change_keeps_what_has_entries_of_its_own(client: FlaskClient, world: World) -> None:
    change(world, "p1", enterprise="ent-steel", contract="Д-1", consent_until="2027-06-30")
    sign_in(client)
    assert 'value="Сериков"' in page(client, one("p1", "/edit")).text
    send(client, one("p1", "/edit"), **{**TYPED, "person_id": "other", "role": "instructor", "active": "yes"})
    (command,) = asked(world)
    assert isinstance(command, SavePerson)
    row = command.row
    assert (row.person_id, row.role, row.surname, row.new if hasattr(row, "new") else None) == (
        "p1",
        "apprentice",
        "Әбіл",
        None,
    )
    assert (row.enterprise, row.contract, row.consent_until, row.active) == ("ent-steel", "Д-1", "2027-06-30", True)


# --- joining and erasing ---------------------------------------------------------------------------------------------


def test_two_rows_are_seen_side_by_side_before_they_are_joined(client: FlaskClient, world: World) -> None:
    world.worked("p1", "mill-1", NOON, NOON + 2 * HOUR)
    world.worked("p2", "mill-1", NOON + 3 * HOUR, NOON + 4 * HOUR)
    sign_in(client, "lead")
    found = send(client, one("p1", "/merge/find"), query="ким")
    assert one("p1", f"/merge/{ref('p2')}") in found.text
    shown = page(client, one("p1", f"/merge/{ref('p2')}")).text
    assert [f"{hours}:00 h" in shown for hours in (1, 2, 3)] == [True] * 3
    send(client, one("p1", f"/merge/{ref('p2')}"), keep=ref("p2"))
    assert asked(world) == [MergePeople("p2", "p1", ref("lead"))]


def test_nobody_is_joined_with_themselves_or_without_a_choice(client: FlaskClient, world: World) -> None:
    sign_in(client, "lead")
    assert page(client, one("p1", f"/merge/{ref('p1')}")).status_code == 404
    assert "Choose which of the two stays." in send(client, one("p1", f"/merge/{ref('p2')}"), keep="x").text
    assert asked(world) == []


def test_an_erasure_wants_the_id_typed(client: FlaskClient, world: World) -> None:
    sign_in(client, "admin")
    assert "Nothing was erased." in send(client, one("p1", "/erase"), person_id="p2").text
    assert asked(world) == []
    send(client, one("p1", "/erase"), person_id=" p1 ")
    assert asked(world) == [ErasePerson("p1", ref("admin"))]


# --- small things ----------------------------------------------------------------------------------------------------


def test_an_age_is_whole_years() -> None:
    from datetime import date

    assert age_on(date(2026, 10, 29), "2008-10-29") == 18
    assert age_on(date(2026, 10, 28), "2008-10-29") == 17
    assert age_on(date(2027, 2, 28), "2008-02-29") == 18
    assert age_on(date(2026, 1, 1), None) is None


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("path", ["/people", one("p1"), one("p1", "/edit"), one("p1", "/merge"), one("p1", "/erase")])
def test_no_page_about_people_has_a_word_in_another_language(world: World, language: str, path: str) -> None:
    from test_web_words import messages, texts

    a_review_day(world)
    client = create_staff_app(world.services()).test_client()
    sign_in(client, "admin")
    client.get(f"/language/{language}")
    answer = client.get(path)
    assert answer.status_code == 200
    english = {each if isinstance(each, str) else each[0] for each in messages()}
    assert set(texts(answer.text)) & english - {"English"} == set()
