"""The one thing a Sparkplug node is asked: to be born again (Sparkplug 3.0, 6.4.22, `Node Control/Rebirth`)."""

from __future__ import annotations

from firmware_bridge.machines.base import Asked

REBIRTH = "Node Control/Rebirth"
BOOLEAN = 11


def rebirth(group: str, node: str, timestamp_ms: int) -> Asked:
    """An NCMD for that node; `timestamp_ms` is the newest of the node's own clock, for this floor has no other."""
    stamp = b"\x18" + _varint(timestamp_ms)
    name = REBIRTH.encode()
    metric = b"\x0a" + _varint(len(name)) + name + stamp + bytes((0x20, BOOLEAN, 0x70, 1))
    payload = b"\x08" + _varint(timestamp_ms) + b"\x12" + _varint(len(metric)) + metric
    return Asked(f"spBv1.0/{group}/NCMD/{node}", payload)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
