"""What becomes of what staff change about a person: signatures, papers, cards, the form, joining, erasing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from people_fixtures import ENGLISH, a_college, asked, one, page, send
from test_web_staff import sign_in
from web_fixtures import HOUR, MINUTE, NOON, World, ref

from kiosk.commands import (
    AssignBadge,
    Done,
    EnrolSeen,
    ErasePerson,
    GiveConsent,
    GrantQualification,
    MergePeople,
    PersonRow,
    RecordContract,
    RetireBadge,
    SavePerson,
    SignCompetency,
    WithdrawConsent,
)
from kiosk.reports.person import make_record
from kiosk.store import learners
from kiosk.store.schema import write
from kiosk.web.apps import create_staff_app
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.jobs import FOLDER
from kiosk.web.people_changes import meant


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_college(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_competency_is_signed_from_here(client: FlaskClient, world: World) -> None:
    sign_in(client)
    answer = send(client, one("p1", "/sign/CNC-a"), follow=False, level="2", note=" neat ")
    assert answer.headers["Location"].endswith("#skill-CNC-a")
    assert asked(world) == [SignCompetency(ref("p1"), "CNC-a", 2, ref("bauyrzhan"), "neat", "web")]


def test_every_signature_stays_visible_with_who_and_when(client: FlaskClient, world: World) -> None:
    rows = tuple(
        learners.SignOffRow(
            100 + n, ref("p1"), "cnc-operator", "CNC3", "CNC-a", level, ref("bauyrzhan"), NOON, "web", None, None
        )
        for n, level in enumerate((1, 2))
    )
    with write(world.connection):
        learners.put_person(world.connection, learners.PersonRecord(ref("p1"), (), rows, ()))
    sign_in(client)
    shown = page(client, one("p1")).text
    assert shown.index("</svg>alone</span>") < shown.index("29.10.2026, 12:00") < shown.index("<b>with help</b>")
    assert "<bdi>Ахметов Бауыржан Сапарұлы</bdi> · in the office" in shown


def test_what_was_typed_stays_where_the_clerk_says_no(client: FlaskClient, world: World) -> None:
    sign_in(client)
    world.refuse = "not_recording"
    answer = send(client, one("p1", "/sign/CNC-a"), level="2", note="neat work")
    assert answer.status_code == 422
    assert 'value="neat work"' in answer.text
    assert "The kiosk records nothing now." in answer.text


def test_without_a_level_nothing_is_signed(client: FlaskClient, world: World) -> None:
    sign_in(client)
    assert "Choose a level." in send(client, one("p1", "/sign/CNC-a"), level="7", note="x").text
    assert asked(world) == []


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


def test_a_change_keeps_the_id_and_the_role(client: FlaskClient, world: World) -> None:
    sign_in(client)
    assert 'value="Сериков"' in page(client, one("p1", "/edit")).text
    send(client, one("p1", "/edit"), **{**TYPED, "person_id": "other", "role": "instructor", "active": "yes"})
    (command,) = asked(world)
    assert isinstance(command, SavePerson)
    row = command.row
    assert not command.new
    assert (row.person_id, row.role, row.surname) == ("p1", "apprentice", "Әбіл")
    assert row.active


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


def test_files_that_may_name_who_is_erased_go_with_the_name_whoever_had_them_made(
    client: FlaskClient, world: World, tmp_path: Path
) -> None:
    jobs = jobs_of_app(client.application)
    about = (world.database, world.lab, world.now_ms, ref("p1"), "en")
    job = jobs.start("Record of training", "somebody", make_record, about, filename="record.pdf")
    jobs.wait(job, 30)
    assert jobs.file("somebody", job) is not None
    sign_in(client, "admin")
    send(client, one("p1", "/erase"), person_id="p1")
    assert jobs.file("somebody", job) is None
    assert [*(tmp_path / FOLDER).iterdir()] == []
