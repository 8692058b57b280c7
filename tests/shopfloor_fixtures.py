"""A workshop with a shared reader, two work processes, a briefing and competencies, behind a desk and a hand clock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.observations import BadgeSeen, MachineReported
from kiosk.commands import AddUser, Command, CommandRefused, Done, ImportPeople
from kiosk.desk import Desk
from kiosk.inbox import Asked, Heard
from kiosk.store import people, views
from kiosk.web.reading import Reading
from lab_config.load import load
from lab_config.model import Lab
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, HandClock, ledger, write_lab

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
UNKNOWN = "0A0B0C0D0E"
MORE = """
[[reader]]
id = "door"
port = "/dev/door"
protocol = "rdm6300"
[[machine]]
id = "grinder-1"
name = "Grinder"
requires = ["briefing:cnc"]
[[programme.process]]
id = "CNC4"
title = "Setup"
required = "2h"
minimum = "1h"
maximum = "3h"
machines = ["mill-1", "grinder-1"]
[[programme.competency]]
id = "CNC-c"
process = "CNC4"
title = "Clamps the workpiece"
level = 2
"""
BEFORE = "[[enterprise]]"


def shared_lab(folder: Path) -> Lab:
    """The small lab with a reader without a machine (`door`) and a grinder that wants a briefing."""
    path = write_lab(folder, {"mill-1": "/dev/mill-1", "lathe-1": "/dev/lathe-1"})
    text = path.read_text(encoding="utf-8")
    processes = MORE[MORE.index("[[programme.process]]") :]
    head = MORE[: MORE.index("[[programme.process]]")]
    path.write_text(text.replace(BEFORE, processes + BEFORE) + head, encoding="utf-8")
    return load(path)


class Floor:
    """A desk, a clock moved by hand, an instructor's account, and short words for what is touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.lab = shared_lab(folder / "lab")
        self.clock = HandClock()
        self.desk = Desk(self.data / "kiosk.db", self.clock, self.lab)
        self.desk.start()
        self.ask(ImportPeople((AIGERIM, PYOTR, MASTER)))
        self.by = str(self.ask(AddUser("master", "instructor", "$hash", "i1")).value)

    def again(self) -> None:
        """The process ends and starts anew in the same boot."""
        self.desk.close()
        self.desk = Desk(self.data / "kiosk.db", self.clock, self.lab)
        self.desk.start()

    def ref(self, person: Any = AIGERIM) -> str:
        """A person's reference."""
        found = people.person_by_id(self.desk.connection, person.person_id)
        assert found is not None
        return found.person_ref

    def tap(self, whose: Any = AIGERIM, reader: str = "mill-1") -> list[str]:
        """A badge at a reader; the types of the entries it made."""
        uid = whose if isinstance(whose, str) else whose.badges[0]
        entries, _ = self.desk.handle([Heard(self.clock.stamp(), BadgeSeen(reader, uid))])
        return [entry.body.type for entry in entries]

    def report(self, state: str) -> None:
        """The mill says what it does."""
        self.desk.handle([Heard(self.clock.stamp(), MachineReported("mill-1", state))])

    def ask(self, command: Command) -> Done:
        """A command and its answer."""
        answer: Future[Done] = Future()
        _, answers = self.desk.handle([Asked(self.clock.stamp(), command, answer)])
        for given in answers:
            given.give()
        return answer.result(0)

    def work(self, minutes: int, state: str = "running") -> None:
        """The mill says so every minute."""
        for _ in range(minutes):
            self.report(state)
            self.clock.move(MINUTE)
        self.desk.pass_time(heartbeat=True)

    def lesson(self, minutes: int = 30) -> views.SessionView:
        """Tap in, work, tap out."""
        self.tap()
        self.work(minutes)
        self.tap()
        return self.rows()[-1]

    def rows(self) -> list[views.SessionView]:
        """Every session, by start."""
        return views.sessions_of_dates(self.desk.connection, "0000", "9999")

    def entries(self, *types: str) -> list[dict[str, Any]]:
        """The entries of these types, as another process reads them."""
        return [entry for entry in ledger(self.data) if entry["type"] in types]

    @property
    def reading(self) -> Reading:
        """What the pages read with."""
        return Reading(self.desk.connection, self.lab)

    @property
    def now_ms(self) -> int:
        """The wall clock."""
        return self.clock.wall_ms()


@contextmanager
def a_floor(folder: Path) -> Iterator[Floor]:
    """One, closed in the end."""
    made = Floor(folder)
    yield made
    made.desk.close()


def refused(floor: Floor, command: Command) -> str:
    """The code of the clerk's no."""
    with pytest.raises(CommandRefused) as error:
        floor.ask(command)
    return error.value.code
