"""Hours session by session: what each was, what of it counts within some days, on what evidence, and who decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter

from kiosk import phrases
from kiosk.domain.utc import utc_text
from kiosk.reports.hours import parts
from kiosk.reports.period import Period
from kiosk.reports.source import NAMELESS, Source, full_name
from kiosk.reports.table import Column, LongReport, LongTable, Row
from kiosk.reports.ticks import Tick, untold
from kiosk.store import views
from kiosk.store.ledger import Ledger
from kiosk.store.people import Person
from kiosk.store.views import SessionView
from kiosk.words import local
from lab_config.model import STATES


@dataclass(frozen=True)
class Counted:
    """A closed session, and what of its hours lies within the days asked for."""

    row: SessionView
    person: Person | None
    """None for who was erased."""
    process: str | None
    """The one decided, where a decision credits something."""
    approved_ms: int
    waiting_ms: int


def counted(source: Source, period: Period, tick: Tick = untold) -> Iterator[Counted]:
    """The sessions that share time with a period, by start: as many hours as journal, diary and attendance show."""
    refs = None if source.whom is None else sorted(source.whom)
    for session, cut in groupby(parts(source, period, refs, tick), attrgetter("session")):
        found = list(cut)
        row = views.session(source.connection, session)
        assert row is not None, "the same reading that found it sees it"
        yield Counted(
            row,
            source.roster.get(found[0].person_ref),
            found[0].process,
            sum(each.approved_ms for each in found),
            sum(each.waiting_ms for each in found),
        )


# --- as a table


def sessions(source: Source, period: Period, tick: Tick = untold, *, on_paper: bool = False) -> LongReport:
    """A row for each session; on paper without what has no room there."""
    words = source.words
    rows = _Rows(source, period, tick, on_paper)
    return LongReport(
        title=words.gettext("Hours by session"),
        subtitle=tuple(source.heading(period)),
        tables=(LongTable(rows.columns(), rows, rows.totals),),
        notes=(
            words.gettext(
                "Approved and waiting hours are those within these days; the rest is of the whole session. "
                "Sessions that are still open are left out."
            ),
            *source.rule(),
        ),
        signatures=(words.gettext("Instructor"), words.gettext("Deputy director")),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


class _Rows:
    """Reads the sessions, and adds up what has passed."""

    def __init__(self, source: Source, period: Period, tick: Tick, on_paper: bool) -> None:
        self._source, self._period, self._tick, self._on_paper = source, period, tick, on_paper
        self._decider = cache(source.decider)
        self._sums: list[int] = [0] * (5 + len(self._states))

    @property
    def _states(self) -> tuple[str, ...]:
        return () if self._on_paper else STATES

    def columns(self) -> tuple[Column, ...]:
        """What stands in a row."""
        say = self._source.words.gettext
        who = () if self._on_paper else (say("Group"), say("Programme"), say("Enterprise"))
        return (
            Column(say("Id")),
            Column(say("Full name")),
            *map(Column, who),
            Column(say("Machine")),
            Column(say("Work process")),
            *(() if self._on_paper else (Column(say("Role")),)),
            *self._when_columns(),
            Column(say("Presence, h"), "hours"),
            Column(say("Credited, h"), "hours"),
            Column(say("Approved, h"), "hours"),
            Column(say("Approved, ac. h"), "academic"),
            Column(say("Waiting, h"), "hours"),
            Column(say("Unverified, h"), "hours"),
            *(Column(say(phrases.STATES[state]), "hours") for state in self._states),
            Column(say("Evidence")),
            Column(say("Flags")),
            Column(say("Decision")),
            Column(say("Decided by")),
            Column(say("Decided on"), "date"),
            *(() if self._on_paper else (Column(say("Session"), "number"),)),
        )

    def _when_columns(self) -> tuple[Column, Column]:
        say = self._source.words.gettext
        if self._on_paper:
            return Column(say("Date"), "date"), Column(say("Time"))
        return Column(say("Start"), "moment"), Column(say("End"), "moment")

    def __iter__(self) -> Iterator[Row]:
        for each in counted(self._source, self._period, self._tick):
            row = each.row
            hours = (row.presence_ms, row.credited_ms, each.approved_ms, each.waiting_ms, row.unverified_ms)
            by_state = tuple(row.by_state.get(state, 0) for state in self._states)
            self._sums = [reached + more for reached, more in zip(self._sums, (*hours, *by_state), strict=True)]
            yield (*self._who(each), *_hours(*hours), *(ms or None for ms in by_state), *self._standing(row))

    def totals(self) -> Row:
        """Of the rows so far."""
        before = 4 if self._on_paper else 8
        hours, by_state = self._sums[:5], self._sums[5:]
        in_all = self._source.words.gettext("In all")
        after = 5 if self._on_paper else 6
        return (None, in_all, *[None] * (before - 2), None, None, *_hours(*hours), *by_state, *[None] * after)

    def _who(self, each: Counted) -> Row:
        """Whose session, where, as what, and when."""
        source, row, person = self._source, each.row, each.person
        programme = row.programme or (person.programme if person else None)
        machine, process = source.machine(row.machine), source.process(programme, each.process)
        start, end = (local(ms, source.zone).replace(tzinfo=None) for ms in (row.start_ms, row.end_ms or row.start_ms))
        if self._on_paper:
            when = start.date(), f"{start:%H:%M}–{end:%H:%M}"
            return (person.person_id if person else None, full_name(person), machine, process, *when)
        return (
            person.person_id if person else None,
            full_name(person),
            person.group if person else None,
            source.programme(programme),
            source.enterprise(person.enterprise if person else None),
            machine,
            process,
            source.words.gettext(phrases.SESSION_ROLES[row.role]),
            start,
            end,
        )

    def _standing(self, row: SessionView) -> Row:
        """On what evidence, with what flags, and what was decided."""
        say = self._source.words.gettext
        decided = row.review != "pending" and row.decided_at_ms is not None
        flags = ", ".join(say(phrases.FLAGS[flag]) if flag in phrases.FLAGS else flag for flag in row.flags)
        standing = (
            say(phrases.EVIDENCE[row.evidence]) if row.evidence in phrases.EVIDENCE else row.evidence,
            flags,
            say(phrases.REVIEWS[row.review]),
            self._decider(row.decided_by) if decided else None,
            local(row.decided_at_ms, self._source.zone).date() if decided and row.decided_at_ms is not None else None,
        )
        return standing if self._on_paper else (*standing, row.session)


def _hours(presence_ms: int, credited_ms: int, approved_ms: int, waiting_ms: int, unverified_ms: int) -> Row:
    return (presence_ms, credited_ms, approved_ms, approved_ms, waiting_ms, unverified_ms)


# --- as objects, for a program


def session_objects(source: Source, period: Period, tick: Tick = untold) -> Iterator[dict[str, object]]:
    """One object a session, in the words of `replay --json` and of records; ids, UTC, and no name but of people."""
    log = Ledger(source.connection).log_id
    decider = cache(source.decider)
    for each in counted(source, period, tick):
        row, person = each.row, each.person
        end_ms = row.end_ms if row.end_ms is not None else row.start_ms
        yield {
            "kind": "session",
            "log": log,
            "session": row.session,
            **person_of(person),
            "programme": row.programme or (person.programme if person else None),
            "machine": row.machine,
            "process": each.process,
            "role": row.role,
            "local_date": row.local_date,
            "start": utc_text(row.start_ms),
            "end": utc_text(end_ms),
            "start_ms": row.start_ms,
            "end_ms": end_ms,
            "reason": row.reason,
            "closed_by": row.closed_by,
            "presence_ms": row.presence_ms,
            "by_state_ms": dict(row.by_state),
            "credited_ms": row.credited_ms,
            "unverified_ms": row.unverified_ms,
            "uncredited_ms": dict(row.uncredited),
            "evidence": row.evidence,
            "flags": list(row.flags),
            "review": row.review,
            "decided_by": decider(row.decided_by) or None,
            "decided_at": None if row.decided_at_ms is None else utc_text(row.decided_at_ms),
            "decided_credited_ms": row.decided_credited_ms,
            "approved_ms": each.approved_ms,
            "waiting_ms": each.waiting_ms,
        }


def person_of(person: Person | None) -> dict[str, object]:
    """Who, as the roster has them now; nothing of somebody who was erased."""
    name = full_name(person)
    return {
        "person": person.person_id if person else None,
        "name": None if name == NAMELESS else name,
        "group": (person.group or None) if person else None,
        "programme": person.programme if person else None,
        "enterprise": person.enterprise if person else None,
    }
