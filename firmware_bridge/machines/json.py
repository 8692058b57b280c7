"""Any topic whose payload is a JSON document with the value in it: a scalar of a table, or watts.

    status = {dialect = "json", topic = "lab/mill", pointer = "/machine/state", states = {ACTIVE = "running"}}

`pointer` is an RFC 6901 JSON Pointer. Subscribes to `topic` and `will_topic`. Silence: two minutes, or never with a
will. Tells every state that is listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.machines.base import Rejected, Reported, Told
from firmware_bridge.machines.payload import Number, document, spelled
from firmware_bridge.machines.source import Source, SourceDialect
from firmware_bridge.options import OptionError, known_only

POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Options:
    """The source, and the path from the document's root to the value; an empty path is the document itself."""

    source: Source
    path: tuple[str, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, (*Source.KEYS, "pointer"))
        return cls(Source.from_table(table, any_topic=any_topic), _path(table.get("pointer")))


class Json(SourceDialect):
    """A scalar that a pointer finds."""

    def __init__(self, options: Options) -> None:
        super().__init__(options.source)
        self._path = options.path

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def _value(self, payload: bytes) -> Told:
        found, value = _find(document(payload), self._path)
        if not found:
            return Rejected("the pointer finds nothing")
        # {"machine": {"state": "ACTIVE"}}
        if self._source.states is not None:
            spelling = spelled(value)
            return Rejected("the pointer finds no single value") if spelling is None else self._state(spelling)
        # {"power_w": 812.4}
        return Reported(power_w=float(value)) if isinstance(value, Number) else Rejected("not a number")


def _path(value: object) -> tuple[str, ...]:
    if value is None:
        raise OptionError("pointer", 'is missing; write the way to the value, as pointer = "/machine/state"')
    if not isinstance(value, str) or not POINTER.fullmatch(value):
        raise OptionError("pointer", 'is no JSON Pointer; it begins with "/", and "~" is written ~0, "/" ~1')
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in value.split("/")[1:])


def _find(value: object, path: tuple[str, ...]) -> tuple[bool, object]:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value
