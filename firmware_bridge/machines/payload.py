"""Payloads to values, strictly: what stock parsers let through (NaN, 1e999, doubled keys, endless depth) is refused."""

from __future__ import annotations

import json
import math
import re

PAYLOAD_BYTES_MAX = 256 * 1024
JSON_DEPTH_MAX = 32
SHOWN_CHARS = 64

# A string counts as one token even when it never ends, so the search stays linear on hostile input.
TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class PayloadError(ValueError):
    """Why a payload cannot be understood, in words."""


class Number(float):
    """A finite JSON number that remembers how it was spelled."""

    spelling: str

    def __new__(cls, spelling: str) -> Number:
        """Raises `PayloadError` where the number is too large to be one."""
        value = super().__new__(cls, spelling)
        if not math.isfinite(value):
            raise PayloadError("a number out of range")
        value.spelling = spelling
        return value


def words(payload: bytes) -> str:
    """The payload as UTF-8 text without the white space around it."""
    try:
        return payload.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise PayloadError("not UTF-8") from None


def watts(text: str) -> float:
    """A plain decimal number that is the whole text."""
    if not NUMBER.fullmatch(text):
        raise PayloadError("not a number")
    return float(Number(text))


def document(payload: bytes) -> object:
    """The JSON document: None, bool, `Number`, str, list or dict. Depth and spelling are checked on the way."""
    _check_depth(payload)
    try:
        value: object = _DECODER.decode(words(payload))
    except json.JSONDecodeError:
        raise PayloadError("not JSON") from None
    return value


def spelled(value: object) -> str | None:
    """A scalar as JSON spells it (a string without its quotes); None for null, an array or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.spelling
    return value if isinstance(value, str) else None


def shown(value: str) -> str:
    """Foreign text made fit for a screen and a log: short, and printable to the last character."""
    short = value if len(value) <= SHOWN_CHARS else value[:SHOWN_CHARS] + "..."
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short)


def _check_depth(payload: bytes) -> None:
    # What opens at most 32 times cannot be deeper; nearly every message ends here.
    if payload.count(b"[") + payload.count(b"{") <= JSON_DEPTH_MAX:
        return
    depth = 0
    for token in TOKENS.finditer(payload):
        first = token.group()[:1]
        if first in b"[{":
            depth += 1
            if depth > JSON_DEPTH_MAX:
                raise PayloadError("nested deeper than 32")
        elif first in b"]}":
            depth -= 1


def _no_doubled_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise PayloadError("a key twice in one object")
    return table


def _not_finite(name: str) -> object:
    raise PayloadError(f"{name} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_no_doubled_keys, parse_float=Number, parse_int=Number, parse_constant=_not_finite
)
"""Made once: `json.loads` makes one for each message, which takes longer than to use it."""
