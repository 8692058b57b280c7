"""A disk that keeps its promises and no more: what was synchronised stays; of the rest, any part may be there.

Written pieces (sectors) that were not synchronised are kept, dropped or torn, each for itself, so that later ones may
be there without earlier ones. New names, and names taken away, are certain only once the folder was synchronised.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from tests.faults.trace import Op


class Piece(NamedTuple):
    """A part of a write within one sector, or a new size (`data` is None) at `offset`."""

    offset: int
    data: bytes | None


@dataclass
class File:
    """One file's contents: certain, and written since."""

    kept: bytearray = field(default_factory=bytearray)
    version: int = 0
    """Counts the synchronisations, to tell one certain content from another."""
    pending: list[Piece] = field(default_factory=list)
    doubtful: list[Piece] = field(default_factory=list)
    """Written before a synchronisation that failed: programs read it, but no later one will bring it to the disk."""

    def sync(self) -> None:
        """All that is pending becomes certain."""
        for piece in self.pending:
            _apply(self.kept, piece)
            self.doubtful = [old for old in self.doubtful if _outlives(old, piece)]
        self.pending.clear()
        self.version += 1


class State(NamedTuple):
    """A disk after a power cut."""

    files: dict[str, bytes]
    key: bytes
    """Equal for equal states."""


class Disk:
    """All files of one folder. `sector` is the least that is written whole, in bytes."""

    def __init__(self, sector: int) -> None:
        self._sector = sector
        self._files: list[File] = []
        self._names: dict[str, int] = {}
        self._kept_names: dict[str, int] = {}
        self._moves: list[tuple[str, int | None]] = []

    def do(self, op: Op) -> None:
        """One recorded step."""
        match op.kind:
            case "create":
                if op.name not in self._names:
                    self._names[op.name] = len(self._files)
                    self._moves.append((op.name, len(self._files)))
                    self._files.append(File())
            case "unlink":
                del self._names[op.name]
                self._moves.append((op.name, None))
            case "sync_names":
                _rename(self._kept_names, self._moves)
                self._moves.clear()
            case "write":
                self._file(op).pending += self._pieces(op)
            case "cut":
                self._file(op).pending.append(Piece(op.offset, None))
            case "sync":
                self._file(op).sync()
            case "sync_failed":
                file = self._file(op)
                file.doubtful += file.pending
                file.pending.clear()

    def _file(self, op: Op) -> File:
        return self._files[self._names[op.name]]

    def _pieces(self, op: Op) -> list[Piece]:
        pieces, at, end = [], op.offset, op.offset + len(op.data)
        while at < end:
            until = min(end, (at // self._sector + 1) * self._sector)
            pieces.append(Piece(at, op.data[at - op.offset : until - op.offset]))
            at = until
        return pieces

    @property
    def unsure(self) -> int:
        """How many pieces and names may or may not be there."""
        return sum(len(file.pending) + len(file.doubtful) for file in self._files) + len(self._moves)

    def as_seen(self) -> dict[str, bytes]:
        """What programs read while the power is on."""
        return {name: bytes(_contents(self._files[number])) for name, number in self._names.items()}

    def after_a_cut(self, chance: Random) -> State:
        """One of the states that a power cut may leave."""
        odds = chance.choice((0.0, 0.05, 0.5, 0.95, 1.0))
        digest = hashlib.blake2b(digest_size=16)
        names = dict(self._kept_names)
        _rename(names, [move for move in self._moves if _keeps(chance, odds, digest)])
        files = {}
        for name, number in sorted(names.items()):
            file = self._files[number]
            digest.update(f"{name} {number} {file.version} ".encode())
            files[name] = bytes(_survivors(file, chance, odds, digest))
        return State(files, digest.digest())


def _survivors(file: File, chance: Random, odds: float, digest: hashlib.blake2b) -> bytearray:
    contents = bytearray(file.kept)
    grown = len(file.kept)
    for piece in (*file.doubtful, *file.pending):
        grown = piece.offset if piece.data is None else max(grown, piece.offset + len(piece.data))
        if not _keeps(chance, odds, digest):
            continue
        if piece.data is not None and len(piece.data) > 1 and chance.random() < 0.1:
            size = chance.randrange(1, len(piece.data))
            digest.update(b"torn %d" % size)
            piece = Piece(piece.offset, piece.data[:size])  # noqa: PLW2901 - the part of it that was written
        _apply(contents, piece)
    # The file may have got its new size, but not what was to be written there: the disk's old bytes show.
    if grown > len(contents) and chance.random() < 0.3:
        noise = chance.random() < 0.5
        digest.update(b"grown %d" % noise)
        size = grown - len(contents)
        contents += chance.randbytes(size) if noise else bytes(size)
    return contents


def _keeps(chance: Random, odds: float, digest: hashlib.blake2b) -> bool:
    kept = chance.random() < odds
    digest.update(b"+" if kept else b"-")
    return kept


def _outlives(old: Piece, new: Piece) -> bool:
    """Does the older piece still show where the newer one was written?"""
    if new.data is None:
        return old.offset < new.offset
    if old.data is None:
        return True
    return old.offset + len(old.data) <= new.offset or new.offset + len(new.data) <= old.offset


def _contents(file: File) -> bytearray:
    contents = bytearray(file.kept)
    for piece in (*file.doubtful, *file.pending):
        _apply(contents, piece)
    return contents


def _apply(contents: bytearray, piece: Piece) -> None:
    if piece.data is None:
        if piece.offset <= len(contents):
            del contents[piece.offset :]
        else:
            contents += bytes(piece.offset - len(contents))
        return
    if piece.offset > len(contents):
        contents += bytes(piece.offset - len(contents))
    contents[piece.offset : piece.offset + len(piece.data)] = piece.data


def _rename(names: dict[str, int], moves: list[tuple[str, int | None]]) -> None:
    for name, number in moves:
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number
