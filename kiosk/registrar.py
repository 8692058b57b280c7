"""What people ask, carried out: decisions here, people in `roster`, accounts in `accounts`, touches in `shopfloor`.

Runs inside the clerk's transaction. Each command is checked before anything of it is written, so it happens whole or
not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date

from kiosk import commands as c
from kiosk.accounts import AccountCommand, Accounts
from kiosk.commands import Command, CommandRefused, Done
from kiosk.domain import observations as o
from kiosk.domain.entries import REVIEW_REASONS, At, Stamp
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.domain.reviews import may_leave
from kiosk.domain.state import Session, State
from kiosk.known_badges import KnownBadges
from kiosk.projection import project
from kiosk.proofs import read
from kiosk.roster import Roster, RosterCommand
from kiosk.seen import SeenBadges
from kiosk.shopfloor import Shopfloor
from kiosk.store import outbox, people, views
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError
from kiosk.store.unchanged import look
from kiosk.vouching import (
    Hear,
    is_one_hand,
    refuse_oneself,
    refuse_other_roles,
    refuse_unless,
    refuse_unmarked,
    written,
)

TouchCommand = (
    c.PickMachine
    | c.AskChoices
    | c.TouchStillHere
    | c.QuestionSession
    | c.SignCompetency
    | c.HoldBriefing
    | c.EnrolSeen
)
OtherCommand = (
    c.DecideSession
    | c.ApproveSessions
    | c.UndoReview
    | c.EnterManual
    | c.DateBoot
    | c.CloseSession
    | c.LockMachine
    | c.GrantQualification
    | c.StoreCheckpoint
    | c.StoreReceipt
    | c.CheckDisclosure
)


class Registrar:
    """Carries out commands on one writing connection."""

    def __init__(self, connection: sqlite3.Connection, state: State, seen: SeenBadges, badges: KnownBadges) -> None:
        self._connection = connection
        self._state = state
        self._shopfloor = Shopfloor(connection, state, seen)
        self._roster = Roster(connection, state, badges)
        self._accounts = Accounts(connection)

    def perform(self, command: Command, stamp: Stamp, hear: Hear) -> Done:
        """Carry out one command; `CommandRefused` where it cannot be."""
        try:
            if isinstance(command, RosterCommand):
                return self._roster.perform(command, stamp, hear)
            if isinstance(command, AccountCommand):
                return self._accounts.perform(command, stamp)
            if isinstance(command, TouchCommand):
                return self._touched(command, stamp, hear)
            return self._instructed(command, stamp, hear)
        except o.DecisionRefused as refused:
            raise CommandRefused(refused.code, refused.detail) from refused
        except StoreError as error:
            raise CommandRefused("store", str(error)) from error

    def _instructed(self, command: OtherCommand, stamp: Stamp, hear: Hear) -> Done:
        """What instructors decide, and what `sync` hands over."""
        match command:
            case c.DecideSession():
                return self._decide(command, hear)
            case c.ApproveSessions():
                return self._approve(command, hear)
            case c.UndoReview():
                return self._undo(command, hear)
            case c.EnterManual():
                return self._enter_manual(command, hear)
            case c.DateBoot():
                return self._date_boot(command, stamp, hear)
            case c.CloseSession():
                return self._close(command, hear)
            case c.LockMachine():
                refuse_other_roles(self._connection, command.by)
                return Done(hear(o.LockAsked(command.machine, command.locked, command.by)))
            case c.GrantQualification():
                return self._grant(command, hear)
            case c.StoreCheckpoint():
                Ledger(self._connection).store_checkpoint(command.note)
                return Done()
            case c.StoreReceipt():
                outbox.receipt(self._connection, command.enterprise, command.seqs, command.webhook_id, stamp.wall_ms)
                return Done()
            case c.CheckDisclosure():
                return self._may_leave(command, stamp)

    def _touched(self, command: TouchCommand, stamp: Stamp, hear: Hear) -> Done:
        """What is touched at a kiosk."""
        match command:
            case c.PickMachine():
                return self._shopfloor.pick(command, hear)
            case c.AskChoices():
                return self._shopfloor.choices(command, stamp)
            case c.TouchStillHere():
                return self._shopfloor.still_here(command, stamp, hear)
            case c.QuestionSession():
                return self._shopfloor.question(command, hear)
            case c.SignCompetency():
                return self._shopfloor.sign(command, hear)
            case c.HoldBriefing():
                return self._shopfloor.brief(command, stamp, hear)
            case c.EnrolSeen():
                return self._shopfloor.enrol(command, stamp, hear)

    def _may_leave(self, command: c.CheckDisclosure, stamp: Stamp) -> Done:
        """Consent and contract as they stand now, not as they stood when the record was released."""
        state = self._state
        now = state.timeline.moment(At(stamp.boot, stamp.boot_ms))
        allowed = []
        for seq in command.seqs:
            row = outbox.row(self._connection, seq)
            if row is None or row.enterprise != command.enterprise or row.session is None:
                continue
            session = state.sessions[row.session]
            if may_leave(state, state.people[session.person_ref], session, command.enterprise, now):
                allowed.append(seq)
        return Done((), tuple(allowed))

    def _approve(self, command: c.ApproveSessions, hear: Hear) -> Done:
        """All or none; what is clean is said by the rows, which know the flags that the ledger may not hold."""
        refuse_other_roles(self._connection, command.by)
        self._refuse_own(command.sessions, command.by)
        if all(self._has_said(each, "approved", command.by) for each in command.sessions):
            return Done()
        rows = self._as_seen(command.sessions, command.seen)
        self._refuse_second(command.sessions, command.by)
        for session_id, row in zip(command.sessions, rows, strict=True):
            if row is not None and (row.flags or row.review != "pending"):
                raise CommandRefused("not_clean", str(session_id))
        return Done(hear(o.ReviewAsked(command.sessions, "approved", command.by)))

    def _undo(self, command: c.UndoReview, hear: Hear) -> Done:
        """Only one's own last decisions: another's is superseded by a second one, with its own reason."""
        refuse_other_roles(self._connection, command.by)
        self._refuse_own(command.sessions, command.by)
        chosen = tuple(dict.fromkeys(command.sessions))
        meant = dict(zip(command.sessions, command.decided, strict=False))
        found = [session for session in map(self._state.sessions.get, chosen) if session and session.decisions]
        for session in found:  # the domain refuses the others, in its own order
            if not is_one_hand(self._connection, session.decisions[-1].by, command.by):
                raise CommandRefused("not_yours", str(session.id))
        if meant and len(found) == len(chosen) and all(self._took_back(each, meant.get(each.id)) for each in found):
            return Done()
        for session in found:
            if meant and session.decisions[-1].seq != meant.get(session.id):
                raise CommandRefused("changed_meanwhile", str(session.id))
        return Done(hear(o.UndoAsked(chosen, command.by)))

    def _took_back(self, session: Session, decision: int | None) -> bool:
        """Is the last decision on it an undo of this one? Then a form was sent twice."""
        entry = Ledger(self._connection).entry(session.decisions[-1].seq)
        body = read(entry) if entry is not None else {}
        return bool(body.get("undo")) and body.get("supersedes") == decision

    def _has_said(self, session_id: int, decision: str, by: str) -> bool:
        """Does this decision of the same hand stand, with nothing asked since?"""
        session = self._state.sessions.get(session_id)
        if session is None or session.review != decision or session_id in self._state.questions:
            return False
        return is_one_hand(self._connection, session.decisions[-1].by, by)

    def _as_seen(self, sessions: Sequence[int], seen: Sequence[str]) -> list[views.SessionView | None]:
        """Their rows as they are now, which must be what the page showed; one that does not say so is believed."""
        project(self._connection, self._state)
        rows = [views.session(self._connection, each) for each in sessions]
        for row, shown in zip(rows, seen, strict=False):
            if row is not None and shown and look(row) != shown:
                raise CommandRefused("changed_meanwhile", str(row.session))
        return rows

    def _enter_manual(self, command: c.EnterManual, hear: Hear) -> Done:
        if command.reason not in MANUAL_REASONS:
            raise CommandRefused("reason_missing")
        refuse_unmarked(command.mark)
        words = written(command.text)
        person_ref = self._other_person(command.person_id, command.by)
        machine = self._state.book.machines.get(command.machine)
        if machine is not None and command.end_ms - command.start_ms > machine.rules.max_session_ms:
            raise CommandRefused("longer_than_allowed", command.machine)  # a slip of the date, most likely
        seqs = hear(
            o.ManualAsked(
                person_ref,
                command.machine,
                command.process,
                command.start_ms,
                command.end_ms,
                command.by,
                command.reason,
                text_hash=words.hash,
                mark=command.mark,
            )
        )
        words.keep(self._connection)
        return Done(seqs)

    def _date_boot(self, command: c.DateBoot, stamp: Stamp, hear: Hear) -> Done:
        """The instructor knows when one session began; its boot is dated by that moment."""
        session = self._session(command.session, command.by)
        timeline = self._state.timeline
        if timeline.certain(session.opened):
            raise CommandRefused("already_dated", str(session.id))
        now = timeline.moment(At(stamp.boot, stamp.boot_ms))
        if not timeline.fits(session.opened, command.utc_ms, now):
            raise CommandRefused("out_of_order", str(command.utc_ms))
        at = timeline.at(session.opened)
        return Done(hear(o.BootDated(at.boot, at.boot_ms, command.utc_ms, command.by)))

    def _close(self, command: c.CloseSession, hear: Hear) -> Done:
        session = self._session(command.session, command.by)
        if not session.is_open:
            raise CommandRefused("no_open_session", str(session.id))
        return Done(hear(o.CloseAsked(session.person_ref, session.machine, command.by)))

    def _grant(self, command: c.GrantQualification, hear: Hear) -> Done:
        person_ref = self._other_person(command.person_id, command.by)
        try:
            date.fromisoformat(command.until or "9999-12-31")
        except ValueError:
            raise CommandRefused("bad_date", str(command.until)) from None
        refuse_unmarked(command.mark)
        held = o.QualificationHeld(person_ref, command.qualification, command.until, command.by, mark=command.mark)
        return Done(hear(held))

    def _other_person(self, person_id: str, by: str) -> str:
        """The reference of a person whom this instructor may vouch for: anybody but themselves."""
        refuse_other_roles(self._connection, by)
        person = people.person_by_id(self._connection, person_id)
        if person is None:
            raise CommandRefused("unknown_person", person_id)
        refuse_oneself(self._connection, person.person_ref, by)
        return person.person_ref

    def _session(self, session_id: int, by: str) -> Session:
        """A session that this instructor may do something about."""
        refuse_other_roles(self._connection, by)
        self._refuse_own((session_id,), by)
        session = self._state.sessions.get(session_id)
        if session is None:
            raise CommandRefused("unknown_session", str(session_id))
        return session

    def _decide(self, command: c.DecideSession, hear: Hear) -> Done:
        if command.decision != "approved" and command.reason not in REVIEW_REASONS:
            raise CommandRefused("reason_missing")
        refuse_unmarked(command.mark)
        words = written(command.text)
        refuse_other_roles(self._connection, command.by)
        self._refuse_own((command.session,), command.by)
        if self._repeats(command):
            return Done()
        self._refuse_second((command.session,), command.by)
        self._as_seen((command.session,), (command.seen or "",))
        asked = o.ReviewAsked(
            (command.session,),
            command.decision,
            command.by,
            reason=command.reason,
            text_hash=words.hash,
            credited_ms=command.credited_ms,
            process=command.process,
            mark=command.mark,
        )
        seqs = hear(asked)
        if seqs:
            words.keep(self._connection)
        return Done(seqs)

    def _repeats(self, command: c.DecideSession) -> bool:
        """Did the same hand decide exactly this last, word for word? Then a form was sent twice."""
        if not self._has_said(command.session, command.decision, command.by):
            return False
        session = self._state.sessions[command.session]
        last = session.decisions[-1]
        text = people.text_by_hash(self._connection, last.text_hash) if last.text_hash else None
        if (last.reason, text or "") != (command.reason, command.text):
            return False
        counts = (command.credited_ms, command.process or session.process)
        return command.decision != "adjusted" or counts == (last.credited_ms, last.process)

    def _refuse_own(self, sessions: tuple[int, ...], by: str) -> None:
        """Nobody decides on their own sessions, whatever account they use (hours, section 7)."""
        user = people.user_by_ref(self._connection, by)
        if user is None or user.person_ref is None:
            return
        for session_id in sessions:
            session = self._state.sessions.get(session_id)
            if session is not None and session.person_ref == user.person_ref:
                raise CommandRefused("own_session", str(session_id))

    def _refuse_second(self, sessions: tuple[int, ...], by: str) -> None:
        """A second decision on what another decided is a lead's, unless the apprentice asked about it since.

        It binds who decides from now on, so it is asked here and never of history.
        """
        for session in (self._state.sessions.get(each) for each in sessions):
            if session is None or session.review == "pending" or session.id in self._state.questions:
                continue
            if is_one_hand(self._connection, session.decisions[-1].by, by):
                continue
            refuse_unless(self._connection, by, ("lead",), "needs_lead")
