"""From ledger entries to what a screen shows: rendered once, in the right language, sent to every stream."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader

from kiosk.web import phrases
from kiosk.web.board import BoardView, machine_name
from kiosk.web.reading import Reading, Who
from kiosk.web.services import Services
from kiosk.web.words import FALLBACK, Words, clock_time, hours_minutes, words

BOARD_TYPES = frozenset(
    {"session_opened", "session_closed", "state_changed", "machine_locked", "person_recorded", "config_adopted"}
)
"""Entries that change what the idle board shows."""

SIGNS = {"in": "check", "out": "out", "observer": "eye", "tell": "info", "no": "cross"}


@dataclass(frozen=True)
class Event:
    """One server-sent event, as it goes on the wire."""

    name: str
    data: Mapping[str, Any]
    seq: int | None = None
    """The ledger entry it stands for; the browser hands it back as `Last-Event-ID`."""
    reader: str | None = None
    """The reader that was tapped, for screens that answer only to some."""

    def wire(self) -> bytes:
        """The event's bytes; JSON escapes every newline, so one `data:` line holds it."""
        number = f"id: {self.seq}\n" if self.seq is not None else ""
        return f"{number}event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


@dataclass(frozen=True)
class Answer:
    """What the whole screen says to the person who tapped."""

    kind: str
    """`in`, `out`, `observer`, `tell` or `no`: colour, icon and sound."""
    headline: str = ""
    lines: Sequence[str] = ()
    machine: str = ""
    missing: Sequence[str] = ()
    sign: str = ""
    languages: Sequence[Mapping[str, str]] = ()
    """Instead of all that, where nobody knows who tapped: the same in every language of the lab."""
    process: str | None = None
    """The work process whose total is shown."""
    totals: bool = True


@dataclass(frozen=True)
class Tapped:
    """The entry being answered, and what is known around it."""

    body: Mapping[str, Any]
    who: Who | None
    words: Words
    reading: Reading
    left: str | None = None
    """The machine that the same tap ended a session on."""
    lab_words: Sequence[Words] = field(default=())

    def say(self, message: str, **values: object) -> str:
        """`message` in the person's language."""
        return self.words.gettext(message, **values)


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
            elif (answers := ANSWERS.get(body["type"])) is not None:
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
                answer = answers(self._services, tapped)
                if answer is not None:
                    events.append(self._event(tapped, answer, missed))
        return events

    def _event(self, tapped: Tapped, answer: Answer, missed: bool) -> Event:
        now_ms = self._services.wall_ms()
        say = tapped.words.gettext
        person_ref = tapped.body.get("person_ref")
        known = tapped.who is not None and tapped.who.role == "apprentice" and answer.totals
        html = self._answer.render(
            _=say,
            sign=answer.sign or SIGNS[answer.kind],
            name=tapped.who.short_name if tapped.who else "",
            headline=answer.headline,
            machine=answer.machine,
            lines=answer.lines,
            missing=answer.missing,
            languages=answer.languages,
            today=hours_minutes(tapped.reading.today_ms(person_ref, now_ms)) if known and person_ref else None,
            process=tapped.reading.progress(person_ref, tapped.who, answer.process, tapped.words.language)
            if known and tapped.who and person_ref
            else None,
        )
        stamp = tapped.body["stamp"]
        data = {
            "kind": answer.kind,
            "language": tapped.words.language,
            "html": html,
            "age_ms": max(0, now_ms - stamp["wall_ms"]) if missed else 0,
        }
        return Event("tap", data, tapped.body["seq"], tapped.body.get("reader"))

    def board(self, connection: sqlite3.Connection, seq: int) -> Event:
        """The whole idle board as of entry `seq`."""
        return Event("board", self.board_view.payload(Reading(connection, self._lab)), seq)

    def status(self) -> Event:
        """How the kiosk is doing, and what time its domain has."""
        return Event("status", self.board_view.status_payload())


def _opened(services: Services, tapped: Tapped) -> Answer:
    body, say = tapped.body, tapped.say
    lines = [say("Ended: %(machine)s", machine=machine_name(services.lab, tapped.left, tapped.words))] * bool(
        tapped.left
    )
    machine = machine_name(services.lab, body["machine"], tapped.words)
    if body["role"] == "observer":
        lines.append(
            say("You may watch; it is not counted. Missing:")
            if body.get("missing")
            else say("You may watch. This time is not counted as work.")
        )
        return Answer(
            "observer",
            say("You are an observer here"),
            lines,
            machine,
            missing_words(tapped.words, body.get("missing", ())),
            totals=False,
        )
    return Answer("in", say("Work started"), lines, machine, process=body["process"])


def _closed(services: Services, tapped: Tapped) -> Answer | None:
    """Only a tap-out answers its person; a hand-over answers the newcomer, the rest answers nobody."""
    body = tapped.body
    if body["reason"] != "tap_out":
        return None
    session = tapped.reading.session(body["session"])
    lines = [tapped.say("This session: %(time)s", time=hours_minutes(session.presence_ms))] if session else []
    return Answer(
        "out",
        tapped.say("Work finished"),
        lines,
        machine_name(services.lab, body["machine"], tapped.words),
        process=session.process if session else None,
    )


def _told(services: Services, tapped: Tapped) -> Answer:
    body, say = tapped.body, tapped.say
    session = tapped.reading.session(body["session"]) if body.get("session") is not None else None
    machine = machine_name(services.lab, body.get("machine"), tapped.words)
    if body["outcome"] == "still_on":
        running = hours_minutes(services.wall_ms() - session.start_ms) if session else "0:00"
        lines = [say("Running for %(time)s", time=running)]
        return Answer("tell", say("You are already on"), lines, machine, process=session.process if session else None)
    if body["outcome"] == "handed_over":
        ended = clock_time(session.end_ms, tapped.reading.zone) if session and session.end_ms is not None else "–"
        lines = [say("Another person took over."), say("To start, tap your card again.")]
        return Answer("tell", say("Your session ended at %(time)s", time=ended), lines, machine, totals=False)
    if body["outcome"] == "instructor":
        return Answer(
            "tell", say("Instructor"), [say("An instructor's card starts no session.")], machine, totals=False
        )
    return Answer("tell", say("Card read"), [say("Tap your card at the reader of your machine.")], totals=False)


def _refused(services: Services, tapped: Tapped) -> Answer | None:
    """Why, and what to do. A count of strangers is entered up to a minute later: nobody stands there any more."""
    body, say = tapped.body, tapped.say
    if body["count"] > 1:
        return None
    reason = body["reason"]
    headline, remedy = phrases.REFUSALS[reason], phrases.REMEDIES[reason]
    if tapped.who is None:
        everywhere = [
            {"language": each.language, "headline": each.gettext(headline), "text": each.gettext(remedy)}
            for each in tapped.lab_words
        ]
        return Answer("no", languages=everywhere, sign="question" if reason == "unknown_badge" else "cross")
    machine = machine_name(services.lab, body.get("machine"), tapped.words)
    missing = missing_words(tapped.words, body.get("missing", ()))
    return Answer("no", say(headline), [say(remedy)], machine, missing, totals=False)


ANSWERS = {"session_opened": _opened, "session_closed": _closed, "tap_read": _told, "tap_refused": _refused}


def missing_words(language: Words, missing: Iterable[str]) -> list[str]:
    """`briefing:cnc` as `safety briefing: cnc`."""
    shown = []
    for item in missing:
        kind, _, what = item.partition(":")
        word = phrases.QUALIFICATION_KINDS.get(kind)
        shown.append(f"{language.gettext(word)}: {what}" if word else item)
    return shown
