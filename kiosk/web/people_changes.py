"""What staff change on a person's page: signatures, qualifications, badges, consent, contract. The clerk does it.

What was typed stays in the form where the clerk says no.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from flask import flash, redirect, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import phrases
from kiosk.badge_numbers import BadgeNumberError, PrintedNumberError, badge_number, candidates, told_bits, unfit
from kiosk.commands import (
    AssignBadge,
    Command,
    Done,
    EnrolSeen,
    GiveConsent,
    GrantQualification,
    RecordContract,
    RetireBadge,
    SignCompetency,
    WithdrawConsent,
)
from kiosk.domain.competence import LEVELS
from kiosk.store import people as store
from kiosk.web.apps import account
from kiosk.web.people_frame import listed_person, page_url, people, reading
from kiosk.web.people_one import show
from kiosk.web.review import TEXT_LIMIT, submit

Answer = BaseResponse | tuple[str | BaseResponse, int]
NUMBER_LETTERS = 60


def _typed(form: str, *names: str) -> dict[str, str]:
    return {"form": form, **{name: request.form.get(name, "").strip()[:TEXT_LIMIT] for name in names}}


def _again(ref: str, typed: Mapping[str, str], why: str = "") -> Answer:
    """The page as it was, with what was typed, and why it cannot be."""
    if why:
        flash(why, "refused")
    return show(ref, typed), 422


def _done(ref: str, said: str, part: str) -> Answer:
    flash(said, "done")
    return redirect(page_url(ref, part))


def _asked(ref: str, command: Command, typed: Mapping[str, str], said: str, part: str) -> Answer:
    return _again(ref, typed) if submit(command) is None else _done(ref, said, part)


def _day(text: str) -> str | None:
    """The ISO day that a form sent; None for anything else."""
    try:
        return date.fromisoformat(text).isoformat() if len(text) == 10 else None
    except ValueError:
        return None


def _bad_day() -> str:
    return gettext("That is no day. Choose it in the calendar.")


@people.post("/<string(length=16):ref>/sign/<competency>")
def sign(ref: str, competency: str) -> Answer:
    """An instructor's judgement on one competency."""
    listed_person(ref)
    typed = _typed(f"sign-{competency}", "level", "note")
    if typed["level"] not in {str(each) for each in LEVELS}:
        return _again(ref, typed, gettext("Choose a level."))
    level = int(typed["level"])
    command = SignCompetency(ref, competency, level, account().user_ref, typed["note"], "web")
    said = gettext("Signed: %(level)s", level=gettext(phrases.LEVELS[level]))
    return _asked(ref, command, typed, said, f"skill-{competency}")


@people.post("/<string(length=16):ref>/grant")
def grant(ref: str) -> Answer:
    """A qualification or a briefing, up to and with a last valid day, or for ever."""
    person = listed_person(ref)
    typed = _typed("grant", "qualification", "until")
    if not typed["qualification"]:
        return _again(ref, typed, gettext("Choose what is granted."))
    if typed["until"] and _day(typed["until"]) is None:
        return _again(ref, typed, _bad_day())
    command = GrantQualification(person.person_id, typed["qualification"], _day(typed["until"]), account().user_ref)
    return _asked(ref, command, typed, gettext("Granted."), "papers")


# --- badges ----------------------------------------------------------------------------------------------------------


@people.post("/<string(length=16):ref>/badge/seen")
def enrol(ref: str) -> Answer:
    """The unknown badge that was held to this reader last."""
    person = listed_person(ref)
    typed = _typed("badge", "reader", "replace")
    done = submit(EnrolSeen(typed["reader"], person.person_id, account().user_ref, typed["replace"] == "1"))
    return _again(ref, typed) if done is None else _done(ref, _given(done), "badges")


def _given(done: Done) -> str:
    """What to say: the taps that were refused before can be entered as hours."""
    taps = done.value.get("refused", []) if isinstance(done.value, dict) else []
    if not taps:
        return gettext("The card is given.")
    return ngettext(
        "The card is given. It was refused %(num)s time before: hours can be entered by hand under Review.",
        "The card is given. It was refused %(num)s times before: hours can be entered by hand under Review.",
        len(taps),
    )


@people.post("/<string(length=16):ref>/badge/number")
def assign(ref: str) -> Answer:
    """The badge whose number was typed: what a reader sends, or what is printed on a card that a reader has seen."""
    person = listed_person(ref)
    typed = _typed("number")
    number = request.form.get("number", "").strip()[:NUMBER_LETTERS]
    with reading() as here:
        known = [each.uid for each in store.badges(here.connection)]
    uid, why = meant(number, known)
    if uid is None:
        return _again(ref, typed, why)
    command = AssignBadge(uid, person.person_id, account().user_ref)
    return _asked(ref, command, typed, gettext("The card is given."), "badges")


def meant(text: str, known: list[str]) -> tuple[str | None, str]:
    """The badge's number that `text` tells, or None and why it tells none for certain."""
    try:
        uid = badge_number(text)
    except PrintedNumberError:
        fitting = candidates(text, known)
    except BadgeNumberError:
        return None, gettext("That is no number of a card. Type what is printed on it, or hold it to a reader.")
    else:
        fitting = candidates(text, known) if told_bits(text) else ()
        if not fitting or uid in fitting:
            fitting = (uid,)
    if not fitting:
        return None, gettext("No reader has seen a card with this number yet. Hold it to one, and type it again.")
    if len(fitting) > 1:
        return None, gettext("Several cards fit this number. Hold the card to a reader instead.")
    if unfit(fitting[0]):
        return None, gettext("This card shows another number each time. Give one with a number of its own.")
    return fitting[0], ""


@people.post("/<string(length=16):ref>/badge/block")
def block(ref: str) -> Answer:
    """A lost badge is refused from now on."""
    person = listed_person(ref)
    typed = _typed("block", "badge")
    with reading() as here:
        theirs = {each.badge_ref for each in store.badges_of(here.connection, person.person_ref)}
    if typed["badge"] not in theirs:
        return _again(ref, typed, gettext("This card is not theirs any more."))
    said = gettext("The card is blocked.")
    return _asked(ref, RetireBadge(typed["badge"], account().user_ref), typed, said, "badges")


# --- consent and contract --------------------------------------------------------------------------------------------


@people.post("/<string(length=16):ref>/consent")
def consent(ref: str) -> Answer:
    """The person agrees that an enterprise receives their records."""
    person = listed_person(ref)
    typed = _typed("consent", "enterprise", "until")
    if typed["until"] and _day(typed["until"]) is None:
        return _again(ref, typed, _bad_day())
    command = GiveConsent(person.person_id, typed["enterprise"], _day(typed["until"]), account().user_ref)
    return _asked(ref, command, typed, gettext("The consent is recorded."), "agreements")


@people.post("/<string(length=16):ref>/consent/withdraw")
def withdraw(ref: str) -> Answer:
    """Nothing more leaves for that enterprise."""
    person = listed_person(ref)
    typed = _typed("withdraw", "enterprise")
    command = WithdrawConsent(person.person_id, typed["enterprise"], account().user_ref)
    return _asked(ref, command, typed, gettext("The consent is withdrawn. Nothing more is sent."), "agreements")


@people.post("/<string(length=16):ref>/contract")
def contract(ref: str) -> Answer:
    """A contract with an enterprise."""
    person = listed_person(ref)
    typed = _typed("contract", "enterprise", "first", "last", "number", "personnel_number")
    if any(typed[name] and _day(typed[name]) is None for name in ("first", "last")):
        return _again(ref, typed, _bad_day())
    command = RecordContract(
        person_id=person.person_id,
        enterprise=typed["enterprise"],
        valid_from=_day(typed["first"]),
        valid_to=_day(typed["last"]),
        number=typed["number"] or None,
        personnel_number=typed["personnel_number"] or None,
        by=account().user_ref,
    )
    return _asked(ref, command, typed, gettext("The contract is recorded."), "agreements")
