"""Who may do what on the staff side: every path there is, asked by every role and by nobody (contract, section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from web_fixtures import HASH, NOON, World, a_world, ref
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Rule

from kiosk.store import people
from kiosk.store.people import User
from kiosk.store.schema import write
from kiosk.web.apps import create_staff_app
from tests.test_web_staff import sign_in

ALL = {"instructor", "lead", "admin", "auditor"}
TEACHERS, OFFICE, HEADS, ADMINS = {"instructor", "lead"}, ALL - {"auditor"}, {"lead", "admin"}, {"admin"}
NONE: set[str] = set()

# The longest beginning of a path decides: who may look, and who may change something.
PATHS: dict[str, tuple[set[str], set[str]]] = {
    "/logout": (NONE, ALL),
    "/password": (ALL, ALL),
    "/settings": (ALL, ALL),
    "/settings/pin": (NONE, TEACHERS),
    "/settings/accounts": (ADMINS, ADMINS),
    "/settings/backups": (ADMINS, ADMINS),
    "/audit": (ALL - {"instructor"}, NONE),
    "/screens": (OFFICE, OFFICE),
    "/review": (ALL, TEACHERS),
    "/board": (ALL, TEACHERS),
    "/machines": (ALL, TEACHERS),
    "/people": (ALL, OFFICE),
    "/people/import": (OFFICE, OFFICE),
    "/people/find": (NONE, ALL),
    "/people/new": (OFFICE, OFFICE),
    "/people/<ref>/edit": (OFFICE, OFFICE),
    "/people/<ref>/sign": (NONE, TEACHERS),
    "/people/<ref>/grant": (NONE, TEACHERS),
    "/people/<ref>/badge/seen": (NONE, TEACHERS),
    "/people/<ref>/merge": (HEADS, HEADS),
    "/people/<ref>/erase": (ADMINS, ADMINS),
    "/briefings": (ALL, NONE),
    "/briefings/hold": (TEACHERS, TEACHERS),
    "/programmes": (ALL, NONE),
    "/programmes/import": (HEADS, HEADS),
    "/sync": (ALL, NONE),
    "/reports": (ALL, ALL),
}
OPEN = {"/", "/login", "/language/<code>", "/static/<path:filename>"}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
LOOKING = {"GET", "HEAD", "OPTIONS"}
VALUES = {"int": "1", "string": "0123456789abcdef", "default": "0123456789abcdef", "path": "css/staff.css"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        with write(made.connection):
            for role in sorted(ALL):
                people.add_user(
                    made.connection, User(ref(f"a {role}"), f"a-{role}", role, HASH, None, None, NOON, True)
                )
            fresh = User(ref("fresh"), "fresh", "admin", HASH, None, None, NOON, True, must_change=True)
            people.add_user(made.connection, fresh)
        yield made


@pytest.fixture
def app(world: World) -> Flask:
    return create_staff_app(world.services())


def rules(app: Flask) -> list[Rule]:
    """One for each path, whatever its methods."""
    return list({rule.rule: rule for rule in app.url_map.iter_rules() if plain(rule) not in OPEN}.values())


def methods(app: Flask, path: Rule) -> set[str]:
    """All that a path takes."""
    return {each for rule in app.url_map.iter_rules() if rule.rule == path.rule for each in rule.methods or ()}


def taker(app: Flask, method: str, path: str) -> Rule | None:
    """Whose request this is; None where nobody takes this method."""
    try:
        return app.url_map.bind("localhost").match(path, method, return_rule=True)[0]
    except MethodNotAllowed:
        return None


def plain(rule: Rule) -> str:
    """`/people/<ref>`: the rule without what a value must look like."""
    return rule.rule if rule.rule in OPEN else re.sub(r"<[^>]*?(\w+)>", r"<\1>", rule.rule)


def told(rule: Rule) -> tuple[set[str], set[str]] | None:
    """What the table says of a path: its longest entry, in whole pieces."""
    pieces = plain(rule).rstrip("/").split("/")
    beginnings = ("/".join(pieces[:length]) for length in range(len(pieces), 1, -1))
    return next((PATHS[each] for each in beginnings if each in PATHS), None)


def address(rule: Rule) -> str:
    """The path with values in it that nothing has."""
    return re.sub(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>", lambda found: VALUES[found[1] or "default"], rule.rule)


@cache
def token(client: FlaskClient) -> str:
    """What the forms of this sign-in carry."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert found is not None
    return found[1]


def ask(client: FlaskClient, method: str, path: str, with_token: bool = True) -> int:
    headers = {"X-CSRFToken": token(client)} if with_token and method not in LOOKING else {}
    with client.open(path, method=method, headers=headers) as answer:
        return answer.status_code


def signed_in(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    assert sign_in(client, name).status_code == 302
    return client


def test_the_table_names_every_path_and_no_other(app: Flask) -> None:
    assert [plain(rule) for rule in rules(app) if told(rule) is None] == []
    everything = {plain(rule) for rule in rules(app)}
    assert [each for each in PATHS if not any((known + "/").startswith(each + "/") for known in everything)] == []


@pytest.mark.parametrize("role", sorted(ALL))
def test_each_role_may_what_the_table_says_and_nothing_else(app: Flask, world: World, role: str) -> None:
    client = signed_in(app, f"a-{role}")
    wrong = []
    for rule, method in product(rules(app), METHODS):
        found = taker(app, method, address(rule))
        if found is not None and found.endpoint == "login.leave":
            continue
        look, change = (told(found) if found else None) or (NONE, NONE)
        status = ask(client, method, address(rule))
        if found is None:
            fine = status == 405
        elif method == "OPTIONS":
            fine = status in {200, 403}  # it says which methods there are, and nothing else
        elif role in (look if method in LOOKING else change):
            fine = status not in {401, 403, 405, 500}
        else:
            fine = status == 403
        if not fine:
            wrong.append(f"{method} {rule.rule}: {status}")
    assert not wrong, "\n".join(wrong)


def test_nobody_sees_or_changes_anything_without_an_account(app: Flask, world: World) -> None:
    client = app.test_client()
    wrong = []
    for rule in rules(app):
        for path in (address(rule), address(rule).rstrip("/") + "/"):
            for method in METHODS:
                with client.open(path, method=method) as answer:
                    to_login = answer.status_code == 302 and answer.headers["Location"].startswith("/login?next=")
                    shut = (
                        to_login
                        or answer.status_code in {308, 401, 404, 405}
                        or (answer.status_code == 400 and method not in LOOKING)
                    )
                    if not shut or "<bdi>" in answer.text:
                        wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert world.commands == []


@pytest.mark.parametrize("role", sorted(ALL))
def test_no_form_is_taken_without_its_token_whoever_sends_it(app: Flask, world: World, role: str) -> None:
    client = signed_in(app, f"a-{role}")
    taken = [
        f"{method} {rule.rule}: {status}"
        for rule in rules(app)
        for method in methods(app, rule) - LOOKING
        if (status := ask(client, method, address(rule), with_token=False)) not in {400, 403}
    ]
    assert taken == []
    assert world.commands == []


def test_until_the_own_password_is_chosen_every_page_leads_to_it(app: Flask, world: World) -> None:
    client = signed_in(app, "fresh")
    others = [rule for rule in rules(app) if plain(rule) not in {"/password", "/logout"}]
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/password").text)
    assert csrf is not None
    wrong = []
    for rule in others:
        for method in methods(app, rule):
            answer = client.open(address(rule), method=method, headers={"X-CSRFToken": csrf[1]})
            if (answer.status_code, answer.headers.get("Location")) != (303, "/password"):
                wrong.append(f"{method} {rule.rule}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert world.commands == []


def test_what_the_table_of_the_program_does_not_name_is_shut(app: Flask) -> None:
    from kiosk.web.access import ROOMS, allowed

    assert allowed("attic.door", "GET") == frozenset()
    assert {rule.endpoint.partition(".")[0] for rule in rules(app)} <= set(ROOMS)
