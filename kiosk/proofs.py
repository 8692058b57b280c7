"""Canonical bytes, leaves, tree and proofs: what makes a changed history visible to anybody with a pencil.

Pure: no signature is made or checked here (`kiosk.signatures` does that). Sources: RFC 8785 (canonical JSON), RFC 6962
and RFC 9162 section 2.1 (tree and proofs), C2SP `tlog-checkpoint`, `tlog-proof@v1` and the shape of `signed-note`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_SAFE_INTEGER = 2**53 - 1
MAX_PATH = 64
"""Hashes of one proof: enough for 2**64 entries."""
MAX_NOTE_BYTES = 1_000_000
TLOG_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
SIGNATURE_MARK = "\u2014 "

NodeReader = Callable[[int, int], bytes]
"""(level, index) -> the hash over the leaves [index << level, (index + 1) << level); level 0 are the leaf hashes."""

Node = tuple[int, int, bytes]
"""(level, index, hash) of a complete subtree."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class ProofError(ValueError):
    """A proof, or the text of one, does not hold; the message says why."""


# --- canonical JSON -------------------------------------------------------------------------------------------------


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical(obj: object) -> bytes:
    """The RFC 8785 bytes of what our entries are made of.

    Allowed are text, booleans, None, integers within +-(2**53 - 1), lists (tuples), and dicts with ASCII keys; for
    these `orjson` gives the same bytes as a full implementation, faster. Raises ValueError for all else.
    """
    try:
        _require_canonical(obj)
        return orjson.dumps(obj, list, orjson.OPT_SORT_KEYS)  # a named tuple is a list
    except orjson.JSONEncodeError:
        return _canonical_slowly(obj)
    except RecursionError as error:
        raise ValueError("the value is nested too deeply for canonical JSON") from error


def _canonical_slowly(obj: object) -> bytes:
    """The same bytes of what `orjson` does not take, such as 255 levels; or the reason why there are none."""
    try:
        return _encoder.encode(obj).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half of a surrogate pair, which UTF-8 cannot carry") from error
    except RecursionError as error:
        raise ValueError("the value is nested too deeply for canonical JSON") from error


def read(data: bytes | str) -> Any:
    """What these bytes, which `canonical` wrote, say; ValueError for what is no JSON.

    They are not asked for their form: whoever may not have them from our own ledger takes `parse_canonical`.
    """
    return orjson.loads(data)


def parse_canonical(data: bytes) -> dict[str, object]:
    """The object that these canonical bytes are; ValueError where they are not one, or not canonical."""
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("the JSON is not an object")
    if canonical(value) != data:
        raise ValueError("the JSON is not in its canonical form (RFC 8785)")
    return value


def _require_canonical(value: object) -> None:
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise ValueError("an integer is beyond 53 bits, which JSON readers do not keep exactly")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError("a key of an object is not ASCII text")
            if type(item) is not str:  # most are
                _require_canonical(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _require_canonical(item)
    else:
        raise ValueError(f"a value of type {type(value).__name__} has no canonical form here")


# --- the tree -------------------------------------------------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry: SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def completed_nodes(index: int, leaf: bytes, node: NodeReader) -> list[Node]:
    """The complete subtrees that the leaf hash `leaf` at `index` adds, itself first; reads only their left halves."""
    level = 0
    nodes = [(level, index, leaf)]
    while index & 1:
        leaf = node_hash(node(level, index - 1), leaf)
        level, index = level + 1, index >> 1
        nodes.append((level, index, leaf))
    return nodes


class Frontier:
    """The right edge of a growing tree: all that is needed to append and to know the root, in memory of log n."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: dict[int, bytes] = {}

    def append(self, leaf: bytes) -> list[Node]:
        """Take the next leaf hash; returns the complete subtrees it adds, the leaf first."""
        nodes = completed_nodes(self.size, leaf, lambda level, _index: self._edge[level])
        for level, _index, _hash in nodes[:-1]:
            self._edge.pop(level, None)
        level, _index, top = nodes[-1]
        self._edge[level] = top
        self.size += 1
        return nodes

    def root(self) -> bytes:
        """The root over everything appended so far."""
        return root_at(self.size, lambda level, _index: self._edge[level])


def root_at(size: int, node: NodeReader) -> bytes:
    """The root over the first `size` leaves, in log n reads."""
    return _range_root(0, size, node) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size` leaves (RFC 6962, 2.1.1), from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"there is no entry {index} in a log of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_path(first: int, second: int, node: NodeReader) -> list[bytes]:
    """The proof that the tree of `second` leaves extends that of `first` (RFC 6962, 2.1.2); empty from an empty one."""
    if not 0 <= first <= second:
        raise ValueError(f"a log of {second} entries does not extend one of {first}")
    if first == 0:
        return []
    path: list[bytes] = []
    start, end = 0, second
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    if start > 0:  # the verifier knows the old root only where the last piece is all of the old tree
        path.append(_range_root(start, end, node))
    return path[::-1]


def _split(length: int) -> int:
    """The largest power of two smaller than `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def _range_root(start: int, end: int, node: NodeReader) -> bytes:
    """The root over [start, end), where `start` is a multiple of the largest power of two in the range."""
    peaks: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(node(level, start >> level))
        start += 1 << level
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


# --- checking -------------------------------------------------------------------------------------------------------


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `path` proves the leaf hash at `index` under `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError(f"entry {index} cannot be in a log of {size}")
    if len(leaf) != HASH_BYTES or len(root) != HASH_BYTES:
        raise ProofError("a hash is not 32 bytes long")
    _check_path(path)
    value = leaf
    for sibling, on_left in zip(path, _sides(index, size - 1, len(path)), strict=True):
        value = node_hash(sibling, value) if on_left else node_hash(value, sibling)
    if value != root:
        raise ProofError(f"entry {index} is not what the root of {size} entries was made of")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> None:
    """Raise ProofError unless `path` proves that the second tree extends the first (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        raise ProofError(f"there is nothing to prove from a log of {first} entries to one of {second}")
    _check_path(path)
    if first == second:
        if path:
            raise ProofError("two equal sizes need no consistency proof")
        if first_root != second_root:
            raise ProofError(f"two different histories of {first} entries")
        return
    if not path:
        raise ProofError("the consistency proof is empty")
    steps = list(path)
    if first & (first - 1) == 0:
        steps.insert(0, first_root)
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = steps.pop(0)
    for sibling, on_left in zip(steps, _sides(position, last, len(steps)), strict=True):
        new = node_hash(sibling, new) if on_left else node_hash(new, sibling)
        if on_left:
            old = node_hash(sibling, old)
    if old != first_root:
        raise ProofError(f"the proof does not begin at the known history of {first} entries")
    if new != second_root:
        raise ProofError(f"the history of {second} entries does not extend the known one of {first}")


def _sides(position: int, last: int, steps: int) -> list[bool]:
    """For each step up from `position` in a level that ends at `last`: is the sibling on the left?"""
    sides: list[bool] = []
    for _ in range(steps):
        if last == 0:
            raise ProofError("the proof is too long")
        on_left = bool(position & 1) or position == last
        while on_left and position and not position & 1:  # a lone right edge rises without a sibling
            position, last = position >> 1, last >> 1
        sides.append(on_left)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    return sides


def _check_path(path: Sequence[bytes]) -> None:
    if len(path) > MAX_PATH:
        raise ProofError(f"a proof of {len(path)} hashes is longer than any log needs")
    if any(len(step) != HASH_BYTES for step in path):
        raise ProofError("a hash of the proof is not 32 bytes long")


# --- texts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: whose it is, how many entries, and the root over them (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Further lines; opaque. Our logs write none."""

    def text(self) -> str:
        """The text that is signed, with its final newline."""
        return "\n".join((self.origin, str(self.size), encode_base64(self.root), *self.extensions)) + "\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in the text of a note (without signatures); ProofError where it is none."""
        if not text.endswith("\n"):
            raise ProofError("the checkpoint does not end with a newline")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise ProofError("a checkpoint has at least three lines, none of them empty")
        root = decode_base64(lines[2])
        if len(root) != HASH_BYTES:
            raise ProofError("the root hash of the checkpoint is not 32 bytes long")
        return cls(lines[0], _decimal(lines[1], "tree size"), root, tuple(lines[3:]))

    @classmethod
    def of_note(cls, note: str) -> Checkpoint:
        """The checkpoint inside a signed note, whose signatures are *not* looked at here."""
        return cls.parse(split_note(note)[0])


@dataclass(frozen=True)
class TlogProof:
    """One entry's proof as it travels: where it stands, the path, and the signed checkpoint it leads to."""

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: str
    extra: bytes | None = None
    """Opaque, and not authenticated by anything."""


def tlog_proof(index: int, path: Sequence[bytes], checkpoint_note: str, extra: bytes | None = None) -> str:
    """The text of a proof (C2SP tlog-proof@v1)."""
    lines = [TLOG_PROOF_HEADER]
    if extra is not None:
        lines.append(f"extra {encode_base64(extra)}")
    lines.append(f"index {index}")
    lines.extend(encode_base64(step) for step in path)
    return "\n".join(lines) + "\n\n" + checkpoint_note


def parse_tlog_proof(text: str) -> TlogProof:
    """Read a proof's text; ProofError says what is wrong. Nothing is verified yet."""
    if len(text) > 2 * MAX_NOTE_BYTES:
        raise ProofError("the proof is longer than a proof can be")
    head, separator, note = text.partition("\n\n")
    if not separator:
        raise ProofError("the proof has no empty line before its checkpoint")
    lines = head.split("\n")
    if lines.pop(0) != TLOG_PROOF_HEADER:
        raise ProofError(f"the first line is not {TLOG_PROOF_HEADER}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise ProofError("the proof does not say its index")
    index = _decimal(lines.pop(0).removeprefix("index "), "index")
    if len(lines) > MAX_PATH:
        raise ProofError(f"a proof of {len(lines)} hashes is longer than any log needs")
    path = tuple(decode_base64(line) for line in lines)
    _check_path(path)
    split_note(note)
    return TlogProof(index, path, note, extra)


def split_note(note: str) -> tuple[str, list[str]]:
    """The text of a signed note with its final newline, and its signature lines; ProofError where it is no note."""
    if len(note) > MAX_NOTE_BYTES:
        raise ProofError("the note is longer than a note may be")
    if any(character < " " and character != "\n" for character in note):
        raise ProofError("the note holds a control character")
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise ProofError("the note has no signatures after an empty line")
    lines = signatures[:-1].split("\n")
    if not all(line.startswith(SIGNATURE_MARK) for line in lines):
        raise ProofError("a line after the note's text is not a signature")
    return text + "\n", lines


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of standard base64 in its one canonical spelling; ProofError for any other."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError("a line is not base64") from error
    if encode_base64(data) != text:
        raise ProofError("a line is not canonical base64")
    return data


def _decimal(text: str, what: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise ProofError(f"the {what} is not a plain decimal number")
    return int(text)
