"""Deliveries: a real ledger behind a real control socket, real HTTP, real files; only the clock is ours."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from delivery_fixtures import ORIGIN, SECRET, FakeKiosk, Reply
from sync_fixtures import NOW_MS, College, MakeEndpoint

from kiosk.control import ControlClient
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
from kiosk.store.schema import StoreError
from kiosk.sync.delivery import headers
from kiosk.sync.keys import load_or_make
from kiosk.sync.notary import Notary
from kiosk.sync.outbox import Outbox
from kiosk.sync.sender import Step
from kiosk.sync.service import Sealer
from kiosk.sync.store import Delivery, SyncStore


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
