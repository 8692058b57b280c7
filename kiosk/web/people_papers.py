"""A person's badges, consents and contracts as dated entries: what stands, and everything that was before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask_babel import gettext, ngettext

from kiosk.store import people as store
from kiosk.store.acts import Act, acts
from kiosk.store.people import Person
from kiosk.web.board import machine_name
from kiosk.web.own_record import unknown_seen
from kiosk.web.people_frame import enterprises, language, services, signer, titled
from kiosk.web.people_parts import moment
from kiosk.web.reading import Reading
from kiosk.words import day

BADGE_ACTS = ("badge_assigned", "badge_blocked")
AGREEMENT_ACTS = ("consent_given", "consent_withdrawn", "contract_recorded")
MOST_ACTS = 200
"""Of one person: years of them."""


@dataclass(frozen=True)
class Dated:
    """One entry of a history."""

    what: str
    at: str
    by: str


@dataclass(frozen=True)
class BadgePart:
    """A badge, and when it was given and refused."""

    ref: str
    number: str
    """Empty where this account does not see numbers, or where there is none any more."""
    blocked: bool
    history: Sequence[Dated]


@dataclass(frozen=True)
class Stranger:
    """A badge that nobody has, seen a short while ago at a reader."""

    reader: str
    place: str
    ago: str


@dataclass(frozen=True)
class AgreementPart:
    """Consent and contract with one enterprise as they stand."""

    enterprise: str
    name: str
    consent: str
    """`given`, `over`, `withdrawn` or `none`."""
    consent_until: str
    contract: str
    """Its days; empty without one."""
    contract_over: bool


def badge_parts(here: Reading, person: Person, numbers: bool) -> list[BadgePart]:
    """Those that work first."""
    happened = acts(here.connection, person_ref=person.person_ref, kinds=BADGE_ACTS, limit=MOST_ACTS)
    words = {"badge_assigned": gettext("card given"), "badge_blocked": gettext("card blocked")}

    def history(badge_ref: str) -> list[Dated]:
        mine = (each for each in happened if each.subject == badge_ref)
        return [Dated(words[each.kind], moment(here, each.at_ms), signer(here, each.by)) for each in mine]

    found = sorted(store.badges_of(here.connection, person.person_ref), key=lambda each: each.blocked)
    return [
        BadgePart(each.badge_ref, each.uid if numbers else "", each.blocked, history(each.badge_ref)) for each in found
    ]


def strangers(here: Reading) -> list[Stranger]:
    """What could be given by a touch, by reader."""
    now_ms = services().wall_ms()
    found = []
    for reader in here.lab.readers:
        seen = unknown_seen(here, reader.id, now_ms)
        if seen is not None:
            minutes = max(0, now_ms - seen.utc_ms) // 60_000
            ago = ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes) if minutes else gettext("just now")
            found.append(Stranger(reader.id, machine_name(here.lab, reader.machine, language()) or reader.id, ago))
    return found


def agreement_acts(here: Reading, person: Person) -> list[Act]:
    """Everything that was agreed and withdrawn, newest first."""
    return acts(here.connection, person_ref=person.person_ref, kinds=AGREEMENT_ACTS, limit=MOST_ACTS)


def agreement_history(here: Reading, happened: Sequence[Act]) -> list[Dated]:
    """The same in words."""
    return [Dated(_words(each), moment(here, each.at_ms), signer(here, each.by)) for each in happened]


def _words(act: Act) -> str:
    enterprise, *days = act.subject.split(":")
    name = titled(enterprises(), enterprise)
    if act.kind == "consent_withdrawn":
        return gettext("Consent withdrawn: %(enterprise)s", enterprise=name)
    if act.kind == "consent_given":
        (until,) = days or ("",)
        if not until:
            return gettext("Consent without an end: %(enterprise)s", enterprise=name)
        return gettext("Consent until %(day)s: %(enterprise)s", day=day(until), enterprise=name)
    return gettext("Contract %(days)s: %(enterprise)s", days=span(*days), enterprise=name)


def span(first: str | None = "", last: str | None = "") -> str:
    """`01.09.2026–30.06.2027`; an open end is left open."""
    return f"{day(first) if first else '…'}–{day(last) if last else '…'}"


def agreements(happened: Sequence[Act], today: str) -> Iterator[AgreementPart]:
    """By enterprise, in the order of the configuration: what stands of the newest entries."""
    newest: dict[tuple[str, str], Act] = {}
    for each in reversed(happened):
        newest[(each.subject.partition(":")[0], each.kind.partition("_")[0])] = each
    named = {enterprise for enterprise, _ in newest}
    for enterprise in [*(each for each in enterprises() if each in named), *sorted(named - set(enterprises()))]:
        consent, contract = newest.get((enterprise, "consent")), newest.get((enterprise, "contract"))
        until = consent.subject.partition(":")[2] if consent and consent.kind == "consent_given" else ""
        first, _, last = contract.subject.partition(":")[2].partition(":") if contract else ("", "", "")
        yield AgreementPart(
            enterprise=enterprise,
            name=titled(enterprises(), enterprise),
            consent=_standing(consent, until, today),
            consent_until=day(until) if until else "",
            contract=span(first, last) if contract else "",
            contract_over=bool(last) and last < today,
        )


def _standing(consent: Act | None, until: str, today: str) -> str:
    if consent is None:
        return "none"
    if consent.kind == "consent_withdrawn":
        return "withdrawn"
    return "over" if until and until < today else "given"
