"""A running hub, and a college that delivers to it from a log in memory."""

from __future__ import annotations

import http.client
import json
import re
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from delivery_fixtures import MemoryLog, record

from kiosk.clock import real_wall_ms
from kiosk.hub.config import NewEnterprise, load_hub, write_hub
from kiosk.hub.service import HubService, opened
from kiosk.proofs import encode_base64
from kiosk.records import fingerprint
from kiosk.signatures import Signer
from kiosk.sync.delivery import Proofs, build, headers
from kiosk.sync.outbox import Pending, PendingRecord
from kiosk.sync.store import Delivery

WEBHOOK_KEY = Ed25519PrivateKey.generate()


class Answer:
    """A response, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def json(self) -> dict[str, object]:
        value = json.loads(self.text)
        assert isinstance(value, dict)
        return value


class Hub:
    """A running hub with two enterprises, and a browser's cookies."""

    def __init__(self, folder: Path, webhook_public_key: str | None = None) -> None:
        self.folder = folder
        self.made = {
            one.id: one
            for one in write_hub(
                folder,
                [
                    NewEnterprise("steel", "Demo Steel", "steel-password", webhook_public_key=webhook_public_key),
                    NewEnterprise("tyre", "Demo <b>Tyres</b>", "tyre-password"),
                ],
            )
        }
        self.now_ms = real_wall_ms
        self.cookie = ""
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        self.store = self._stack.enter_context(opened(self.folder))
        service = HubService(self.folder, load_hub(self.folder), self.store, ("127.0.0.1", 0), self.now_ms)
        self.host, self.port = service.address
        thread = threading.Thread(target=service.serve)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(service.stop)

    def close(self) -> None:
        self._stack.close()

    def request(self, method: str, path: str, body: bytes | None = None, **sent: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=40)
        try:
            all_headers = {name.replace("_", "-"): value for name, value in sent.items()}
            if self.cookie:
                all_headers["cookie"] = self.cookie
            connection.request(method, path, body, all_headers)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def deliver(self, delivery: Delivery, enterprise: str | None = None, now_ms: int | None = None) -> Answer:
        """The delivery under its own signature."""
        secret = self.made[delivery.enterprise].secret_file.read_text().strip()
        signed = headers(delivery, [secret], WEBHOOK_KEY, now_ms or real_wall_ms())
        path = f"/hooks/{enterprise or delivery.enterprise}"
        return self.request("POST", path, delivery.body, **{k.replace("-", "_"): v for k, v in signed.items()})

    def api(self, path: str, enterprise: str = "steel") -> Answer:
        return self.request("GET", f"/api/v1{path}", authorization=f"Bearer {self.made[enterprise].token}")

    def numbers(self, enterprise: str = "steel") -> list[int]:
        listed = self.api("/records?limit=500", enterprise).json["records"]
        assert isinstance(listed, list)
        return [item["entry"]["seq"] for item in listed]

    def form(self, path: str, page: str | None = None, **fields: str) -> Answer:
        """Fill in the form that stands on `page`."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.request("GET", page or path).text)
        assert token is not None
        body = urlencode({"csrf_token": token[1], **fields}).encode()
        return self.request("POST", path, body, content_type="application/x-www-form-urlencoded")

    def log_in(self, user: str = "steel", password: str | None = None) -> Answer:
        return self.form("/login", user=user, password=password or f"{user}-password")

    def alarms(self, enterprise: str = "steel") -> list[str]:
        with self.store.read() as db:
            return [kind for (kind,) in db.execute("SELECT kind FROM alarms WHERE enterprise = ?", (enterprise,))]


class Sender:
    """A college that signs and delivers from a log in memory."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog()
        self.signer = Signer.generate(self.log.origin)
        self.people: dict[str, dict[str, object]] = {}

    def delivery(
        self, *seqs: int, enterprise: str = "steel", size: int | None = None, since: int = 0, vkey: str | None = None
    ) -> Delivery:
        size = size or self.log.size
        listed = tuple(
            PendingRecord(
                seq, self.log.entries[seq], tuple(encode_base64(step) for step in self.log.inclusion(seq, size))
            )
            for seq in seqs
        )
        note = self.signer.sign_note(self.log.checkpoint(size).text())
        path = self.log.consistency(since, size) if 0 < since < size else []
        proofs = Proofs(self.log.origin, size, note, vkey or self.signer.vkey, path)
        return build(enterprise, Pending(listed, self.people, {}), proofs, real_wall_ms())


def accepted(hub: Hub) -> Sender:
    """A college whose log the hub accepted, with one record delivered at size 1."""
    sender = Sender()
    delivery = sender.delivery(sender.log.release(record()))
    hub.deliver(delivery)
    hub.store.accept(fingerprint(sender.signer.vkey), "test", 1)
    assert hub.deliver(delivery).status == 204
    return sender
