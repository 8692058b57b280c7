"""Commands from beside a kiosk: asked of the running one, or carried out on its files while none runs."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kiosk.clock import SystemClock
from kiosk.commands import Command, CommandRefused, Done
from kiosk.control import ControlClient, ControlRefused, NoKiosk, encode_command
from kiosk.desk import Desk
from kiosk.domain.state import State
from kiosk.inbox import Asked
from kiosk.projection import fold, project
from kiosk.store import outbox, views
from kiosk.store.schema import open_writer, write

CONTROL_SOCKET = "control.sock"
DATABASE = "kiosk.db"


@dataclass(frozen=True)
class RebuildReport:
    """What `rebuild` found: how much it folded, and whether the screens' rows came out as they were."""

    entries: int
    sessions: int
    same: bool


def perform(data: Path, command: Command) -> Done:
    """Carry a command out; `CommandRefused` for a no, `StoreError` where the files cannot be used."""
    try:
        value = ControlClient(data / CONTROL_SOCKET).call("command", command=encode_command(command))
    except NoKiosk:
        return _perform_here(data, command)
    except ControlRefused as refused:
        raise CommandRefused(refused.code, refused.detail) from refused
    assert isinstance(value, dict)
    return Done(tuple(value["seqs"]), value["value"])


def _perform_here(data: Path, command: Command) -> Done:
    clock = SystemClock()
    with closing(Desk(data / DATABASE, clock, None)) as desk:
        desk.start()
        answer: Future[Done] = Future()
        _, answers = desk.handle([Asked(clock.stamp(), command, answer)])
        for given in answers:
            given.give()
        return answer.result()


def rebuild(data: Path) -> RebuildReport:
    """Throw away everything derived and fold it again; the kiosk must not run."""
    with closing(open_writer(data / DATABASE)) as connection, write(connection):
        before = _derived(connection)
        views.clear(connection)
        state = fold(connection, State())
        for session in state.sessions.values():
            for enterprise, seqs in session.released_seqs.items():
                for seq in seqs:
                    outbox.put(connection, seq, enterprise, session.person_ref, session.id)
        project(connection, state)
        return RebuildReport(state.size, len(state.sessions), _derived(connection) == before)


def _derived(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Every derived row."""
    return [
        list(connection.execute(f"SELECT * FROM {table} ORDER BY 1"))  # noqa: S608 - names of our own
        for table in ("sessions", "machines", "outbox")
    ]
