"""What a screen says to the person who tapped: why, and what to do, in their language; by the type of the entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kiosk import phrases
from kiosk.store import views
from kiosk.store.views import SessionView
from kiosk.web.board import machine_name
from kiosk.web.own_record import Held, expiring, told
from kiosk.web.reading import NAMELESS, Reading, Who
from kiosk.web.services import Services
from kiosk.words import Words, clock_time, day, hours_minutes, qualification_name
from lab_config.model import Lab

MAX_NOTES = 2
MAX_GIVERS = 3
CHOOSES = "machines"
"""What the screen opens after the tap at a reader without a machine (see `visit_pages`)."""


@dataclass(frozen=True)
class Note:
    """Something else to know now: a label and what it is about, never glued together."""

    icon: str
    label: str
    about: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """What the whole screen says to the person who tapped."""

    kind: str
    """`in`, `out`, `observer`, `tell`, `pick` or `no`: colour, icon and sound."""
    headline: str = ""
    lines: Sequence[str] = ()
    machine: str = ""
    missing: Sequence[Note] = ()
    sign: str = ""
    languages: Sequence[Mapping[str, str]] = ()
    """Instead of all that, where nobody knows who tapped: the same in every language of the lab."""
    process: str | None = None
    """The work process whose total is shown."""
    totals: bool = True
    notes: Sequence[Note] = ()
    """Closings that the person has not seen, and what ends soon."""
    opens: str = ""
    """The page of the visit that opens by itself."""
    others: int = 0
    """So many other work processes could be chosen."""
    welcome: bool = True
    """May the person touch on, to see what is theirs? Not with a card that may have been found in the street."""


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

    def name_of(self, machine: str | None) -> str:
        """A machine's name in the person's language."""
        return machine_name(self.reading.lab, machine, self.words)


def answer_to(services: Services, tapped: Tapped) -> Answer | None:
    """The answer to one entry; `None` where it says nothing to a person at a reader."""
    answer = ANSWERS[tapped.body["type"]](services, tapped)
    if answer is None or tapped.who is None or tapped.who.role != "apprentice" or not answer.welcome:
        return answer
    return replace(answer, notes=[*answer.notes, *_notes(services, tapped)])


def _notes(services: Services, tapped: Tapped) -> list[Note]:
    """A refusal has enough to say; there only what is told once is told."""
    say, body = tapped.say, tapped.body
    found = closings(tapped.reading, tapped.words, body["person_ref"], body["seq"])
    if not body["stamp"]["synced"]:
        found.append(Note("clock", say("The clock is not certain"), (say("An instructor will enter the date."),)))
    if body["type"] != "tap_refused":
        found += endings(tapped.reading, tapped.words, body["person_ref"], services.wall_ms())
    return found[:MAX_NOTES]


def closings(reading: Reading, language: Words, person_ref: str, seq: int) -> list[Note]:
    """What was closed for the person since their tap before the one that made entry `seq`."""
    return [
        Note(
            "closed",
            language.gettext("Your session was ended"),
            (
                machine_name(reading.lab, each.machine, language),
                clock_time(each.end_ms, reading.zone),
                language.gettext(phrases.CLOSINGS.get(each.reason, each.reason)),
            ),
        )
        for each in told(reading, person_ref, seq)
    ]


def endings(reading: Reading, language: Words, person_ref: str, now_ms: int) -> list[Note]:
    """Briefings and qualifications that are over, or will be within 14 days."""
    return [
        Note("clock", ends_words(language, each), (qualification_name(reading.lab, each.id, language),))
        for each in expiring(reading, person_ref, now_ms)
    ]


def ends_words(language: Words, held: Held) -> str:
    """When a qualification ends, or ended."""
    if held.until is None or held.days_left is None:
        return language.gettext("no end")
    if held.expired:
        return language.gettext("ended on %(day)s", day=day(held.until))
    if held.days_left == 0:
        return language.gettext("valid today for the last time")
    return language.ngettext("%(num)s day left", "%(num)s days left", held.days_left)


def _opened(_services: Services, tapped: Tapped) -> Answer:
    body, say = tapped.body, tapped.say
    lines = [say("Ended: %(machine)s", machine=tapped.name_of(tapped.left))] * bool(tapped.left)
    machine = tapped.name_of(body["machine"])
    if body["role"] == "observer":
        lines.append(
            say("You may watch; it is not counted. Missing:")
            if body.get("missing")
            else say("You may watch. This time is not counted as work.")
        )
        missing = missing_notes(tapped, body.get("missing", ()))
        return Answer("observer", say("You are an observer here"), lines, machine, missing, totals=False)
    others = len(processes_at(tapped.reading.lab, body["programme"], body["machine"])) - 1
    notes = _silence(tapped, body["machine"])
    return Answer(
        "in", say("Work started"), lines, machine, process=body["process"], others=max(0, others), notes=notes
    )


def _silence(tapped: Tapped, machine: str) -> list[Note]:
    """A machine that should speak and does not: the hours would wait for the instructor's word."""
    configured = next((each for each in tapped.reading.lab.machines if each.id == machine), None)
    state, _ = tapped.reading.machine_states().get(machine, ("unknown", False))
    if configured is None or configured.status is None or state != "unknown":
        return []
    return [Note("signal-lost", tapped.say("No signal from the machine"), (tapped.say("Tell the instructor."),))]


def _closed(_services: Services, tapped: Tapped) -> Answer | None:
    """Only a tap-out answers its person; a hand-over answers the newcomer, the rest is told at the next tap."""
    body = tapped.body
    if body["reason"] != "tap_out":
        return None
    session = tapped.reading.session(body["session"])
    lines = [tapped.say("This session: %(time)s", time=hours_minutes(session.presence_ms))] if session else []
    return Answer(
        "out",
        tapped.say("Work finished"),
        lines,
        tapped.name_of(body["machine"]),
        process=session.process if session else None,
    )


def _told(services: Services, tapped: Tapped) -> Answer:
    body, say = tapped.body, tapped.say
    session = tapped.reading.session(body["session"]) if body.get("session") is not None else None
    machine = tapped.name_of(body.get("machine"))
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
            "tell",
            say("Instructor"),
            [say("An instructor's card starts no session.")],
            machine,
            totals=False,
            opens="panel",
        )
    return Answer("pick", say("Choose a machine"), opens=CHOOSES, totals=False)


def _refused(_services: Services, tapped: Tapped) -> Answer | None:
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
    machine = tapped.name_of(body.get("machine"))
    return Answer(
        "no",
        say(headline),
        [say(remedy)],
        machine,
        [*missing_notes(tapped, body.get("missing", ())), *_where(tapped), *_givers(tapped)],
        totals=False,
        welcome=reason not in UNWELCOME,
    )


UNWELCOME = frozenset({"unknown_badge", "badge_blocked", "person_inactive"})


def _where(tapped: Tapped) -> list[Note]:
    """Where else the person is on, or who has the places here."""
    reason, person_ref, machine = tapped.body["reason"], tapped.body["person_ref"], tapped.body.get("machine")
    sessions = views.open_sessions(tapped.reading.connection)
    if reason == "busy_elsewhere":
        return [
            Note("out", tapped.name_of(each.machine), (clock_time(each.start_ms, tapped.reading.zone),))
            for each in sessions
            if each.person_ref == person_ref
        ][:1]
    if reason == "machine_full":
        return [
            Note("person", tapped.reading.short_name(each.person_ref))
            for each in sessions
            if each.machine == machine and each.role == "operator"
        ][:MAX_GIVERS]
    return []


def _givers(tapped: Tapped) -> list[Note]:
    """Who can give what is missing."""
    if tapped.body["reason"] != "not_qualified":
        return []
    names = [each for each in tapped.reading.instructors() if each != NAMELESS][:MAX_GIVERS]
    return [Note("person", tapped.say("Who can give it"), names)] * bool(names)


ANSWERS: dict[str, Callable[[Services, Tapped], Answer | None]] = {
    "session_opened": _opened,
    "session_closed": _closed,
    "tap_read": _told,
    "tap_refused": _refused,
}


def missing_notes(tapped: Tapped, missing: Iterable[str]) -> list[Note]:
    """What is missing, and since when what there was has ended."""
    moment = tapped.body["stamp"]["wall_ms"]
    over = {each.id: each for each in expiring(tapped.reading, tapped.body["person_ref"], moment)}
    found = []
    for item in missing:
        held = over.get(item)
        label = ends_words(tapped.words, held) if held is not None and held.expired else tapped.say("not given yet")
        found.append(Note("locked", qualification_name(tapped.reading.lab, item, tapped.words), (label,)))
    return found


def processes_at(lab: Lab, programme_id: str | None, machine_id: str) -> list[str]:
    """The work processes of a programme that are done on a machine, in the configured order."""
    machine = next((each for each in lab.machines if each.id == machine_id), None)
    kinds = {machine_id, f"class:{machine.machine_class}" if machine else machine_id}
    return [
        process.id
        for programme in lab.programmes
        if programme.id == programme_id
        for process in programme.processes
        if kinds & set(process.machines)
    ]


def newest_session(reading: Reading, person_ref: str) -> SessionView | None:
    """The session of theirs that still runs, the last one where an instructor left several open."""
    own = [each for each in views.open_sessions(reading.connection) if each.person_ref == person_ref]
    return max(own, key=lambda each: each.session, default=None)
