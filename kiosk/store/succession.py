"""One database takes another's place, in steps of which a power cut may make any the last.

The law: until the new one, whole and synchronised, lies beside the old one as `.next-<time>`, nothing was touched; from
then on whoever next holds the right to write finishes (`finish`). The old one steps aside with everything that SQLite
keeps beside it before the new one takes the name: a foreign write-ahead log would be played back into it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

NEXT = ".next-"
REPLACED = ".replaced-"
"""What a restore took the place of."""
RESTORED = ".restored-"
"""The backup that a restore began from: the hours up to it."""
COMPANIONS = ("-wal", "-shm", "-journal", ".snapshot")
"""What lies beside a database and belongs to it alone."""
_STAMP = "%Y%m%dT%H%M%SZ"
_LENGTH = len("20260101T000000Z")


def later_stamp(path: Path, wall_ms: int, *marks: str) -> str:
    """`wall_ms` (UTC) as a part of a name, later than every one that is beside `path` already, whatever the clock."""
    now = datetime.fromtimestamp(wall_ms // 1000, UTC)
    for mark in marks:
        for found in marked(path, mark)[-1:]:
            last = datetime.strptime(found.name[-_LENGTH:], _STAMP).replace(tzinfo=UTC)
            now = max(now, last + timedelta(seconds=1))
    return now.strftime(_STAMP)


def marked(path: Path, mark: str) -> list[Path]:
    """The databases beside `path` under that mark, oldest first."""
    length = len(path.name) + len(mark) + _LENGTH
    return sorted(found for found in path.parent.glob(f"{path.name}{mark}*Z") if len(found.name) == length)


def named(path: Path, mark: str, stamp: str) -> Path:
    """Such a database's place."""
    return path.with_name(f"{path.name}{mark}{stamp}")


def finish(path: Path) -> None:
    """Let what is next take its place, from whichever step it stands at; the caller holds the right to write `path`."""
    for following in marked(path, NEXT):
        aside = named(path, REPLACED, following.name[-_LENGTH:])
        if path.exists():
            path.rename(aside)
        move_companions(path, aside)
        following.rename(path)
        synchronise(path.parent)


def move_companions(path: Path, aside: Path) -> None:
    """What belongs to the database that was `path` follows it to `aside`."""
    for ending in COMPANIONS:
        companion = path.with_name(path.name + ending)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + ending))
    synchronise(path.parent)


def synchronise(path: Path) -> None:
    """A file's bytes, or a folder's names, are on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
