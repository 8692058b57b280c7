"""A small file beside the database: whole on the disk, or not there at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def keep_file(path: Path, data: bytes) -> None:
    """Write `data` for the kiosk's user alone, making the folder; OSError, and nothing changed, where it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
