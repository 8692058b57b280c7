"""Which dialect a topic speaks: each is tried with the options that it would have in `lab.toml`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Dialect, Gone, Reported, Told
from firmware_bridge.machines.payload import Number, PayloadError, document, spelled, words
from firmware_bridge.machines.sparkplug_meaning import HELD, WORDS
from firmware_bridge.mqtt_topics import Routes
from firmware_bridge.options import OptionError
from firmware_bridge.probe.rhythm import Rhythm

DESCRIBED = ("json", "text")
"""They read anything, and know nothing by themselves: tried where no other dialect was told something."""
SHAPELESS = ("zigbee2mqtt",)
"""Its messages look like anybody's; only the topic says whose they are."""
TELLING = 2
"""A mere sign of life tells nobody's dialect."""
NOT_MACHINES = ("sheber", "homeassistant")
"""What kiosks say, and where devices announce how they could be shown."""
SEARCHES_MAX = 5
"""A topic that nobody read so often is left alone."""
TRIED_MAX, KNOWN_MAX = 400, 5_000
POWER_KEY = re.compile(r"power|watt|(^|_)w$|apower", re.IGNORECASE)
STATE_KEY = re.compile(r"(^|[/_. -])(state|status|mode|execution)$", re.IGNORECASE)
OTHER_WORDS = {
    "working": "running",
    "printing": "running",
    "free": "idle",
    "heating": "setup",
    "service": "maintenance",
}
LEAVES_MAX, DEPTH_MAX, WORD_CHARS, WORDS_MAX, SAMPLES_MAX = 64, 4, 32, 32, 2_000


@dataclass
class Heard:
    """A source as `lab.toml` would describe it, and what it has told."""

    dialect: str
    options: Mapping[str, object]
    source: Dialect
    told: Counter[str] = field(default_factory=Counter)
    """By kind: `state`, `watts`, `alive` (neither), `gone`, `ignored`, `rejected`."""
    states: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    samples_w: list[float] = field(default_factory=list)
    rhythm: Rhythm = field(default_factory=Rhythm)

    @property
    def tells(self) -> int:
        """How many messages told a state or watts, which is what a kiosk wants."""
        return self.told["state"] + self.told["watts"]

    def take(self, topic: str, payload: bytes, retained: bool, at_ms: int) -> list[Told]:
        """Translate and count."""
        said = self.source.translate(topic, payload, retained)
        for told in said:
            self._count(told, retained, at_ms)
        return said

    def _count(self, told: Told, retained: bool, at_ms: int) -> None:
        match told:
            case Asked():
                return
            case Reported():
                if not retained:
                    self.rhythm.heard(at_ms)
                if told.power_w is not None and len(self.samples_w) < SAMPLES_MAX:
                    self.samples_w.append(told.power_w)
                if told.state is not None:
                    self.states[told.state] += 1
                if told.unmapped and len(self.unmapped) < WORDS_MAX:
                    self.unmapped[told.detail.partition(":")[2]] += 1
                kind = "watts" if told.power_w is not None else "state" if told.state is not None else "alive"
                self.told[kind] += 1
            case Gone():
                self.told["gone"] += 1
            case _:
                self.told[type(told).__name__.lower()] += 1


class Listener:
    """Hears a whole broker, and finds for each topic the source that reads it."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Heard] = {}
        self._by_topic: dict[str, Heard | None] = {}
        self._searches: Counter[str] = Counter()
        self.unread: dict[str, int] = {}
        """Topics that nothing reads, and how often they spoke."""

    def take(self, topic: str, payload: bytes, retained: bool, at_ms: int) -> tuple[Heard | None, list[Told]]:
        """Who reads it, and what it was told; None where nobody does yet."""
        heard = self._by_topic.get(topic) or next(
            (one for one in self._sources.values() if hears(one.source, topic)), None
        )
        if heard is not None and topic in self._by_topic:
            return heard, heard.take(topic, payload, retained, at_ms)
        if heard is not None:
            measured = bool(heard.samples_w)
            said = heard.take(topic, payload, retained, at_ms)
            if heard.samples_w and not measured:
                self._name_by_watts(heard, topic, payload, retained)
            # A relay's topic belongs to its plug; but a plug's bare status must not hide the meter beside it.
            telling = any(isinstance(told, Reported | Gone) for told in said)
            if len(self._by_topic) < KNOWN_MAX and (telling or not self._may_search(topic)):
                self._by_topic[topic] = heard
            return heard, said
        if self._may_search(topic):
            heard = self._search(topic, payload, retained)
        if heard is None:
            if len(self.unread) < TRIED_MAX or topic in self.unread:
                self.unread[topic] = self.unread.get(topic, 0) + 1
            return None, []
        self.unread.pop(topic, None)
        heard = self._sources.setdefault((heard.dialect, repr(sorted(heard.options.items(), key=str))), heard)
        self._by_topic[topic] = heard
        return heard, heard.take(topic, payload, retained, at_ms)

    def sources(self) -> list[Heard]:
        """Those that told something, the most telling first; what another one covers is left out."""
        found = sorted(self._sources.values(), key=lambda one: (one.dialect in DESCRIBED, -one.tells))
        specific = [one.source for one in found if one.dialect not in DESCRIBED]
        return [
            one
            for one in found
            if one.dialect not in DESCRIBED
            or not any(hears(source, topic) for source in specific for topic in one.source.topics())
        ]

    def _name_by_watts(self, heard: Heard, topic: str, payload: bytes, retained: bool) -> None:
        """A device is named by the topic of its watts, where one was heard of first by its will or its relay."""
        better = self._search(topic, payload, retained)
        if better is not None and better.dialect == heard.dialect:
            heard.options, heard.source = better.options, better.source

    def _may_search(self, topic: str) -> bool:
        if topic not in self._searches and len(self._searches) >= TRIED_MAX:
            return False
        self._searches[topic] += 1
        return self._searches[topic] <= SEARCHES_MAX

    def _search(self, topic: str, payload: bytes, retained: bool) -> Heard | None:
        best: tuple[int, Heard] | None = None
        for dialect, options in proposals(topic, payload):
            source = _made(dialect, options)
            if source is None or not hears(source, topic):
                continue
            worth = _worth(source.translate(topic, payload, retained))
            if dialect in DESCRIBED:
                worth = 1 if worth >= TELLING else 0
            elif worth < TELLING:
                continue
            if worth and (best is None or worth > best[0]):
                fresh = _made(dialect, options)
                assert fresh is not None
                best = worth, Heard(dialect, options, fresh)
        return best[1] if best else None


def recognise(topic: str, payload: bytes) -> tuple[str, Mapping[str, object]] | None:
    """The dialect that one message speaks, and its options; None where no dialect is told anything."""
    heard, _ = Listener().take(topic, payload, False, 0)
    return None if heard is None else (heard.dialect, heard.options)


def hears(source: Dialect, topic: str) -> bool:
    """Does the source subscribe to that topic?"""
    return bool(Routes({0: source.topics()}).concerned(topic))


def proposals(topic: str, payload: bytes) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every dialect with every options that this topic could mean; the described ones last."""
    levels = topic.split("/")
    if levels[0] in NOT_MACHINES:
        return
    # What a whole device's topics begin with, up to the whole topic: the shortest that is told something is its name.
    names = ["/".join(levels[:n]) for n in range(1, len(levels) + 1)]
    for dialect in registry.machine_names():
        if dialect in DESCRIBED or (dialect in SHAPELESS and dialect not in levels):
            continue
        for options in _named_parts(dialect, levels):
            yield dialect, options
        for name in names:
            yield dialect, {"topic": name}
    yield from described(topic, payload)


def _named_parts(dialect: str, levels: list[str]) -> Iterator[Mapping[str, object]]:
    """The options of dialects whose device is not named by a `topic`."""
    match dialect, levels:
        case "sparkplug", ["spBv1.0", group, _, node]:
            yield {"group": group, "node": node}
        case "sparkplug", ["spBv1.0", group, _, node, device]:
            yield {"group": group, "node": node, "device": device}
        case "mtconnect", [*before, "Current" | "Sample", device]:
            yield {"device": device, **_prefix(before)}
        case "mtconnect", _ if "Observations" in levels[2:]:
            place = levels.index("Observations", 2)
            yield {"device": levels[place - 1], "form": "observations", **_prefix(levels[: place - 2])}
        case "esphome", [*node, kind, item, "state"] if node:
            yield {"topic": "/".join(node), "item": f"{kind}/{item}"}


def _prefix(levels: list[str]) -> Mapping[str, object]:
    return {} if levels == ["MTConnect"] or not levels else {"prefix": "/".join(levels)}


def described(topic: str, payload: bytes) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The dialects that read anything, where the value may be watts or a word."""
    for pointer, value in _leaves(payload):
        key = pointer.rpartition("/")[2]
        if isinstance(value, Number) and POWER_KEY.search(key):
            yield "json", {"topic": topic, "pointer": pointer}
    for pointer, value in _leaves(payload):
        key, word = pointer.rpartition("/")[2], spelled(value)
        if (
            word
            and len(word) <= WORD_CHARS
            and (known_word(word) or (STATE_KEY.search(key) and isinstance(value, str)))
        ):
            yield "json", {"topic": topic, "pointer": pointer, "states": table({word})}
    try:
        word = words(payload)
    except PayloadError:
        return
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", word):
        yield "text", {"topic": topic}
    elif (
        word
        and word[0] not in "{["
        and len(word) <= WORD_CHARS
        and (known_word(word) or (STATE_KEY.search(topic) and word.isprintable()))
    ):
        yield "text", {"topic": topic, "states": table({word})}


def table(seen: Iterable[str]) -> dict[str, str]:
    """Words to states, as far as they speak for themselves; the others need somebody who knows the machine."""
    known = {word: state for word in sorted(seen) if (state := known_word(word)) is not None}
    return known or dict.fromkeys(sorted(seen), "unknown")


def value_of(heard: Heard, payload: bytes) -> str | None:
    """The word that a described source reads out of a payload; None for watts, and for other dialects."""
    if "states" not in heard.options or heard.dialect not in DESCRIBED:
        return None
    if heard.dialect == "json":
        pointer = heard.options["pointer"]
        return next((spelled(value) for place, value in _leaves(payload) if place == pointer), None)
    try:
        return words(payload)
    except PayloadError:
        return None


def known_word(word: str) -> str | None:
    """The state that a word means in any workshop; None where only its maker knows."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    return "idle" if plain in HELD else WORDS.get(plain) or OTHER_WORDS.get(plain)


def _leaves(payload: bytes) -> list[tuple[str, object]]:
    """JSON Pointers (RFC 6901) to the scalars of an object; none where it is no object."""
    try:
        value = document(payload)
    except PayloadError:
        return []
    found: list[tuple[str, object]] = []

    def look(pointer: str, inside: object, depth: int) -> None:
        if isinstance(inside, dict) and depth < DEPTH_MAX:
            for key, each in inside.items():
                look(f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", each, depth + 1)
        elif pointer and len(found) < LEAVES_MAX and not isinstance(inside, dict | list):
            found.append((pointer, inside))

    look("", value, 0)
    return found


def _worth(said: Iterable[Told]) -> int:
    """Watts and states are what is looked for; a value in no table and a last will are signs of the right dialect."""
    worth = 0
    for told in said:
        match told:
            case Reported(power_w=power) if power is not None:
                worth += 4
            case Reported(state=state) if state is not None:
                worth += 3
            case Gone():
                worth += 2
            case Reported():
                worth += 1
            case _:
                pass
    return worth


def _made(dialect: str, options: Mapping[str, object]) -> Dialect | None:
    try:
        return registry.machine(dialect, options)
    except (OptionError, registry.RegistryError, ImportError):
        return None
