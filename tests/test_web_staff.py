"""Signing in, and what an instructor does on the review pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from web_fixtures import HOUR, MINUTE, NOON, PASSWORD, World, a_review_day, a_world, ref
from werkzeug.test import TestResponse

from kiosk.commands import ApproveSessions, DecideSession
from kiosk.web.accounts import ABSOLUTE_S, FIRST_DELAY_S, FREE_TRIES, IDLE_S, LONGEST_DELAY_S, SignIns, Throttle
from kiosk.web.apps import create_staff_app
from kiosk.web.strip import segments
from kiosk.words import parse_hours_minutes


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


def token(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found.group(1)


def sign_in(client: FlaskClient, name: str = "bauyrzhan", password: str = PASSWORD, **more: str) -> TestResponse:
    page = client.get("/login", headers={"Accept-Language": "en"})
    return client.post(
        "/login",
        data={"csrf_token": token(page), "name": name, "password": password, **more},
        headers={"Accept-Language": "en"},
    )


def review(client: FlaskClient, language: str = "en") -> TestResponse:
    return client.get("/review/", headers={"Accept-Language": language})


def post(client: FlaskClient, path: str, **fields: object) -> TestResponse:
    form = {"csrf_token": token(review(client)), **fields}
    return client.post(path, data=form, follow_redirects=True, headers={"Accept-Language": "en"})


class Hand:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# --- signing in ------------------------------------------------------------------------------------------------------


def test_the_right_password_opens_the_review(client: FlaskClient) -> None:
    assert sign_in(client).headers["Location"] == "/"
    assert client.get("/").headers["Location"] == "/review"
    assert review(client).status_code == 200


def test_without_an_account_there_is_only_the_login(client: FlaskClient) -> None:
    assert client.get("/review/").headers["Location"] == "/login?next=/review/"


@pytest.mark.parametrize("name", ["bauyrzhan", "nobody", "gone", "off", "x" * 1000])
def test_a_wrong_login_is_answered_the_same_whoever_it_names(client: FlaskClient, name: str) -> None:
    answer = sign_in(client, name, "wrong")
    assert answer.status_code == 401
    assert "Name and password do not fit." in answer.text


@pytest.mark.parametrize("name", ["gone", "off"])
def test_an_account_that_ended_or_is_blocked_stays_out_with_its_right_password(client: FlaskClient, name: str) -> None:
    assert sign_in(client, name).status_code == 401


def test_an_account_that_ends_meanwhile_is_out_at_once(client: FlaskClient, world: World) -> None:
    sign_in(client)
    world.connection.execute("UPDATE users SET active = 0 WHERE name = 'bauyrzhan'")
    assert review(client).status_code == 302


def test_after_five_wrong_passwords_even_the_right_one_waits(client: FlaskClient) -> None:
    for _ in range(FREE_TRIES):
        assert sign_in(client, password="wrong").status_code == 401
    answer = sign_in(client)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= FIRST_DELAY_S


def test_the_delay_doubles_up_to_a_limit_and_other_accounts_are_free() -> None:
    hand = Hand()
    throttle = Throttle(hand)
    delays = []
    for _ in range(20):
        throttle.failed("ann", "10.0.0.1")
        delays.append(throttle.wait_s("ANN", "10.0.0.2"))
    assert delays[: FREE_TRIES + 2] == [0, 0, 0, 0, FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert delays[-1] == LONGEST_DELAY_S
    assert throttle.wait_s("bob", "10.0.0.3") == 0
    hand.now += LONGEST_DELAY_S
    assert throttle.wait_s("ann", "10.0.0.2") == 0


def test_a_source_that_tries_many_accounts_is_slowed_too() -> None:
    throttle = Throttle(Hand())
    for number in range(20):
        throttle.failed(f"user{number}", "10.0.0.1")
    assert throttle.wait_s("somebody-else", "10.0.0.1") > 0


def test_the_right_password_forgives_the_account() -> None:
    throttle = Throttle(Hand())
    for _ in range(FREE_TRIES):
        throttle.failed("ann", "10.0.0.1")
    throttle.succeeded("ann")
    assert throttle.wait_s("ann", "10.0.0.1") == 0


def test_a_sign_in_ends_when_nobody_uses_it_and_at_the_latest_after_half_a_day() -> None:
    hand = Hand()
    sign_ins = SignIns(hand)
    idle = sign_ins.begin("ann")
    hand.now = IDLE_S
    assert sign_ins.name_of(idle) is None
    busy = sign_ins.begin("ann")
    started = hand.now
    while hand.now < started + ABSOLUTE_S - MINUTE / 1000:
        assert sign_ins.name_of(busy) == "ann"
        hand.now += 20 * 60
    assert sign_ins.name_of(busy) is None


def test_signing_out_ends_every_copy_of_the_cookie(client: FlaskClient, world: World) -> None:
    sign_in(client)
    cookie = client.get_cookie("sheber_session")
    assert cookie is not None
    post(client, "/logout")
    client.set_cookie("sheber_session", cookie.value)
    assert review(client).status_code == 302


def test_a_new_session_begins_with_the_login(client: FlaskClient) -> None:
    client.get("/login")
    before = client.get_cookie("sheber_session")
    answer = sign_in(client)
    after = client.get_cookie("sheber_session")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    (flags,) = (each for each in answer.headers.getlist("Set-Cookie") if each.startswith("sheber_session="))
    assert "HttpOnly" in flags
    assert "SameSite=Lax" in flags
    assert "Secure" not in flags


def test_over_tls_the_cookie_is_secure(client: FlaskClient) -> None:
    page = client.get("/login", base_url="https://localhost")
    assert "Secure" in page.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_login_sends_nobody_elsewhere(client: FlaskClient, target: str) -> None:
    assert sign_in(client, next=target).headers["Location"] == "/"
    assert client.get("/language/ru", query_string={"next": target}).headers["Location"] == "/"


# --- what protects the pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login", "/logout", "/review/approve", "/review/1"])
def test_a_form_without_its_token_is_refused_with_a_plain_page(client: FlaskClient, path: str) -> None:
    sign_in(client)
    answer = client.post(path, data={"decision": "approved"}, headers={"Accept-Language": "en"})
    assert answer.status_code == 400
    assert "This request was not understood" in answer.text


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for path in ("/login", "/nowhere", "/static/css/staff.css"):
        with client.get(path) as answer:
            headers = answer.headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert client.get("/login").headers["Cache-Control"] == "no-store"


def test_errors_are_plain_pages_in_the_readers_language(client: FlaskClient) -> None:
    assert "Такой страницы нет" in client.get("/nowhere", headers={"Accept-Language": "ru"}).text
    assert client.get("/health").status_code == 404
    assert client.get("/metrics").status_code == 404


def test_a_failure_shows_no_traceback(client: FlaskClient, world: World) -> None:
    sign_in(client)
    world.connection.execute("UPDATE sessions SET by_state = 'broken'")
    world.worked("p1", "mill-1", NOON, NOON + HOUR)
    world.connection.execute("UPDATE sessions SET by_state = 'broken'")
    answer = review(client)
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "Something went wrong here" in answer.text


def test_the_language_is_the_browsers_until_somebody_chooses(client: FlaskClient) -> None:
    assert '<html lang="ru">' in client.get("/login", headers={"Accept-Language": "ru-RU"}).text
    assert '<html lang="kk">' in client.get("/login", headers={"Accept-Language": "de"}).text
    client.get("/language/en")
    assert '<html lang="en">' in client.get("/login", headers={"Accept-Language": "ru"}).text


# --- the review ------------------------------------------------------------------------------------------------------


def test_exceptions_come_worst_first_then_the_clean_ones_then_the_decided(client: FlaskClient, world: World) -> None:
    made = a_review_day(world)
    sign_in(client)
    order = [int(each) for each in re.findall(r'id="s(\d+)"', review(client).text)]
    worst_first = [made[name] for name in ("clock", "overlap", "lost", "system", "idle", "minor")]
    clean = [made[f"clean-p{number}"] for number in range(1, 6)]
    assert order == [*worst_first, *clean, made["decided"]]


def test_an_older_session_waits_until_somebody_decides(client: FlaskClient, world: World) -> None:
    old = world.worked("p1", "mill-1", NOON - 80 * HOUR, NOON - 79 * HOUR, local_date="2026-10-26")
    sign_in(client)
    assert f'id="s{old}"' in review(client).text
    world.pending_decisions = [(old, ApproveSessions((old,), "x"))]
    world.settle()
    assert f'id="s{old}"' not in review(client).text


def test_the_clean_ones_are_approved_in_one_gesture(client: FlaskClient, world: World) -> None:
    made = a_review_day(world)
    sign_in(client)
    chosen = [made["clean-p2"], made["clean-p1"]]
    answer = post(client, "/review/approve", session=chosen)
    assert "2 sessions approved." in answer.text
    assert world.commands == [ApproveSessions(tuple(chosen), ref("bauyrzhan"))]


def test_an_approval_names_the_account_that_made_it(client: FlaskClient, world: World) -> None:
    session = a_review_day(world)["system"]
    sign_in(client)
    assert "Approved." in post(client, f"/review/{session}", decision="approved").text
    assert world.commands == [DecideSession(session, "approved", ref("bauyrzhan"))]


def test_an_adjustment_states_time_process_and_reason(client: FlaskClient, world: World) -> None:
    session = a_review_day(world)["idle"]
    sign_in(client)
    fields = {"credited": "1:05", "process": "CNC4", "reason": "setup_counts", "text": " ok "}
    post(client, f"/review/{session}", decision="adjusted", **fields)
    by = ref("bauyrzhan")
    wanted = DecideSession(session, "adjusted", by, "setup_counts", "ok", credited_ms=65 * MINUTE, process="CNC4")
    assert world.commands == [wanted]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decision": "rejected"}, "Choose a reason."),
        ({"decision": "rejected", "reason": "because"}, "Choose a reason."),
        ({"decision": "adjusted", "reason": "other", "credited": "1:75"}, "Write the credited time"),
        ({"decision": "adjusted", "reason": "other", "credited": "-1"}, "Write the credited time"),
    ],
)
def test_an_incomplete_decision_is_handed_back_in_words(
    client: FlaskClient, world: World, fields: dict[str, str], words: str
) -> None:
    session = a_review_day(world)["idle"]
    sign_in(client)
    assert words in post(client, f"/review/{session}", **fields).text
    assert world.commands == []


@pytest.mark.parametrize(
    ("code", "words"),
    [("own_session", "Nobody decides on their own sessions."), ("odd_new_code", "Code: odd_new_code")],
)
def test_a_refusal_of_the_clerk_is_shown_in_words(client: FlaskClient, world: World, code: str, words: str) -> None:
    session = a_review_day(world)["idle"]
    world.refuse = code
    sign_in(client)
    assert words in post(client, f"/review/{session}", decision="approved").text


def test_an_auditor_reads_and_changes_nothing(client: FlaskClient, world: World) -> None:
    session = a_review_day(world)["idle"]
    sign_in(client, "auditor")
    assert "Approve" not in review(client).text
    assert post(client, f"/review/{session}", decision="approved").status_code == 403
    assert world.commands == []


def test_nobody_is_offered_a_decision_on_their_own_session(client: FlaskClient, world: World) -> None:
    session = a_review_day(world)["system"]
    sign_in(client, "own")
    page = client.get(f"/review/{session}", headers={"Accept-Language": "en"}).text
    assert "Nobody decides on their own sessions." in page
    assert 'value="approved"' not in page


def test_names_are_shown_exactly_and_escaped(client: FlaskClient, world: World) -> None:
    a_review_day(world)
    sign_in(client)
    page = review(client).text
    assert "<bdi>O&#39;Brien&lt;script&gt; Seán</bdi>" in page
    assert "<bdi>Қожахметова-Бейсенбаева Гүлназ Ерланқызы</bdi>" in page


def test_a_forgotten_person_leaves_the_hours_nameless(client: FlaskClient, world: World) -> None:
    a_review_day(world)
    world.connection.execute(
        "UPDATE people SET surname = '', given = '', patronymic = NULL, person_id = NULL WHERE person_id = 'p1'"
    )
    sign_in(client)
    page = review(client).text
    assert "Сериков" not in page
    assert "<bdi>—</bdi>" in page


def test_a_session_that_is_not_there_is_a_plain_404(client: FlaskClient) -> None:
    sign_in(client)
    assert client.get("/review/99999").status_code == 404


# --- the evidence strip ----------------------------------------------------------------------------------------------


def strip_of(world: World, session: int) -> list[tuple[str, int, int]]:
    from kiosk.store import views

    row = views.session(world.connection, session)
    assert row is not None
    found = segments(world.connection, row)
    return [(e.state, (e.start_ms - NOON) // MINUTE, (e.end_ms - NOON) // MINUTE) for e in found]


def test_the_strip_shows_the_machines_states_over_the_session(world: World) -> None:
    world.state("mill-1", "idle", NOON - 20 * MINUTE)
    world.state("mill-2", "fault", NOON - 10 * MINUTE)
    world.tap_in("p1", "mill-1", NOON)
    world.state("mill-1", "running", NOON + 10 * MINUTE)
    world.state("mill-2", "off", NOON + 15 * MINUTE)
    world.state("mill-1", "idle", NOON + 50 * MINUTE)
    session = world.tap_out("p1", NOON + HOUR)
    assert strip_of(world, session) == [("idle", 0, 10), ("running", 10, 50), ("idle", 50, 60)]


def test_a_machine_never_heard_of_is_unknown_throughout(world: World) -> None:
    assert strip_of(world, world.worked("p1", "mill-1", NOON, NOON + HOUR)) == [("unknown", 0, 60)]


def test_a_change_dated_back_replaces_what_was_believed(world: World) -> None:
    world.tap_in("p1", "mill-1", NOON)
    world.state("mill-1", "running", NOON + 10 * MINUTE)
    world.now_ms = NOON + 40 * MINUTE
    from web_fixtures import at

    world.happens("state_changed", machine="mill-1", state="off", at=at(NOON + 30 * MINUTE), cause="power")
    session = world.tap_out("p1", NOON + HOUR)
    assert strip_of(world, session) == [("unknown", 0, 10), ("running", 10, 30), ("off", 30, 60)]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("2:05", 125), ("0:00", 0), ("3", 180), (" 1:30 ", 90), ("1:60", None), ("1:5", None), ("", None), ("a", None)],
)
def test_hours_and_minutes_are_read_as_written(text: str, minutes: int | None) -> None:
    assert parse_hours_minutes(text) == (None if minutes is None else minutes * MINUTE)
