"""The main job as people see it: tap, kiosk screen, approval in a browser, verified record in the hub."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kiosk.proofs import Checkpoint, canonical, leaf_hash, parse_tlog_proof, verify_inclusion
from kiosk.signatures import Verifier, open_note
from tests.browser import chromium, complaints_of
from tests.patience import wait_for

pytestmark = pytest.mark.browser

SPEED = 60
"""A minute of the workshop takes a second."""


class DemoLab:
    """A demo started as a user starts it, and a script's way through it."""

    def __init__(self, data: Path, speed: int = SPEED) -> None:
        self.data = data
        self.output = (data.parent / "demo.out").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kiosk", "demo", "--port", "0", "--data", str(data), "--speed", str(speed)],
            stdout=self.output,
            stderr=self.output,
        )
        wait_for(self._is_up, 60, "demo.json")
        self.where: dict[str, Any] = json.loads((data / "demo.json").read_text(encoding="utf-8"))

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the demo ended: {self.said()}")
        return (self.data / "demo.json").exists()

    def said(self) -> str:
        """Everything it printed."""
        self.output.seek(0)
        return self.output.read().decode()

    def tap(self, reader: str, person_id: str) -> None:
        """A visitor holds a badge to a reader."""
        badge = next(p["badges"][0] for p in self.where["people"] if p["person_id"] == person_id)
        self.post_tap({"reader": reader, "badge": badge})

    def post_tap(self, body: object) -> int:
        """The demo's own path for taps."""
        request = urllib.request.Request(f"{self.where['kiosk']}/demo/tap", data=json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=40) as answer:
            return int(answer.status)

    def password(self, user: str) -> str:
        """Of a demo account."""
        return next(str(a["password"]) for a in self.where["accounts"] if a["user"] == user)

    def records(self, enterprise: str) -> list[dict[str, Any]]:
        """Everything the hub holds for an enterprise."""
        request = urllib.request.Request(f"{self.where['hub']}/api/v1/records?limit=500")
        request.add_header("Authorization", f"Bearer {self.where['tokens'][enterprise]}")
        with urllib.request.urlopen(request, timeout=40) as answer:
            records: list[dict[str, Any]] = json.load(answer)["records"]
        return records

    def children(self) -> list[int]:
        """The processes it started."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoLab]:
    lab = DemoLab(tmp_path_factory.mktemp("demo") / "data")
    yield lab
    if lab.process.poll() is None:
        lab.process.send_signal(signal.SIGINT)
        lab.process.wait(40)
    lab.output.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = chromium(playwright)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800}, locale="ru-RU")
    complaints = complaints_of(opened)
    yield opened
    opened.close()
    assert complaints == []


def sign_in(page: Page, demo: DemoLab, user: str = "instructor") -> None:
    """The staff side, as that account."""
    page.goto(f"{demo.where['staff']}/review")
    page.fill('input[name="name"]', user)
    page.fill('input[name="password"]', demo.password(user))
    page.press('input[name="password"]', "Enter")
    page.wait_for_url("**/review**")
    expect(page.locator("h1")).to_be_visible()


def seconds_of_workshop(demo_minutes: float) -> float:
    """How long so many minutes of the demo take here."""
    return demo_minutes * 60 / SPEED


def sessions(demo: DemoLab, person_id: str, machine: str, where: str = "1") -> list[dict[str, Any]]:
    """A person's sessions on a machine, the latest first, as another process reads them."""
    with closing(sqlite3.connect(f"file:{demo.data / 'kiosk.db'}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT sessions.* FROM sessions JOIN people USING (person_ref)"
            f" WHERE person_id = ? AND machine = ? AND {where} ORDER BY session DESC",
            (person_id, machine),
        ).fetchall()
    return [dict(row) for row in rows]


def test_scripts_find_every_reader_as_the_terminal_it_is(demo: DemoLab) -> None:
    ports = [reader["port"] for reader in demo.where["readers"].values()]
    assert len(set(ports)) == len(ports) >= 3
    assert all(port.startswith("/dev/pts/") and Path(port).is_char_device() for port in ports)


def test_a_tap_becomes_an_hour_that_the_instructor_approves_and_the_enterprise_verifies(
    demo: DemoLab, page: Page, browser: Browser
) -> None:
    screen = browser.new_page(viewport={"width": 1024, "height": 600})
    screen.goto(demo.where["kiosk"])
    demo.tap("mill-1", "p1")
    expect(screen.get_by_text("Сериков Ә.").first).to_be_visible(timeout=40_000)
    opened = wait_for(lambda: sessions(demo, "p1", "mill-1", "end_ms IS NULL"), what="the session")[0]

    screen.wait_for_timeout(seconds_of_workshop(4) * 1000)
    demo.tap("mill-1", "p1")
    this_one = f"session = {opened['session']}"
    closed = wait_for(lambda: sessions(demo, "p1", "mill-1", f"{this_one} AND end_ms IS NOT NULL"), what="its end")[0]
    screen.close()
    assert closed["reason"] == "tap_out"
    assert closed["presence_ms"] >= 3 * 60_000
    assert json.loads(closed["flags"]) == []

    before = {entry["entry"]["seq"] for entry in demo.records("ent-steel")}
    sign_in(page, demo)
    page.locator(f'input[type="checkbox"][value="{closed["session"]}"]').check()
    page.locator('form:has(input[type="checkbox"]) button.good').click()
    wait_for(lambda: sessions(demo, "p1", "mill-1", f"{this_one} AND review = 'approved'"), what="the decision")

    new = wait_for(
        lambda: [
            r
            for r in demo.records("ent-steel")
            if r["entry"]["seq"] not in before and r["entry"]["session"] == closed["session"]
        ],
        30,
        "the record in the hub",
    )
    record = new[0]["entry"]["record"]
    assert (record["credited_ms"], record["machine"]["id"]) == (closed["credited_ms"], "mill-1")
    assert record["review"]["decision"] == "approved"
    assert "Сериков" not in json.dumps(new[0], ensure_ascii=False)

    proof = parse_tlog_proof(new[0]["proof"])
    vkey = Verifier.from_vkey((demo.data / "sync" / "log.vkey").read_text().strip())
    checkpoint = Checkpoint.parse(open_note(proof.checkpoint_note, [vkey]))
    leaf = leaf_hash(canonical(new[0]["entry"]))
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)


def test_the_hub_shows_the_enterprise_hours_by_person_and_process(demo: DemoLab, page: Page) -> None:
    page.goto(demo.where["hub"])
    user, password = (
        page.locator("select, input:not([type=hidden]):not([type=password])").first,
        demo.password("ent-steel"),
    )
    if user.evaluate("e => e.tagName") == "SELECT":
        user.select_option("ent-steel")
    else:
        user.fill("ent-steel")
    page.fill('input[type="password"]', password)
    page.press('input[type="password"]', "Enter")
    expect(page.get_by_text("Сериков Әлихан").first).to_be_visible(timeout=40_000)
    expect(page.get_by_text("CNC3").first).to_be_visible()


def test_an_exception_is_adjusted_with_a_reason_and_the_hub_gets_what_counts(demo: DemoLab, page: Page) -> None:
    sign_in(page, demo)
    forgotten = sessions(demo, "p1", "mill-1", "closed_by = 'system' AND review = 'pending'")[0]
    card = page.locator(f"#s{forgotten['session']}")
    card.locator("details").first.locator("summary").click()
    card.locator('input[name="credited"]').fill("1:10")
    card.locator("details").first.locator('select[name="reason"]').select_option("forgot_tap")
    card.locator('button[value="adjusted"]').click()
    wait_for(lambda: sessions(demo, "p1", "mill-1", "review = 'adjusted'"), what="the decision")
    records = wait_for(
        lambda: [r for r in demo.records("ent-steel") if r["entry"]["session"] == forgotten["session"]],
        30,
        "the record",
    )
    record = records[0]["entry"]["record"]
    assert (record["credited_ms"], record["review"]["reason"]) == (70 * 60_000, "forgot_tap")


def test_a_decision_without_a_reason_is_not_taken(demo: DemoLab, page: Page) -> None:
    sign_in(page, demo)
    lost = sessions(demo, "p2", "mill-2", "flags LIKE '%status_lost%' AND review = 'pending'")[0]
    card = page.locator(f"#s{lost['session']}")
    card.locator("details").last.locator("summary").click()
    card.locator('button[value="rejected"]').click()
    assert sessions(demo, "p2", "mill-2", f"session = {lost['session']}")[0]["review"] == "pending"


def test_every_kind_of_exception_waits_for_the_instructor(demo: DemoLab) -> None:
    with closing(sqlite3.connect(f"file:{demo.data / 'kiosk.db'}?mode=ro", uri=True)) as connection:
        flags = {
            flag
            for (text,) in connection.execute(
                "SELECT flags FROM sessions WHERE review = 'pending' AND end_ms IS NOT NULL"
            )
            for flag in json.loads(text)
        }
    assert {"clock_uncertain", "status_lost", "closed_by_system", "no_machine_time", "too_long", "no_process"} <= flags


@pytest.mark.parametrize(
    "body", [{"reader": "nowhere", "badge": "0F00448FB0"}, {"reader": "mill-1", "badge": "not hex"}, {"reader": 7}, []]
)
def test_a_demo_tap_that_cannot_be_is_refused_in_words(demo: DemoLab, body: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as answer:
        demo.post_tap(body)
    with answer.value as error:
        assert error.code == 400
        assert error.read().strip()


def test_the_screen_shows_taps_and_running_machines_without_a_visitor(demo: DemoLab, page: Page) -> None:
    page.goto(demo.where["kiosk"])
    expect(page.get_by_text("жұмыс істеп тұр").first).to_be_visible(timeout=40_000)
    expect(page.locator("[data-machine]").first).to_be_visible()


def test_the_demo_stops_on_ctrl_c_and_leaves_no_process(demo: DemoLab) -> None:
    children = demo.children()
    assert len(children) == 3
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(40) == 0
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in demo.said()
