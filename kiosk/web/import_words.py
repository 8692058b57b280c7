"""What the columns of an import mean, and how its problems are shown, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kiosk.imports.problems import Problem
from kiosk.phrases import N_
from kiosk.words import Words

PEOPLE = {
    "person_id": N_("the college's own number or name for the person: it stays the same for years, without spaces"),
    "role": N_("one of: %(values)s"),
    "surname": N_("the surname"),
    "given": N_("the given name"),
    "patronymic": N_("the patronymic, where there is one"),
    "group": N_("the study group"),
    "active": N_("whether the person is on the list now: %(values)s; empty means %(empty)s"),
    "language": N_("what the kiosk speaks to the person: %(values)s"),
    "birth_date": N_("the birth date: for the limits of minors"),
    "programme": N_("the id of the programme, as in the list of programmes: %(values)s"),
    "enterprise": N_("the id of the enterprise of the contract: %(values)s"),
    "personnel_number": N_("the person's number at the enterprise"),
    "contract": N_("the number of the contract"),
    "contract_from": N_("the first day of the contract"),
    "contract_to": N_("the last day of the contract"),
    "consent_until": N_("the last day of the consent to send records to the enterprise"),
    "badges": N_(
        "numbers of cards, separated by spaces, as a reader sends them; cards are better given by tapping them"
    ),
    "qualifications": N_(
        "briefings and qualifications, separated by spaces, each with its last valid day if it has one"
    ),
}
PROGRAMMES = {
    "programme": N_("the id of the programme: letters, digits, - and _; needed in every line"),
    "code": N_("the code of the classifier"),
    "classifier": N_("which classifier the code is from"),
    "programme_kk": N_("the title of the programme in Kazakh"),
    "programme_ru": N_("the title of the programme in Russian"),
    "programme_en": N_("the title of the programme in English"),
    "programme_title": N_("one title of the programme for all languages"),
    "process": N_("the id of the work process"),
    "process_kk": N_("the title of the work process in Kazakh"),
    "process_ru": N_("the title of the work process in Russian"),
    "process_en": N_("the title of the work process in English"),
    "process_title": N_("one title of the work process for all languages"),
    "required": N_("the hours that are required (60 minutes each): %(values)s"),
    "minimum": N_("the fewest hours that are accepted"),
    "maximum": N_("the most hours that count"),
    "machines": N_("where it is done: ids of machines, or classes of them, separated by spaces: %(values)s"),
    "counts": N_("states of the machine that count, where they are others than usual: %(values)s"),
    "presence_counts": N_("whether presence counts where no machine is heard: %(values)s"),
    "competency": N_("the id of a competency of this work process"),
    "competency_kk": N_("the competency in Kazakh"),
    "competency_ru": N_("the competency in Russian"),
    "competency_en": N_("the competency in English"),
    "competency_title": N_("one text of the competency for all languages"),
    "level": N_("the level that is required: 1 with help, 2 alone, 3 can teach it; empty means 2"),
    "alignment": N_("the address of the same skill in a public list, where there is one"),
}


@dataclass(frozen=True)
class ColumnRow:
    """One column, explained."""

    name: str
    meaning: str
    example: str
    required: bool


@dataclass(frozen=True)
class ProblemRow:
    """One thing to mend, in words."""

    line: int
    column: str
    what: str
    remedy: str


def column_rows(
    meanings: Mapping[str, str],
    examples: Mapping[str, str],
    required: Sequence[str],
    values: Mapping[str, Iterable[str]],
    language: Words,
) -> list[ColumnRow]:
    """Each column in the file's order; `values` fills in what may stand there."""
    rows = []
    for name, meaning in meanings.items():
        said = ", ".join(values.get(name, ())) or "–"
        text = language.gettext(meaning, values=said, empty="yes") if "%(" in meaning else language.gettext(meaning)
        rows.append(ColumnRow(name, sentence(text), examples.get(name, ""), name in required))
    return rows


def problem_rows(problems: Iterable[Problem], language: Words) -> list[ProblemRow]:
    """Problems in the reader's language."""
    rows = []
    for problem in problems:
        what, remedy = problem.said(language.gettext)
        rows.append(ProblemRow(problem.line, problem.column, sentence(what), sentence(remedy)))
    return rows


def sentence(text: str) -> str:
    """With a capital letter and a full stop, as it stands in a table of its own."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
