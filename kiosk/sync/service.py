"""The process: a thread for each enterprise, so that a slow one delays nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from kiosk.control import ControlRefused, NoKiosk
from kiosk.proofs import Checkpoint, ProofError
from kiosk.sync.notary import HistoryRewritten, Notary
from kiosk.sync.outbox import LogHead, Outbox
from kiosk.sync.sender import Step

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the outbox is looked at; a look is one small query of the kiosk."""
SEAL_MS = 60_000
"""How often the head is signed at most for enterprises that fetch their records themselves."""
REBUILDS = 5


class Stepper(Protocol):
    """Something that is done a step at a time: a `Sender`, or the `Sealer`."""

    def step(self, *, at_once: bool = False) -> Step:
        """Do the next thing there is to do."""


class Sealer:
    """Signs the head for enterprises that pull or take a file: they need a checkpoint, though nothing is sent."""

    def __init__(self, enterprises: Sequence[str], outbox: Outbox, notary: Notary, now_ms: Callable[[], int]) -> None:
        self._enterprises = enterprises
        self._outbox = outbox
        self._notary = notary
        self._now_ms = now_ms
        self._looked_ms: int | None = None

    def step(self, *, at_once: bool = False) -> Step:
        """Sign the head where the log has grown and somebody waits for a record in it."""
        now = self._now_ms()
        if not at_once and self._looked_ms is not None and abs(now - self._looked_ms) < SEAL_MS:
            return Step.WAITING
        self._looked_ms = now
        try:
            head = self._outbox.head()
            if head.size > _sealed_size(head) and any(
                self._outbox.pending(enterprise, head.size, 1).records for enterprise in self._enterprises
            ):
                self._notary.checkpoint(head)
        except (HistoryRewritten, ControlRefused) as error:
            log.warning("no checkpoint is signed: %s", error)
            return Step.FAILED
        return Step.IDLE


def _sealed_size(head: LogHead) -> int:
    if head.checkpoint is None:
        return 0
    try:
        return Checkpoint.of_note(head.checkpoint).size
    except ProofError:
        return 0


class Service:
    """All senders, until stopped."""

    def __init__(self, steppers: Sequence[Stepper], *, poll_s: float = POLL_S) -> None:
        self._steppers = steppers
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._kiosk_there = True
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guard, args=(stepper,), name=f"sync-{n}", daemon=True)
            for n, stepper in enumerate(steppers)
        ]

    @property
    def has_ended(self) -> bool:
        """True after `stop`, or after a fault of ours in any thread, which ends all of them."""
        return self._stop.is_set()

    def start(self) -> None:
        """Deliver from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the steps under way; a fault of ours that ended a thread is raised here."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2)  # one that waits for an answer is left: the delivery is sent again, under its id
        if self._failure is not None:
            raise self._failure

    def run_once(self) -> bool:
        """Deliver everything there is now; False if anything could not be. Raises `NoKiosk`."""
        results: list[bool | BaseException] = []

        def drain(stepper: Stepper) -> None:
            try:
                results.append(self._drain(stepper))
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                results.append(error)

        threads = [threading.Thread(target=drain, args=(stepper,), daemon=True) for stepper in self._steppers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return all(results)

    @staticmethod
    def _drain(stepper: Stepper) -> bool:
        rebuilds = 0
        while (step := stepper.step(at_once=True)) in (Step.DELIVERED, Step.REBUILD) and rebuilds <= REBUILDS:
            rebuilds += step is Step.REBUILD
        return step is Step.IDLE

    def _guard(self, stepper: Stepper) -> None:
        try:
            while not self._stop.is_set():
                if self._try(stepper) is not Step.DELIVERED:
                    self._stop.wait(self._poll_s)
        except BaseException as error:  # noqa: BLE001 - raised again by stop()
            self._failure = error
            self._stop.set()

    def _try(self, stepper: Stepper) -> Step | None:
        try:
            step = stepper.step()
        except NoKiosk as absence:
            self._say_kiosk(there=False, detail=str(absence))
            return None
        self._say_kiosk(there=True, detail="the kiosk answers again")
        return step

    def _say_kiosk(self, *, there: bool, detail: str) -> None:
        with self._lock:
            if there != self._kiosk_there:
                self._kiosk_there = there
                log.warning("%s", detail if there else f"{detail}; waiting for it")
