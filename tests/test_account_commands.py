"""Accounts: who may change which, the last administrator, and that every change is an act with its author."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_fixtures import Floor, a_floor, refused

from kiosk.commands import AddUser, LinkUser, NoteAct, SaveUser, SetPassword, SetPin
from kiosk.store import acts, people
from kiosk.store.people import User


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


def user(floor: Floor, name: str) -> User:
    found = people.user_by_name(floor.desk.connection, name)
    assert found is not None
    return found


def noted(floor: Floor) -> list[tuple[str, str | None, str]]:
    """(kind, by, subject) of what is beside the ledger, newest first; imports left out."""
    kinds = set(acts.OFFICE_KINDS) - {"imported"}
    return [(act.kind, act.by, act.subject) for act in acts.acts(floor.desk.connection, kinds=sorted(kinds))]


def test_a_first_password_is_to_be_changed_where_somebody_else_chose_it(floor: Floor) -> None:
    floor.ask(AddUser("anna", "lead", "$one", must_change=True))
    assert user(floor, "anna").must_change
    floor.ask(SetPassword("anna", "$two", by=user(floor, "anna").user_ref))
    assert (user(floor, "anna").must_change, user(floor, "anna").password_hash) == (False, "$two")
    floor.ask(SetPassword("anna", "$three", must_change=True))
    assert user(floor, "anna").must_change
    assert not user(floor, "master").must_change


def test_everything_about_an_account_is_saved_at_once(floor: Floor) -> None:
    admin = str(floor.ask(AddUser("boss", "admin", "$hash")).value)
    floor.ask(SaveUser("master", "lead", "2027-01-01", False, "i1", admin))
    saved = user(floor, "master")
    assert (saved.role, saved.until, saved.active, saved.password_hash) == ("lead", "2027-01-01", False, "$hash")
    floor.ask(SaveUser("master", "lead", None, True, None, admin))
    assert (user(floor, "master").until, user(floor, "master").person_ref) == (None, None)


def test_what_an_account_cannot_be_is_refused(floor: Floor) -> None:
    def save(name: str = "master", role: str = "lead", until: str | None = None, person: str | None = None) -> str:
        return refused(floor, SaveUser(name, role, until, True, person, "console"))

    assert save(name="nobody") == "unknown_user"
    assert save(role="king") == "unknown_role"
    assert save(until="soon") == "bad_date"
    assert save(person="p99") == "unknown_person"
    assert refused(floor, AddUser("x", "lead", "$hash", until="31.12.2026")) == "bad_date"
    assert refused(floor, AddUser("master", "lead", "$hash")) == "user_exists"
    assert refused(floor, SetPassword("nobody", "$hash")) == "unknown_user"


def test_somebody_can_always_administer(floor: Floor) -> None:
    boss = str(floor.ask(AddUser("boss", "admin", "$hash")).value)
    for changed in (
        SaveUser("boss", "lead", None, True, None, boss),
        SaveUser("boss", "admin", None, False, None, boss),
        SaveUser("boss", "admin", "2030-01-01", True, None, boss),
    ):
        assert refused(floor, changed) == "last_admin"
    floor.ask(AddUser("guest", "admin", "$hash", until="2030-01-01"))
    assert refused(floor, SaveUser("boss", "lead", None, True, None, boss)) == "last_admin"
    floor.ask(AddUser("other", "admin", "$hash"))
    floor.ask(SaveUser("boss", "lead", None, True, None, boss))
    assert user(floor, "boss").role == "lead"


def test_only_administrators_change_the_accounts_of_others(floor: Floor) -> None:
    floor.ask(AddUser("anna", "lead", "$hash"))
    for asked in (
        AddUser("new", "auditor", "$hash", by=floor.by),
        SaveUser("anna", "admin", None, True, None, floor.by),
        LinkUser("anna", "i1", floor.by),
        SetPassword("anna", "$mine", by=floor.by),
        SetPin("anna", "$pin", floor.by),
    ):
        assert refused(floor, asked) == "needs_admin"
    floor.ask(SetPassword("master", "$own", by=floor.by))
    floor.ask(SetPin("master", "$own", floor.by))
    assert user(floor, "master").pin_hash == "$own"


def test_every_change_of_an_account_is_an_act_with_its_author_and_without_a_name(floor: Floor) -> None:
    admin = str(floor.ask(AddUser("boss", "admin", "$hash")).value)
    anna = str(floor.ask(AddUser("anna", "lead", "$hash", by=admin)).value)
    floor.ask(SaveUser("anna", "lead", None, True, None, admin))
    floor.ask(LinkUser("anna", "i1"))
    floor.ask(SetPassword("anna", "$new", by=anna))
    floor.ask(SetPin("anna", "$pin", admin))
    floor.ask(NoteAct("signed_in", anna, "10.0.0.7"))
    assert noted(floor)[:7] == [
        ("signed_in", anna, "10.0.0.7"),
        ("pin_changed", admin, anna),
        ("password_changed", anna, anna),
        ("account_changed", "console", anna),
        ("account_changed", admin, anna),
        ("account_added", admin, anna),
        ("account_added", "console", admin),
    ]


def test_nobody_notes_as_an_act_what_only_the_ledger_may_tell(floor: Floor) -> None:
    assert refused(floor, NoteAct("session_reviewed", floor.by)) == "unknown_act"
    assert refused(floor, NoteAct("whatever", None)) == "unknown_act"
