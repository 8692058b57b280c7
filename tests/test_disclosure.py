"""What a running kiosk tells sync: only what may leave, with its proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_bridge.observations import BadgeSeen
from kiosk.commands import Command, DecideSession, Done, ImportPeople, PersonRow
from kiosk.desk import Desk
from kiosk.disclosure import Disclosure
from kiosk.inbox import Asked, Heard
from kiosk.proofs import canonical, decode_base64, leaf_hash, verify_inclusion
from tests.kiosk_fixtures import AIGERIM, HandClock, small_lab

OTHER = replace(AIGERIM, person_id="p2", badges=("0F00448FB1",))


class Office:
    """A desk that answers at once, and what sync is told."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.database = folder / "kiosk.db"
        self.desk = Desk(self.database, self.clock, small_lab(folder / "lab"))
        self.desk.start()
        self.disclosure = Disclosure(self.database, self.submit)
        self.ops: dict[str, Callable[[dict[str, object]], object]] = self.disclosure.handlers()

    def submit(self, command: Command) -> Done:
        answer: Future[Done] = Future()
        _, answers = self.desk.handle([Asked(self.clock.stamp(), command, answer)])
        for given in answers:
            given.give()
        return answer.result(0)

    def lesson(self, uid: str) -> None:
        """Half an hour at the lathe, approved."""
        for _ in range(2):
            self.desk.handle([Heard(self.clock.stamp(), BadgeSeen("lathe-1", uid))])
            self.clock.move(30 * 60_000)
        session = max(self.desk.core.state.sessions)
        self.submit(DecideSession(session, "approved", "u1"))

    def pending(self, limit: int = 500) -> dict[str, list[dict[str, object]]]:
        size = self.desk.core.state.size
        told = self.ops["pending"]({"enterprise": "ent-steel", "size": size, "limit": limit})
        assert isinstance(told, dict)
        return told

    def end_consent(self, row: PersonRow) -> None:
        """From yesterday on the person no longer agrees."""
        self.submit(ImportPeople((replace(row, consent_until="2020-01-01"),)))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    made.submit(ImportPeople((AIGERIM, OTHER)))
    with closing(made.desk):
        yield made


def test_a_released_record_is_told_with_a_proof_that_holds(office: Office) -> None:
    office.lesson(AIGERIM.badges[0])
    (record,) = office.pending()["records"]
    head = office.ops["head"]({"size": None})
    path = [decode_base64(str(node)) for node in record["path"]]  # type: ignore[attr-defined]
    assert isinstance(head, dict)
    assert isinstance(record["seq"], int)
    verify_inclusion(
        leaf_hash(canonical(record["entry"])), record["seq"], head["size"], path, decode_base64(head["root"])
    )


def test_who_a_reference_is_travels_beside_the_record(office: Office) -> None:
    office.lesson(AIGERIM.badges[0])
    told = office.pending()
    (person,) = told["people"].values()  # type: ignore[attr-defined]
    assert person == {"personnel_number": "S-1", "contract": "Д-1", "name": "Ахметова Айгерім"}
    assert "Ахметова" not in str(told["records"])


def test_after_consent_has_ended_nothing_more_leaves(office: Office) -> None:
    office.lesson(AIGERIM.badges[0])
    seq = office.pending()["records"][0]["seq"]
    office.end_consent(AIGERIM)
    assert office.pending() == {"records": [], "people": {}, "texts": {}}
    assert office.ops["may_send"]({"enterprise": "ent-steel", "seqs": [seq]}) == {"seqs": []}


def test_records_that_may_not_leave_hold_up_nobody_behind_them(office: Office) -> None:
    for _ in range(3):
        office.lesson(AIGERIM.badges[0])
    office.lesson(OTHER.badges[0])
    office.end_consent(AIGERIM)
    assert len(office.pending(limit=2)["records"]) == 1


def test_another_enterprise_is_told_nothing(office: Office) -> None:
    office.lesson(AIGERIM.badges[0])
    size = office.desk.core.state.size
    told = office.ops["pending"]({"enterprise": "ent-tyre", "size": size, "limit": 9})
    assert told == {"records": [], "people": {}, "texts": {}}
    seq = office.pending()["records"][0]["seq"]
    assert office.ops["may_send"]({"enterprise": "ent-tyre", "seqs": [seq]}) == {"seqs": []}
