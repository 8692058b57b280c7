"""`/briefings/hold`: a safety briefing for a group, which is ticked on the page, or taps.

Where it taps, the badges at a reader say who is present while this page shows the list (`kiosk.roll_call`), and the
reader's own screen says that they start no work. The clerk enters all of them or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.commands import CommandRefused, HoldBriefing
from kiosk.roll_call import RollCall
from kiosk.store import people
from kiosk.store.people import Person
from kiosk.web.apps import account, services_of_app
from kiosk.web.board import machine_name
from kiosk.web.briefing_register import Needs, due
from kiosk.web.briefings import a_reading, groups, language, name_of, needed_words, titles
from kiosk.web.own_record import briefings_known, usual_until
from kiosk.web.panel_words import NOT_PRESENT, REFUSALS, VALIDITY
from kiosk.web.reading import Reading
from kiosk.web.services import Services
from kiosk.words import day, qualification_name

briefing = Blueprint("briefing", __name__, url_prefix="/briefings/hold")

GROUP_MAX = 500
"""So many can be briefed at once."""
FORM = ("briefing", "until", "group", "reader")


@dataclass(frozen=True)
class Form:
    """What was chosen so far; it goes from page to page in the address, and holds no name."""

    briefing: str
    until: str
    group: str
    reader: str
    ticked: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: MultiDict[str, str], known: tuple[str, ...], today: date) -> Form:
        """Of an address or of what was posted; what that leaves out is the usual."""
        return cls(
            briefing=given["briefing"] if given.get("briefing") in known else next(iter(known), ""),
            until=given["until"] if "until" in given else usual_until(today).isoformat(),
            group=given.get("group", ""),
            reader=given.get("reader", ""),
            ticked=tuple(dict.fromkeys(given.getlist("person"))),
        )

    @property
    def address(self) -> dict[str, Any]:
        """For `url_for`."""
        return {name: getattr(self, name) for name in FORM}


def _services() -> Services:
    return services_of_app(current_app)


def _asked(reading: Reading, given: MultiDict[str, str]) -> tuple[Form, date]:
    today = reading.local_date(_services().wall_ms())
    return Form.of(given, briefings_known(_services().lab), today), today


# --- ticked


@briefing.get("", strict_slashes=False)
def form() -> str:
    """Choose it; with a group chosen, its people to tick."""
    with a_reading() as reading:
        chosen, today = _asked(reading, request.args)
        return _page(reading, chosen, today, everybody="all" in request.args)


@briefing.post("", strict_slashes=False)
def hold() -> str | BaseResponse:
    """All of them in one transaction, or none; where it is refused, what was chosen stays."""
    with a_reading() as reading:
        chosen, today = _asked(reading, request.form)
        said = _wrong(chosen, today) or _refused(chosen)
        if said:
            flash(said, "refused")
            return _page(reading, chosen, today)
    if _call(chosen.reader) is not None:
        _services().roll_calls.end(chosen.reader)
    flash(ngettext("Briefed: %(num)s person.", "Briefed: %(num)s people.", len(chosen.ticked)), "done")
    return redirect(url_for("briefings.show"), 303)


def _wrong(chosen: Form, today: date) -> str:
    """What is wrong with the form itself; empty where nothing is."""
    if not chosen.ticked:
        return gettext("Nobody is on the list. Tick those who are present, or let them tap.")
    if len(chosen.ticked) > GROUP_MAX:
        return gettext("Too many at once. Hold it for one group after the other.")
    try:
        last = date.fromisoformat(chosen.until) if chosen.until else today
    except ValueError:
        return gettext("Write the last valid day as a date.")
    return gettext("That day has passed.") if last < today else ""


def _refused(chosen: Form) -> str:
    """Why the clerk said no; empty where it did it."""
    try:
        _services().submit(HoldBriefing(chosen.briefing, chosen.ticked, chosen.until or None, account().user_ref))
    except CommandRefused as refused:
        known = REFUSALS.get(refused.code) or phrases.COMMAND_REFUSALS.get(refused.code)
        return gettext(known) if known else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=refused.code)
    return ""


def _page(reading: Reading, chosen: Form, today: date, *, everybody: bool = False) -> str:
    lab, said = _services().lab, language()
    needs = {each.person.person_ref: each for each in due(reading, today)}
    listed = [each for each in people.people(reading.connection) if _is_listed(each, chosen)]
    return render_template(
        "staff/briefing_hold.html",
        form=chosen,
        rows=[_tick(each, needs.get(each.person_ref), chosen, everybody=everybody) for each in listed],
        groups=groups(reading),
        titles=titles(said),
        readers=[(each.id, machine_name(lab, each.machine, said) or gettext("shared reader")) for each in lab.readers],
        ends=[(gettext(text), (today + timedelta(days=days)).isoformat()) for days, text in VALIDITY],
        today=today.isoformat(),
        day=day,
    )


def _is_listed(person: Person, chosen: Form) -> bool:
    """Apprentices of the group, and whoever is ticked already; nobody briefs themselves."""
    if person.role != "apprentice" or not person.active or person.person_ref == account().person_ref:
        return False
    return person.person_ref in chosen.ticked or (chosen.group != "" and chosen.group == person.group)


def _tick(person: Person, needs: Needs | None, chosen: Form, *, everybody: bool) -> Mapping[str, Any]:
    why = needed_words(needs, language(), chosen.briefing) if needs else []
    return {
        "ref": person.person_ref,
        "name": name_of(person),
        "ticked": everybody or person.person_ref in chosen.ticked,
        "why": why[0] if why else None,
    }


# --- tapped


def _me() -> str:
    """Whom a roll call names: the person of the account, whose badge ends it, else the account."""
    return account().person_ref or account().user_ref


def _call(reader: str) -> RollCall | None:
    """Ours at that reader, if one goes on."""
    return _services().roll_calls.shown(reader, _me()) if reader else None


@briefing.post("/roll")
def begin() -> BaseResponse:
    """From now on the badges at the reader are those present."""
    services = _services()
    with a_reading() as reading:
        chosen, today = _asked(reading, request.form)
    known = {each.id for each in services.lab.readers}
    said = _wrong_roll(chosen, today, known)
    if said:
        flash(said, "refused")
        return redirect(url_for("briefing.form", **chosen.address), 303)
    services.roll_calls.begin(chosen.reader, _me(), far=True)
    return redirect(url_for("briefing.roll", **chosen.address), 303)


def _wrong_roll(chosen: Form, today: date, readers: set[str]) -> str:
    if chosen.reader not in readers:
        return gettext("Choose the reader where the group taps.")
    holder = _services().roll_calls.holder(chosen.reader)
    if holder is not None and holder != _me():
        return gettext("Somebody is holding a briefing at that reader. Wait, or choose another one.")
    return _wrong(Form(chosen.briefing, chosen.until, "", "", ("somebody",)), today)


@briefing.get("/roll")
def roll() -> str | BaseResponse:
    """Who has tapped so far. While nobody looks at it, it is over within seconds."""
    with a_reading() as reading:
        chosen, _ = _asked(reading, request.args)
        call = _call(chosen.reader)
        if call is None:
            flash(gettext("The list at the reader has ended. Nobody was entered."), "refused")
            return redirect(url_for("briefing.form", **chosen.address), 303)
        return render_template("staff/briefing_roll.html", form=chosen, day=day, **_shown(reading, chosen, call))


@briefing.get("/roll/present")
def present() -> str | Response:
    """Only the list, for a page that asks again and again; 204 where nothing has changed, 410 once it is over."""
    with a_reading() as reading:
        chosen, _ = _asked(reading, request.args)
        call = _call(chosen.reader)
        if call is None:
            return Response(status=410)
        if request.args.get("seen") == str(call.revision):
            return Response(status=204)
        return render_template("staff/briefing_present.html", form=chosen, **_shown(reading, chosen, call))


def _shown(reading: Reading, chosen: Form, call: RollCall) -> Mapping[str, Any]:
    lab, said = _services().lab, language()
    where = next((machine_name(lab, each.machine, said) for each in lab.readers if each.id == chosen.reader), "")
    return {
        "call": call,
        "names": [(each, reading.full_name(each)) for each in reversed(call.present)],
        "last": reading.full_name(call.last_person) if call.last_person else "",
        "why": gettext(NOT_PRESENT[call.last]) if call.last in NOT_PRESENT else "",
        "title": qualification_name(lab, chosen.briefing, said),
        "where": where or gettext("shared reader"),
    }


@briefing.post("/roll/leave-out")
def leave_out() -> BaseResponse:
    """Somebody tapped who was not there, or should not be on the list."""
    with a_reading() as reading:
        chosen, _ = _asked(reading, request.form)
    if _call(chosen.reader) is not None:
        _services().roll_calls.leave_out(chosen.reader, request.form.get("left", ""))
    return redirect(url_for("briefing.roll", **chosen.address), 303)


@briefing.post("/roll/stop")
def stop() -> BaseResponse:
    """Nobody is entered."""
    with a_reading() as reading:
        chosen, _ = _asked(reading, request.form)
    if _call(chosen.reader) is not None:
        _services().roll_calls.end(chosen.reader)
    flash(gettext("Stopped. Nobody was entered."), "done")
    return redirect(url_for("briefing.form", **chosen.address), 303)
