"""When did another process commit? Seen in its shared memory, without a lock, a query or a system call in its way.

SQLite keeps the index of a write-ahead log in `<database>-shm`. Its header counts the transactions (`iChange`, bytes 8
to 11, in the byte order of the machine: sqlite.org/walformat.html, "WAL Index Header"). The writer raises that count
after the log was synchronised to disk (synchronous=FULL) and before COMMIT returns: this is the very moment from which
readers see the entry. To map the file and look at four bytes costs the writer nothing; a reading connection would take
locks, and the size of the log changes before the disk has it.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_ICHANGE = struct.Struct("=I")
_OFFSET = 8


class Commits:
    """Counts the transactions of a database that somebody else has open in WAL mode."""

    def __init__(self, database: Path) -> None:
        with database.with_name(database.name + "-shm").open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def count(self) -> int:
        """Transactions so far; only differences mean anything."""
        number: int = _ICHANGE.unpack_from(self._memory, _OFFSET)[0]
        return number

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
