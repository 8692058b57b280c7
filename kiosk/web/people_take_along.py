"""A person's own record as a file to take along, in the language of the page."""

from __future__ import annotations

from flask import Response, abort, redirect
from werkzeug.wrappers import Response as BaseResponse

from kiosk.commands import NoteAct
from kiosk.web.apps import account
from kiosk.web.people_frame import language, page_url, people, person_of, reading, services
from kiosk.web.review import submit

FILE_NAME = "record.pdf"
"""Of everybody's: a file's name tells nothing of a person."""


@people.get("/<string(length=16):ref>/record.pdf")
def record(ref: str) -> Response | BaseResponse:
    """The PDF. Who took whose record is an act; where that cannot be written, none is given."""
    from kiosk.reports.files import MEDIA, content  # noqa: PLC0415 - only who makes a file pays for it
    from kiosk.reports.person import person_report  # noqa: PLC0415

    with reading() as here:
        person = person_of(here, ref)
        if not person.person_id:
            abort(404)
        report = person_report(here.connection, services().lab, person, language(), services().wall_ms())
    if submit(NoteAct("exported", account().user_ref, f"record:{person.person_ref}")) is None:
        return redirect(page_url(person.person_ref))
    return Response(
        content(report, "pdf"),
        mimetype=MEDIA["pdf"],
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )
