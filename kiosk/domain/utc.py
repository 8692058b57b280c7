"""How a moment of UTC is written wherever people's programs read it: RFC 3339, three decimals, Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(utc_ms: int) -> str:
    """UTC milliseconds as `2026-10-29T11:05:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=utc_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
