"""What the dialects of whole devices share: topics that all begin alike, and a memory of what was last said."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Dialect, Gone, Ignored, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX, Number, PayloadError, document, shown
from firmware_bridge.options import OptionError

OTHERS = ("homeassistant/", "$SYS/")
"""Topics of other programs: Home Assistant's discovery documents tell where a state is, and never what it is."""
NOTHING_KNOWN = Ignored("nothing that is known to tell a state")
COMMAND = Ignored("a command, not a report")
LAST_WILL = Gone("last will")
ONLINE = Reported(detail="online")

Known = TypeVar("Known")


def shape(tail: str, begin: str = ".+") -> re.Pattern[str]:
    """A pattern of whole topics: what the device's topics begin with, and the `tail` that says what each is about."""
    return re.compile(rf"(?P<device>{begin})/(?P<tail>{tail})", re.DOTALL)


def device_of(
    table: Mapping[str, object], topics: re.Pattern[str], example: str, *, any_topic: bool
) -> tuple[str | None, str]:
    """The device that `topic` names, and the tail if a whole topic was written; raises `OptionError`.

    `example` is a whole topic of the kind. Both what all topics begin with and any one of them will do.
    """
    topic = options.topic(table, "topic")
    begin = topics.fullmatch(example)
    assert begin is not None
    if topic is None:
        if not any_topic:
            remedy = f'topic = "{begin["device"]}"'
            raise OptionError("topic", f"is missing; write what all topics of the device begin with, as {remedy}")
        return None, ""
    whole = topics.fullmatch(topic)
    if whole is not None:
        return whole["device"], whole["tail"]
    device = topic.rstrip("/")
    again = topics.fullmatch(f"{device}/{begin['tail']}")
    if again is None or again["device"] != device:
        raise OptionError("topic", f'is not what such a device\'s topics begin with; an example is "{begin["device"]}"')
    return device, ""


class Remembering(Dialect, Generic[Known]):
    """A dialect whose messages are parts: `_known`, of bounded size, is what they add up to.

    A new connection and a last will end it. What the broker had kept is told and not added: nobody knows when it was
    said, and it must not colour what is said now.
    """

    def __init__(self, nothing: Known) -> None:
        """`nothing` is immutable: what is known before anything was said."""
        self._nothing = nothing
        self._known = nothing

    def forget(self) -> None:
        """Begin anew."""
        self._known = self._nothing

    def translate(self, topic: str, payload: bytes, retained: bool) -> list[Told]:
        """As `Dialect.translate`."""
        before = self._known
        told = super().translate(topic, payload, retained)
        if retained:
            self._known = before
        elif any(isinstance(one, Gone) for one in told):
            self.forget()
        return told


class DeviceDialect(Remembering[Known]):
    """A device whose topics all begin alike, followed by a tail."""

    TOPICS: ClassVar[re.Pattern[str]]
    """Made by `shape`."""

    def __init__(self, device: str | None, nothing: Known) -> None:
        """`device` is what its topics begin with; None: any topic of that shape is taken."""
        super().__init__(nothing)
        self._device = device

    def topics(self) -> tuple[str, ...]:
        """The filters of `_tails`, after the device's name."""
        return () if self._device is None else tuple(f"{self._device}/{tail}" for tail in self._tails())

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        whole = None if topic.startswith(OTHERS) else self.TOPICS.fullmatch(topic)
        if whole is None:
            mine = self._device is None or topic.startswith(f"{self._device}/")
            return [NOTHING_KNOWN if mine else NOT_OURS]
        if self._device is not None and whole["device"] != self._device:
            return [NOT_OURS]
        return [self._told(whole["tail"], payload)]

    def describe(self, topic: str, payload: bytes) -> Mapping[str, object]:
        """What `_held` finds."""
        whole = self.TOPICS.fullmatch(topic)
        return {} if whole is None else held(lambda: self._held(whole["tail"], payload), payload)

    def _held(self, tail: str, payload: bytes) -> Mapping[str, object]:
        """What else a payload holds, None where it does not; may raise `PayloadError`."""
        del tail, payload
        return {}

    @abstractmethod
    def _tails(self) -> tuple[str, ...]:
        """What to subscribe to of a device."""

    @abstractmethod
    def _told(self, tail: str, payload: bytes) -> Told:
        """Translate a payload whose topic ends with `tail`; may raise `PayloadError`."""


def held(find: Callable[[], Mapping[str, object]], payload: bytes) -> Mapping[str, object]:
    """What `find` finds of a payload; nothing where it is too large or cannot be understood."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return {}
    try:
        return {key: value for key, value in find().items() if value is not None}
    except PayloadError:
        return {}


def native(value: object) -> str | None:
    """A word as its source spells it, fit to be shown; None where it is no word."""
    return shown(value) if isinstance(value, str) else None


def member(payload: bytes) -> dict[str, object]:
    """The payload as a JSON object."""
    return _object(document(payload), "the payload")


def part(table: Mapping[str, object], key: str) -> dict[str, object]:
    """The JSON object at `key`; an empty one where there is none."""
    return _object(table.get(key) or {}, key)


def number(table: Mapping[str, object], key: str) -> float | None:
    """The number at `key`; None where it is left out or null."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, Number):
        raise PayloadError(f"{key} is not a number")
    return float(value)


def boolean(table: Mapping[str, object], key: str) -> bool | None:
    """True or false at `key`; None where it is left out or null."""
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise PayloadError(f"{key} is neither true nor false")
    return value


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is not a JSON object")
    return value
