"""The hub at its HTTP listener: what it takes, what it refuses, and that it keeps each record once."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from delivery_fixtures import HOUR_MS, MemoryLog, record
from hub_fixtures import WEBHOOK_KEY, Hub, Sender, accepted

from kiosk.clock import real_wall_ms
from kiosk.hub.config import NewEnterprise, load_hub, write_hub
from kiosk.hub.store import HubStore
from kiosk.records import fingerprint
from kiosk.signatures import Signer, webhook_keys
from kiosk.store.schema import StoreError
from kiosk.sync.delivery import headers
from kiosk.sync.store import Delivery


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path / "hub")
    yield hub
    hub.close()


@pytest.fixture
def known(hub: Hub) -> Sender:
    return accepted(hub)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def altered(delivery: Delivery, old: str, new: str) -> Delivery:
    """The same delivery, its body changed before it was signed."""
    body = delivery.body.decode()
    assert old in body
    return Delivery(**{**vars(delivery), "body": body.replace(old, new, 1).encode()})


# --- the way in -----------------------------------------------------------------------------------------------------


def test_a_new_log_is_parked_until_a_person_accepts_the_fingerprint_of_its_key(hub: Hub, sender: Sender) -> None:
    delivery = sender.delivery(sender.log.release(record()))
    parked = hub.deliver(delivery)
    assert (parked.status, parked.json["reason"], parked.headers["retry-after"]) == (503, "log_parked", "30")
    assert parked.json["fingerprint"] == fingerprint(sender.signer.vkey)
    assert hub.numbers() == []
    hub.log_in()
    page = hub.request("GET", "/logs").text
    assert fingerprint(sender.signer.vkey) in page
    assert hub.form("/logs/accept", "/logs", fingerprint=fingerprint(sender.signer.vkey)).status == 302
    assert hub.deliver(delivery).status == 204
    assert hub.numbers() == [0]


def test_a_key_that_was_configured_beforehand_needs_no_acceptance(tmp_path: Path, sender: Sender) -> None:
    made = write_hub(tmp_path / "hub", [NewEnterprise("steel", "Steel", trusted=(sender.signer.vkey,))])
    assert load_hub(tmp_path / "hub").enterprises["steel"].trusted[0].vkey == sender.signer.vkey
    assert made[0].password
    from kiosk.hub.receive import receive
    from kiosk.hub.store import HubStore

    store = HubStore(tmp_path / "hub" / "hub.db")
    delivery = sender.delivery(sender.log.release(record()))
    signed = headers(delivery, [made[0].secret_file.read_text().strip()], WEBHOOK_KEY, real_wall_ms())
    enterprise = load_hub(tmp_path / "hub").enterprises["steel"]
    assert receive(store, enterprise, signed, delivery.body, real_wall_ms()) == 1
    store.close()


def test_another_key_for_a_known_log_is_parked_too(hub: Hub, known: Sender) -> None:
    thief = Sender(known.log)
    assert hub.deliver(thief.delivery(0)).json["reason"] == "log_parked"
    assert hub.deliver(known.delivery(known.log.release(record(person_seq=2)), since=1)).status == 204


def test_one_enterprise_accepting_a_log_does_not_accept_it_for_another(hub: Hub, known: Sender) -> None:
    seq = known.log.release(record(person="bb22"), "tyre")
    assert hub.deliver(known.delivery(seq, enterprise="tyre")).json["reason"] == "log_parked"
    hub.log_in("tyre")
    assert hub.form("/logs/accept", "/logs", fingerprint=fingerprint(known.signer.vkey)).status == 302
    assert hub.deliver(known.delivery(seq, enterprise="tyre")).status == 204
    assert (hub.numbers("steel"), hub.numbers("tyre")) == ([0], [seq])


def test_the_same_delivery_again_changes_nothing_and_is_taken(hub: Hub, known: Sender) -> None:
    delivery = known.delivery(known.log.release(record(person_seq=2)), since=1)
    assert [hub.deliver(delivery).status for _ in range(5)] == [204] * 5
    assert hub.numbers() == [0, 1]


def test_a_record_that_came_in_another_delivery_is_kept_once(hub: Hub, known: Sender) -> None:
    seq = known.log.release(record(person_seq=2))
    assert hub.deliver(known.delivery(seq, since=1)).status == 204
    assert hub.deliver(known.delivery(0, seq)).status == 204
    assert hub.numbers() == [0, 1]


def test_deliveries_of_the_same_thing_at_the_same_moment_are_kept_once(hub: Hub, known: Sender) -> None:
    delivery = known.delivery(known.log.release(record(person_seq=2)), since=1)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(hub.deliver(delivery).status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [204] * 6
    assert hub.numbers() == [0, 1]


def test_what_was_kept_is_there_after_a_restart(hub: Hub, known: Sender) -> None:
    hub.close()
    hub.start()
    assert hub.numbers() == [0]
    assert hub.deliver(known.delivery(known.log.release(record(person_seq=2)), since=1)).status == 204


# --- who sent it ----------------------------------------------------------------------------------------------------


def test_a_delivery_signed_with_another_secret_is_refused(hub: Hub, sender: Sender) -> None:
    delivery = sender.delivery(sender.log.release(record()))
    answer = hub.deliver(delivery, enterprise="tyre")
    assert (answer.status, answer.json["reason"]) == (401, "wrong_signature")
    assert answer.headers["content-type"] == "application/problem+json"
    assert hub.alarms("tyre") == ["wrong_signature"]


@pytest.mark.parametrize("off_ms", [-6 * 60_000, 6 * 60_000])
def test_a_signature_of_another_time_is_refused_and_the_clock_named(hub: Hub, sender: Sender, off_ms: int) -> None:
    delivery = sender.delivery(sender.log.release(record()))
    answer = hub.deliver(delivery, now_ms=real_wall_ms() + off_ms)
    assert answer.status == 401
    assert "clock" in str(answer.json["detail"])


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook_signature": "v1"},
        {"webhook_signature": "v1,!!!"},
        {"webhook_signature": "v1,AAAA v1a,AAAA"},
        {"webhook_timestamp": "soon"},
        {"webhook_timestamp": "nan"},
    ],
)
def test_headers_that_are_no_signature_are_refused(hub: Hub, changed: dict[str, str]) -> None:
    sent = {"webhook_id": "msg_1", "webhook_timestamp": str(real_wall_ms() // 1000), "webhook_signature": "v1,AAAA"}
    assert hub.request("POST", "/hooks/steel", b"\xff{}", **{**sent, **changed}).status == 401


def test_without_the_headers_it_is_malformed(hub: Hub) -> None:
    assert hub.request("POST", "/hooks/steel", b"{}").status == 400


def test_an_enterprise_that_is_not_here_is_404(hub: Hub) -> None:
    assert hub.request("POST", "/hooks/nobody", b"{}").status == 404


def test_a_body_over_one_megabyte_is_413(hub: Hub) -> None:
    answer = hub.request("POST", "/hooks/steel", b"x" * 1_100_000, webhook_id="m")
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")


def test_where_the_public_key_is_configured_its_v1a_signature_is_required(tmp_path: Path, sender: Sender) -> None:
    delivery = sender.delivery(sender.log.release(record()))
    for name, key, reason in (
        ("right", webhook_keys(WEBHOOK_KEY)[1], "log_parked"),
        ("wrong", webhook_keys(Ed25519PrivateKey.generate())[1], "wrong_signature"),
    ):
        hub = Hub(tmp_path / name, webhook_public_key=key)
        assert hub.deliver(delivery).json["reason"] == reason
        hub.close()


# --- what does not verify -------------------------------------------------------------------------------------------


def refused(hub: Hub, delivery: Delivery, status: int, reason: str) -> str:
    """It is refused with an alarm, and nothing of it is kept."""
    before = hub.numbers()
    answer = hub.deliver(delivery)
    assert (answer.status, answer.json["reason"]) == (status, reason)
    assert reason in hub.alarms()
    assert hub.numbers() == before
    return str(answer.json["detail"])


def test_a_record_that_was_changed_is_not_what_the_log_was_made_of(hub: Hub, known: Sender) -> None:
    delivery = known.delivery(known.log.release(record(person_seq=2)), since=1)
    refused(hub, altered(delivery, '"credited_ms":7200000', '"credited_ms":9000000'), 400, "broken_proof")


def test_one_bad_record_refuses_the_whole_delivery(hub: Hub, known: Sender) -> None:
    seqs = [known.log.release(record(person_seq=2)), known.log.release(record(person_seq=3))]
    delivery = known.delivery(*seqs, since=1)
    refused(hub, altered(delivery, '"person_seq":3', '"person_seq":4'), 400, "broken_proof")


def test_a_checkpoint_that_was_changed_does_not_verify(hub: Hub, known: Sender) -> None:
    known.log.release(record(person_seq=2))
    delivery = known.delivery(1, since=1)
    forged = delivery.body.replace(f"{known.log.origin}\\n2\\n".encode(), f"{known.log.origin}\\n3\\n".encode())
    assert forged != delivery.body
    detail = refused(hub, Delivery(**{**vars(delivery), "body": forged}), 400, "wrong_checkpoint_signature")
    assert "checkpoint" in detail


def test_a_key_shown_for_another_log_is_refused(hub: Hub, known: Sender) -> None:
    other = Signer.generate("sheber/other/1").vkey
    refused(hub, known.delivery(0, vkey=other), 400, "wrong_checkpoint_signature")


def test_a_log_that_was_rewritten_is_refused_with_an_alarm(hub: Hub, known: Sender) -> None:
    hub.deliver(known.delivery(known.log.release(record(person_seq=2)), since=1))
    rewritten = Sender()
    rewritten.signer = known.signer
    for n in range(3):
        rewritten.log.release(record(person="cc33", person_seq=n + 1))
    refused(hub, rewritten.delivery(2, since=2), 409, "history_rewritten")


def test_a_second_history_of_the_same_size_is_refused_with_an_alarm(hub: Hub, known: Sender) -> None:
    rewritten = Sender()
    rewritten.signer = known.signer
    refused(hub, rewritten.delivery(rewritten.log.release(record(credited_ms=1))), 409, "history_rewritten")
    hub.log_in()
    hub.request("GET", "/?lang=en")
    assert "The history of a log was rewritten." in hub.request("GET", "/alarms").text


def test_a_proof_from_an_older_head_is_asked_for_from_the_last_one(hub: Hub, known: Sender) -> None:
    known.log.noise(3)
    hub.deliver(known.delivery(known.log.release(record(person_seq=2)), since=1))
    seq = known.log.release(record(person_seq=3))
    for since in (0, 1):
        answer = hub.deliver(known.delivery(seq, since=since))
        assert (answer.status, answer.json["reason"], answer.json["size"]) == (409, "consistency", 5)
    assert hub.alarms() == []
    assert hub.deliver(known.delivery(seq, since=5)).status == 204


def test_a_head_that_is_older_than_the_last_one_is_taken_only_if_it_was_seen(hub: Hub, known: Sender) -> None:
    known.log.noise(3)
    hub.deliver(known.delivery(known.log.release(record(person_seq=2)), since=1))
    assert hub.deliver(known.delivery(0, size=1)).status == 204
    assert hub.deliver(known.delivery(0, size=3)).json["reason"] == "consistency"


def test_a_record_for_another_enterprise_is_refused(hub: Hub, known: Sender) -> None:
    seq = known.log.release(record(person_seq=2), "tyre")
    assert "another enterprise" in refused(hub, known.delivery(seq, since=1), 400, "malformed")


def test_an_entry_that_is_no_released_record_is_refused(hub: Hub, known: Sender) -> None:
    known.log.noise()
    refused(hub, known.delivery(1, since=1), 400, "malformed")


def test_a_record_that_names_another_log_is_refused(hub: Hub, known: Sender) -> None:
    seq = known.log.release(record(person_seq=2, log="ktsk-w3/other"))
    refused(hub, known.delivery(seq, since=1), 400, "malformed")


def test_the_same_revision_with_other_content_is_refused(hub: Hub, known: Sender) -> None:
    first = known.log.entries[0]["record"]
    assert isinstance(first, dict)
    seq = known.log.release({**first, "credited_ms": 1})
    refused(hub, known.delivery(seq, since=1), 409, "contradiction")


def test_another_body_under_a_known_webhook_id_is_refused(hub: Hub, known: Sender) -> None:
    delivery = known.delivery(known.log.release(record(person_seq=2)), since=1)
    hub.deliver(delivery)
    other = known.delivery(known.log.release(record(person_seq=3)), since=2)
    refused(hub, Delivery(**{**vars(other), "id": delivery.id}), 409, "id_reused")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"specversion":"1.0","specversion":"1.0"}',
        b'{"x":NaN}',
        b"[" * 5_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"specversion":"1.0","type":"other"}',
        b'{"specversion":"1.0","type":"sheber.records.v1"}',
        b'{"specversion":"1.0","type":"sheber.records.v1","data":{"checkpoint":1}}',
        b'{"specversion":"1.0","type":"sheber.records.v1","data":{"checkpoint":"x","consistency":[],"records":[]}}',
        b'{"specversion":"1.0","type":"sheber.records.v1","data":{"checkpoint":"\\ud800"}}',
    ],
)
def test_a_signed_body_that_is_no_delivery_is_refused_as_malformed(hub: Hub, sender: Sender, body: bytes) -> None:
    delivery = Delivery("msg_1", "steel", sender.log.origin, body, (0,), 1, 0)
    secret = hub.made["steel"].secret_file.read_text().strip()
    signed = headers(
        Delivery(**{**vars(delivery), "body": body if body != b"\xff\xfe" else b"x"}),
        [secret],
        WEBHOOK_KEY,
        real_wall_ms(),
    )
    answer = hub.request("POST", "/hooks/steel", body, **{k.replace("-", "_"): v for k, v in signed.items()})
    assert answer.status == (401 if body == b"\xff\xfe" else 400)


# --- what counts ----------------------------------------------------------------------------------------------------


def hours(hub: Hub) -> list[dict[str, object]]:
    listed = hub.api("/hours").json["hours"]
    assert isinstance(listed, list)
    return listed


def test_only_the_latest_revision_of_a_record_counts_whatever_comes_first(hub: Hub, known: Sender) -> None:
    record_id = "11111111-2222-4333-8444-555555555555"
    first = known.log.release(record(person="bb22", record_id=record_id, credited_ms=3 * HOUR_MS))
    third = known.log.release(
        record(person="bb22", person_seq=3, record_id=record_id, revision=3, credited_ms=HOUR_MS, decision="adjusted")
    )
    second = known.log.release(record(person="bb22", person_seq=2, record_id=record_id, revision=2))
    since = 1
    for seq in (third, first, second):
        assert hub.deliver(known.delivery(seq, since=since)).status == 204
        since = known.log.size
        (row,) = [row for row in hours(hub) if row["person_refs"] == ["bb22"]]
        assert (row["credited_ms"], row["records"]) == (HOUR_MS, 1)


def test_rejected_hours_do_not_count_and_undecided_ones_are_shown_apart(hub: Hub, known: Sender) -> None:
    rejected = known.log.release(record(person="bb22", decision="rejected"))
    pending = known.log.release(record(person="bb22", person_seq=2, decision="pending"))
    hub.deliver(known.delivery(rejected, pending, since=1))
    (row,) = [row for row in hours(hub) if row["person_refs"] == ["bb22"]]
    assert (row["credited_ms"], row["pending_ms"], row["records"]) == (0, 2 * HOUR_MS, 2)


def test_one_personnel_number_is_one_person_across_colleges(hub: Hub, known: Sender) -> None:
    other = Sender(MemoryLog("apk-1/00ff"))
    for college, ref in ((known, "aa11"), (other, "zz99")):
        college.people = {ref: {"name": "Әлия Қ.", "personnel_number": "N-17", "contract": None}}
    hub.deliver(known.delivery(0))
    delivery = other.delivery(other.log.release(record(log="apk-1/00ff", person="zz99")))
    hub.deliver(delivery)
    hub.store.accept(fingerprint(other.signer.vkey), "test", 1)
    assert hub.deliver(delivery).status == 204
    (row,) = hours(hub)
    assert (row["name"], row["credited_ms"], row["labs"]) == ("Әлия Қ.", 4 * HOUR_MS, ["apk-1", "ktsk-w3"])


def test_a_withheld_record_shows_as_a_gap_and_refuses_nothing(hub: Hub, known: Sender) -> None:
    seq = known.log.release(record(person_seq=4))
    assert hub.deliver(known.delivery(seq, since=1)).status == 204
    hub.log_in()
    page = hub.request("GET", "/alarms?lang=en").text
    assert "Records were withheld." in page
    assert "2, 3." in page


def test_a_number_given_twice_is_an_alarm(hub: Hub, known: Sender) -> None:
    assert hub.deliver(known.delivery(known.log.release(record()), since=1)).status == 204
    assert hub.alarms() == ["numbered_twice"]


# --- the API --------------------------------------------------------------------------------------------------------


def test_the_api_gives_the_same_entries_and_proofs_page_by_page(hub: Hub, known: Sender) -> None:
    seqs = [known.log.release(record(person_seq=n)) for n in (2, 3, 4)]
    delivery = known.delivery(*seqs, since=1)
    hub.deliver(delivery)
    sent = json.loads(delivery.body)["data"]["records"]
    after, got = 0, []
    while page := hub.api(f"/records?after={after}&limit=3").json:
        assert isinstance(page["records"], list)
        if not page["records"]:
            break
        got += page["records"]
        after = int(str(page["next"]))
    assert got[1:] == sent


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=501", "after=99999999999999999999"])
def test_a_parameter_that_is_none_is_a_problem(hub: Hub, query: str) -> None:
    answer = hub.api(f"/records?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer Ә"])
def test_without_the_token_there_is_nothing(hub: Hub, known: Sender, token: str) -> None:
    assert known.log.size
    answer = hub.request("GET", "/api/v1/records", authorization=token.encode().decode("latin-1"))
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")


def test_an_enterprise_sees_nothing_of_another(hub: Hub, known: Sender) -> None:
    assert known.log.size
    assert hub.api("/records", "tyre").json == {"records": [], "next": 0}
    assert hub.api("/hours", "tyre").json == {"hours": []}
    assert hub.api("/checkpoint", "tyre").status == 404
    hub.log_in("tyre")
    for path in ("/", "/records", "/logs", "/alarms"):
        assert "aa11" not in hub.request("GET", path).text
        assert known.log.origin not in hub.request("GET", path).text


def test_the_newest_checkpoint_is_given_as_it_was_signed(hub: Hub, known: Sender) -> None:
    note = json.loads(known.delivery(0).body)["data"]["checkpoint"]
    assert hub.api("/checkpoint").text == note
    assert hub.api(f"/checkpoint?origin={known.log.origin}").text == note
    assert hub.api("/checkpoint?origin=other").status == 404
    assert hub.api("/nothing").headers["content-type"] == "application/problem+json"


def test_a_file_of_a_newer_hub_is_refused_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        HubStore(path)
    assert [file.name for file in tmp_path.iterdir()] == ["hub.db"]
