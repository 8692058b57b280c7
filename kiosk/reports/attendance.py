"""Where practice was done: the share of each person's hours at the enterprise, against what dual training asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from kiosk.reports.hours import parts
from kiosk.reports.journal import group_name
from kiosk.reports.period import Period
from kiosk.reports.source import NAMELESS, NO_GROUP, Source, full_name
from kiosk.reports.table import Column, Report, Row, Table
from kiosk.reports.ticks import Tick, untold


@dataclass
class Places:
    """One person's approved time by place, and what waits at either."""

    college_ms: int = 0
    enterprise_ms: int = 0
    waiting_ms: int = 0

    @property
    def whole_ms(self) -> int:
        """At both."""
        return self.college_ms + self.enterprise_ms

    @property
    def share(self) -> Fraction | None:
        """Of the enterprise, to a tenth of a per cent begun; None before the first hour.

        Not rounded: what is too little must not read as enough.
        """
        return Fraction(self.enterprise_ms * 1000 // self.whole_ms, 1000) if self.whole_ms else None


def attendance(source: Source, period: Period, group: str | None = None, tick: Tick = untold) -> Report:
    """A row for each person: hours at the enterprise and at the college, the share, and whether it is enough."""
    words = source.words
    known = source.of_group(group)
    everybody = source.roster
    at = {each.id: each.place for each in source.lab.machines}
    found: dict[str, Places] = defaultdict(Places)
    totals = Places()
    refs = None if group in {None, NO_GROUP} else list(known)
    for part in parts(source, period, refs, tick):
        nobody = part.person_ref not in everybody
        if part.person_ref not in known and not nobody:
            continue
        for places in (found["" if nobody else part.person_ref], totals):
            if at.get(part.machine, source.lab.place) == "enterprise":
                places.enterprise_ms += part.approved_ms
            else:
                places.college_ms += part.approved_ms
            places.waiting_ms += part.waiting_ms
    names = {ref: full_name(each) for ref, each in source.listed(group, found).items()}
    if "" in found:
        names[""] = NAMELESS
    rows = tuple(_row(source, n, name, found[ref]) for n, (ref, name) in enumerate(names.items(), start=1))
    return Report(
        title=words.gettext("Hours at the enterprise and at the college"),
        subtitle=(*source.heading(period), group_name(source, group)),
        tables=(Table(_columns(source), rows, (None, *_row(source, 0, words.gettext("In all"), totals)[1:])),),
        notes=(
            words.gettext(
                "Asked for at the enterprise: at least %(percent)s per cent of the hours.",
                percent=source.lab.enterprise_share,
            ),
            *_blind(source),
            words.gettext("Approved hours only; what waits for a decision stands in its own column."),
            *source.rule(),
        ),
        signatures=(words.gettext("Instructor"), words.gettext("Deputy director")),
        academic_hour_ms=source.lab.academic_hour_ms,
    )


def _knows_both(source: Source) -> bool:
    """Are there machines at either place? Of one place alone the share says nothing."""
    return len({each.place for each in source.lab.machines}) > 1


def _blind(source: Source) -> Iterator[str]:
    if not _knows_both(source):
        yield source.words.gettext("All machines here stand at one place: the share needs the hours of the other, too.")


def _columns(source: Source) -> tuple[Column, ...]:
    words = source.words
    return (
        Column(words.gettext("No."), "number"),
        Column(words.gettext("Full name")),
        Column(words.gettext("Enterprise, hours"), "hours"),
        Column(words.gettext("Enterprise, ac. hours"), "academic"),
        Column(words.gettext("College, hours"), "hours"),
        Column(words.gettext("College, ac. hours"), "academic"),
        Column(words.gettext("In all, hours"), "hours"),
        Column(words.gettext("In all, ac. hours"), "academic"),
        Column(words.gettext("Share of the enterprise, per cent"), "percent"),
        Column(words.gettext("Against the plan")),
        Column(words.gettext("Waiting, hours"), "hours"),
    )


def _row(source: Source, number: int, name: str, places: Places) -> Row:
    share = places.share
    low = share is not None and share * 100 < source.lab.enterprise_share
    mark = (
        ""
        if share is None or not _knows_both(source)
        else source.words.gettext("too little")
        if low
        else source.words.gettext("enough")
    )
    return (
        number,
        name,
        places.enterprise_ms,
        places.enterprise_ms,
        places.college_ms,
        places.college_ms,
        places.whole_ms,
        places.whole_ms,
        share,
        mark,
        places.waiting_ms,
    )
