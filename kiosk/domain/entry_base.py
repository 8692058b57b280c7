"""What every entry of the ledger has: a stamp, and a body of some type. `entries` has them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple


class Stamp(NamedTuple):
    """When something was heard, as the kiosk saw it (hours, section 8).

    `boot_ms` are milliseconds of CLOCK_BOOTTIME within the boot named by `boot`; `wall_ms` is what the wall clock
    showed (UTC), worth nothing unless `synced`.
    """

    boot: str
    boot_ms: int
    wall_ms: int
    synced: bool


class At(NamedTuple):
    """The moment at which something is effective: a boot and milliseconds within it."""

    boot: str
    boot_ms: int


@dataclass(frozen=True)
class Body:
    """What an entry says, without its number, stamp and nonce."""

    type: ClassVar[str] = ""
