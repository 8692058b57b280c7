"""One apprentice's papers from the first day to the erasure, with the real clerk's desk behind the real pages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pypdf import PdfReader
from test_web_staff import token
from web_fixtures import HASH, PASSWORD, invented_lab, text
from werkzeug.test import TestResponse

from firmware_bridge.observations import BadgeSeen
from kiosk.commands import AddUser, Command, DecideSession, Done, ImportPeople, PersonRow
from kiosk.desk import Desk
from kiosk.inbox import Asked, Heard
from kiosk.store import people, views
from kiosk.web.apps import create_staff_app
from kiosk.web.services import KioskStatus, Services
from lab_config.model import Competency, Enterprise
from tests.kiosk_fixtures import HandClock

HOUR = 3_600_000
ENGLISH = {"Accept-Language": "en"}
SECRETS = (
    "Құпиябай",
    "Ақсұңқар",
    "Сырымұлы",
    "p77",
    "p78",
    "0F00ABCDEF",
    "0F00ABCDE0",
    "2008-07-09",
    "09.07.2008",
    "ТБ-7",
)


@dataclass
class College:
    """The desk, its clock, and browsers of several accounts."""

    desk: Desk
    clock: HandClock
    services: Services
    clients: dict[str, FlaskClient] = field(default_factory=dict)

    def submit(self, command: Command) -> Done:
        """As a request asks the clerk."""
        answer: Future[Done] = Future()
        _, answers = self.desk.handle([Asked(self.clock.stamp(), command, answer)])
        for each in answers:
            each.give()
        return answer.result()

    def tap(self, uid: str, reader: str = "mill-1") -> None:
        """A card at a reader."""
        self.desk.handle([Heard(self.clock.stamp(), BadgeSeen(reader, uid))])
        self.clock.move(60_000)

    def works(self, uid: str, hours: int, reader: str = "bench-1") -> None:
        """Taps in, and out again so many hours later."""
        self.tap(uid, reader)
        self.clock.move(hours * HOUR - 60_000)
        self.tap(uid, reader)

    def browser(self, account: str) -> FlaskClient:
        """Signed in once."""
        if account not in self.clients:
            client = create_staff_app(self.services).test_client()
            data = {"csrf_token": token(client.get("/login", headers=ENGLISH)), "name": account, "password": PASSWORD}
            assert client.post("/login", data=data, headers=ENGLISH).status_code in {302, 303}
            self.clients[account] = client
        return self.clients[account]

    def look(self, account: str, path: str) -> TestResponse:
        """A page."""
        return self.browser(account).get(path, headers=ENGLISH, follow_redirects=True)

    def send(self, account: str, path: str, **fields: object) -> TestResponse:
        """A form."""
        form = {"csrf_token": token(self.look(account, "/people")), **fields}
        answer = self.browser(account).post(path, data=form, headers=ENGLISH, follow_redirects=True)
        assert answer.status_code == 200, re.findall(r'<p class="flash.*?</p>|class="wrong".*?</span>', answer.text)
        return answer

    def page_of(self, person_id: str) -> str:
        """The address of somebody on the roster."""
        person = people.person_by_id(self.desk.connection, person_id)
        assert person is not None
        return f"/people/{person.person_ref}"


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    lab = invented_lab()
    skill = Competency("CNC-a", "CNC3", text("Сызбаны оқиды", "Читает чертёж", "Reads drawings"))
    process = replace(lab.programmes[0].processes[0], presence_counts=True)
    programme = replace(lab.programmes[0], processes=(process,), competencies=(skill,))
    lab = replace(
        lab,
        programmes=(programme,),
        enterprises=(Enterprise("ent-steel", text("Демо Болат", "Демо Сталь", "Demo Steel"), deliver="pull"),),
    )
    clock = HandClock()
    desk = Desk(tmp_path / "kiosk.db", clock, lab)
    desk.start()
    made = College(desk, clock, None)  # type: ignore[arg-type]
    made.services = Services(
        lab=lab,
        database=tmp_path / "kiosk.db",
        submit=made.submit,
        wall_ms=clock.wall_ms,
        status=lambda: KioskStatus(recording=True, broker=True),
        secret_key=b"k" * 32,
    )
    master = PersonRow("i1", "instructor", "Орлова", "Марина")
    other = PersonRow("p1", "apprentice", "Ким", "Виктория", programme="cnc-operator")
    made.submit(ImportPeople((master, other)))
    for name, role, person in (
        ("teacher", "instructor", "i1"),
        ("lead", "lead", None),
        ("admin", "admin", None),
        ("auditor", "auditor", None),
    ):
        made.submit(AddUser(name, role, HASH, person))
    yield made
    desk.close()


def test_from_the_first_day_to_the_erasure(college: College) -> None:
    # The first day: written down, a card by its number, contract and consent.
    fields = {"role": "apprentice", "group": "ТБ-7", "language": "kk", "programme": "cnc-operator", "patronymic": ""}
    college.send(
        "teacher",
        "/people/new",
        person_id="p77",
        surname="Құпиябай",
        given="Ақсұңқа",
        birth_date="2008-07-09",
        **fields,
    )
    page = college.page_of("p77")
    college.send("teacher", f"{page}/badge/number", number="0F00ABCDEF")
    (seen,) = re.findall(r'name="seen" value="(\w+)"', college.look("teacher", f"{page}/edit").text)
    college.send(
        "teacher",
        f"{page}/edit",
        seen=seen,
        surname="Құпиябай",
        given="Ақсұңқар",
        **(fields | {"patronymic": "Сырымұлы"}),
        birth_date="2008-07-09",
        active="yes",
    )
    college.send(
        "teacher", f"{page}/contract", enterprise="ent-steel", first="2026-09-01", last="2027-06-30", number="Д-7"
    )
    college.send("teacher", f"{page}/consent", enterprise="ent-steel", until="2027-06-30")
    shown = college.look("auditor", page).text
    assert "<bdi>Құпиябай Ақсұңқар Сырымұлы</bdi>" in shown
    assert "01.09.2026–30.06.2027" in shown
    assert "Consent until 30.06.2027: Demo Steel" in shown

    # Work, a decision, a signature, a briefing.
    college.works("0F00ABCDEF", 3)
    session = next(iter(views.person_sessions(college.desk.connection, page.rsplit("/", 1)[1])))
    teacher = people.user_by_name(college.desk.connection, "teacher")
    assert teacher is not None
    college.submit(DecideSession(session.session, "approved", teacher.user_ref))
    college.send("teacher", f"{page}/sign/CNC-a", level="2", note="Құпиябай мықты")
    college.send("teacher", f"{page}/grant", qualification="briefing:cnc", until="2027-11-01")
    shown = college.look("lead", page).text
    assert "3:00 h" in shown
    assert "4,0 ac. h" in shown
    assert "Орлова Марина" in shown
    assert "1/1" in shown
    assert "Safety briefing: cnc" in shown

    # A second row with another card turns out to be the same person.
    college.send(
        "teacher", "/people/new", person_id="p78", surname="Құпиябай", given="Ақсұңқар", birth_date="", **fields
    )
    college.send("teacher", f"{college.page_of('p78')}/badge/number", number="0F00ABCDE0")
    college.works("0F00ABCDE0", 2)
    double = college.page_of("p78").rsplit("/", 1)[1]
    assert "5:00 h" not in college.look("lead", page).text
    college.send("lead", f"{page}/merge/{double}", keep=page.rsplit("/", 1)[1])
    shown = college.look("lead", page).text
    assert "2:00 h" in shown
    assert college.look("lead", f"/people/{double}").request.path == page
    assert college.look("lead", "/people").text.count("Құпиябай") == college.look(
        "lead", "/people?group=ТБ-7"
    ).text.count("Құпиябай")

    # Taken along on paper.
    paper = college.look("teacher", f"{page}/record.pdf")
    assert paper.mimetype == "application/pdf"
    read = " ".join(each.extract_text() for each in PdfReader(io.BytesIO(paper.data)).pages)
    assert all(each in read for each in ("Құпиябай Ақсұңқар Сырымұлы", "3:00", "4,0", "Reads drawings", "Орлова М."))

    # Erased: only with the id, only by an administrator; and then the name is nowhere.
    assert college.browser("lead").get(f"{page}/erase").status_code == 403
    college.send("admin", f"{page}/erase", person_id="p77")
    assert "This person was erased." in college.look("auditor", page).text
    assert "3:00 h" in college.look("auditor", page).text
    told = [*everything_shown(college, page), *everything_written(college)]
    assert [each for each in told if any(secret in each[1] for secret in SECRETS)] == []


def everything_shown(college: College, page: str) -> Iterator[tuple[str, str]]:
    """Every page of the staff side that needs no further word, and those about the person."""
    app = college.browser("admin").application
    plain = [each.rule for each in app.url_map.iter_rules() if not each.arguments and "GET" in (each.methods or ())]
    person_ref = page.rsplit("/", 1)[1]
    sessions = views.person_sessions(college.desk.connection, person_ref)
    about = [page, f"{page}/sessions", f"{page}/record.pdf", *(f"/review/{each.session}" for each in sessions)]
    for account in ("lead", "admin", "auditor"):
        for path in [*plain, *about, "/people?active=all"]:
            if "logout" not in path:
                yield path, college.look(account, path).get_data().decode("utf-8", "replace")


def everything_written(college: College) -> Iterator[tuple[str, str]]:
    """Every entry of the ledger, every act, every text beside it."""
    connection = college.desk.connection
    for (data,) in connection.execute("SELECT bytes FROM ledger"):
        yield "ledger", bytes(data).decode()
    for table in ("acts", "texts", "people", "badges"):
        for row in connection.execute(f"SELECT * FROM {table}"):
            yield table, repr(row)
