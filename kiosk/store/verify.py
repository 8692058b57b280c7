"""Checking a log from its first byte: what was edited, deleted, swapped, cut off or written anew, and where first.

Reads in one pass and constant memory, in one snapshot, and changes nothing. A history that was recomputed as a whole is
only found against a checkpoint that somebody kept elsewhere; give it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kiosk.proofs import Checkpoint, Frontier, ProofError, leaf_hash, parse_canonical
from kiosk.store.ledger import ORIGIN_PREFIX, Ledger

MAX_FINDINGS = 50
PROGRESS_EVERY = 4096

Progress = Callable[[int], None]
"""Told how many entries were checked so far."""


@dataclass(frozen=True)
class Finding:
    """Something in the log that is not as it was written."""

    code: str
    """`missing`, `bytes`, `form`, `seq`, `type`, `tree`, `checkpoint`, `cut` or `damaged`: stable, for scripts."""
    seq: int | None
    """The entry, or the first of those it may be."""
    message: str


def verify(
    connection: sqlite3.Connection, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> list[Finding]:
    """Every finding in the order of the log (at most `MAX_FINDINGS`); none means that the log is whole.

    Compared are the entries with their leaf hashes, numbers, types and canonical form, the kept subtrees, the stored
    checkpoints, and `checkpoint`, one kept elsewhere.
    """
    own_transaction = not connection.in_transaction
    if own_transaction:
        connection.execute("BEGIN")  # one snapshot, while a kiosk writes on
    try:
        return _Verification(connection, checkpoint).run(progress or (lambda _count: None))
    finally:
        if own_transaction:
            connection.rollback()


class _Verification:
    """One pass over the log: the recomputed tree, and the head of the checkpoints still to come."""

    def __init__(self, connection: sqlite3.Connection, kept: Checkpoint | None) -> None:
        self._connection = connection
        self._findings: list[Finding] = []
        self._frontier = Frontier()
        self._expected = 0
        self._last_bad = -1
        self._vouched = 0
        self._kept = kept
        self._checkpoints: Iterator[tuple[Checkpoint, str]] = iter(())
        self._next: tuple[Checkpoint, str] | None = None

    def run(self, progress: Progress) -> list[Finding]:
        """Check everything; an error of the database itself ends the pass with a finding."""
        try:
            self._checkpoints = self._read_checkpoints()
            self._next = next(self._checkpoints, None)
            rows = self._connection.execute("SELECT seq, type, bytes, leaf FROM ledger ORDER BY seq")
            for seq, entry_type, data, leaf in rows:
                self._check_checkpoints()
                self._check_entry(seq, entry_type, data, leaf)
                if self._expected % PROGRESS_EVERY == 0:
                    progress(self._expected)
                if len(self._findings) >= MAX_FINDINGS:
                    return self._findings
            self._check_checkpoints()
            self._check_end()
        except sqlite3.DatabaseError as error:
            self._add("damaged", self._expected, f"the database cannot be read at entry {self._expected}: {error}")
        progress(self._expected)
        return self._findings

    def _add(self, code: str, seq: int | None, message: str) -> None:
        self._findings.append(Finding(code, seq, message))
        if seq is not None:
            self._last_bad = max(self._last_bad, seq)

    def _check_entry(self, seq: int, entry_type: object, data: object, leaf: object) -> None:
        if seq != self._expected:
            self._add(
                "missing", self._expected, f"entry {self._expected} is missing: entry {seq} follows {self._before()}"
            )
        if not isinstance(data, bytes):
            self._add("damaged", seq, f"entry {seq} is not stored as bytes")
            data = str(data).encode("utf-8", "surrogateescape")
        computed = leaf_hash(data)
        if computed != leaf:
            self._add("bytes", seq, f"entry {seq} does not fit its hash: its bytes or the hash were changed")
        else:
            self._check_content(seq, entry_type, data)
        self._check_tree(seq, computed)
        self._expected = seq + 1

    def _check_content(self, seq: int, entry_type: object, data: bytes) -> None:
        try:
            entry = parse_canonical(data)
        except ValueError as error:
            self._add("form", seq, f"entry {seq} is not an entry as it was written: {error}")
            return
        if entry.get("seq") != seq:
            self._add("seq", seq, f"entry {seq} says that it is entry {entry.get('seq')}: it stands in another's place")
        if entry.get("type") != entry_type:
            self._add("type", seq, f"entry {seq} is of type {entry.get('type')}, but filed as {entry_type}")

    def _check_tree(self, seq: int, leaf: bytes) -> None:
        if self._frontier.size != seq:  # after a gap no subtree or root means anything
            return
        for level, index, value in self._frontier.append(leaf)[1:]:
            row = self._connection.execute(
                "SELECT hash FROM tree WHERE level = ? AND idx = ?", (level, index)
            ).fetchone()
            first = index << level
            if (row is None or row[0] != value) and self._last_bad < first:
                what = "lacks the hash" if row is None else "holds another hash"
                self._findings.append(
                    Finding(
                        "tree", first, f"the tree {what} over the entries {first} to {seq}: one of them was changed"
                    )
                )
                self._last_bad = seq

    def _check_checkpoints(self) -> None:
        while self._next is not None and self._next[0].size <= self._frontier.size == self._expected:
            checkpoint, source = self._next
            if checkpoint.root == self._frontier.root():
                self._vouched = checkpoint.size
            else:
                self._add(
                    "checkpoint",
                    self._vouched,
                    f"the log is not the one that {source} of size {checkpoint.size} vouches for: "
                    f"an entry from {self._vouched} to {checkpoint.size - 1} was changed",
                )
            self._next = next(self._checkpoints, None)

    def _check_end(self) -> None:
        whole = self._frontier.size == self._expected
        while self._next is not None and whole:
            checkpoint, source = self._next
            self._add(
                "cut",
                self._expected,
                f"the log ends after {self._expected} entries, but {source} vouches for {checkpoint.size}: "
                "its end was cut off, or this is an older copy",
            )
            self._next = next(self._checkpoints, None)
        (nodes,) = self._connection.execute("SELECT count(*) FROM tree").fetchone()
        if whole and nodes > _complete_subtrees(self._expected):
            self._add(
                "cut", self._expected, f"the tree is larger than the {self._expected} entries: the end was cut off"
            )

    def _read_checkpoints(self) -> Iterator[tuple[Checkpoint, str]]:
        """Stored and kept checkpoints of this log by size; what is no checkpoint of it becomes a finding."""
        log_id = Ledger(self._connection).log_id
        origin = None if log_id is None else ORIGIN_PREFIX + log_id
        kept = self._kept
        if kept is not None and origin is not None and kept.origin != origin:
            self._add("checkpoint", None, f"the given checkpoint is of {kept.origin}, not of {origin}")
            kept = None
        for size, note in self._connection.execute("SELECT size, note FROM checkpoints ORDER BY size"):
            if kept is not None and kept.size <= size:
                yield kept, "the given checkpoint"
                kept = None
            try:
                stored = Checkpoint.of_note(note)
            except ProofError as error:
                self._add("checkpoint", None, f"the stored checkpoint of size {size} cannot be read: {error}")
                continue
            if stored.size != size or (origin is not None and stored.origin != origin):
                self._add("checkpoint", None, f"the stored checkpoint of size {size} is of another log or size")
                continue
            yield stored, "the stored checkpoint"
        if kept is not None:
            yield kept, "the given checkpoint"

    def _before(self) -> str:
        return f"entry {self._expected - 1}" if self._expected else "the beginning"


def _complete_subtrees(size: int) -> int:
    """How many complete subtrees above the leaves a log of `size` has."""
    return sum(size >> level for level in range(1, size.bit_length()))
