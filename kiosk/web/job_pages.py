"""`/reports/jobs`: what is being made, what waits to be fetched. Each account sees its own and nobody else's."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Flask, abort, current_app, redirect, render_template, send_file, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk.phrases import N_
from kiosk.reports.files import MEDIA
from kiosk.web.apps import account
from kiosk.web.jobs import DONE, WAITING, Job, Jobs

jobs = Blueprint("jobs", __name__, url_prefix="/reports/jobs")

STATES = {
    "waiting": N_("waits for its turn"),
    "running": N_("is being made"),
    "done": N_("ready to download"),
    "failed": N_("failed"),
    "cancelled": N_("cancelled"),
}
FAILURES = {
    "crashed": N_("Something went wrong while it was made. Try again; if it stays, tell the administrator."),
    "disk": N_("The disk took no more, or could not be read. Tell the administrator."),
}
"""Why a job failed, by `Job.failure`."""


def jobs_of_app(app: Flask) -> Jobs:
    """The queue that this application was made with."""
    found: Jobs = app.extensions["sheber"]["jobs"]
    return found


@jobs.get("", strict_slashes=False)
def own() -> str:
    """All that the account started and that is still there."""
    return render_template("staff/jobs.html", jobs=_queue().of(account().user_ref), states=STATES)


@jobs.get("/<job_id>")
def show(job_id: str) -> str:
    """How far one is; the page asks again by itself until it is over."""
    job = _job(job_id)
    return render_template(
        "staff/job.html", job=job, states=STATES, failure=FAILURES.get(job.failure), ahead=_queue().ahead(job.id)
    )


@jobs.get("/<job_id>/state")
def state(job_id: str) -> dict[str, object]:
    """The same for the page's script, in words of the page's language."""
    job = _job(job_id)
    return {
        "over": job.over,
        "waiting": job.state == WAITING,
        "percent": job.percent,
        "words": gettext(STATES[job.state]),
    }


@jobs.get("/<job_id>/file")
def file(job_id: str) -> BaseResponse:
    """The finished file; as often as wanted, for an hour."""
    job = _job(job_id)
    path = _queue().file(account().user_ref, job_id)
    if job.state != DONE or path is None:
        abort(404)
    media = MEDIA.get(job.filename.rpartition(".")[2], "application/octet-stream")
    answer = send_file(path.absolute(), media, conditional=False, etag=False)
    # Both names: old browsers take the first, the others the one in UTF-8 (RFC 6266, section 4.3).
    names = f"filename=\"{job.filename}\"; filename*=UTF-8''{quote(job.shown_as, safe='')}"
    answer.headers["Content-Disposition"] = f"attachment; {names}"
    return answer


@jobs.post("/<job_id>/cancel")
def cancel(job_id: str) -> BaseResponse:
    """End it, or throw its file away."""
    _queue().cancel(account().user_ref, _job(job_id).id)
    return redirect(url_for("jobs.own"), 303)


def _queue() -> Jobs:
    return jobs_of_app(current_app)


def _job(job_id: str) -> Job:
    """An own one; another's is as little there as one that never was."""
    found = _queue().get(account().user_ref, job_id)
    if found is None:
        abort(404)
    return found
