"""The real core over recorded observations with their own clock (contract, section 6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from firmware_bridge import registry
from firmware_bridge.machines.base import Gone, Reported, Told
from firmware_bridge.readers.base import Badge, is_zero
from firmware_bridge.readers.transforms import transform
from kiosk.commands import PersonRow
from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.core import Core
from kiosk.domain.credit import crew_changes, cut
from kiosk.domain.flags import with_shared_flags
from kiosk.domain.rulebook import adopted
from kiosk.domain.state import Session, State, standing
from kiosk.domain.timeline import Moment
from kiosk.roster import listed
from lab_config.model import Lab, Machine


class ReplayError(Exception):
    """A line that cannot be followed: which, why, and what to do."""


@dataclass
class _Clock:
    """The recording's own clock."""

    boot: str = ""
    t: int = 0
    boot_ms: int = 0
    wall_offset_ms: int = 0
    synced: bool = True

    def move(self, line: dict[str, Any]) -> e.Stamp:
        """Advance to a line and stamp it."""
        t = line["t"]
        if t < self.t:
            raise ReplayError(f"t goes back from {self.t} to {t}; within one boot it never decreases: sort the lines")
        boot_ms = self.boot_ms + t - self.t
        if line.get("kind") != "date_boot":  # there, it is the moment that is dated
            boot_ms = line.get("boot_ms", boot_ms)
        if boot_ms < self.boot_ms:
            raise ReplayError(f"boot_ms goes back from {self.boot_ms} to {boot_ms}; within one boot it never decreases")
        self.boot_ms, self.t = boot_ms, t
        return self.stamp()

    def start(self, line: dict[str, Any]) -> e.Stamp:
        """A boot: a new count of milliseconds, perhaps an earlier wall clock."""
        # The same boot again is a restart of the program only: its milliseconds go on.
        again_ms = self.boot_ms + line["t"] - self.t if str(line["boot"]) == self.boot else 0
        self.boot = str(line["boot"])
        self.t = line["t"]
        self.boot_ms = line.get("boot_ms", again_ms)
        self.wall_offset_ms = 0
        self.synced = bool(line.get("synced", True))
        return self.stamp()

    def stamp(self) -> e.Stamp:
        """The clock as it stands."""
        return e.Stamp(self.boot, self.boot_ms, self.t + self.wall_offset_ms, self.synced)


class Replay:
    """One recorded history, folded."""

    def __init__(self, lab: Lab, people: Sequence[PersonRow], warn: Callable[[str], None]) -> None:
        self._lab = lab
        self._people = people
        self._warn = warn
        self._core = Core(nonce=lambda: "")
        self._clock = _Clock()
        self._readers = {r.id: registry.reader(r.protocol, r.options) for r in lab.readers}
        self._transforms = {r.id: transform(r.transform) for r in lab.readers}
        self._machines = [(m, registry.machine(m.status.dialect, m.status.options)) for m in lab.machines if m.status]
        self._refused: list[e.TapRefused] = []
        self._first: Moment | None = None
        self._down = False

    @property
    def state(self) -> State:
        """The folded state."""
        return self._core.state

    def run(self, lines: Iterable[str]) -> None:
        """Follow every line up to `end`; `ReplayError` names the line that cannot be."""
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict) or not isinstance(line.get("t"), int):
                    raise ReplayError('it is not an object with an integer "t"')
                if self._follow(line):
                    break
            except (ReplayError, json.JSONDecodeError, KeyError, ValueError, TypeError) as error:
                what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
                raise ReplayError(
                    f"line {number}: {what}; see section 6 of the contract for the lines there are"
                ) from error

    def _follow(self, line: dict[str, Any]) -> bool:
        kind = line.get("kind")
        if kind == "boot":
            self._boot(line)
            return False
        if self._down and kind == "end":
            return True  # nothing is known after the kiosk went down
        if self._down:
            raise ReplayError("nothing may stand between down and boot")
        if not self._clock.boot:
            self._boot({"t": line["t"], "boot": "b0", "synced": True})
        stamp = self._clock.move(line)
        if kind == "clock":
            self._clock.synced = bool(line["synced"])
            self._clock.wall_offset_ms = line.get("wall", line["t"]) - line["t"]
            stamp = self._clock.stamp()
        for heard in self._observations(line):
            self._hear(stamp, heard)
        self._down = kind == "down"
        return kind == "end"

    def _hear(self, stamp: e.Stamp, heard: o.Observation) -> None:
        try:
            for entry in self._core.hear(stamp, heard):
                if isinstance(entry.body, e.TapRefused):
                    self._refused.append(entry.body)
        except o.DecisionRefused as refused:
            self._warn(f"at {self._clock.t}: refused, {refused}")

    def _boot(self, line: dict[str, Any]) -> None:
        last = e.At(self._clock.boot, self._clock.boot_ms) if self._clock.boot else None
        stamp = self._clock.start(line)
        self._down = False
        self._readers = {r.id: registry.reader(r.protocol, r.options) for r in self._lab.readers}
        self._hear(stamp, o.Booted(last))
        if last is None:
            self._first = self.state.timeline.moment(e.At(stamp.boot, stamp.boot_ms))
            self._hear(stamp, o.Adopted(*adopted(self._lab)))
            for row in self._people:
                self._hear(stamp, listed(row, row.person_id, row.badges))

    def _observations(self, line: dict[str, Any]) -> Iterator[o.Observation]:
        """What a line means to the domain; at least one, so that time passes."""
        make = _LINES.get(line.get("kind", ""))
        if line.get("kind") == "serial":
            yield from self._serial(line)
        elif line.get("kind") == "mqtt":
            yield from self._mqtt(line)
        elif line.get("kind") == "review":
            yield self._review(line)
        elif line.get("kind") == "badge":
            self._known_reader(line["reader"])
            if not is_zero(str(line["uid"])):
                yield o.BadgeRead(line["reader"], str(line["uid"]).upper())
        elif make is None:
            raise ReplayError(f"there is no kind {line.get('kind')!r}")
        else:
            yield make(line)
        yield o.Alive()

    def _known_reader(self, reader: str) -> None:
        if reader not in self._readers:
            raise ReplayError(f"the lab has no reader {reader!r}")

    def _serial(self, line: dict[str, Any]) -> Iterator[o.Observation]:
        reader = line["reader"]
        self._known_reader(reader)
        for decoded in self._readers[reader].feed(bytes.fromhex(line["hex"])):
            if isinstance(decoded, Badge):
                yield o.BadgeRead(reader, self._transforms[reader](decoded.uid))

    def _mqtt(self, line: dict[str, Any]) -> Iterator[o.Observation]:
        payload = bytes.fromhex(line["payload_hex"]) if "payload_hex" in line else str(line["payload"]).encode()
        for machine, dialect in self._machines:
            for told in dialect.translate(line["topic"], payload, bool(line.get("retain", False))):
                yield from machine_observations(machine.id, told, bool(line.get("retain", False)))

    def _review(self, line: dict[str, Any]) -> o.Observation:
        found = tuple(
            s.id
            for s in self.state.sessions.values()
            if (s.person_ref, s.machine, self.state.timeline.utc_ms(s.opened))
            == (line["person"], line["machine"], line["start"])
        )
        return o.ReviewAsked(
            found or (-1,),
            line["decision"],
            line["by"],
            reason=line.get("reason"),
            credited_ms=line.get("credited_ms"),
            process=line.get("process"),
        )

    def results(self) -> Iterator[dict[str, Any]]:
        """Sessions, machines and refused taps, as the contract prints them."""
        if self._first is None:
            return
        now = self.state.timeline.moment(e.At(self._clock.boot, self._clock.boot_ms))
        shown = {s.id: session_object(self.state, s, now) for s in self.state.sessions.values()}
        births = {row.person_id: date.fromisoformat(row.birth_date) for row in self._people if row.birth_date}
        own = {session: tuple(value["flags"]) for session, value in shown.items()}
        for session, flags in with_shared_flags(self.state, now, own, births).items():
            shown[session]["flags"] = list(flags)
        sessions = shown.values()
        yield from sorted(sessions, key=lambda s: (s["start"], s["person"], s["machine"]))
        for machine in self._lab.machines:
            yield self._machine_object(machine, self._first, now)
        for refused in self._refused:
            t = self.state.timeline.utc_ms(self.state.timeline.moment(refused.at))
            counted = {"count": refused.count} if refused.count > 1 else {}
            missing = {"missing": list(refused.missing)} if refused.missing else {}
            yield {"kind": "refused", "t": t, "reader": refused.reader, "reason": refused.reason} | missing | counted

    def _machine_object(self, machine: Machine, first: Moment, now: Moment) -> dict[str, Any]:
        state = self.state
        start, end = state.timeline.axis(first), state.timeline.axis(now)
        present = crew_changes(
            state.span(s, now) for s in state.sessions.values() if s.machine == machine.id and s.role == "operator"
        )
        occupied = [(start, "0"), *((moment, str(count)) for moment, count in present)]
        by_state: dict[str, int] = {}
        attributed: dict[str, int] = {}
        for stretch in state.stretches(machine.id, first, now):
            by_state[stretch.state] = by_state.get(stretch.state, 0) + stretch.length_ms
            pieces = cut(occupied, stretch.start, min(stretch.end, end))
            manned = sum(piece.length_ms for piece in pieces if piece.state != "0")
            attributed[stretch.state] = attributed.get(stretch.state, 0) + manned
        return {
            "kind": "machine",
            "machine": machine.id,
            "by_state_ms": by_state,
            "attributed_ms": attributed,
            "unattributed_ms": {name: ms - attributed[name] for name, ms in by_state.items()},
        }


def session_object(state: State, session: Session, now: Moment) -> dict[str, Any]:
    """One session as `replay --json` prints it: what the rules make of it, and the decision beside it."""
    numbers, flags = standing(state, session, now)
    start = state.timeline.utc_ms(session.opened)
    value: dict[str, Any] = {
        "kind": "session",
        "session": session.id,
        "person": session.person_ref,
        "machine": session.machine,
        "process": session.process,
        "role": session.role,
        "start": start,
        "end": None if session.is_open else start + numbers.presence_ms,
        "reason": session.reason,
        "closed_by": session.closed_by,
        "presence_ms": numbers.presence_ms,
        "by_state_ms": numbers.by_state_ms,
        "credited_ms": numbers.credited_ms,
        "unverified_ms": numbers.unverified_ms,
        "uncredited_ms": numbers.uncredited_ms,
        "evidence": state.evidence(session, numbers),
        "flags": list(flags),
        "review": session.review,
    }
    if session.decisions:
        decision = session.decisions[-1]
        value |= {"decided_credited_ms": decision.credited_ms, "decided_process": decision.process}
    return value


def machine_observations(machine_id: str, told: Told, retained: bool) -> Iterator[o.Observation]:
    """What a dialect told, as the domain hears it; what it ignored or rejected is nothing at all."""
    if isinstance(told, Reported):
        yield o.MachineHeard(machine_id, told.state, told.power_w, retained)
    elif isinstance(told, Gone):
        yield o.MachineGone(machine_id)


_LINES: dict[str, Callable[[dict[str, Any]], o.Observation]] = {
    "alive": lambda line: o.Alive(),
    "down": lambda line: o.Alive(),
    "end": lambda line: o.Alive(),
    "clock": lambda line: o.ClockChanged(),
    "choose": lambda line: o.Picked(line["reader"], line["machine"], line.get("process")),
    "still_here": lambda line: o.StillHereTouched(line["machine"], line["person"]),
    "broker": lambda line: o.BrokerHeard(bool(line["connected"])),
    "lock": lambda line: o.LockAsked(line["machine"], bool(line["locked"]), line.get("by", "instructor")),
    "grant": lambda line: o.QualificationHeld(
        line["person"], line["qualification"], line.get("until"), line.get("by", "instructor")
    ),
    "block": lambda line: o.BadgeLost(str(line["badge"]).upper()),
    "close": lambda line: o.CloseAsked(line["person"], line["machine"], line.get("by", "instructor")),
    "manual": lambda line: o.ManualAsked(
        line["person"],
        line["machine"],
        line.get("process"),
        line["start"],
        line["end"],
        line.get("by", "instructor"),
        line["reason"],
    ),
    "date_boot": lambda line: o.BootDated(
        str(line["boot"]), line["boot_ms"], line["utc"], line.get("by", "instructor")
    ),
}
