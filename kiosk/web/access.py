"""Who may do what on the staff side: one table, enforced for every path before anything else looks at it.

What is not in the table is refused. The roles are those of contract.md, section 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import abort, current_app, request
from werkzeug.wrappers import Response as BaseResponse

from kiosk.phrases import N_
from kiosk.web.apps import account

ROLES = ("instructor", "lead", "admin", "auditor")
EVERYBODY = frozenset(ROLES)
TEACHERS = frozenset({"instructor", "lead"})
OFFICE = TEACHERS | {"admin"}
HEADS = frozenset({"lead", "admin"})
ADMINS = frozenset({"admin"})
OPEN = frozenset({"static", "login.ask", "login.enter", "common.home", "common.language"})
"""Without an account."""


@dataclass(frozen=True)
class Room:
    """A blueprint: who may look (GET), and who may change something there (every other method)."""

    look: frozenset[str]
    change: frozenset[str]


ROOMS: Mapping[str, Room] = {
    "common": Room(EVERYBODY, frozenset()),
    "login": Room(EVERYBODY, EVERYBODY),
    "review": Room(EVERYBODY, TEACHERS),
    "by_hand": Room(EVERYBODY, TEACHERS),
    "screens": Room(OFFICE, OFFICE),
    "people": Room(EVERYBODY, OFFICE),
    "machines": Room(EVERYBODY, TEACHERS),
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
    Link("people.roster", N_("People")),
    Link("briefings.show", N_("Briefings")),
    Link("machines.show", N_("Machines and readers")),
    Link("sync.show", N_("Sync")),
    Link("screens.show", N_("Screens")),
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
    """Before every request of the staff side: an account first, then the right role."""
    if request.endpoint is None or request.endpoint in OPEN:
        return None
    if not account().is_authenticated:
        found: BaseResponse = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        return found
    if account().role not in allowed(request.endpoint, request.method):
        abort(403)
    return None


def menu() -> list[Link]:
    """What the signed-in account may open, in order."""
    return [each for each in MENU if account().role in allowed(each.endpoint, "GET")]
