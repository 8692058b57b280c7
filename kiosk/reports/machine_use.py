"""How the machines were used: time with somebody on them, by what the machine did meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from kiosk import phrases
from kiosk.reports.period import Period
from kiosk.reports.source import Source
from kiosk.reports.table import Column, Report, Row, Table
from kiosk.store.totals import machine_days
from lab_config.model import STATES

ByState = Mapping[str, int]


def use_of_machines(source: Source, period: Period, machine: str | None = None) -> dict[str, dict[str, int]]:
    """Milliseconds by state of each machine of the lab (or of one), in its order; then of those no longer in it."""
    asked = [each.id for each in source.lab.machines if machine in {None, each.id}]
    found: dict[str, dict[str, int]] = {each: defaultdict(int) for each in asked}
    for row in machine_days(source.connection, period.first.isoformat(), period.last.isoformat(), machine):
        found.setdefault(row.machine, defaultdict(int))[row.state] += row.ms
    return found


def machine_use(source: Source, period: Period, machine: str | None = None) -> Report:
    """A row for each machine: hours by state, their sum, and the share in which it ran."""
    return machine_use_of(source, period, use_of_machines(source, period, machine))


def machine_use_of(source: Source, period: Period, found: Mapping[str, ByState]) -> Report:
    """The same of what was read already."""
    words = source.words
    states = [state for state in STATES if any(each.get(state) for each in found.values())]
    columns = (
        Column(words.gettext("Machine")),
        *(Column(words.gettext(phrases.STATES[state]), "hours") for state in states),
        Column(words.gettext("In all"), "hours"),
        Column(words.gettext("Running, per cent"), "percent"),
    )
    totals = {state: sum(each.get(state, 0) for each in found.values()) for state in states}
    return Report(
        title=words.gettext("Use of the machines"),
        subtitle=tuple(source.heading(period)),
        tables=(
            Table(
                columns,
                tuple(_row(source.machine(each), by_state, states) for each, by_state in found.items()),
                _row(words.gettext("In all"), totals, states),
            ),
        ),
        notes=(
            words.gettext("Time with somebody on the machine; two people on it count twice."),
            words.gettext("A session over midnight is counted on the day it began."),
        ),
        signatures=(words.gettext("Instructor"),),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


def _row(name: str, by_state: ByState, states: list[str]) -> Row:
    whole = sum(by_state.get(state, 0) for state in states)
    running = Fraction(by_state.get("running", 0), whole) if whole else None
    return (name, *(by_state.get(state) or None for state in states), whole, running)
