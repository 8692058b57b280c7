"""A whole kiosk with people, skills and briefings, at whose readers an instructor opens the panel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from playwright.sync_api import Page

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.assembly import Kiosk
from kiosk.clock import Clock, ScaledClock
from kiosk.commands import AddUser, ImportPeople, PersonRow, SetPin
from lab_config.load import load
from tests.kiosk_fixtures import READER, of_type

PIN = "2580"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NEW_BADGE = "3A00C0FFEE"

LAB = """
[lab]
id = "test-w1"
name = "Workshop 1"
[web]
listen = "127.0.0.1:0"
kiosk_listen = "127.0.0.2:0"
panel_pin = {panel_pin}
[mqtt]
port = 9
[[machine]]
id = "mill-1"
name = {{kk = "СББ фрезер станогы 1", ru = "Фрезерный станок с ЧПУ 1", en = "CNC mill 1"}}
[[machine]]
id = "lathe-1"
name = {{kk = "Токарь станогы", ru = "Токарный станок", en = "Lathe"}}
requires = ["briefing:cnc", "briefing:welding"]
[[programme]]
id = "cnc"
title = "CNC"
[[programme.process]]
id = "CNC3"
title = {{kk = "СББ станоктарында жұмыс істеу", ru = "Работа на станках с ЧПУ", en = "Operating CNC machines"}}
required = "100h"
machines = ["mill-1", "lathe-1"]
[[programme.competency]]
id = "CNC-a"
process = "CNC3"
title = {{kk = "Сызбаны оқиды және операциялардың ретін анықтайды", ru = "Читает чертёж и определяет порядок операций", en = "Reads drawings and plans the order of operations"}}
[[programme.competency]]
id = "CNC-b"
process = "CNC3"
title = {{kk = "Кескіш құралды таңдайды және орнатады", ru = "Подбирает и устанавливает режущий инструмент", en = "Selects and installs cutting tools"}}
"""  # noqa: E501 - titles as long as real ones


def apprentice(number: int, surname: str, given: str, group: str = "ЧПУ-21", **more: Any) -> PersonRow:
    """One of the group; the badge's number is made of theirs."""
    row: dict[str, Any] = {"language": "kk", "programme": "cnc", "group": group, "badges": (badge_of(f"p{number}"),)}
    return PersonRow(f"p{number}", "apprentice", surname, given, **(row | more))


def badge_of(person_id: str) -> str:
    """The number of the card that `person_id` was given."""
    return f"0F00{'A' if person_id[0] == 'p' else 'B'}{int(person_id[1:]):05}"


GROUP = (
    apprentice(1, "Ахметова", "Айгерім"),
    apprentice(2, "Әбдіров", "Нұрлан"),
    apprentice(3, "<b>O'Brien</b> & Söhne", "\u202eSeán", group='<script>alert("x")</script>'),
    apprentice(4, "Қожахметова-Бейсенбаева", "Гүлназ"),
    apprentice(5, "Шмидт", "Артём", group="ЧПУ-22", language="ru"),
    apprentice(6, "Сериков", "Әлихан", group="ЧПУ-22"),
    apprentice(7, "Серікбай", "Дана"),
    apprentice(8, "Ким", "Виктория", badges=()),
    apprentice(9, "Іскаков", "Темір"),
    apprentice(10, "Өтеген", "Мади"),
)
MASTERS = (
    PersonRow("i1", "instructor", "Жұмабаев", "Қанат", language="kk", badges=(badge_of("i1"),)),
    PersonRow("i2", "instructor", "Орлова", "Марина", language="ru", badges=(badge_of("i2"),)),
    PersonRow("i3", "instructor", "Smith", "Jane", language="en", badges=(badge_of("i3"),)),
    PersonRow("i4", "instructor", "Без", "Учётки", language="ru", badges=(badge_of("i4"),)),
)
MASTER_OF = {"kk": "i1", "ru": "i2", "en": "i3"}


@dataclass
class Floor:
    """The kiosk, its two readers, and what is at hand in a test."""

    kiosk: Kiosk
    readers: dict[str, VirtualReader]
    data: Path
    users: dict[str, str]
    """Account by person."""

    @property
    def address(self) -> str:
        """Of the screen."""
        return self.kiosk.addresses[0]

    def tap(self, person_id: str, reader: str = "mill-1") -> None:
        """A card at a reader."""
        self.readers[reader].tap(badge_of(person_id))

    def entries(self, entry_type: str) -> list[dict[str, Any]]:
        """Those of one type."""
        return of_type(self.data, entry_type)


@contextmanager
def a_floor(folder: Path, *, panel_pin: bool = True, clock: Clock | None = None) -> Iterator[Floor]:
    """A running kiosk with accounts for three instructors; the fourth has none."""
    readers = {reader: VirtualReader("rdm6300") for reader in ("mill-1", "lathe-1")}
    path = folder / "lab" / "lab.toml"
    path.parent.mkdir()
    ports = "".join(READER.format(reader=reader, port=each.port) for reader, each in readers.items())
    path.write_text(LAB.format(panel_pin=str(panel_pin).lower()) + ports, encoding="utf-8")
    kiosk = Kiosk(load(path), folder / "data", clock or ScaledClock())
    kiosk.start()
    try:
        kiosk.submit(ImportPeople((*GROUP, *MASTERS)))
        users = {}
        for person in MASTERS[:3]:
            made = kiosk.submit(AddUser(person.person_id, "instructor", HASHER.hash("a password"), person.person_id))
            users[person.person_id] = str(made.value)
            kiosk.submit(SetPin(person.person_id, HASHER.hash(PIN)))
        yield Floor(kiosk, readers, folder / "data", users)
    finally:
        kiosk.stop()
        for reader in readers.values():
            reader.close()


def open_panel(floor: Floor, page: Page, master: str = "i3", reader: str = "mill-1") -> None:
    """The instructor's badge, then the PIN."""
    floor.tap(master, reader)
    page.wait_for_selector(".pad")
    type_pin(page, PIN)
    page.wait_for_selector(".master.home")


def type_pin(page: Page, pin: str) -> None:
    """With a finger."""
    for digit in pin:
        page.click(f'.pad [data-digit="{digit}"]')
    page.click(".pad [type=submit]")
