"""The workshop of the bench: ten readers, ten machines, 500 people, and who taps where."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MACHINES = tuple(f"mill-{number}" for number in range(1, 11))
PEOPLE = 500
EACH = PEOPLE // len(MACHINES)
"""People who belong to one machine: nobody of the bench ever moves."""
STRANGER = "FFFFFFFFFF"
LANGUAGES = ("kk", "ru", "en")
MIX = "each machine in turn; on each: a opens, a closes, b opens, c takes over (b's session ends), c closes, b is told"


@dataclass(frozen=True)
class Listens:
    """Where a kiosk of the bench listens and what it listens to."""

    screen: int
    staff: int
    broker: int
    readers: Mapping[str, str]
    """Machine to port; its reader has the same name."""
    statuses: Mapping[str, Mapping[str, object]]


def badge(person: int) -> str:
    """The card of the person with this number."""
    return f"{0x6700000000 + person:010X}"


def visits() -> Iterator[tuple[str, str]]:
    """(reader, badge) of one tap after another, without end; `MIX` says what they do."""
    turn = 0
    while True:
        cycle, step = divmod(turn, 6)
        which = (0, 0, 1, 2, 2, 1)[step]
        for number, machine in enumerate(MACHINES):
            yield machine, badge(number * EACH + (cycle * 3 + which) % EACH)
        turn += 1


def write_lab(folder: Path, listens: Listens) -> Path:
    """Write `lab.toml`; returns its path.

    Two rules differ from the defaults, because the bench does not wait ten seconds for a person to leave again: no
    repeated read is dropped and none is too early to close. What a tap costs is the same.
    """
    parts = [
        '[lab]\nid = "bench"\nname = "Bench"\norganisation = "Bench"\ntimezone = "Asia/Almaty"\n'
        'languages = ["kk", "ru", "en"]\n',
        f'[web]\nlisten = "127.0.0.1:{listens.staff}"\nkiosk_listen = "127.0.0.1:{listens.screen}"\n',
        f'[mqtt]\nhost = "127.0.0.1"\nport = {listens.broker}\n',
        '[rules]\ndebounce = "0s"\nno_toggle = "0s"\n',
        '[[programme]]\nid = "cnc"\ntitle = "CNC"\n[[programme.process]]\nid = "CNC3"\ntitle = "Operating CNC mills"\n'
        'required = "168h45min"\nmachines = ["class:cnc_mill"]\n',
    ]
    for machine in MACHINES:
        parts.append(
            f'[[reader]]\nid = "{machine}"\nport = "{listens.readers[machine]}"\nprotocol = "rdm6300"\n'
            f'machine = "{machine}"\n'
            f'[[machine]]\nid = "{machine}"\nclass = "cnc_mill"\nrequires = ["briefing:cnc"]\n'
            f"status = {_inline(listens.statuses[machine])}\n"
        )
    path = folder / "lab.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def write_people(folder: Path) -> Path:
    """The roster as `sheber people import` reads it."""
    path = folder / "people.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person_id", "role", "surname", "given", "language", "programme", "badges", "qualifications"])
        for person in range(PEOPLE):
            language = LANGUAGES[person % len(LANGUAGES)]
            writer.writerow(
                [
                    f"p{person}",
                    "apprentice",
                    f"Өмірзақов {person}",
                    "Әлихан",
                    language,
                    "cnc",
                    badge(person),
                    "briefing:cnc",
                ]
            )
    return path


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)  # a JSON text or number is a TOML one
