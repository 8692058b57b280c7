"""What every machine dialect is: a topic and a payload go in, what was told comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX, PayloadError, shown

STATES = ("running", "setup", "idle", "fault", "estop", "maintenance", "off", "unknown")
"""Every state a machine can be in (hours, section 2)."""

UNMAPPED = "unmapped:"
"""How the `detail` of a report begins when its value is not listed: a sign of life, and something to show."""


@dataclass(frozen=True)
class Reported:
    """A sign of life, with the canonical state or the watts where the message tells them."""

    state: str | None = None
    power_w: float | None = None
    detail: str = ""

    @property
    def unmapped(self) -> bool:
        """Did it carry a value that no table lists?"""
        return self.detail.startswith(UNMAPPED)


@dataclass(frozen=True)
class Gone:
    """A last will, an offline word, a death message: the state is unknown from now on."""

    detail: str = ""


@dataclass(frozen=True)
class Ignored:
    """Well understood, and nothing about the machine: a command, a birth notice. No sign of life."""

    why: str


@dataclass(frozen=True)
class Rejected:
    """Cannot be understood. No sign of life."""

    why: str


@dataclass(frozen=True)
class Asked:
    """What the source needs to be asked, in its own words. No sign of life; the link says it, at its own pace."""

    topic: str
    payload: bytes


Told = Reported | Gone | Ignored | Rejected | Asked

NOT_OURS = Ignored("another topic")


def not_listed(value: str) -> Reported:
    """A value that is in no table: a sign of life that changes nothing (contract, section 7)."""
    return Reported(detail=UNMAPPED + shown(value))


class Dialect(ABC):
    """One machine's source. Its silence and its thresholds are judged elsewhere."""

    @classmethod
    @abstractmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """A dialect with the options of `table`; raises `OptionError`.

        With `any_topic` the topics may be left out, and messages are judged by the shape of their topic alone.
        """

    @abstractmethod
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to; none where none was configured."""

    @property
    @abstractmethod
    def default_stale_after_ms(self) -> int | None:
        """Milliseconds of silence after which nothing is known; None for a source that speaks only of changes."""

    def forget(self) -> None:  # noqa: B027  most dialects remember nothing
        """The connection is new: whatever was added up from earlier messages may have changed unheard."""

    def greeting(self) -> tuple[Asked, ...]:
        """What to ask once a new connection hears the topics, so that nothing need be waited for."""
        return ()

    def describe(self, topic: str, payload: bytes) -> Mapping[str, object]:
        """What else a message holds, for a person who looks for a fault; JSON values. Never raises."""
        del topic, payload
        return {}

    @abstractmethod
    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        """Translate a payload within the size limit; may raise `PayloadError`."""

    def translate(self, topic: str, payload: bytes, retained: bool) -> list[Told]:
        """What the message tells of this machine, in order. Never raises, whatever the bytes are.

        A retained message means the same words; what they are worth is for the reader of the observation.
        """
        del retained
        if len(payload) > PAYLOAD_BYTES_MAX:
            return [Rejected("larger than 256 kB")]
        try:
            return self._tell(topic, payload)
        except PayloadError as error:
            return [Rejected(str(error))]
