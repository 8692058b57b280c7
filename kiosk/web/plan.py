"""The programmes as a page shows them: hours, machines, competencies, and what does not fit together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from kiosk import phrases
from kiosk.phrases import N_
from kiosk.words import Words, academic_hours, decimal_comma, hours_minutes
from lab_config.classifiers import CLASSIFIERS
from lab_config.model import Lab, Machine, Process, Programme
from lab_config.training import CLASS_PREFIX

UNSERVED = N_("No machine serves it: nobody can tap in to it.")
NOTHING_TO_REACH = N_("It has neither hours nor competencies: there is nothing to reach in it.")
SHARED = N_(
    "Another programme has a work process with this id: the hours of somebody who changes from one to the other count"
    " in both."
)


@dataclass(frozen=True)
class Time:
    """A duration in both units, and in credits where the classifier has them."""

    hours: str
    academic: str
    credits: str


@dataclass(frozen=True)
class CompetencyRow:
    """One competency, in words."""

    id: str
    title: str
    level: str


@dataclass(frozen=True)
class ProcessRow:
    """One work process, in words."""

    id: str
    title: str
    required: Time | None
    minimum: str
    maximum: str
    machines: tuple[str, ...]
    states: tuple[str, ...]
    """States that count where they are not the usual ones."""
    presence_counts: bool
    competencies: tuple[CompetencyRow, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ProgrammeRow:
    """One programme, in words."""

    id: str
    title: str
    code: str
    classifier: str
    apprentices: int
    total: Time
    processes: tuple[ProcessRow, ...]
    competencies: int
    warnings: tuple[str, ...]
    flagged: bool
    """Is there a warning here or in one of the processes?"""


def programme_rows(lab: Lab, followers: Mapping[str | None, int], language: Words) -> list[ProgrammeRow]:
    """Every programme that runs."""
    return [_programme(lab, programme, followers.get(programme.id, 0), language) for programme in lab.programmes]


def idle_machines(lab: Lab) -> list[Machine]:
    """Machines that serve no work process of any programme."""
    named = {place for programme in lab.programmes for process in programme.processes for place in process.machines}
    return [machine for machine in lab.machines if not _places(machine) & named]


def strangers(lab: Lab, followers: Mapping[str | None, int]) -> list[tuple[str, int]]:
    """(programme, apprentices) for programmes that people have and the configuration has not."""
    known = {programme.id for programme in lab.programmes}
    return sorted((name, count) for name, count in followers.items() if name is not None and name not in known)


def _programme(lab: Lab, programme: Programme, apprentices: int, language: Words) -> ProgrammeRow:
    total_ms = sum(process.required_ms or 0 for process in programme.processes)
    processes = tuple(_process(lab, programme, process, language) for process in programme.processes)
    warnings = _total_warnings(lab, programme, total_ms, language)
    return ProgrammeRow(
        id=programme.id,
        title=programme.title.in_language(language.language),
        code=programme.code or "",
        classifier=programme.classifier or "",
        apprentices=apprentices,
        total=_time(lab, programme, total_ms),
        processes=processes,
        competencies=len(programme.competencies),
        warnings=warnings,
        flagged=bool(warnings) or any(process.warnings for process in processes),
    )


def _process(lab: Lab, programme: Programme, process: Process, language: Words) -> ProcessRow:
    serving = [machine for machine in lab.machines if _places(machine) & {*process.machines}]
    competencies = tuple(
        CompetencyRow(each.id, each.title.in_language(language.language), language.gettext(phrases.LEVELS[each.level]))
        for each in programme.competencies
        if each.process == process.id
    )
    warnings = []
    if not serving:
        warnings.append(language.gettext(UNSERVED))
    if not process.required_ms and not competencies:
        warnings.append(language.gettext(NOTHING_TO_REACH))
    if any(process.id == each.id for other in lab.programmes if other.id != programme.id for each in other.processes):
        warnings.append(language.gettext(SHARED))
    return ProcessRow(
        id=process.id,
        title=process.title.in_language(language.language),
        required=None if process.required_ms is None else _time(lab, programme, process.required_ms),
        minimum="" if process.minimum_ms is None else hours_minutes(process.minimum_ms),
        maximum="" if process.maximum_ms is None else hours_minutes(process.maximum_ms),
        machines=tuple(machine.name.in_language(language.language) or machine.id for machine in serving),
        states=tuple(language.gettext(phrases.STATES[state]) for state in process.counts or ()),
        presence_counts=process.presence_counts,
        competencies=competencies,
        warnings=tuple(warnings),
    )


def _total_warnings(lab: Lab, programme: Programme, total_ms: int, language: Words) -> tuple[str, ...]:
    """Where the classifier counts in credits, the hours of a programme are a whole number of them."""
    classifier = CLASSIFIERS.get(programme.classifier or "")
    if classifier is None or not total_ms:
        return ()
    exact = classifier.credits(total_ms, lab.academic_hour_ms)
    if exact.denominator == 1:
        return ()
    least_ms = classifier.credit_academic_hours * lab.academic_hour_ms
    said = language.gettext(
        N_(
            "The required hours, %(hours)s, are not a whole number of credits; the nearest are %(below)s and %(above)s."
        ),
        hours=hours_minutes(total_ms),
        below=hours_minutes(int(exact) * least_ms),
        above=hours_minutes((int(exact) + 1) * least_ms),
    )
    return (said,)


def _time(lab: Lab, programme: Programme, duration_ms: int) -> Time:
    classifier = CLASSIFIERS.get(programme.classifier or "")
    found = "" if classifier is None else _tenths(classifier.credits(duration_ms, lab.academic_hour_ms))
    return Time(hours_minutes(duration_ms), academic_hours(duration_ms, lab.academic_hour_ms), found)


def _tenths(value: Fraction) -> str:
    return decimal_comma(Decimal(value.numerator) / Decimal(value.denominator))


def _places(machine: Machine) -> set[str]:
    """How a process may name this machine."""
    return {machine.id} | ({CLASS_PREFIX + machine.machine_class} if machine.machine_class else set())


def names(machines: Sequence[Machine], language: Words) -> list[str]:
    """Their names, in words."""
    return [machine.name.in_language(language.language) or machine.id for machine in machines]
