"""Programmes: their work processes and competencies; and what qualifications are called."""

from __future__ import annotations

import re
from collections.abc import Collection

from lab_config.model import Competency, Machine, Process, Programme, Qualification
from lab_config.rules import read_counts
from lab_config.tables import Table, did_you_mean, identified

CLASS_PREFIX = "class:"
HIGHEST_LEVEL = 3

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ID_LETTERS = "A-Z, a-z, 0-9, “-” and “_”"


def read_programme(table: Table, identifier: str, machines: Collection[Machine]) -> Programme:
    """One `[[programme]]` with its processes and competencies."""
    places = {machine.id for machine in machines}
    places |= {CLASS_PREFIX + machine.machine_class for machine in machines if machine.machine_class}
    processes = tuple(
        _process(part, name, places) for part, name in identified(table.tables("process"), _ID, _ID_LETTERS)
    )
    known = {process.id for process in processes}
    programme = Programme(
        id=identifier,
        title=table.local_text("title", identifier),
        code=table.optional_text("code"),
        classifier=table.optional_text("classifier"),
        processes=processes,
        competencies=tuple(
            _competency(part, name, known) for part, name in identified(table.tables("competency"), _ID, _ID_LETTERS)
        ),
    )
    table.close()
    return programme


def read_qualification(table: Table, identifier: str) -> Qualification:
    """One `[[qualification]]`: how people call what a machine requires."""
    found = Qualification(id=identifier, name=table.local_text("name", identifier))
    table.close()
    return found


def _process(table: Table, identifier: str, places: Collection[str]) -> Process:
    process = Process(
        id=identifier,
        title=table.local_text("title", identifier),
        required_ms=table.optional_duration("required"),
        minimum_ms=table.optional_duration("minimum"),
        maximum_ms=table.optional_duration("maximum"),
        machines=table.texts("machines", places),
        counts=read_counts(table, ()) if "counts" in table else None,
        presence_counts=table.flag("presence_counts", False),
    )
    if process.maximum_ms is not None:
        for key, least_ms in (("minimum", process.minimum_ms), ("required", process.required_ms)):
            if least_ms is not None and least_ms > process.maximum_ms:
                table.problem(key, "It is more than the maximum that counts.", "Lower it, or raise maximum.")
    table.close()
    return process


def _competency(table: Table, identifier: str, processes: Collection[str]) -> Competency:
    process = table.text("process", required=True)
    if process and process not in processes:
        remedy = did_you_mean(process, processes)
        table.problem("process", f"The programme has no process “{process}”.", remedy)
    competency = Competency(
        id=identifier,
        process=process,
        title=table.local_text("title", identifier),
        level=table.whole("level", Competency.level, 1, HIGHEST_LEVEL),
        alignment=table.optional_text("alignment"),
    )
    table.close()
    return competency
