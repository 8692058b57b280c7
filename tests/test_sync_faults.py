"""Enterprises that fail, and a kiosk that goes away: nothing is lost, nothing is doubled, nobody waits for another."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from email.utils import formatdate

import pytest
from delivery_fixtures import HOUR_MS, Reply
from sync_fixtures import NOW_MS, College, MakeEndpoint

from kiosk.control import NoKiosk
from kiosk.sync.post import Limits
from kiosk.sync.sender import Backoff, Step, Wire
from kiosk.sync.service import Service


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


def test_a_slow_enterprise_does_not_delay_another(
    college: College, endpoint: MakeEndpoint, wait_until: Callable[..., object]
) -> None:
    slow, quick = endpoint(after=Reply(hang=True)), endpoint()
    college.kiosk.release("slow")
    seq = college.kiosk.release("quick")
    patient = Wire(limits=Limits(read_s=20, whole_s=20))
    service = Service([college.sender(slow, "slow", patient), college.sender(quick, "quick", patient)], poll_s=0.01)
    service.start()
    wait_until(lambda: ("quick", seq) in college.kiosk.receipts, what="the receipt of the quick one")
    slow.closing.set()
    service.stop()


def test_without_a_kiosk_it_waits_and_says_so_once(
    college: College, endpoint: MakeEndpoint, wait_until: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    there = endpoint()
    seq = college.kiosk.release()
    college.kiosk.stop()
    service = Service([college.sender(there)], poll_s=0.005)
    with caplog.at_level(logging.WARNING):
        service.start()
        wait_until(lambda: "waiting for it" in caplog.text, what="the word that it waits")
        college.kiosk.start()
        wait_until(lambda: ("steel", seq) in college.kiosk.receipts, what="the receipt")
    service.stop()
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


def test_a_fault_of_ours_in_a_thread_ends_the_process(wait_until: Callable[..., object]) -> None:
    class Broken:
        def step(self, *, at_once: bool = False) -> Step:
            raise ZeroDivisionError

    service = Service([Broken()])
    service.start()
    wait_until(lambda: service.has_ended, what="the end")
    with pytest.raises(ZeroDivisionError):
        service.stop()
