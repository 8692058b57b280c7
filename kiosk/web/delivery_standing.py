"""How every enterprise's records stand: what waits, since when, why, and whose records stay at the college.

The facts are in kiosk.db; what came of the tries is told by `sync` in a file of its own (`kiosk.delivery_status`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kiosk.clock import real_wall_ms
from kiosk.delivery_status import STATUS_FILE, DeliveryStatus, SyncStatus, read_status
from kiosk.store import outbox, people
from kiosk.store.acts import acts
from kiosk.store.outbox import OutboxCount, Unsent
from kiosk.web import delivery_words
from kiosk.web.reading import Reading
from kiosk.web.services import Services
from kiosk.words import Words
from lab_config.model import Enterprise

DAY_MS = 86_400_000
LONG_MS = DAY_MS
"""A record that has waited longer is something to tell an instructor of."""
SILENT_MS = 120_000
"""`sync` says every 30 s that it is alive."""
LOOKED_BACK_DAYS = 30
NAMES_MAX = 50
WAITING_MAX = 5_000

NOTHING = DeliveryStatus()
TERMS = ("contract_recorded", "consent_given", "consent_withdrawn")
TERMS_MAX = 200
"""So many changes of one person's contracts and consents are looked at, the newest first."""


@dataclass(frozen=True)
class Terms:
    """What holds between a person and an enterprise, as it was entered last; dates are ISO, empty for open ends."""

    contract: tuple[str, str] | None = None
    """First and last day."""
    consent: str | None = None
    """The last day; empty is without an end, None is no consent."""


@dataclass(frozen=True)
class Kept:
    """One person's records that stay here, and why."""

    person_ref: str
    name: str
    reason: str
    """A key of `delivery_words.WITHHELD`."""
    sessions: int
    since: str
    """The local date of the first."""


@dataclass(frozen=True)
class Standing:
    """One enterprise."""

    enterprise: Enterprise
    count: OutboxCount
    oldest_ms: int | None
    last_receipt_ms: int | None
    status: DeliveryStatus
    kept: tuple[Kept, ...]
    """Most sessions first, at most `NAMES_MAX`."""
    kept_sessions: Mapping[str, int]
    """All of them, by reason."""
    kept_people: int

    @property
    def waits(self) -> bool:
        """Is there something that we would send?"""
        return self.enterprise.deliver == "webhook" and self.count.pending > 0


def sync_status(services: Services) -> SyncStatus | None:
    """What `sync` told last; None where nothing is heard of it."""
    return read_status(services.database.parent / STATUS_FILE)


def silent_since_ms(told: SyncStatus | None) -> int | None:
    """When `sync` was heard of last, on the machine's own clock, where that is too long ago; None while it is alive."""
    return told.heard_ms if told is not None and real_wall_ms() - told.heard_ms > SILENT_MS else None


def standings(reading: Reading, told: SyncStatus | None, now_ms: int) -> list[Standing]:
    """Every enterprise, in the order of the configuration."""
    today = reading.local_date(now_ms)
    counted = {each.enterprise: each for each in outbox.counts(reading.connection)}
    return [
        _standing(reading, each, counted.get(each.id, OutboxCount(each.id, 0, 0, None)), told, today)
        for each in reading.lab.enterprises
    ]


def _standing(
    reading: Reading, enterprise: Enterprise, count: OutboxCount, told: SyncStatus | None, today: date
) -> Standing:
    kept = list(_kept(reading, enterprise, today))
    reasons: Counter[str] = Counter()
    for each in kept:
        reasons[each.reason] += each.sessions
    return Standing(
        enterprise=enterprise,
        count=count,
        oldest_ms=released_ms(reading, count.oldest_pending),
        last_receipt_ms=outbox.last_receipt_ms(reading.connection, enterprise.id),
        status=told.enterprises.get(enterprise.id, NOTHING) if told is not None else NOTHING,
        kept=tuple(sorted(kept, key=lambda each: (-each.sessions, people.kazakh_key(each.name)))[:NAMES_MAX]),
        kept_sessions={reason: reasons[reason] for reason in delivery_words.WITHHELD if reasons[reason]},
        kept_people=len({each.person_ref for each in kept}),
    )


def released_ms(reading: Reading, seq: int | None) -> int | None:
    """When the record of that entry was released, UTC."""
    if seq is None:
        return None
    rows = reading.entries(seq - 1, seq)
    return int(json.loads(rows[0][2])["stamp"]["wall_ms"]) if rows else None


def _kept(reading: Reading, enterprise: Enterprise, today: date) -> Iterable[Kept]:
    """By person and reason: what was released and may not leave any more, and what was never released."""
    first = (today - timedelta(days=LOOKED_BACK_DAYS)).isoformat()
    queued = outbox.unsent(reading.connection, enterprise.id, WAITING_MAX)
    never = outbox.unreleased(reading.connection, enterprise.id, first)
    sums: Counter[tuple[str, str]] = Counter()
    since: dict[tuple[str, str], str] = {}
    known: dict[str, Terms | None] = {}
    for released, rows in ((True, queued), (False, never)):
        for row in rows:
            if row.person_ref not in known:
                known[row.person_ref] = terms(reading, row.person_ref, enterprise.id)
            held = known[row.person_ref]
            reason = _why(enterprise, held, row, today.isoformat(), released=released) if held else ""
            if reason:
                key = (row.person_ref, reason)
                sums[key] += row.sessions
                since[key] = min(since.get(key, row.local_date), row.local_date)
    for (person_ref, reason), sessions in sums.items():
        yield Kept(person_ref, reading.full_name(person_ref), reason, sessions, since[person_ref, reason])


def terms(reading: Reading, person_ref: str, enterprise: str) -> Terms | None:
    """Contract and consent of a person; None for who has nothing to do with that enterprise."""
    contract: tuple[str, str] | None = None
    consent: str | None = None
    seen: set[str] = set()
    for act in acts(reading.connection, person_ref=person_ref, kinds=TERMS, limit=TERMS_MAX):
        name, _, dates = act.subject.partition(":")
        what = "contract" if act.kind == "contract_recorded" else "consent"
        if name != enterprise or what in seen:
            continue
        seen.add(what)
        if what == "contract":
            first, _, last = dates.partition(":")
            contract = (first, last)
        elif act.kind == "consent_given":
            consent = dates
    person = people.person_by_ref(reading.connection, person_ref)
    belongs = person is not None and person.enterprise == enterprise
    return Terms(contract, consent) if seen or belongs else None


def _why(enterprise: Enterprise, held: Terms, row: Unsent, today: str, *, released: bool) -> str:
    """Why it may not leave (`kiosk.domain.reviews.may_leave`); empty where it may."""
    if held.contract is None:
        return "contract"
    first, last = held.contract
    if not (first or row.local_date) <= row.local_date <= (last or row.local_date):
        return "contract"
    if held.consent is None or (held.consent or today) < today:
        return "consent"
    if row.evidence not in enterprise.accepts:
        return "evidence"
    return "" if released else "date"


def problem_words(status: DeliveryStatus, language: Words) -> str:
    """Why the last try failed and what to do; empty where it did not."""
    if status.stopped:
        return language.gettext(delivery_words.STOPPED)
    if not status.problem:
        return ""
    known = delivery_words.REASONS.get(status.reason) or delivery_words.PROBLEMS.get(status.problem)
    if known is None:
        http = status.http or 0
        known = delivery_words.ANSWERS.get(http) or delivery_words.ANSWERS_BY_HUNDRED.get(http // 100)
    return language.gettext(known or delivery_words.OTHER_ANSWER)


def late(services: Services, reading: Reading) -> Sequence[tuple[Enterprise, int]]:
    """The enterprises that records have waited for longer than a day, and since when, UTC."""
    now_ms = services.wall_ms()
    found = []
    for each in services.lab.enterprises:
        if each.deliver == "webhook":
            since_ms = released_ms(reading, outbox.oldest_waiting(reading.connection, each.id))
            if since_ms is not None and now_ms - since_ms > LONG_MS:
                found.append((each, since_ms))
    return found
