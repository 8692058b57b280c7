"""What the kiosk says to the workshop: over MQTT, by the lamps, and by the production enable.

It tells what is on disk: the clerk's notices after a commit, and an answer at the panel for each entry that asks for
one. The production enable is a signal that permits, twice a second, and is silent otherwise; whatever the process dies
of, it falls. Nothing here is about a person (contract, section 7).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.panel import PanelPins, Panels, Signal
from kiosk.domain import entries as e
from kiosk.domain.notices import Notice
from lab_config.model import Lab

BEAT_S = 0.5
"""Contract, section 7; a receiver lets go after 2 s of silence."""
ENDING_S = 2.0

BY_THE_PERSON = ("tap_out", "moved", "handover")
"""Ends that need no warning: whoever it concerns stands there, or went of their own accord."""


class Voice(threading.Thread):
    """The thread that speaks. It only looks; who writes history never waits for it."""

    def __init__(self, lab: Lab, look: Callable[[], Mapping[str, Notice]], is_recording: Callable[[], bool]) -> None:
        super().__init__(name="voice", daemon=True)
        self._lab = lab
        self._look = look
        self._is_recording = is_recording
        self._panels = Panels(
            {
                machine.id: PanelPins(machine.panel.green, machine.panel.red, machine.panel.buzzer, machine.panel.relay)
                for machine in lab.machines
                if machine.panel is not None
            },
            [machine.id for machine in lab.machines if machine.production_enable],
        )
        self._link: MqttLink | None = None
        self._said: dict[str, str] = {}
        self._enabled: frozenset[str] = frozenset()
        self._news = threading.Event()
        self._stopping = False

    def speak_over(self, link: MqttLink) -> None:
        """From now on the broker's clients hear it too."""
        self._link = link
        self._news.set()

    def committed(self, entries: Sequence[e.Entry]) -> None:
        """These are on disk; called by the clerk."""
        for entry in entries:
            for machine, signal in answers(entry.body):
                self._panels.answer(machine, signal)
        self._news.set()

    @property
    def problem(self) -> str:
        """Why a panel does nothing, in words; empty when all is well."""
        return self._panels.problem

    def stop(self) -> None:
        """Permit nothing any more, and be silent."""
        self._stopping = True
        self._news.set()
        self.join(ENDING_S)

    def run(self) -> None:
        """Take the panels' pins, then speak: at once after each commit, and at every beat."""
        self._panels.start()
        beat_s = time.monotonic()
        while not self._stopping:
            now_s = time.monotonic()
            is_beat = now_s >= beat_s
            if is_beat:
                beat_s = now_s + BEAT_S
            self._news.clear()
            self._speak(self._look(), is_beat=is_beat)
            self._news.wait(max(beat_s - time.monotonic(), 0))
        self._permit(frozenset(), is_beat=False)
        self._panels.stop()

    def _speak(self, notices: Mapping[str, Notice], *, is_beat: bool) -> None:
        is_recording = self._is_recording()
        enabled = set()
        for machine in self._lab.machines:
            notice = notices.get(machine.id)
            if notice is None:
                continue
            if machine.status is not None:
                self._say_once(f"{machine.id}/state", notice.state)
            session = {"occupied": notice.occupied, "since_ms": notice.since_ms}
            self._say_once(f"{machine.id}/session", json.dumps(session, separators=(",", ":")))
            self._panels.steady(machine.id, green=notice.occupied, red=notice.locked or not is_recording)
            if machine.production_enable and notice.permitted and is_recording:
                enabled.add(machine.id)
        self._permit(frozenset(enabled), is_beat=is_beat)

    def _permit(self, enabled: frozenset[str], *, is_beat: bool) -> None:
        """The signal begins and ends at once, and is repeated at every beat between."""
        if self._link is not None:
            for machine_id in sorted(self._enabled - enabled):
                self._link.publish(self._topic(f"{machine_id}/enable"), "0", retain=False)
            for machine_id in sorted(enabled if is_beat else enabled - self._enabled):
                self._link.publish(self._topic(f"{machine_id}/enable"), "1", retain=False)
        if is_beat or enabled != self._enabled:
            self._panels.permit(enabled)
        self._enabled = enabled

    def _say_once(self, what: str, payload: str) -> None:
        if self._link is not None and self._said.get(what) != payload:
            self._said[what] = payload
            self._link.publish(self._topic(what), payload, retain=True)

    def _topic(self, what: str) -> str:
        return f"sheber/{self._lab.id}/machine/{what}"


def answers(body: e.Body) -> Iterator[tuple[str, Signal]]:
    """What a panel shows when this is on disk: at which machine, and what."""
    match body:
        case e.SessionOpened():
            yield body.machine, Signal.ACCEPTED
        case e.SessionClosed(reason="tap_out"):
            yield body.machine, Signal.ACCEPTED
        case e.SessionClosed() if body.reason not in BY_THE_PERSON:
            yield body.machine, Signal.WARNING
        case e.TapRead(machine=str(machine), outcome=outcome):
            yield machine, Signal.WARNING if outcome == "handed_over" else Signal.ACCEPTED
        case e.TapRefused(machine=str(machine)):
            yield machine, Signal.REFUSED
