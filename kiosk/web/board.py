"""The idle board: every machine, its state, who is on it, and what just happened, in the lab's languages."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment

from kiosk import phrases
from kiosk.phrases import N_
from kiosk.web.own_record import warnings
from kiosk.web.reading import Happening, OpenSession, Reading
from kiosk.web.services import KioskStatus, Services
from kiosk.words import Words, clock_time, hours_minutes, local, minutes_seconds, words
from lab_config.model import Lab, LocalText, Machine


def static_folder() -> Path:
    """`kiosk/web/static` in an installed wheel, the top-level `static` in a checkout."""
    packaged = Path(__file__).parent / "static"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "static"


MAX_WARNINGS = 3
MAX_COLUMNS = 6
COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 7: 4, 8: 4, 9: 5, 10: 5, 11: 4, 12: 4, 13: 5, 14: 5, 15: 5}


def machine_name(lab: Lab, machine_id: str | None, language: Words) -> str:
    """The machine's name; its id where the configuration no longer has it."""
    if machine_id is None:
        return ""
    try:
        return lab.machine(machine_id).name.in_language(language.language) or machine_id
    except KeyError:
        return machine_id


class BoardView:
    """Makes the board's parts for the first page and for every event after it."""

    def __init__(self, services: Services, templates: Environment) -> None:
        self._services = services
        self._lab = services.lab
        self._zone = ZoneInfo(services.lab.timezone)
        self.languages = [words(each) for each in services.lab.languages]
        self._board = templates.get_template("kiosk/board.html")
        self._marks = templates.get_template("kiosk/marks.html")
        self._latest = templates.get_template("kiosk/latest.html")
        self._warnings = templates.get_template("kiosk/warnings.html")
        self._why = templates.get_template("kiosk/why.html")
        self._page = _fingerprint(services.lab)
        self._names = {each.id: self._texts(each.name) or _same(each.id) for each in services.lab.machines}

    def payload(self, reading: Reading) -> dict[str, Any]:
        """What a `board` event carries."""
        blank = self.blank()
        return blank | {
            "html": self._machines(reading, blank["now_ms"]),
            "latest": self._latest.render(latest=self._just_happened(reading)),
            "warnings": self._warnings.render(warnings=self._idle_warnings(reading, blank["now_ms"])),
        }

    def blank(self) -> dict[str, Any]:
        """The same without machines and people: what can be shown while the database cannot be read."""
        now_ms = self._services.wall_ms()
        offset = local(now_ms, self._zone).utcoffset()
        offset_ms = int(offset.total_seconds() * 1000) if offset else 0
        return {"html": "", "latest": "", "warnings": "", "now_ms": now_ms, "offset_ms": offset_ms}

    def status_payload(self) -> dict[str, Any]:
        """What a `status` event carries."""
        status = self._services.status()
        return {
            "recording": status.recording,
            "reason": self._why.render(texts=self._why_not(status.reason)),
            "marks": self._marks.render(marks=self._what_is_wrong(status)),
            "now_ms": self._services.wall_ms(),
            "page": self._page,
        }

    def _machines(self, reading: Reading, now_ms: int) -> str:
        status = self._services.status()
        people: dict[str, list[OpenSession]] = {}
        for session in reading.open_sessions():
            people.setdefault(session.machine, []).append(session)
        states = reading.machine_states()
        shown = []
        for machine in self._lab.machines:
            state, locked = states.get(machine.id, ("unknown", False))
            look = _look(machine, state, locked)
            shown.append(
                {
                    "id": machine.id,
                    "state": state,
                    "look": look,
                    "locked": locked,
                    "state_words": self._phrase(LOOKS.get(look) or phrases.STATES[state]),
                    "names": self._names[machine.id],
                    "reader_lost": self._reader_lost(machine, status),
                    "briefing": self._briefing(machine),
                    "people": [_on(session, now_ms) for session in people.get(machine.id, [])],
                }
            )
        return self._board.render(machines=shown, columns=COLUMNS.get(len(shown), MAX_COLUMNS))

    def _reader_lost(self, machine: Machine, status: KioskStatus) -> str:
        """A machine whose every reader is gone says so on its own card."""
        own = [reader.id for reader in self._lab.readers if reader.machine == machine.id]
        lost = [each for each in own if each in status.readers and not status.readers[each].connected]
        return self.languages[0].gettext(N_("Reader out of order")) if own and len(lost) == len(own) else ""

    def _briefing(self, machine: Machine) -> str:
        """Where a page elsewhere holds one at the machine's reader, its card says that a tap starts no work."""
        far = self._services.roll_calls.far()
        own = any(reader.machine == machine.id and reader.id in far for reader in self._lab.readers)
        return self.languages[0].gettext(N_("Briefing: no work starts")) if own else ""

    def _what_is_wrong(self, status: KioskStatus) -> list[dict[str, Any]]:
        shared = {reader.id for reader in self._lab.readers if reader.machine is None}
        marks = []
        if any(not status.readers[each].connected for each in shared if each in status.readers):
            marks.append({"icon": "card", "texts": self._phrase(N_("Reader out of order"))})
        for reader, call in sorted(self._services.roll_calls.far().items()):
            where = next((each.machine for each in self._lab.readers if each.id == reader), None)
            marks.append({"icon": "hand", "texts": self._roll_call(where, len(call.present))})
        if status.broker is False:
            marks.append({"icon": "signal-lost", "texts": self._phrase(N_("No link to the machines"))})
        if not status.clock_synced:
            marks.append({"icon": "clock", "texts": self._phrase(N_("The clock is not certain"))})
        return marks

    def _roll_call(self, machine: str | None, present: int) -> list[dict[str, str]]:
        said = N_("Briefing, no work (%(present)s): %(machine)s")
        everywhere = N_("Briefing, no work (%(present)s)")
        texts = []
        for each in self.languages:
            name = machine_name(self._lab, machine, each)
            text = each.gettext(said if name else everywhere, machine=name, present=present)
            texts.append({"language": each.language, "text": text})
        return texts

    def _why_not(self, reason: str) -> list[dict[str, str]]:
        known = phrases.NOT_RECORDING.get(reason)
        return (
            self._phrase(known) if known else [{"language": self.languages[0].language, "text": reason}] * bool(reason)
        )

    def _just_happened(self, reading: Reading) -> dict[str, str] | None:
        happened: Happening | None = reading.latest()
        if happened is None:
            return None
        first = self.languages[0]
        opening = N_("is watching") if happened.observes else N_("work started")
        text = opening if happened.reason is None else phrases.CLOSINGS.get(happened.reason, happened.reason)
        return {
            "time": clock_time(happened.wall_ms, self._zone),
            "name": happened.name,
            "machine": machine_name(self._lab, happened.machine, first),
            "text": first.gettext(text),
        }

    def _idle_warnings(self, reading: Reading, now_ms: int) -> list[dict[str, Any]]:
        """Who is on an idle machine that will soon end their session; a touch says that they are still there."""
        return [
            {
                "session": each.session,
                "name": reading.short_name(each.person_ref),
                "machine": machine_name(self._lab, each.machine, self.languages[0]),
                "until_ms": now_ms + each.left_ms,
                "left": minutes_seconds(each.left_ms),
                "texts": self._phrase(N_("I am still here")),
            }
            for each in warnings(reading, now_ms)[:MAX_WARNINGS]
        ]

    def _phrase(self, message: str) -> list[dict[str, str]]:
        return [{"language": each.language, "text": each.gettext(message)} for each in self.languages]

    def _texts(self, name: LocalText) -> list[dict[str, str]]:
        """The name in the idle screen's languages, each text once, the first language first."""
        texts: dict[str, str] = {}
        for each in self.languages:
            texts.setdefault(name.in_language(each.language), each.language)
        return [{"language": language, "text": text} for text, language in texts.items() if text]


def _fingerprint(lab: Lab) -> str:
    """Of everything a page that is open has loaded once: when it changes, screens load themselves anew."""
    digest = sha256(repr((lab.name, lab.languages, lab.demo)).encode())
    for folder in (static_folder(), Path(__file__).parent / "templates" / "kiosk"):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


LOOKS = {"locked": N_("withdrawn"), "none": N_("no sensor")}
"""What is shown instead of a state."""


def _look(machine: Machine, state: str, locked: bool) -> str:
    if locked:
        return "locked"
    return "none" if machine.status is None and state == "unknown" else state


def _on(session: OpenSession, now_ms: int) -> dict[str, Any]:
    return {
        "name": session.name,
        "role": session.role,
        "since_ms": session.start_ms,
        "running": hours_minutes(now_ms - session.start_ms),
    }


def _same(text: str) -> list[dict[str, str]]:
    return [{"language": "en", "text": text}]
