"""From ledger entries to what a screen shows: rendered once, in the right language, sent to every stream."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader

from kiosk.web.answers import ANSWERS, Answer, Tapped, answer_to
from kiosk.web.board import BoardView
from kiosk.web.own_record import next_warning_ms
from kiosk.web.reading import Reading
from kiosk.web.services import Services
from kiosk.web.visits import VISIT_S
from kiosk.words import FALLBACK, hours_minutes, words

BOARD_TYPES = frozenset(
    {"session_opened", "session_closed", "state_changed", "machine_locked", "person_recorded", "config_adopted"}
    | {"still_here"}
)
"""Entries that change what the idle board shows."""

SIGNS = {"in": "check", "out": "out", "observer": "eye", "tell": "info", "pick": "hand", "no": "cross"}


@dataclass(frozen=True)
class Event:
    """One server-sent event, as it goes on the wire."""

    name: str
    data: Mapping[str, Any]
    seq: int | None = None
    """The ledger entry it stands for; the browser hands it back as `Last-Event-ID`."""
    reader: str | None = None
    """The reader that was tapped, for screens that answer only to some."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """What only the screens of that reader learn: the visit's token, and what it opens."""
    staff: bool = False
    """For the live pages of the staff side, and only for them: they learn that something changed, not what."""

    def wire(self, own: bool = False) -> bytes:
        """The event's bytes; JSON escapes every newline, so one `data:` line holds it."""
        number = f"id: {self.seq}\n" if self.seq is not None else ""
        data = {**self.data, **self.own} if own else self.data
        return f"{number}event: {self.name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class Announcer:
    """Holds the compiled templates and the lab; reads through the connection it is given."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lab = services.lab
        # Packaged templates do not change under a running kiosk: no file is looked at for an answer.
        self._templates = Environment(
            loader=PackageLoader("kiosk.web"), autoescape=True, trim_blocks=True, auto_reload=False
        )
        self._answer = self._templates.get_template("kiosk/answer.html")
        self._touches = self._templates.get_template("kiosk/touches.html")
        self.board_view = BoardView(services, self._templates)

    def taps(
        self, connection: sqlite3.Connection, entries: Iterable[Mapping[str, Any]], missed: bool = False
    ) -> list[Event]:
        """The `tap` events of `entries`, in order; everything else in them says nothing to a person at a reader.

        `missed` ones come late to a screen that was away, and say how old they are.
        """
        events = []
        left: dict[str, str] = {}
        reading = Reading(connection, self._lab)
        for body in entries:
            if body["type"] == "session_closed" and body["reason"] == "moved":
                left[body["person_ref"]] = body["machine"]
            elif body["type"] in ANSWERS:
                person_ref = body.get("person_ref")
                who = reading.who(person_ref) if person_ref else None
                tapped = Tapped(
                    body,
                    who,
                    words(who.language if who else FALLBACK),
                    reading,
                    left.pop(person_ref, None) if person_ref else None,
                    [words(each) for each in self._lab.languages],
                )
                answer = answer_to(self._services, tapped)
                if answer is not None:
                    events.append(self._event(tapped, answer, missed))
        return events

    def _event(self, tapped: Tapped, answer: Answer, missed: bool) -> Event:
        now_ms = self._services.wall_ms()
        person_ref = tapped.body.get("person_ref")
        known = tapped.who is not None and tapped.who.role == "apprentice" and answer.totals
        html = self._answer.render(
            _=tapped.words.gettext,
            sign=answer.sign or SIGNS[answer.kind],
            name=tapped.who.short_name if tapped.who else "",
            answer=answer,
            today=hours_minutes(tapped.reading.today_ms(person_ref, now_ms)) if known and person_ref else None,
            process=tapped.reading.progress(person_ref, tapped.who, answer.process, tapped.words.language)
            if known and tapped.who and person_ref
            else None,
        )
        age_ms = max(0, now_ms - tapped.body["stamp"]["wall_ms"]) if missed else 0
        data = {"kind": answer.kind, "language": tapped.words.language, "html": html, "age_ms": age_ms}
        reader = tapped.body.get("reader")
        return Event("tap", data, tapped.body["seq"], reader, self._own(tapped, answer, reader, age_ms))

    def _own(self, tapped: Tapped, answer: Answer, reader: str | None, age_ms: int) -> dict[str, Any]:
        """The visit that this tap begins. Whoever is unknown or unwelcome ends the one before, and gets none."""
        if reader is None or age_ms > VISIT_S * 1000:
            return {}
        seq = tapped.body["seq"]
        if tapped.who is None or not answer.welcome:
            self._services.visits.overtaken(reader, seq)
            return {}
        visit = self._services.visits.begin(reader, tapped.body["person_ref"], tapped.who.role, seq)
        if visit is None:
            return {}
        touches = self._touches.render(_=tapped.words.gettext, token=visit.token, answer=answer, role=visit.role)
        return {"visit": visit.token, "opens": answer.opens, "touches": touches}

    def board(self, connection: sqlite3.Connection, seq: int) -> Event:
        """The whole idle board as of entry `seq`."""
        return Event("board", self.board_view.payload(Reading(connection, self._lab)), seq)

    def next_warning_ms(self, connection: sqlite3.Connection) -> int | None:
        """When the board must be drawn anew although nothing happened: somebody is to be warned then."""
        return next_warning_ms(Reading(connection, self._lab), self._services.wall_ms())

    def status(self) -> Event:
        """How the kiosk is doing, and what time its domain has."""
        return Event("status", self.board_view.status_payload())
