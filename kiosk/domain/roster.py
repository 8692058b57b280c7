"""Who people are: the roster, papers, badges; two rows that are one person, and one that is to be forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from kiosk.domain import entries as e
from kiosk.domain import observations as o
from kiosk.domain.reviews import releases
from kiosk.domain.state import Person, State
from kiosk.domain.timeline import Moment


def told_of_people(state: State, now: Moment, heard: o.Observation) -> Iterator[e.Body]:
    """What comes of an observation about people; only what is new is entered."""
    match heard:
        case o.PersonListed():
            yield from _listed(state, now, heard)
        case o.BadgeLost(badge_ref=badge_ref):
            badge = state.badges.get(badge_ref)
            if badge is None:
                raise o.DecisionRefused("unknown_badge", badge_ref)
            if not badge.blocked:
                yield e.BadgeBlocked(badge_ref, heard.by)
        case o.QualificationHeld():
            _known(state, heard.person_ref)
            yield e.QualificationGranted(
                heard.person_ref, heard.qualification, heard.until, heard.by, heard.batch, heard.mark
            )
        case o.ConsentTold():
            yield from _consents(state, now, heard)
        case o.ConsentEnded():
            person = _known(state, heard.person_ref)
            if heard.enterprise in person.consents:
                yield e.ConsentWithdrawn(person.ref, heard.enterprise, heard.by)
            else:
                _refuse_strange(state, heard.enterprise)
        case o.ContractTold():
            yield from _contracted(state, now, heard)
        case o.FoundTwice():
            yield from _merged(state, now, heard)
        case o.ErasureAsked():
            yield from _erased(state, heard)


def _listed(state: State, now: Moment, row: o.PersonListed) -> Iterator[e.Body]:
    """A roster row: only what is new is entered. What a row leaves out says nothing."""
    for badge_ref in row.badges:
        badge = state.badges.get(badge_ref)
        if badge is not None and badge.person_ref != row.person_ref:
            raise o.DecisionRefused("badge_taken", badge_ref)
    person = state.people.get(row.person_ref)
    if person is None or (person.role, person.programme, person.active) != (row.role, row.programme, row.active):
        yield e.PersonRecorded(row.person_ref, row.role, row.programme, row.active, row.by)
    person = _known(state, row.person_ref)
    for badge_ref in row.badges:
        if badge_ref not in state.badges:
            yield e.BadgeAssigned(badge_ref, row.person_ref, row.by)
    for qualification, until in row.qualifications:
        if qualification not in person.qualifications or person.qualifications[qualification] != until:
            yield e.QualificationGranted(row.person_ref, qualification, until, row.by)
    if row.contract is not None:
        enterprise, first, last = row.contract
        if person.contracts.get(enterprise) != (first, last):
            yield e.ContractRecorded(row.person_ref, enterprise, first, last, row.by)
    if row.consent is not None:
        enterprise, until = row.consent
        if enterprise not in person.consents or person.consents[enterprise] != until:
            yield e.ConsentGiven(row.person_ref, enterprise, until, row.by)
    yield from releases(state, row.person_ref, now)


def _consents(state: State, now: Moment, told: o.ConsentTold) -> Iterator[e.Body]:
    person = _known(state, told.person_ref)
    _refuse_strange(state, told.enterprise)
    if told.enterprise not in person.consents or person.consents[told.enterprise] != told.until:
        yield e.ConsentGiven(person.ref, told.enterprise, told.until, told.by)
        yield from releases(state, person.ref, now)


def _contracted(state: State, now: Moment, told: o.ContractTold) -> Iterator[e.Body]:
    person = _known(state, told.person_ref)
    _refuse_strange(state, told.enterprise)
    days = (told.valid_from, told.valid_to)
    if person.contracts.get(told.enterprise) != days:
        yield e.ContractRecorded(person.ref, told.enterprise, *days, told.by)
        yield from releases(state, person.ref, now)


def _merged(state: State, now: Moment, found: o.FoundTwice) -> Iterator[e.Body]:
    """Nobody may be at work meanwhile: an open session has one person until it ends.

    What was approved of the double may leave with the contract and the consent of the person kept.
    """
    kept, double = _known(state, found.person_ref), _known(state, found.double)
    if kept is double:
        raise o.DecisionRefused("same_person", kept.ref)
    if kept.role != double.role:
        raise o.DecisionRefused("other_role", double.role)
    _refuse_present(state, kept)
    _refuse_present(state, double)
    yield e.PersonMerged(double.ref, kept.ref, found.by)
    yield from releases(state, kept.ref, now)


def _erased(state: State, asked: o.ErasureAsked) -> Iterator[e.Body]:
    """Nothing opens to them any more, and nothing about them leaves; then nobody knows who they were."""
    person = _known(state, asked.person_ref)
    _refuse_present(state, person)
    for badge_ref, badge in state.badges.items():
        if badge.person_ref == person.ref and not badge.blocked:
            yield e.BadgeBlocked(badge_ref, asked.by)
    for enterprise in tuple(person.consents):
        yield e.ConsentWithdrawn(person.ref, enterprise, asked.by)
    yield e.PersonErased(person.ref, asked.by)


def _refuse_present(state: State, person: Person) -> None:
    for session in state.of_person(person.ref):
        raise o.DecisionRefused("session_open", str(session.id))


def _refuse_strange(state: State, enterprise: str) -> None:
    if enterprise not in state.book.enterprises:
        raise o.DecisionRefused("unknown_enterprise", enterprise)


def _known(state: State, person_ref: str) -> Person:
    person = state.people.get(person_ref)
    if person is None or person_ref in state.merged:
        raise o.DecisionRefused("unknown_person", person_ref)
    return person
