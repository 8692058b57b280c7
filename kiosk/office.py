"""Commands from beside a kiosk: asked of the running one, or carried out on its files while none runs."""

from __future__ import annotations

import marshal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from kiosk import snapshot
from kiosk.clock import SystemClock
from kiosk.commands import Command, CommandRefused, Done
from kiosk.control import ControlClient, ControlRefused, NoKiosk, encode_command
from kiosk.desk import Desk
from kiosk.domain.state import State
from kiosk.inbox import Asked
from kiosk.projection import fold, project, undisturbed
from kiosk.store import views
from kiosk.store.examine import require_sound
from kiosk.store.ledger import Ledger
from kiosk.store.schema import DamagedError, StoreError, open_reader, open_writer, write

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
    """Throw away everything derived and fold it again, every hash checked; the kiosk must not run."""
    database = data / DATABASE
    with (
        closing(open_writer(database)) as connection,
        # Beside this process: it has enough to do with the fold, the rows and the snapshot.
        ProcessPoolExecutor(2, get_context("spawn")) as beside,
        # SQLite works without the interpreter's lock: the rows that need no state are made while this one folds.
        ThreadPoolExecutor(1) as folding,
    ):
        sound, before = beside.submit(require_sound, database), beside.submit(_derived, database)
        folded = folding.submit(_folded, database)
        with write(connection), _only_if(sound):
            snapshot.place(database).unlink(missing_ok=True)
            with views.made_anew(connection):
                state, was = folded.result(), before.result()
                with undisturbed():
                    project(connection, state)
            snapshot.rows_written(connection, anew=True)
        after = beside.submit(_derived, database)
        snapshot.keep(snapshot.place(database), state, Ledger(connection).root())
        return RebuildReport(state.size, len(state.sessions), after.result() == was)


def _folded(database: Path) -> State:
    with closing(open_reader(database)) as connection:
        return fold(connection, State())


@contextmanager
def _only_if(sound: Future[None]) -> Iterator[None]:
    """While every hash is checked beside; StoreError at the end where one does not hold."""
    try:
        yield
    finally:  # what is not as it was written may well be what could not be followed
        try:
            sound.result()
        except (DamagedError, sqlite3.DatabaseError) as error:
            raise StoreError(f"the log is not as it was written ({error}): run sheber ledger verify") from error


def _derived(database: Path) -> bytes:
    """A hash of every derived row that is committed."""
    digest = sha256()
    with closing(open_reader(database)) as connection:
        for table, derived in views.DERIVED.items():
            rows = connection.execute(f"SELECT * FROM {table} WHERE {derived} ORDER BY 1, 2")  # noqa: S608 - our names
            while piece := rows.fetchmany(1000):
                digest.update(marshal.dumps(piece, 2))  # the last version whose bytes depend on the values only
    return digest.digest()
