"""Is the ledger as it was written? What a start asks before it goes on with one, and an inspection in the background.

Quicker than `verify` and less talkative: it ends at the first thing that is not as it was, and asks neither for form
nor for checkpoints but the newest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from kiosk.proofs import Checkpoint, ProofError, completed_nodes, node_hash
from kiosk.store.ledger import Ledger
from kiosk.store.schema import DamagedError

PIECE_LEVEL = 8
PIECE = 1 << PIECE_LEVEL
"""Entries that are read and hashed together: one complete subtree."""
TAIL = 1000
"""Entries that are looked at whatever is vouched for: where a power cut may have torn something."""


def examine(connection: sqlite3.Connection, vouched: int = 0) -> Iterator[int]:
    """Look at a ledger piece by piece, telling after each how many entries were looked at; DamagedError ends it.

    SQLite's own check of its pages, every entry against its leaf hash and type, every hash of the tree, and the newest
    stored checkpoint. Where somebody vouches for the first `vouched` entries, these are left out but for the last
    `TAIL` of the log, and so are the pages. Each piece is a transaction of its own, so a kiosk may write meanwhile.
    """
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone() is None:
        return
    if not vouched:
        (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise DamagedError(str(health))
    log = Ledger(connection)
    size = log.size
    begin = max(0, min(vouched, size - TAIL)) // PIECE * PIECE
    for first in range(begin, size, PIECE):
        end = min(first + PIECE, size)
        leaves = _leaves(connection, first, end)
        top = _require_subtrees(connection, first, leaves)
        if top is not None:
            _require_above(log, first >> PIECE_LEVEL, top)
        yield end
    _require_signed(log, size)


def require_sound(database: Path) -> None:
    """Examine all of a database with a connection of its own, which cannot write; DamagedError, sqlite3.Error."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for _ in examine(connection):
            pass


def _leaves(connection: sqlite3.Connection, first: int, end: int) -> list[bytes]:
    """The leaf hashes of these entries, each compared with its bytes, and these with what they are filed as."""
    rows = connection.execute(
        "SELECT seq, type, bytes, leaf FROM ledger WHERE seq >= ? AND seq < ? ORDER BY seq", (first, end)
    ).fetchall()
    for expected, (seq, filed_as, data, leaf) in zip(range(first, end), rows, strict=False):
        if seq != expected:
            raise DamagedError(f"entry {expected} is missing")
        if sha256(b"\x00" + data).digest() != leaf:  # leaf_hash, without a call for each of a million entries
            raise DamagedError(f"entry {seq} does not fit its hash")
        if b'"type":"%s"' % filed_as.encode() not in data:
            raise DamagedError(f"entry {seq} is filed as {filed_as}, which it is not")
    if len(rows) != end - first:
        raise DamagedError(f"entry {first + len(rows)} is missing")
    return [leaf for *_, leaf in rows]


def _require_subtrees(connection: sqlite3.Connection, first: int, leaves: Sequence[bytes]) -> bytes | None:
    """Compare the complete subtrees within a piece with those that were kept; the topmost, where the piece is full."""
    nodes = leaves
    for level in range(1, PIECE_LEVEL + 1):
        nodes = [node_hash(left, right) for left, right in zip(nodes[::2], nodes[1::2], strict=False)]
        index = first >> level
        kept = connection.execute(
            "SELECT hash FROM tree WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
            (level, index, index + len(nodes)),
        ).fetchall()
        if [hashed for (hashed,) in kept] != nodes:
            raise DamagedError(f"the tree does not fit the entries {first} to {first + len(leaves) - 1}")
    return nodes[0] if nodes else None


def _require_above(log: Ledger, piece: int, top: bytes) -> None:
    """Compare the subtrees that a full piece completes above itself."""
    for level, index, value in completed_nodes(piece, top, lambda level, index: log.node(level + PIECE_LEVEL, index))[
        1:
    ]:
        if log.node(level + PIECE_LEVEL, index) != value:
            raise DamagedError(f"the tree does not fit the entries up to {(piece + 1) * PIECE - 1}")


def _require_signed(log: Ledger, size: int) -> None:
    note = log.newest_checkpoint()
    if note is None:
        return
    try:
        signed = Checkpoint.of_note(note)
    except ProofError as error:
        raise DamagedError(f"the newest checkpoint cannot be read: {error}") from error
    if signed.size > log.size:
        raise DamagedError(f"{size} entries are left of {signed.size} that were signed")
    if log.root(signed.size) != signed.root:
        raise DamagedError(f"the first {signed.size} entries are not those that were signed")
