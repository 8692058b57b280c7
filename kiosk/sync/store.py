"""`sync.db`: what is on its way. This process is its only writer; whoever else looks opens it read-only."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kiosk.store.beside import open_beside

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE deliveries(
    id TEXT PRIMARY KEY,           -- the webhook-id
    enterprise TEXT NOT NULL,
    origin TEXT NOT NULL,          -- the log its records are leaves of
    body BLOB NOT NULL,            -- emptied on receipt: names are kept no longer than needed
    seqs TEXT NOT NULL,            -- JSON list
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    size INTEGER NOT NULL,         -- of the checkpoint that it proves against
    created_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'stopped')),
    last_error TEXT,
    receipted_ms INTEGER
);
CREATE UNIQUE INDEX one_on_its_way ON deliveries(enterprise) WHERE state <> 'done';
CREATE TABLE acknowledged(enterprise TEXT, origin TEXT, size INTEGER NOT NULL, PRIMARY KEY(enterprise, origin));
CREATE TABLE stops(enterprise TEXT PRIMARY KEY, url TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE signed(origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL);
"""
COLUMNS = "id, enterprise, origin, body, seqs, size, created_ms, attempts, next_ms, state, last_error, receipted_ms"


@dataclass(frozen=True)
class Delivery:
    """One webhook on its way: the same id and the same bytes on every attempt."""

    id: str
    enterprise: str
    origin: str
    body: bytes
    seqs: tuple[int, ...]
    size: int
    created_ms: int
    attempts: int = 0
    next_ms: int = 0
    state: str = "queued"
    last_error: str | None = None
    receipted_ms: int | None = None


@dataclass(frozen=True)
class Stop:
    """An enterprise answered 410 at this address."""

    url: str
    reason: str


class SyncStore:
    """The database, for all threads of this process."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_beside(path, SCHEMA, SCHEMA_VERSION, "nothing is sent")
        self._db.execute("PRAGMA secure_delete = ON")  # bodies hold names

    def close(self) -> None:
        """Close the file, when nobody is at it; whoever comes later gets an exception."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        with self._lock:
            row = self._db.execute(sql, values).fetchone()
        return None if row is None else tuple(row)

    # --- deliveries

    def on_its_way(self, enterprise: str) -> Delivery | None:
        """The delivery that this enterprise has not receipted yet; there is at most one."""
        with self._lock:
            row = self._db.execute(
                f"SELECT {COLUMNS} FROM deliveries WHERE enterprise = ? AND state <> 'done'",  # noqa: S608 - a constant
                (enterprise,),
            ).fetchone()
        if row is None:
            return None
        name, *others = COLUMNS.split(", ")
        fields = dict(zip((name, *others), row, strict=True))
        return Delivery(**{**fields, "seqs": tuple(json.loads(fields["seqs"]))})

    def enqueue(self, delivery: Delivery) -> None:
        """Keep a new delivery before its first attempt."""
        with self._write() as db:
            db.execute(
                "INSERT INTO deliveries(id, enterprise, origin, body, seqs, first_seq, last_seq, size, created_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    delivery.id,
                    delivery.enterprise,
                    delivery.origin,
                    delivery.body,
                    json.dumps(delivery.seqs),
                    min(delivery.seqs),
                    max(delivery.seqs),
                    delivery.size,
                    delivery.created_ms,
                ),
            )

    def failed(self, delivery_id: str, next_ms: int, error: str) -> None:
        """An attempt failed; the next one is due at `next_ms`."""
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_ms = ?, last_error = ? WHERE id = ?",
                (next_ms, error, delivery_id),
            )

    def receipted(self, delivery: Delivery, now_ms: int) -> None:
        """The enterprise has it. The kiosk is told next; `done` ends it."""
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET attempts = attempts + 1, receipted_ms = ?, last_error = NULL, body = x''"
                " WHERE id = ?",
                (now_ms, delivery.id),
            )
            self._acknowledge(db, delivery.enterprise, delivery.origin, delivery.size)

    def done(self, delivery_id: str) -> None:
        """The kiosk has the receipt."""
        with self._write() as db:
            db.execute("UPDATE deliveries SET state = 'done' WHERE id = ?", (delivery_id,))

    def drop(self, delivery_id: str) -> None:
        """Forget a delivery that may not leave as it is; it is built again from what may."""
        with self._write() as db:
            db.execute("DELETE FROM deliveries WHERE id = ? AND receipted_ms IS NULL", (delivery_id,))

    # --- what an enterprise knows of a log

    def acknowledged(self, enterprise: str, origin: str) -> int:
        """The size of the last checkpoint of that log that the enterprise has receipted; 0 for none."""
        row = self._one("SELECT size FROM acknowledged WHERE enterprise = ? AND origin = ?", enterprise, origin)
        return int(str(row[0])) if row else 0

    def acknowledge(self, enterprise: str, origin: str, size: int) -> None:
        """The enterprise said which checkpoint it has."""
        with self._write() as db:
            self._acknowledge(db, enterprise, origin, size)

    @staticmethod
    def _acknowledge(db: sqlite3.Connection, enterprise: str, origin: str, size: int) -> None:
        db.execute("INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?)", (enterprise, origin, size))

    # --- 410

    def stop(self, enterprise: str, url: str, reason: str) -> None:
        """The enterprise wants nothing more at this address."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO stops VALUES (?, ?, ?)", (enterprise, url, reason))
            db.execute(
                "UPDATE deliveries SET state = 'stopped', attempts = attempts + 1, last_error = ?"
                " WHERE enterprise = ? AND state = 'queued'",
                (reason, enterprise),
            )

    def stopped(self, enterprise: str) -> Stop | None:
        """Whether the enterprise has stopped."""
        row = self._one("SELECT url, reason FROM stops WHERE enterprise = ?", enterprise)
        return Stop(str(row[0]), str(row[1])) if row else None

    def resume(self, enterprise: str) -> None:
        """Deliver again."""
        with self._write() as db:
            db.execute("DELETE FROM stops WHERE enterprise = ?", (enterprise,))
            db.execute(
                "UPDATE deliveries SET state = 'queued', next_ms = 0 WHERE enterprise = ? AND state = 'stopped'",
                (enterprise,),
            )

    # --- what was signed

    def signed(self, origin: str) -> tuple[int, bytes, str] | None:
        """(size, root, note) of the last checkpoint signed for that log."""
        row = self._one("SELECT size, root, note FROM signed WHERE origin = ?", origin)
        if row is None:
            return None
        size, root, note = row
        assert isinstance(size, int) and isinstance(root, bytes) and isinstance(note, str)  # noqa: PT018 - one row
        return size, root, note

    def keep_signed(self, origin: str, size: int, root: bytes, note: str) -> None:
        """Remember it before it is handed to anybody: no second history of this size is ever signed."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO signed VALUES (?, ?, ?, ?)", (origin, size, root, note))
