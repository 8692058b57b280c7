"""The append-only log: bytes in, positions out, and every root and proof of any size in a few dozen reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from kiosk.proofs import (
    Checkpoint,
    ProofError,
    completed_nodes,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_at,
)
from kiosk.store.meta import get_meta, put_meta
from kiosk.store.schema import DamagedError, StoreError

ORIGIN_PREFIX = "sheber/"
_LOG_ID = "log_id"


class Ledger:
    """The log in one database. Keeps no state of its own, so a rolled back transaction leaves nothing behind."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def size(self) -> int:
        """How many entries there are; the next one gets this number."""
        (size,) = self._connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM ledger").fetchone()
        return int(size)

    @property
    def log_id(self) -> str | None:
        """`<lab id>/<random>`, or None before the log was named."""
        return get_meta(self._connection, _LOG_ID)

    @property
    def origin(self) -> str:
        """The origin of this log's checkpoints; StoreError before the log was named."""
        log_id = self.log_id
        if log_id is None:
            raise StoreError("the log has no name yet: start sheber run once, which begins it")
        return ORIGIN_PREFIX + log_id

    def name_log(self, log_id: str) -> None:
        """Give the log its name, once."""
        if self.log_id not in (None, log_id):
            raise StoreError(f"this log is already named {self.log_id}: a new name needs a new data folder")
        put_meta(self._connection, _LOG_ID, log_id)

    def append(self, entry_type: str, data: bytes) -> int:
        """Add an entry's canonical bytes and the subtrees it completes; returns its seq. The caller commits."""
        seq, leaf = self.size, leaf_hash(data)
        self._connection.execute(
            "INSERT INTO ledger (seq, type, bytes, leaf) VALUES (?, ?, ?, ?)", (seq, entry_type, data, leaf)
        )
        self._connection.executemany(
            "INSERT INTO tree (level, idx, hash) VALUES (?, ?, ?)", completed_nodes(seq, leaf, self.node)[1:]
        )
        return seq

    def entry(self, seq: int) -> bytes | None:
        """The bytes of one entry, or None where there is none."""
        row = self._connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else bytes(row[0])

    def entries(self, after: int = -1, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(seq, bytes) in order, after `after`, at most `limit` of them."""
        return self._connection.execute(
            "SELECT seq, bytes FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?", (after, -1 if limit is None else limit)
        )

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` entries (all of them where left out)."""
        return root_at(self._known(self.size if size is None else size), self.node)

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The proof that entry `seq` is in the log of `size` entries."""
        return inclusion_path(seq, self._known(size), self.node)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the log of `second` entries extends the one of `first`."""
        return consistency_path(first, self._known(second), self.node)

    def store_checkpoint(self, note: str) -> None:
        """Keep a signed checkpoint; StoreError unless it is of this log as it stands. Its signature is not checked."""
        try:
            checkpoint = Checkpoint.of_note(note)
        except ProofError as error:
            raise StoreError(f"the checkpoint cannot be read: {error}; send it again") from error
        if checkpoint.origin != self.origin:
            raise StoreError(f"the checkpoint is of {checkpoint.origin}, not of {self.origin}: sign this log")
        if checkpoint.size > self.size or checkpoint.root != self.root(checkpoint.size):
            raise StoreError(
                f"the checkpoint of size {checkpoint.size} is of another history: run sheber ledger verify"
            )
        self._connection.execute(
            "INSERT OR IGNORE INTO checkpoints (size, note) VALUES (?, ?)", (checkpoint.size, note)
        )

    def newest_checkpoint(self) -> str | None:
        """The note of the largest signed size, or None before the first."""
        row = self._connection.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def _known(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"the log has {self.size} entries, not {size}")
        return size

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree `index` of `level` (0: a leaf); DamagedError where it is missing."""
        if level == 0:
            row = self._connection.execute("SELECT leaf FROM ledger WHERE seq = ?", (index,)).fetchone()
        else:
            row = self._connection.execute(
                "SELECT hash FROM tree WHERE level = ? AND idx = ?", (level, index)
            ).fetchone()
        if row is None:
            raise DamagedError(f"the log's tree lacks a part at level {level}: run sheber ledger verify")
        return bytes(row[0])
