"""Two people have the form of one person open: nobody's change is lost unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from staff_fixtures import Staff, lab_with_briefings
from werkzeug.test import TestResponse

from kiosk.store import people
from kiosk.store.people import Person


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = Staff(tmp_path, lab_with_briefings(tmp_path))
    yield made
    made.close()


def form(page: TestResponse) -> dict[str, str]:
    """What a browser would send of the person's form as it stands."""
    html = page.text.partition('<form class="sheet fields"')[2].partition("</form>")[0]
    fields = {}
    for tag in re.findall(r"<input[^>]*>", html):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if found.get("type") != "checkbox" or " checked" in tag:
            fields[found["name"]] = unescape(found.get("value", ""))
    for name, options in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[name] = unescape(chosen[1]) if chosen else ""
    return fields


def opened(staff: Staff, client: FlaskClient) -> tuple[str, dict[str, str]]:
    path = f"/people/{staff.ref('p1')}/edit"
    return path, form(client.get(path))


def known(staff: Staff) -> Person:
    found = people.person_by_id(staff.desk.connection, "p1")
    assert found is not None
    return found


def test_the_second_is_told_and_sees_both_values_and_may_then_decide(staff: Staff) -> None:
    first, second = staff.client("lead"), staff.client("admin")
    path, theirs = opened(staff, first)
    _, mine = opened(staff, second)
    assert first.post(path, data={**theirs, "group": "ТМ-1", "language": "ru"}).status_code == 302
    page = second.post(path, data={**mine, "group": "ТМ-2", "given": "Айгүл"})
    assert page.status_code == 409
    assert "Somebody else changed this person while you were writing. Nothing was saved" in page.text
    assert "Somebody else wrote: ТМ-1" in page.text
    assert "Somebody else changed this. Before: none" in page.text
    assert (known(staff).group, known(staff).given) == ("ТМ-1", "Айгерім")
    again = form(page)
    assert (again["group"], again["given"], again["language"]) == ("ТМ-2", "Айгүл", "ru")
    assert second.post(path, data=again).status_code == 302
    assert (known(staff).group, known(staff).given, known(staff).language) == ("ТМ-2", "Айгүл", "ru")


def test_the_version_survives_a_field_that_was_typed_wrong(staff: Staff) -> None:
    first, second = staff.client("lead"), staff.client("admin")
    path, theirs = opened(staff, first)
    _, mine = opened(staff, second)
    wrong = second.post(path, data={**mine, "birth_date": "soon"})
    assert wrong.status_code == 422
    first.post(path, data={**theirs, "group": "ТМ-1"})
    assert second.post(path, data={**form(wrong), "birth_date": ""}).status_code == 409


def test_a_form_that_does_not_say_what_it_was_filled_with_is_shown_again(staff: Staff) -> None:
    client = staff.client("lead")
    path, mine = opened(staff, client)
    bare = {name: value for name, value in mine.items() if not name.startswith(("seen", "was-"))}
    assert client.post(path, data={**bare, "group": "ТМ-1"}).status_code == 409


def test_a_contract_recorded_meanwhile_is_no_other_persons_change_and_is_kept(staff: Staff) -> None:
    client = staff.client("lead")
    path, mine = opened(staff, client)
    page = client.get(f"/people/{staff.ref('p1')}")
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert csrf is not None
    contract = {"csrf_token": csrf[1], "enterprise": "ent-steel", "first": "2026-01-01", "last": "", "number": "Д-9"}
    assert client.post(f"/people/{staff.ref('p1')}/contract", data=contract).status_code == 302
    assert client.post(path, data={**mine, "group": "ТМ-1"}).status_code == 302
    assert (known(staff).contract, known(staff).group) == ("Д-9", "ТМ-1")
