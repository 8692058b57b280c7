"""The staff side over a real desk: what a page asks is carried out and read back, in one thread, by a clock of ours."""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path

from argon2 import PasswordHasher
from flask.testing import FlaskClient
from test_web_staff import sign_in, token
from werkzeug.test import TestResponse

from firmware_bridge.observations import BadgeSeen
from kiosk.commands import AddUser, Command, Done, ImportPeople, PersonRow
from kiosk.desk import Desk
from kiosk.inbox import Asked, Heard
from kiosk.roll_call import RollCalls, holders
from kiosk.store import people
from kiosk.web.apps import create_staff_app
from kiosk.web.services import KioskStatus, Services
from lab_config.model import Lab
from tests.kiosk_fixtures import PEOPLE, HandClock, small_lab

PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
ACCOUNTS = (
    ("bauyrzhan", "instructor", "i1"),
    ("lead", "lead", None),
    ("admin", "admin", None),
    ("auditor", "auditor", None),
)
HOUR_MS = 3_600_000


def lab_with_briefings(folder: Path) -> Lab:
    """The small lab, whose mill requires one."""
    lab = small_lab(folder)
    mill, lathe = lab.machines
    return replace(
        lab, machines=(replace(mill, requires=("briefing:cnc", "qualification:mill"), machine_class="mills"), lathe)
    )


@dataclass
class Staff:
    """A desk, and the pages over it."""

    folder: Path
    lab: Lab
    people: tuple[PersonRow, ...] = PEOPLE
    status: KioskStatus = field(default_factory=lambda: KioskStatus(recording=True, broker=True))

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.database = self.folder / "kiosk.db"
        self.desk = Desk(self.database, self.clock, self.lab)
        self.desk.start()
        self.submit(ImportPeople(self.people))
        for name, role, person in ACCOUNTS:
            self.submit(AddUser(name, role, HASH, person))
        self.seconds = 0.0
        """Of the roll calls' clock."""
        self.roll_calls = RollCalls(holders(self.database), now=lambda: self.seconds)
        self.app = create_staff_app(
            Services(
                lab=self.lab,
                database=self.database,
                submit=self.submit,
                wall_ms=self.clock.wall_ms,
                status=lambda: self.status,
                secret_key=b"k" * 32,
                roll_calls=self.roll_calls,
            )
        )

    def submit(self, command: Command) -> Done:
        answer: Future[Done] = Future()
        _, answers = self.desk.handle([Asked(self.clock.stamp(), command, answer)])
        for given in answers:
            given.give()
        return answer.result(0)

    def tap(self, reader: str, uid: str) -> None:
        """A badge at a reader; a roll call there takes it."""
        if not self.roll_calls.takes(reader, uid):
            self.desk.handle([Heard(self.clock.stamp(), BadgeSeen(reader, uid))])

    def lesson(self, uid: str, reader: str = "lathe-1", ms: int = HOUR_MS // 2) -> int:
        """In, so long, and out; the session's number."""
        for _ in range(2):
            self.tap(reader, uid)
            self.clock.move(ms)
        return max(self.desk.core.state.sessions)

    def ref(self, person_id: str) -> str:
        """Whose reference."""
        person = people.person_by_id(self.desk.connection, person_id)
        assert person is not None
        return person.person_ref

    def by(self, name: str = "bauyrzhan") -> str:
        """The reference of an account."""
        user = people.user_by_name(self.desk.connection, name)
        assert user is not None
        return user.user_ref

    def client(self, name: str = "bauyrzhan") -> FlaskClient:
        """A browser in English, signed in."""
        client = self.app.test_client()
        client.get("/language/en")
        sign_in(client, name, PASSWORD)
        return client

    def close(self) -> None:
        self.desk.close()


def send(client: FlaskClient, path: str, page: str, **fields: object) -> TestResponse:
    """A form of `page`, sent to `path`."""
    return client.post(path, data={"csrf_token": token(client.get(page)), **fields})


def text(answer: TestResponse | str) -> str:
    """What a person reads of a page."""
    html = answer if isinstance(answer, str) else answer.text
    main = html.partition("<main")[2] or html
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))
