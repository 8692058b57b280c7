"""Which protocol is spoken on a line: all decoders hear the same bytes, and the one that reads them tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from firmware_bridge import registry
from firmware_bridge.options import OptionError
from firmware_bridge.readers.asking import Asking
from firmware_bridge.readers.base import Badge, Decoder
from firmware_bridge.readers.line import FORMATS

LEAST_TELLING = ("twn4", "parallax", "line")
"""Protocols without a checksum, and the one that reads what several others send: asked last, in this order."""


@dataclass(frozen=True)
class Candidate:
    """A protocol with the options that make it read what came."""

    protocol: str
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """As it stands in `lab.toml`."""
        pairs = {"protocol": self.protocol, **self.options}
        return ", ".join(f'{key} = "{value}"' for key, value in pairs.items())


@dataclass(frozen=True)
class Read:
    """A badge, and who read it."""

    candidate: Candidate
    badge: Badge


class Chorus:
    """Every decoder at once, for one line at one speed."""

    def __init__(self) -> None:
        self._voices = [(candidate, decoder) for candidate in candidates() if (decoder := _made(candidate)) is not None]

    def feed(self, data: bytes) -> list[Read]:
        """The badges in these bytes, as the decoder reads them that reads most of the line."""
        told = [
            (candidate, [event for event in decoder.feed(data) if isinstance(event, Badge)])
            for candidate, decoder in self._voices
        ]
        best = self.best
        return [Read(candidate, badge) for candidate, badges in told if candidate == best for badge in badges]

    @property
    def best(self) -> Candidate | None:
        """Who read most so far, and rejected least; None where nobody read anything."""
        readers = [(candidate, decoder) for candidate, decoder in self._voices if decoder.badges]
        if not readers:
            return None
        # `max` keeps the first of equals, and the voices stand in order.
        return max(readers, key=lambda one: (one[1].badges, -sum(one[1].rejected.values())))[0]


def recognise(data: bytes) -> Candidate | None:
    """Which protocol reads these bytes, heard at the right speed; None where none does."""
    chorus = Chorus()
    chorus.feed(data)
    return chorus.best


def candidates() -> list[Candidate]:
    """Every protocol in every form it has, the most telling first."""
    names = [name for name in registry.reader_names() if name not in LEAST_TELLING] + list(LEAST_TELLING)
    # Digits alone are hex, too: a printed number is the likelier of the two.
    forms = {"line": [{"format": name} for name in sorted(FORMATS, key=("decimal", "wiegand", "hex").index)]}
    return [Candidate(name, options) for name in names for options in forms.get(name, [{}])]


def asking() -> list[tuple[Candidate, Asking]]:
    """The readers that say nothing unless asked, each with a new decoder."""
    made = [(candidate, _made(candidate)) for candidate in candidates()]
    return [(candidate, decoder) for candidate, decoder in made if isinstance(decoder, Asking)]


def _made(candidate: Candidate) -> Decoder | None:
    """None for a protocol that needs more options than anybody can guess, or that two packages claim."""
    try:
        return registry.reader(candidate.protocol, candidate.options)
    except (OptionError, registry.RegistryError, ImportError):
        return None
