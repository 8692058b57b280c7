"""The hub's pages: who may look, what they show, in three languages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from delivery_fixtures import record
from hub_fixtures import Hub, Sender, accepted

from kiosk.clock import real_wall_ms

PACKAGE = Path(__file__).parents[1] / "kiosk" / "hub"
PAGES = ("/", "/records", "/logs", "/alarms")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path / "hub")
    yield hub
    hub.close()


@pytest.fixture
def known(hub: Hub) -> Sender:
    return accepted(hub)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_wants_a_login_and_leads_back_to_itself(hub: Hub, path: str) -> None:
    answer = hub.request("GET", path)
    assert (answer.status, answer.headers["location"]) == (302, f"/login?next={path}")


def test_the_right_password_opens_the_pages_and_a_wrong_one_does_not(hub: Hub) -> None:
    assert hub.log_in(password="guess").status == 401
    assert hub.log_in().status == 302
    assert all(hub.request("GET", path).status == 200 for path in PAGES)


def test_logging_out_closes_them(hub: Hub) -> None:
    hub.log_in()
    assert hub.form("/logout", "/").status == 302
    assert hub.request("GET", "/").status == 302


@pytest.mark.parametrize("there", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x", ""])
def test_after_the_login_nobody_is_led_elsewhere(hub: Hub, there: str) -> None:
    page = f"/login?next={there}"
    token = re.search(r'name="csrf_token" value="([^"]+)"', hub.request("GET", page).text)
    assert token is not None
    body = f"csrf_token={token[1]}&user=steel&password=steel-password".encode()
    answer = hub.request("POST", page, body, content_type="application/x-www-form-urlencoded")
    assert (answer.status, answer.headers["location"]) == (302, "/")


def test_guessing_is_slowed_down_even_for_the_right_password_and_passes(hub: Hub) -> None:
    offset = 0
    hub.close()
    hub.now_ms = lambda: real_wall_ms() + offset
    hub.start()
    assert [hub.log_in(password="guess").status for _ in range(6)][-2:] == [429, 429]
    refused = hub.log_in()
    assert refused.status == 429
    offset = 10_000
    assert hub.log_in().status == 302


def test_an_account_that_does_not_exist_answers_like_a_wrong_password(hub: Hub) -> None:
    def answer(user: str) -> str:
        # A token holds the second in which it was made.
        return re.sub(r'name="csrf_token" value="[^"]+"', "", hub.log_in(user, "x").text.replace(user, ""))

    assert answer("nobody") == answer("steel")


def test_accepting_a_log_wants_the_form_that_the_page_gave(hub: Hub, known: Sender) -> None:
    assert known.log.size
    hub.log_in()
    forged = hub.request("POST", "/logs/accept", b"fingerprint=x", content_type="application/x-www-form-urlencoded")
    assert forged.status == 400


def test_hours_are_shown_with_their_proof_and_correct_to_the_minute(hub: Hub, known: Sender) -> None:
    known.people = {"bb22": {"name": "Әлия Құсайын", "personnel_number": "N-17", "contract": "C"}}
    seqs = [
        known.log.release(record(person="bb22", person_seq=n, credited_ms=3_599_999, process="CNC7")) for n in (1, 2)
    ]
    hub.deliver(known.delivery(*seqs, since=1))
    hub.log_in()
    text = re.sub(r"<[^>]+>|\s+", " ", hub.request("GET", "/?lang=en").text)
    assert "Әлия Құсайын" in text
    assert re.search(r"CNC7 +cnc-operator.* 1:59 .* 2 .* badge and machine .* verified", text)


def test_a_name_that_is_markup_or_turns_the_text_around_is_shown_as_text(hub: Hub, known: Sender) -> None:
    name = "<script>alert(1)</script> {{7*7}} \u202egnissorc '; DROP TABLE records;--"
    known.people = {"bb22": {"name": name, "personnel_number": None, "contract": None}}
    hub.deliver(known.delivery(known.log.release(record(person="bb22")), since=1))
    hub.log_in()
    for path in ("/", "/records"):
        page = hub.request("GET", path).text
        assert "<script" not in page
        assert "{{7*7}}" in page
        assert "\u202e" not in page
        assert "&lt;script&gt;" in page
    hub.log_in("tyre")
    assert "Demo <b>" not in hub.request("GET", "/").text


def test_every_answer_forbids_scripts_frames_and_keeping(hub: Hub) -> None:
    for path in ("/login", "/api/v1/records", "/nothing"):
        sent = hub.request("GET", path).headers
        assert "default-src 'none'" in sent["content-security-policy"]
        assert "frame-ancestors 'none'" in sent["content-security-policy"]
        assert sent["cache-control"] == "no-store"
        assert sent["x-content-type-options"] == "nosniff"


def test_the_cookie_is_for_this_site_and_not_for_scripts(hub: Hub) -> None:
    cookie = hub.request("GET", "/login").headers["set-cookie"]
    assert cookie.startswith("sheber_hub=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(("language", "word"), [("kk", "Сағаттар"), ("ru", "Часы"), ("en", "Hours")])
def test_pages_speak_the_chosen_language_and_keep_it(hub: Hub, known: Sender, language: str, word: str) -> None:
    assert known.log.size
    hub.log_in()
    assert f"<h1>{word}</h1>" in hub.request("GET", f"/?lang={language}").text
    again = hub.request("GET", "/").text
    assert f"<h1>{word}</h1>" in again
    assert f'<html lang="{language}">' in again


def test_without_a_choice_the_browser_s_language_is_spoken(hub: Hub) -> None:
    assert 'lang="kk"' in hub.request("GET", "/login", accept_language="kk-KZ,ru;q=0.8").text.partition("<head>")[0]


def words() -> set[str]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    found = {message for _, _, message, *_ in extract_from_dir(str(PACKAGE), methods)}
    assert all(isinstance(message, str) for message in found)
    return {str(message) for message in found}


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_every_word_of_the_pages_is_translated(language: str) -> None:
    folder = PACKAGE / "locale" / language / "LC_MESSAGES"
    catalogue = read_po(io.BytesIO((folder / "messages.po").read_bytes()))
    translated = {str(message.id): message for message in catalogue if message.id}
    assert set(translated) == words()
    for message in translated.values():
        assert message.string, message.id
        assert not message.fuzzy
        assert re.findall(r"%\(\w+\)\w", str(message.string)) == re.findall(r"%\(\w+\)\w", str(message.id))
    compiled = read_mo(io.BytesIO((folder / "messages.mo").read_bytes()))
    assert {str(m.id): m.string for m in compiled if m.id} == {key: m.string for key, m in translated.items()}
