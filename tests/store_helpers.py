"""What the tests of the database share: entries as the kiosk writes them, and a log on a real file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kiosk.proofs import Checkpoint, Frontier, canonical, encode_base64
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_writer, write
from kiosk.store.verify import verify

LOG_ID = "lab/0011223344556677"
ORIGIN = f"sheber/{LOG_ID}"


def entry(seq: int, text: str = "") -> bytes:
    """An entry of the contract's shape."""
    stamp = {"boot": "b1", "boot_ms": seq * 1000, "wall_ms": 1_700_000_000_000 + seq, "synced": True}
    fields = {"v": 1, "seq": seq, "type": "tap_read", "stamp": stamp, "nonce": f"n{seq}", "note": text}
    return canonical(fields)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def append(connection: sqlite3.Connection, count: int) -> None:
    """Add `count` entries in one transaction."""
    ledger = Ledger(connection)
    with write(connection):
        for _ in range(count):
            ledger.append("tap_read", entry(ledger.size))


class PowerCutError(Exception):
    """What ends a transaction half-way."""


def append_in_vain(connection: sqlite3.Connection) -> None:
    """A transaction that fails after its entry was added."""
    ledger = Ledger(connection)
    with write(connection):
        ledger.append("tap_read", entry(ledger.size, "in vain"))
        raise PowerCutError


def make_log(path: Path, count: int) -> None:
    """A database with a named log of `count` entries."""
    with closing(open_writer(path)) as connection:
        with write(connection):
            Ledger(connection).name_log(LOG_ID)
        append(connection, count)


def note_of(checkpoint: Checkpoint) -> str:
    """A note of the right form; nobody here looks at its signature."""
    return f"{checkpoint.text()}\n\u2014 {checkpoint.origin} {encode_base64(bytes(68))}\n"


def head_of(connection: sqlite3.Connection) -> Checkpoint:
    """The head of the log as it stands."""
    ledger = Ledger(connection)
    return Checkpoint(ledger.origin, ledger.size, ledger.root())


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """A hand inside the file: triggers gone, then whatever the caller does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in ("ledger_appends_only", "ledger_never_changes", "ledger_never_forgets"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        yield connection


def findings(path: Path, kept: Checkpoint | None = None) -> list[tuple[str, int | None]]:
    """What `verify` finds in the file, as (code, entry)."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [(finding.code, finding.seq) for finding in verify(connection, kept)]
