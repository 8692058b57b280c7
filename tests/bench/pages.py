"""Every staff page over five years of a workshop, beside the same page over a few weeks and beside `/health`.

`python -m tests.bench.pages [--days 1827] [--times 40]`. The pages are found by their links, as a lead and an
administrator see them; each is asked for over loopback from the real server in this process, with `/health` in between.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode, urljoin, urlsplit

from argon2 import PasswordHasher

from kiosk.commands import Command, CommandRefused, Done, PersonRow
from kiosk.office import DATABASE
from kiosk.store import people
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_writer, write
from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.web.server import Server
from kiosk.web.services import KioskStatus, Services
from tests.bench.figures import percentile
from tests.bench.history import APPRENTICES, YEARS, history, lab, stamp_after
from tests.staff_eyes import pattern

SHORT_DAYS = 41
GOAL_MS = 150.0
GROWTH_GOAL = 2.0
GROWTH_FLOOR_MS = 5.0
"""Less than this between the two histories is noise, whatever the ratio."""
PASSWORD = "a long password of the bench"
HREF = re.compile(r'<a[^>]+href="([^"#]+)')
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
SURNAMES = ("Ахметов", "Әбілқасымов", "Ким", "Қожахметова-Бейсенбаева", "Шмидт", "Өтеген")


@dataclass
class Page:
    """One kind of page and how long it took, in milliseconds."""

    name: str
    address: str
    role: str
    size: int
    took_ms: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median."""
        return percentile(self.took_ms, 50)

    @property
    def p95(self) -> float:
        """The 95th percentile."""
        return percentile(self.took_ms, 95)


class Browser:
    """Cookies and a connection."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self._cookies: dict[str, str] = {"sheber_language": "ru"}

    def ask(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str, float]:
        """(status, content type, text, milliseconds to the last byte)."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        body = None if form is None else urlencode(form)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(http.client.HTTPConnection(self.host, timeout=60)) as connection:
            began = perf_counter()
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            took_ms = (perf_counter() - began) * 1000
            for line in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = line.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.headers.get("Content-Type", ""), data.decode("utf-8", "replace"), took_ms

    def sign_in(self, name: str) -> None:
        """By the form, as a person does."""
        token = TOKEN.search(self.ask("/login")[2])
        assert token is not None
        status, _, text, _ = self.ask(
            "/login", {"name": name, "password": PASSWORD, "csrf_token": token[1], "next": ""}
        )
        assert status in {302, 303}, text[:500]

    def pages(self, role: str) -> Iterator[Page]:
        """One of each kind that is linked from somewhere."""
        waiting, seen = ["/review"], set()
        while waiting:
            path = waiting.pop(0)
            if pattern(path) in seen or path.startswith(("/language/", "/static/")):
                continue
            seen.add(pattern(path))
            status, kind, text, _ = self.ask(path)
            if status != 200 or "text/html" not in kind:
                continue
            yield Page(pattern(path), path, role, len(text))
            for href in HREF.findall(text):
                link = urlsplit(urljoin(f"http://{self.host}{path}", unescape(href)))
                if link.netloc == self.host:
                    waiting.append(f"{link.path}?{link.query}" if link.query else link.path)


def populate(folder: Path) -> int:
    """Names for the nameless and two accounts; returns the morning after the last entry, UTC milliseconds."""
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with closing(open_writer(folder / DATABASE)) as connection, write(connection):
        now_ms = stamp_after(connection).wall_ms
        for number in range(APPRENTICES):
            row = PersonRow(
                f"a{number}",
                "apprentice",
                SURNAMES[number % len(SURNAMES)],
                f"Имя{number}",
                group=f"ОП-{number // 25 + 1}",
                programme="trade",
                enterprise="works",
                birth_date="2009-05-01" if number % 7 == 0 else "2006-05-01",
            )
            people.insert_person(connection, f"{number:016x}", row)
        for role in ("lead", "admin"):
            user = people.User(role, role, role, hashed, None, None, now_ms, True)
            people.add_user(connection, user)
    return now_ms


@contextmanager
def served(folder: Path, now_ms: int) -> Iterator[tuple[str, str]]:
    """(staff side, kiosk screen) over a data folder."""

    def refuse(command: Command) -> Done:
        if type(command).__name__ == "NoteAct":
            return Done()
        raise CommandRefused("not_here", "the bench changes nothing")

    services = Services(
        lab=lab(),
        database=folder / DATABASE,
        submit=refuse,
        wall_ms=lambda: now_ms,
        status=lambda: KioskStatus(recording=True, broker=True),
        secret_key=b"bench" * 8,
    )
    staff, screen = Server("127.0.0.1:0", create_staff_app(services)), Server("127.0.0.1:0", create_kiosk_app(services))
    staff.start()
    screen.start()
    try:
        yield staff.address, screen.address
    finally:
        staff.stop()
        screen.stop()


def measure(days: int, times: int, where: Path) -> tuple[int, dict[str, Page], list[float]]:
    """(entries, pages by kind, milliseconds of /health)."""
    folder = Path(shutil.copytree(history(days), where / str(days)))
    now_ms = populate(folder)
    with closing(open_writer(folder / DATABASE)) as connection:
        entries = Ledger(connection).size
    found: dict[str, Page] = {}
    health_ms: list[float] = []
    with served(folder, now_ms) as (staff, screen):
        browsers = {}
        for role in ("lead", "admin"):
            browsers[role] = Browser(staff)
            browsers[role].sign_in(role)
            for page in browsers[role].pages(role):
                found.setdefault(page.name, page)
        health = Browser(screen)
        for _ in range(times):
            for page in found.values():
                page.took_ms.append(browsers[page.role].ask(page.address)[3])
                health_ms.append(health.ask("/health")[3])
    return entries, found, health_ms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("--days", type=int, default=YEARS * 365 + 2, help="days of history (default: five years)")
    parser.add_argument("--times", type=int, default=40, help="requests for each page (default 40)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the copies lie (default /var/tmp)")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        short_entries, short, _ = measure(SHORT_DAYS, asked.times, Path(folder))
        entries, long, health_ms = measure(asked.days, asked.times, Path(folder))
    rows = []
    for name, page in sorted(long.items()):
        before = short.get(name)
        grew = before is not None and page.p50 > GROWTH_GOAL * before.p50 and page.p50 - before.p50 > GROWTH_FLOOR_MS
        rows.append(
            {
                "page": name,
                "median_ms": round(page.p50, 1),
                "p95_ms": round(page.p95, 1),
                "of_health": round(page.p50 / percentile(health_ms, 50), 1),
                "short_median_ms": round(before.p50, 1) if before else None,
                "kB": round(page.size / 1000),
                "met": page.p95 < GOAL_MS and not grew,
            }
        )
    told = {
        "entries": entries,
        "short_entries": short_entries,
        "health_median_ms": round(percentile(health_ms, 50), 2),
        "health_p95_ms": round(percentile(health_ms, 95), 2),
        "pages": rows,
    }
    if asked.json:
        print(json.dumps(told, ensure_ascii=False))
        return
    health = f"/health {told['health_median_ms']} ms, 95th {told['health_p95_ms']} ms"
    print(f"{entries} entries beside {short_entries}; {health}; goal: 95th < {GOAL_MS:.0f} ms, and no growth")
    print(f"{'page':44}{'median':>9}{'95th':>9}{'/health':>9}{'short':>9}{'kB':>6}")
    for row in rows:
        short_ms = "" if row["short_median_ms"] is None else f"{row['short_median_ms']:.1f}"
        print(
            f"{row['page']:44}{row['median_ms']:9.1f}{row['p95_ms']:9.1f}{row['of_health']:9.1f}{short_ms:>9}{row['kB']:6}"
            f"  {'met' if row['met'] else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
