"""A badge that nobody knows becomes somebody's, and what they worked meanwhile can be entered.

The badge's number never leaves the clerk: the panel says "the one seen last at this reader".
"""

from __future__ import annotations

from typing import Any

from flask import request
from flask_babel import gettext, ngettext

from kiosk import phrases
from kiosk.commands import EnrolSeen, EnterManual
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.store import people
from kiosk.web.answers import processes_at
from kiosk.web.board import machine_name
from kiosk.web.own_record import unknown_seen
from kiosk.web.panel_frame import (
    Enrolled,
    Inside,
    Note,
    done,
    inside,
    language,
    panel,
    perform,
    reading,
    refusal,
    services,
    sheet,
)
from kiosk.web.panel_home import home
from kiosk.web.panel_people import groups, narrow
from kiosk.web.visit_pages import page_of
from kiosk.words import clock_time, day, hours_minutes

LETTERS = 32
GROUPS = 4
QUARTER_MS = 900_000


@panel.get("/card")
def card(token: str) -> str:
    """Whose is the badge that was just seen? Letters, then names."""
    at = inside(token)
    prefix, group = request.args.get("begins", "")[:80], request.args.get("group", "")[:80]
    with reading() as store:
        seen = unknown_seen(store, at.visit.reader, services().wall_ms())
        everybody = [each for each in people.people(store.connection) if each.active]
    when = clock_time(seen.utc_ms, store.zone) if seen else ""
    known = groups(everybody)
    found = narrow([each for each in everybody if not group or each.group == group], prefix)
    letters, where = page_of(found.letters, LETTERS)
    names, where = page_of(found.names, 8) if found.names else (found.names, where)
    return sheet(
        "card", at.visit, None, seen=seen, when=when, letters=letters, names=names, groups=known[:GROUPS], group=group,
        begins=prefix, **where
    )  # fmt: skip


@panel.get("/card/<person_id>")
def how(token: str, person_id: str) -> str:
    """One more badge, or in place of those before?"""
    at = inside(token)
    with reading() as store:
        person = people.person_by_id(store.connection, person_id)
        if person is None:
            return _no_one(at)
        held = [each for each in people.badges_of(store.connection, person.person_ref) if not each.blocked]
        name = store.full_name(person.person_ref)
    return sheet("card_how", at.visit, name=name, person=person, held=len(held))


def _no_one(at: Inside) -> str:
    return home(at, refusal("unknown_person"))


@panel.post("/card/<person_id>")
def enrol(token: str, person_id: str) -> str:
    """The badge is theirs from now on; then its refused taps are offered as work."""
    at = inside(token)
    replaced = request.form.get("replace") == "1"
    answer, note = perform(EnrolSeen(at.visit.reader, person_id, at.by, replaced))
    if answer is None:
        return home(at, note)
    with reading() as store:
        person = people.person_by_id(store.connection, person_id)
        name = store.short_name(person.person_ref) if person else ""
    said = done(gettext("The card now belongs to: %(name)s", name=name))
    value = answer.value if isinstance(answer.value, dict) else {}
    taps = value.get("refused") or []
    if person is None or not taps:
        return home(at, said)
    at.keep(enrolled=Enrolled(person_id, person.person_ref, taps))
    return _hours(token, said)


@panel.get("/hours")
def hours(token: str) -> str:
    """From which refused tap, until when, at which machine?"""
    return _hours(token)


def _hours(token: str, note: Note | None = None) -> str:
    at = inside(token)
    enrolled = at.panel.enrolled
    if enrolled is None:
        return home(at, note)
    tap, back, machine = _chosen(enrolled)
    if not machine:
        return _where(at, tap, note)
    start_ms, end_ms = _span(enrolled, tap, back)
    with reading() as store:
        name = store.short_name(enrolled.person_ref)
    values: dict[str, Any] = {
        "name": name,
        "machine": machine,
        "machine_name": machine_name(services().lab, machine, language()),
        "process": _process_title(enrolled, machine),
        "tap": tap,
        "taps": len(enrolled.taps),
        "back": back,
        "day": day(store.local_date(start_ms)),
        "start": clock_time(start_ms, store.zone),
        "end": clock_time(end_ms, store.zone),
        "length": hours_minutes(end_ms - start_ms),
        "may_end_earlier": end_ms - QUARTER_MS > start_ms,
        "reasons": [(code, gettext(phrases.MANUAL_REASON_WORDS[code])) for code in MANUAL_REASONS],
    }
    return sheet("hours", at.visit, note, **values)


def _where(at: Inside, tap: int, note: Note | None) -> str:
    """A reader without a machine does not say which one it was."""
    rows = [(each.id, machine_name(services().lab, each.id, language())) for each in services().lab.machines]
    shown, where = page_of(rows, 8)
    return sheet("hours_where", at.visit, note, rows=shown, tap=tap, **where)


def _chosen(enrolled: Enrolled) -> tuple[int, int, str]:
    """(which refused tap, how many quarters of an hour before now it ended, the machine)."""
    tap = _number(request.values.get("tap", "0"), len(enrolled.taps) - 1)
    known = {each.id for each in services().lab.machines}
    machine = request.values.get("machine") or enrolled.taps[tap]["machine"] or ""
    return tap, _number(request.values.get("back", "0"), 400), machine if machine in known else ""


def _number(text: str, most: int) -> int:
    return min(most, int(text)) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _span(enrolled: Enrolled, tap: int, back: int) -> tuple[int, int]:
    start_ms = int(enrolled.taps[tap]["utc_ms"])
    return start_ms, max(start_ms, services().wall_ms() - back * QUARTER_MS)


def _process(enrolled: Enrolled, machine: str) -> str | None:
    """What a tap there would have begun with; the review can say otherwise."""
    with reading() as store:
        who = store.who(enrolled.person_ref)
    found = processes_at(services().lab, who.programme if who else None, machine)
    return found[0] if found else None


def _process_title(enrolled: Enrolled, machine: str) -> str:
    chosen = _process(enrolled, machine)
    every = (each for programme in services().lab.programmes for each in programme.processes)
    return next((each.title.in_language(language().language) or each.id for each in every if each.id == chosen), "")


@panel.post("/hours")
def enter(token: str) -> str:
    """They wait for a decision, like all hours that no badge told of."""
    at = inside(token)
    enrolled = at.panel.enrolled
    reason = request.form.get("reason", "")
    if enrolled is None or reason not in MANUAL_REASONS:
        return home(at, refusal("reason_missing"))
    tap, back, machine = _chosen(enrolled)
    start_ms, end_ms = _span(enrolled, tap, back)
    command = EnterManual(
        person_id=enrolled.person_id,
        machine=machine,
        process=_process(enrolled, machine),
        start_ms=start_ms,
        end_ms=end_ms,
        by=at.by,
        reason=reason,
        mark=at.mark,
    )
    _, note = perform(command)
    if note is not None:
        return _hours(token, note)
    at.keep(enrolled=None)
    minutes = (end_ms - start_ms) // 60_000
    said = ngettext(
        "Entered: %(num)s minute. It waits for a decision.",
        "Entered: %(num)s minutes. They wait for a decision.",
        minutes,
    )
    return home(at, done(said))
