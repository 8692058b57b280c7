"""People, their papers and badges: references go to the domain, names and numbers to the people tables.

Runs inside the clerk's transaction, beside `registrar`, and like it checks everything before anything is written.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date

from kiosk import commands as c
from kiosk import refs
from kiosk.badge_numbers import unfit
from kiosk.commands import CommandRefused, Done, PersonRow
from kiosk.domain import observations as o
from kiosk.domain.entries import Stamp, from_object
from kiosk.domain.state import State
from kiosk.known_badges import KnownBadges
from kiosk.projection import minors_again, project
from kiosk.proofs import read
from kiosk.store import acts, people
from kiosk.store.ledger import Ledger
from kiosk.vouching import LEADING, OFFICE, Hear, refuse_unless

RosterCommand = (
    c.ImportPeople
    | c.SavePerson
    | c.MergePeople
    | c.ErasePerson
    | c.GiveConsent
    | c.WithdrawConsent
    | c.RecordContract
    | c.BlockBadge
    | c.RetireBadge
    | c.AssignBadge
)
WITH_TEXTS = ("session_reviewed", "session_questioned", "competency_signed", "manual_session_entered")
"""The entries that may have a free text about somebody beside them."""
EVERY_ACT = 1_000_000


class Roster:
    """Carries out commands about people, on one writing connection."""

    def __init__(self, connection: sqlite3.Connection, state: State, badges: KnownBadges) -> None:
        self._connection = connection
        self._state = state
        self._badges = badges

    def perform(self, command: RosterCommand, stamp: Stamp, hear: Hear) -> Done:
        """Carry out one command; `CommandRefused` where it cannot be."""
        refuse_unless(self._connection, command.by, OFFICE, "not_instructor")
        match command:
            case c.ImportPeople():
                return self._import(command, stamp, hear)
            case c.SavePerson():
                return self._save(command, hear)
            case c.MergePeople():
                return self._merge(command, hear)
            case c.ErasePerson():
                return self._erase(command, hear)
            case c.GiveConsent():
                person_ref = self._person(command.person_id).person_ref
                _day(command.until)
                return Done(hear(o.ConsentTold(person_ref, command.enterprise, command.until, command.by)))
            case c.WithdrawConsent():
                person_ref = self._person(command.person_id).person_ref
                return Done(hear(o.ConsentEnded(person_ref, command.enterprise, command.by)))
            case c.RecordContract():
                return self._contract(command, hear)
            case c.BlockBadge():
                badge = people.badge_by_uid(self._connection, command.uid)
                return self._block(badge, "no person has this badge", command.by, hear)
            case c.RetireBadge():
                badge = people.badge_by_ref(self._connection, command.badge_ref)
                return self._block(badge, command.badge_ref, command.by, hear)
            case c.AssignBadge():
                return self._assign(command, hear)

    def _import(self, command: c.ImportPeople, stamp: Stamp, hear: Hear) -> Done:
        doubles = people.doubles(self._connection)
        for row in command.rows:
            _refuse_double(row.person_id, doubles)
        taken = people.taken_badges(self._connection, command.rows)
        if taken:
            _, wanted_by, held_by = taken[0]
            raise CommandRefused("badge_taken", f"a badge of {wanted_by} already belongs to {held_by}")
        for row in command.rows:
            for uid in row.badges:
                _refuse_unfit(uid, f"a badge of {row.person_id}")
            self._refuse_own_papers(row, command.by)
        seqs: tuple[int, ...] = ()
        for row in command.rows:
            seqs += hear(self._listed(row, command.by))
        acts.note(self._connection, stamp.wall_ms, "imported", command.by, str(len(command.rows)))
        return Done(seqs, len(command.rows))

    def _refuse_own_papers(self, row: PersonRow, by: str) -> None:
        """Nobody vouches for themselves, by a roster neither; what they hold already may stand in it."""
        user = people.user_by_ref(self._connection, by)
        person = people.person_by_id(self._connection, row.person_id) if user is not None else None
        if user is None or person is None or user.person_ref != person.person_ref:
            return
        held = self._state.people[person.person_ref].qualifications
        if any(held.get(name, "") != until for name, until in row.qualifications):
            raise CommandRefused("own_papers", row.person_id)

    def _save(self, command: c.SavePerson, hear: Hear) -> Done:
        person_id = command.row.person_id
        _refuse_double(person_id, people.doubles(self._connection))
        known = people.person_by_id(self._connection, person_id)
        if command.new and known is not None:
            raise CommandRefused("person_exists", person_id)
        if not command.new and known is None:
            raise CommandRefused("unknown_person", person_id)
        row = replace(command.row, badges=(), qualifications=())
        if known is not None:
            if command.seen and command.seen != people.version(known):
                raise CommandRefused("changed_meanwhile", person_id)
            row = replace(row, **{name: getattr(known, name) for name in people.PAPERS})
        told = self._listed(row, command.by)
        return Done(hear(told), told.person_ref)

    def _listed(self, row: PersonRow, by: str) -> o.PersonListed:
        """The row's names go to the people tables, its references to the domain."""
        known = people.person_by_id(self._connection, row.person_id)
        person_ref = known.person_ref if known else refs.new_ref()
        if known is None:
            people.insert_person(self._connection, person_ref, row)
        else:
            people.update_person(self._connection, person_ref, row)
            if known.birth_date != row.birth_date:
                minors_again(self._connection, self._state, person_ref)
        badge_refs = tuple(self._badge_ref(uid, person_ref) for uid in row.badges)
        return listed(row, person_ref, badge_refs, by, known)

    def _badge_ref(self, uid: str, person_ref: str) -> str:
        known = people.badge_by_uid(self._connection, uid)
        if known is None:
            badge_ref = refs.new_ref()
            people.insert_badge(self._connection, badge_ref, uid, person_ref)
            return badge_ref
        people.update_badge(self._connection, known.badge_ref, person_ref, known.blocked)
        return known.badge_ref

    def _merge(self, command: c.MergePeople, hear: Hear) -> Done:
        refuse_unless(self._connection, command.by, LEADING, "leads_only")
        if command.keep_id == command.double_id:
            raise CommandRefused("same_person", command.keep_id)
        kept, double = self._person(command.keep_id), self._person(command.double_id)
        seqs = hear(o.FoundTwice(kept.person_ref, double.person_ref, command.by))
        people.merge_person(self._connection, double.person_ref, kept.person_ref)
        project(self._connection, self._state)
        minors_again(self._connection, self._state, kept.person_ref)
        return Done(seqs)

    def _erase(self, command: c.ErasePerson, hear: Hear) -> Done:
        """Everything that could say who it was, also what the clerk remembers; the ledger never knew."""
        refuse_unless(self._connection, command.by, ("admin",), "needs_admin")
        person_ref = self._person(command.person_id).person_ref
        if people.user_by_person(self._connection, person_ref) is not None:
            raise CommandRefused("has_account", command.person_id)
        numbers = [badge.uid for badge in people.badges_of(self._connection, person_ref)]
        seqs = hear(o.ErasureAsked(person_ref, command.by))
        people.forget_texts(self._connection, self._texts_about(person_ref))
        people.erase_person(self._connection, person_ref)
        people.write_anew(self._connection)
        minors_again(self._connection, self._state, person_ref)
        self._badges.forget(numbers)
        return Done(seqs)

    def _texts_about(self, person_ref: str) -> set[str]:
        """The hashes of all free texts that were ever written about a person."""
        ledger, found = Ledger(self._connection), set()
        for act in acts.acts(self._connection, person_ref=person_ref, kinds=WITH_TEXTS, limit=EVERY_ACT):
            data = None if act.seq is None else ledger.entry(act.seq)
            text_hash = None if data is None else getattr(from_object(read(data)).body, "text_hash", None)
            if text_hash is not None:
                found.add(text_hash)
        return found

    def _contract(self, command: c.RecordContract, hear: Hear) -> Done:
        person_ref = self._person(command.person_id).person_ref
        if _day(command.valid_from or "0001-01-01") > _day(command.valid_to):
            raise CommandRefused("wrong_order", f"{command.valid_from} to {command.valid_to}")
        days = (command.valid_from, command.valid_to)
        seqs = hear(o.ContractTold(person_ref, command.enterprise, *days, command.by))
        people.record_contract(
            self._connection, person_ref, command.enterprise, command.number, command.personnel_number
        )
        return Done(seqs)

    def _block(self, badge: people.Badge | None, which: str, by: str, hear: Hear) -> Done:
        if badge is None or badge.person_ref is None:
            raise CommandRefused("unknown_badge", which)
        seqs = hear(o.BadgeLost(badge.badge_ref, by))
        people.update_badge(self._connection, badge.badge_ref, badge.person_ref, blocked=True)
        return Done(seqs)

    def _assign(self, command: c.AssignBadge, hear: Hear) -> Done:
        person = self._person(command.person_id)
        _refuse_unfit(command.uid)
        badge = people.badge_by_uid(self._connection, command.uid)
        if badge is not None and badge.person_ref not in (None, person.person_ref):
            raise CommandRefused("badge_taken", "the badge already belongs to another person")
        badge_ref = self._badge_ref(command.uid, person.person_ref)
        known = self._state.people[person.person_ref]
        row = o.PersonListed(person.person_ref, known.role, known.programme, known.active, (badge_ref,), by=command.by)
        return Done(hear(row))

    def _person(self, person_id: str) -> people.Person:
        person = people.person_by_id(self._connection, person_id)
        if person is None:
            raise CommandRefused("unknown_person", person_id)
        return person


def _refuse_double(person_id: str, doubles: dict[str, str]) -> None:
    if person_id in doubles:
        raise CommandRefused("merged_person", f"{person_id} was merged into {doubles[person_id]}")


def _refuse_unfit(uid: str, whose: str = "") -> None:
    code = unfit(uid)
    if code:
        raise CommandRefused(code, whose)


def _day(text: str | None) -> date:
    """The day; the last of all where it is open."""
    try:
        return date.fromisoformat(text or "9999-12-31")
    except ValueError:
        raise CommandRefused("bad_date", str(text)) from None


def listed(
    row: PersonRow, person_ref: str, badges: tuple[str, ...], by: str = "import", before: people.Person | None = None
) -> o.PersonListed:
    """A roster row as the domain hears it: references, no names.

    Of contract and consent it tells what changed since the roster was told `before`: what pages recorded meanwhile (a
    consent withdrawn, above all) is not taken back by an old file.
    """
    contract = (row.enterprise, row.contract_from, row.contract_to) if row.enterprise and row.contract else None
    consent = (row.enterprise, row.consent_until) if row.enterprise and row.consent_until else None
    if (
        before is not None
        and before.contract
        and contract
        == (
            before.enterprise,
            before.contract_from,
            before.contract_to,
        )
    ):
        contract = None
    if before is not None and consent == (before.enterprise, before.consent_until):
        consent = None
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
