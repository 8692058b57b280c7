"""`/machines`: how every machine's source and every reader is doing, and what ran this week and the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, render_template

from firmware_bridge.probe.rhythm import too_short
from kiosk import phrases
from kiosk.phrases import N_
from kiosk.store import totals
from kiosk.store.schema import open_reader
from kiosk.web import charts
from kiosk.web.apps import request_language, services_of_app
from kiosk.web.board import machine_name
from kiosk.web.delivery_standing import late
from kiosk.web.reading import Reading
from kiosk.web.services import KioskStatus, ReaderStatus, Services, SourceStatus
from kiosk.words import Words, day, decimal_comma, local, words
from lab_config.model import Lab, Machine, Reader

machines = Blueprint("machines", __name__, url_prefix="/machines")

NOTHING = SourceStatus()


@dataclass(frozen=True)
class MachineRow:
    """One machine, in words."""

    id: str
    name: str
    state: str
    state_words: str
    locked: bool
    source: str
    """The dialect and where it listens; empty without a source."""
    heard: str
    period: str
    stale_after: str
    too_short: bool
    counts: Sequence[tuple[str, int]]
    unmapped: str


@dataclass(frozen=True)
class ReaderRow:
    """One reader, in words."""

    id: str
    place: str
    port: str
    protocol: str
    connected: bool
    trouble: str
    frames: int
    rejected: Sequence[tuple[str, int]]


@machines.get("", strict_slashes=False)
def show() -> str:
    """All machines and all readers, as of now."""
    services = services_of_app(current_app)
    language = words(request_language(services))
    status = services.status()
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        states = reading.machine_states()
        weeks = [_week(reading, back, language) for back in (0, 7)]
    return render_template(
        "staff/machines.html",
        weeks=weeks,
        machines=[machine_row(services, status, each, states, language) for each in services.lab.machines],
        readers=[reader_row(services.lab, status, each, language) for each in services.lab.readers],
        broker=status.broker,
    )


def _week(reading: Reading, back_days: int, language: Words) -> charts.Stacked:
    """The week that began so many days before this one's Monday: each machine's time with somebody on it, by state."""
    today = reading.local_date(services_of_app(current_app).wall_ms())
    monday = today - timedelta(days=today.weekday() + back_days)
    last = monday + timedelta(days=6)
    by_machine: dict[str, Counter[str]] = {}
    for each in totals.machine_days(reading.connection, monday.isoformat(), last.isoformat()):
        by_machine.setdefault(each.machine, Counter())[each.state] += each.ms
    rows = [
        charts.Row(machine_name(reading.lab, machine.id, language), list(by_machine[machine.id].items()))
        for machine in reading.lab.machines
        if machine.id in by_machine
    ]
    return charts.stacked(rows, phrases.STATES, academic_hour_ms=reading.lab.academic_hour_ms)


def machine_row(
    services: Services, status: KioskStatus, machine: Machine, states: Mapping[str, tuple[str, bool]], language: Words
) -> MachineRow:
    """What is known of a machine and of its source."""
    state, locked = states.get(machine.id, ("unknown", False))
    known = status.sources.get(machine.id, NOTHING)
    stale_after_ms = machine.rules.stale_after_ms
    return MachineRow(
        id=machine.id,
        name=machine_name(services.lab, machine.id, language),
        state=state,
        state_words=language.gettext(phrases.STATES[state]),
        locked=locked,
        source=_source(machine),
        heard=_heard(services, status.machines_heard.get(machine.id), language),
        period=language.gettext(N_("not measured yet"))
        if known.period_ms is None
        else lasts(known.period_ms, language),
        stale_after=language.gettext(N_("never")) if stale_after_ms is None else lasts(stale_after_ms, language),
        too_short=too_short(stale_after_ms, known.period_ms),
        counts=[
            (language.gettext(text), known.outcomes[code])
            for code, text in phrases.OUTCOMES.items()
            if known.outcomes.get(code)
        ],
        unmapped=known.unmapped,
    )


def reader_row(lab: Lab, status: KioskStatus, reader: Reader, language: Words) -> ReaderRow:
    """What is known of a reader."""
    known = status.readers.get(reader.id, ReaderStatus(False))
    return ReaderRow(
        id=reader.id,
        place=machine_name(lab, reader.machine, language) or language.gettext(N_("shared reader")),
        port=reader.port,
        protocol=reader.protocol,
        connected=known.connected,
        trouble=trouble(known, language),
        frames=known.frames,
        rejected=[
            (language.gettext(phrases.REJECTIONS[reason]) if reason in phrases.REJECTIONS else reason, count)
            for reason, count in sorted(known.rejected.items())
            if count
        ],
    )


def troubles(services: Services, language: Words) -> list[dict[str, str]]:
    """What keeps taps or states from being heard, for the top of the instructor's list: where, what to do, and the
    page that says more."""
    status = services.status()
    rows = [
        reader_row(services.lab, status, each, language) for each in services.lab.readers if each.id in status.readers
    ]
    found = [
        {"icon": "card", "where": f"{row.place} · {row.id}", "text": row.trouble, "page": "machines.show"}
        for row in rows
        if row.trouble
    ]
    if status.broker is False:
        text = language.gettext(N_("No link to the machines: the broker does not answer. Tell the administrator."))
        found.append({"icon": "signal-lost", "where": "", "text": text, "page": "machines.show"})
    return found + _waiting_records(services, language)


def _waiting_records(services: Services, language: Words) -> list[dict[str, str]]:
    """The enterprises that records have waited for longer than a day."""
    zone = ZoneInfo(services.lab.timezone)
    with closing(open_reader(services.database)) as connection:
        waiting = late(services, Reading(connection, services.lab))
    found = []
    for enterprise, since_ms in waiting:
        text = language.gettext(
            N_("Records for %(enterprise)s have waited since %(day)s. Why, stands under “Sync”."),
            enterprise=enterprise.name.in_language(language.language) or enterprise.id,
            day=day(local(since_ms, zone).date()),
        )
        found.append({"icon": "clock", "where": "", "text": text, "page": "sync.show"})
    return found


def trouble(status: ReaderStatus, language: Words) -> str:
    """What is wrong with a reader and what to do; empty where all is well."""
    if status.connected and not status.detail:
        return ""
    for pattern, message in phrases.READER_TROUBLES:
        found = pattern.search(status.detail)
        if found:
            return language.gettext(message, **found.groupdict())
    return status.detail or language.gettext(N_("The reader was not heard yet."))


def lasts(duration_ms: int, language: Words) -> str:
    """`0,8 s`, `12 s`, `5 min`."""
    if duration_ms >= 120_000:
        return language.gettext(N_("%(number)s min"), number=_short(duration_ms, 60_000))
    return language.gettext(N_("%(number)s s"), number=_short(duration_ms, 1_000))


def _short(duration_ms: int, unit_ms: int) -> str:
    whole, rest = divmod(duration_ms, unit_ms)
    if whole >= 10 or not rest:
        return str(round(duration_ms / unit_ms))
    return decimal_comma(Decimal(duration_ms) / unit_ms)


def _source(machine: Machine) -> str:
    if machine.status is None:
        return ""
    named: Mapping[str, Any] = machine.status.options
    where = [str(named[key]) for key in ("topic", "group", "node", "device") if key in named]
    return f"{machine.status.dialect} {'/'.join(where)}"


def _heard(services: Services, heard_ms: int | None, language: Words) -> str:
    if heard_ms is None:
        return language.gettext(N_("not heard yet"))
    zone = ZoneInfo(services.lab.timezone)
    moment, now = local(heard_ms, zone), local(services.wall_ms(), zone)
    time = moment.strftime("%H:%M:%S")
    return time if moment.date() == now.date() else f"{day(moment.date())} {time}"
