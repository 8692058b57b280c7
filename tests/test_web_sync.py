"""What everybody on the staff side sees of deliveries: the queue, its age, refusals, and whose records stay here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from delivery_fixtures import SECRET, Endpoint, Reply
from test_web_staff import sign_in

from kiosk.assembly import Kiosk
from kiosk.clock import real_wall_ms
from kiosk.commands import (
    AddUser,
    CloseSession,
    DecideSession,
    GiveConsent,
    ImportPeople,
    MergePeople,
    StoreReceipt,
    WithdrawConsent,
)
from kiosk.control import ControlClient
from kiosk.delivery_status import PROBLEMS, STATUS_FILE, DeliveryStatus, write_status
from kiosk.office import DATABASE
from kiosk.store import outbox
from kiosk.store.schema import open_reader
from kiosk.sync.keys import load_or_make
from kiosk.sync.notary import Notary
from kiosk.sync.outbox import Outbox
from kiosk.sync.post import Limits
from kiosk.sync.sender import Sender, Target, Wire
from kiosk.sync.status import StatusFile
from kiosk.sync.store import SyncStore
from kiosk.web import delivery_words
from kiosk.web.apps import create_staff_app
from kiosk.web.delivery import age_words
from kiosk.web.services import KioskStatus, Services
from kiosk.words import words
from lab_config.model import LANGUAGES
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, running_kiosk, small_lab
from tests.staff_fixtures import HASH, HOUR_MS, PASSWORD, Staff, text

MakeEndpoint = Callable[..., Endpoint]
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    with closing(Staff(tmp_path, small_lab(tmp_path / "lab"))) as made:
        (tmp_path / "sync").mkdir()
        yield made


def approved(staff: Staff, row: object = AIGERIM) -> int:
    """A lesson of half an hour, approved; its session."""
    session = staff.lesson(row.badges[0])  # type: ignore[attr-defined]
    staff.submit(DecideSession(session, "approved", staff.by()))
    return session


def told(staff: Staff, **status: object) -> None:
    """What the delivery program says of the enterprise."""
    write_status(staff.folder / STATUS_FILE, {"ent-steel": DeliveryStatus(**status)})  # type: ignore[arg-type]


def page(staff: Staff, name: str = "auditor") -> str:
    return text(staff.client(name).get("/sync"))


def test_without_a_record_nothing_waits(staff: Staff) -> None:
    told(staff)
    assert "Demo Steel all delivered Released 0 Received there 0 Waits to be sent 0" in page(staff)


def test_a_record_that_waits_shows_since_when_and_how_long(staff: Staff) -> None:
    approved(staff)
    told(staff)
    staff.clock.move(3 * DAY_MS)
    assert (
        "Demo Steel waits to be sent Released 1 Received there 0 Waits to be sent 1 The oldest waits for 3 days"
        in page(staff)
    )


def test_what_the_enterprise_has_receipted_waits_no_more(staff: Staff) -> None:
    approved(staff)
    staff.clock.move(HOUR_MS)
    seq = staff.desk.connection.execute("SELECT seq FROM outbox").fetchone()[0]
    staff.submit(StoreReceipt("ent-steel", (seq,), "msg_1"))
    told(staff)
    assert "all delivered Released 1 Received there 1 Waits to be sent 0 Delivery: We send it there" in page(staff)
    assert "Last receipt: none yet" not in page(staff)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", [{"problem": each} for each in PROBLEMS] + [{"problem": "answer", "http": 503}])
def test_every_problem_has_words_in_every_language(staff: Staff, language: str, status: dict[str, object]) -> None:
    told(staff, **status)
    client = staff.client()
    client.get(f"/language/{language}")
    shown = client.get("/sync").text
    code = str(status["problem"])
    known = delivery_words.PROBLEMS.get(code) or delivery_words.ANSWERS_BY_HUNDRED.get(5 if "http" in status else 0)
    said = words(language).gettext(known or delivery_words.OTHER_ANSWER)
    assert said in shown.replace("&#39;", "'")
    assert language == "en" or said != known


@pytest.mark.parametrize(
    ("http", "reason", "says"),
    [
        (401, "wrong_signature", "It does not accept our signature."),
        (404, "", "There is nothing at this address."),
        (301, "", "It sends us to another address"),
        (422, "no_such_word", "It refuses the delivery."),
        (503, "log_parked", "It does not know this kiosk's key yet."),
        (500, "", "Its program has a fault at the moment."),
        (99, "", "Its answer was no receipt."),
    ],
)
def test_what_an_enterprise_answered_is_said_with_what_to_do(staff: Staff, http: int, reason: str, says: str) -> None:
    told(staff, problem="answer", http=http, reason=reason)
    shown = page(staff)
    assert says in shown
    assert f"({http}{' ' + reason if reason else ''})" in shown


def test_one_that_wants_nothing_more_is_stopped_in_words(staff: Staff) -> None:
    told(staff, stopped=True, http=410)
    assert "Demo Steel stopped" in page(staff)
    assert "it wants nothing more at this address" in page(staff)


def test_the_next_try_is_told_and_one_that_is_due_is_now(staff: Staff) -> None:
    told(staff, problem="late", next_try_ms=1)
    assert "Next try: now" in page(staff)
    told(staff, problem="late", next_try_ms=real_wall_ms() + 40 * DAY_MS)
    assert "Next try: now" not in page(staff)


def test_a_program_that_was_not_heard_of_is_said_with_the_moment(staff: Staff) -> None:
    assert "Nothing was heard of the delivery program" in page(staff)
    told(staff)
    assert "the delivery program" not in page(staff)
    os.utime(staff.folder / STATUS_FILE, (1_790_000_000, 1_790_000_000))
    assert "Nothing has been heard of the delivery program (sheber sync) since 21.09.2026" in page(staff)


@pytest.mark.parametrize(
    "content", [b"", b'{"enterprises":{"ent-steel":', b"\x00" * 90, b'{"enterprises":{"ent-steel":7}}']
)
def test_a_torn_file_makes_the_page_say_less_and_never_fail(staff: Staff, content: bytes) -> None:
    approved(staff)
    (staff.folder / STATUS_FILE).write_bytes(content)
    assert "Waits to be sent 1" in page(staff)


def test_hostile_words_in_it_are_not_shown(staff: Staff) -> None:
    bad = {"ent-steel": {"problem": "<script>", "reason": "</b><script>alert(1)", "http": "x", "failures": {"<i>": 1}}}
    (staff.folder / STATUS_FILE).write_text(json.dumps({"v": 1, "enterprises": bad}))
    shown = staff.client().get("/sync").text
    assert "<script>alert" not in shown
    assert "&lt;" not in shown


def test_who_has_no_consent_is_named_with_the_reason_and_what_to_do(staff: Staff) -> None:
    approved(staff)
    staff.submit(ImportPeople((replace(AIGERIM, consent_until="2020-01-01"), PYOTR, MASTER)))
    told(staff)
    shown = page(staff)
    assert "the rest stays here Released 1 Received there 0 Waits to be sent 0 May not leave now 1" in shown
    assert "The oldest waits" not in shown
    assert "Kept at the college 1 person: no consent — 1 session" in shown
    assert "Ахметова Айгерім no consent 1" in shown
    assert "enter the consent on their page" in shown


def test_a_correction_that_may_not_follow_its_record_is_counted_too(staff: Staff) -> None:
    session = approved(staff)
    (seq,) = (row.seq for row in outbox.released(staff.desk.connection, "ent-steel", -1, 10))
    staff.submit(StoreReceipt("ent-steel", (seq,), "msg_1"))
    staff.submit(WithdrawConsent("p1", "ent-steel", staff.by()))
    told(staff)
    assert "no consent" not in page(staff)
    staff.submit(DecideSession(session, "rejected", staff.by(), "not_present"))
    assert "Released 1 Received there 1 Waits to be sent 0" in page(staff)
    assert "Kept at the college 1 person: no consent — 1 session" in page(staff)
    staff.submit(GiveConsent("p1", "ent-steel", None, staff.by()))
    assert "Released 2 Received there 1 Waits to be sent 1" in page(staff)
    assert "no consent" not in page(staff)


def test_the_records_of_a_double_wait_under_the_terms_of_whom_they_are_kept_with(staff: Staff) -> None:
    double = replace(AIGERIM, person_id="p1-again", badges=("AABBCC1122",))
    staff.submit(ImportPeople((double,)))
    approved(staff, double)
    staff.submit(MergePeople("p1", "p1-again", "console"))
    told(staff)
    shown = page(staff)
    assert "Released 1 Received there 0 Waits to be sent 1" in shown
    assert "no contract" not in shown


def test_what_was_never_released_for_want_of_a_contract_is_counted_too(staff: Staff) -> None:
    staff.submit(ImportPeople((replace(AIGERIM, contract_to="2026-01-31"), PYOTR, MASTER)))
    approved(staff)
    approved(staff, PYOTR)
    told(staff)
    assert "1 person: no contract for that day — 1 session" in page(staff)


def test_evidence_that_the_enterprise_does_not_take_stays_here_and_says_so(tmp_path: Path) -> None:
    lab = small_lab(tmp_path / "lab")
    lab = replace(lab, enterprises=(replace(lab.enterprises[0], accepts=("badge+machine",)),))
    with closing(Staff(tmp_path, lab)) as staff:
        approved(staff)
        assert "evidence that this enterprise does not take — 1 session" in page(staff)


@pytest.mark.parametrize("kind", ["pull", "file"])
def test_one_that_fetches_its_records_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    lab = small_lab(tmp_path / "lab")
    lab = replace(lab, enterprises=(replace(lab.enterprises[0], deliver=kind),))
    with closing(Staff(tmp_path, lab)) as staff:
        approved(staff)
        shown = page(staff)
        assert "Released 1 Delivery:" in shown
        assert "Waits to be sent" not in shown
        assert "the delivery program" not in shown


@pytest.mark.parametrize("name", ["bauyrzhan", "lead", "admin", "auditor"])
def test_every_role_looks(staff: Staff, name: str) -> None:
    assert staff.client(name).get("/sync").status_code == 200


def test_a_day_of_waiting_stands_on_top_of_the_instructors_list(staff: Staff) -> None:
    approved(staff)
    told(staff)
    client = staff.client()
    staff.clock.move(DAY_MS - HOUR_MS)
    assert "Demo Steel" not in client.get("/review").text
    staff.clock.move(2 * HOUR_MS)
    client = staff.client()
    shown = text(client.get("/review", follow_redirects=True))
    assert "Records for Demo Steel have waited since" in shown


def test_what_may_not_leave_is_no_trouble_however_old_it_is(staff: Staff) -> None:
    approved(staff)
    staff.submit(ImportPeople((replace(AIGERIM, consent_until="2020-01-01"), PYOTR, MASTER)))
    staff.clock.move(9 * DAY_MS)
    shown = text(staff.client().get("/review", follow_redirects=True))
    assert "have waited since" not in shown


@pytest.mark.parametrize(
    ("duration_ms", "said"),
    [(0, "0 min"), (119 * 60_000, "119 min"), (2 * HOUR_MS, "2 h"), (47 * HOUR_MS, "47 h"), (2 * DAY_MS, "2 days")],
)
def test_an_age_is_told_in_its_largest_unit(duration_ms: int, said: str) -> None:
    assert age_words(duration_ms, words("en")) == said


# --- the whole way: the real delivery program beside a running kiosk


class Delivering:
    """A running kiosk with one approved record, its pages, and rounds of the delivery program."""

    def __init__(self, kiosk: Kiosk, folder: Path) -> None:
        self.kiosk, self.folder = kiosk, folder
        (folder / "sync").mkdir()
        self.store = SyncStore(folder / "sync" / "sync.db")
        self.outbox = Outbox(ControlClient(folder / "control.sock"))
        self.notary = Notary(self.outbox, self.store, lambda origin: load_or_make(folder / "sync", origin))
        self.status = StatusFile(folder / STATUS_FILE, ("ent-steel",), real_wall_ms)
        services = Services(
            kiosk.lab, folder / DATABASE, kiosk.submit, kiosk.clock.wall_ms, lambda: KioskStatus(True), b"k" * 32
        )
        self.client = create_staff_app(services).test_client()
        self.client.get("/language/en")
        sign_in(self.client, "lead", PASSWORD)

    def round(self, url: str) -> str:
        """One try, whether or not it is due; what the page says then."""
        target = Target("ent-steel", url, local=True, secrets=(SECRET,))
        wire = Wire(limits=Limits(connect_s=5, read_s=2, whole_s=4))  # one of them never answers
        Sender(target, self.outbox, self.store, self.notary, real_wall_ms, wire=wire, status=self.status).step(
            at_once=True
        )
        return text(self.client.get("/sync"))


@pytest.fixture
def delivering(tmp_path: Path, wait_until: Callable[..., object]) -> Iterator[Delivering]:
    with running_kiosk(tmp_path) as (kiosk, readers):
        kiosk.submit(AddUser("lead", "lead", HASH))
        database = tmp_path / "data" / DATABASE
        readers["lathe-1"].tap(AIGERIM.badges[0])
        opened = wait_until(lambda: _sessions(database), what="the session")
        kiosk.submit(CloseSession(opened[0], "lead"))  # type: ignore[index]
        kiosk.submit(DecideSession(opened[0], "approved", "lead"))  # type: ignore[index]
        made = Delivering(kiosk, tmp_path / "data")
        yield made
        made.store.close()


def _sessions(database: Path) -> list[int]:
    with closing(open_reader(database)) as connection:
        return [session for (session,) in connection.execute("SELECT session FROM sessions")]


def test_the_page_follows_an_enterprise_through_its_troubles(delivering: Delivering, endpoint: MakeEndpoint) -> None:
    """Away, at fault, refusing, silent, done with us, and there again: each time the page says which, and the queue."""
    away = endpoint()
    away.close()
    shown = delivering.round(away.url)
    assert "Its computer does not answer." in shown
    assert "Waits to be sent 1" in shown
    problem = {"content-type": "application/problem+json"}
    refuses = Reply(401, problem, b'{"reason":"wrong_signature"}')
    there = endpoint(Reply(500), refuses, Reply(hang=True), Reply(410))
    assert "Its program has a fault at the moment." in delivering.round(there.url)
    assert "It does not accept our signature." in delivering.round(there.url)
    shown = delivering.round(there.url)
    assert "did not answer in time" in shown
    assert "Failed tries since the last receipt: 4" in shown
    shown = delivering.round(there.url)
    assert "Demo Steel stopped" in shown
    assert "Next try" not in shown
    shown = delivering.round(endpoint().url)
    assert "all delivered Released 1 Received there 1 Waits to be sent 0" in shown
    assert "Failed tries" not in shown


def test_sheber_sync_itself_tells_the_page(delivering: Delivering) -> None:
    delivering.store.close()
    (delivering.folder / STATUS_FILE).unlink()
    lab = delivering.folder.parent / "lab"
    command = [sys.executable, "-m", "kiosk", "sync", "--lab", str(lab), "--data", str(delivering.folder), "--once"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    shown = text(delivering.client.get("/sync"))
    assert "Its computer does not answer." in shown
    assert "Next try" in shown
