"""What people did, in words: the kinds of acts, and what of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from kiosk import phrases
from kiosk.phrases import N_
from kiosk.store.acts import Act
from kiosk.web.board import machine_name
from kiosk.words import Words, day
from lab_config.model import Lab

KINDS: Mapping[str, str] = {
    "session_reviewed": N_("decided on a session"),
    "manual_session_entered": N_("entered hours by hand"),
    "session_closed": N_("ended a session"),
    "session_questioned": N_("said that a session is wrong"),
    "clock_anchored": N_("dated a session"),
    "competency_signed": N_("signed a competency"),
    "qualification_granted": N_("granted a qualification or a briefing"),
    "badge_assigned": N_("gave a card"),
    "badge_blocked": N_("blocked a card"),
    "consent_given": N_("recorded a consent"),
    "consent_withdrawn": N_("recorded that a consent was withdrawn"),
    "contract_recorded": N_("recorded a contract"),
    "person_recorded": N_("changed a person's row in the list"),
    "person_merged": N_("merged two rows of one person"),
    "person_erased": N_("erased a person"),
    "record_released": N_("a record was released"),
    "machine_locked": N_("withdrew a machine or gave it back"),
    "imported": N_("imported a list"),
    "programmes_imported": N_("imported programmes"),
    "exported": N_("made a file"),
    "backed_up": N_("made a backup"),
    "signed_in": N_("signed in"),
    "sign_in_failed": N_("wrong password"),
    "signed_out": N_("signed out"),
    "password_changed": N_("changed a password"),
    "pin_changed": N_("changed a PIN"),
    "account_added": N_("added an account"),
    "account_changed": N_("changed an account"),
}
"""By `kiosk.store.acts.KINDS`, in the order in which a list offers them."""
ABOUT_ACCOUNTS = frozenset({"password_changed", "pin_changed", "account_added", "account_changed", "signed_out"})
LOCKS = {"locked": N_("withdrawn from use"), "given_back": N_("given back")}


class ActWords:
    """The words of one language for one lab. `account_name` knows an account by its reference, or gives None."""

    def __init__(self, lab: Lab, language: Words, account_name: Callable[[str], str | None]) -> None:
        self._lab = lab
        self._language = language
        self._account_name = account_name

    def kind(self, act: Act) -> str:
        """What was done."""
        return self._say(KINDS.get(act.kind, act.kind))

    def what(self, act: Act) -> str:
        """What of it: a decision, a level, a day. A subject that nothing here explains is shown as it stands."""
        first, _, rest = act.subject.partition(":")
        match act.kind:
            case "session_reviewed":
                return self._say(phrases.REVIEWS.get(first, first))
            case "manual_session_entered":
                return self._say(phrases.MANUAL_REASON_WORDS.get(first, first))
            case "machine_locked":
                return self._say(LOCKS.get(first, first))
            case "competency_signed":
                return self._level(act.subject)
            case "qualification_granted":
                name, _, until = act.subject.rpartition(":")
                return self._until(name, until)
            case "consent_given" | "consent_withdrawn" | "record_released":
                return self._until(self._enterprise(first), rest)
            case "contract_recorded":
                return self._until(self._enterprise(first), rest.rpartition(":")[2])
            case "session_closed" | "clock_anchored" | "person_recorded" | "badge_assigned" | "badge_blocked":
                return ""
            case "person_merged" | "person_erased":
                return ""
        if act.kind in ABOUT_ACCOUNTS and act.subject:
            return self._account_name(act.subject) or act.subject
        return act.subject

    def machine(self, act: Act) -> str:
        """The machine's name, empty without one."""
        return machine_name(self._lab, act.machine, self._language) if act.machine else ""

    def _say(self, message: str) -> str:
        return self._language.gettext(message)

    def _level(self, subject: str) -> str:
        competency, _, level = subject.rpartition(":")
        titles = {
            each.id: each.title.in_language(self._language.language)
            for programme in self._lab.programmes
            for each in programme.competencies
        }
        known = level.isdecimal() and int(level) < len(phrases.LEVELS)
        said = self._say(phrases.LEVELS[int(level)]) if known else level
        return self._language.gettext(
            N_("%(competency)s: %(level)s"), competency=titles.get(competency) or competency, level=said
        )

    def _enterprise(self, enterprise: str) -> str:
        names = {each.id: each.name.in_language(self._language.language) for each in self._lab.enterprises}
        return names.get(enterprise) or enterprise

    def _until(self, what: str, until: str) -> str:
        try:
            last = day(date.fromisoformat(until))
        except ValueError:
            return what
        return self._language.gettext(N_("%(what)s, until %(day)s"), what=what, day=last)
