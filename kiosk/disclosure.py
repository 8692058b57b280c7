"""What a running kiosk tells `sync` over the control socket: heads, proofs, and records that may leave.

Reads through a connection of its own for each question; whether a record may still leave is the clerk's answer, from
consent and contract as they stand now.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kiosk.commands import CheckDisclosure, Command, Done
from kiosk.control import decode_command
from kiosk.proofs import encode_base64
from kiosk.store import outbox, people
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader

log = logging.getLogger(__name__)

RECORDS_MAX = 500
"""Records of one delivery (contract, section 9)."""

Request = Mapping[str, Any]


class Disclosure:
    """Answers the questions of `sync`."""

    def __init__(self, database: Path, submit: Callable[[Command], Done]) -> None:
        self._database = database
        self._submit = submit
        self.stopped: dict[str, str] = {}
        """Enterprises that answered 410, and what they said; for the instructor."""

    def handlers(self) -> dict[str, Callable[[dict[str, object]], object]]:
        """By operation, for `kiosk.control.ControlServer`."""
        return {
            "log": self._log,
            "head": self._head,
            "pending": self._pending,
            "may_send": self._may_send,
            "consistency": self._consistency,
            "command": self._command,
            "stopped": self._stopped,
        }

    def _log(self, _request: Request) -> object:
        with closing(open_reader(self._database)) as connection:
            ledger = Ledger(connection)
            return {"origin": ledger.origin, "size": ledger.size, "checkpoint": ledger.newest_checkpoint()}

    def _head(self, request: Request) -> object:
        with closing(open_reader(self._database)) as connection:
            ledger = Ledger(connection)
            size = ledger.size if request.get("size") is None else int(request["size"])
            return {"size": size, "root": encode_base64(ledger.root(size))}

    def _consistency(self, request: Request) -> object:
        with closing(open_reader(self._database)) as connection:
            path = Ledger(connection).consistency(int(request["from"]), int(request["to"]))
            return {"path": [encode_base64(node) for node in path]}

    def _pending(self, request: Request) -> object:
        enterprise, size = str(request["enterprise"]), int(request["size"])
        limit = min(int(request.get("limit", RECORDS_MAX)), RECORDS_MAX)
        with closing(open_reader(self._database)) as connection:
            ledger = Ledger(connection)
            rows = self._may_leave_now(connection, enterprise, size, limit)
            records = []
            for row in rows:
                data = ledger.entry(row.seq)
                assert data is not None
                path = [encode_base64(node) for node in ledger.inclusion(row.seq, size)]
                records.append({"seq": row.seq, "entry": json.loads(data), "path": path})
            who = {row.person_ref: _who(people.person_by_ref(connection, row.person_ref)) for row in rows}
            return {"records": records, "people": who, "texts": {}}

    def _may_leave_now(
        self, connection: sqlite3.Connection, enterprise: str, size: int, limit: int
    ) -> list[outbox.OutboxRow]:
        """The first pending records that may leave; those that may not hold up nobody behind them."""
        found: list[outbox.OutboxRow] = []
        after = -1
        while len(found) < limit and (page := outbox.pending(connection, enterprise, size, RECORDS_MAX, after)):
            allowed = set(self._allowed(enterprise, [row.seq for row in page]))
            found += [row for row in page if row.seq in allowed]
            after = page[-1].seq
        return found[:limit]

    def _may_send(self, request: Request) -> object:
        return {"seqs": list(self._allowed(str(request["enterprise"]), list(request["seqs"])))}

    def _allowed(self, enterprise: str, seqs: Sequence[int]) -> Sequence[int]:
        if not seqs:
            return ()
        value = self._submit(CheckDisclosure(enterprise, tuple(seqs))).value
        assert isinstance(value, tuple)
        return value

    def _command(self, request: Request) -> object:
        done = self._submit(decode_command(request["command"]))
        return {"seqs": list(done.seqs), "value": done.value}

    def _stopped(self, request: Request) -> object:
        self.stopped[str(request["enterprise"])] = str(request["reason"])
        log.warning("enterprise %s takes no more records: %s", request["enterprise"], request["reason"])
        return {}


def _who(person: people.Person | None) -> dict[str, str | None]:
    """Who a reference is: travels beside the record, never in it, so that it can be forgotten."""
    if person is None:
        return {"personnel_number": None, "contract": None, "name": None}
    name = " ".join(part for part in (person.surname, person.given, person.patronymic) if part)
    return {"personnel_number": person.personnel_number, "contract": person.contract, "name": name}
