"""Who may do what on the staff side: one table, enforced for every path before anything else looks at it.

What is not in the table is refused. The roles are those of contract.md, section 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import abort, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from kiosk.phrases import N_
from kiosk.web.apps import account
from kiosk.web.login import turned_away

ROLES = ("instructor", "lead", "admin", "auditor")
EVERYBODY = frozenset(ROLES)
TEACHERS = frozenset({"instructor", "lead"})
OFFICE = TEACHERS | {"admin"}
HEADS = frozenset({"lead", "admin"})
ADMINS = frozenset({"admin"})
OPEN = frozenset({"static", "login.ask", "login.enter", "common.home", "common.language"})
"""Without an account."""
BEFORE_OWN_PASSWORD = frozenset({"password.ask", "password.change", "login.leave"})
"""What an account may open whose password somebody else made."""

BY_THEMSELVES = frozenset({"board.live", "jobs.state"})
"""What a page asks for without a person's doing: it keeps no sign-in alive."""


@dataclass(frozen=True)
class Room:
    """A blueprint: who may look (GET), and who may change something there (every other method)."""

    look: frozenset[str]
    change: frozenset[str]


ROOMS: Mapping[str, Room] = {
    "common": Room(EVERYBODY, frozenset()),
    "login": Room(EVERYBODY, EVERYBODY),
    "password": Room(EVERYBODY, EVERYBODY),
    "settings": Room(EVERYBODY, EVERYBODY),
    "accounts": Room(ADMINS, ADMINS),
    "backups": Room(ADMINS, ADMINS),
    "audit": Room(frozenset({"lead", "admin", "auditor"}), frozenset()),
    "review": Room(EVERYBODY, TEACHERS),
    "by_hand": Room(EVERYBODY, TEACHERS),
    "board": Room(EVERYBODY, TEACHERS),
    "screens": Room(OFFICE, OFFICE),
    "people": Room(EVERYBODY, OFFICE),
    "imports": Room(OFFICE, OFFICE),
    "programmes": Room(EVERYBODY, frozenset()),
    "programme_import": Room(HEADS, HEADS),
    "machines": Room(EVERYBODY, TEACHERS),
    "reports": Room(EVERYBODY, EVERYBODY),  # a file is made, and nothing changes
    "jobs": Room(EVERYBODY, EVERYBODY),
    "sync": Room(EVERYBODY, frozenset()),
    "briefings": Room(EVERYBODY, frozenset()),
    "briefing": Room(TEACHERS, TEACHERS),
}
EXCEPTIONS: Mapping[str, frozenset[str]] = {
    "people.find": EVERYBODY,  # a question, whose words stand in no address
    **dict.fromkeys(("people.new", "people.edit"), OFFICE),
    **dict.fromkeys(("people.sign", "people.grant", "people.enrol"), TEACHERS),
    **dict.fromkeys(("people.merge", "people.find_double", "people.compare", "people.join"), HEADS),
    **dict.fromkeys(("people.erase", "people.forget"), ADMINS),
}
"""By endpoint, where one path of a room is for others than the rest."""


@dataclass(frozen=True)
class Link:
    """One entry of the menu."""

    endpoint: str
    title: str


MENU = (
    Link("review.day", N_("Review")),
    Link("board.show", N_("Board")),
    Link("people.roster", N_("People")),
    Link("briefings.show", N_("Briefings")),
    Link("machines.show", N_("Machines")),
    Link("programmes.show", N_("Programmes")),
    Link("reports.choose", N_("Reports")),
    Link("sync.show", N_("Sync")),
    Link("audit.show", N_("Who did what")),
    Link("screens.show", N_("Screens")),
    Link("settings.show", N_("Settings")),
)


def allowed(endpoint: str, method: str) -> frozenset[str]:
    """The roles that may ask this; nobody where the table says nothing."""
    if endpoint in EXCEPTIONS:
        return EXCEPTIONS[endpoint]
    room = ROOMS.get(endpoint.partition(".")[0])
    if room is None:
        return frozenset()
    return room.look if method in {"GET", "HEAD", "OPTIONS"} else room.change


def guard() -> BaseResponse | None:
    """Before every request of the staff side: an account first, then a password of one's own, then the right role."""
    if request.endpoint is None or request.endpoint in OPEN:
        return None
    if not account().is_authenticated:
        return turned_away()
    if account().must_change and request.endpoint not in BEFORE_OWN_PASSWORD:
        return redirect(url_for("password.ask"), 303)
    if account().role not in allowed(request.endpoint, request.method):
        abort(403)
    return None


def menu() -> list[Link]:
    """What the signed-in account may open, in order."""
    if account().must_change:
        return []
    return [each for each in MENU if account().role in allowed(each.endpoint, "GET")]
