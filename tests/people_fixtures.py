"""What tests of the pages about people share: an administrator, a browser's words, addresses by person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from test_web_staff import token
from web_fixtures import HASH, NOON, World, a_world, invented_lab, ref, text
from werkzeug.test import TestResponse

from kiosk.commands import Command, NoteAct
from kiosk.store import people
from kiosk.store.people import User
from kiosk.store.schema import write
from lab_config.model import Competency

ENGLISH = {"Accept-Language": "en"}


@contextmanager
def a_college(folder: Path) -> Iterator[World]:
    """The invented workshop with an administrator and one competency to sign."""
    lab = invented_lab()
    skill = Competency("CNC-a", "CNC3", text("Сызбаны оқиды", "Читает чертёж", "Reads drawings"))
    with a_world(folder, programmes=(replace(lab.programmes[0], competencies=(skill,)),)) as made:
        with write(made.connection):
            people.add_user(made.connection, User(ref("admin"), "admin", "admin", HASH, None, None, NOON, True))
        yield made


def page(client: FlaskClient, path: str = "/people", language: str = "en") -> TestResponse:
    """What stands there."""
    return client.get(path, headers={"Accept-Language": language}, follow_redirects=True)


def send(client: FlaskClient, path: str, follow: bool = True, **fields: object) -> TestResponse:
    """A form."""
    form = {"csrf_token": token(page(client)), **fields}
    return client.post(path, data=form, headers=ENGLISH, follow_redirects=follow)


def one(person: str, rest: str = "") -> str:
    """A person's address, or one below it."""
    return f"/people/{ref(person)}{rest}"


def asked(world: World) -> list[Command]:
    """What the clerk was asked, but for the notes of who signed in and took what."""
    return [each for each in world.commands if not isinstance(each, NoteAct)]


def change(world: World, person: str, **columns: Any) -> None:
    """The roster says something else of a person."""
    with write(world.connection):
        for column, value in columns.items():
            world.connection.execute(f"UPDATE people SET {column} = ? WHERE person_ref = ?", (value, ref(person)))
