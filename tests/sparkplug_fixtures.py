"""What the tests of Sparkplug share: a node N of the group G, with one machine behind it."""

from __future__ import annotations

from typing import Any

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Dialect, Reported, Told
from firmware_bridge.simulator.sparkplug_encoder import (
    STRING,
    UINT64,
    Measured,
    write,
)

NODE = {"group": "G", "node": "N"}
DEVICE = {**NODE, "device": "D"}
NCMD = "spBv1.0/G/NCMD/N"
STATE, ALIAS = "Machine/State", 7


def dialect(options: dict[str, Any] | None = None) -> Dialect:
    return registry.machine("sparkplug", NODE if options is None else options)


def tell(source: Dialect, kind: str, metrics: list[Measured], seq: int | None, *, kept: bool = False) -> list[Told]:
    """What the source makes of a message of that kind; of a device's, of the device D."""
    behind = "/D" if kind.startswith("D") else ""
    return source.translate(f"spBv1.0/G/{kind}/N{behind}", write(metrics, seq=seq, timestamp_ms=5), kept)


def told(source: Dialect, kind: str, metrics: list[Measured], seq: int | None) -> Told:
    (one,) = tell(source, kind, metrics, seq)
    return one


def state(word: str | None, **more: Any) -> list[Measured]:
    return [Measured(STRING, word, **{"name": STATE, "alias": ALIAS, **more})]


def by_alias(word: str, **more: Any) -> list[Measured]:
    return state(word, name=None, **more)


def bd_seq(number: int) -> Measured:
    return Measured(UINT64, number, name="bdSeq")


def born(options: dict[str, Any] | None = None, *, bd: int = 1, seq: int = 0) -> Dialect:
    source = dialect(options)
    tell(source, "NBIRTH", [bd_seq(bd), *state("IDLE")], seq)
    return source


def asks(all_told: list[Told]) -> bool:
    return any(isinstance(one, Asked) and one.topic == NCMD for one in all_told)


def states(all_told: list[Told]) -> list[str]:
    return [one.state for one in all_told if isinstance(one, Reported) and one.state is not None]
