"""How often a source repeats itself, measured by the longest silence that is usual for it."""

from __future__ import annotations

from collections import deque

from firmware_bridge.observations import BrokerChanged, MachineReported, Observation

GAPS_KEPT = 32
GAPS_MIN = 2
EXCUSED = 8
"""One gap in so many may be longer than usual: a message was lost, a cable was out."""
ROOM = 2.5
"""Hours, section 2: so many periods of silence before a source counts as silent."""


class Rhythm:
    """One source. Several messages that come together make short gaps, which change nothing: silence is what counts."""

    def __init__(self) -> None:
        self._gaps_ms: deque[int] = deque(maxlen=GAPS_KEPT)
        self._last_ms: int | None = None

    def heard(self, at_ms: int) -> None:
        """A sign of life came at this moment, in milliseconds of a clock that never goes back."""
        if self._last_ms is not None:
            self._gaps_ms.append(at_ms - self._last_ms)
        self._last_ms = at_ms

    def interrupted(self) -> None:
        """Nothing could be heard for a while: the silence that begins here is not the source's."""
        self._last_ms = None

    @property
    def period_ms(self) -> int | None:
        """The longest usual silence, in milliseconds; None until it was measured."""
        gaps = sorted(self._gaps_ms.copy(), reverse=True)
        return gaps[len(gaps) // EXCUSED] if len(gaps) >= GAPS_MIN else None


def too_short(stale_after_ms: int | None, period_ms: int | None) -> bool:
    """Is `stale_after` less than 2.5 times what was measured, so that one lost message makes the machine unknown?"""
    return stale_after_ms is not None and period_ms is not None and stale_after_ms < ROOM * period_ms


class Rhythms:
    """Of all machines of a kiosk, from what its links deliver."""

    def __init__(self) -> None:
        self._by_machine: dict[str, Rhythm] = {}

    def take(self, observation: Observation, at_ms: int) -> None:
        """Something was heard. What a broker had kept is no sign of life; while it was away nothing could be heard."""
        match observation:
            case MachineReported(machine=machine, retained=False):
                self._by_machine.setdefault(machine, Rhythm()).heard(at_ms)
            case BrokerChanged(connected=False):
                for rhythm in self._by_machine.values():
                    rhythm.interrupted()
            case _:
                pass

    def period_ms(self, machine: str) -> int | None:
        """The longest usual silence of a machine's source; None until it was measured."""
        rhythm = self._by_machine.get(machine)
        return None if rhythm is None else rhythm.period_ms
