"""`/reports`: the college's paper. A month of a group is on screen at once; every file is made beside the kiosk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import NoteAct
from kiosk.phrases import LANGUAGE_NAMES, N_, STATES
from kiosk.reports.asked import EVERY_GROUP, TITLES, Asked, ReportKind, build, make_file
from kiosk.reports.cells import NUMERIC, shown_row
from kiosk.reports.files import MEDIA
from kiosk.reports.journal import journal_of, sheets, weeks
from kiosk.reports.machine_use import machine_use_of, use_of_machines
from kiosk.reports.period import Period, month, month_of, period
from kiosk.reports.source import NO_GROUP, Source, full_name
from kiosk.reports.table import Report, Table
from kiosk.store.schema import open_reader
from kiosk.web import charts
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.charts import Column, Columns, Row, Stacked
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.jobs import DONE, QueueFull
from kiosk.web.review import submit
from kiosk.words import local, words
from lab_config.model import LANGUAGES

reports = Blueprint("reports", __name__, url_prefix="/reports")

PATIENCE_S = 4.0
"""How long a request waits for a small file before it shows the progress instead."""
MONTHS_OFFERED = 14
UNFIT = re.compile(r"[^\w .-]")
"""What a name of a file does without."""
LONGEST_GROUP = 40
NOBODY_IN_A_GROUP = "-"
"""`NO_GROUP` in an address, where an empty text is nothing chosen."""
ON_SCREEN_DAYS: Mapping[str, int] = {"journal": 31, "attendance": 366, "diary": 31, "machines": 366, "briefings": 31}
"""A longer period is made as a file: a page must not grow with the history."""
MOST_ROWS = 400
"""So is what turns out to be longer: the briefings of a whole college in September."""
ABOUT: Mapping[ReportKind, str] = {
    "journal": N_("A group's people by the days of a month, with the sums to sign."),
    "attendance": N_("The share of the hours that was done at the enterprise, for each person."),
    "diary": N_("One person's practice day by day: machine, work process, hours, evidence, decision."),
    "machines": N_("How long each machine ran, was set up or stood idle with somebody on it."),
    "briefings": N_("Who was briefed, when, by whom, until when it holds, with two columns to sign."),
}


@dataclass(frozen=True)
class Drawn:
    """A report on screen, and its charts where it has any."""

    report: Report
    columns: Columns | None = None
    stacked: Stacked | None = None

    def rows(self, table: Table) -> Iterator[tuple[str, ...]]:
        """What the cells of a table show."""
        return (shown_row(row, table, self.report) for row in table.rows)

    def totals(self, table: Table) -> tuple[str, ...]:
        """What its last row shows; empty without one."""
        return () if table.totals is None else shown_row(table.totals, table, self.report)


@reports.get("", strict_slashes=False)
def choose() -> str:
    """Which reports there are."""
    return render_template("staff/reports.html", titles=TITLES, about=ABOUT)


@reports.get("/<kind>")
def show(kind: str) -> str:
    """The form of one report, and the report itself where it is short enough to be read."""
    with _source() as source:
        asked, trouble = _asked(source, kind, request.args)
        drawn = None if trouble or too_long(source, asked) else draw(source, asked)
        if drawn is not None and sum(len(table.rows) for table in drawn.report.tables) > MOST_ROWS:
            drawn = None
        return render_template(
            "staff/report.html",
            asked=asked,
            title=TITLES[asked.kind],
            trouble=trouble,
            drawn=drawn,
            forms=tuple(MEDIA),
            offered=_offered(source),
            typed=request.args,
            numeric=NUMERIC,
            states=STATES,
            language_names=LANGUAGE_NAMES,
        )


@reports.post("/<kind>/file")
def file(kind: str) -> BaseResponse:
    """Have it made; a small one is sent at once, of a long one the progress is shown."""
    form = request.form.get("form", "")
    with _source() as source:
        asked, trouble = _asked(source, kind, request.form)
    if form not in MEDIA:
        abort(400)
    back = url_for("reports.show", kind=asked.kind, **_said(request.form))
    if trouble:
        return redirect(back, 303)
    first, last = asked.period.first.isoformat(), asked.period.last.isoformat()
    if submit(NoteAct("exported", account().user_ref, f"{asked.kind}:{form}:{first}:{last}")) is None:
        return redirect(back, 303)
    services, jobs, owner = services_of_app(current_app), jobs_of_app(current_app), account().user_ref
    arguments = (services.database, services.lab, services.wall_ms(), asked, form)
    try:
        filename, shown_as = _filenames(asked, form)
        job_id = jobs.start(TITLES[asked.kind], owner, make_file, arguments, filename=filename, shown_as=shown_as)
    except QueueFull:
        flash(gettext("Too much is being made at the moment. Try again in a few minutes."), "refused")
        return redirect(back, 303)
    jobs.wait(job_id, PATIENCE_S)
    job = jobs.get(owner, job_id)
    done = job is not None and job.state == DONE
    return redirect(url_for("jobs.file" if done else "jobs.show", job_id=job_id), 303)


def too_long(source: Source, asked: Asked) -> bool:
    """More than a screen should hold, and a request should read?"""
    if asked.period.days > ON_SCREEN_DAYS[asked.kind]:
        return True
    if asked.kind == "journal":
        return asked.group == EVERY_GROUP or not asked.period.one_month
    return asked.kind == "attendance" and asked.group == EVERY_GROUP and not asked.period.one_month


def draw(source: Source, asked: Asked) -> Drawn:
    """The report with its charts, all from one reading."""
    academic_hour_ms = source.lab.academic_hour_ms
    if asked.kind == "journal":
        made = sheets(source, asked.period, [asked.group])
        by_week = [Column(monday.strftime("%d.%m"), ms) for monday, ms in weeks(made)]
        return Drawn(
            journal_of(source, asked.period, made, "academic" if asked.academic else "hours"),
            columns=charts.columns(by_week, academic_hour_ms=academic_hour_ms),
        )
    if asked.kind == "machines":
        found = use_of_machines(source, asked.period, asked.machine)
        rows = [Row(source.machine(each), list(by_state.items())) for each, by_state in found.items() if by_state]
        return Drawn(
            machine_use_of(source, asked.period, found),
            stacked=charts.stacked(rows, tuple(STATES), academic_hour_ms=academic_hour_ms) if rows else None,
        )
    return Drawn(build(source, asked))


# --- what is asked


def _asked(source: Source, kind: str, given: Mapping[str, str]) -> tuple[Asked, str]:
    """What a form says, and why it cannot be answered; empty where it can."""
    found = next((each for each in TITLES if each == kind), None)
    if found is None:
        abort(404)
    chosen, trouble = _period(source, given)
    language = given.get("language", "")
    asked = Asked(
        kind=found,
        period=chosen,
        language=language if language in LANGUAGES else source.words.language,
        group=_group(source, given.get("group", EVERY_GROUP if found == "briefings" else None)),
        academic=given.get("unit") != "hours",
    )
    if found == "diary":
        person = source.roster.get(given.get("person", ""))
        if person is None:
            return asked, trouble or gettext("Choose a person.")
        asked = replace(asked, person_ref=person.person_ref)
    elif given.get("group") and asked.group is None:  # renamed or left since the address was made
        trouble = trouble or gettext("There is no such group. Choose another one.")
    machine = given.get("machine", "")
    if found == "machines" and machine in {each.id for each in source.lab.machines}:
        asked = replace(asked, machine=machine)
    return asked, trouble


def _period(source: Source, given: Mapping[str, str]) -> tuple[Period, str]:
    this_month = month_of(local(source.now_ms, source.zone).date())
    if given.get("month"):
        found = month(given["month"])
        return (found, "") if found else (this_month, gettext("Choose a month."))
    if given.get("first") or given.get("last"):
        found = period(given.get("first", ""), given.get("last", ""))
        said = gettext("Say the first and the last day, the earlier one first, at most two years apart.")
        return (found, "") if found else (this_month, said)
    return this_month, ""


def _group(source: Source, given: str | None) -> str | None:
    """The group that was chosen; the first one where nobody chose yet."""
    if given is None:
        return next(iter(source.groups), None)
    if given == NOBODY_IN_A_GROUP:
        return NO_GROUP
    return given if given in {*source.groups, EVERY_GROUP} else None


def _said(given: Mapping[str, str]) -> dict[str, Any]:
    """What goes back into the address: codes and dates, never a name of a person."""
    kept = ("group", "person", "machine", "month", "first", "last", "unit", "language")
    return {name: given[name] for name in kept if given.get(name)}


@dataclass(frozen=True)
class Offered:
    """What the form offers: values with what they are called."""

    groups: list[tuple[str, str]]
    people: list[tuple[str, str]]
    machines: list[tuple[str, str]]
    months: list[tuple[str, str]]


def _offered(source: Source) -> Offered:
    months = []
    each = local(source.now_ms, source.zone).date()
    for _ in range(MONTHS_OFFERED):
        found = month_of(each)
        months.append((found.first.strftime("%Y-%m"), source.month_name(found)))
        each = date.fromordinal(found.first.toordinal() - 1)
    return Offered(
        groups=[
            *((name, name) for name in source.groups),
            (NOBODY_IN_A_GROUP, gettext("No group")),
            (EVERY_GROUP, gettext("All groups")),
        ],
        people=[(ref, full_name(person)) for ref, person in source.listed(None, ()).items()],
        machines=[(machine.id, source.machine(machine.id)) for machine in source.lab.machines],
        months=months,
    )


def _filenames(asked: Asked, form: str) -> tuple[str, str]:
    """In ASCII and in the report's language: kind, group and days; no person, and nothing that a file system minds."""
    span = asked.period
    whole_month = span == month_of(span.first)
    days = span.first.strftime("%Y-%m") if whole_month else f"{span.first.isoformat()}_{span.last.isoformat()}"
    group = asked.group if asked.kind != "diary" and asked.group not in {None, EVERY_GROUP} else ""
    title = words(asked.language).gettext(TITLES[asked.kind])
    shown = " ".join(filter(None, (title, UNFIT.sub("_", group or "")[:LONGEST_GROUP], days)))
    return f"{asked.kind}_{days}.{form}", f"{shown}.{form}"


@contextmanager
def _source() -> Iterator[Source]:
    """The store for one answer, in the language that the report is asked for in."""
    services = services_of_app(current_app)
    asked_in = request.values.get("language", "")
    language = words(asked_in if asked_in in LANGUAGES else request_language(services))
    with closing(open_reader(services.database)) as connection:
        yield Source(connection, services.lab, language, services.wall_ms())
