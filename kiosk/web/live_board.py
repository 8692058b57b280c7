"""`/board`: who is on which machine now, as instructors need it: full names, what is wrong, what can be done.

The page stands without JavaScript and is then loaded anew by a link. With it the browser follows the listener's live
stream, which says only that something changed; what changed is asked for as this account may see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import LockMachine
from kiosk.domain.deadlines import WARNING_MS
from kiosk.phrases import N_
from kiosk.store import views
from kiosk.store.schema import open_reader
from kiosk.store.views import SessionView
from kiosk.web.accounts import Account
from kiosk.web.apps import account, request_language, services_of_app
from kiosk.web.board import LOOKS, machine_name
from kiosk.web.machines import trouble, troubles
from kiosk.web.reading import Reading
from kiosk.web.review import submit
from kiosk.web.services import KioskStatus, Services
from kiosk.words import Words, clock_time, day, hours_minutes, local, words
from lab_config.model import Machine

board = Blueprint("board", __name__, url_prefix="/board")


@dataclass(frozen=True)
class PersonOn:
    """Somebody on a machine."""

    session: int
    name: str
    observer: bool
    process: str
    since: str
    running: str
    ends: str
    """When it will end by itself if the machine stays idle; empty where nothing threatens."""
    soon: bool
    """Within the five minutes of the warning."""
    own: bool


@dataclass(frozen=True)
class MachineNow:
    """A machine as it is."""

    id: str
    name: str
    look: str
    """Its state, `locked`, or `none` without a sensor."""
    state_words: str
    since: str
    locked: bool
    heard: str
    """Empty where it has no source."""
    wrong: tuple[str, ...]
    people: tuple[PersonOn, ...]


@board.get("", strict_slashes=False)
def show() -> str:
    """The whole page."""
    return render_template("staff/board.html", **_now())


@board.get("/live")
def live() -> str:
    """The part that changes."""
    return render_template("staff/board_live.html", **_now())


@board.post("/machines/<machine>/lock")
def lock(machine: str) -> BaseResponse:
    """Withdraws a machine from use, or gives it back; who is on it goes on."""
    if machine not in {each.id for each in services_of_app(current_app).lab.machines}:
        abort(404)
    locked = request.form.get("locked") == "1"
    if submit(LockMachine(machine, locked, account().user_ref)) is not None:
        flash(gettext("Withdrawn from use.") if locked else gettext("Given back."), "done")
    return redirect(url_for("board.show", _anchor=f"m-{machine}"))


def _now() -> dict[str, Any]:
    services = services_of_app(current_app)
    said = words(request_language(services))
    status = services.status()
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        seq = reading.newest_seq()  # read first: what is committed meanwhile is told again by the stream
        machines = _machines(services, reading, status, said, account())
    looks = [each.look for each in machines]
    return {
        "seq": seq,
        "machines": machines,
        "people_on": sum(len(each.people) for each in machines),
        "counts": [
            (look, said.gettext(LOOKS.get(look) or phrases.STATES[look]), looks.count(look))
            for look in (*phrases.STATES, "locked", "none")
            if look in looks
        ],
        "now": clock_time(services.wall_ms(), reading.zone),
        "troubles": troubles(services, said),
        "recording": status.recording,
    }


def _machines(
    services: Services, reading: Reading, status: KioskStatus, said: Words, who: Account
) -> Sequence[MachineNow]:
    now_ms = services.wall_ms()
    known = {row.machine: row for row in views.machines(reading.connection)}
    on: dict[str, list[SessionView]] = {}
    for row in views.open_sessions(reading.connection):
        on.setdefault(row.machine, []).append(row)
    found = []
    for machine in services.lab.machines:
        seen = known.get(machine.id)
        state = seen.state if seen else "unknown"
        look = "none" if machine.status is None and state == "unknown" else state
        look = "locked" if seen is not None and seen.locked else look
        found.append(
            MachineNow(
                id=machine.id,
                name=machine_name(services.lab, machine.id, said),
                look=look,
                state_words=said.gettext(LOOKS.get(look) or phrases.STATES[state]),
                since=_moment(reading, seen.since_ms, now_ms) if seen and seen.since_ms else "",
                locked=bool(seen and seen.locked),
                heard=_heard(reading, machine, status.machines_heard, now_ms, said),
                wrong=_wrong(services, machine, status, said),
                people=tuple(_on(reading, each, now_ms, said, who) for each in on.get(machine.id, ())),
            )
        )
    return found


def _on(reading: Reading, row: SessionView, now_ms: int, said: Words, who: Account) -> PersonOn:
    left_ms = row.idle_at_ms - now_ms if row.idle_at_ms is not None else None
    programme = next((each for each in reading.lab.programmes if each.id == row.programme), None)
    titles = {each.id: each.title.in_language(said.language) for each in programme.processes} if programme else {}
    return PersonOn(
        session=row.session,
        name=reading.full_name(row.person_ref),
        observer=row.role == "observer",
        process=titles.get(row.process or "", row.process or ""),
        since=_moment(reading, row.start_ms, now_ms),
        running=hours_minutes(now_ms - row.start_ms),
        ends=clock_time(row.idle_at_ms, reading.zone) if row.idle_at_ms is not None else "",
        soon=left_ms is not None and left_ms <= WARNING_MS,
        own=who.person_ref is not None and who.person_ref == row.person_ref,
    )


def _wrong(services: Services, machine: Machine, status: KioskStatus, said: Words) -> tuple[str, ...]:
    """What keeps this machine's taps or states from being heard."""
    own = [each.id for each in services.lab.readers if each.machine == machine.id and each.id in status.readers]
    found = [trouble(status.readers[each], said) for each in own]
    if machine.status is not None and status.broker is False:
        found.append(said.gettext(N_("No link to the machines")))
    return tuple(each for each in found if each)


def _heard(reading: Reading, machine: Machine, heard: Mapping[str, int | None], now_ms: int, said: Words) -> str:
    if machine.status is None:
        return ""
    at_ms = heard.get(machine.id)
    if at_ms is None:
        return said.gettext(N_("not heard yet"))
    moment, now = local(at_ms, reading.zone), local(now_ms, reading.zone)
    time = moment.strftime("%H:%M:%S")
    return time if moment.date() == now.date() else f"{day(moment.date())} {time}"


def _moment(reading: Reading, at_ms: int, now_ms: int) -> str:
    """`10:42`, with the date where that is another one."""
    time, date = clock_time(at_ms, reading.zone), reading.local_date(at_ms)
    return time if date == reading.local_date(now_ms) else f"{day(date)}, {time}"
