"""Signing in: guessing, ends that are explained, work that is not lost, and what browsers are told."""

from __future__ import annotations

import gc
import re
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from web_fixtures import MINUTE, NOON, PASSWORD, World, a_world, ref
from werkzeug.routing import Rule

from kiosk.commands import NoteAct
from kiosk.passwords import hash_password
from kiosk.store import acts, people
from kiosk.store.people import User
from kiosk.store.schema import write
from kiosk.web.accounts import (
    ABSOLUTE_S,
    FREE_TRIES,
    HOUR_S,
    IDLE_S,
    MOST_IN_AN_HOUR,
    REMEMBERED,
    Throttle,
    device_name,
)
from kiosk.web.apps import create_staff_app
from kiosk.web.certificates import self_made_certificate
from kiosk.web.known_devices import KEPT_S
from tests.test_web_staff import Hand, sign_in, token

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def client(world: World, hand: Hand) -> FlaskClient:
    return create_staff_app(world.services(), hand).test_client()


def tried(client: FlaskClient, csrf: str, password: str, source: str, name: str = "bauyrzhan") -> int:
    """The answer to one password."""
    data = {"csrf_token": csrf, "name": name, "password": password}
    return client.post("/login", data=data, environ_base={"REMOTE_ADDR": source}).status_code


# --- guessing --------------------------------------------------------------------------------------------------------


def test_of_a_thousand_passwords_in_an_hour_a_hundred_are_looked_at_at_the_most(
    client: FlaskClient, hand: Hand, world: World
) -> None:
    csrf = token(client.get("/login"))
    looked_at = 0
    for number in range(1000):
        status = tried(client, csrf, f"guess {number}", source=f"10.0.{number % 250}.7")
        assert status in {401, 429}
        looked_at += status == 401
        hand.now += HOUR_S / 1000
    assert FREE_TRIES <= looked_at <= MOST_IN_AN_HOUR
    assert tried(client, csrf, PASSWORD, "10.1.1.1") == 429
    assert len(world.noted) == looked_at


def test_right_passwords_between_the_wrong_ones_buy_no_more_guesses_than_a_hundred_an_hour(hand: Hand) -> None:
    throttle = Throttle(hand)
    looked_at = 0
    for number in range(2000):
        if throttle.take("ann", f"10.0.{number % 250}.9") <= 0:
            looked_at += 1
        if number % 3 == 2 and throttle.take("ann", "10.9.9.9") <= 0:
            throttle.succeeded("ann", "10.9.9.9")
        hand.now += 1
    assert looked_at <= MOST_IN_AN_HOUR


def test_many_guesses_at_one_moment_are_not_one(hand: Hand) -> None:
    throttle = Throttle(hand)
    assert sum(throttle.take("ann", "10.0.0.1") <= 0 for _ in range(50)) == FREE_TRIES


def test_invented_names_do_not_wash_out_the_one_that_is_guessed(hand: Hand) -> None:
    throttle = Throttle(hand)
    for _ in range(FREE_TRIES):
        throttle.failed("ann", "10.0.0.1")
    for number in range(2 * REMEMBERED):
        throttle.failed(f"nobody{number}", f"10.{number % 250}.{number // 250}.1")
    assert throttle.wait_s("ann", "10.9.9.9") > 0


def test_names_of_any_length_that_anybody_may_send_are_not_kept(client: FlaskClient) -> None:
    csrf = token(client.get("/login"))
    tracemalloc.start()
    try:
        for number in range(20):
            assert tried(client, csrf, "wrong", f"10.0.1.{number}", name=f"{number:06}" * 50_000) == 401
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3_000_000


def test_what_a_request_made_fail_cannot_write_lines_of_its_own_into_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_staff_app(world.services())
    app.url_map.add(Rule("/broken/<rest>", endpoint="static", methods=["GET"]))
    app.view_functions["static"] = lambda **_: 1 // 0
    assert app.test_client().get("/broken/x%0aERROR%20all%20is%20lost").status_code == 500
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert "\n" not in record.getMessage()


def test_a_restart_forgives_nobody(world: World, hand: Hand) -> None:
    with write(world.connection):
        for number in range(FREE_TRIES + 3):
            at_ms = world.now_ms - (FREE_TRIES + 3 - number) * 1000
            acts.note(world.connection, at_ms, "sign_in_failed", ref("bauyrzhan"), "10.0.0.1")
    again = create_staff_app(world.services(), hand).test_client()
    csrf = token(again.get("/login"))
    assert tried(again, csrf, PASSWORD, "10.0.0.2") == 429
    assert tried(again, csrf, PASSWORD, "10.0.0.2", name="lead") == 302


def test_guesses_at_invented_names_do_not_wash_out_what_a_restart_remembers(world: World, hand: Hand) -> None:
    with write(world.connection):
        for number in range(FREE_TRIES + 3):
            acts.note(world.connection, world.now_ms - 2000 + number, "sign_in_failed", ref("bauyrzhan"), "10.0.0.1")
        for number in range(1500):
            acts.note(world.connection, world.now_ms - 1500 + number, "sign_in_failed", None, "10.0.0.2")
    again = create_staff_app(world.services(), hand).test_client()
    assert tried(again, token(again.get("/login")), PASSWORD, "10.0.0.3") == 429


def test_a_name_that_does_not_exist_takes_as_long(client: FlaskClient, world: World) -> None:
    with write(world.connection):
        user = User(ref("real"), "real", "lead", hash_password(PASSWORD), None, None, NOON, True)
        people.add_user(world.connection, user)
    csrf = token(client.get("/login"))
    tried(client, csrf, "warm", "10.0.0.1", "nobody-0")
    taken: dict[str, list[float]] = {"real": [], "nobody": []}
    for number in range(4):
        for name, times in taken.items():
            began = time.thread_time()  # of the processor: what else a machine does is no part of it
            assert tried(client, csrf, "wrong", f"10.0.0.{number}", name) == 401
            times.append(time.thread_time() - began)
    known, unknown = (min(times) for times in taken.values())
    assert 0.5 < known / unknown < 2


def test_every_sign_in_and_every_failure_is_noted_without_what_was_typed(client: FlaskClient, world: World) -> None:
    sign_in(client, password="secret-guess-7")
    sign_in(client, "no-such-name-7")
    sign_in(client)
    client.post("/logout", data={"csrf_token": token(client.get("/settings"))})
    by, source = ref("bauyrzhan"), "127.0.0.1"
    assert world.noted == [
        NoteAct("sign_in_failed", by, source),
        NoteAct("sign_in_failed", None, source),
        NoteAct("signed_in", by, source),
        NoteAct("signed_out", by, source),
    ]


# --- known devices ---------------------------------------------------------------------------------------------------


def signed_out(client: FlaskClient) -> None:
    assert client.post("/logout", data={"csrf_token": token(client.get("/settings"))}).status_code == 302


def guessed_by_strangers(client: FlaskClient) -> None:
    """Until even the right password is not looked at from elsewhere."""
    stranger = client.application.test_client()
    csrf = token(stranger.get("/login"))
    for number in range(FREE_TRIES):
        assert tried(stranger, csrf, "wrong", f"10.6.6.{number}") == 401
    assert tried(stranger, csrf, PASSWORD, "10.6.7.1") == 429


def test_guesses_from_elsewhere_keep_nobody_out_where_they_signed_in_before(client: FlaskClient) -> None:
    sign_in(client)
    signed_out(client)
    guessed_by_strangers(client)
    assert sign_in(client).status_code == 302


def test_a_known_device_has_five_free_tries_of_its_own_which_cost_its_owner_nothing_elsewhere(
    client: FlaskClient, hand: Hand
) -> None:
    sign_in(client)
    signed_out(client)
    assert [sign_in(client, password="wrong").status_code for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    assert sign_in(client).status_code == 429
    assert sign_in(client.application.test_client()).status_code == 302


def test_the_owners_coming_and_going_buys_a_stranger_no_guess(client: FlaskClient, hand: Hand) -> None:
    sign_in(client)
    signed_out(client)
    guessed_by_strangers(client)
    sign_in(client)
    stranger = client.application.test_client()
    assert tried(stranger, token(stranger.get("/login")), "wrong", "10.6.8.1") == 429


def test_strangers_and_all_known_devices_together_have_a_hundred_guesses_an_hour(hand: Hand) -> None:
    throttle = Throttle(hand)
    looked_at = 0
    for number in range(3600):
        device = f"device {number % 40}" if number % 2 else ""
        if throttle.take("ann", f"10.0.{number % 250}.9", device) <= 0:
            looked_at += 1
        if number % 5 == 4:
            for own in ("", f"device {number % 40}"):
                if throttle.take("ann", "10.9.9.9", own) <= 0:
                    throttle.succeeded("ann", "10.9.9.9", own)
        hand.now += 1
    assert looked_at <= MOST_IN_AN_HOUR


def test_a_device_is_known_for_the_accounts_that_signed_in_there_and_for_no_other(client: FlaskClient) -> None:
    for name in ("lead", "bauyrzhan"):
        sign_in(client, name)
        signed_out(client)
    guessed_by_strangers(client)
    assert sign_in(client).status_code == 302
    other = client.application.test_client()
    sign_in(other, "lead")
    signed_out(other)
    assert sign_in(other).status_code == 429


@pytest.mark.parametrize("cookie", ["", "forged", "W1siYSIsImIiLDFdXQ.c2lnbmF0dXJl", "\x7f"])
def test_a_device_cookie_that_the_kiosk_did_not_give_is_worth_nothing(client: FlaskClient, cookie: str) -> None:
    guessed_by_strangers(client)
    client.set_cookie("sheber_device", cookie)
    assert sign_in(client).status_code == 429


def test_after_half_a_year_a_device_is_known_no_more(client: FlaskClient, world: World) -> None:
    sign_in(client)
    signed_out(client)
    guessed_by_strangers(client)
    world.now_ms += KEPT_S * 1000
    assert sign_in(client).status_code == 429


def test_no_script_reads_the_device_cookie_and_no_other_page_sends_it(client: FlaskClient) -> None:
    flags = sign_in(client).headers.getlist("Set-Cookie")[0]
    assert re.match(r"sheber_device=.*; Max-Age=15552000; HttpOnly; Path=/; SameSite=Strict$", flags)


def test_whoever_is_signed_in_proves_it_while_strangers_guess(client: FlaskClient) -> None:
    sign_in(client)
    guessed_by_strangers(client)
    chosen = "жеті қоян секірді"
    form = {"csrf_token": token(client.get("/password")), "current": PASSWORD, "new": chosen, "again": chosen}
    assert client.post("/password", data=form).status_code == 303


# --- why it ended ----------------------------------------------------------------------------------------------------


def test_after_half_an_hour_without_use_the_login_says_so_and_leads_back(client: FlaskClient, hand: Hand) -> None:
    sign_in(client)
    hand.now += IDLE_S
    answer = client.get("/review?day=2026-10-28", headers=ENGLISH)
    assert answer.headers["Location"] == "/login?next=/review?day%3D2026-10-28"
    page = client.get(answer.headers["Location"], headers=ENGLISH)
    assert "You were signed out because nobody used these pages for half an hour." in page.text
    assert sign_in(client, next="/review?day=2026-10-28").headers["Location"] == "/review?day=2026-10-28"
    assert "You were signed out" not in client.get("/login", headers=ENGLISH).text


def test_after_twelve_hours_even_of_use_the_login_says_so(client: FlaskClient, hand: Hand) -> None:
    sign_in(client)
    for _ in range(int(ABSOLUTE_S // (20 * 60))):
        hand.now += 20 * 60
        client.get("/settings")
    assert "because twelve hours have passed" in client.get("/login", headers=ENGLISH).text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE users SET active = 0 WHERE name = 'bauyrzhan'", "blocked or its last day is over"),
        ("UPDATE users SET until = '2026-10-28' WHERE name = 'bauyrzhan'", "blocked or its last day is over"),
    ],
)
def test_an_account_that_may_no_more_is_out_at_the_next_touch_and_told(
    client: FlaskClient, world: World, change: str, words: str
) -> None:
    sign_in(client)
    world.connection.execute(change)
    assert client.get("/review").status_code == 302
    assert words in client.get("/login", headers=ENGLISH).text
    world.connection.execute("UPDATE users SET active = 1, until = NULL WHERE name = 'bauyrzhan'")
    assert client.get("/review").status_code == 302  # what ended does not come back


def test_a_password_that_was_changed_elsewhere_ends_every_sign_in_with_the_old_one(
    client: FlaskClient, world: World
) -> None:
    sign_in(client)
    assert client.get("/settings").status_code == 200
    with write(world.connection):
        people.set_password(world.connection, "bauyrzhan", hash_password("жеті қоян секірді"))
    assert client.get("/settings").status_code == 302
    words = "because the password of this account was changed"
    assert words in client.get("/login", headers=ENGLISH).text


def test_a_restart_of_the_kiosk_is_told_as_one(client: FlaskClient, world: World) -> None:
    sign_in(client)
    cookie = client.get_cookie("sheber_session")
    assert cookie is not None
    again = create_staff_app(world.services()).test_client()
    again.set_cookie("sheber_session", cookie.value)
    assert "because the kiosk was started again" in again.get("/login", headers=ENGLISH).text


def test_what_was_typed_before_the_time_out_is_shown_and_said_not_to_be_saved(
    client: FlaskClient, hand: Hand, world: World
) -> None:
    session = world.worked("p1", "mill-1", NOON, NOON + 60 * MINUTE)
    sign_in(client)
    csrf = token(client.get(f"/review/{session}"))
    hand.now += IDLE_S
    typed = {"decision": "rejected", "reason": "not_present", "text": "Үйге <кетті> ертерек", "password": "s e c r e t"}
    headers = {**ENGLISH, "Referer": f"http://localhost/review/{session}"}
    answer = client.post(f"/review/{session}", data={"csrf_token": csrf, **typed}, headers=headers)
    assert answer.status_code == 401
    assert "Nothing was saved. Sign in and do it once more." in answer.text
    assert "Үйге &lt;кетті&gt; ертерек" in answer.text
    assert "s e c r e t" not in answer.text
    assert "not_present" not in answer.text
    assert world.commands == []
    assert f'name="next" value="/review/{session}"' in answer.text


def test_a_page_from_before_the_sign_in_is_told_as_one(client: FlaskClient) -> None:
    sign_in(client)
    old = token(client.get("/settings"))
    sign_in_again = client.post("/logout", data={"csrf_token": old})
    assert sign_in_again.status_code == 302
    sign_in(client)
    answer = client.post("/review/approve", data={"csrf_token": old}, headers=ENGLISH)
    assert answer.status_code == 400
    assert "Go back: what you typed is still there." in answer.text


def test_a_page_that_keeps_itself_fresh_is_signed_out_all_the_same(client: FlaskClient, hand: Hand) -> None:
    sign_in(client)
    for _ in range(3):
        assert client.get("/board/live").status_code != 302
        hand.now += IDLE_S / 3
    assert client.get("/board/live").status_code == 302


# --- what browsers are told ------------------------------------------------------------------------------------------


def test_every_answer_shuts_what_no_page_needs(client: FlaskClient) -> None:
    sign_in(client)
    for path in ("/settings", "/nowhere", "/login", "/static/js/settings.js"):
        with client.get(path) as answer:
            headers = answer.headers
        assert "camera=()" in headers["Permissions-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "data:" not in headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    ("self_made", "screen_listens", "told"),
    [(False, "127.0.0.1:8081", True), (False, "0.0.0.0:8081", False), (True, "127.0.0.1:8081", False)],
)
def test_only_a_certificate_that_browsers_trust_binds_them_to_tls_and_only_where_no_screen_goes_without(
    world: World, tmp_path: Path, self_made: bool, screen_listens: str, told: bool
) -> None:
    lab = replace(world.lab, web=replace(world.lab.web, kiosk_listen=screen_listens))
    certificate = replace(self_made_certificate(tmp_path), self_made=self_made)
    app = create_staff_app(replace(world.services(), lab=lab, certificate=certificate))
    answer = app.test_client().get("/login", base_url="https://kiosk.college.kz")
    assert ("Strict-Transport-Security" in answer.headers) is told
    plain = app.test_client().get("/login", base_url="http://kiosk.college.kz")
    assert "Strict-Transport-Security" not in plain.headers


def test_over_tls_every_cookie_is_secure_and_the_session_is_bound_to_its_host(client: FlaskClient) -> None:
    page = client.get("/login", base_url="https://localhost")
    flags = page.headers["Set-Cookie"]
    assert re.match(r"__Host-sheber_session=.*; Secure; HttpOnly; Path=/; SameSite=Lax$", flags)
    assert "Secure" in client.get("/language/ru", base_url="https://localhost").headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Windows"),
        (
            "Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            "Chrome, Linux",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
        ("<script>alert(1)</script>", ""),
        ("", ""),
    ],
)
def test_a_device_is_named_by_its_browser_and_its_system(agent: str, name: str) -> None:
    assert device_name(agent) == name
