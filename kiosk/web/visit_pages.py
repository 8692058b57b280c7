"""What somebody does at the screen after a tap: choose a machine, see what is theirs, say what is wrong.

Every address carries the visit's token; without a live one the answer is 410, and the screen shows its idle board.

- `GET  /visit/<token>/machines`, `GET .../machines/<machine>`, `POST .../pick` machine, process: at a shared reader
- `GET  /visit/<token>/processes`, `POST .../process` machine, process: another work process for the session just begun
- `GET  /visit/<token>/me?part=hours|skills|sessions|papers&page=1`: the person's own record
- `GET  /visit/<token>/sessions/<session>`, `POST` the same, text: this is wrong
- `POST /visit/<token>/touch`, `POST /visit/<token>/end`: still there; done
- `POST /still/<session>`: still at an idle machine; no token, it is offered to whoever stands there
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any, NoReturn, TypeVar

from flask import Blueprint, Response, abort, current_app, g, render_template, request
from flask_babel import gettext

from kiosk import phrases
from kiosk.commands import (
    AskChoices,
    Command,
    CommandRefused,
    Done,
    PickMachine,
    QuestionSession,
    TouchStillHere,
)
from kiosk.store import views
from kiosk.store.schema import open_reader
from kiosk.web import own_pages
from kiosk.web.answers import MAX_NOTES, closings, endings, newest_session, processes_at
from kiosk.web.apps import services_of_app
from kiosk.web.board import machine_name
from kiosk.web.own_record import own_record
from kiosk.web.reading import Reading
from kiosk.web.visits import Visit
from kiosk.words import words
from lab_config.model import Lab

visit_pages = Blueprint("visit", __name__)
T = TypeVar("T")
MACHINES, MACHINES_BELOW_NOTES, PROCESSES = 12, 9, 8
"""So many on one page: what fits 800x480 and can be touched with a glove."""
LONGEST_NOTE = 500


def require_visit(token: str, role: str | None = None) -> Visit:
    """The live visit of a token, which lasts from now on; 410 where it is over, or is not this role's."""
    visit = services_of_app(current_app).visits.touch(token)
    if visit is None or role not in (None, visit.role):
        gone()
    with closing(open_reader(services_of_app(current_app).database)) as connection:
        who = Reading(connection, services_of_app(current_app).lab).who(visit.person_ref)
    if who is None:
        gone()
    g.language = who.language
    g.who = who
    return visit


def gone() -> NoReturn:
    """The visit is over: the screen goes back to its idle board."""
    abort(Response(status=410))


def page_of(rows: Sequence[T], size: int) -> tuple[Sequence[T], dict[str, int]]:
    """The rows of the page that is asked for, and which of how many it is."""
    pages = max(1, -(-len(rows) // size))
    asked = request.args.get("page", "1")
    page = min(pages, max(1, int(asked))) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
    return rows[(page - 1) * size : page * size], {"page": page, "pages": pages}


def fragment(template: str, visit: Visit, **values: Any) -> str:
    """A piece of the screen in the person's language."""
    return render_template(f"visit/{template}.html", visit=visit, who=g.who, **values)


def said(visit: Visit, headline: str, text: str, yes: bool) -> str:
    """One sentence, after which the idle board comes back."""
    return fragment("said", visit, headline=headline, text=text, yes=yes)


def ask(command: Command) -> Done | str:
    """The clerk's answer, or its refusal in words."""
    try:
        return services_of_app(current_app).submit(command)
    except CommandRefused as refused:
        return refusal(refused.code)


def refusal(code: str) -> str:
    """Why the clerk said no, in words."""
    known = phrases.COMMAND_REFUSALS.get(code)
    return gettext(known) if known else gettext(phrases.COMMAND_REFUSED_OTHERWISE, code=code)


@visit_pages.before_request
def _from_our_pages() -> None:
    """A form on somebody else's page cannot send this header without asking first."""
    if request.method == "POST" and "HX-Request" not in request.headers:
        abort(403)


@visit_pages.after_request
def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@visit_pages.get("/visit/<token>/machines")
def machines(token: str) -> str:
    """Every machine: the last choice first, what would be refused after all others."""
    visit = require_visit(token, "apprentice")
    services = services_of_app(current_app)
    answer = ask(AskChoices(visit.person_ref))
    if isinstance(answer, str):
        return said(visit, gettext("Not possible"), answer, False)
    assert isinstance(answer.value, tuple)
    shown = [
        {
            "machine": each.machine,
            "outcome": each.outcome,
            "processes": each.processes,
            "name": machine_name(services.lab, each.machine, words(g.language)),
            "what": gettext(phrases.CHOICES.get(each.outcome) or phrases.REFUSALS[each.reason]),
        }
        for each in answer.value
    ]
    with closing(open_reader(services.database)) as connection:
        reading, language = Reading(connection, services.lab), words(g.language)
        notes = closings(reading, language, visit.person_ref, visit.seq)
        notes += endings(reading, language, visit.person_ref, services.wall_ms())
    rows, where = page_of(shown, MACHINES_BELOW_NOTES if notes else MACHINES)
    return fragment("machines", visit, choices=rows, notes=notes[:MAX_NOTES], **where)


@visit_pages.get("/visit/<token>/machines/<machine>")
def processes_there(token: str, machine: str) -> str:
    """The work processes of one machine, the person's last one first."""
    visit = require_visit(token, "apprentice")
    answer = ask(AskChoices(visit.person_ref))
    if isinstance(answer, str):
        return said(visit, gettext("Not possible"), answer, False)
    assert isinstance(answer.value, tuple)
    known = next((each for each in answer.value if each.machine == machine), None)
    if known is None:
        return said(visit, gettext("Not possible"), refusal("unknown_machine"), False)
    return _processes(visit, machine, known.processes, known.processes[:1], picking=True)


@visit_pages.post("/visit/<token>/pick")
def pick(token: str) -> str | Response:
    """The tap that waits goes to this machine; what comes of it is told by the live stream, like any tap."""
    visit = require_visit(token, "apprentice")
    machine, process = request.form.get("machine", ""), request.form.get("process") or None
    answer = ask(PickMachine(visit.reader, machine, process, visit.person_ref))
    if isinstance(answer, str):
        return said(visit, gettext("Not possible"), answer, False)
    return Response(status=204)


@visit_pages.get("/visit/<token>/processes")
def processes(token: str) -> str:
    """Other work processes for the session that the tap has begun."""
    visit = require_visit(token, "apprentice")
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        session = newest_session(Reading(connection, services.lab), visit.person_ref)
    if session is None:
        return said(visit, gettext("Not possible"), refusal("no_open_session"), False)
    found = processes_at(services.lab, session.programme, session.machine)
    order = sorted(found, key=lambda each: each != session.process)
    return _processes(visit, session.machine, order, [session.process or ""], picking=False)


@visit_pages.post("/visit/<token>/process")
def process(token: str) -> str:
    """Another work process it is."""
    visit = require_visit(token, "apprentice")
    services = services_of_app(current_app)
    machine, chosen = request.form.get("machine", ""), request.form.get("process", "")
    answer = ask(PickMachine(visit.reader, machine, chosen, visit.person_ref))
    if isinstance(answer, str):
        return said(visit, gettext("Not possible"), answer, False)
    return said(visit, gettext("Work process"), _title(services.lab, chosen, g.language), True)


def _processes(visit: Visit, machine: str, found: Sequence[str], now: Sequence[str], picking: bool) -> str:
    lab = services_of_app(current_app).lab
    shown = [{"id": each, "title": _title(lab, each, g.language), "now": each in now} for each in found]
    rows, where = page_of(shown, PROCESSES)
    return fragment(
        "processes",
        visit,
        processes=rows,
        machine=machine_name(lab, machine, words(g.language)),
        machine_id=machine,
        picking=picking,
        address=request.path,
        **where,
    )


def _title(lab: Lab, process_id: str, language: str) -> str:
    every = (each for programme in lab.programmes for each in programme.processes)
    return next((each.title.in_language(language) for each in every if each.id == process_id), "") or process_id


@visit_pages.get("/visit/<token>/me")
def me(token: str) -> str:
    """The person's own record, one part at a time."""
    visit = require_visit(token, "apprentice")
    services = services_of_app(current_app)
    part = request.args.get("part", "hours")
    make = own_pages.PARTS.get(part)
    if make is None:
        abort(404)
    with closing(open_reader(services.database)) as connection:
        reading = Reading(connection, services.lab)
        record = own_record(reading, visit.person_ref, services.wall_ms())
        if record is None:
            gone()
        rows, where = page_of(make(reading, visit.person_ref, record, words(g.language)), own_pages.ROWS[part])
    return fragment("me", visit, part=part, rows=rows, **where)


@visit_pages.get("/visit/<token>/sessions/<int:session>")
def wrong(token: str, session: int) -> str:
    """What is wrong with this session? A phrase is a touch; a keyboard, where there is one, says it in own words."""
    visit = require_visit(token, "apprentice")
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        row = views.session(connection, session)
        if row is None or row.person_ref != visit.person_ref:
            return said(visit, gettext("Not possible"), refusal("not_own_session"), False)
        shown = own_pages.session_row(Reading(connection, services.lab), row, words(g.language), frozenset())
    return fragment("wrong", visit, session=shown, reasons=[gettext(each) for each in phrases.WRONG])


@visit_pages.post("/visit/<token>/sessions/<int:session>")
def question(token: str, session: int) -> str:
    """The second touch: an instructor will look at it."""
    visit = require_visit(token, "apprentice")
    note = request.form.get("text", "").strip()[:LONGEST_NOTE]
    answer = ask(QuestionSession(session, visit.person_ref, note))
    if isinstance(answer, str):
        return said(visit, gettext("Not possible"), answer, False)
    return said(visit, gettext("Sent"), gettext("The instructor will look at it and answer you."), True)


@visit_pages.post("/visit/<token>/touch")
def touch(token: str) -> Response:
    """Somebody is still there."""
    require_visit(token)
    return Response(status=204)


@visit_pages.post("/visit/<token>/end")
def end(token: str) -> Response:
    """Done: nobody else goes on with it."""
    services_of_app(current_app).visits.end(token)
    return Response(status=204)


@visit_pages.post("/still/<int:session>")
def still_here(session: int) -> Response:
    """An idle machine ends nobody's session who says that they are there."""
    try:
        services_of_app(current_app).submit(TouchStillHere(session))
    except CommandRefused as refused:
        return Response(status=409 if refused.code in {"no_open_session", "not_due"} else 503)
    return Response(status=204)
