"""MTConnect by an agent's MQTT (cppagent, MTConnect.NET), by `device`, the UUID of the machine in the topics.

    status = {dialect = "mtconnect", device = "OKUMA.123456"}
    status = {dialect = "mtconnect", device = "OKUMA.123456", form = "observations", agent = "agent-uuid"}
    status = {dialect = "mtconnect", topic = "shop/lathe/shdr"}

Subscribes to `MTConnect/Current/DEVICE` and `Sample/DEVICE` (documents, retained unless the agent is told otherwise) or
to `Devices/DEVICE/Observations/#` (single observations; set MqttRetain at the agent, else each item is known only from
its next change on), and to `Probe/AGENT/Availability`, a bare word and the agent's last will; without `agent` that of
any agent. `topic` is a topic of one's own, for any of these forms or an adapter's lines (SHDR). Silence: an agent
repeats Current every 10 s, so 30 s for documents; observations speak of changes only, so never. Tells estop, fault,
running, idle (held: with a detail), and that nothing is known while UNAVAILABLE; in this order, from the last of each
item. Modes change nothing: a machine that is ACTIVE by hand runs. `ignore` lists data items that do not count, such as
an EmergencyStop that no adapter fills, or a fault that always stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines.base import NOT_OURS, Dialect, Gone, Ignored, Reported, Told, not_listed
from firmware_bridge.machines.mtconnect_items import (
    AVAILABILITY,
    CONDITION,
    ESTOP,
    EXECUTION,
    UNAVAILABLE,
    Item,
    of_document,
    of_line,
    of_observation,
    of_word,
)
from firmware_bridge.machines.payload import PayloadError, document, shown, spelled, words
from firmware_bridge.options import OptionError, known_only

STALE_AFTER_MS = 30_000
REMEMBERED_MAX = 256
DESCRIBED_MAX = 8
LINES_MAX = 256
WILLS = ("Availability", "Available")
"""cppagent's word and MTConnect.NET's (TrakHound/MTConnect.NET issue 135)."""
AGENT = "Agent"
"""The name of the device that is the agent itself."""
DOCUMENTS, OBSERVATIONS = "documents", "observations"
NO_STATE = ("MTConnectDevices", "MTConnectAssets", "MTConnectError")

RUNNING, HELD, IDLE = Reported("running"), Reported("idle", detail="held"), Reported("idle")
STANDS = ("INTERRUPTED", "FEED_HOLD", "OPTIONAL_STOP", "PROGRAM_OPTIONAL_STOP", "PROGRAM_STOPPED", "WAIT")
RESTS = ("READY", "STOPPED", "PROGRAM_COMPLETED")
EXECUTIONS = {"ACTIVE": RUNNING, **dict.fromkeys(STANDS, HELD), **dict.fromkeys(RESTS, IDLE)}


@dataclass(frozen=True)
class Options:
    """`topics` and the `device` that counts in documents of several; `speaks` of documents or single observations."""

    topics: tuple[str, ...]
    device: str | None
    form: str = DOCUMENTS
    ignore: frozenset[str] = frozenset()

    KEYS = ("device", "prefix", "agent", "form", "topic", "ignore")

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, cls.KEYS)
        device, agent, own = (options.topic(table, key) for key in ("device", "agent", "topic"))
        if device is None and own is None and not any_topic:
            raise OptionError("device", 'is missing; write the UUID after MTConnect/Current/, as device = "OKUMA.1"')
        form = options.choice(table, "form", (DOCUMENTS, OBSERVATIONS), DOCUMENTS)
        prefix = options.topic(table, "prefix") or "MTConnect"
        topics: list[str] = []
        if own is not None:
            topics.append(own)
        elif device is not None and form == DOCUMENTS:
            topics += [f"{prefix}/Current/{device}", f"{prefix}/Sample/{device}"]
        elif device is not None:
            topics.append(f"{prefix}/Devices/{device}/Observations/#")
        if topics and (own is None or agent is not None):
            topics += [f"{prefix}/Probe/{agent or '+'}/{will}" for will in WILLS]
        return cls(tuple(topics), device, form, _ids(table))


class Memory:
    """The last of each item that counts, and the faults that stand."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.faults: dict[str, frozenset[str]] = {}

    def copy(self) -> Memory:
        """Another that does not change with this one."""
        other = Memory()
        other.values, other.faults = dict(self.values), dict(self.faults)
        return other

    def hear(self, item: Item) -> None:
        """Follow one observation; what is beyond the bound is left out."""
        if item.kind == CONDITION:
            self._hear_condition(item)
        elif item.kind in (EXECUTION, ESTOP, AVAILABILITY):
            if item.kind == AVAILABILITY and item.value == UNAVAILABLE:
                self.values.clear()
                self.faults.clear()
            key = (item.kind, item.key)
            if key in self.values or len(self.values) < REMEMBERED_MAX:
                self.values[key] = item.value

    def of(self, kind: str) -> list[str]:
        """The last value of each item of that kind."""
        return [value for (one, _), value in self.values.items() if one == kind]

    def _hear_condition(self, item: Item) -> None:
        standing = self.faults.pop(item.key, frozenset())
        if item.value == "FAULT":
            standing |= {item.code}
        elif item.code and item.value != UNAVAILABLE:
            standing -= {item.code}
        else:
            # Normal without a code: every condition of the item is over.
            standing = frozenset()
        if standing and len(self.faults) < REMEMBERED_MAX and len(standing) < REMEMBERED_MAX:
            self.faults[item.key] = standing


class MTConnect(Dialect):
    """One machine behind an agent. What was last said of each item holds until the connection, or the agent, is new."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._memory = Memory()
        self._instance: str | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """Documents or observations, and the agent's availability."""
        return self._options.topics

    @property
    def default_stale_after_ms(self) -> int | None:
        """Three times Current; never for observations."""
        return STALE_AFTER_MS if self._options.form == DOCUMENTS else None

    def forget(self) -> None:
        """Every item may have changed unheard."""
        self._memory = Memory()
        self._instance = None

    def translate(self, topic: str, payload: bytes, retained: bool) -> list[Told]:
        """As `Dialect.translate`; a document that the broker kept says nothing about those that follow."""
        if not retained or self._options.form == OBSERVATIONS:
            return super().translate(topic, payload, retained)
        before = self._memory.copy(), self._instance
        told = super().translate(topic, payload, retained)
        self._memory, self._instance = before
        return told

    def describe(self, topic: str, payload: bytes) -> Mapping[str, object]:
        """`items`: the first that could tell a state, with their words."""
        try:
            items, _ = _read(topic, payload)
        except PayloadError:
            return {}
        told = [{"item": one.kind, "id": shown(one.key), "native": shown(one.value)} for one in items if one.kind]
        return {"items": told[:DESCRIBED_MAX]} if told else {}

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        if self._options.topics and not self._is_mine(topic):
            return [NOT_OURS]
        # MTConnect/Probe/000/Availability  UNAVAILABLE  (a word and no document, although under Probe)
        word = words(payload)
        if word in (UNAVAILABLE, "AVAILABLE"):
            return [self._agent(word)]
        observed, instance = _read(topic, payload)
        items = [item for item in observed if item.key not in self._options.ignore]
        if not items:
            return [Ignored("nothing observed in it")]
        ours = [item for item in items if self._is_ours(item)]
        if not ours:
            return [Ignored("another device")]
        return [self._observed(topic, instance, ours)]

    def _agent(self, word: str) -> Told:
        if word == UNAVAILABLE:
            self.forget()
            return Gone("the agent is UNAVAILABLE")
        return Reported(detail="available")

    def _observed(self, topic: str, instance: str | None, items: Sequence[Item]) -> Told:
        # {"MTConnectStreams":{"Header":{"instanceId":1690000000,...},...}}: another number is an agent that restarted
        is_whole = "Current" in topic.split("/")
        if is_whole or (instance is not None and instance != self._instance):
            self._memory = Memory()
        self._instance = instance or self._instance
        for item in items:
            self._memory.hear(item)
        return _told(self._memory, items)

    def _is_mine(self, topic: str) -> bool:
        levels = topic.split("/")
        return any(_matches(wanted.split("/"), levels) for wanted in self._options.topics)

    def _is_ours(self, item: Item) -> bool:
        if not any(item.device):
            return True
        wanted = self._options.device
        return wanted in item.device if wanted is not None else AGENT not in item.device


def _told(memory: Memory, items: Sequence[Item]) -> Told:
    """Estop, then fault, then what is executed; of several paths the one that works."""
    executions, stops = memory.of(EXECUTION), memory.of(ESTOP)
    if UNAVAILABLE in memory.of(AVAILABILITY):
        return Gone("the machine is UNAVAILABLE")
    if "TRIGGERED" in stops:
        return Reported("estop")
    for name, values in (("Execution", executions), ("EmergencyStop", stops)):
        # {"Execution":[{"value":"UNAVAILABLE","dataItemId":"execution",...}]}: not known, and so never idle
        if values and set(values) == {UNAVAILABLE}:
            return Gone(f"{name} is UNAVAILABLE")
    if memory.faults:
        return Reported("fault")
    known = [EXECUTIONS.get(value) for value in executions if value != UNAVAILABLE]
    for state in (RUNNING, HELD, IDLE):
        if state in known:
            return state
    if known:
        return not_listed(next(value for value in executions if value != UNAVAILABLE))
    last = next((item for item in reversed(items) if item.kind), None)
    return Reported(detail="" if last is None else f"{last.kind} {shown(last.value)}")


def _read(topic: str, payload: bytes) -> tuple[list[Item], str | None]:
    """What was observed, and by which life of the agent where that is told; raises `PayloadError`."""
    text = words(payload)
    if text[:1] in ("{", "["):
        return _read_document(document(payload))
    # nothing (the topic was cleared), or * uuid: 0000-1111 (an adapter's command to its agent)
    if not text or text.startswith("*"):
        return [], None
    if "|" in text:
        return [item for line in text.splitlines()[:LINES_MAX] for item in of_line(line)], None
    return of_word(topic.rpartition("/")[2], text), None


def _read_document(told: object) -> tuple[list[Item], str | None]:
    if isinstance(told, dict) and any(key in told for key in NO_STATE):
        return [], None
    observation = of_observation(told)
    if observation is not None:
        return [observation], None
    streams = told.get("MTConnectStreams") if isinstance(told, dict) else None
    items = of_document(told)
    if not items and streams is None:
        raise PayloadError("no observation in it")
    header = streams.get("Header") if isinstance(streams, dict) else None
    return items, spelled(header.get("instanceId")) if isinstance(header, dict) else None


def _matches(wanted: Sequence[str], levels: Sequence[str]) -> bool:
    if wanted and wanted[-1] == "#":
        return len(levels) >= len(wanted) and list(levels[: len(wanted) - 1]) == list(wanted[:-1])
    return len(wanted) == len(levels) and all(one in ("+", level) for one, level in zip(wanted, levels, strict=True))


def _ids(table: Mapping[str, object]) -> frozenset[str]:
    value = table.get("ignore", [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise OptionError("ignore", 'must be a list of data item ids; write ignore = ["estop_2"]')
    return frozenset(value)
