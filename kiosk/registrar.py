"""What people ask, carried out: roster and decisions go to the domain, names and texts to the people tables.

Runs inside the clerk's transaction. Each command is checked before anything of it is written, so it happens whole or
not at all.
"""

from __future__ import annotations

import sqlite3
from datetime import date

from kiosk import commands as c
from kiosk import refs
from kiosk.badge_numbers import unfit
from kiosk.commands import Command, CommandRefused, Done, PersonRow
from kiosk.domain import observations as o
from kiosk.domain.entries import REVIEW_REASONS, At, Stamp
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.domain.reviews import may_leave
from kiosk.domain.state import Session, State
from kiosk.projection import project
from kiosk.seen import SeenBadges
from kiosk.shopfloor import Shopfloor
from kiosk.store import outbox, people, views
from kiosk.store.ledger import Ledger
from kiosk.store.schema import StoreError
from kiosk.vouching import Hear, refuse_oneself, refuse_other_roles, refuse_unmarked, written

ROLES = ("instructor", "lead", "admin", "auditor")


TouchCommand = (
    c.PickMachine
    | c.AskChoices
    | c.TouchStillHere
    | c.QuestionSession
    | c.SignCompetency
    | c.HoldBriefing
    | c.EnrolSeen
)


class Registrar:
    """Carries out commands on one writing connection."""

    def __init__(self, connection: sqlite3.Connection, state: State, seen: SeenBadges) -> None:
        self._connection = connection
        self._state = state
        self._shopfloor = Shopfloor(connection, state, seen)

    def perform(self, command: Command, stamp: Stamp, hear: Hear) -> Done:
        """Carry out one command; `CommandRefused` where it cannot be."""
        try:
            match command:
                case c.DecideSession():
                    return self._decide(command, hear)
                case c.ApproveSessions():
                    return self._approve(command, hear)
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
                case c.ImportPeople():
                    return self._import(command, hear)
                case c.BlockBadge():
                    return self._block(command, hear)
                case c.AssignBadge():
                    return self._assign(command, hear)
                case c.AddUser():
                    return self._add_user(command, stamp)
                case c.LinkUser():
                    person = people.person_by_id(self._connection, command.person_id)
                    if person is None:
                        raise CommandRefused("unknown_person", command.person_id)
                    if not people.link_user(self._connection, command.name, person.person_ref):
                        raise CommandRefused("unknown_user", command.name)
                    return Done()
                case c.SetPin():
                    if not people.set_pin(self._connection, command.name, command.pin_hash):
                        raise CommandRefused("unknown_user", command.name)
                    return Done()
                case c.SetPassword():
                    if not people.set_password(self._connection, command.name, command.password_hash):
                        raise CommandRefused("unknown_user", command.name)
                    return Done()
                case c.StoreCheckpoint():
                    Ledger(self._connection).store_checkpoint(command.note)
                    return Done()
                case c.StoreReceipt():
                    outbox.receipt(
                        self._connection, command.enterprise, command.seqs, command.webhook_id, stamp.wall_ms
                    )
                    return Done()
                case c.CheckDisclosure():
                    return self._may_leave(command, stamp)
                case _:
                    return self._touched(command, stamp, hear)
        except o.DecisionRefused as refused:
            raise CommandRefused(refused.code, refused.detail) from refused
        except StoreError as error:
            raise CommandRefused("store", str(error)) from error

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
        self._refuse_own(command.sessions, command.by)
        project(self._connection, self._state)
        for session_id in command.sessions:
            row = views.session(self._connection, session_id)
            if row is not None and row.flags:
                raise CommandRefused("not_clean", str(session_id))
        return Done(hear(o.ReviewAsked(command.sessions, "approved", command.by)))

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
        self._refuse_own((command.session,), command.by)
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

    def _refuse_own(self, sessions: tuple[int, ...], by: str) -> None:
        """Nobody decides on their own sessions, whatever account they use (hours, section 7)."""
        user = people.user_by_ref(self._connection, by)
        if user is None or user.person_ref is None:
            return
        for session_id in sessions:
            session = self._state.sessions.get(session_id)
            if session is not None and session.person_ref == user.person_ref:
                raise CommandRefused("own_session", str(session_id))

    def _import(self, command: c.ImportPeople, hear: Hear) -> Done:
        taken = people.taken_badges(self._connection, command.rows)
        if taken:
            _, wanted_by, held_by = taken[0]
            raise CommandRefused("badge_taken", f"a badge of {wanted_by} already belongs to {held_by}")
        for row in command.rows:
            for uid in row.badges:
                _refuse_unfit(uid, f"a badge of {row.person_id}")
        seqs: tuple[int, ...] = ()
        for row in command.rows:
            seqs += hear(self._listed(row, command.by))
        return Done(seqs, len(command.rows))

    def _listed(self, row: PersonRow, by: str) -> o.PersonListed:
        """The row's names go to the people tables, its references to the domain."""
        known = people.person_by_id(self._connection, row.person_id)
        person_ref = known.person_ref if known else refs.new_ref()
        if known is None:
            people.insert_person(self._connection, person_ref, row)
        else:
            people.update_person(self._connection, person_ref, row)
            if known.birth_date != row.birth_date:  # what a minor may work depends on it
                self._state.touched.update(self._state.sessions_by_person.get(person_ref, ()))
        badge_refs = tuple(self._badge_ref(uid, person_ref) for uid in row.badges)
        return listed(row, person_ref, badge_refs, by)

    def _badge_ref(self, uid: str, person_ref: str) -> str:
        known = people.badge_by_uid(self._connection, uid)
        if known is None:
            badge_ref = refs.new_ref()
            people.insert_badge(self._connection, badge_ref, uid, person_ref)
            return badge_ref
        people.update_badge(self._connection, known.badge_ref, person_ref, known.blocked)
        return known.badge_ref

    def _block(self, command: c.BlockBadge, hear: Hear) -> Done:
        badge = people.badge_by_uid(self._connection, command.uid)
        if badge is None or badge.person_ref is None:
            raise CommandRefused("unknown_badge", "no person has this badge")
        seqs = hear(o.BadgeLost(badge.badge_ref))
        people.update_badge(self._connection, badge.badge_ref, badge.person_ref, blocked=True)
        return Done(seqs)

    def _assign(self, command: c.AssignBadge, hear: Hear) -> Done:
        person = people.person_by_id(self._connection, command.person_id)
        if person is None:
            raise CommandRefused("unknown_person", command.person_id)
        _refuse_unfit(command.uid)
        badge = people.badge_by_uid(self._connection, command.uid)
        if badge is not None and badge.person_ref not in (None, person.person_ref):
            raise CommandRefused("badge_taken", "the badge already belongs to another person")
        badge_ref = self._badge_ref(command.uid, person.person_ref)
        known = self._state.people[person.person_ref]
        row = o.PersonListed(person.person_ref, known.role, known.programme, known.active, (badge_ref,), by=command.by)
        return Done(hear(row))

    def _add_user(self, command: c.AddUser, stamp: Stamp) -> Done:
        if command.role not in ROLES:
            raise CommandRefused("unknown_role", command.role)
        if people.user_by_name(self._connection, command.name) is not None:
            raise CommandRefused("user_exists", command.name)
        user_ref, person_ref = refs.new_ref(), None
        if command.person_id is not None:
            person = people.person_by_id(self._connection, command.person_id)
            if person is None:
                raise CommandRefused("unknown_person", command.person_id)
            person_ref = person.person_ref
        people.add_user(
            self._connection,
            people.User(
                user_ref=user_ref,
                name=command.name,
                role=command.role,
                password_hash=command.password_hash,
                person_ref=person_ref,
                until=command.until,
                created_ms=stamp.wall_ms,
                active=True,
            ),
        )
        return Done((), user_ref)


def _refuse_unfit(uid: str, whose: str = "") -> None:
    code = unfit(uid)
    if code:
        raise CommandRefused(code, whose)


def listed(row: PersonRow, person_ref: str, badges: tuple[str, ...], by: str = "import") -> o.PersonListed:
    """A roster row as the domain hears it: references, no names."""
    contract = (row.enterprise, row.contract_from, row.contract_to) if row.enterprise and row.contract else None
    consent = (row.enterprise, row.consent_until) if row.enterprise and row.consent_until else None
    return o.PersonListed(
        person_ref=person_ref,
        role=row.role,
        programme=row.programme,
        active=row.active,
        badges=badges,
        qualifications=row.qualifications,
        contract=contract,
        consent=consent,
        by=by,
    )
