"""`/sync`: what every enterprise has, what waits and since when, what was refused and why, whose records stay here."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, render_template

from kiosk.clock import real_wall_ms
from kiosk.phrases import N_
from kiosk.store.schema import open_reader
from kiosk.web import delivery_words
from kiosk.web.apps import request_language, services_of_app
from kiosk.web.delivery_standing import NAMES_MAX, Standing, problem_words, silent_since_ms, standings, sync_status
from kiosk.web.reading import Reading
from kiosk.words import Words, day, local, words

delivery = Blueprint("sync", __name__, url_prefix="/sync")

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Row:
    """One enterprise, in words."""

    id: str
    name: str
    look: str
    """`well`, `waits`, `held`, `trouble` or `stopped`: chip and icon."""
    kind: str
    released: int
    receipted: int
    waiting: int
    oldest: str
    age: str
    last_receipt: str
    last_try: str
    next_try: str
    problem: str
    failures: int
    code: str
    """What it answered, for whoever looks for the fault."""
    standing: Standing


@delivery.get("", strict_slashes=False)
def show() -> str:
    """All enterprises, as of now."""
    services = services_of_app(current_app)
    language = words(request_language(services))
    told = sync_status(services)
    now_ms, zone = services.wall_ms(), ZoneInfo(services.lab.timezone)
    with closing(open_reader(services.database)) as connection:
        found = standings(Reading(connection, services.lab), told, now_ms)
    silent_ms = silent_since_ms(told)
    sends = any(each.deliver == "webhook" for each in services.lab.enterprises)
    return render_template(
        "staff/sync.html",
        rows=[_row(each, language, zone, now_ms) for each in found],
        silent=moment_words(silent_ms, zone) if silent_ms is not None else "",
        unheard=told is None and sends,
        words_of=delivery_words,
        day=day,
        names_max=NAMES_MAX,
    )


def _row(standing: Standing, language: Words, zone: ZoneInfo, now_ms: int) -> Row:
    status, count = standing.status, standing.count
    problem = problem_words(status, language)
    look = (
        "stopped"
        if status.stopped
        else "trouble"
        if problem
        else "waits"
        if standing.waiting
        else "held"
        if standing.held
        else "well"
    )
    oldest_ms = standing.oldest_ms if standing.waiting else None
    return Row(
        id=standing.enterprise.id,
        name=standing.enterprise.name.in_language(language.language) or standing.enterprise.id,
        look=look,
        kind=language.gettext(delivery_words.KINDS.get(standing.enterprise.deliver, standing.enterprise.deliver)),
        released=count.released,
        receipted=count.receipted,
        waiting=standing.waiting,
        oldest=moment_words(oldest_ms, zone) if oldest_ms is not None else "",
        age=age_words(now_ms - oldest_ms, language) if oldest_ms is not None else "",
        last_receipt=moment_words(standing.last_receipt_ms, zone) if standing.last_receipt_ms is not None else "",
        last_try=moment_words(status.last_try_ms, zone) if status.last_try_ms is not None else "",
        next_try=_next_try(standing, language, zone),
        problem=problem,
        failures=sum(status.failures.values()),
        code=" ".join(part for part in (str(status.http or ""), status.reason) if part) if problem else "",
        standing=standing,
    )


def _next_try(standing: Standing, language: Words, zone: ZoneInfo) -> str:
    due_ms = standing.status.next_try_ms
    if due_ms is None or standing.status.stopped:
        return ""
    return language.gettext(N_("now")) if due_ms <= real_wall_ms() else moment_words(due_ms, zone)


def moment_words(utc_ms: int, zone: ZoneInfo) -> str:
    """`22.11.2026 10:42`, local."""
    moment = local(utc_ms, zone)
    return f"{day(moment.date())} {moment.strftime('%H:%M')}"


def age_words(duration_ms: int, language: Words) -> str:
    """`13 days`, `5 h`, `20 min`: the largest unit of which there are two."""
    if duration_ms >= 2 * DAY_MS:
        return language.ngettext("%(num)s day", "%(num)s days", duration_ms // DAY_MS)
    if duration_ms >= 2 * HOUR_MS:
        return language.gettext(N_("%(number)s h"), number=duration_ms // HOUR_MS)
    return language.gettext(N_("%(number)s min"), number=max(0, duration_ms) // MINUTE_MS)
