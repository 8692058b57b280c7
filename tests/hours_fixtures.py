"""A kiosk of nothing but the core: stamps by hand, entries kept, and short words for what is heard."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from kiosk.commands import PersonRow
from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.core import Core
from kiosk.domain.credit import Credit
from kiosk.domain.rulebook import adopted
from kiosk.domain.sessions import evolve
from kiosk.domain.state import Session, State, standing
from kiosk.domain.timeline import Moment
from kiosk.replay import session_object
from kiosk.roster import listed
from lab_config.model import (
    Lab,
    LocalText,
    Machine,
    PowerThresholds,
    Process,
    Programme,
    Reader,
    Rules,
    StatusSource,
)

SECOND = 1_000
MINUTE = 60_000
HOUR = 3_600_000
ZONE = ZoneInfo("Asia/Almaty")
NAME = LocalText({"en": "-"})


def utc_ms(text: str) -> int:
    """`2026-10-05 09:00` on the lab's wall as UTC milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


NINE = utc_ms("2026-10-05 09:00")
"""When boot time is 0, unless a test says otherwise."""


def machine(
    name: str = "mill",
    *,
    crew: int = 1,
    when_full: str | None = None,
    observers: bool = False,
    requires: tuple[str, ...] = (),
    source: str = "words",
    power: PowerThresholds | None = None,
    machine_class: str | None = None,
    **rules: Any,
) -> Machine:
    """A machine; `source` is `words`, `power` or `none`. Silence takes hours unless the test says otherwise."""
    status = None if source == "none" else StatusSource("text", {"topic": name}, power)
    full = when_full or ("handover" if crew == 1 else "refuse")
    resolved = Rules(**({"stale_after_ms": 24 * HOUR} | rules))
    return Machine(name, NAME, machine_class, crew, full, observers, requires, status, resolved)


def lab(*machines: Machine, rules: Rules | None = None, processes: tuple[Process, ...] = (), **changed: Any) -> Lab:
    """A lab with a reader at each machine, one that confirms (`twice`, at the first), and a shared one (`door`)."""
    readers = [Reader(m.id, f"/dev/{m.id}", "line", m.id) for m in machines]
    readers.append(Reader("twice", "/dev/twice", "line", machines[0].id, confirm=2))
    readers.append(Reader("door", "/dev/door", "line"))
    everywhere = Process("ALL", NAME, machines=tuple(m.id for m in machines))
    return Lab(
        "w",
        NAME,
        rules=rules or Rules(),
        machines=machines,
        readers=tuple(readers),
        programmes=(Programme("trade", NAME, processes=processes or (everywhere,)),),
        **changed,
    )


def apprentice(name: str, **changed: Any) -> PersonRow:
    """A person whose badge is their name in capitals."""
    return PersonRow(
        **({"person_id": name, "role": "apprentice", "surname": name, "given": "", "programme": "trade"} | changed),
        badges=(name.upper(),),
    )


PEOPLE = tuple(apprentice(name) for name in ("ann", "ben", "cem", "dan"))


class Kiosk:
    """The core, with its own clock: a time is milliseconds since the boot, which began at `began_ms` UTC."""

    def __init__(
        self,
        described: Lab,
        people: tuple[PersonRow, ...] = PEOPLE,
        *,
        began_ms: int = NINE,
        synced: bool = True,
    ) -> None:
        self.core = Core(nonce=lambda: "AAAAAAAAAAAAAAAAAAAAAA==")
        self.entries: list[e.Entry] = []
        self.boot_id, self.wall_offset_ms, self.synced = "b0", began_ms, synced
        self.now = 0
        self.hear(0, o.Booted(None))
        self.hear(0, o.Adopted(*adopted(described)))
        for row in people:
            self.hear(0, listed(row, row.person_id, row.badges))

    @property
    def state(self) -> State:
        return self.core.state

    def hear(self, at: int, heard: o.Observation) -> list[e.Body]:
        """The entries it made, deadlines before it among them."""
        self.now = at
        stamp = e.Stamp(self.boot_id, at, self.wall_offset_ms + at, self.synced)
        made = list(self.core.hear(stamp, heard))
        self.entries += made
        return [entry.body for entry in made]

    def boot(self, gap_ms: int, *, last: int | None = None, synced: bool = True, wall_ms: int | None = None) -> None:
        """A new boot, `gap_ms` after the last sign of life (the last line, or `last`)."""
        alive = self.now if last is None else last
        before = e.At(self.boot_id, alive)
        self.wall_offset_ms = self.wall_offset_ms + alive + gap_ms if wall_ms is None else wall_ms
        self.boot_id, self.synced = f"{self.boot_id}+", synced
        self.hear(0, o.Booted(before))

    def tap(self, at: int, who: str, reader: str = "mill") -> list[e.Body]:
        return self.hear(at, o.BadgeRead(reader, who.upper()))

    def say(self, at: int, state: str | None, machine_id: str = "mill", *, retained: bool = False) -> list[e.Body]:
        return self.hear(at, o.MachineHeard(machine_id, state, retained=retained))

    def watts(self, at: int, power_w: float, machine_id: str = "mill") -> list[e.Body]:
        return self.hear(at, o.MachineHeard(machine_id, None, power_w))

    def wait(self, at: int) -> list[e.Body]:
        return self.hear(at, o.Alive())

    def pick(self, at: int, machine_id: str, process: str | None = None, reader: str = "door") -> list[e.Body]:
        return self.hear(at, o.Picked(reader, machine_id, process))

    def moment(self, at: int | None = None) -> Moment:
        return self.state.timeline.moment(e.At(self.boot_id, self.now if at is None else at))

    @property
    def sessions(self) -> list[Session]:
        return list(self.state.sessions.values())

    def session(self, number: int = 0) -> Session:
        return self.sessions[number]

    def shown(self, number: int = 0) -> dict[str, Any]:
        """A session as `replay --json` prints it."""
        return session_object(self.state, self.session(number), self.moment())

    def numbers(self, number: int = 0) -> Credit:
        return standing(self.state, self.session(number), self.moment())[0]

    def flags(self, number: int = 0) -> tuple[str, ...]:
        return standing(self.state, self.session(number), self.moment())[1]

    def span(self, number: int = 0) -> tuple[int, int | None]:
        """From and to, in milliseconds since the first boot."""
        found = self.session(number)
        axis = self.state.timeline.axis
        start = axis(found.opened) - axis(Moment(0, 0))
        return start, None if found.closed is None else axis(found.closed) - axis(Moment(0, 0))

    def ended(self, number: int = 0) -> tuple[str | None, int | None]:
        """(reason, effective end in milliseconds since the first boot)."""
        return self.session(number).reason, self.span(number)[1]

    def open(self, machine_id: str = "mill") -> list[str]:
        """Who is on a machine, longest present first."""
        return [s.person_ref for s in self.state.on_machine(machine_id)]

    def history(self, machine_id: str = "mill") -> list[tuple[int, str]]:
        """The machine's changes of state, in milliseconds since the first boot."""
        axis = self.state.timeline.axis
        return [(axis(at) - axis(Moment(0, 0)), state) for at, state in self.state.machine(machine_id).history]

    def again(self) -> State:
        """The same entries folded once more, through JSON, without deciding anything."""
        state = State()
        for entry in self.entries:
            evolve(state, e.from_object(e.to_object(entry)))
        return state


def refusals(bodies: list[e.Body]) -> list[str]:
    """The reasons of what was refused."""
    return [body.reason for body in bodies if isinstance(body, e.TapRefused)]


def reads(bodies: list[e.Body]) -> list[str]:
    """What came of the reads that changed no session."""
    return [body.outcome for body in bodies if isinstance(body, e.TapRead)]
