"""The tables behind the office's pages: what people did, sums, and what waits to be sent. Parts of migrations.

A released migration is never edited; a change is a new one at the end (`tables.py`).
"""

from __future__ import annotations

ACTS = (
    "ALTER TABLE users ADD COLUMN must_change INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE people ADD COLUMN merged_into TEXT REFERENCES people",
    "CREATE INDEX people_merged ON people (merged_into) WHERE merged_into IS NOT NULL",
    # Numbered as the ledger is; what is beside the ledger (sign-ins, exports) from `acts.OFFICE` on.
    """
    CREATE TABLE acts (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        "by" TEXT,
        person_ref TEXT,
        session INTEGER,
        machine TEXT,
        subject TEXT NOT NULL
    ) STRICT
    """,
    # What each kind of entry says of who did what. Most anchors and closings are nobody's act; what is damaged is for
    # the examination to find, not for a screen.
    """
    CREATE VIEW ledger_acts AS
    SELECT
        seq AS id,
        type AS kind,
        max(0, coalesce(CAST(json_extract(entry, '$.stamp.wall_ms') AS INTEGER), 0)) AS wall_ms,
        coalesce(json_extract(entry, '$.stamp.synced'), 0) AS synced,
        json_extract(entry, '$.by') AS "by",
        coalesce(json_extract(entry, '$.person_ref'), json_extract(entry, '$.record.person_ref')) AS person_ref,
        CASE type WHEN 'manual_session_entered' THEN seq
                  ELSE CAST(json_extract(entry, '$.session') AS INTEGER) END AS session,
        json_extract(entry, '$.machine') AS machine,
        coalesce(CASE type
            WHEN 'session_reviewed' THEN json_extract(entry, '$.decision')
            WHEN 'manual_session_entered' THEN json_extract(entry, '$.reason')
            WHEN 'session_closed' THEN json_extract(entry, '$.reason')
            WHEN 'competency_signed' THEN json_extract(entry, '$.competency') || ':' || json_extract(entry, '$.level')
            WHEN 'qualification_granted' THEN
                json_extract(entry, '$.qualification') || ':' || coalesce(json_extract(entry, '$.until'), '')
            WHEN 'badge_assigned' THEN json_extract(entry, '$.badge_ref')
            WHEN 'badge_blocked' THEN json_extract(entry, '$.badge_ref')
            WHEN 'consent_given' THEN
                json_extract(entry, '$.enterprise') || ':' || coalesce(json_extract(entry, '$.until'), '')
            WHEN 'consent_withdrawn' THEN json_extract(entry, '$.enterprise')
            WHEN 'contract_recorded' THEN
                json_extract(entry, '$.enterprise') || ':' || coalesce(json_extract(entry, '$.valid_from'), '')
                || ':' || coalesce(json_extract(entry, '$.valid_to'), '')
            WHEN 'machine_locked' THEN iif(json_extract(entry, '$.locked'), 'locked', 'given_back')
            WHEN 'clock_anchored' THEN json_extract(entry, '$.source')
            WHEN 'person_recorded' THEN
                json_extract(entry, '$.role') || ':' || coalesce(json_extract(entry, '$.programme'), '')
                || ':' || iif(json_extract(entry, '$.active'), 'active', 'inactive')
            WHEN 'person_merged' THEN json_extract(entry, '$.into')
            WHEN 'record_released' THEN json_extract(entry, '$.enterprise')
        END, '') AS subject
    FROM (
        SELECT seq, type, CAST(bytes AS TEXT) AS entry FROM ledger
        WHERE type IN (
            'session_reviewed', 'manual_session_entered', 'competency_signed', 'qualification_granted',
            'badge_assigned', 'badge_blocked', 'consent_given', 'consent_withdrawn', 'contract_recorded',
            'machine_locked', 'session_questioned', 'clock_anchored', 'session_closed', 'person_recorded',
            'person_merged', 'person_erased', 'record_released'
        )
    )
    WHERE CASE WHEN json_valid(entry)
        THEN type NOT IN ('clock_anchored', 'session_closed') OR json_extract(entry, '$.by') IS NOT NULL
        ELSE 0 END
    """,
    # A clock that is not synchronised shows what it likes: such an act, negative at first, then counts as no earlier
    # than the one before it.
    """
    INSERT INTO acts (id, at_ms, kind, "by", person_ref, session, machine, subject)
    SELECT id, iif(synced, wall_ms, -1 - wall_ms), kind, "by", person_ref, session, machine, subject FROM ledger_acts
    """,
    """
    UPDATE acts SET at_ms = (
        SELECT max(iif(era.at_ms < 0, -1 - era.at_ms, era.at_ms)) FROM acts AS era
        WHERE era.id <= acts.id AND era.id >= coalesce(
            (SELECT known.id FROM acts AS known WHERE known.id < acts.id AND known.at_ms >= 0
             ORDER BY known.id DESC LIMIT 1), 0)
    ) WHERE +at_ms < 0
    """,
    "CREATE INDEX acts_at ON acts (at_ms)",
    "CREATE INDEX acts_kind ON acts (kind, at_ms)",
    'CREATE INDEX acts_by ON acts ("by", kind, at_ms) WHERE "by" IS NOT NULL',
    "CREATE INDEX acts_person ON acts (person_ref, at_ms) WHERE person_ref IS NOT NULL",
    "CREATE INDEX acts_session ON acts (session, id) WHERE session IS NOT NULL",
    # A blocked badge's entry does not say whose it was.
    """
    UPDATE acts SET person_ref = (
        SELECT given.person_ref FROM acts AS given
        WHERE given.kind = 'badge_assigned' AND given.subject = acts.subject AND given.id < acts.id
        ORDER BY given.id DESC LIMIT 1
    ) WHERE kind = 'badge_blocked'
    """,
)

_ADDED = """
    ON CONFLICT DO UPDATE SET
        presence_ms = presence_ms + excluded.presence_ms, approved_ms = approved_ms + excluded.approved_ms,
        waiting_ms = waiting_ms + excluded.waiting_ms, sessions = sessions + excluded.sessions,
        waiting = waiting + excluded.waiting
"""
_COUNT = f"""
    INSERT INTO person_totals
    SELECT person_ref, process, machine, month, presence_ms, approved_ms, waiting_ms, 1, waiting
    FROM session_shares WHERE session = NEW.session {_ADDED};
    INSERT INTO machine_days
    SELECT local_date, machine, state, ms FROM session_states WHERE session = NEW.session
    ON CONFLICT DO UPDATE SET ms = ms + excluded.ms;
"""  # noqa: S608 - words of our own
_UNCOUNT = f"""
    INSERT INTO person_totals
    SELECT person_ref, process, machine, month, -presence_ms, -approved_ms, -waiting_ms, -1, -waiting
    FROM session_shares WHERE session = OLD.session {_ADDED};
    DELETE FROM person_totals
    WHERE sessions = 0 AND (person_ref, process, machine, month) =
        (SELECT person_ref, process, machine, month FROM session_shares WHERE session = OLD.session);
    INSERT INTO machine_days
    SELECT local_date, machine, state, -ms FROM session_states WHERE session = OLD.session
    ON CONFLICT DO UPDATE SET ms = ms + excluded.ms;
    DELETE FROM machine_days WHERE local_date = OLD.local_date AND machine = OLD.machine AND ms = 0;
"""  # noqa: S608 - words of our own

TOTALS = (
    """
    CREATE TABLE person_totals (
        person_ref TEXT NOT NULL,
        process TEXT NOT NULL,
        machine TEXT NOT NULL,
        month TEXT NOT NULL,
        presence_ms INTEGER NOT NULL,
        approved_ms INTEGER NOT NULL,
        waiting_ms INTEGER NOT NULL,
        sessions INTEGER NOT NULL,
        waiting INTEGER NOT NULL,
        PRIMARY KEY (person_ref, process, machine, month)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE machine_days (
        local_date TEXT NOT NULL,
        machine TEXT NOT NULL,
        state TEXT NOT NULL,
        ms INTEGER NOT NULL,
        PRIMARY KEY (local_date, machine, state)
    ) STRICT, WITHOUT ROWID
    """,
    # What one closed session adds: to its person's month, and to its machine's day. An open one adds nothing yet.
    """
    CREATE VIEW session_shares AS
    SELECT
        session,
        person_ref,
        coalesce(iif(review IN ('approved', 'adjusted'), decided_process, process), '') AS process,
        machine,
        local_date,
        substr(local_date, 1, 7) AS month,
        presence_ms,
        iif(review IN ('approved', 'adjusted'), coalesce(decided_credited_ms, 0), 0) AS approved_ms,
        iif(review = 'pending', credited_ms, 0) AS waiting_ms,
        review = 'pending' AS waiting
    FROM sessions WHERE end_ms IS NOT NULL
    """,
    """
    CREATE VIEW session_states AS
    SELECT session, local_date, machine, stretch.key AS state, stretch.value AS ms
    FROM sessions, json_each(iif(json_valid(by_state), by_state, '{}')) AS stretch
    WHERE end_ms IS NOT NULL AND stretch.value > 0
    """,
    """
    INSERT INTO person_totals
    SELECT person_ref, process, machine, month, sum(presence_ms), sum(approved_ms), sum(waiting_ms), count(*),
        sum(waiting)
    FROM session_shares GROUP BY person_ref, process, machine, month
    """,
    """
    INSERT INTO machine_days
    SELECT local_date, machine, state, sum(ms) FROM session_states GROUP BY local_date, machine, state
    """,
    # A row that is replaced is deleted first; with `recursive_triggers` that is seen here too.
    f"CREATE TRIGGER sessions_counted AFTER INSERT ON sessions WHEN NEW.end_ms IS NOT NULL BEGIN {_COUNT} END",
    f"CREATE TRIGGER sessions_uncounted BEFORE DELETE ON sessions WHEN OLD.end_ms IS NOT NULL BEGIN {_UNCOUNT} END",
    f"CREATE TRIGGER sessions_recounted AFTER UPDATE ON sessions WHEN NEW.end_ms IS NOT NULL BEGIN {_COUNT} END",
    f"CREATE TRIGGER sessions_discounted BEFORE UPDATE ON sessions WHEN OLD.end_ms IS NOT NULL BEGIN {_UNCOUNT} END",
)

# What waits for a receipt, found without walking over years of what has one; kept by the triggers alone.
OUTBOX_WAITING = (
    """
    CREATE TABLE outbox_waiting (
        enterprise TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (enterprise, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO outbox_waiting
    SELECT enterprise, seq FROM outbox LEFT JOIN receipts USING (enterprise, seq) WHERE webhook_id IS NULL
    """,
    """
    CREATE TRIGGER outbox_waits AFTER INSERT ON outbox
    WHEN NOT EXISTS (SELECT 1 FROM receipts WHERE enterprise = NEW.enterprise AND seq = NEW.seq)
    BEGIN INSERT OR IGNORE INTO outbox_waiting VALUES (NEW.enterprise, NEW.seq); END
    """,
    """
    CREATE TRIGGER outbox_forgotten AFTER DELETE ON outbox
    BEGIN DELETE FROM outbox_waiting WHERE enterprise = OLD.enterprise AND seq = OLD.seq; END
    """,
    """
    CREATE TRIGGER receipt_came AFTER INSERT ON receipts
    BEGIN DELETE FROM outbox_waiting WHERE enterprise = NEW.enterprise AND seq = NEW.seq; END
    """,
    # Counted as they come and go: `/health` asks every few seconds, whatever the age of the log.
    """
    CREATE TABLE outbox_counts (
        enterprise TEXT PRIMARY KEY,
        released INTEGER NOT NULL,
        waiting INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO outbox_counts SELECT enterprise, count(*), count(*) - count(webhook_id)
    FROM outbox LEFT JOIN receipts USING (enterprise, seq) GROUP BY enterprise
    """,
    """
    CREATE TRIGGER outbox_counted AFTER INSERT ON outbox
    BEGIN
        INSERT INTO outbox_counts VALUES (NEW.enterprise, 1, 0)
        ON CONFLICT (enterprise) DO UPDATE SET released = released + 1;
    END
    """,
    """
    CREATE TRIGGER outbox_uncounted AFTER DELETE ON outbox
    BEGIN UPDATE outbox_counts SET released = released - 1 WHERE enterprise = OLD.enterprise; END
    """,
    """
    CREATE TRIGGER waiting_counted AFTER INSERT ON outbox_waiting
    BEGIN
        INSERT INTO outbox_counts VALUES (NEW.enterprise, 0, 1)
        ON CONFLICT (enterprise) DO UPDATE SET waiting = waiting + 1;
    END
    """,
    """
    CREATE TRIGGER waiting_uncounted AFTER DELETE ON outbox_waiting
    BEGIN UPDATE outbox_counts SET waiting = waiting - 1 WHERE enterprise = OLD.enterprise; END
    """,
)
