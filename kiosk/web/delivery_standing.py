"""How every enterprise's records stand: what waits, since when, why, and whose records stay at the college.

The facts are in kiosk.db; what came of the tries is told by `sync` in a file of its own (`kiosk.delivery_status`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
WAITING_MAX = 2_000

NOTHING = DeliveryStatus()
TERMS = ("contract_recorded", "consent_given", "consent_withdrawn")
TERMS_MAX = 20_000
"""So many changes of contracts and consents are looked at, the newest first."""


@dataclass(frozen=True)
class Terms:
    """What holds between a person and an enterprise, as it was entered last; dates are ISO, empty for open ends."""

    contract: tuple[str, str] | None = None
    """First and last day."""
    consent: str | None = None
    """The last day; empty is without an end, None is no consent."""


Entered = dict[tuple[str, str], Terms]
"""By person and enterprise."""


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
    held: int
    """Of what has no receipt, how much may not leave now; it waits for no try."""
    oldest_ms: int | None
    """When the first record that may leave, and has no receipt, was released."""
    last_receipt_ms: int | None
    status: DeliveryStatus
    kept: tuple[Kept, ...]
    """Most sessions first, at most `NAMES_MAX`."""
    kept_sessions: Mapping[str, int]
    """All of them, by reason."""
    kept_people: int

    @property
    def waiting(self) -> int:
        """How many records would be sent now."""
        return self.count.pending - self.held if self.enterprise.deliver == "webhook" else 0


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
    known = entered(reading)
    return [
        _standing(reading, each, counted.get(each.id, OutboxCount(each.id, 0, 0, None)), told, today, known)
        for each in reading.lab.enterprises
    ]


def _standing(
    reading: Reading, enterprise: Enterprise, count: OutboxCount, told: SyncStatus | None, today: date, known: Entered
) -> Standing:
    first = (today - timedelta(days=LOOKED_BACK_DAYS)).isoformat()
    queue = _queue(reading, enterprise, today, known)
    never = _reasons(reading, enterprise, outbox.unreleased(reading.connection, enterprise.id, first), today, known)
    kept = _kept(reading, [*queue.held, *((row, reason or "date") for row, reason in never if reason is not None)])
    reasons: Counter[str] = Counter()
    for each in kept:
        reasons[each.reason] += each.sessions
    return Standing(
        enterprise=enterprise,
        count=count,
        held=sum(row.sessions for row, _ in queue.held),
        oldest_ms=released_ms(reading, queue.first_seq),
        last_receipt_ms=outbox.last_receipt_ms(reading.connection, enterprise.id),
        status=told.enterprises.get(enterprise.id, NOTHING) if told is not None else NOTHING,
        kept=tuple(sorted(kept, key=lambda each: (-each.sessions, people.kazakh_key(each.name)))[:NAMES_MAX]),
        kept_sessions={reason: reasons[reason] for reason in delivery_words.WITHHELD if reasons[reason]},
        kept_people=len({each.person_ref for each in kept}),
    )


@dataclass(frozen=True)
class _Queue:
    """The first `WAITING_MAX` records without a receipt."""

    held: list[tuple[Unsent, str]]
    """Those that may not leave now, and why."""
    first_seq: int | None
    """The first one that may."""


def _queue(reading: Reading, enterprise: Enterprise, today: date, known: Entered) -> _Queue:
    rows = outbox.unsent(reading.connection, enterprise.id, WAITING_MAX)
    judged = list(_reasons(reading, enterprise, rows, today, known))
    # Of whom nothing is known any more is a record that the kiosk withholds, too.
    held = [(row, reason or "contract") for row, reason in judged if reason != ""]
    return _Queue(held, min((row.first_seq for row, reason in judged if reason == ""), default=None))


def released_ms(reading: Reading, seq: int | None) -> int | None:
    """When the record of that entry was released, UTC."""
    if seq is None:
        return None
    rows = reading.entries(seq - 1, seq)
    return int(json.loads(rows[0][2])["stamp"]["wall_ms"]) if rows else None


def _reasons(
    reading: Reading, enterprise: Enterprise, rows: Iterable[Unsent], today: date, known: Entered
) -> Iterator[tuple[Unsent, str | None]]:
    """Why each may not leave; empty where it may, None for who has nothing to do with that enterprise."""
    terms: dict[str, Terms | None] = {}
    for row in rows:
        if row.person_ref not in terms:
            terms[row.person_ref] = known.get((row.person_ref, enterprise.id)) or _belonging(reading, row, enterprise)
        held = terms[row.person_ref]
        yield row, None if held is None else _why(enterprise, held, row, today.isoformat())


def _kept(reading: Reading, rows: Iterable[tuple[Unsent, str]]) -> list[Kept]:
    """By person and reason."""
    sums: Counter[tuple[str, str]] = Counter()
    since: dict[tuple[str, str], str] = {}
    for row, reason in rows:
        key = (row.person_ref, reason)
        sums[key] += row.sessions
        since[key] = min(since.get(key, row.local_date), row.local_date)
    return [
        Kept(person_ref, reading.full_name(person_ref), reason, sessions, since[person_ref, reason])
        for (person_ref, reason), sessions in sums.items()
    ]


def entered(reading: Reading) -> Entered:
    """Everybody's contracts and consents, as they were entered last; one walk, whatever the number of people."""
    found: Entered = {}
    seen: set[tuple[str, str, bool]] = set()
    for act in acts(reading.connection, kinds=TERMS, limit=TERMS_MAX):
        enterprise, _, dates = act.subject.partition(":")
        key, contract = (act.person_ref or "", enterprise), act.kind == "contract_recorded"
        if (*key, contract) in seen:
            continue
        seen.add((*key, contract))
        held = found.setdefault(key, Terms())
        if contract:
            first, _, last = dates.partition(":")
            found[key] = replace(held, contract=(first, last))
        elif act.kind == "consent_given":
            found[key] = replace(held, consent=dates)
    return found


def _belonging(reading: Reading, row: Unsent, enterprise: Enterprise) -> Terms | None:
    """Of whom nothing was entered: no terms; None for who has nothing to do with that enterprise."""
    person = people.person_by_ref(reading.connection, row.person_ref)
    return Terms() if person is not None and person.enterprise == enterprise.id else None


def _why(enterprise: Enterprise, held: Terms, row: Unsent, today: str) -> str:
    """Why it may not leave (`kiosk.domain.reviews.may_leave`); empty where it may."""
    if held.contract is None:
        return "contract"
    first, last = held.contract
    if not (first or row.local_date) <= row.local_date <= (last or row.local_date):
        return "contract"
    if held.consent is None or (held.consent or today) < today:
        return "consent"
    return "" if row.evidence in enterprise.accepts else "evidence"


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
        oldest = outbox.oldest_waiting(reading.connection, each.id) if each.deliver == "webhook" else None
        since_ms = released_ms(reading, oldest)
        if since_ms is None or now_ms - since_ms <= LONG_MS:
            continue  # whatever may leave is younger still
        queue = _queue(reading, each, reading.local_date(now_ms), entered(reading))
        since_ms = released_ms(reading, queue.first_seq)
        if since_ms is not None and now_ms - since_ms > LONG_MS:
            found.append((each, since_ms))
    return found
