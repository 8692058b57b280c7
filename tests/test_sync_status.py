"""What the delivery program tells the pages of its tries: no names, no secrets, and nothing that can mislead a page."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from delivery_fixtures import SECRET, Reply
from hypothesis import given
from hypothesis import strategies as st
from sync_fixtures import NOW_MS, College, MakeEndpoint

from kiosk.delivery_status import STATUS_FILE, DeliveryStatus, read_status, still_alive, write_status
from kiosk.sync.status import BEAT_MS, StatusFile


def parked() -> Reply:
    body = json.dumps({"status": 503, "reason": "log_parked", "detail": "x"}).encode()
    return Reply(503, {"content-type": "application/problem+json"}, body)


def test_a_failed_try_says_when_why_and_when_the_next_one_is(college: College, endpoint: MakeEndpoint) -> None:
    college.kiosk.release()
    college.sender(endpoint(Reply(500))).step()
    told = college.told()
    assert (told.last_try_ms, told.last_answer_ms, told.next_try_ms) == (NOW_MS, NOW_MS, NOW_MS + 5_000)
    assert (told.problem, told.http, told.reason, told.failures) == ("answer", 500, "", {"answer": 1})
    assert told.last_ok_ms is None


def test_the_word_that_a_hub_gives_for_its_refusal_is_kept(college: College, endpoint: MakeEndpoint) -> None:
    college.kiosk.release()
    college.sender(endpoint(parked())).step()
    assert (college.told().http, college.told().reason) == (503, "log_parked")


def test_a_word_that_is_no_word_is_not_kept(college: College, endpoint: MakeEndpoint) -> None:
    body = json.dumps({"reason": "<script>alert(1)</script>"}).encode()
    college.kiosk.release()
    college.sender(endpoint(Reply(422, {"content-type": "application/problem+json"}, body))).step()
    assert (college.told().http, college.told().reason) == (422, "")


def test_an_enterprise_that_is_away_gave_no_answer(college: College, endpoint: MakeEndpoint) -> None:
    there = endpoint()
    there.close()
    college.kiosk.release()
    college.sender(there).step()
    assert (college.told().problem, college.told().http, college.told().last_answer_ms) == ("connection", None, None)


def test_a_receipt_ends_the_trouble_and_its_counts(college: College, endpoint: MakeEndpoint) -> None:
    sender = college.sender(endpoint(Reply(500), Reply(hang=True), Reply()))
    college.kiosk.release()
    for _ in range(2):
        sender.step(at_once=True)
    assert college.told().failures == {"answer": 1, "late": 1}
    college.now_ms += 60_000
    sender.step(at_once=True)
    assert college.told() == DeliveryStatus(college.now_ms, college.now_ms, college.now_ms)


def test_410_says_stopped_also_after_a_start_and_until_somebody_resumes(
    college: College, endpoint: MakeEndpoint
) -> None:
    there = endpoint(Reply(410))
    college.kiosk.release()
    college.sender(there).step()
    assert (college.told().stopped, college.told().http, college.told().next_try_ms) == (True, 410, None)
    college.store.close()
    (college.folder / STATUS_FILE).unlink()
    college.start_sync()
    college.sender(there).step()
    assert college.told().stopped
    college.store.resume("steel")
    college.sender(there).step()
    assert not college.told().stopped
    assert college.told().last_ok_ms is not None


def test_what_was_told_survives_the_end_of_the_process(college: College, endpoint: MakeEndpoint) -> None:
    college.kiosk.release()
    college.sender(endpoint(Reply(500))).step()
    before = college.told()
    college.store.close()
    college.start_sync()
    assert college.told() == before


def test_where_nothing_may_leave_any_more_nothing_is_tried(college: College, endpoint: MakeEndpoint) -> None:
    seq = college.kiosk.release()
    sender = college.sender(endpoint(after=Reply(500)))
    sender.step()
    college.kiosk.withheld.add(seq)
    for _ in range(2):
        sender.step(at_once=True)
    assert (college.told().problem, college.told().next_try_ms) == ("", None)


def test_a_log_that_does_not_continue_is_counted_once_not_at_every_look(
    college: College, endpoint: MakeEndpoint
) -> None:
    sender = college.sender(endpoint())
    college.kiosk.release()
    sender.step()
    origin = college.outbox.head().origin
    college.store.keep_signed(origin, 1_000_000, bytes(32), "x")
    college.kiosk.release()
    for _ in range(3):
        sender.step()
    assert (college.told().problem, college.told().failures) == ("rewritten", {"rewritten": 1})


def test_the_file_holds_no_name_and_no_secret_and_only_its_group_may_read_it(
    college: College, endpoint: MakeEndpoint
) -> None:
    college.kiosk.release()
    college.sender(endpoint(Reply(500, {"content-type": "application/json"}, '{"detail":"Әлия"}'.encode()))).step()
    path = college.folder / STATUS_FILE
    text = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not [word for word in ("Әлия", "N-17", "C-1", SECRET, "127.0.0.1") if word in text]


def test_sync_says_that_it_lives_by_the_files_time_alone(college: College) -> None:
    path = college.folder / STATUS_FILE
    content = path.read_bytes()
    os.utime(path, (1, 1))
    college.status.beat()
    first = read_status(path)
    assert first is not None
    assert first.heard_ms > 1_000
    os.utime(path, (1, 1))
    college.status.beat()
    again = read_status(path)
    assert again is not None
    assert again.heard_ms == 1_000
    college.now_ms += BEAT_MS
    college.status.beat()
    assert path.stat().st_mtime > 1
    assert path.read_bytes() == content


def test_a_folder_that_takes_nothing_stops_no_delivery(
    college: College, endpoint: MakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = StatusFile(college.folder / "gone" / "status.json", ("steel",), lambda: NOW_MS)
    nowhere.failed("steel", "late")
    nowhere.beat()
    assert [record.message for record in caplog.records if "status.json" in record.message] == [
        caplog.records[0].message
    ]
    (college.folder / "gone").mkdir()
    college.now_ms += BEAT_MS
    nowhere.delivered("steel")
    assert read_status(college.folder / "gone" / "status.json") is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"enterprises":[]}',
        b"\xff\xfe",
        b'{"a":' * 5_000,
        b"[" * 100_000,
        b'{"enterprises":{"a":{"http":1e999}}}',
        b" " * 300_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(content)
    read = read_status(path)
    assert read is None or read.enterprises == {"a": DeliveryStatus()}


def test_a_link_a_pipe_or_a_folder_in_its_place_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"enterprises":{}}')
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert [read_status(tmp_path / name) for name in ("link", "pipe", "folder", "none")] == [None] * 4
    assert read_status(tmp_path / "real") is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=6) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["last_try_ms", "next_try_ms", "last_ok_ms", "problem", "http", "reason", "stopped", "failures", "x"]
)


@given(st.dictionaries(st.text(max_size=8), st.dictionaries(FIELDS, JSON) | JSON, max_size=3))
def test_whatever_stands_in_it_is_read_as_what_a_page_can_show(
    tmp_path_factory: pytest.TempPathFactory, told: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "status.json"
    path.write_text(json.dumps({"v": 1, "enterprises": told}))
    read = read_status(path)
    for each in read.enterprises.values() if read is not None else ():
        moments = (each.last_try_ms, each.last_answer_ms, each.last_ok_ms, each.next_try_ms)
        assert all(moment is None or 0 <= moment < 253_402_300_800_001 for moment in moments)
        assert each.reason.isascii()
        assert len(each.reason) <= 40
        assert all(type(count) is int and count > 0 for count in each.failures.values())


@given(st.integers(0, 10**13), st.sampled_from(["late", "answer"]), st.integers(1, 9))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, moment: int, problem: str, count: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "status.json"
    one = DeliveryStatus(moment, None, moment, None, problem, 503, "log_parked", False, {problem: count})
    write_status(path, {"steel": one})
    still_alive(path)
    read = read_status(path)
    assert read is not None
    assert read.enterprises == {"steel": one}
