"""Space put aside: a file that is given up when the disk is full, so that the database can start again."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "ballast"
BALLAST_BYTES = 16 * 1024 * 1024
ROOM = 4
"""The ballast is made where this many times its size is free: it must not be what fills the disk."""


class Ballast:
    """`ballast` in the data folder. Neither method ever raises because of the disk: the ballast is a help, no duty."""

    def __init__(self, folder: Path, size: int = BALLAST_BYTES) -> None:
        self.path = folder / NAME
        self._size = size

    def keep(self) -> None:
        """Make it, really allocated, unless it is there or there is too little room."""
        try:
            if self.path.exists() and self.path.stat().st_size == self._size:
                return
            disk = os.statvfs(self.path.parent)
            if disk.f_bavail * disk.f_frsize >= ROOM * self._size:
                self._make()
        except OSError as error:
            log.warning("no ballast could be put aside in %s: %s", self.path.parent, error.strerror or error)

    def free(self) -> bool:
        """Give it up; was there one?"""
        try:
            self.path.unlink()
        except OSError:
            return False
        log.warning("the ballast %s was given up to make room; free some more soon", self.path)
        return True

    def _make(self) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
