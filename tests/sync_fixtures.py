"""A college with a sync process beside it, over a real control socket and real files; only the clock is ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from delivery_fixtures import ORIGIN, SECRET, Endpoint, FakeKiosk

from kiosk.control import ControlClient
from kiosk.delivery_status import STATUS_FILE, DeliveryStatus, read_status
from kiosk.sync.keys import load_or_make
from kiosk.sync.notary import Notary
from kiosk.sync.outbox import Outbox
from kiosk.sync.post import Limits
from kiosk.sync.sender import Backoff, Sender, Target, Wire
from kiosk.sync.status import StatusFile
from kiosk.sync.store import SyncStore
from tests.patience import PATIENCE_S

MakeEndpoint = Callable[..., Endpoint]

NOW_MS = 1_793_300_000_000
HASTY = Wire(limits=Limits(connect_s=5, read_s=1, whole_s=2))
"""For an enterprise that never answers; every other may be as slow as a loaded machine makes it."""
PATIENT = Wire(limits=Limits(connect_s=PATIENCE_S, read_s=PATIENCE_S, whole_s=PATIENCE_S))


class College:
    """A kiosk, and the sync process beside it, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kiosk = FakeKiosk(folder)
        self.kiosk.start()
        self.now_ms = NOW_MS
        self.outbox = Outbox(ControlClient(folder / "control.sock"))
        self.start_sync()

    def start_sync(self) -> None:
        self.keys = load_or_make(self.folder / "sync", ORIGIN)
        self.store = SyncStore(self.folder / "sync" / "sync.db")
        self.notary = Notary(self.outbox, self.store, lambda origin: load_or_make(self.folder / "sync", origin))
        self.status = StatusFile(self.folder / STATUS_FILE, ("steel", "tyre"), lambda: self.now_ms)

    def sender(self, endpoint: Endpoint, enterprise: str = "steel", wire: Wire | None = None) -> Sender:
        target = Target(enterprise, endpoint.url, local=True, secrets=(SECRET,))
        backoff = Backoff(below=lambda _: 0)
        return Sender(
            target,
            self.outbox,
            self.store,
            self.notary,
            lambda: self.now_ms,
            backoff=backoff,
            wire=wire or (HASTY if endpoint.keeps_waiting else PATIENT),
            status=self.status,
        )

    def told(self, enterprise: str = "steel") -> DeliveryStatus:
        """What the pages can read of it."""
        read = read_status(self.folder / STATUS_FILE)
        assert read is not None
        return read.enterprises[enterprise]

    def last_error(self, enterprise: str = "steel") -> str:
        delivery = self.store.on_its_way(enterprise)
        assert delivery is not None
        return delivery.last_error or ""

    def wait_ms(self, enterprise: str = "steel") -> int:
        delivery = self.store.on_its_way(enterprise)
        assert delivery is not None
        return delivery.next_ms - self.now_ms

    def close(self) -> None:
        self.store.close()
        self.kiosk.close()
