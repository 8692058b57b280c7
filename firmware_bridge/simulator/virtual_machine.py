"""A machine that is not there: a believable day of work, published over a real broker, with faults on request."""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random

from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from firmware_bridge.simulator.spoken import VOICES
from firmware_bridge.simulator.voices import Doing, Said, Voice

FAULTS = (
    "silence",
    "offline",
    "unwilled",
    "garbage",
    "stuck",
    "zero",
    "lost",
    "late",
    "replayed",
    "retained",
)
GONE = ("offline", "unwilled")


@dataclass(frozen=True)
class Phase:
    """How much power a phase takes, how long it lasts, and what follows with which weight."""

    power_w: float
    shortest_s: float
    longest_s: float
    next: tuple[tuple[str, int], ...]


PHASES = {
    "off": Phase(0.4, 600, 1_800, (("setup", 1),)),
    "setup": Phase(180, 120, 600, (("running", 1),)),
    "running": Phase(900, 600, 2_400, (("idle", 3), ("setup", 1))),
    "idle": Phase(60, 60, 420, (("running", 3), ("setup", 1))),
    "fault": Phase(55, 120, 600, (("setup", 1),)),
}
"""Off and fault come on request only: nobody switches a machine off in the middle of a lesson."""
NOISE = 0.08
"""Watts scatter by this part of their mean."""


class VirtualMachine:
    """One machine behind one dialect. `step` moves it; `Workshop` calls that. Same seed, same day."""

    def __init__(
        self,
        machine: str,
        dialect: str,
        *,
        host: str,
        port: int,
        seed: int = 0,
        period_s: float = 10,
        voice: Voice | None = None,
        keeps_will: bool = True,
    ) -> None:
        """`period_s`: how often it repeats itself, in seconds of its own clock. `voice`: one beside `VOICES`.

        Without `keeps_will` its will is not retained, whatever it should be: who comes later never hears it.
        """
        self.id = machine
        self.voice = VOICES[dialect](machine) if voice is None else voice
        self._where = host, port
        self._chance = Random(f"{seed}/{machine}")  # noqa: S311  a simulation, not a secret
        self._period_s = period_s
        self._lock = threading.RLock()
        self._phase, self._phase_ends_s = "idle", 0.0
        self._keeps_will = keeps_will
        self._said: str | None = None
        self._meant: Doing | None = None
        """What it spoke of last."""
        self._held: list[Said] = []
        """What is on its way and late."""
        self._questions: deque[bytes] = deque()
        self._fault: str | None = None
        self._now_s = self._spoke_s = self._energy_ws = 0.0
        self._client: Client | None = None

    @property
    def phase(self) -> str:
        """What it is doing."""
        return self._phase

    @property
    def status(self) -> dict[str, object]:
        """The `status` table of `lab.toml` that hears it."""
        return self.voice.status()

    def start(self) -> None:
        """Come to the broker; one that is not there yet is waited for."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()

    def stop(self) -> None:
        """Leave, politely: the broker sends no will."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            _leave(client)

    def set_phase(self, phase: str, *, hold: bool = False) -> None:
        """Begin `phase` now; with `hold` it lasts until the next call, otherwise the day goes on from it."""
        with self._lock:
            self._begin(phase)
            if hold:
                self._phase_ends_s = float("inf")

    def set_fault(self, fault: str | None) -> None:
        """Begin a fault of `FAULTS`, or end it with None.

        `silence`: it works on and says nothing. `offline`: the connection breaks, so the broker sends the will.
        `unwilled`: it is gone, and no will is sent. `garbage`: each message is followed by one that nobody can
        understand. `stuck`: it says again what it said last, whatever it does. `zero`: its meter reads 0. `lost`: what
        it says of a change never arrives. `late`: its words arrive when the next ones are due. `replayed`: they arrive
        twice. `retained`: the broker keeps all of them.
        """
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"no fault {fault}; those there are: {', '.join(FAULTS)}")
        with self._lock:
            before, self._fault = self._fault, fault
            self._said, self._held = None, []
            gone = self._client if fault in GONE else None
            if gone is not None:
                self._client = None
        if gone is not None and fault == "unwilled":
            _leave(gone)
        elif gone is not None:
            _break(gone)
        elif before in GONE and fault not in GONE:
            self.start()

    def step(self, now_s: float) -> None:
        """Be at `now_s` of its own clock: end the phase that is over, and say what is due."""
        with self._lock:
            watts = self._watts()
            self._energy_ws += watts * max(0.0, now_s - self._now_s)
            self._now_s = now_s
            if now_s >= self._phase_ends_s:
                names, weights = zip(*PHASES[self._phase].next, strict=True)
                self._begin(self._chance.choices(names, weights)[0])
            due = self.voice.repeats and now_s - self._spoke_s >= self._period_s
            doing = Doing(self._phase, watts, now_s, self._energy_ws)
            if self._phase != self._said or due:
                self._speak(doing)
            self._answer(doing)

    def _begin(self, phase: str) -> None:
        plan = PHASES[phase]
        self._phase = phase
        self._phase_ends_s = self._now_s + self._chance.uniform(plan.shortest_s, plan.longest_s)

    def _watts(self) -> float:
        mean = PHASES[self._phase].power_w
        return max(0.0, self._chance.gauss(mean, mean * NOISE))

    def _speak(self, doing: Doing) -> None:
        client = self._client
        if self._fault in ("silence", *GONE) or client is None or not client.is_connected():
            return
        meant = self._perceived(doing)
        changes = [] if self._said is None else self.voice.changed(self._said, meant)
        said = [*changes, *self.voice.now(meant)]
        if self._fault == "garbage":
            said.append(self.voice.garbage(self._chance))
        is_change = self._said != doing.state
        for one in self._on_the_way(said, is_change=is_change):
            _publish(client, replace(one, retain=True) if self._fault == "retained" else one)
        self._said, self._spoke_s, self._meant = doing.state, doing.at_s, meant

    def _answer(self, doing: Doing) -> None:
        client = self._client
        while self._questions:
            request = self._questions.popleft()
            if client is not None and self._fault not in ("silence", *GONE):
                for one in self.voice.answer(request, self._perceived(doing)):
                    _publish(client, one)

    def _perceived(self, doing: Doing) -> Doing:
        """What its sensors make of what it does."""
        if self._fault == "stuck" and self._meant is not None:
            return replace(self._meant, at_s=doing.at_s)
        return replace(doing, power_w=0.0) if self._fault == "zero" else doing

    def _on_the_way(self, said: list[Said], *, is_change: bool) -> list[Said]:
        """What arrives now, when these words are sent."""
        match self._fault:
            case "lost":
                return [] if is_change else said
            case "late":
                arrives, self._held = self._held, said
                return arrives
            case "replayed":
                return [*said, *said]
            case _:
                return said

    def _connect(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311, clean_session=True)
        client.reconnect_delay_set(1, 2)
        will = self.voice.will()
        if will is not None:
            client.will_set(will.topic, will.data, qos=1, retain=will.retain and self._keeps_will)
        client.on_connect = self._on_connect
        self._prepare(client)
        client.connect_async(*self._where, keepalive=10)
        client.loop_start()
        return client

    def _prepare(self, client: Client) -> None:
        """For those that also listen."""
        client.on_message = self._asked

    def _asked(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        # Answered by `step`: everything is said by one thread.
        self._questions.append(bytes(message.payload))

    def _on_connect(self, client: Client, *_: object) -> None:
        if self.voice.asked_on is not None:
            client.subscribe(self.voice.asked_on, 1)
        for one in self.voice.birth():
            _publish(client, one)
        # Without the lock: a caller that holds it may be waiting for this very thread to end.
        self._said = None


def _leave(client: Client) -> None:
    client.disconnect()
    client.loop_stop()


def _break(client: Client) -> None:
    """Vanish without a word."""
    # paho's thread sees the connection go and would come back at once: it must not.
    client.reconnect_delay_set(60, 60)
    wire = client.socket()
    if isinstance(wire, socket.socket):
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
    client.loop_stop()


def _publish(client: Client, said: Said) -> None:
    client.publish(said.topic, said.data, qos=said.qos, retain=said.retain)
