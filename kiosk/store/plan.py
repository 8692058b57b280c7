"""Who follows which programme, in numbers."""

from __future__ import annotations

import sqlite3


def apprentices_by_programme(connection: sqlite3.Connection) -> dict[str | None, int]:
    """How many active apprentices there are by the id of their programme; under None those who have none."""
    rows = connection.execute(
        "SELECT nullif(programme, ''), count(*) FROM people"
        " WHERE role = 'apprentice' AND active = 1 AND person_id IS NOT NULL AND merged_into IS NULL"
        " GROUP BY nullif(programme, '')"
    )
    return dict(rows.fetchall())
