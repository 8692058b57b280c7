"""One enterprise's deliveries, one step at a time."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from kiosk.control import ControlRefused
from kiosk.delivery_status import code_of
from kiosk.records import RECORDS_LIMIT, strict_json
from kiosk.refs import new_ref
from kiosk.sync.address import Resolve, Undeliverable, destination, system_resolve
from kiosk.sync.delivery import Proofs, build, headers
from kiosk.sync.notary import HistoryRewritten, Notary
from kiosk.sync.outbox import LogHead, Outbox
from kiosk.sync.post import Answer, Limits, post
from kiosk.sync.status import StatusFile
from kiosk.sync.store import Delivery, SyncStore

log = logging.getLogger(__name__)

SKEW_MS = 5 * 60_000
"""Standard Webhooks receivers refuse a timestamp further off than this."""
TELL_AGAIN_MS = 3_600_000
"""A kiosk that was started again has forgotten what it was told of a stop."""


class Step(Enum):
    """What one step came to."""

    IDLE = "nothing is pending"
    DELIVERED = "a delivery was receipted; there may be more"
    REBUILD = "the delivery was dropped, to be built again from what may leave"
    FAILED = "it could not be delivered and will be tried again"
    WAITING = "the next attempt is not due"
    STOPPED = "the enterprise wants nothing more"


@dataclass(frozen=True)
class Target:
    """Where an enterprise's records go."""

    enterprise: str
    url: str
    local: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """`whsec_...`; several while one replaces another."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait after the nth failure: doubling, the upper half of it by chance, never above the cap."""

    first_ms: int = 5_000
    cap_ms: int = 3_600_000
    below: Callable[[int], int] = lambda limit: int(new_ref(), 16) % limit

    def wait_ms(self, attempts: int) -> int:
        """Milliseconds to wait after that many failed attempts (1 and up)."""
        whole = min(self.cap_ms, self.first_ms << min(attempts - 1, 40))
        return whole - self.below(whole // 2 + 1)


@dataclass(frozen=True)
class Wire:
    """How deliveries leave: the resolver, bounds, and trust of TLS; a test hands in its own."""

    resolve: Resolve = system_resolve
    limits: Limits = field(default_factory=Limits)
    tls: ssl.SSLContext | None = None


class Sender:
    """Delivers to one enterprise. Used by one thread; independent of every other enterprise's sender."""

    def __init__(
        self,
        target: Target,
        outbox: Outbox,
        store: SyncStore,
        notary: Notary,
        now_ms: Callable[[], int],
        *,
        backoff: Backoff | None = None,
        wire: Wire | None = None,
        status: StatusFile | None = None,
    ) -> None:
        """`status` is told what becomes of every try, for the pages."""
        self.target = target
        self._outbox = outbox
        self._store = store
        self._notary = notary
        self._now_ms = now_ms
        self._backoff = backoff or Backoff()
        self._wire = wire or Wire()
        self._status = status
        self._condition = ""
        self._told_ms: int | None = None

    def step(self, *, at_once: bool = False) -> Step:
        """Do the next thing there is to do; with `at_once`, an attempt is made whether or not it is due.

        Raises only `NoKiosk`.
        """
        try:
            if self._has_stopped():
                return Step.STOPPED
            head = self._outbox.head()
            delivery = self._store.on_its_way(self.target.enterprise)
            if delivery is not None and delivery.origin != head.origin:
                self._store.drop(delivery.id)  # a restored log has other numbers; what is owed is in its own outbox
                delivery = None
            delivery = delivery or self._next(head)
            if delivery is None:
                if self._status is not None:
                    self._status.nothing_waits(self.target.enterprise)
                return Step.IDLE
            if delivery.receipted_ms is not None:
                return self._hand_over_receipt(delivery)
            if not at_once and not self._is_due(delivery):
                return Step.WAITING
            if self._outbox.may_send(self.target.enterprise, delivery.seqs) != set(delivery.seqs):
                self._store.drop(delivery.id)
                return Step.REBUILD
            return self._attempt(delivery, head)
        except HistoryRewritten as error:
            return self._stuck("rewritten", str(error))
        except ControlRefused as error:
            return self._stuck("kiosk", f"the kiosk refused: {error}")

    # --- building

    def _next(self, head: LogHead) -> Delivery | None:
        if head.size == 0:
            return None
        enterprise = self.target.enterprise
        pending = self._outbox.pending(enterprise, head.size, RECORDS_LIMIT)
        if not pending.records:
            return None
        checkpoint = self._notary.checkpoint(head)
        known = self._store.acknowledged(enterprise, head.origin)
        consistency = self._outbox.consistency(known, head.size) if 0 < known < head.size else []
        vkey = self._notary.keys(head.origin).signer.vkey
        proofs = Proofs(head.origin, head.size, checkpoint, vkey, consistency)
        delivery = build(enterprise, pending, proofs, self._now_ms())
        self._store.enqueue(delivery)
        return delivery

    def _is_due(self, delivery: Delivery) -> bool:
        """A moment further off than any wait was set by a clock that was wrong; it counts as now."""
        return not 0 < delivery.next_ms - self._now_ms() <= 2 * self._backoff.cap_ms

    # --- sending

    def _attempt(self, delivery: Delivery, head: LogHead) -> Step:
        now = self._now_ms()
        signed = headers(delivery, self.target.secrets, self._notary.keys(head.origin).webhook, now)
        try:
            to = destination(self.target.url, local=self.target.local, resolve=self._wire.resolve)
            answer = post(to, signed, delivery.body, limits=self._wire.limits, tls=self._wire.tls)
        except Undeliverable as problem:
            return self._failed(delivery, problem.reason, None, problem.code)
        if 200 <= answer.status < 300:
            self._store.receipted(delivery, self._now_ms())
            return self._hand_over_receipt(delivery)
        problem_json = _problem(answer)
        if answer.status == 410:
            return self._stop(delivery)
        if answer.status == 409 and self._knows_another_head(delivery, head, problem_json):
            return Step.REBUILD
        told = problem_json.get("detail") or problem_json.get("title") or ""
        reason = f"it answered {answer.status}" + (f": {_printable(told)}" if isinstance(told, str) and told else "")
        wait_ms = _retry_after_ms(answer, self._now_ms())
        why = code_of(problem_json.get("reason"))
        return self._failed(delivery, reason + _skew(answer, self._now_ms()), wait_ms, "answer", answer.status, why)

    def _hand_over_receipt(self, delivery: Delivery) -> Step:
        self._outbox.store_receipt(self.target.enterprise, delivery.seqs, delivery.id)
        self._store.done(delivery.id)
        self._say("delivered", good=True)
        if self._status is not None:
            self._status.delivered(self.target.enterprise)
        return Step.DELIVERED

    def _failed(
        self,
        delivery: Delivery,
        reason: str,
        retry_after_ms: int | None,
        code: str,
        http: int | None = None,
        why: str = "",
    ) -> Step:
        wait = self._backoff.wait_ms(delivery.attempts + 1)
        if retry_after_ms is not None:
            wait = min(max(retry_after_ms, 1_000), self._backoff.cap_ms)
        next_ms = self._now_ms() + wait
        self._store.failed(delivery.id, next_ms, reason)
        self._say(reason)
        if self._status is not None:
            self._status.failed(self.target.enterprise, code, next_ms=next_ms, http=http, reason=why)
        return Step.FAILED

    def _stuck(self, code: str, reason: str) -> Step:
        """Our own side will not have it; it is asked again at the next step."""
        if self._status is not None and reason != self._condition:
            self._status.failed(self.target.enterprise, code)
        self._say(reason)
        return Step.FAILED

    def _knows_another_head(self, delivery: Delivery, head: LogHead, problem: dict[str, object]) -> bool:
        """An answer of ours was lost, or the hub was restored: it says which head it has, and is proved from there."""
        size = problem.get("size")
        if problem.get("reason") != "consistency" or type(size) is not int or not 0 <= size <= head.size:
            return False
        if size == self._store.acknowledged(self.target.enterprise, head.origin) and delivery.size == head.size:
            return False  # that is what we proved from; asking again would bring the same answer
        self._store.acknowledge(self.target.enterprise, head.origin, size)
        self._store.drop(delivery.id)
        return True

    # --- stopping

    def _stop(self, delivery: Delivery) -> Step:
        reason = "it answered 410: it wants no more deliveries at this address"
        self._store.stop(delivery.enterprise, self.target.url, reason)
        self._say(reason)
        self._has_stopped()
        return Step.STOPPED

    def _has_stopped(self) -> bool:
        """Stopped until its address changes, or `sheber sync --resume`. The kiosk is told, and reminded."""
        stop = self._store.stopped(self.target.enterprise)
        if stop is None:
            if self._status is not None:
                self._status.resumed(self.target.enterprise)
            return False
        if stop.url != self.target.url:
            self._store.resume(self.target.enterprise)
            return False
        if self._status is not None:
            self._status.stopped(self.target.enterprise)
        now = self._now_ms()
        if self._told_ms is None or abs(now - self._told_ms) >= TELL_AGAIN_MS:
            self._outbox.stopped(self.target.enterprise, stop.reason)
            self._told_ms = now
        return True

    def _say(self, condition: str, *, good: bool = False) -> None:
        """One line for each change of condition, not for each attempt."""
        if condition != self._condition:
            self._condition = condition
            log.log(logging.INFO if good else logging.WARNING, "%s: %s", self.target.enterprise, condition)


def _problem(answer: Answer) -> dict[str, object]:
    """The members of an RFC 9457 answer; empty for anything else."""
    if "json" not in answer.headers.get("content-type", ""):
        return {}
    try:
        value = strict_json(answer.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:200])


def _skew(answer: Answer, now_ms: int) -> str:
    there = _http_date_ms(answer.headers.get("date", ""))
    if there is None or abs(there - now_ms) <= SKEW_MS:
        return ""
    return f" (its clock and ours differ by {abs(there - now_ms) // 60_000} min; check this machine's time)"


def _retry_after_ms(answer: Answer, now_ms: int) -> int | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text) * 1000
    moment = _http_date_ms(text)
    return None if moment is None else max(0, moment - now_ms)


def _http_date_ms(text: str) -> int | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
