"""What is touched at a kiosk, carried out: choices, questions, sign-offs, briefings, badges.

Runs inside the clerk's transaction, beside `registrar`, and like it checks everything before anything is written.
"""

from __future__ import annotations

import sqlite3
from datetime import date

from kiosk import commands as c
from kiosk import refs
from kiosk.badge_numbers import unfit
from kiosk.commands import CommandRefused, Done
from kiosk.domain import observations as o
from kiosk.domain.choices import machine_choices
from kiosk.domain.deadlines import WARNING_MS, idle_timeout
from kiosk.domain.entries import At, Stamp
from kiosk.domain.state import Session, State
from kiosk.domain.timeline import Moment
from kiosk.proofs import read
from kiosk.seen import SeenBadges
from kiosk.store import acts, people
from kiosk.store.ledger import Ledger
from kiosk.vouching import Hear, refuse_oneself, refuse_other_roles, refuse_unmarked, written

TWICE_MS = 60_000
"""Nobody holds the same briefing for the same group again within it."""
BRIEFING = "briefing:"
"""How the id of a safety briefing begins, as machines require it."""


class Shopfloor:
    """Carries out what is touched, on one writing connection."""

    def __init__(self, connection: sqlite3.Connection, state: State, seen: SeenBadges) -> None:
        self._connection = connection
        self._state = state
        self._seen = seen

    def pick(self, command: c.PickMachine, hear: Hear) -> Done:
        """A machine for the read that waits, or another process for the session just opened."""
        book = self._state.book
        if command.reader not in book.readers:
            raise CommandRefused("unknown_reader", command.reader)
        if command.machine not in book.machines:
            raise CommandRefused("unknown_machine", command.machine)
        if command.process is not None and command.process not in {each.id for each in book.processes}:
            raise CommandRefused("unknown_process", command.process)
        hear(o.Alive())  # what was due by now is no answer to the touch
        seqs = hear(o.Picked(command.reader, command.machine, command.process, command.person_ref))
        if not seqs and not self._is_so_already(command):
            raise CommandRefused("not_waiting", command.reader)
        return Done(seqs)

    def _is_so_already(self, command: c.PickMachine) -> bool:
        """The process touched is the one that the session has."""
        here = [s for s in self._state.on_machine(command.machine) if s.reader == command.reader]
        return (
            bool(here)
            and command.process is not None
            and here[-1].process == command.process
            and command.person_ref in (None, here[-1].person_ref)
        )

    def choices(self, command: c.AskChoices, stamp: Stamp) -> Done:
        """What the person could do where, as the clerk knows it now."""
        if command.person_ref not in self._state.people:
            raise CommandRefused("unknown_person", command.person_ref)
        return Done((), machine_choices(self._state, command.person_ref, self._now(stamp)))

    def still_here(self, command: c.TouchStillHere, stamp: Stamp, hear: Hear) -> Done:
        """The answer to the idle warning, and only while the screen warns."""
        hear(o.Alive())  # an end that is due comes first
        session = self._open_session(command.session)
        end = idle_timeout(self._state, session)
        if end is None or end - self._state.timeline.axis(self._now(stamp)) > WARNING_MS:
            raise CommandRefused("not_due", str(session.id))
        return Done(hear(o.StillHereTouched(session.machine, session.person_ref)))

    def question(self, command: c.QuestionSession, hear: Hear) -> Done:
        """The person's own word against what is recorded."""
        words = written(command.text)
        seqs = hear(o.QuestionAsked(command.session, command.person_ref, words.hash))
        words.keep(self._connection)
        return Done(seqs)

    def sign(self, command: c.SignCompetency, hear: Hear) -> Done:
        """An instructor's judgement."""
        refuse_other_roles(self._connection, command.by)
        refuse_oneself(self._connection, command.person_ref, command.by)
        words = written(command.text)
        seqs = hear(
            o.SignOffAsked(
                command.person_ref,
                command.competency,
                command.level,
                command.by,
                command.how,
                text_hash=words.hash,
                mark=command.mark,
            )
        )
        words.keep(self._connection)
        return Done(seqs)

    def brief(self, command: c.HoldBriefing, stamp: Stamp, hear: Hear) -> Done:
        """One briefing for a group: an entry each, that name a common batch; all of them or none."""
        refuse_other_roles(self._connection, command.by)
        refuse_unmarked(command.mark)
        group = tuple(dict.fromkeys(command.person_refs))
        if not group:
            raise CommandRefused("nobody", command.briefing)
        for person_ref in group:
            if person_ref not in self._state.people:
                raise CommandRefused("unknown_person", person_ref)
            refuse_oneself(self._connection, person_ref, command.by)
        required = {each for rule in self._state.book.machines.values() for each in rule.requires}
        if not command.briefing.startswith(BRIEFING) or command.briefing not in required:
            raise CommandRefused("unknown_briefing", command.briefing)
        self._refuse_past(command.until, stamp)
        if before := self._held_just_now(command, group, stamp):
            return Done((), before)
        batch = refs.new_ref()
        seqs: tuple[int, ...] = ()
        for person_ref in group:
            held = o.QualificationHeld(person_ref, command.briefing, command.until, command.by, batch, command.mark)
            seqs += hear(held)
        return Done(seqs, batch)

    def _held_just_now(self, command: c.HoldBriefing, group: tuple[str, ...], stamp: Stamp) -> str | None:
        """The batch in which the same hand entered exactly this a moment ago: a form that was sent twice."""
        since_ms = stamp.wall_ms - TWICE_MS
        given = acts.acts(
            self._connection, by=command.by, kinds=("qualification_granted",), first_ms=since_ms, limit=2 * len(group)
        )
        ledger, batches = Ledger(self._connection), dict[str, set[str]]()
        for act in given:
            entry = ledger.entry(act.id)
            body = read(entry) if entry is not None else {}
            if body.get("batch") and (body["qualification"], body["until"]) == (command.briefing, command.until):
                batches.setdefault(body["batch"], set()).add(body["person_ref"])
        return next((batch for batch, people_in in batches.items() if people_in == {*group}), None)

    def enrol(self, command: c.EnrolSeen, stamp: Stamp, hear: Hear) -> Done:
        """The unknown badge seen last at a reader becomes the person's; their old ones are refused, if so asked."""
        refuse_other_roles(self._connection, command.by)
        person = people.person_by_id(self._connection, command.person_id)
        if person is None:
            raise CommandRefused("unknown_person", command.person_id)
        badge_ref = self._seen.at(command.reader, At(stamp.boot, stamp.boot_ms))
        badge = None if badge_ref is None else people.badge_by_ref(self._connection, badge_ref)
        if badge is None:
            raise CommandRefused("nothing_seen", command.reader)
        if badge.person_ref not in (None, person.person_ref):
            raise CommandRefused("badge_taken", "the badge already belongs to another person")
        code = unfit(badge.uid)
        if code:
            raise CommandRefused(code, "the badge seen last")
        old = [each for each in people.badges_of(self._connection, person.person_ref) if not each.blocked]
        people.update_badge(self._connection, badge.badge_ref, person.person_ref, blocked=False)
        known = self._state.people[person.person_ref]
        row = o.PersonListed(
            person.person_ref, known.role, known.programme, known.active, (badge.badge_ref,), by=command.by
        )
        seqs = hear(row)
        for each in old if command.replace else ():
            if each.badge_ref != badge.badge_ref:
                seqs += hear(o.BadgeLost(each.badge_ref, command.by))
                people.update_badge(self._connection, each.badge_ref, each.person_ref, blocked=True)
        return Done(seqs, {"badge_ref": badge.badge_ref, "refused": self._refused_taps(badge.badge_ref)})

    def _refused_taps(self, badge_ref: str) -> list[dict[str, object]]:
        """When the badge was refused while nobody knew whose it was: what a manual entry may be offered for."""
        timeline = self._state.timeline
        return [
            {
                "seq": tap.seq,
                "utc_ms": timeline.utc_ms(timeline.moment(tap.at)),
                "reader": tap.reader,
                "machine": tap.machine,
            }
            for tap in self._seen.forget(badge_ref)
        ]

    def _refuse_past(self, until: str | None, stamp: Stamp) -> None:
        """A briefing holds from today on."""
        try:
            last_day = date.fromisoformat(until or "9999-12-31")
        except ValueError:
            raise CommandRefused("bad_date", str(until)) from None
        if last_day < self._state.timeline.local_date(self._now(stamp)):
            raise CommandRefused("past_date", str(until))

    def _open_session(self, session_id: int) -> Session:
        session = self._state.sessions.get(session_id)
        if session is None or not session.is_open:
            raise CommandRefused("no_open_session", str(session_id))
        return session

    def _now(self, stamp: Stamp) -> Moment:
        return self._state.timeline.moment(At(stamp.boot, stamp.boot_ms))
