"""Competence is not hours: sign-offs, questions, and how far somebody is against the plan (hours, section 9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kiosk.domain import entries as e
from kiosk.domain.observations import DecisionRefused, QuestionAsked, SignOffAsked
from kiosk.domain.reviews import may_decide
from kiosk.domain.state import State

LEVELS = (0, 1, 2, 3)
"""Not shown, with help, alone, can teach it."""
HOW = ("web", "panel_both_badges", "panel_badge")
"""Where it was signed: on the staff side; at the kiosk after the apprentice's badge and the instructor's; or there
after the instructor's alone."""


@dataclass(frozen=True)
class Standing:
    """A person's hours in one work process against its plan, in milliseconds; None where the plan says nothing."""

    process: str
    required_ms: int | None
    minimum_ms: int | None
    maximum_ms: int | None
    approved_ms: int
    """As instructors decided."""
    waiting_ms: int
    """As the rules credit it, until somebody decides."""

    @property
    def counted_ms(self) -> int:
        """What is approved, up to the most that counts."""
        return self.approved_ms if self.maximum_ms is None else min(self.approved_ms, self.maximum_ms)

    @property
    def needed_ms(self) -> int:
        """What must be approved: the required time, and never less than the minimum."""
        return max(self.required_ms or 0, self.minimum_ms or 0)

    @property
    def missing_ms(self) -> int:
        """What is still to be approved."""
        return max(0, self.needed_ms - self.counted_ms)

    @property
    def reached(self) -> bool:
        """Has the process its approved time? One without a plan has."""
        return self.missing_ms == 0


def ready(standings: Iterable[Standing], levels: Iterable[tuple[int, int | None]]) -> bool:
    """Has every process its approved time, and every competency its level? `levels` are (required, signed)."""
    return all(each.reached for each in standings) and all(
        signed is not None and signed >= required for required, signed in levels
    )


def signed(state: State, asked: SignOffAsked) -> Iterator[e.Body]:
    """An instructor's judgement, or `DecisionRefused`; what was signed before stays visible for ever."""
    person = state.people.get(asked.person_ref)
    if person is None:
        raise DecisionRefused("unknown_person", asked.person_ref)
    if person.ref == asked.by:
        raise DecisionRefused("own_session", asked.person_ref)
    if not may_decide(state, asked.by):
        raise DecisionRefused("not_instructor", asked.by)
    if asked.level not in LEVELS:
        raise DecisionRefused("bad_level", str(asked.level))
    if asked.how not in HOW or asked.mark not in e.MARKS:
        raise DecisionRefused("bad_how", asked.how)
    process = state.book.competencies.get((person.programme or "", asked.competency))
    if person.programme is None or process is None:
        raise DecisionRefused("unknown_competency", asked.competency)
    yield e.CompetencySigned(
        person_ref=person.ref,
        programme=person.programme,
        process=process,
        competency=asked.competency,
        level=asked.level,
        by=asked.by,
        how=asked.how,
        text_hash=asked.text_hash,
        mark=asked.mark,
    )


def questioned(state: State, asked: QuestionAsked) -> Iterator[e.Body]:
    """A person's word against what is recorded of them; one at a time, until a decision after it."""
    session = state.sessions.get(asked.session)
    if session is None:
        raise DecisionRefused("unknown_session", str(asked.session))
    if session.person_ref != asked.person_ref:
        raise DecisionRefused("not_own_session", str(asked.session))
    if session.id in state.questions:
        raise DecisionRefused("already_questioned", str(asked.session))
    yield e.SessionQuestioned(session.id, session.person_ref, asked.text_hash)
