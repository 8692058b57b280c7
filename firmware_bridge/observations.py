"""What a wire can say. No apprentice, no clock, no database: only what was heard, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BadgeSeen:
    """A reader decoded a whole, checked frame. `uid` is canonical: upper-case hex as the reader sends it."""

    reader: str
    uid: str


@dataclass(frozen=True)
class MachineReported:
    """A machine's source said something that is a sign of life.

    `state` is one of the canonical states when the message names one; `power_w` when it carries watts;
    both `None` for a mere sign of life (a value that is not listed, say). `retained` is the broker's flag.
    """

    machine: str
    state: str | None = None
    power_w: float | None = None
    retained: bool = False
    detail: str = ""


@dataclass(frozen=True)
class SourceLost:
    """A last will, an offline word or a death message of one machine's source; retained or not."""

    machine: str
    retained: bool = False
    detail: str = ""


@dataclass(frozen=True)
class BrokerChanged:
    """The connection to the broker came (True) or went (False)."""

    connected: bool


@dataclass(frozen=True)
class ReaderChanged:
    """A serial port was opened (True) or lost (False), with the reason in words for the instructor."""

    reader: str
    connected: bool
    detail: str = ""


Observation = BadgeSeen | MachineReported | SourceLost | BrokerChanged | ReaderChanged
