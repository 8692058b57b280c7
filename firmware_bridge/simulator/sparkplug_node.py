"""A Sparkplug B edge node with one device behind it: births, numbers, deaths, and a rebirth when it is asked for."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from paho.mqtt.client import Client, MQTTMessage

from firmware_bridge.simulator.sparkplug_encoder import BOOLEAN, DOUBLE, STRING, UINT64, Measured, write
from firmware_bridge.simulator.virtual_machine import VirtualMachine
from firmware_bridge.simulator.voices import Doing, Said, Voice

REBIRTH = b"Node Control/Rebirth"
STATE, POWER, ESTOP = "Machine/State", "Power/kW", "EStop/Active"
ALIASES = {STATE: 1, POWER: 2, ESTOP: 3}
TYPES = {STATE: STRING, POWER: DOUBLE, ESTOP: BOOLEAN}
EPOCH_MS = 1_790_000_000_000
"""What the node's clock showed when it was switched on."""


class SparkplugVoice(Voice):
    """The payloads and the numbers. Everything is numbered where it is said, in the one thread that calls `now`."""

    dialect = "sparkplug"
    WORDS: ClassVar = {"running": "EXECUTE", "setup": "RESETTING", "idle": "IDLE", "off": "OFF", "fault": "ABORTED"}

    def __init__(self, machine: str, group: str = "Workshop") -> None:
        super().__init__(machine)
        self.group, self.node = group, f"edge-{machine}"
        self.bd_seq = 255
        self.births = 0
        """How often the node was born."""
        self._seq = 0
        self.is_birth_due = True
        """Is it to be born again before anything else is said?"""
        self.loses_births = False
        """A fault: births are numbered and never arrive."""
        self.skips = 0
        """A fault: so many numbers are used up by messages that never arrive."""
        self.stale_deaths = 0
        """A fault: so many deaths of the connection before arrive late."""

    def status(self) -> dict[str, object]:
        """The device; its metrics speak for themselves."""
        return {"dialect": self.dialect, "group": self.group, "node": self.node, "device": self.machine}

    def connecting(self) -> None:
        """Each connection has a `bdSeq` of its own, which its will carries."""
        self.bd_seq = (self.bd_seq + 1) % 256
        self.is_birth_due = True

    def will(self) -> Said:
        """NDEATH; not retained, and without a number."""
        return self._death(self.bd_seq)

    def now(self, doing: Doing) -> list[Said]:
        """The births where they are due; then what the device measures, by alias."""
        at_ms = EPOCH_MS + int(doing.at_s * 1_000)
        said: list[Said] = []
        if self.is_birth_due:
            said += self._births(doing, at_ms)
        self._seq += self.skips
        self.skips = 0
        said += [self._death((self.bd_seq - 1) % 256) for _ in range(self.stale_deaths)]
        self.stale_deaths = 0
        values = self._values(doing)
        metrics = [Measured(TYPES[name], value, alias=ALIASES[name]) for name, value in values.items()]
        return [*said, self._said("DDATA", metrics, at_ms, device=True)]

    def garbage(self, chance: Random) -> Said:
        """A payload cut off in the middle; the node does not count it."""
        whole = write([Measured(STRING, "EXECUTE", name=STATE)], seq=self._seq)
        return Said(self._topic("DDATA", device=True), whole[: chance.randint(1, len(whole) - 3)], qos=0)

    def _births(self, doing: Doing, at_ms: int) -> list[Said]:
        self.is_birth_due = False
        self.births += 1
        self._seq = 0
        control = Measured(BOOLEAN, False, name=REBIRTH.decode(), timestamp_ms=at_ms)
        born_with = Measured(UINT64, self.bd_seq, name="bdSeq", timestamp_ms=at_ms)
        metrics = [
            Measured(TYPES[name], value, name, ALIASES[name], at_ms) for name, value in self._values(doing).items()
        ]
        births = [
            self._said("NBIRTH", [born_with, control], at_ms),
            self._said("DBIRTH", metrics, at_ms, device=True),
        ]
        return [] if self.loses_births else births

    def _values(self, doing: Doing) -> dict[str, bool | float | str]:
        is_stopped = doing.state == "estop"
        return {STATE: self.WORDS.get(doing.state, "ABORTED"), POWER: doing.power_w / 1_000, ESTOP: is_stopped}

    def _said(self, kind: str, metrics: list[Measured], at_ms: int, *, device: bool = False) -> Said:
        seq = self._seq % 256
        self._seq = seq + 1
        return Said(self._topic(kind, device=device), write(metrics, seq=seq, timestamp_ms=at_ms), qos=0)

    def _death(self, bd_seq: int) -> Said:
        return Said(self._topic("NDEATH"), write([Measured(UINT64, bd_seq, name="bdSeq")], seq=None))

    def _topic(self, kind: str, *, device: bool = False) -> str:
        behind = f"/{self.machine}" if device else ""
        return f"spBv1.0/{self.group}/{kind}/{self.node}{behind}"


class VirtualNode(VirtualMachine):
    """A machine that speaks Sparkplug and listens to its NCMD. The faults of its own are those of its `node`."""

    def __init__(self, machine: str, *, host: str, port: int, seed: int = 0, period_s: float = 10) -> None:
        self.node = SparkplugVoice(machine)
        super().__init__(machine, "sparkplug", host=host, port=port, seed=seed, period_s=period_s, voice=self.node)

    def step(self, now_s: float) -> None:
        """As `VirtualMachine.step`; a birth that is due is said at once, whether anything changed or not."""
        if self.node.is_birth_due:
            self._said = None
        super().step(now_s)

    def _prepare(self, client: Client) -> None:
        client.on_pre_connect = self._before_connecting
        client.on_message = self._commanded

    def _before_connecting(self, client: Client, _data: object) -> None:
        self.node.connecting()
        will = self.node.will()
        client.will_set(will.topic, will.data, qos=1)

    def _on_connect(self, client: Client, *arguments: object) -> None:
        client.subscribe(f"spBv1.0/{self.node.group}/NCMD/{self.node.node}", 1)
        super()._on_connect(client, *arguments)

    def _commanded(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if REBIRTH in message.payload:
            self.node.is_birth_due = True
