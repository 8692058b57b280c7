"""What the pages and the API show: questions to `hub.db`, each for one enterprise."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from kiosk.records import COUNTED_DECISIONS


@dataclass(frozen=True)
class Hours:
    """One person's time in one process, over all logs: the latest revision of each record counts."""

    name: str | None
    personnel_number: str | None
    person_refs: tuple[str, ...]
    programme: str | None
    process: str | None
    credited_ms: int
    """Approved and adjusted."""
    pending_ms: int
    """Not decided yet; in no total."""
    records: int
    evidence: tuple[str, ...]
    last_local_date: str
    labs: tuple[str, ...]


@dataclass(frozen=True)
class Withheld:
    """A number that is missing among a person's records: one was made and did not come."""

    origin: str
    person_ref: str
    name: str | None
    missing: tuple[int, ...]
    """At most the first twenty."""


def hours(db: sqlite3.Connection, enterprise: str) -> list[Hours]:
    """By person and process, sorted by name. One personnel number is one person, whatever the log calls them."""
    counted = ", ".join(f"'{decision}'" for decision in COUNTED_DECISIONS)
    rows = db.execute(
        f"""
        SELECT max(p.name) AS name, max(p.personnel_number) AS personnel_number,
            json_group_array(DISTINCT r.person_ref) AS refs, r.programme, r.process,
            sum(CASE WHEN r.decision IN ({counted}) THEN r.credited_ms ELSE 0 END) AS credited_ms,
            sum(CASE WHEN r.decision = 'pending' THEN r.credited_ms ELSE 0 END) AS pending_ms,
            count(*) AS records, json_group_array(DISTINCT r.evidence) AS evidence,
            max(r.local_date) AS last_local_date, json_group_array(DISTINCT r.lab) AS labs
        FROM records r LEFT JOIN people p USING (enterprise, origin, person_ref)
        WHERE r.enterprise = ? AND r.latest
        GROUP BY coalesce('n:' || p.personnel_number, 'r:' || r.origin || ' ' || r.person_ref), r.programme, r.process
        ORDER BY max(p.name) IS NULL, max(p.name), r.programme, r.process
        """,  # noqa: S608 - constants
        (enterprise,),
    )
    return [
        Hours(
            name=row["name"],
            personnel_number=row["personnel_number"],
            person_refs=tuple(sorted(json.loads(row["refs"]))),
            programme=row["programme"],
            process=row["process"],
            credited_ms=row["credited_ms"],
            pending_ms=row["pending_ms"],
            records=row["records"],
            evidence=tuple(sorted(json.loads(row["evidence"]))),
            last_local_date=row["last_local_date"],
            labs=tuple(sorted(json.loads(row["labs"]))),
        )
        for row in rows
    ]


def records(db: sqlite3.Connection, enterprise: str, *, before: int | None, limit: int) -> list[sqlite3.Row]:
    """The newest records below number `before`, with names, for the page."""
    return db.execute(
        """
        SELECT r.*, p.name, p.personnel_number FROM records r LEFT JOIN people p USING (enterprise, origin, person_ref)
        WHERE r.enterprise = ? AND r.n < ifnull(?, 9223372036854775807) ORDER BY r.n DESC LIMIT ?
        """,
        (enterprise, before, limit),
    ).fetchall()


def entries(db: sqlite3.Connection, enterprise: str, *, after: int, limit: int) -> list[tuple[int, bytes, str]]:
    """(number, entry bytes, proof) in the order of arrival, for the API."""
    rows = db.execute(
        "SELECT n, entry, proof FROM records WHERE enterprise = ? AND n > ? ORDER BY n LIMIT ?",
        (enterprise, after, limit),
    )
    return [(int(n), bytes(entry), str(proof)) for n, entry, proof in rows]


def logs(db: sqlite3.Connection, enterprise: str) -> list[sqlite3.Row]:
    """Every key that was shown for a log, parked ones first, and the last head of that log."""
    return db.execute(
        """
        SELECT k.*, c.size, c.root, c.at_ms FROM keys k LEFT JOIN checkpoints c ON c.enterprise = k.enterprise
            AND c.origin = k.origin AND c.size = (
                SELECT max(size) FROM checkpoints x WHERE x.enterprise = k.enterprise AND x.origin = k.origin)
        WHERE k.enterprise = ? ORDER BY k.accepted_ms IS NOT NULL, k.origin, k.first_ms
        """,
        (enterprise,),
    ).fetchall()


def newest_checkpoint(db: sqlite3.Connection, enterprise: str, origin: str | None) -> str | None:
    """The signed note of the largest head kept for that log, or of the log heard last."""
    row = db.execute(
        "SELECT note FROM checkpoints WHERE enterprise = ?1 AND origin = ifnull(?2, origin)"
        " ORDER BY CASE WHEN ?2 IS NULL THEN at_ms ELSE size END DESC LIMIT 1",
        (enterprise, origin),
    ).fetchone()
    return None if row is None else str(row["note"])


def alarms(db: sqlite3.Connection, enterprise: str) -> list[sqlite3.Row]:
    """What was refused or contradicts itself, the latest first."""
    return db.execute("SELECT * FROM alarms WHERE enterprise = ? ORDER BY last_ms DESC", (enterprise,)).fetchall()


def withheld(db: sqlite3.Connection, enterprise: str) -> list[Withheld]:
    """The gaps in the numbering of each person's records, for each log."""
    rows = db.execute(
        """
        SELECT r.origin, r.person_ref, max(p.name) AS name, json_group_array(DISTINCT r.person_seq) AS seqs
        FROM records r LEFT JOIN people p USING (enterprise, origin, person_ref)
        WHERE r.enterprise = ? GROUP BY r.origin, r.person_ref
        HAVING max(r.person_seq) > count(DISTINCT r.person_seq)
        """,
        (enterprise,),
    )
    found = []
    for row in rows:
        if missing := tuple(_missing(sorted(json.loads(row["seqs"])))):
            found.append(Withheld(row["origin"], row["person_ref"], row["name"], missing))
    return found


def _missing(seqs: list[int]) -> Iterator[int]:
    """The numbers from 1 to the last that are not there, at most twenty of them."""
    expected, count = 1, 0
    for seq in seqs:
        for gap in range(expected, min(seq, expected + 20)):
            if count == 20:
                return
            count += 1
            yield gap
        expected = max(expected, seq + 1)
