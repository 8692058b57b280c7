"""Lamps and buzzer at a machine, and the relays of the production enable.

A panel answers what was written, never what was merely heard; it is told by whoever knows. Pins that are not there are
said once, in words, and stop nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from firmware_bridge.pins import Output, PinError, output
from firmware_bridge.relay import Relays

log = logging.getLogger(__name__)

ENDING_S = 2.0


@dataclass(frozen=True)
class PanelPins:
    """Pin numbers (BCM) of what a panel has."""

    green: int | None = None
    red: int | None = None
    buzzer: int | None = None
    relay: int | None = None


class Look(NamedTuple):
    """What is on at one moment, for how many seconds."""

    green: bool
    red: bool
    buzzer: bool
    lasting_s: float


class Signal(Enum):
    """An answer, told by lamp and by sound, so that either is enough."""

    ACCEPTED = (Look(True, False, True, 0.12), Look(True, False, False, 1.4))
    """Green; one short tone."""
    REFUSED = ((Look(False, True, True, 0.12), Look(False, True, False, 0.12)) * 3) + (Look(False, True, False, 1.2),)
    """Red; three short tones."""
    WARNING = (Look(True, True, True, 0.6), Look(False, False, False, 0.3)) * 2
    """Both lamps blink; two long tones."""


class Panel(threading.Thread):
    """One machine's lamps and buzzer, in a thread of its own: a pattern takes its time, who asks for one does not."""

    def __init__(self, name: str, green: Output | None, red: Output | None, buzzer: Output | None) -> None:
        super().__init__(name=f"panel {name}", daemon=True)
        self._parts = (green, red, buzzer)
        self._news = threading.Condition()
        self._signal: Signal | None = None
        self._steady = (False, False)
        self._stopping = False
        self.problem = ""
        """Why it shows nothing, in words; empty when all is well."""

    def answer(self, signal: Signal) -> None:
        """Show it now, over whatever is shown."""
        with self._news:
            self._signal = signal
            self._news.notify()

    def steady(self, *, green: bool, red: bool) -> None:
        """What the lamps show between answers."""
        with self._news:
            if self._steady != (green, red):
                self._steady = (green, red)
                self._news.notify()

    def stop(self) -> None:
        """All dark and silent."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self.join(ENDING_S)

    def run(self) -> None:
        """Show answers, and between them what lasts. A pin that fails ends this thread, and nothing else."""
        try:
            self._answer_until_stopped()
        except Exception as error:  # noqa: BLE001  each library beneath gpiozero raises errors of its own
            self.problem = f"the {self.name} went dark: {error}; restart the kiosk"
            log.warning(self.problem)

    def _answer_until_stopped(self) -> None:
        while True:
            with self._news:
                signal, self._signal = self._signal, None
                if signal is None and not self._stopping:
                    self._show(*self._steady, False)
                    self._news.wait()
                    continue
                if self._stopping:
                    break
            for look in signal.value if signal is not None else ():
                if not self._last(look):
                    break
        self._show(False, False, False)
        for part in self._parts:
            if part is not None:
                part.close()

    def _last(self, look: Look) -> bool:
        """Show it for its time; False where something newer is to be shown."""
        self._show(look.green, look.red, look.buzzer)
        with self._news:
            return not self._news.wait_for(lambda: self._signal is not None or self._stopping, look.lasting_s)

    def _show(self, *on: bool) -> None:
        for part, is_on in zip(self._parts, on, strict=True):
            if part is not None:
                part.on() if is_on else part.off()


class Panels:
    """The panels of a workshop, by machine."""

    def __init__(self, pins: Mapping[str, PanelPins], enabled: Collection[str]) -> None:
        """`enabled`: the machines whose relay passes the production enable on; no other relay is driven."""
        self._pins = pins
        self._panels: dict[str, Panel] = {}
        self._relay_of = {
            machine: own.relay for machine, own in pins.items() if machine in enabled and own.relay is not None
        }
        self._relays = Relays(self._relay_of.values()) if self._relay_of else None
        self._problem = ""

    def start(self) -> None:
        """Take the pins; where that fails, `problem` says why, and the rest goes on."""
        try:
            for machine, own in self._pins.items():
                taken = [output(pin) if pin is not None else None for pin in (own.green, own.red, own.buzzer)]
                if any(taken):
                    panel = self._panels[machine] = Panel(machine, *taken)
                    panel.start()
        except PinError as error:
            self._problem = str(error)
            log.warning("no panel: %s", error)

    @property
    def problem(self) -> str:
        """Why a panel does nothing, in words; empty when all is well."""
        of_panels = [panel.problem for panel in self._panels.values()]
        of_relays = [self._relays.problem] if self._relays is not None else []
        return next(filter(None, (self._problem, *of_panels, *of_relays)), "")

    def answer(self, machine: str, signal: Signal) -> None:
        """At that machine's panel, where it has one."""
        if machine in self._panels:
            self._panels[machine].answer(signal)

    def steady(self, machine: str, *, green: bool, red: bool) -> None:
        """What that machine's lamps show between answers."""
        if machine in self._panels:
            self._panels[machine].steady(green=green, red=red)

    def permit(self, machines: Collection[str]) -> None:
        """These may produce, for another second; to be said again twice a second."""
        if self._relays is not None:
            self._relays.beat({relay for machine, relay in self._relay_of.items() if machine in machines})

    def stop(self) -> None:
        """Dark, silent, and no relay held."""
        if self._relays is not None:
            self._relays.stop()
        for panel in self._panels.values():
            panel.stop()
