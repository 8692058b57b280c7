"""Who gets into the instructor's panel, over HTTP alone: tokens, PINs, guessing, and strange requests."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from test_web_words import messages, texts
from web_fixtures import Listener

from kiosk.commands import DecideSession
from kiosk.store.people import Person
from kiosk.web.accounts import FREE_TRIES
from kiosk.web.panel_people import narrow
from tests.kiosk_fixtures import HandClock, of_type
from tests.panel_fixtures import GROUP, MASTER_OF, NEW_BADGE, PIN, Floor, a_floor


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with a_floor(tmp_path) as made:
        yield made


@dataclass
class Hand:
    """A finger without a screen: the visit's token, and requests with it."""

    floor: Floor
    token: str

    def ask(self, path: str = "", **form: str) -> tuple[int, str]:
        """GET, or POST where there is something to send."""
        address = f"{self.floor.address}/visit/{self.token}/panel{path}"
        data = urlencode(form).encode() if form else None
        try:
            with urllib.request.urlopen(urllib.request.Request(address, data), timeout=40) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def tapped(floor: Floor, person_id: str, reader: str = "mill-1") -> Hand:
    """Tap a card; the token that its screen is sent."""
    listener = Listener(floor.address)
    try:
        listener.next("board")
        floor.tap(person_id, reader)
        taps = iter(lambda: listener.next("tap")["data"], None)
        return Hand(floor, next(tap["visit"] for tap in taps if "visit" in tap))
    finally:
        listener.close()


def test_an_apprentices_visit_opens_no_panel(floor: Floor) -> None:
    hand = tapped(floor, "p1")
    assert hand.ask()[0] == 410
    assert hand.ask("/pin", pin=PIN)[0] == 410


@pytest.mark.parametrize(
    "path",
    ["", "/sessions", "/machines", "/card", "/card/p1", "/hours", "/briefing", "/roll", "/learner", "/clock"],
)
def test_without_the_pin_every_page_is_the_number_pad(floor: Floor, path: str) -> None:
    status, page = tapped(floor, "i3").ask(path)
    assert (status, "data-digit" in page) == (200, True)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/machines/mill-1", {"locked": "1"}),
        ("/card/p1", {"replace": "1"}),
        ("/briefing/briefing:cnc", {"until": ""}),
        ("/roll/done", {"x": ""}),
        ("/clock", {"shift": "0"}),
    ],
)
def test_without_the_pin_nothing_is_done(floor: Floor, path: str, form: dict[str, str]) -> None:
    hand = tapped(floor, "i3")
    before = floor.entries("machine_locked"), len(floor.entries("person_recorded"))
    assert "data-digit" in hand.ask(path, **form)[1]
    assert (floor.entries("machine_locked"), len(floor.entries("person_recorded"))) == before


def test_a_token_that_is_over_opens_nothing(floor: Floor) -> None:
    hand = tapped(floor, "i3")
    assert hand.ask("/pin", pin=PIN)[0] == 200
    tapped(floor, "p1")
    assert hand.ask("/machines")[0] == 410


def test_the_pin_is_asked_again_at_each_visit(floor: Floor) -> None:
    assert "data-digit" not in tapped(floor, "i3").ask("/pin", pin=PIN)[1]
    tapped(floor, "p1")
    assert "data-digit" in tapped(floor, "i2").ask()[1]


def test_another_instructors_pin_does_not_fit_unless_it_is_the_same(floor: Floor) -> None:
    assert "Wrong PIN" in tapped(floor, "i3").ask("/pin", pin="2581")[1]


def test_who_guesses_waits_and_even_the_right_pin_must(floor: Floor) -> None:
    hand = tapped(floor, "i3")
    for number in range(FREE_TRIES):
        assert "Wrong PIN" in hand.ask("/pin", pin=str(number))[1]
    page = hand.ask("/pin", pin=PIN)[1]
    assert "Too many tries. Wait 15 seconds." in page
    other = tapped(floor, "i2", "lathe-1")
    assert "data-digit" not in other.ask("/pin", pin=PIN)[1]


@pytest.mark.parametrize(
    "path",
    [
        "/machines?page=99999999999999999999",
        "/card?begins=%00%ff&group=%3Cscript%3E",
        "/card/no-such-person",
        "/clock?shift=--9",
        "/hours?tap=-1&back=999999&machine=nowhere",
        "/sessions/999999",
        "/learner?part=skills",
        "/briefing/briefing:none",
    ],
)
def test_a_strange_address_is_no_fault(floor: Floor, path: str) -> None:
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    assert hand.ask(path)[0] in {200, 404, 410}


def test_a_briefing_that_nothing_requires_or_for_nobody_enters_nothing_and_says_so(floor: Floor) -> None:
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    hand.ask("/briefing/briefing:cnc", until="")
    assert "Nobody has tapped yet." in hand.ask("/roll/done", x="")[1]
    hand.ask("/roll/stop", x="")
    hand.ask("/briefing/briefing:cnc", until="2001-01-01")
    floor.tap("p1")
    while "Ахметова" not in hand.ask("/roll")[1]:
        pass
    assert "That day has passed." in hand.ask("/roll/done", x="")[1]
    assert floor.entries("qualification_granted") == []


def test_a_screen_that_asks_once_more_after_the_end_is_told_nothing_else(floor: Floor) -> None:
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    hand.ask("/briefing/briefing:cnc", until="")
    hand.ask("/roll/stop", x="")
    assert hand.ask("/roll?seen=0") == (204, "")


def test_another_screen_is_let_in_by_its_code_and_guessing_slows_down(floor: Floor) -> None:
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    pairings = floor.kiosk._servers[0]._cheroot.wsgi_app.extensions["sheber"]["services"].pairings
    asker, code = pairings.ask(None, "10.0.0.7")
    wrong = "0" if code != "0" else "1"
    assert "No screen shows this code now." in hand.ask("/screen", code=wrong)[1]
    assert "The screen is paired." in hand.ask("/screen", code=code)[1]
    assert pairings.claim(asker) == ""
    for _ in range(FREE_TRIES):
        hand.ask("/screen", code=wrong)
    assert "Too many tries." in hand.ask("/screen", code=wrong)[1]


def test_a_session_that_ended_meanwhile_is_not_confirmed_by_the_touch_that_would_have_ended_it(floor: Floor) -> None:
    tapped(floor, "p1")
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    (opened,) = floor.entries("session_opened")
    for _ in range(2):
        hand.ask(f"/learner/sessions/{opened['seq']}", do="end")
    assert floor.entries("session_reviewed") == []
    hand.ask(f"/learner/sessions/{opened['seq']}", do="confirm")
    assert len(floor.entries("session_reviewed")) == 1


def test_what_was_decided_meanwhile_is_not_confirmed_by_a_touch_that_comes_late(floor: Floor) -> None:
    tapped(floor, "p1")
    hand = tapped(floor, "i3")
    hand.ask("/pin", pin=PIN)
    (opened,) = floor.entries("session_opened")
    hand.ask(f"/learner/sessions/{opened['seq']}", do="end")
    floor.kiosk.submit(DecideSession(opened["seq"], "rejected", floor.users["i3"], "not_present"))
    assert hand.ask(f"/learner/sessions/{opened['seq']}", do="confirm")[0] == 200
    (reviewed,) = floor.entries("session_reviewed")
    assert reviewed["decision"] == "rejected"


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_page_of_the_panel_has_a_word_in_another_language(floor: Floor, language: str) -> None:
    english = {each if isinstance(each, str) else each[0] for each in messages()}
    floor.readers["mill-1"].tap(NEW_BADGE)
    tapped(floor, "p1")
    hand = tapped(floor, MASTER_OF[language])
    pages = [hand.ask()[1], hand.ask("/pin", pin="1")[1], hand.ask("/pin", pin=PIN)[1]]
    paths = (
        "/learner",
        "/learner?part=sessions",
        "/learner/skills/CNC-a",
        "/sessions",
        "/machines",
        "/card",
        "/card/p2",
    )
    pages += [
        hand.ask(path)[1] for path in (*paths, "/card/p8", "/briefing", "/briefing/briefing:cnc", "/screen", "/clock")
    ]
    pages += [hand.ask("/card/p8", x="")[1], hand.ask("/hours")[1], hand.ask("/machines/mill-1", locked="1")[1]]
    for page in pages:
        assert set(texts(page)) & english == set()
        assert f'lang="{language}"' in page


def test_hostile_names_are_text(floor: Floor) -> None:
    tapped(floor, "p3")
    hand = tapped(floor, "i3")
    page = hand.ask("/pin", pin=PIN)[1]
    assert "&lt;b&gt;O&#39;Brien" in page
    assert "<script>alert" not in page + hand.ask("/card")[1] + hand.ask("/learner")[1] + hand.ask("/sessions")[1]


def test_a_boot_that_no_clock_dated_is_dated_by_a_look_at_the_watch(tmp_path: Path) -> None:
    clock = HandClock()
    clock.synced = False
    with a_floor(tmp_path, clock=clock) as floor:
        tapped(floor, "p1")
        clock.move(600_000)
        hand = tapped(floor, "i3")
        assert "The clock is not certain" in hand.ask("/pin", pin=PIN)[1]
        page = hand.ask("/clock?shift=3600000")[1]
        assert "Is it now this day and time?" in page
        (opened,) = of_type(floor.data, "session_opened")
        assert "Dated." in hand.ask("/clock", shift="3600000")[1]
        (dated,) = of_type(floor.data, "clock_anchored")
        offset = dated["utc_ms"] - dated["at"]["boot_ms"]
        assert offset == opened["stamp"]["wall_ms"] - opened["stamp"]["boot_ms"] + 3_600_000
        assert "Every session has a date." in hand.ask("/clock")[1]


def people_of(*names: tuple[str, str]) -> list[Person]:
    nothing: dict[str, Any] = {"patronymic": None, "group": None, "active": True, "language": None, "birth_date": None}
    nothing |= {"programme": None, "enterprise": None, "personnel_number": None, "contract": None}
    nothing |= {"contract_from": None, "contract_to": None, "consent_until": None}
    return [
        Person(
            person_ref=str(number), person_id=str(number), role="apprentice", surname=surname, given=given, **nothing
        )
        for number, (surname, given) in enumerate(names)
    ]


def test_letters_stand_in_the_order_of_the_kazakh_alphabet() -> None:
    everybody = people_of(*((each.surname, each.given) for each in GROUP))
    shown = [label for _, label in narrow(everybody, "").letters]
    assert shown == ["<", "А", "Ә", "К", "Қ", "Ө", "С", "Ш", "І"]


def test_every_person_is_reached_by_letters_even_namesakes() -> None:
    everybody = people_of(*[("Ким", "Анна")] * 12, *[("Кимов", f"Н{letter}") for letter in "абвгдежзик"], ("Юн", "А"))
    reached: set[str] = set()

    def walk(prefix: str) -> None:
        found = narrow(everybody, prefix)
        reached.update(each.person_ref for each in found.names)
        for begin, _ in found.letters:
            assert len(begin) > len(prefix)
            walk(begin)

    walk("")
    assert reached == {each.person_ref for each in everybody}
