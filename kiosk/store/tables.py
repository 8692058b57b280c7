"""The tables, as migrations in order. A released migration is never edited; a change is a new one at the end."""

from __future__ import annotations

from kiosk.store.office_tables import ACTS, OUTBOX_WAITING, TOTALS

_LEDGER = (
    """
    CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        bytes BLOB NOT NULL,
        leaf BLOB NOT NULL
    ) STRICT
    """,
    # Triggers stop accidents; the tree shows tampering. The one before INSERT also stops INSERT OR REPLACE (facts, 5).
    """
    CREATE TRIGGER ledger_appends_only BEFORE INSERT ON ledger
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM ledger)
    BEGIN SELECT RAISE(ABORT, 'the ledger only appends: an entry takes the next number'); END
    """,
    """
    CREATE TRIGGER ledger_never_changes BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger only appends: an entry never changes'); END
    """,
    """
    CREATE TRIGGER ledger_never_forgets BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger only appends: an entry never goes'); END
    """,
    # Hashes of complete subtrees above the leaves; the leaves' own are in the ledger.
    """
    CREATE TABLE tree (
        level INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (level, idx)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE heartbeat (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        boot TEXT NOT NULL,
        boot_ms INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL
    ) STRICT
    """,
)

_PEOPLE = (
    """
    CREATE TABLE people (
        person_ref TEXT PRIMARY KEY,
        person_id TEXT UNIQUE,
        role TEXT NOT NULL,
        surname TEXT NOT NULL,
        given TEXT NOT NULL,
        patronymic TEXT,
        grp TEXT,
        active INTEGER NOT NULL,
        language TEXT,
        birth_date TEXT,
        programme TEXT,
        enterprise TEXT,
        personnel_number TEXT,
        contract TEXT,
        contract_from TEXT,
        contract_to TEXT,
        consent_until TEXT
    ) STRICT
    """,
    """
    CREATE TABLE badges (
        badge_ref TEXT PRIMARY KEY,
        uid TEXT UNIQUE,
        person_ref TEXT REFERENCES people,
        blocked INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    "CREATE INDEX badges_person ON badges (person_ref)",
    """
    CREATE TABLE users (
        user_ref TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        person_ref TEXT REFERENCES people,
        until TEXT,
        created_ms INTEGER NOT NULL,
        active INTEGER NOT NULL DEFAULT 1
    ) STRICT
    """,
    "CREATE TABLE texts (hash TEXT PRIMARY KEY, salt TEXT NOT NULL, text TEXT NOT NULL) STRICT",
)

_VIEWS = (
    """
    CREATE TABLE sessions (
        session INTEGER PRIMARY KEY,
        person_ref TEXT NOT NULL,
        machine TEXT NOT NULL,
        programme TEXT,
        process TEXT,
        role TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER,
        local_date TEXT NOT NULL,
        reason TEXT,
        closed_by TEXT,
        presence_ms INTEGER NOT NULL,
        by_state TEXT NOT NULL,
        credited_ms INTEGER NOT NULL,
        unverified_ms INTEGER NOT NULL,
        uncredited TEXT NOT NULL,
        evidence TEXT NOT NULL,
        flags TEXT NOT NULL,
        review TEXT NOT NULL,
        decided_by TEXT,
        decided_at_ms INTEGER,
        decided_reason TEXT,
        decided_text_hash TEXT,
        decided_credited_ms INTEGER,
        decided_process TEXT,
        batch INTEGER
    ) STRICT
    """,
    "CREATE INDEX sessions_person ON sessions (person_ref, local_date)",
    "CREATE INDEX sessions_date ON sessions (local_date)",
    "CREATE INDEX sessions_end ON sessions (end_ms, start_ms)",
    "CREATE INDEX sessions_open ON sessions (session) WHERE end_ms IS NULL",
    "CREATE INDEX sessions_pending ON sessions (local_date) WHERE review = 'pending'",
    """
    CREATE TABLE machines (
        machine TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        locked INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        enterprise TEXT NOT NULL,
        person_ref TEXT NOT NULL,
        session INTEGER
    ) STRICT
    """,
    "CREATE INDEX outbox_enterprise ON outbox (enterprise, seq)",
    """
    CREATE TABLE receipts (
        enterprise TEXT NOT NULL,
        seq INTEGER NOT NULL,
        webhook_id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (enterprise, seq)
    ) STRICT, WITHOUT ROWID
    """,
)

_PANEL = (
    "ALTER TABLE users ADD COLUMN pin_hash TEXT",
    "ALTER TABLE sessions ADD COLUMN decided_mark TEXT",
    "ALTER TABLE sessions ADD COLUMN told INTEGER",
    "ALTER TABLE sessions ADD COLUMN idle_at_ms INTEGER",
    "CREATE INDEX sessions_told ON sessions (person_ref, told) WHERE told IS NOT NULL",
    """
    CREATE TABLE qualifications (
        person_ref TEXT NOT NULL,
        qualification TEXT NOT NULL,
        until TEXT,
        PRIMARY KEY (person_ref, qualification)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE sign_offs (
        seq INTEGER PRIMARY KEY,
        person_ref TEXT NOT NULL,
        programme TEXT NOT NULL,
        process TEXT NOT NULL,
        competency TEXT NOT NULL,
        level INTEGER NOT NULL,
        "by" TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        how TEXT NOT NULL,
        text_hash TEXT,
        mark TEXT
    ) STRICT
    """,
    "CREATE INDEX sign_offs_person ON sign_offs (person_ref, seq)",
    """
    CREATE TABLE questions (
        seq INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        person_ref TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        text_hash TEXT
    ) STRICT
    """,
    "CREATE INDEX questions_person ON questions (person_ref)",
)


MIGRATIONS: dict[str, tuple[str, ...]] = {
    "m001_ledger_people_views": _LEDGER + _PEOPLE + _VIEWS,
    "m002_apprentices_and_panel": _PANEL,
    "m003_acts_and_totals": ACTS + TOTALS,
    "m004_outbox_waiting": OUTBOX_WAITING,
}
"""Name to statements; the position from one is the file's `user_version`."""
