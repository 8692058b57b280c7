"""A person's own record as a file to take along, in the language of the page; made beside the kiosk, as all files."""

from __future__ import annotations

from flask import Response, abort, current_app, flash, redirect, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import NoteAct
from kiosk.phrases import N_
from kiosk.reports.files import MEDIA
from kiosk.reports.person import make_record
from kiosk.web.apps import account
from kiosk.web.job_pages import jobs_of_app
from kiosk.web.jobs import QueueFull
from kiosk.web.people_frame import language, page_url, people, person_of, reading, services
from kiosk.web.review import submit

FILE_NAME = "record.pdf"
"""Of everybody's: a file's name tells nothing of a person."""
PATIENCE_S = 8.0
"""How long a request waits for it before it shows the progress instead."""


@people.get("/<string(length=16):ref>/record.pdf")
def record(ref: str) -> Response | BaseResponse:
    """The PDF. Who took whose record is an act; where that cannot be written, none is given."""
    with reading() as here:
        person = person_of(here, ref)
    if not person.person_id:
        abort(404)
    if submit(NoteAct("exported", account().user_ref, f"record:{person.person_ref}")) is None:
        return redirect(page_url(person.person_ref))
    jobs, owner = jobs_of_app(current_app), account().user_ref
    about = (services().database, services().lab, services().wall_ms(), person.person_ref, language().language)
    try:
        job_id = jobs.start(N_("Record of training"), owner, make_record, about, filename=FILE_NAME)
    except QueueFull:
        flash(gettext("Too much is being made at the moment. Try again in a few minutes."), "refused")
        return redirect(page_url(person.person_ref))
    jobs.wait(job_id, PATIENCE_S)
    content = jobs.take(owner, job_id)
    if content is None:
        return redirect(url_for("jobs.show", job_id=job_id))
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
    return Response(content, mimetype=MEDIA["pdf"], headers=headers)
