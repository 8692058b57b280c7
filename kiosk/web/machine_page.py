"""`/machines/<id>`: one machine - its weeks, who is on it, who was, its rules in words, and how it is connected."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import CommandRefused, LockMachine
from kiosk.phrases import N_
from kiosk.store import totals, views
from kiosk.store.schema import open_reader
from kiosk.store.views import SessionView
from kiosk.web import charts
from kiosk.web.access import allowed
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.header_pins import PINS
from kiosk.web.machines import NOTHING, lasts, machine_row, machines, reader_row
from kiosk.web.reading import Reading
from kiosk.web.wiring import panel_wires, reader_wires, readers_of, source_wires
from kiosk.words import Words, clock_time, day, hours_minutes, local, qualification_name, words
from lab_config.model import Lab, Machine, PowerThresholds, Rules

__all__ = ["machines"]

WEEKS = 4
SESSIONS_MAX = 20
HOUR_MS = 3_600_000

FULL = {
    "handover": N_("the next one takes over"),
    "observe": N_("the next one may watch"),
    "refuse": N_("the next one is refused"),
}
PARTS = {"green": N_("green lamp"), "red": N_("red lamp"), "buzzer": N_("buzzer"), "relay": N_("relay")}
WAYS = {
    "usb": N_("USB: plug it in. On an adapter: TX of the reader to RX, GND to GND, and its power."),
    "board": N_("The board's own serial pins: TX of the reader to RXD (GPIO15, pin 10) at 3.3 V, GND to GND (pin 6)."),
    "network": N_("Over the network: the program at the other end must run and have the reader's port open."),
    "serial": N_("A serial line: TX of the reader to RX, GND to GND, and its power."),
}
ASKED = N_("It says nothing unless it is asked: RX of the reader must be connected to TX, too.")


@dataclass(frozen=True)
class On:
    """Somebody on the machine, or who was."""

    session: int
    name: str
    observer: bool
    when: str
    lasted: str
    review: str


@machines.get("/<machine_id>")
def one(machine_id: str) -> str:
    """The page of a machine of the configuration."""
    services = services_of_app(current_app)
    language, lab = words(request_language(services)), services.lab
    machine = _machine(lab, machine_id)
    status = services.status()
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, lab)
        today = reading.local_date(services.wall_ms())
        first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
        days = totals.machine_days(connection, first.isoformat(), today.isoformat(), machine_id)
        view = next((each for each in views.machines(connection) if each.machine == machine_id), None)
        row = machine_row(services, status, machine, reading.machine_states(), language)
        now = [_on(reading, each, language) for each in views.open_sessions(connection) if each.machine == machine_id]
        latest = views.machine_sessions(connection, machine_id, first.isoformat(), SESSIONS_MAX)
        before = [_on(reading, each, language) for each in latest if each.end_ms is not None]
    readers = readers_of(lab, machine_id)
    return render_template(
        "staff/machine.html",
        row=row,
        since=_moment(view.since_ms, reading.zone, today) if view is not None else "",
        chart=_by_day(lab, days, first, today),
        on=now,
        before=before,
        rules=_rules(machine, language),
        requires=[qualification_name(lab, each, language) for each in machine.requires],
        processes=_processes(lab, machine, language),
        readers=[(reader_row(lab, status, each, language), reader_wires(each)) for each in readers],
        shared=[each.id for each in lab.readers if each.machine is None],
        source=source_wires(machine, lab.mqtt),
        broker=lab.mqtt,
        thresholds=_thresholds(machine.status.power if machine.status else None, language),
        wires=panel_wires(machine.panel),
        enable=f"sheber/{lab.id}/machine/{machine.id}/enable" if machine.production_enable else "",
        names={each.gpio: PARTS[each.part] for each in panel_wires(machine.panel)},
        **_words(),
        may_lock=account().role in allowed("machines.lock", "POST"),
    )


@machines.get("/readers/<reader_id>")
def reader(reader_id: str) -> str:
    """The page of a reader of the configuration."""
    services = services_of_app(current_app)
    language = words(request_language(services))
    found = next((each for each in services.lab.readers if each.id == reader_id), None)
    if found is None:
        abort(404)
    row = reader_row(services.lab, services.status(), found, language)
    return render_template("staff/reader.html", row=row, wires=reader_wires(found), machine=found.machine, **_words())


def _words() -> dict[str, Any]:
    return {"parts": PARTS, "ways": WAYS, "asked": ASKED, "pins": PINS, "nothing": NOTHING}


@machines.post("/<machine_id>/lock")
def lock(machine_id: str) -> BaseResponse:
    """Withdraws it from use, or gives it back; who is on it goes on."""
    services = services_of_app(current_app)
    machine = _machine(services.lab, machine_id)
    locked = request.form.get("locked") == "1"
    try:
        services.submit(LockMachine(machine.id, locked, account().user_ref))
    except CommandRefused as refused:
        known = phrases.COMMAND_REFUSALS.get(refused.code)
        said = gettext(known) if known else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=refused.code)
        flash(said, "refused")
    else:
        flash(gettext("Withdrawn from use.") if locked else gettext("Given back."), "done")
    return redirect(url_for("machines.one", machine_id=machine.id), 303)


def _machine(lab: Lab, machine_id: str) -> Machine:
    try:
        return lab.machine(machine_id)
    except KeyError:
        abort(404)


def _by_day(lab: Lab, days: list[totals.MachineDay], first: date, today: date) -> charts.Stacked:
    """A row for each day with somebody on it, the newest first."""
    spans = [(first + timedelta(days=number)) for number in range((today - first).days + 1)]
    rows = []
    for each in reversed(spans):
        parts = [(one.state, one.ms) for one in days if one.local_date == each.isoformat()]
        if parts:
            rows.append(charts.Row(day(each), parts))
    return charts.stacked(rows, phrases.STATES, academic_hour_ms=lab.academic_hour_ms)


def _on(reading: Reading, row: SessionView, language: Words) -> On:
    began, today = local(row.start_ms, reading.zone), reading.local_date(row.start_ms)
    ended = f"–{clock_time(row.end_ms, reading.zone)}" if row.end_ms is not None else ""
    return On(
        row.session,
        reading.full_name(row.person_ref),
        row.role == "observer",
        f"{day(today)} {began.strftime('%H:%M')}{ended}",
        hours_minutes(row.presence_ms) if row.end_ms is not None else "",
        language.gettext(phrases.REVIEWS[row.review]) if row.end_ms is not None else "",
    )


def _moment(utc_ms: int, zone: ZoneInfo, today: date) -> str:
    moment = local(utc_ms, zone)
    time = moment.strftime("%H:%M")
    return time if moment.date() == today else f"{day(moment.date())} {time}"


def _rules(machine: Machine, language: Words) -> list[tuple[str, str]]:
    """The limits that hold here, in words."""
    rules, say = machine.rules, language.gettext
    found = [
        (say(N_("Places at once")), str(machine.crew)),
        (say(N_("When all places are taken")), say(FULL.get(machine.when_full, machine.when_full))),
        (say(N_("Watching without the right to work")), say(N_("allowed") if machine.observers else N_("not allowed"))),
    ]
    if machine.crew > 1:
        shared = N_("shared among those on it") if rules.crew_credit == "split" else N_("credited to each in full")
        found.append((say(N_("The machine's time")), say(shared)))
    return found + _limits(rules, language)


def _limits(rules: Rules, language: Words) -> list[tuple[str, str]]:
    say = language.gettext
    return [
        (say(N_("States that count where a work process says nothing")), _states(rules.counts, language)),
        (say(N_("Idle time that still counts, each time")), long_words(rules.idle_grace_ms, language)),
        (say(N_("Switched off for so long, the session ends")), long_words(rules.off_grace_ms, language)),
        (say(N_("Idle for so long, the session ends")), long_words(rules.idle_timeout_ms, language)),
        (say(N_("Longest session")), long_words(rules.max_session_ms, language)),
        (say(N_("An instructor looks first at sessions longer than")), long_words(rules.long_session_ms, language)),
        (say(N_("All sessions end at")), ", ".join(rules.day_end) or say(N_("never"))),
    ]


def _states(names: tuple[str, ...], language: Words) -> str:
    return ", ".join(language.gettext(phrases.STATES.get(each, each)) for each in names)


def long_words(duration_ms: int | None, language: Words) -> str:
    """`never`, `12 s`, `8 min`, `10 h`."""
    if duration_ms is None:
        return language.gettext(N_("never"))
    if duration_ms >= 2 * HOUR_MS and duration_ms % HOUR_MS == 0:
        return language.gettext(N_("%(number)s h"), number=duration_ms // HOUR_MS)
    return lasts(duration_ms, language)


def _processes(lab: Lab, machine: Machine, language: Words) -> list[tuple[str, str]]:
    """(programme, work process) of those that are done here."""
    places = {machine.id, f"class:{machine.machine_class}"}
    return [
        (
            programme.title.in_language(language.language) or programme.id,
            process.title.in_language(language.language) or process.id,
        )
        for programme in lab.programmes
        for process in programme.processes
        if places & set(process.machines)
    ]


def _thresholds(power: PowerThresholds | None, language: Words) -> list[tuple[str, str]]:
    """How watts become states, in words."""
    if power is None:
        return []
    say = language.gettext
    found = [
        (say(phrases.STATES["running"]), say(N_("from %(watts)s W"), watts=f"{power.running_above_w:g}")),
        (say(phrases.STATES["idle"]), say(N_("below %(watts)s W"), watts=f"{power.idle_below_w:g}")),
    ]
    if power.off_below_w is not None:
        found.append((say(phrases.STATES["off"]), say(N_("below %(watts)s W"), watts=f"{power.off_below_w:g}")))
    found += [
        (say(N_("More power must last")), long_words(power.on_delay_ms, language)),
        (say(N_("Less power must last")), long_words(power.off_delay_ms, language)),
    ]
    return found
