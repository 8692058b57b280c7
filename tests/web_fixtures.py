"""An invented workshop for the pages: its people, machines and sessions are written straight into the store."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher

from kiosk.commands import ApproveSessions, Command, CommandRefused, DecideSession, Done, NoteAct, PersonRow
from kiosk.proofs import canonical
from kiosk.store import outbox, people, views
from kiosk.store.ledger import Ledger
from kiosk.store.people import User
from kiosk.store.schema import open_writer, write
from kiosk.store.views import SessionView
from kiosk.web.feed import Feed
from kiosk.web.services import KioskStatus, Services
from lab_config.model import Lab, LocalText, Machine, Process, Programme, Reader, Screen, StatusSource
from tests.patience import PATIENCE_S

HOUR = 3_600_000
MINUTE = 60_000
NOON = 1_793_257_200_000
"""2026-10-29 12:00 in the lab (UTC+5)."""
BOOT = "6f1c1a52-6f6e-4f5b-9d8e-7f7b3a2f0001"
PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

NAMES = {
    "mill-1": ("СББ фрезер станогы 1", "Фрезерный станок с ЧПУ 1", "CNC mill 1"),
    "mill-2": ("СББ фрезер станогы 2", "Фрезерный станок с ЧПУ 2", "CNC mill 2"),
    "lathe-1": ("СББ токарь станогы", "Токарный станок с ЧПУ", "CNC lathe"),
    "weld-1": ("Дәнекерлеу бекеті 1", "Сварочный пост 1", "Welding cell 1"),
    "weld-2": ("Дәнекерлеу бекеті 2", "Сварочный пост 2", "Welding cell 2"),
    "mecha-1": ("Мехатроника стенді", "Мехатронный стенд", "Mechatronics stand"),
    "robot-1": ("Роботтандырылған ұяшық", "Роботизированная ячейка", "Robot cell"),
    "electro-1": ("Электр монтаж стенді", "Электромонтажный стенд", "Electrical stand"),
    "bench-1": ("Слесарь үстелі", "Слесарный верстак", "Fitter's bench"),
    "grinder-1": ("Ажарлау станогы", "Шлифовальный станок", "Grinder"),
}
PROCESSES = {
    "CNC3": (
        "СББ фрезер, токарь станоктарында жұмыс істеу",
        "Работа на станках с ЧПУ",
        "Operating CNC mills and lathes",
    ),
    "CNC4": ("Тәлімгердің басшылығымен баптау", "Наладка под руководством наставника", "Setup under supervision"),
}
PEOPLE = (
    ("p1", "apprentice", "Сериков", "Әлихан", "Маратұлы", "kk", "67003B51C6"),
    ("p2", "apprentice", "Ким", "Виктория", None, "ru", "67003B51C7"),
    ("p3", "apprentice", "O'Brien<script>", "Seán", None, "en", "67003B51C8"),
    ("p4", "apprentice", "Қожахметова-Бейсенбаева", "Гүлназ", "Ерланқызы", "kk", "67003B51C9"),
    ("p5", "apprentice", "Шмидт", "Артём", "Олегович", "ru", "67003B51CA"),
    ("i1", "instructor", "Ахметов", "Бауыржан", "Сапарұлы", "kk", "67003B51CB"),
)


def text(kk: str, ru: str, en: str) -> LocalText:
    return LocalText({"kk": kk, "ru": ru, "en": en})


def invented_lab(**changes: Any) -> Lab:
    machines = tuple(
        Machine(key, text(*names), status=None if key == "bench-1" else StatusSource("text", {"topic": f"lab/{key}"}))
        for key, names in NAMES.items()
    )
    processes = tuple(
        Process(key, text(*titles), required_ms=required, machines=tuple(NAMES))
        for (key, titles), required in zip(PROCESSES.items(), (607_500_000, 729_000_000), strict=True)
    )
    lab = Lab(
        id="demo-w3",
        name=text("№3 шеберхана", "Мастерская № 3", "Workshop 3"),
        machines=machines,
        readers=(
            *(Reader(key, f"/dev/{key}", "rdm6300", machine=key) for key in NAMES),
            Reader("door", "/dev/d", "line"),
        ),
        screens=(Screen("door", ("door",)), Screen("hall")),
        programmes=(Programme("cnc-operator", text("Оператор", "Оператор", "Operator"), processes=processes),),
    )
    return replace(lab, **changes)


@dataclass
class World:
    """The store's one writer, and a clerk with just enough manners to answer the pages."""

    folder: Path
    lab: Lab
    now_ms: int = NOON + 150 * MINUTE
    status: KioskStatus = field(default_factory=lambda: KioskStatus(recording=True, broker=True))
    commands: list[Command] = field(default_factory=list)
    """What the pages asked of the clerk, but for what they only noted."""
    noted: list[NoteAct] = field(default_factory=list)
    refuse: str | None = None
    taps: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[type, Callable[[Any], Done]] = field(default_factory=dict)
    """What the clerk says to a kind of command; else a bare yes."""
    feed: Feed | None = None

    def __post_init__(self) -> None:
        self.database = self.folder / "kiosk.db"
        self.connection = open_writer(self.database)
        self.lock = threading.Lock()
        self.pending_decisions: list[tuple[int, Command]] = []
        self.open_by_person: dict[str, int] = {}
        with write(self.connection):
            for person_id, role, surname, given, patronymic, language, badge in PEOPLE:
                row = PersonRow(
                    person_id, role, surname, given, patronymic, language=language, programme="cnc-operator"
                )
                people.insert_person(self.connection, ref(person_id), row)
                people.insert_badge(self.connection, ref(badge), badge, ref(person_id))
            for name, role, person in (
                ("bauyrzhan", "instructor", "i1"),
                ("lead", "lead", None),
                ("auditor", "auditor", None),
                ("own", "instructor", "p1"),
            ):
                user = User(ref(name), name, role, HASH, ref(person) if person else None, None, NOON, True)
                people.add_user(self.connection, user)
            old = User(ref("gone"), "gone", "instructor", HASH, None, "2026-10-28", NOON, True)
            people.add_user(self.connection, old)
            off = User(ref("off"), "off", "instructor", HASH, None, None, NOON, False)
            people.add_user(self.connection, off)
            self.append("boot_started", last_alive=None, at_ms=NOON - 50 * HOUR)

    # --- what happens in the workshop

    def append(self, entry_type: str, at_ms: int | None = None, **fields: Any) -> int:
        """One entry, committed by the caller."""
        moment = self.now_ms if at_ms is None else at_ms
        stamp = {"boot": BOOT, "boot_ms": boot_ms(moment), "wall_ms": moment, "synced": True}
        ledger = Ledger(self.connection)
        nonce = base64.b64encode(bytes(16)).decode()
        body = {"v": 1, "seq": ledger.size, "type": entry_type, "stamp": stamp, "nonce": nonce, **fields}
        return ledger.append(entry_type, canonical(body))

    def happens(self, entry_type: str, **fields: Any) -> int:
        """One entry, committed and announced."""
        with self.lock, write(self.connection):
            seq = self.append(entry_type, **fields)
        self.wake()
        return seq

    def newest(self) -> int:
        with self.lock:
            return Ledger(self.connection).size - 1

    def wake(self) -> None:
        if self.feed is not None:
            self.feed.wake()

    def state(self, machine: str, state: str, at_ms: int | None = None, locked: bool = False) -> None:
        moment = self.now_ms if at_ms is None else at_ms
        with self.lock, write(self.connection):
            self.append("state_changed", moment, machine=machine, state=state, at=at(moment), cause="report")
            views.put_machine(self.connection, machine, state, moment, locked)
        self.wake()

    def tap_in(self, person: str, machine: str, at_ms: int | None = None, role: str = "operator", **more: Any) -> int:
        moment = self.now_ms if at_ms is None else at_ms
        with self.lock, write(self.connection):
            seq = self.append(
                "session_opened",
                moment,
                person_ref=ref(person),
                machine=machine,
                programme="cnc-operator",
                process=more.get("process", "CNC3"),
                role=role,
                reader=machine,
                badge_ref="b" * 16,
                at=at(moment),
                rules="0" * 64,
                missing=more.get("missing", []),
            )
            view = SessionView(
                seq, ref(person), machine, "cnc-operator", more.get("process", "CNC3"), role, moment, None,
                "2026-10-29", None, None, 0, {}, 0, 0, {}, "badge+machine",
            )  # fmt: skip
            views.put_session(self.connection, view)
        self.open_by_person[person] = seq
        self.wake()
        return seq

    def tap_out(self, person: str, at_ms: int | None = None, reason: str = "tap_out", **derived: Any) -> int:
        """Ends the person's session; `derived` overrides columns of its row."""
        moment = self.now_ms if at_ms is None else at_ms
        session = self.open_by_person.pop(person)
        with self.lock, write(self.connection):
            row = views.session(self.connection, session)
            assert row is not None
            presence = moment - row.start_ms
            closed_by = "person" if reason in {"tap_out", "moved"} else "system"
            self.append(
                "session_closed",
                moment,
                session=session,
                person_ref=row.person_ref,
                machine=row.machine,
                reason=reason,
                closed_by=closed_by,
                at=at(moment),
                reader=row.machine,
            )
            values = {
                "end_ms": moment,
                "reason": reason,
                "closed_by": closed_by,
                "presence_ms": presence,
                "credited_ms": presence,
                "by_state": {"running": presence},
            }
            views.put_session(self.connection, row._replace(**{**values, **derived}))
        self.wake()
        return session

    def worked(self, person: str, machine: str, start_ms: int, end_ms: int, **derived: Any) -> int:
        """A whole session."""
        self.tap_in(person, machine, start_ms, process=derived.pop("process", "CNC3"))
        return self.tap_out(person, end_ms, **derived)

    def alter(self, session: int, **values: Any) -> None:
        """The fold has come to something else about a session."""
        with self.lock, write(self.connection):
            row = views.session(self.connection, session)
            assert row is not None
            views.put_session(self.connection, row._replace(**values))
        self.wake()

    def refused(self, reason: str, person: str | None = None, machine: str | None = "mill-1", **more: Any) -> int:
        return self.happens(
            "tap_refused",
            reader=more.pop("reader", machine),
            badge_ref=None,
            person_ref=ref(person) if person else None,
            machine=machine,
            reason=reason,
            at=at(self.now_ms),
            missing=more.get("missing", []),
            count=1,
        )

    def told(self, outcome: str, person: str, machine: str | None, session: int | None = None) -> int:
        return self.happens(
            "tap_read",
            reader=machine or "door",
            badge_ref="b" * 16,
            person_ref=ref(person),
            machine=machine,
            outcome=outcome,
            session=session,
        )

    def released(self, enterprise: str) -> None:
        with self.lock, write(self.connection):
            seq = self.append("record_released", enterprise=enterprise, session=0, record={})
            outbox.put(self.connection, seq, enterprise, ref("p1"), 0)

    # --- what the pages may ask

    def submit(self, command: Command) -> Done:
        if isinstance(command, NoteAct):
            self.noted.append(command)
            return Done()
        if self.refuse is not None:
            raise CommandRefused(self.refuse)
        self.commands.append(command)
        if type(command) in self.answers:
            return self.answers[type(command)](command)
        chosen = command.sessions if isinstance(command, ApproveSessions) else ()
        if isinstance(command, DecideSession):
            chosen = (command.session,)
        with self.lock:
            # A request's thread may not use the writer's connection: the decision is kept for `settle`.
            self.pending_decisions = [(each, command) for each in chosen]
        return Done(seqs=())

    def settle(self) -> None:
        """Folds the last decision, as the clerk would have before it answered."""
        with self.lock, write(self.connection):
            for session, command in self.pending_decisions:
                row = views.session(self.connection, session)
                assert row is not None
                decided: dict[str, Any] = {"review": "approved", "decided_credited_ms": row.credited_ms}
                if isinstance(command, DecideSession) and command.decision != "approved":
                    decided = {
                        "review": command.decision,
                        "decided_credited_ms": command.credited_ms,
                        "decided_reason": command.reason,
                    }
                assert isinstance(command, (ApproveSessions, DecideSession))
                decided |= {"decided_by": command.by, "decided_at_ms": self.now_ms, "decided_process": row.process}
                views.put_session(self.connection, row._replace(**decided))

    def simulate(self, reader: str, badge: str) -> None:
        if reader not in {each.id for each in self.lab.readers}:
            raise KeyError(reader)
        self.taps.append((reader, badge))

    def services(self, demo: bool = False) -> Services:
        return Services(
            lab=self.lab,
            database=self.database,
            submit=self.submit,
            wall_ms=lambda: self.now_ms,
            status=lambda: self.status,
            secret_key=b"k" * 32,
            simulate_tap=self.simulate if demo else None,
        )

    def close(self) -> None:
        self.connection.close()


def ref(name: str) -> str:
    """A reference that is the same in every run."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def boot_ms(moment: int) -> int:
    return moment - (NOON - 100 * HOUR)


def at(moment: int) -> dict[str, Any]:
    return {"boot": BOOT, "boot_ms": boot_ms(moment)}


@contextmanager
def a_world(folder: Path, **lab: Any) -> Iterator[World]:
    world = World(folder, invented_lab(**lab))
    try:
        yield world
    finally:
        world.close()


def a_busy_morning(world: World) -> None:
    """Every state on the board, several people on machines, one withdrawn."""
    states = ("running", "setup", "idle", "fault", "estop", "maintenance", "off", "unknown")
    for machine, state in zip([each for each in NAMES if each != "bench-1"], states, strict=False):
        world.state(machine, state, NOON + 10 * MINUTE)
    world.state("grinder-1", "off", NOON + 11 * MINUTE, locked=True)
    world.tap_in("p1", "mill-1", NOON + 32 * MINUTE)
    world.tap_in("p4", "mill-2", NOON + 100 * MINUTE)
    world.tap_in("p2", "lathe-1", NOON + 141 * MINUTE)
    world.tap_in("p3", "bench-1", NOON + 12 * MINUTE, process="CNC4")


def a_review_day(world: World) -> dict[str, int]:
    """Yesterday and today as an instructor finds them: every flag once, clean ones, one running, one decided."""
    made = {}
    start = NOON - 4 * HOUR
    flagged = {
        "system": ("p1", "mill-1", ("closed_by_system",), "day_end"),
        "lost": ("p4", "mill-2", ("status_lost", "closed_by_system"), "outage"),
        "overlap": ("p2", "lathe-1", ("overlap", "same_time_pair"), "tap_out"),
        "clock": ("p3", "weld-1", ("clock_uncertain",), "tap_out"),
        "idle": ("p5", "robot-1", ("no_machine_time",), "idle_timeout"),
        "minor": ("p1", "weld-2", ("too_long", "no_process", "corrected", "minor_limit"), "max_session"),
    }
    for index, (name, (person, machine, flags, reason)) in enumerate(flagged.items()):
        by_state = {"running": 65 * MINUTE, "setup": 20 * MINUTE, "idle": 24 * MINUTE, "fault": 11 * MINUTE}
        opened = start + index * MINUTE
        world.state(machine, "idle", opened - MINUTE)
        world.tap_in(person, machine, opened, process=None if "no_process" in flags else "CNC3")
        for minutes, state in ((7, "setup"), (27, "running"), (70, "fault"), (81, "idle"), (98, "running")):
            world.state(machine, state, opened + minutes * MINUTE)
        made[name] = world.tap_out(
            person,
            opened + 120 * MINUTE,
            reason=reason,
            flags=flags,
            by_state=by_state,
            credited_ms=90 * MINUTE,
            unverified_ms=12 * MINUTE,
        )
    for index, person in enumerate(("p1", "p2", "p3", "p4", "p5")):
        made[f"clean-{person}"] = world.worked(
            person, "grinder-1", NOON + index * 20 * MINUTE, NOON + (index + 1) * 20 * MINUTE
        )
    made["decided"] = world.worked("p2", "electro-1", NOON - 6 * HOUR, NOON - 5 * HOUR)
    by = ref("bauyrzhan")
    world.pending_decisions = [(made["decided"], DecideSession(made["decided"], "rejected", by, "not_present"))]
    world.settle()
    made["open"] = world.tap_in("p5", "mill-2", NOON + 2 * HOUR)
    return made


class Listener:
    """A browser's stream, read as bytes arrive."""

    def __init__(self, address: str, path: str = "/feed", headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=PATIENCE_S)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()

    def next(self, name: str | None = None) -> dict[str, Any]:
        """The next event (of that name); comments are passed over."""
        while True:
            event = self._event()
            if event["event"] and (name is None or event["event"] == name):
                return event

    def _event(self) -> dict[str, Any]:
        event: dict[str, Any] = {"event": "", "id": None, "data": None}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line:
                return event
            key, _, value = line.partition(": ")
            if key == "data":
                event["data"] = json.loads(value)
            elif key in event:
                event[key] = value

    def close(self) -> None:
        self.response.close()
        self.connection.close()


Waiter = Callable[..., object]
