"""The Sparkplug B payload, written (eclipse/tahu sparkplug_b.proto): what an edge node publishes, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING = 9, 10, 11, 12
QUALITY = "Quality"
U32, U64 = (1 << 32) - 1, (1 << 64) - 1


@dataclass(frozen=True)
class Measured:
    """One metric. A birth writes its name and its alias, data one of them; `quality` is 0, 192 or 500, or not told."""

    datatype: int
    value: bool | int | float | str | None
    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    is_historical: bool = False
    quality: int | None = None


def write(metrics: Iterable[Measured], *, seq: int | None, timestamp_ms: int | None = None) -> bytes:
    """The payload; `seq` is None for commands and for NDEATH."""
    out = b"" if timestamp_ms is None else _number(1, timestamp_ms)
    out += b"".join(_bytes(2, _metric(metric)) for metric in metrics)
    return out if seq is None else out + _number(3, seq)


def _metric(metric: Measured) -> bytes:
    out = b"" if metric.name is None else _bytes(1, metric.name.encode())
    if metric.alias is not None:
        out += _number(2, metric.alias)
    if metric.timestamp_ms is not None:
        out += _number(3, metric.timestamp_ms)
    out += _number(4, metric.datatype)
    if metric.is_historical:
        out += _number(5, 1)
    if metric.value is None:
        out += _number(7, 1)
    if metric.quality is not None:
        value = _number(1, INT32) + _number(3, metric.quality)
        out += _bytes(9, _bytes(1, QUALITY.encode()) + _bytes(2, value))
    return out if metric.value is None else out + _value(metric.datatype, metric.value)


def _value(datatype: int, value: bool | int | float | str) -> bytes:
    if isinstance(value, str):
        return _bytes(15, value.encode())
    if datatype == BOOLEAN:
        return _number(14, int(value))
    if datatype == FLOAT:
        return _tag(12, 5) + struct.pack("<f", value)
    if datatype == DOUBLE:
        return _tag(13, 1) + struct.pack("<d", value)
    # Signed ones as unsigned of the width of their field: two's complement.
    return _number(11, int(value) & U64) if datatype in (INT64, UINT64) else _number(10, int(value) & U32)


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(value)) + value


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
