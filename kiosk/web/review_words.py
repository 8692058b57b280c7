"""What was decided on a session so far, in words: by whom, when, how many at once, how long after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiosk import phrases
from kiosk.domain.entries import UNDONE
from kiosk.phrases import N_
from kiosk.proofs import read
from kiosk.store import people, waiting
from kiosk.web.reading import NAMELESS, Reading
from kiosk.words import Words, clock_time, day, hours_minutes

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
HOURS_TOLD = 48
"""Beyond it days are told."""

TAKEN_BACK = N_("taken back")
QUESTIONED = N_("questioned by the apprentice")
ENTERED = N_("entered by hand")
CLOSED = N_("closed by the instructor")
RELEASED = N_("sent to %(enterprise)s, revision %(revision)s")

KINDS = {
    "silent": N_("no data: the machine was silent"),
    "down": N_("no data: the kiosk was down"),
    "none": N_("this machine has no sensor"),
    "still_here": N_("“I am still here” was touched"),
}
"""What is on the strip beside states and flags."""


@dataclass(frozen=True)
class Step:
    """One thing that somebody did about a session."""

    seq: int
    kind: str
    """The entry's type."""
    what: str
    decision: str
    """`approved`, `adjusted`, `rejected`, `undone`; empty for what is no decision."""
    by: str
    """An account, or empty for the apprentice and for what follows by itself."""
    at: str
    batch: int
    late: str
    mark: str
    reason: str
    text: str
    credited: str
    """Of an adjustment."""
    process: str
    supersedes: int | None


def kinds_in_words(said: Words) -> dict[str, str]:
    """Everything that can be on a strip; a page has hundreds of them, so each is looked up once."""
    return {kind: said.gettext(text) for kind, text in {**phrases.STATES, **phrases.FLAGS, **KINDS}.items()}


def history(reading: Reading, session: int, said: Words) -> list[Step]:
    """All that was done about a session, newest first."""
    return [_step(reading, read(data), said) for data in waiting.history(reading.connection, session)]


def _step(reading: Reading, body: dict[str, Any], said: Words) -> Step:
    at_ms = int(body["stamp"]["wall_ms"])
    reviewed = body["type"] == "session_reviewed"
    undone = reviewed and body.get("reason") == UNDONE
    reason = phrases.REVIEW_REASON_WORDS if reviewed else phrases.MANUAL_REASON_WORDS
    credited_ms = body.get("credited_ms") if reviewed else None
    return Step(
        seq=body["seq"],
        kind=body["type"],
        what=_what(reading, body, said, undone=undone),
        decision="undone" if undone else body["decision"] if reviewed else "",
        by=by_account(reading, body["by"]) if body.get("by") else "",
        at=f"{day(reading.local_date(at_ms))}, {clock_time(at_ms, reading.zone)}",
        batch=body.get("batch", 1),
        late=how_late(body.get("lag_ms", 0), said) if reviewed else "",
        mark=body.get("mark") or "",
        reason="" if undone else _known(reason, body.get("reason") if "by" in body else None, said),
        text=reading.text(body.get("text_hash")) or "",
        credited=hours_minutes(credited_ms) if credited_ms is not None else "",
        process=(body.get("process") or "") if credited_ms is not None else "",
        supersedes=body.get("supersedes"),
    )


def _what(reading: Reading, body: dict[str, Any], said: Words, *, undone: bool) -> str:
    match body["type"]:
        case "session_reviewed":
            decided = phrases.REVIEWS[body["decision"]]
            return said.gettext(TAKEN_BACK if undone else decided)
        case "session_questioned":
            return said.gettext(QUESTIONED)
        case "manual_session_entered":
            return said.gettext(ENTERED)
        case "record_released":
            names = {each.id: each.name for each in reading.lab.enterprises}
            name = names.get(body["enterprise"], body["enterprise"])
            return said.gettext(RELEASED, enterprise=name, revision=body["record"]["revision"])
        case _:
            return said.gettext(CLOSED)


def _known(table: dict[str, str], code: str | None, said: Words) -> str:
    """In words where there are some; a closing's reason is said by what it is."""
    if code is None or code in phrases.CLOSINGS:
        return ""
    return said.gettext(table[code]) if code in table else code


def by_account(reading: Reading, ref: str | None) -> str:
    """Who decided: the account's name; at the panel a badge without an account, then the person's."""
    if ref is None:
        return ""
    user = people.user_by_ref(reading.connection, ref)
    if user is not None:
        return user.name
    return reading.full_name(ref) if reading.who(ref) is not None else NAMELESS


def how_late(lag_ms: int, said: Words) -> str:
    """`40 min later`, `14 h later`, `3 days later`: how long after the session's end."""
    minutes = max(0, lag_ms) // MINUTE_MS
    if minutes < 60:
        return said.gettext(N_("%(number)s min later"), number=minutes)
    hours = minutes // 60
    if hours < HOURS_TOLD:
        return said.gettext(N_("%(number)s h later"), number=hours)
    return said.ngettext("%(num)s day later", "%(num)s days later", hours // 24)
