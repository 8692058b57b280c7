"""Sparkplug B 3.0: an edge node, or a device behind it, by `group`, `node` and perhaps `device`.

    status = {dialect = "sparkplug", group = "Workshop", node = "edge-1", device = "mill-1"}
    status = {dialect = "sparkplug", group = "W", node = "e1", state_metric = "Mode", states = {"3" = "running"}}
    status = {dialect = "sparkplug", group = "W", node = "e1", power_metric = "P", power_unit = "kW"}

Subscribes to `spBv1.0/GROUP/+/NODE/#`; nothing there is retained, so each new connection asks for a birth. What counts
is told by `sparkplug_meaning`. Values are used between a birth and the first number that is missing: a gap or an alias
that was not born asks for a rebirth, and when something else comes first, the state is unknown. `birth = "optional"` is
for nodes that are never born: then what carries its name is used. Silence: a node speaks of changes only, so never; the
broker says NDEATH for it, which takes its devices along. An NDEATH with another bdSeq than the birth's is an old one.
Tells every state that its metrics tell, and watts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from firmware_bridge import options
from firmware_bridge.machines import sparkplug_payload
from firmware_bridge.machines.base import NOT_OURS, Asked, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.machines.payload import PAYLOAD_BYTES_MAX, PayloadError, shown
from firmware_bridge.machines.source import states_of
from firmware_bridge.machines.sparkplug_meaning import Meaning
from firmware_bridge.machines.sparkplug_payload import Metric, Payload, Value, typed
from firmware_bridge.machines.sparkplug_request import rebirth
from firmware_bridge.options import OptionError, known_only

NAMESPACE = "spBv1.0"
OF_NODES, OF_DEVICES = ("NBIRTH", "NDATA", "NDEATH", "NCMD"), ("DBIRTH", "DDATA", "DDEATH", "DCMD")
HOSTS = (f"{NAMESPACE}/STATE/", "STATE/")
COMMANDS = ("NCMD", "DCMD")
SEQ_END = 256
BD_SEQ = "bdSeq"
KNOWN_MAX = 64
"""Metrics that one machine's state is made of."""
DESCRIBED_MAX = 8
BY_NAMES = Meaning()
UNITS_W = {"W": 1.0, "kW": 1_000.0}
ANOTHER = Ignored("another source of the node")


@dataclass(frozen=True)
class Address:
    """What a topic says: `spBv1.0/GROUP/KIND/NODE` or `spBv1.0/GROUP/KIND/NODE/DEVICE`."""

    kind: str
    group: str
    node: str
    device: str | None

    @classmethod
    def of(cls, topic: str) -> Address | None:
        """None for a topic of another shape."""
        levels = topic.split("/")
        if len(levels) not in (4, 5) or levels[0] != NAMESPACE:
            return None
        device = levels[4] if len(levels) == 5 else None
        if levels[2] not in (OF_NODES if device is None else OF_DEVICES):
            return None
        return cls(levels[2], levels[1], levels[3], device)


@dataclass(frozen=True)
class Options:
    """`group` is None where messages are judged by the shape of their topic alone."""

    group: str | None
    node: str = ""
    device: str | None = None
    meaning: Meaning = BY_NAMES
    birth_required: bool = True

    KEYS = ("group", "node", "device", "state_metric", "states", "power_metric", "power_unit", "birth")

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        known_only(table, cls.KEYS)
        group, node, device = (_level(table, key) for key in ("group", "node", "device"))
        for key, value in (("group", group), ("node", node)):
            if value is None and not (any_topic and group is None and node is None and device is None):
                raise OptionError(key, f'is missing; write it as in spBv1.0/GROUP/NBIRTH/NODE: {key} = "..."')
        wanted = options.choice(table, "birth", ("required", "optional"), "optional" if any_topic else "required")
        return cls(group, node or "", device, _meaning(table), wanted == "required")


@dataclass
class Life:
    """What holds from a birth on: the last number, and of the machine's own metrics their names, kinds and values."""

    seq: int
    has_birth: bool
    is_own_born: bool = False
    names: dict[int, str | None] = field(default_factory=dict)
    """By alias; None for one that was given twice, or tells nothing about the machine."""
    kinds: dict[str, int | None] = field(default_factory=dict)
    known: dict[str, Value] = field(default_factory=dict)


class Sparkplug(Dialect):
    """One node or one device. Follows the numbers of the whole node, for they are counted over all of it."""

    def __init__(self, options: Options) -> None:
        self._group, self._node, self._device = options.group, options.node, options.device
        self._any = options.group is None
        self._meaning = options.meaning
        self._birth_required = options.birth_required
        self._life: Life | None = None
        self._bd_seq: int | None = None
        self._is_doubted = False
        """Was a birth asked for, or lost, since the state was last certain?"""
        self._clock_ms = 0

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, any_topic: bool = False) -> Self:
        """Raises `OptionError`."""
        return cls(Options.from_table(table, any_topic=any_topic))

    def topics(self) -> tuple[str, ...]:
        """All that the node and its devices say."""
        return () if self._any else (f"{NAMESPACE}/{self._group}/+/{self._node}/#",)

    @property
    def default_stale_after_ms(self) -> int | None:
        """None: it speaks of changes only, and the broker speaks for it when it is gone."""
        return None

    def forget(self) -> None:
        """An alias means what it meant in the connection in which it was born."""
        self._life = None
        self._bd_seq = None
        self._is_doubted = False

    def greeting(self) -> tuple[Asked, ...]:
        """A rebirth: what the node said before, the broker did not keep."""
        return () if self._any else (self._rebirth(),)

    def translate(self, topic: str, payload: bytes, retained: bool) -> list[Told]:
        """As `Dialect.translate`; a birth or a value that a broker kept is not of this connection."""
        address = Address.of(topic)
        if retained and address is not None and address.kind not in ("NDEATH", "DDEATH"):
            return [Ignored("kept by the broker, which Sparkplug forbids: nothing about now")]
        return super().translate(topic, payload, retained)

    def describe(self, topic: str, payload: bytes) -> Mapping[str, object]:
        """`kind`, `seq`, `bdSeq`, `alias_collision` and the first metrics."""
        address = Address.of(topic)
        if address is None or len(payload) > PAYLOAD_BYTES_MAX:
            return {"kind": "STATE"} if topic.startswith(HOSTS) else {}
        try:
            said = sparkplug_payload.read(payload)
        except PayloadError:
            return {"kind": address.kind}
        told: dict[str, object] = {"kind": address.kind, "seq": said.seq, BD_SEQ: _bd_seq(said)}
        doubled = len(_names(said.metrics, BY_NAMES)[1]) > 0
        told["alias_collision"] = doubled or None
        told["metrics"] = [_described(metric) for metric in said.metrics[:DESCRIBED_MAX]] or None
        return {key: value for key, value in told.items() if value is not None}

    def _tell(self, topic: str, payload: bytes) -> list[Told]:
        address = Address.of(topic)
        if address is None:
            # spBv1.0/STATE/scada  {"online":true,"timestamp":1486144502122}
            is_host = topic.startswith(HOSTS)
            return [Ignored("the state of a host application, no machine's") if is_host else NOT_OURS]
        if not self._is_mine(address):
            return [NOT_OURS]
        # spBv1.0/G/NCMD/N  Node Control/Rebirth = true
        if address.kind in COMMANDS:
            return [Ignored("a command, not a report")]
        try:
            said = sparkplug_payload.read(payload)
            if said.seq is not None and said.seq >= SEQ_END:
                raise PayloadError("a seq above 255")
        except PayloadError as error:
            # 980 of the 981 bytes of a birth: nothing in it is certain, and nothing after it either
            return [Rejected(str(error)), *self._broken()]
        self._clock_ms = said.timestamp_ms or self._clock_ms
        return self._hear(address, said)

    def _is_mine(self, address: Address) -> bool:
        if self._any and (address.group, address.node, address.device) != (self._group, self._node, self._device):
            self.forget()
            self._group, self._node, self._device = address.group, address.node, address.device
        return (address.group, address.node) == (self._group, self._node)

    def _hear(self, address: Address, said: Payload) -> list[Told]:
        if address.kind == "NDEATH":
            return [self._node_died(_bd_seq(said))]
        if address.kind == "NBIRTH":
            return self._node_born(said)
        is_own = address.device == self._device
        # What leaves out a zero is taken at its word: an encoder of another dialect of protocol buffers does.
        seq = said.seq or 0
        life = self._life
        if life is None:
            if is_own and address.kind == "DDEATH":
                return [self._device_died()]
            if self._birth_required or not is_own:
                return [Ignored("no birth was heard in this connection"), *self._broken()]
            # spBv1.0/tedge/NDATA/sim-cnc01  spindle.speed.rpm = 2818.7, ... (names, no alias; no birth is needed)
            life = self._life = Life(seq, has_birth=False, is_own_born=True)
        elif seq != (life.seq + 1) % SEQ_END:
            return [Ignored(f"a gap: seq {seq} after {life.seq}"), *self._broken()]
        life.seq = seq
        if not is_own:
            return [ANOTHER, *self._doubts(address.kind)]
        if address.kind == "DDEATH":
            # spBv1.0/Sparkplug B Devices/DDEATH/Raspberry Pi/Pibrella  seq 123
            return [self._device_died()]
        if address.kind == "DBIRTH":
            return self._own_born(life, said)
        return self._own_data(life, said)

    # -- births and deaths --------------------------------------------------------------------------------------------

    def _node_died(self, bd_seq: int | None) -> Told:
        # spBv1.0/G/NDEATH/N  bdSeq = 87, after a birth with 88: the will of the connection before this one
        if bd_seq is not None and self._bd_seq is not None and bd_seq != self._bd_seq:
            return Ignored(f"the death of an earlier connection: bdSeq {bd_seq}, not {self._bd_seq}")
        self.forget()
        return Gone("the node died")

    def _device_died(self) -> Told:
        if self._life is not None:
            self._life = Life(self._life.seq, self._life.has_birth)
        self._is_doubted = False
        return Gone("the device died")

    def _node_born(self, said: Payload) -> list[Told]:
        # spBv1.0/G/NBIRTH/N  seq 0, bdSeq = 88 (alias 1), Node Control/Rebirth = false (alias 2), Temperature = 21.5
        was_known = self._life is not None or self._is_doubted
        life = self._life = Life(said.seq or 0, has_birth=True)
        self._bd_seq = _bd_seq(said)
        if self._device is None:
            return self._own_born(life, said)
        # Its devices are born after it, or they are no more.
        self._is_doubted = was_known
        return [Ignored("the node's birth; the device's comes after it")]

    def _own_born(self, life: Life, said: Payload) -> list[Told]:
        self._is_doubted = False
        life.is_own_born = True
        life.names, _ = _names(said.metrics, self._meaning)
        life.kinds, life.known = {}, {}
        return [self._learnt(life, said.metrics)]

    # -- data ---------------------------------------------------------------------------------------------------------

    def _own_data(self, life: Life, said: Payload) -> list[Told]:
        if not life.is_own_born:
            return [Ignored("the device was not born"), *self._broken()]
        usable = [one for one in said.metrics if one.name is not None or one.alias in life.names]
        unborn = len(said.metrics) - len(usable)
        if unborn and life.has_birth:
            return [Ignored("an alias that was not born"), *self._broken()]
        # spBv1.0/G/NDATA/N  alias 100 = 22.5, and no birth
        if unborn and not usable:
            return [Ignored("aliases without a birth"), self._rebirth()]
        told = self._learnt(life, usable)
        return [told, self._rebirth()] if unborn else [told]

    def _learnt(self, life: Life, metrics: Sequence[Metric]) -> Reported:
        for metric in metrics:
            name = metric.name
            if name is None and metric.alias is not None:
                name = life.names.get(metric.alias)
            # What is historical was true once, and says nothing about now.
            if name is None or metric.is_historical or self._meaning.role(name) is None:
                continue
            if name not in life.known and len(life.known) >= KNOWN_MAX:
                continue
            kind = life.kinds.setdefault(name, metric.datatype)
            value = typed(metric.value, kind) if metric.datatype is None else metric.value
            life.known[name] = value if metric.is_good else None
        return self._meaning.told(life.known)

    # -- what is lost -------------------------------------------------------------------------------------------------

    def _broken(self) -> list[Told]:
        """The life at hand cannot be followed any more: ask for another, and doubt the state until it comes."""
        self._life = None
        gone: list[Told] = [Gone("no rebirth in answer to what was lost")] if self._is_doubted else []
        # The first message that cannot be used costs no certainty: the birth is asked for and comes at once.
        self._is_doubted = self._birth_required
        return [*gone, self._rebirth()]

    def _doubts(self, kind: str) -> list[Told]:
        """After the node's birth come those of its devices: when something else does, ours was not among them."""
        if not self._is_doubted or kind == "DBIRTH":
            return []
        self._is_doubted = False
        return [Gone("the device was not born again")]

    def _rebirth(self) -> Asked:
        return rebirth(self._group or "", self._node, self._clock_ms)


def _names(metrics: Sequence[Metric], meaning: Meaning) -> tuple[dict[int, str | None], set[int]]:
    """Names by alias, None for what tells nothing, and the aliases that were given to several names."""
    born: dict[int, str] = {}
    doubled: set[int] = set()
    for metric in metrics:
        if metric.alias is None or metric.name is None:
            continue
        if born.setdefault(metric.alias, metric.name) != metric.name:
            # bdSeq = 88 (alias 1), ..., Metric_1 = 1.5 (alias 1)
            doubled.add(metric.alias)
    told = {alias: None if alias in doubled or not meaning.role(name) else name for alias, name in born.items()}
    return told, doubled


def _bd_seq(said: Payload) -> int | None:
    values = [metric.value for metric in said.metrics if metric.name == BD_SEQ]
    value = values[-1] if values else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _described(metric: Metric) -> dict[str, object]:
    value = metric.value
    if isinstance(value, str):
        value = shown(value)
    elif isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    named: dict[str, object] = {"alias": metric.alias} if metric.name is None else {"name": shown(metric.name)}
    return {**named, "value": value}


def _level(table: Mapping[str, object], key: str) -> str | None:
    """One level of a topic."""
    value = options.topic(table, key)
    if value is not None and "/" in value:
        raise OptionError(key, "is one level of the topic, spBv1.0/GROUP/DBIRTH/NODE/DEVICE; write it without a slash")
    return value


def _meaning(table: Mapping[str, object]) -> Meaning:
    state_metric, power_metric = options.text(table, "state_metric"), options.text(table, "power_metric")
    if "states" in table and state_metric is None:
        raise OptionError("states", "needs a metric to be the values of; write state_metric beside it")
    if "power_unit" in table and power_metric is None:
        raise OptionError("power_unit", "needs a metric to be the unit of; write power_metric beside it")
    unit = options.choice(table, "power_unit", tuple(UNITS_W), "W")
    return Meaning(state_metric, states_of(table.get("states")), power_metric, UNITS_W[unit])
