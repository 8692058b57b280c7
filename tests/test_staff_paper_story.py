"""The end of the month on paper: taps, decisions, records, and one journal that says the same wherever it is read."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook
from pypdf import PdfReader
from staff_fixtures import Staff, text
from test_web_staff import token

from firmware_bridge.observations import MachineReported
from kiosk import phrases
from kiosk.commands import ApproveSessions, DecideSession, EnterManual, ErasePerson, PersonRow
from kiosk.inbox import Heard
from kiosk.reports.journal import journal_of, sheets
from kiosk.reports.period import month as month_named
from kiosk.reports.source import Source
from kiosk.store import views
from kiosk.web.job_pages import jobs_of_app
from kiosk.words import academic_hours, hours_minutes
from kiosk.words import words as words_of
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, ledger, small_lab

HOUR = 3_600_000
MINUTE = 60_000
ACADEMIC = 45 * MINUTE
ZONE = timezone(timedelta(hours=5))
NOVEMBER, DECEMBER = "2026-11", "2026-12"
GROUP = "МС-21"
PAPERS: dict[str, Any] = {
    "group": GROUP,
    "enterprise": "ent-steel",
    "contract": "Д-7",
    "contract_from": "2026-01-01",
    "contract_to": "2030-12-31",
    "consent_until": "2030-12-31",
    "programme": "cnc",
}
ULZHAN = PersonRow("p3", "apprentice", "Өтегенова", "Ұлжан", badges=("67003B51C9",), **PAPERS)
PEOPLE = (replace(AIGERIM, group=GROUP), replace(PYOTR, **PAPERS), ULZHAN, MASTER)


class Month(Staff):
    """Two weeks and a half of lessons at one mill, which the master decides on; December begins in the middle."""

    sessions: list[int]

    def until(self, day: int, hour: int, minute: int = 0, month: int = 11) -> None:
        """Nothing happens up to that moment but the passing of time."""
        moment = int(datetime(2026, month, day, hour, minute, tzinfo=ZONE).timestamp() * 1000)
        self.clock.move(moment - self.clock.wall_ms())
        self.desk.pass_time(heartbeat=True)

    def state(self, state: str) -> None:
        self.desk.handle([Heard(self.clock.stamp(), MachineReported("mill-1", state))])

    def works(self, who: PersonRow, minutes: int, setup: int = 7, idle: int = 13) -> int:
        """Sets the mill up, runs it, lets it stand, taps out: some of it counts, some does not."""
        self.tap("mill-1", who.badges[0])
        for state, lasts in (("setup", setup), ("running", minutes), ("idle", idle)):
            self.state(state)
            self.clock.move(lasts * MINUTE + 1_234)
        self.tap("mill-1", who.badges[0])
        self.sessions.append(max(self.desk.core.state.sessions))
        return self.sessions[-1]

    def lives(self) -> None:
        """Every morning the three work one after the other; most is approved, one is cut, one rejected, two wait."""
        self.sessions = []
        for day in range(19, 31):
            if date(2026, 11, day).weekday() == 6:
                continue
            self.until(day, 9)
            for number, who in enumerate(PEOPLE[:3]):
                self.works(who, 41 + 7 * day % 30 + number)
        over_night = self.night()
        self.until(2, 9, month=12)
        self.submit(ApproveSessions((*self.sessions[5:], over_night), self.by()))
        self.submit(DecideSession(self.sessions[0], "adjusted", self.by(), "setup_counts", "", 33 * MINUTE, "CNC3"))
        self.submit(DecideSession(self.sessions[1], "rejected", self.by(), "not_present", ""))
        self.submit(DecideSession(self.sessions[2], "approved", self.by()))
        manual = int(datetime(2026, 11, 28, 15, tzinfo=ZONE).timestamp() * 1000)
        self.submit(
            EnterManual("p1", "mill-1", "CNC3", manual, manual + 95 * MINUTE, self.by(), "kiosk_down", "Электр жоқ")
        )

    def night(self) -> int:
        """From the last evening of November into December."""
        self.until(30, 22, 40)
        self.tap("mill-1", ULZHAN.badges[0])
        self.state("running")
        self.until(1, 1, 10, month=12)
        self.tap("mill-1", ULZHAN.badges[0])
        return max(self.desk.core.state.sessions)


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Month]:
    lab = small_lab(tmp_path / "lab")
    never = replace(lab.rules, day_end=(), stale_after_ms=None)
    machines = tuple(replace(each, rules=never) for each in lab.machines)
    made = Month(tmp_path / "data", replace(lab, rules=never, machines=machines), people=PEOPLE)
    made.lives()
    yield made
    jobs_of_app(made.app).close()
    made.close()


def records_ms(staff: Month) -> Counter[str]:
    """Credited milliseconds by month of the start, of the newest revision of every record that was released."""
    newest: dict[str, dict[str, Any]] = {}
    for entry in ledger(staff.folder):
        if entry["type"] == "record_released" and entry["record"]["type"] == "hours.session":
            newest[entry["record"]["id"]] = entry["record"]
    found: Counter[str] = Counter()
    for record in newest.values():
        found[record["local_date"][:7]] += record["credited_ms"]
    return found


def decided_ms(staff: Month) -> int:
    """What the sessions themselves say was decided, whatever became of the records."""
    rows = views.sessions_of_dates(staff.desk.connection, "0000", "9999")
    return sum(row.decided_credited_ms or 0 for row in rows if row.review in {"approved", "adjusted"})


def took(client: FlaskClient, form: str, kind: str = "journal", **asked: str) -> bytes:
    fields = {"csrf_token": token(client.get("/reports/journal")), "form": form, "group": GROUP, **asked}
    answer = client.post(f"/reports/{kind}/file", data=fields)
    path = answer.location
    if not path.endswith("/file"):
        jobs_of_app(client.application).wait(path.rpartition("/")[2], 30)
        path += "/file"
    with client.get(path) as file:
        return bytes(file.data)


def sums_on_screen(client: FlaskClient, month: str) -> tuple[str, str, str]:
    page = client.get("/reports/journal", query_string={"group": GROUP, "month": month}).text
    foot = re.findall(r"<td[^>]*>(.*?)</td>", page.partition("<tfoot>")[2].partition("</tfoot>")[0])
    return tuple(text(each) for each in foot[-3:])  # type: ignore[return-value]


def sums_of_csv(client: FlaskClient, month: str) -> tuple[str, str, str]:
    data = took(client, "csv", month=month).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(data, newline=""), delimiter=";"))
    return tuple(next(row for row in rows if row[1:2] == ["In all"])[-3:])  # type: ignore[return-value]


def sums_of_workbook(client: FlaskClient, month: str) -> tuple[str, str, str]:
    sheet = load_workbook(io.BytesIO(took(client, "xlsx", month=month))).worksheets[0]
    hours, academic, waiting = next(row for row in sheet.values if row[1] == "In all")[-3:]
    return clock(hours), f"{academic:.1f}".replace(".", ","), clock(waiting)


def clock(value: Any) -> str:
    """As a spreadsheet shows it by the format `[h]:mm`; below a day the reader of the file gives a time of day."""
    if isinstance(value, timedelta):
        return hours_minutes(round(value.total_seconds() * 1000))
    return hours_minutes(
        round(((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond / 1000)
    )


def sums_of_pdf(client: FlaskClient, month: str) -> tuple[str, str, str]:
    pages = PdfReader(io.BytesIO(took(client, "pdf", month=month))).pages
    words = "\n".join(page.extract_text() for page in pages).split("In all")[-1].split()
    end = words.index("Approved")
    return tuple(words[end - 3 : end])  # type: ignore[return-value]


@pytest.mark.timeout(660)
def test_the_journal_says_the_same_on_screen_in_every_file_and_in_the_records(staff: Month) -> None:
    client = staff.client()
    records = records_ms(staff)
    assert sum(records.values()) == decided_ms(staff) > 20 * HOUR
    total_ms = 0
    for month in (NOVEMBER, DECEMBER):
        on_screen = sums_on_screen(client, month)
        assert sums_of_csv(client, month) == on_screen
        assert sums_of_workbook(client, month) == on_screen
        assert sums_of_pdf(client, month) == on_screen
        ms = journal_ms(staff, month)
        assert on_screen[:2] == (hours_minutes(ms), academic_hours(ms, ACADEMIC))
        total_ms += ms
    # One session went over the end of the month: its parts stand in both, and nothing of it is lost or told twice.
    assert total_ms == sum(records.values())
    assert journal_ms(staff, DECEMBER) == 70 * MINUTE


def journal_ms(staff: Month, month: str) -> int:
    """The sum before it is converted."""
    source = Source(staff.desk.connection, staff.lab, words_of("en"), staff.clock.wall_ms())
    period = month_named(month)
    assert period is not None
    table = journal_of(source, period, sheets(source, period, [GROUP])).tables[0]
    assert table.totals is not None
    found = table.totals[-3]
    assert isinstance(found, int)
    assert found == sum(row[-3] for row in table.rows)  # type: ignore[misc]
    return found


@pytest.mark.timeout(660)
def test_the_paper_has_the_names_and_the_diary_its_reasons(staff: Month) -> None:
    client = staff.client()
    client.get("/language/kk")
    pages = PdfReader(io.BytesIO(took(client, "pdf", month=NOVEMBER))).pages
    words = "\n".join(page.extract_text() for page in pages)
    assert "Өтегенова Ұлжан" in words
    assert "Өндірістік оқыту журналы" in words
    assert f"1 / {len(pages)}" in words
    diary = took(client, "csv", "diary", person=staff.ref("p1"), month=NOVEMBER).decode("utf-8-sig")
    assert words_of("kk").gettext(phrases.EVIDENCE["manual"]) in diary
    assert "Жұмабаев Қанат" in diary


@pytest.mark.timeout(660)
def test_who_is_erased_leaves_a_dash_and_the_hours(staff: Month) -> None:
    before = journal_ms(staff, NOVEMBER)
    staff.submit(ErasePerson("p2", staff.by("admin")))
    client = staff.client()
    everybody = took(client, "csv", group="*", first="2026-11-01", last="2026-12-31").decode("utf-8-sig")
    assert "Иванов" not in everybody
    assert any(row[1:2] == ["—"] for row in csv.reader(io.StringIO(everybody), delimiter=";"))
    shown = client.get("/reports/attendance", query_string={"group": "*", "month": NOVEMBER}).text
    assert hours_minutes(before) in shown


def test_the_clock_of_the_story_is_the_labs() -> None:
    assert datetime(2026, 11, 30, 19, tzinfo=UTC).astimezone(ZONE).date() == date(2026, 12, 1)
