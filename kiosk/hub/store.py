"""`hub.db`: what was received and verified, each record once. The hub's process is its only writer."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiosk.records import Record, fingerprint
from kiosk.store.beside import open_beside

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE keys(
    enterprise TEXT NOT NULL, origin TEXT NOT NULL, vkey TEXT NOT NULL, fingerprint TEXT NOT NULL,
    first_ms INTEGER NOT NULL, accepted_ms INTEGER, accepted_by TEXT,
    PRIMARY KEY(enterprise, origin, vkey)
);
CREATE TABLE checkpoints(
    enterprise TEXT NOT NULL, origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY(enterprise, origin, size)
);
CREATE TABLE deliveries(
    enterprise TEXT NOT NULL, webhook_id TEXT NOT NULL, body_hash BLOB NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY(enterprise, webhook_id)
);
CREATE TABLE records(
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    enterprise TEXT NOT NULL, origin TEXT NOT NULL, seq INTEGER NOT NULL,
    id TEXT NOT NULL, revision INTEGER NOT NULL, latest INTEGER NOT NULL,
    lab TEXT NOT NULL, person_ref TEXT NOT NULL, person_seq INTEGER NOT NULL,
    machine TEXT NOT NULL, programme TEXT, process TEXT, local_date TEXT NOT NULL, start_ms INTEGER NOT NULL,
    presence_ms INTEGER NOT NULL, credited_ms INTEGER NOT NULL, unverified_ms INTEGER NOT NULL,
    evidence TEXT NOT NULL, decision TEXT NOT NULL, received_ms INTEGER NOT NULL,
    record_hash BLOB NOT NULL, entry BLOB NOT NULL, proof TEXT NOT NULL,
    UNIQUE(enterprise, origin, seq),
    UNIQUE(enterprise, id, revision)
);
CREATE INDEX records_by_person ON records(enterprise, origin, person_ref, person_seq);
CREATE TABLE people(
    enterprise TEXT NOT NULL, origin TEXT NOT NULL, person_ref TEXT NOT NULL,
    name TEXT, personnel_number TEXT, contract TEXT,
    PRIMARY KEY(enterprise, origin, person_ref)
);
CREATE TABLE texts(enterprise TEXT NOT NULL, hash TEXT NOT NULL, salt TEXT, text TEXT, PRIMARY KEY(enterprise, hash));
CREATE TABLE alarms(
    enterprise TEXT NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL, detail TEXT NOT NULL,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY(enterprise, kind, origin, detail)
);
"""
ALARM_LIMIT = 1_000
"""Different alarms kept for each enterprise; the oldest make room."""


class Contradiction(Exception):
    """A record is already here with other bytes."""


@dataclass(frozen=True)
class Kept:
    """One verified entry, ready to be kept."""

    seq: int
    entry: bytes
    """Canonical bytes: what was hashed."""
    record_hash: bytes
    proof: str
    record: Record


class HubStore:
    """Writes take turns; every reader opens a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db = open_beside(path, SCHEMA, SCHEMA_VERSION, "nothing is received")

    def close(self) -> None:
        """Close the file, when nobody is at it."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def write(self) -> Iterator[Writer]:
        """One transaction, whole or not at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(self._db)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection whose rows go by name."""
        db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only = ON")
            yield db
        finally:
            db.close()

    # --- keys

    def park(self, enterprise: str, origin: str, vkey: str, now_ms: int) -> None:
        """Remember a log's key that nobody has accepted yet."""
        with self.write() as writer:
            writer.db.execute(
                "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                (enterprise, origin, vkey, fingerprint(vkey), now_ms),
            )

    def accept(self, wanted: str, by: str, now_ms: int, enterprise: str | None = None) -> int:
        """Accept the parked keys of that fingerprint (of one enterprise, or of all); how many there were."""
        digits = "".join(wanted.split()).replace(":", "").lower()
        with self.write() as writer:
            return writer.db.execute(
                "UPDATE keys SET accepted_ms = ?, accepted_by = ? WHERE accepted_ms IS NULL"
                " AND replace(fingerprint, ' ', '') = ? AND ifnull(?, enterprise) = enterprise",
                (now_ms, by, digits, enterprise),
            ).rowcount

    def accepted_keys(self, enterprise: str, origin: str) -> list[str]:
        """The verifier keys that a person accepted for that log."""
        with self.read() as db:
            rows = db.execute(
                "SELECT vkey FROM keys WHERE enterprise = ? AND origin = ? AND accepted_ms IS NOT NULL",
                (enterprise, origin),
            )
            return [str(vkey) for (vkey,) in rows]

    def delivery_hash(self, enterprise: str, webhook_id: str) -> bytes | None:
        """The hash of the body that came under this id before."""
        with self.read() as db:
            row = db.execute(
                "SELECT body_hash FROM deliveries WHERE enterprise = ? AND webhook_id = ?", (enterprise, webhook_id)
            ).fetchone()
        return None if row is None else bytes(row[0])

    # --- alarms

    def alarm(self, enterprise: str, kind: str, origin: str, detail: str, now_ms: int) -> None:
        """Keep what a person must see; the same again is counted."""
        with self.write() as writer:
            writer.alarm(enterprise, kind, origin, detail, now_ms)


class Writer:
    """What may be written, inside one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def checkpoints(self, enterprise: str, origin: str, limit: int) -> list[tuple[int, bytes]]:
        """(size, root) of the heads kept, the largest first."""
        rows = self.db.execute(
            "SELECT size, root FROM checkpoints WHERE enterprise = ? AND origin = ? ORDER BY size DESC LIMIT ?",
            (enterprise, origin, limit),
        )
        return [(int(size), bytes(root)) for size, root in rows]

    def keep_delivery(self, enterprise: str, webhook_id: str, body_hash: bytes, now_ms: int) -> None:
        """Remember that this delivery is in."""
        self.db.execute(
            "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?)", (enterprise, webhook_id, body_hash, now_ms)
        )

    def keep_checkpoint(self, enterprise: str, origin: str, size: int, root: bytes, note: str, now_ms: int) -> None:
        """Remember a head that was verified."""
        self.db.execute(
            "INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
            (enterprise, origin, size, root, note, now_ms),
        )

    def keep_record(self, enterprise: str, kept: Kept, now_ms: int) -> bool:
        """Keep a record; False where it is here already, `Contradiction` where it is here with other bytes."""
        record = kept.record
        for same, which in (
            ("origin = ? AND seq = ?", (record.origin, kept.seq)),
            ("id = ? AND revision = ?", (record.id, record.revision)),
        ):
            row = self.db.execute(
                f"SELECT record_hash FROM records WHERE enterprise = ? AND {same}",  # noqa: S608 - constants
                (enterprise, *which),
            ).fetchone()
            if row is not None and bytes(row[0]) != kept.record_hash:
                raise Contradiction(
                    f"record {record.id}, revision {record.revision}, is already here with other content"
                )
            if row is not None:
                return False
        newer = self.db.execute(
            "SELECT 1 FROM records WHERE enterprise = ? AND id = ? AND revision > ?",
            (enterprise, record.id, record.revision),
        ).fetchone()
        self.db.execute(
            "UPDATE records SET latest = 0 WHERE enterprise = ? AND id = ? AND revision < ?",
            (enterprise, record.id, record.revision),
        )
        values = {
            "enterprise": enterprise,
            "origin": record.origin,
            "seq": kept.seq,
            "id": record.id,
            "revision": record.revision,
            "latest": int(newer is None),
            "lab": record.lab,
            "person_ref": record.person_ref,
            "person_seq": record.person_seq,
            "machine": record.machine,
            "programme": record.programme,
            "process": record.process,
            "local_date": record.local_date,
            "start_ms": record.start_ms,
            "presence_ms": record.presence_ms,
            "credited_ms": record.credited_ms,
            "unverified_ms": record.unverified_ms,
            "evidence": record.evidence,
            "decision": record.decision,
            "received_ms": now_ms,
            "record_hash": kept.record_hash,
            "entry": kept.entry,
            "proof": kept.proof,
        }
        self.db.execute(
            f"INSERT INTO records({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608 - our names
            tuple(values.values()),
        )
        return True

    def numbered_twice(self, enterprise: str, record: Record) -> bool:
        """Has another record of this person the same `person_seq`?"""
        (count,) = self.db.execute(
            "SELECT count(*) FROM records WHERE enterprise = ? AND origin = ? AND person_ref = ? AND person_seq = ?",
            (enterprise, record.origin, record.person_ref, record.person_seq),
        ).fetchone()
        return int(count) > 1

    def keep_people(self, enterprise: str, origin: str, people: Mapping[str, Sequence[str | None]]) -> None:
        """Who the references are: (name, personnel number, contract), the last one told."""
        self.db.executemany(
            "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?, ?)",
            [(enterprise, origin, ref, *row) for ref, row in people.items()],
        )

    def keep_texts(self, enterprise: str, texts: Mapping[str, Sequence[str | None]]) -> None:
        """The texts behind hashes: (salt, text)."""
        self.db.executemany(
            "INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)",
            [(enterprise, digest, *row) for digest, row in texts.items()],
        )

    def alarm(self, enterprise: str, kind: str, origin: str, detail: str, now_ms: int) -> None:
        """Keep what a person must see; the same again is counted."""
        self.db.execute(
            "INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, 1)"
            " ON CONFLICT DO UPDATE SET last_ms = excluded.last_ms, count = count + 1",
            (enterprise, kind, origin, detail[:500], now_ms, now_ms),
        )
        self.db.execute(
            "DELETE FROM alarms WHERE enterprise = ?1 AND rowid NOT IN"
            " (SELECT rowid FROM alarms WHERE enterprise = ?1 ORDER BY last_ms DESC LIMIT ?2)",
            (enterprise, ALARM_LIMIT),
        )
