"""A person's own record, to take along: hours against the plan, skills, papers, months, and how to verify it."""

from __future__ import annotations

import base64
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from kiosk import phrases
from kiosk.domain.competence import Standing
from kiosk.proofs import Checkpoint
from kiosk.reports.hours import Part, by_day
from kiosk.reports.pdf_file import write_pdf
from kiosk.reports.table import Cell, Column, Report, Row, Table
from kiosk.reports.ticks import Tick
from kiosk.store import learners, people
from kiosk.store.learners import SignOffRow
from kiosk.store.ledger import Ledger
from kiosk.store.people import Person
from kiosk.store.schema import open_reader
from kiosk.store.totals import process_totals
from kiosk.store.worked import worked
from kiosk.words import Words, clock_time, day, local, qualification_name, words
from lab_config.model import Lab, LocalText, Process

FIRST_DATE, LAST_DATE = "0001-01-01", "9999-12-31"


def person_report(connection: sqlite3.Connection, lab: Lab, person: Person, language: Words, now_ms: int) -> Report:
    """The record of somebody who is on the roster, as it stands at `now_ms` (UTC milliseconds)."""
    made = _Record(connection, lab, person, language)
    zone = ZoneInfo(lab.timezone)
    return Report(
        title=language.gettext("Record of training"),
        subtitle=tuple(made.who()),
        tables=tuple(each for each in (made.hours(), made.skills(), made.papers(), made.months()) if each.rows),
        notes=tuple(made.notes(f"{day(local(now_ms, zone).date())}, {clock_time(now_ms, zone)}")),
        signatures=(language.gettext("Instructor"), language.gettext("Head of the college")),
        academic_hour_ms=lab.academic_hour_ms,
        landscape=False,
        flowing=True,
    )


def make_record(out: Path, tick: Tick, database: Path, lab: Lab, now_ms: int, person_ref: str, language: str) -> None:
    """Write it as a PDF. For a process of its own; `LookupError` where the person is not on the roster any more."""
    with closing(open_reader(database)) as connection:
        person = people.person_by_ref(connection, person_ref)
        if person is None or not person.person_id:
            raise LookupError(person_ref)
        report = person_report(connection, lab, person, words(language), now_ms)
    with out.open("wb") as file:
        write_pdf(report, file, tick)


@dataclass
class _Month:
    """What somebody did in one; a session is counted where it began."""

    sessions: int = 0
    presence_ms: int = 0
    approved_ms: int = 0
    waiting_ms: int = 0

    def add(self, part: Part, *, begins: bool) -> None:
        """A session, or what of one lies on a day."""
        self.sessions += begins
        self.presence_ms += part.end_ms - part.start_ms
        self.approved_ms += part.approved_ms
        self.waiting_ms += part.waiting_ms


class _Record:
    """Reads once, and makes a table of each part."""

    def __init__(self, connection: sqlite3.Connection, lab: Lab, person: Person, language: Words) -> None:
        self._connection = connection
        self._lab = lab
        self._person = person
        self._words = language
        self._programme = next((each for each in lab.programmes if each.id == person.programme), None)
        self._zone = ZoneInfo(lab.timezone)
        self._totals = process_totals(connection, [person.person_ref])
        self._known = learners.of_person(connection, person.person_ref)

    def _said(self, text: LocalText | None, fallback: str) -> str:
        return (text.in_language(self._words.language) if text is not None else "") or fallback

    def who(self) -> Iterator[str]:
        """Whose record this is, in a few lines."""
        say, person, lab = self._words.gettext, self._person, self._lab
        yield " ".join(part for part in (person.surname, person.given, person.patronymic) if part)
        enterprise = next((each.name for each in lab.enterprises if each.id == person.enterprise), None)
        for line in (
            ((say("Date of birth"), day(person.birth_date) if person.birth_date else ""), (say("Group"), person.group)),
            ((say("Programme"), self._programme_title()),),
            ((say("College"), self._said(lab.organisation, "")), (say("Workshop"), self._said(lab.name, lab.id))),
            (
                (say("Enterprise"), self._said(enterprise, person.enterprise or "")),
                (say("Personnel number"), person.personnel_number),
                (say("Contract"), person.contract),
            ),
        ):
            told = " · ".join(f"{label}: {value}" for label, value in line if value)
            if told:
                yield told

    def _programme_title(self) -> str:
        programme = self._programme
        if programme is None:
            return self._person.programme or ""
        title = self._said(programme.title, programme.id)
        return f"{programme.code} {title}" if programme.code else title

    def hours(self) -> Table:
        """Each work process against its plan; what was done outside of it too."""
        say = self._words.gettext
        sums: dict[str | None, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for each in self._totals:
            approved, waiting = sums[each.process]
            sums[each.process] = approved + each.approved_ms, waiting + each.waiting_ms
        rows: list[Row] = []
        for process in self._programme.processes if self._programme else ():
            rows.append(self._process_row(process, *sums.pop(process.id, (0, 0))))
        for key, (approved, waiting) in sorted(sums.items(), key=lambda item: item[0] or ""):
            if approved or waiting:
                title = say("without a work process") if key is None else key
                rows.append((title, None, approved, approved, waiting, waiting))
        return Table(
            columns=(
                Column(say("Work process")),
                Column(say("Plan, h"), "hours"),
                Column(say("Approved, h"), "hours"),
                Column(say("Approved, ac. h"), "academic"),
                Column(say("Waiting, h"), "hours"),
                Column(say("Waiting, ac. h"), "academic"),
            ),
            rows=tuple(rows),
            totals=(say("In all"), *(_sum(row[place] for row in rows) for place in range(1, 6))),
            title=say("Hours against the plan"),
        )

    def _process_row(self, process: Process, approved_ms: int, waiting_ms: int) -> Row:
        plan = Standing(
            process.id, process.required_ms, process.minimum_ms, process.maximum_ms, approved_ms, waiting_ms
        )
        title = f"{process.id} · {self._said(process.title, process.id)}"
        return title, plan.needed_ms or None, approved_ms, approved_ms, waiting_ms, waiting_ms

    def skills(self) -> Table:
        """Every competency with the judgement that stands, by whom and when."""
        say = self._words.gettext
        stands = {(each.programme, each.competency): each for each in self._known.sign_offs}
        programme = self._programme
        rows = [
            (self._said(each.title, each.id), *self._signed(stands.get((programme.id, each.id))))
            for each in (programme.competencies if programme else ())
            if programme
        ]
        return Table(
            columns=(
                Column(say("Skill")),
                Column(say("Level")),
                Column(say("Signed by")),
                Column(say("Date"), "date"),
            ),
            rows=tuple(rows),
            title=say("Skills"),
        )

    def _signed(self, row: SignOffRow | None) -> tuple[str, str, date | None]:
        if row is None:
            return self._words.gettext(phrases.NO_LEVEL), "", None
        at = local(row.at_ms, self._zone).date()
        return self._words.gettext(phrases.LEVELS[row.level]), self._signer(row.by), at

    def _signer(self, by: str) -> str:
        user = people.user_by_ref(self._connection, by)
        person = people.person_by_ref(self._connection, (user.person_ref if user else by) or "")
        return (person.short_name if person else "") or (user.name if user else "")

    def papers(self) -> Table:
        """Qualifications and briefings with their last valid day."""
        say = self._words.gettext
        rows: list[Row] = []
        for name, until in self._known.qualifications:
            title = qualification_name(self._lab, name, self._words)
            rows.append((title, say("until %(day)s", day=day(until)) if until else say("no end")))
        return Table(
            columns=(Column(say("What")), Column(say("Valid"))),
            rows=tuple(rows),
            title=say("Qualifications and briefings"),
        )

    def months(self) -> Table:
        """The sessions, summed by month; one over midnight is split there, as in the journal."""
        say = self._words.gettext
        by_month: dict[date, _Month] = defaultdict(_Month)
        for row in worked(self._connection, FIRST_DATE, LAST_DATE, [self._person.person_ref]):
            for number, part in enumerate(by_day(row, self._zone)):
                by_month[part.day.replace(day=1)].add(part, begins=number == 0)
        rows = [self._month_row(first, of_it) for first, of_it in sorted(by_month.items())]
        return Table(
            columns=(
                Column(say("Month")),
                Column(say("Sessions"), "number"),
                Column(say("Presence, h"), "hours"),
                Column(say("Approved, h"), "hours"),
                Column(say("Approved, ac. h"), "academic"),
                Column(say("Waiting, h"), "hours"),
            ),
            rows=tuple(rows),
            totals=(say("In all"), *(_sum(row[place] for row in rows) for place in range(1, 6))),
            title=say("By month"),
        )

    def _month_row(self, first: date, of_it: _Month) -> Row:
        return (
            format_skeleton("yMMMM", first, locale=self._words.language),
            of_it.sessions,
            of_it.presence_ms,
            of_it.approved_ms,
            of_it.approved_ms,
            of_it.waiting_ms,
        )

    def _references(self) -> Iterator[str]:
        """Theirs, and of the rows that turned out to be the same person: the log has hours under each."""
        yield self._person.person_ref
        yield from (
            ref
            for (ref,) in self._connection.execute(
                "SELECT person_ref FROM people WHERE merged_into = ? ORDER BY person_ref", (self._person.person_ref,)
            )
        )

    def notes(self, made_at: str) -> Iterator[str]:
        """How to read it, and how somebody else can verify it."""
        say = self._words.gettext
        minutes = str(self._lab.academic_hour_ms / 60_000).removesuffix(".0").replace(".", ",")
        yield say(
            "1 h = 60 min; 1 ac. h = %(minutes)s min. Totals are converted once; nothing is rounded before.",
            minutes=minutes,
        )
        yield say("Waiting: credited by the machine's record, not yet approved by an instructor.")
        ledger = Ledger(self._connection)
        if ledger.log_id is not None:
            yield say("Log of the workshop: %(log)s", log=ledger.origin)
        yield say("The person in this log: %(ref)s", ref=", ".join(self._references()))
        note = ledger.newest_checkpoint()
        if note is None:
            yield say("The log has no signed checkpoint yet.")
        else:
            checkpoint = Checkpoint.of_note(note)
            root = base64.b64encode(checkpoint.root).decode("ascii")
            yield say("Signed checkpoint: %(size)s entries, root %(root)s", size=checkpoint.size, root=root)
        yield say(
            "To verify: the enterprise's records and the college's log lead to this checkpoint; what they hold is found"
            " by the reference above."
        )
        yield say("Made: %(at)s", at=made_at)


def _sum(cells: Iterable[Cell]) -> int | None:
    numbers = [each for each in cells if isinstance(each, int)]
    return sum(numbers) if numbers else None
