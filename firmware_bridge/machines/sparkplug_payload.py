"""The Sparkplug B payload (eclipse/tahu sparkplug_b.proto; Sparkplug 3.0, section 6.4), read strictly.

Protocol buffers, proto2. Unknown fields are skipped, as every reader of the format must; what is cut, too long for its
frame or of no wire type is refused whole. The size is bounded by the payload, the depth by what is looked into: a
metric, its properties, their values. Data sets and templates are not opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from firmware_bridge.machines.payload import PayloadError

METRICS_MAX = 10_000
VARINT_BYTES_MAX = 10
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
U32, U64 = (1 << 32) - 1, (1 << 64) - 1

SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data types Int8 to Int64: what the wire carries unsigned."""

COMPRESSED = "SPBV1.0_COMPRESSED"

QUALITY = "Quality"
GOOD = 192
"""Sparkplug 3.0, 6.4.12 (quality codes): 0 is bad, 192 good, 500 stale."""

Value = bool | int | float | str | None
Raw = int | bytes | memoryview
"""A field as the wire has it: a number, bytes of a told length, or the 4 or 8 bytes of a fixed one."""

NO_PROPERTIES: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True)
class Metric:
    """One value. `name` or `alias` says which; `value` is None where it is null, or of a kind that is not opened."""

    name: str | None = None
    alias: int | None = None
    value: Value = None
    datatype: int | None = None
    timestamp_ms: int | None = None
    is_historical: bool = False
    is_null: bool = False
    properties: Mapping[str, Value] = field(default_factory=lambda: NO_PROPERTIES)

    @property
    def is_good(self) -> bool:
        """Does the source vouch for the value? Without a word about its quality it does."""
        return self.properties.get(QUALITY, GOOD) == GOOD


@dataclass(frozen=True)
class Payload:
    """`seq` is None where the payload has none; `timestamp_ms` is the sender's own clock, since 1970."""

    metrics: tuple[Metric, ...] = ()
    seq: int | None = None
    timestamp_ms: int | None = None


def read(data: bytes) -> Payload:
    """The payload; raises `PayloadError`."""
    metrics: list[Metric] = []
    seq = timestamp_ms = None
    for number, value in _fields(data):
        match number, value:
            case 1, int():
                timestamp_ms = value
            case 2, bytes():
                if len(metrics) == METRICS_MAX:
                    raise PayloadError("more than 10 000 metrics")
                metrics.append(_metric(value))
            case 3, int():
                seq = value
            case 4, bytes() if _text(value) == COMPRESSED:
                raise PayloadError("a compressed payload; switch compression off at the node")
    return Payload(tuple(metrics), seq, timestamp_ms)


def _metric(data: bytes) -> Metric:
    name: str | None = None
    alias = datatype = timestamp_ms = None
    is_historical = is_null = False
    properties = NO_PROPERTIES
    raw: Value = None
    for number, value in _fields(data):
        match number, value:
            case 1, bytes():
                name = _text(value)
            case 2, int():
                alias = value
            case 3, int():
                timestamp_ms = value
            case 4, int():
                datatype = value & U32
            case 5, int():
                is_historical = bool(value)
            case 7, int():
                is_null = bool(value)
            case 9, bytes():
                properties = MappingProxyType(_properties(value))
            case 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19, _:
                raw = _scalar(number - 10, value, raw)
    told = None if is_null else typed(raw, datatype)
    return Metric(name, alias, told, datatype, timestamp_ms, is_historical, is_null, properties)


def _properties(data: bytes) -> dict[str, Value]:
    keys: list[str] = []
    values: list[Value] = []
    for number, value in _fields(data):
        match number, value:
            case 1, bytes():
                keys.append(_text(value))
            case 2, bytes():
                values.append(_property(value))
    if len(keys) != len(values):
        raise PayloadError("properties without as many values")
    return dict(zip(keys, values, strict=True))


def _property(data: bytes) -> Value:
    datatype: int | None = None
    is_null, raw = False, None
    for number, value in _fields(data):
        match number, value:
            case 1, int():
                datatype = value & U32
            case 2, int():
                is_null = bool(value)
            case 3 | 4 | 5 | 6 | 7 | 8, _:
                raw = _scalar(number - 3, value, raw)
    return None if is_null else typed(raw, datatype)


def _scalar(kind: int, value: Raw, before: Value) -> Value:
    """The value of one arm of the union: int, long, float, double, boolean, string; what is not opened is None."""
    match kind, value:
        case 0, int():
            return value & U32
        case 1, int():
            return value
        case 2, memoryview() if len(value) == 4:
            return float(struct.unpack("<f", value)[0])
        case 3, memoryview() if len(value) == 8:
            return float(struct.unpack("<d", value)[0])
        case 4, int():
            return bool(value)
        case 5, bytes():
            return _text(value)
        case 6 | 7 | 8 | 9, bytes():
            return None
        case _:
            return before  # of another wire type than its field's: unknown, so skipped


def typed(raw: Value, datatype: int | None) -> Value:
    """A number as its data type means it: signed ones are carried as unsigned."""
    bits = SIGNED_BITS.get(datatype or 0)
    if bits is None or isinstance(raw, bool) or not isinstance(raw, int):
        return raw
    low = raw & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _fields(data: bytes) -> Iterator[tuple[int, Raw]]:
    """Number and value of each field, in order."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise PayloadError("no Sparkplug payload: a field without a number")
        if wire_type == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == BYTES:
            size, at = _varint(data, at)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise PayloadError("no Sparkplug payload: a field of no known kind")
        if size > end - at:
            raise PayloadError("cut off in the middle of a field")
        piece = data[at : at + size]
        yield number, piece if wire_type == BYTES else memoryview(piece)
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[at : at + VARINT_BYTES_MAX]:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:
            return value & U64, at
    raise PayloadError("cut off in the middle of a number" if at >= len(data) else "a number that never ends")


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise PayloadError("a text that is not UTF-8") from None
