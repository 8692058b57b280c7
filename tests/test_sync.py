"""Deliveries: a real ledger behind a real control socket, real HTTP, real files; only the clock is ours."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from delivery_fixtures import HOUR_MS, ORIGIN, SECRET, Endpoint, FakeKiosk, Reply

from kiosk.control import ControlClient, NoKiosk
from kiosk.proofs import (
    Checkpoint,
    canonical,
    decode_base64,
    leaf_hash,
    parse_tlog_proof,
    verify_consistency,
    verify_inclusion,
)
from kiosk.records import DELIVERY_LIMIT
from kiosk.signatures import Verifier, open_note, verify_webhook_v1a
from kiosk.sync.delivery import headers
from kiosk.sync.keys import load_or_make
from kiosk.sync.notary import Notary
from kiosk.sync.outbox import Outbox
from kiosk.sync.post import Limits
from kiosk.sync.sender import Backoff, Sender, Step, Target, Wire
from kiosk.sync.service import Sealer, Service
from kiosk.sync.store import Delivery, StoreError, SyncStore

NOW_MS = 1_793_300_000_000
FAST = Wire(limits=Limits(connect_s=0.5, read_s=0.2, whole_s=0.4))


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

    def sender(self, endpoint: Endpoint, enterprise: str = "steel", wire: Wire = FAST) -> Sender:
        target = Target(enterprise, endpoint.url, local=True, secrets=(SECRET,))
        backoff = Backoff(below=lambda _: 0)
        return Sender(target, self.outbox, self.store, self.notary, lambda: self.now_ms, backoff=backoff, wire=wire)

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


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    college = College(tmp_path)
    yield college
    college.close()


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    made: list[Endpoint] = []

    def make(*replies: Reply, after: Reply | None = None) -> Endpoint:
        made.append(Endpoint(*replies, after=after))
        return made[-1]

    yield make
    for one in made:
        one.close()


MakeEndpoint = Callable[..., Endpoint]


def test_a_released_record_arrives_signed_and_proved_and_the_kiosk_gets_the_receipt(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint()
    seq = college.kiosk.release()
    assert college.sender(there).step() is Step.DELIVERED
    (got,) = there.got
    event = json.loads(got.body)
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "sheber.records.v1", ORIGIN)
    assert got.headers["content-type"].startswith("application/cloudevents+json")

    seconds = int(got.headers["webhook-timestamp"])
    assert seconds == NOW_MS // 1000
    v1 = got.headers["webhook-signature"].split(" ")[0]
    text = f"{got.headers['webhook-id']}.{seconds}.".encode() + got.body
    import base64
    import hashlib
    import hmac

    assert (
        v1
        == "v1,"
        + base64.b64encode(
            hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), text, hashlib.sha256).digest()
        ).decode()
    )
    verify_webhook_v1a(
        college.keys.webhook.public_key(),
        got.headers["webhook-id"],
        seconds,
        got.body,
        got.headers["webhook-signature"],
    )

    (item,) = event["data"]["records"]
    proof = parse_tlog_proof(item["proof"])
    assert proof.checkpoint_note == event["data"]["checkpoint"]
    head = Checkpoint.parse(open_note(proof.checkpoint_note, [Verifier.from_vkey(event["data"]["vkey"])]))
    verify_inclusion(leaf_hash(canonical(item["entry"])), proof.index, head.size, proof.path, head.root)
    assert proof.index == seq
    assert college.kiosk.receipts == {("steel", seq): got.headers["webhook-id"]}
    assert college.kiosk.notes == [proof.checkpoint_note]
    assert college.sender(there).step() is Step.IDLE


def test_v1_signatures_are_those_of_the_published_vector(college: College) -> None:
    """Source: standard-webhooks/standard-webhooks, the tests of its libraries."""
    body = b'{"test": 2432232314}'
    delivery = Delivery("msg_p5jXN8AQM9LWM0D4loKWxJek", "steel", ORIGIN, body, (1,), 2, 0)
    signed = headers(delivery, [SECRET], college.keys.webhook, 1_614_265_330_000)
    assert signed["webhook-signature"].split(" ")[0] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_people_and_texts_of_other_records_stay_at_the_college(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    college.kiosk.texts = {"a" * 64: {"salt": "s", "text": "mine"}, "b" * 64: {"salt": "s", "text": "other's"}}
    review = {"decision": "adjusted", "by": "i1", "at": None, "reason": "other", "text_hash": "a" * 64}
    college.kiosk.release(person="mine", review=review)
    college.kiosk.release(person="others", enterprise="tyre")
    college.sender(there).step()
    data = json.loads(there.got[0].body)["data"]
    assert set(data["people"]) == {"mine"}
    assert set(data["texts"]) == {"a" * 64}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(500), "it answered 500"),
        (Reply(429), "it answered 429"),
        (Reply(503, {"content-type": "application/problem+json"}, b'{"detail":"log parked"}'), "503: log parked"),
        (Reply(302, {"location": "http://127.0.0.1:9/"}), "it answered 302"),
        (Reply(307, {"location": "http://127.0.0.1:9/"}), "it answered 307"),
        (Reply(400, {"content-type": "application/json"}, b"\xff[[["), "it answered 400"),
        (Reply(409, {"content-type": "application/problem+json"}, b'{"reason":"consistency","size":"x"}'), "409"),
        (Reply(hang=True), "did not answer in time"),
        (Reply(drip=True), "did not answer in time"),
        (Reply(reset=True), "broke before an answer"),
        (Reply(raw=b"\x00\xffgarbage\r\n\r\n"), "broke before an answer"),
        (Reply(raw=b""), "broke before an answer"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "reply",
)
def test_whatever_is_not_a_receipt_is_sent_again_with_the_same_id_and_bytes(
    college: College, endpoint: MakeEndpoint, reply: Reply, told: str
) -> None:
    there = endpoint(reply)
    seq = college.kiosk.release()
    sender = college.sender(there)
    assert sender.step() is Step.FAILED
    assert told in college.last_error()
    assert college.kiosk.receipts == {}
    assert sender.step() is Step.WAITING
    college.now_ms += 5_000
    assert sender.step() is Step.DELIVERED
    first, second = there.got
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5
    assert ("steel", seq) in college.kiosk.receipts


def test_a_redirect_is_not_followed(college: College, endpoint: MakeEndpoint) -> None:
    elsewhere = endpoint()
    there = endpoint(Reply(308, {"location": elsewhere.url}))
    college.kiosk.release()
    college.sender(there).step()
    assert elsewhere.got == []


def test_an_answer_of_many_megabytes_is_a_receipt_and_not_read(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(200, body=b"x" * 20_000_000))
    college.kiosk.release()
    assert college.sender(there).step() is Step.DELIVERED


def test_an_enterprise_that_cannot_be_reached_is_told_in_words(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    there.close()
    college.kiosk.release()
    assert college.sender(there).step() is Step.FAILED
    assert "no connection to its host" in college.last_error()


def test_waits_double_up_to_an_hour(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(after=Reply(500))
    college.kiosk.release()
    sender = college.sender(there)
    waits = []
    for _ in range(14):
        sender.step(at_once=True)
        waits.append(college.wait_ms())
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[-1] == HOUR_MS


def test_chance_takes_up_to_half_of_a_wait_so_that_kiosks_do_not_return_together() -> None:
    waits = {Backoff().wait_ms(3) for _ in range(200)}
    assert all(10_000 <= wait <= 20_000 for wait in waits)
    assert len(waits) > 50


@pytest.mark.parametrize(
    ("retry_after", "wait_ms"),
    [
        ("30", 30_000),
        ("0", 1_000),
        ("86400", HOUR_MS),
        (formatdate(NOW_MS / 1000 + 90, usegmt=True), 90_000),
        ("soon", 5_000),
        ("-1", 5_000),
    ],
)
def test_retry_after_is_honoured_up_to_an_hour(
    college: College, endpoint: MakeEndpoint, retry_after: str, wait_ms: int
) -> None:
    there = endpoint(Reply(503, {"retry-after": retry_after}))
    college.kiosk.release()
    college.sender(there).step()
    assert college.wait_ms() == wait_ms


def test_a_wait_set_by_a_wrong_clock_is_not_waited_for(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(500))
    college.kiosk.release()
    sender = college.sender(there)
    college.now_ms += 26 * 365 * 24 * HOUR_MS
    sender.step()
    college.now_ms = NOW_MS
    assert sender.step() is Step.DELIVERED


def test_a_clock_that_is_off_is_named_as_the_likely_cause(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(401, {"date": formatdate(NOW_MS / 1000 + 3600, usegmt=True)}))
    college.kiosk.release()
    college.sender(there).step()
    assert "differ by 60 min" in college.last_error()


def test_410_stops_the_enterprise_and_tells_the_kiosk(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(410))
    college.kiosk.release()
    sender = college.sender(there)
    assert sender.step() is Step.STOPPED
    assert "410" in college.kiosk.stopped["steel"]
    college.kiosk.release(person_seq=2)
    assert college.sender(there).step() is Step.STOPPED
    assert len(there.got) == 1


def test_a_new_address_or_a_person_ends_the_stop_and_nothing_was_lost(college: College, endpoint: MakeEndpoint) -> None:
    gone, there = endpoint(Reply(410)), endpoint()
    seq = college.kiosk.release()
    college.sender(gone).step()
    assert college.sender(there).step() is Step.DELIVERED
    assert there.got[0].seqs == [seq]
    assert there.got[0].body == gone.got[0].body

    again = endpoint(Reply(410))
    college.kiosk.release(person_seq=2)
    college.sender(again).step()
    college.store.resume("steel")
    assert college.sender(again).step() is Step.DELIVERED


def test_a_record_that_may_no_longer_leave_is_taken_out_before_the_next_attempt(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint(Reply(500))
    stays, leaves = college.kiosk.release(), college.kiosk.release(person="bb22")
    sender = college.sender(there)
    sender.step()
    college.kiosk.withheld.add(stays)
    college.now_ms += 5_000
    assert sender.step() is Step.REBUILD
    assert sender.step() is Step.DELIVERED
    assert [got.seqs for got in there.got] == [[stays, leaves], [leaves]]
    assert there.got[0].headers["webhook-id"] != there.got[1].headers["webhook-id"]
    assert set(college.kiosk.receipts) == {("steel", leaves)}


def test_a_delivery_survives_the_end_of_the_process(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(reset=True))
    college.kiosk.release()
    college.sender(there).step()
    college.store.close()
    college.start_sync()
    college.now_ms += 5_000
    assert college.sender(there).step() is Step.DELIVERED
    assert there.got[0].body == there.got[1].body
    assert there.got[0].headers["webhook-id"] == there.got[1].headers["webhook-id"]


def test_a_receipt_waits_for_a_kiosk_that_went_away_and_the_records_are_not_sent_twice(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint()
    seq = college.kiosk.release()

    def vanish() -> None:
        raise RuntimeError("power cut")

    college.kiosk.on_receipt = vanish
    sender = college.sender(there)
    assert sender.step() is Step.FAILED
    college.store.close()
    college.start_sync()
    college.kiosk.on_receipt = lambda: None
    assert college.sender(there).step() is Step.DELIVERED
    assert len(there.got) == 1
    assert ("steel", seq) in college.kiosk.receipts


def test_names_do_not_stay_in_the_database_after_the_receipt(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint(Reply(500))
    college.kiosk.release()
    sender = college.sender(there)
    sender.step()
    sender.step(at_once=True)
    college.store.close()
    assert "Әлия".encode() not in (college.folder / "sync" / "sync.db").read_bytes()
    college.start_sync()


def test_the_next_delivery_proves_that_the_log_only_grew(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    sender = college.sender(there)
    heads = []
    for person_seq in (1, 2, 3):
        college.kiosk.release(person_seq=person_seq)
        college.kiosk.append("tap_read", outcome="still_on")
        sender.step()
        data = json.loads(there.got[-1].body)["data"]
        heads.append((Checkpoint.of_note(data["checkpoint"]), [decode_base64(step) for step in data["consistency"]]))
    assert heads[0][1] == []
    for (old, _), (new, path) in pairwise(heads):
        verify_consistency(old.size, new.size, old.root, new.root, path)


def test_an_enterprise_that_names_another_head_gets_the_proof_from_there(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint()
    sender = college.sender(there)
    college.kiosk.release()
    sender.step()
    college.kiosk.release(person_seq=2)
    there.replies = [Reply(409, {"content-type": "application/problem+json"}, b'{"reason":"consistency","size":1}')]
    assert sender.step() is Step.REBUILD
    assert sender.step() is Step.DELIVERED
    data = json.loads(there.got[-1].body)["data"]
    assert data["consistency"] == college.outbox.consistency(1, 3)


def test_an_enterprise_that_asks_for_the_same_head_for_ever_is_a_failure_not_a_loop(
    college: College, endpoint: MakeEndpoint
) -> None:
    asks = Reply(409, {"content-type": "application/problem+json"}, b'{"reason":"consistency","size":1}')
    there = endpoint(after=asks)
    college.kiosk.release()
    assert Service([college.sender(there)]).run_once() is False
    assert len(there.got) == 2


def test_a_delivery_holds_500_records_and_768_kilobytes_at_most(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    for n in range(620):
        college.kiosk.release(person=f"{n:04x}", person_seq=1)
    sender = college.sender(there)
    while sender.step() is Step.DELIVERED:
        pass
    assert sorted(seq for got in there.got for seq in got.seqs) == [seq for seq, _ in college.kiosk.released]
    assert all(len(got.body) <= DELIVERY_LIMIT and len(got.seqs) <= 500 for got in there.got)
    assert all(len(got.seqs) == 500 or len(got.body) > DELIVERY_LIMIT - 6_000 for got in there.got[:-1])


def test_one_checkpoint_is_signed_for_all_enterprises(college: College, endpoint: MakeEndpoint) -> None:
    steel, tyre = endpoint(), endpoint()
    college.kiosk.release("steel")
    college.kiosk.release("tyre")
    college.sender(steel).step()
    college.sender(tyre, "tyre").step()
    notes = {json.loads(there.got[0].body)["data"]["checkpoint"] for there in (steel, tyre)}
    assert len(notes) == 1
    assert college.kiosk.notes == [*notes]


def test_a_slow_enterprise_does_not_delay_another(
    college: College, endpoint: MakeEndpoint, wait_until: Callable[..., object]
) -> None:
    slow, quick = endpoint(after=Reply(hang=True)), endpoint()
    college.kiosk.release("slow")
    seq = college.kiosk.release("quick")
    patient = Wire(limits=Limits(read_s=20, whole_s=20))
    service = Service([college.sender(slow, "slow", patient), college.sender(quick, "quick", patient)], poll_s=0.01)
    runs = threading.Thread(target=service.run)
    runs.start()
    wait_until(lambda: ("quick", seq) in college.kiosk.receipts, 5, "the receipt of the quick one")
    slow.closing.set()
    service.stop()
    runs.join()


def test_without_a_kiosk_it_waits_and_says_so_once(
    college: College, endpoint: MakeEndpoint, wait_until: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    there = endpoint()
    seq = college.kiosk.release()
    college.kiosk.stop()
    service = Service([college.sender(there)], poll_s=0.005)
    runs = threading.Thread(target=service.run)
    with caplog.at_level(logging.WARNING):
        runs.start()
        wait_until(lambda: "waiting for it" in caplog.text, 5, "the word that it waits")
        college.kiosk.start()
        wait_until(lambda: ("steel", seq) in college.kiosk.receipts, 5, "the receipt")
    service.stop()
    runs.join()
    assert caplog.text.count("waiting for it") == 1


def test_once_without_a_kiosk_is_an_error_at_once(college: College, endpoint: MakeEndpoint) -> None:
    college.kiosk.stop()
    with pytest.raises(NoKiosk):
        Service([college.sender(endpoint())]).run_once()


def test_a_failing_endpoint_is_one_line_in_the_log_not_one_for_each_attempt(
    college: College, endpoint: MakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    there = endpoint(Reply(500), Reply(500), Reply(500), Reply(reset=True), Reply(500))
    college.kiosk.release()
    sender = college.sender(there)
    with caplog.at_level(logging.INFO):
        for _ in range(6):
            sender.step(at_once=True)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(": ")[2][:15] for line in lines] == [
        "it answered 500",
        "the connection ",
        "it answered 500",
        "delivered",
    ]
    assert not any(record.exc_info for record in caplog.records)
    assert "Әлия" not in caplog.text


def test_a_fault_of_ours_in_a_thread_ends_the_process(college: College) -> None:
    class Broken:
        def step(self, *, at_once: bool = False) -> Step:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Service([Broken()]).run()


def test_deliveries_of_a_log_that_was_replaced_are_not_sent(
    college: College, endpoint: MakeEndpoint, tmp_path: Path
) -> None:
    there = endpoint(Reply(500))
    college.kiosk.release()
    college.sender(there).step()
    college.kiosk.close()
    (tmp_path / "restored").mkdir()
    college.kiosk = FakeKiosk(tmp_path / "restored", "ktsk-w3/ffff000000000001")
    college.kiosk.start()
    college.outbox = Outbox(ControlClient(tmp_path / "restored" / "control.sock"))
    college.notary = Notary(college.outbox, college.store, lambda origin: load_or_make(college.folder / "sync", origin))
    assert college.sender(there).step(at_once=True) is Step.IDLE
    seq = college.kiosk.release()
    assert college.sender(there).step() is Step.DELIVERED
    assert there.got[-1].seqs == [seq]
    assert json.loads(there.got[-1].body)["source"] == "sheber/ktsk-w3/ffff000000000001"
    assert json.loads(there.got[-1].body)["data"]["consistency"] == []


class RewrittenOutbox(Outbox):
    """A kiosk whose card was put back to another day: the same sizes, other roots."""

    def root(self, size: int) -> bytes:
        return bytes(32)


def test_a_log_that_does_not_extend_what_was_signed_is_neither_signed_nor_sent(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint()
    college.kiosk.release()
    college.sender(there).step()
    college.kiosk.release(person_seq=2)
    college.outbox = RewrittenOutbox(ControlClient(college.folder / "control.sock"))
    college.notary = Notary(college.outbox, college.store, lambda _: college.keys)
    assert college.sender(there).step() is Step.FAILED
    assert len(there.got) == 1
    assert len(college.kiosk.notes) == 1


def test_the_head_is_signed_for_enterprises_that_fetch_their_records(college: College) -> None:
    sealer = Sealer(["puller"], college.outbox, college.notary, lambda: college.now_ms)
    sealer.step()
    assert college.kiosk.notes == []
    college.kiosk.release("puller")
    assert sealer.step() is Step.WAITING
    college.now_ms += 60_000
    sealer.step()
    college.now_ms += 60_000
    sealer.step()
    assert [Checkpoint.of_note(note).size for note in college.kiosk.notes] == [2]


def test_several_secrets_sign_while_one_replaces_another(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    college.kiosk.release()
    sender = college.sender(there)
    sender.target = replace(sender.target, secrets=(SECRET, "whsec_" + "QUJD" * 8))
    sender.step()
    versions = [part.partition(",")[0] for part in there.got[0].headers["webhook-signature"].split(" ")]
    assert versions == ["v1", "v1", "v1a"]


def test_the_database_of_a_newer_version_is_left_alone(college: College) -> None:
    college.store.close()
    path = college.folder / "sync" / "sync.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        SyncStore(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    college.start_sync()
