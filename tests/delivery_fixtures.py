"""A college that releases records and an enterprise that misbehaves, for the tests of sync and of the hub."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kiosk.commands import CommandRefused, Done, StoreCheckpoint, StoreReceipt
from kiosk.control import ControlServer, decode_command
from kiosk.domain.utc import utc_text
from kiosk.proofs import (
    Checkpoint,
    canonical,
    completed_nodes,
    consistency_path,
    encode_base64,
    inclusion_path,
    leaf_hash,
    root_at,
)
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader, open_writer, write

LOG = "ktsk-w3/8c1f00000000aaaa"
ORIGIN = f"sheber/{LOG}"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOUR_MS = 3_600_000
START_MS = 1_793_271_900_000


def record(
    *,
    log: str = LOG,
    person: str = "aa11",
    person_seq: int = 1,
    record_id: str | None = None,
    revision: int = 1,
    credited_ms: int = 2 * HOUR_MS,
    decision: str = "approved",
    process: str | None = "CNC3",
    **changes: object,
) -> dict[str, object]:
    """A record as the contract writes it; `changes` replace members."""
    return {
        "v": 1,
        "type": "hours.session",
        "id": record_id or str(uuid.uuid4()),
        "revision": revision,
        "supersedes": None if revision == 1 else revision - 1,
        "lab": log.partition("/")[0],
        "log": log,
        "person_seq": person_seq,
        "person_ref": person,
        "machine": {"id": "mill-1", "class": "cnc_mill"},
        "programme": "cnc-operator",
        "process": process,
        "start": utc_text(START_MS),
        "end": utc_text(START_MS + 3 * HOUR_MS),
        "local_date": "2026-10-29",
        "presence_ms": 3 * HOUR_MS,
        "by_state_ms": {"running": 2 * HOUR_MS, "idle": HOUR_MS},
        "credited_ms": credited_ms,
        "unverified_ms": 0,
        "evidence": "badge+machine",
        "flags": [],
        "review": {"decision": decision, "by": "i1", "at": utc_text(START_MS + 4 * HOUR_MS), "reason": None},
        "rules": "0" * 64,
        **changes,
    }


def entry(seq: int, entry_type: str = "record_released", **fields: object) -> dict[str, object]:
    """A ledger entry."""
    stamp = {"boot": "b1", "boot_ms": seq * 1000, "wall_ms": START_MS + seq * 1000, "synced": True}
    nonce = encode_base64(seq.to_bytes(16, "big"))
    return {"v": 1, "seq": seq, "type": entry_type, "stamp": stamp, "nonce": nonce, **fields}


class MemoryLog:
    """A log whose history can be rewritten, which a real one refuses."""

    def __init__(self, log: str = LOG) -> None:
        self.log = log
        self.entries: list[dict[str, object]] = []
        self._nodes: dict[tuple[int, int], bytes] = {}

    @property
    def origin(self) -> str:
        return f"sheber/{self.log}"

    @property
    def size(self) -> int:
        return len(self.entries)

    def release(self, record: dict[str, object], enterprise: str = "steel") -> int:
        return self.append(entry(self.size, enterprise=enterprise, record=record))

    def noise(self, count: int = 1) -> None:
        for _ in range(count):
            self.append(entry(self.size, "tap_read", outcome="still_on"))

    def append(self, one: dict[str, object]) -> int:
        seq = self.size
        self.entries.append(one)
        for level, index, value in completed_nodes(seq, leaf_hash(canonical(one)), self._node):
            self._nodes[level, index] = value
        return seq

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, root_at(size, self._node))

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        return inclusion_path(seq, size, self._node)

    def consistency(self, first: int, second: int) -> list[str]:
        return [encode_base64(step) for step in consistency_path(first, second, self._node)]

    def _node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]


class FakeKiosk:
    """A kiosk's answers over a real control socket, from a real ledger; consent is a set of numbers."""

    def __init__(self, folder: Path, log: str = LOG) -> None:
        self.folder = folder
        self.log = log
        self.withheld: set[int] = set()
        self.receipts: dict[tuple[str, int], str] = {}
        self.notes: list[str] = []
        self.stopped: dict[str, str] = {}
        self.people: dict[str, dict[str, object]] = {}
        self.texts: dict[str, dict[str, object]] = {}
        self.released: list[tuple[int, str]] = []
        self.on_receipt: Callable[[], None] = lambda: None
        self._database = folder / "kiosk.db"
        self._writer = open_writer(self._database)
        self._ledger = Ledger(self._writer)
        with write(self._writer):
            self._ledger.name_log(log)
        self._server: ControlServer | None = None
        self.append("log_started", log=log, predecessor=None)

    def append(self, entry_type: str, **fields: object) -> int:
        with write(self._writer):
            seq = self._ledger.size
            return self._ledger.append(entry_type, canonical(entry(seq, entry_type, **fields)))

    def release(self, enterprise: str = "steel", **fields: object) -> int:
        one = record(log=self.log, **fields)  # type: ignore[arg-type]
        seq = self.append("record_released", enterprise=enterprise, record=one)
        self.released.append((seq, enterprise))
        self.people.setdefault(str(one["person_ref"]), {"personnel_number": "N-17", "contract": "C-1", "name": "Әлия"})
        return seq

    def start(self) -> None:
        handlers = {
            "log": self._log,
            "head": self._head,
            "pending": self._pending,
            "may_send": self._may_send,
            "consistency": self._consistency,
            "command": self._command,
            "stopped": self._stopped,
        }
        self._server = ControlServer(self.folder / "control.sock", handlers)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        self.stop()
        self._writer.close()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Ledger]:
        with closing(open_reader(self._database)) as connection:
            yield Ledger(connection)

    def _log(self, _: dict[str, object]) -> object:
        with self._read() as ledger:
            return {"origin": ledger.origin, "size": ledger.size, "checkpoint": self.notes[-1] if self.notes else None}

    def _head(self, request: dict[str, object]) -> object:
        with self._read() as ledger:
            size = ledger.size if request["size"] is None else int(str(request["size"]))
            return {"size": size, "root": encode_base64(ledger.root(size))}

    def _pending(self, request: dict[str, object]) -> object:
        size, limit = int(str(request["size"])), int(str(request["limit"]))
        mine = [
            seq
            for seq, enterprise in self.released
            if enterprise == request["enterprise"] and self._may(seq) and (enterprise, seq) not in self.receipts
        ]
        records = []
        with self._read() as ledger:
            for seq in [seq for seq in mine if seq < size][:limit]:
                path = [encode_base64(step) for step in ledger.inclusion(seq, size)]
                records.append({"seq": seq, "entry": json.loads(ledger.entry(seq) or b""), "path": path})
        return {"records": records, "people": self.people, "texts": self.texts}

    def _may(self, seq: int) -> bool:
        return seq not in self.withheld

    def _may_send(self, request: dict[str, object]) -> object:
        assert isinstance(request["seqs"], list)
        return {"seqs": [seq for seq in request["seqs"] if self._may(seq)]}

    def _consistency(self, request: dict[str, object]) -> object:
        with self._read() as ledger:
            path = ledger.consistency(int(str(request["from"])), int(str(request["to"])))
        return {"path": [encode_base64(step) for step in path]}

    def _command(self, request: dict[str, object]) -> object:
        assert isinstance(request["command"], dict)
        command = decode_command(request["command"])
        if isinstance(command, StoreCheckpoint):
            checkpoint = Checkpoint.of_note(command.note)
            with self._read() as ledger:
                if checkpoint.root != ledger.root(checkpoint.size):
                    raise CommandRefused("foreign_checkpoint")
            self.notes.append(command.note)
        elif isinstance(command, StoreReceipt):
            self.on_receipt()
            for seq in command.seqs:
                self.receipts[command.enterprise, seq] = command.webhook_id
        else:
            raise CommandRefused("unexpected", type(command).__name__)
        return Done()

    def _stopped(self, request: dict[str, object]) -> object:
        self.stopped[str(request["enterprise"])] = str(request["reason"])
        return {}


# --- an enterprise's endpoint that answers as it is told -------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    """Take everything and say nothing until the test ends."""
    reset: bool = False
    """Take everything and break the connection: the answer is lost."""
    raw: bytes | None = None
    """These bytes instead of HTTP."""
    drip: bool = False
    """A valid head, then a byte now and then for ever."""


@dataclass(frozen=True)
class Got:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def seqs(self) -> list[int]:
        return [item["entry"]["seq"] for item in json.loads(self.body)["data"]["records"]]


class Endpoint:
    """A real HTTP server on loopback. Answers with `replies` in turn, then with `after`."""

    def __init__(self, *replies: Reply, after: Reply | None = None) -> None:
        self.replies = list(replies)
        self.after = after or Reply()
        self.got: list[Got] = []
        self.closing = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                endpoint.got.append(Got(self.path, headers, body))
                endpoint.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sheber"

    @property
    def keeps_waiting(self) -> bool:
        """Does one of its answers never come?"""
        return any(each.hang or each.drip for each in (*self.replies, self.after))

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self.replies.pop(0) if self.replies else self.after
        handler.close_connection = True
        if reply.hang:
            self.closing.wait(30)
        elif reply.reset:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
        elif reply.raw is not None:
            handler.wfile.write(reply.raw)
        elif reply.drip:
            handler.wfile.write(b"HTTP/1.1 ")
            with contextlib.suppress(OSError):
                while not self.closing.wait(0.02):
                    handler.wfile.write(b"2")
        else:
            handler.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            with contextlib.suppress(OSError):
                handler.wfile.write(reply.body)
