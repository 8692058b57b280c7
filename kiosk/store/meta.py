"""Small facts about the file itself: the log's name, and the last sign of life (kept outside the ledger, hours 4)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Heartbeat:
    """When the kiosk was last known to be alive: boot id, milliseconds since that boot, wall clock in UTC."""

    boot: str
    boot_ms: int
    wall_ms: int


def get_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """The value of `key`, or None."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def put_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Set `key`."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def beat(connection: sqlite3.Connection, heartbeat: Heartbeat) -> None:
    """Replace the last sign of life."""
    connection.execute(
        "INSERT OR REPLACE INTO heartbeat (id, boot, boot_ms, wall_ms) VALUES (1, ?, ?, ?)",
        (heartbeat.boot, heartbeat.boot_ms, heartbeat.wall_ms),
    )


def last_heartbeat(connection: sqlite3.Connection) -> Heartbeat | None:
    """The last sign of life, or None in a new file."""
    row = connection.execute("SELECT boot, boot_ms, wall_ms FROM heartbeat WHERE id = 1").fetchone()
    return None if row is None else Heartbeat(*row)
