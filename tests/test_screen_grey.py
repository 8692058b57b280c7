"""Nothing on the screen is told by colour alone: each answer, choice and state has a sign and words of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_screen_walk import refusals, tap_answers
from test_web_browser import a_kiosk
from test_web_visits import PERSON_OF, a_programme, choices
from web_fixtures import NAMES, Listener, World, a_world, ref

from kiosk.commands import AskChoices
from kiosk.web.apps import create_kiosk_app
from lab_config.model import STATES

ICON = re.compile(r"icon-([\w-]+)")
SIGN = re.compile(r'class="sign">.*?icon-([\w-]+)', re.DOTALL)
HEADLINE = re.compile(r'class="headline">([^<]+)<')


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path, programmes=(a_programme(),)) as made:
        yield made


def told(listener: Listener, act: Callable[[], object]) -> tuple[str, str, str]:
    """(kind, which gives the colour; sign; headline) of what the screen shows."""
    act()
    event = listener.next("tap")["data"]
    sign, headline = SIGN.search(event["html"]), HEADLINE.search(event["html"])
    assert sign is not None
    assert headline is not None
    return event["kind"], sign[1], headline[1]


@pytest.mark.parametrize("language", PERSON_OF)
def test_each_kind_of_answer_has_its_own_sign_and_each_answer_its_own_words(world: World, language: str) -> None:
    person = PERSON_OF[language]
    acts = {**tap_answers(world, person), **refusals(world, person)}
    acts |= {
        "pick": (lambda: world.told("pick", person, None), ""),
        "unknown": (lambda: world.refused("unknown_badge"), ""),
    }
    acts.pop("in-told-closed")
    with a_kiosk(world) as address:
        listener = Listener(address)
        listener.next("status")
        seen = {name: told(listener, act) for name, (act, _) in acts.items()}
        listener.close()
    signs_of: dict[str, set[str]] = {}
    for kind, sign, _ in seen.values():
        signs_of.setdefault(kind, set()).add(sign)
    assert len(signs_of) == 6
    assert len(set().union(*signs_of.values())) == sum(len(each) for each in signs_of.values())
    assert len({headline for _, _, headline in seen.values()}) == len(seen)


def test_each_choice_of_a_machine_has_a_sign_and_words(world: World) -> None:
    world.answers[AskChoices] = choices
    services = world.services()
    visit = services.visits.begin("door", ref("p2"), "apprentice", 1)
    assert visit is not None
    client = create_kiosk_app(services).test_client()
    page = "".join(client.get(f"/visit/{visit.token}/machines?page={number}").text for number in (1, 2))
    found: dict[str, set[str]] = {}
    for outcome, tile in re.findall(r"tile is-(\w+).*?>(.*?)</button>", page, re.DOTALL):
        sign = ICON.search(tile)
        assert sign is not None
        assert re.search(r"<small>[^<]+</small>", tile)
        found.setdefault(outcome, set()).add(sign[1])
    assert found == {"in": {"check"}, "observer": {"eye"}, "out": {"out"}, "refused": {"cross"}}


def test_each_state_of_a_machine_has_a_sign_and_words(world: World) -> None:
    for machine, state in zip(NAMES, STATES, strict=False):
        world.state(machine, state)
    page = create_kiosk_app(world.services()).test_client().get("/").text
    seen = {}
    for state, head in re.findall(r'data-state="(\w+)">\s*<div class="state[^>]*>(.*?)</div>', page, re.DOTALL):
        sign, words = ICON.search(head), re.search(r'class="first"[^>]*>([^<]+)<', head)
        assert sign is not None
        assert words is not None
        seen[state] = (sign[1], words[1])
    assert set(STATES) <= set(seen)
    for part in (0, 1):
        assert len({each[part] for state, each in seen.items() if state in STATES}) == len(STATES)
