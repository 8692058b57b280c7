"""What `decide` remembers beside the ledger: the machines' sources, and badges seen but not yet settled.

None of it survives a start (hours, reading rules): a card on the reader, half a confirmation and an unpicked read are
gone with the process that saw them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiosk.domain.machine_watch import MachineWatch
from kiosk.domain.timeline import Moment

if TYPE_CHECKING:
    from kiosk.domain.deadlines import Due


@dataclass(frozen=True)
class Unpicked:
    """A read at a shared reader that waits for a touch on the screen."""

    person_ref: str
    badge_ref: str
    at: Moment


@dataclass
class Strangers:
    """Reads of unknown badges within one minute; from the eleventh on they are only counted."""

    since: Moment
    reader: str
    count: int = 0


@dataclass
class Watch:
    """`decide`'s own memory."""

    machines: MachineWatch = field(default_factory=MachineWatch)
    sights: dict[tuple[str, str], Moment] = field(default_factory=dict)
    """Last sight of a badge at a reader."""
    frames: dict[str, tuple[str, Moment]] = field(default_factory=dict)
    """By reader that confirms: the first of two equal frames."""
    unpicked: dict[str, Unpicked] = field(default_factory=dict)
    strangers: Strangers | None = None
    day_ends: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    """By session: the timeline's version and the place of its day_end on the axis."""
    entered: Moment | None = None
    """When the latest entry of this run happened: what was due counts at its own moment, not when it was written."""
    closing: tuple[int, Due | None] | None = None
    """The earliest closing of an open session, as it followed from so many entries."""

    def forget(self) -> None:
        """A start after a stop."""
        self.machines = MachineWatch()
        self.sights.clear()
        self.frames.clear()
        self.unpicked.clear()
        self.strangers = None
        self.day_ends.clear()
        self.entered = None
        self.closing = None
