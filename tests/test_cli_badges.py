"""`sheber badge`: cards given, found and refused, by their own number or by the one printed on them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kiosk.cli import main
from kiosk.clock import SystemClock
from kiosk.desk import Desk
from kiosk.store import people
from kiosk.store.schema import open_writer, write
from lab_config.load import load

LAB = '[lab]\nid = "w3"\nname = "Workshop 3"\ntimezone = "Asia/Almaty"\n'
ROSTER = """person_id,role,surname,badges
p1,apprentice,Қасымов,6F007B3972
p2,apprentice,Абаев,
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A kiosk with two people, that has refused two cards nobody has."""
    (tmp_path / "lab.toml").write_text(LAB)
    (tmp_path / "people.csv").write_text(ROSTER, encoding="utf-8")
    database = tmp_path / "data" / "kiosk.db"
    with closing(Desk(database, SystemClock(), load(tmp_path / "lab.toml"))) as desk:
        desk.start()
    done(sheber(tmp_path / "data", "people", "import", tmp_path / "people.csv"))
    with closing(open_writer(database)) as connection, write(connection):
        people.insert_badge(connection, "stranger-1", "0700952F22", None)
        people.insert_badge(connection, "stranger-2", "01017B3972", None)
    return tmp_path / "data"


def sheber(data: Path, *arguments: str | Path) -> Result:
    return CliRunner(env={"SHEBER_DATA": str(data)}).invoke(main, [str(argument) for argument in arguments])


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    return result.stderr


def badges_of(data: Path, person_id: str) -> list[str]:
    rows = [json.loads(line) for line in done(sheber(data, "people", "list", "--json")).splitlines()]
    return next(row["badges"] for row in rows if row["person_id"] == person_id)


def test_a_printed_number_finds_the_badge_and_whose_it_is(data: Path) -> None:
    found = sheber(data, "badge", "find", "0008075634", "--json")
    assert json.loads(done(found)) == {"badge": "6F007B3972", "person_id": "p1", "blocked": False}
    assert found.stderr == ""


def test_a_printed_number_that_several_badges_fit_says_so(data: Path) -> None:
    found = sheber(data, "badge", "find", "123,14706")
    assert done(found) == "01017B3972\t-\tno\n6F007B3972\tp1\tno\n"
    assert "2 badges fit 123,14706, which tells only 24 bits of a number: tap the card" in found.stderr


def test_a_number_that_nothing_fits_is_a_no(data: Path) -> None:
    assert "no known badge fits 0000000001: tap the card" in refused(sheber(data, "badge", "find", "0000000001"))


def test_a_card_that_a_reader_has_seen_is_given_by_its_printed_number(data: Path) -> None:
    assert done(sheber(data, "badge", "add", "0009776930", "p2")) == "badge 0700952F22 now belongs to p2\n"
    assert badges_of(data, "p2") == ["0700952F22"]


def test_a_card_that_no_reader_has_seen_is_not(data: Path) -> None:
    sentence = refused(sheber(data, "badge", "add", "0008123456", "p2"), 2)
    assert "printed on a card" in sentence
    assert "tap the card at a reader" in sentence


@pytest.mark.parametrize(
    "words", ["badge add 123,14706 p2", "badge block 123,14706", "badge replace 123,14706 AABBCC04"]
)
def test_a_printed_number_that_several_badges_fit_changes_nothing(data: Path, words: str) -> None:
    sentence = refused(sheber(data, *words.split()))
    assert "2 badges fit 123,14706" in sentence
    assert "01017B3972, 6F007B3972" in sentence
    assert (badges_of(data, "p1"), badges_of(data, "p2")) == (["6F007B3972"], [])


def test_a_lost_card_is_refused_by_the_number_printed_on_its_receipt(data: Path) -> None:
    assert done(sheber(data, "badge", "block", "0008075634")) == "badge 6F007B3972 is refused from now on\n"
    assert badges_of(data, "p1") == []


def test_digits_that_may_be_both_are_not_guessed(data: Path) -> None:
    with closing(open_writer(data / "kiosk.db")) as connection, write(connection):
        people.insert_badge(connection, "stranger-3", "6F08000001", None)
    sentence = refused(sheber(data, "badge", "add", "0134217729", "p2"))
    assert "may be a badge's number or the one printed on 6F08000001: write 0x0134217729, or that one" in sentence
    done(sheber(data, "badge", "add", "0x0134217729", "p2"))
    assert badges_of(data, "p2") == ["0134217729"]


@pytest.mark.parametrize(
    ("uid", "sentence"),
    [("08123456", "drawn anew at each tap"), ("88045A11", "all seven bytes"), ("00000000", "without a card")],
)
def test_a_number_that_is_not_one_cards_is_given_to_nobody(data: Path, uid: str, sentence: str) -> None:
    assert sentence in refused(sheber(data, "badge", "add", uid, "p2"))
    assert sentence in refused(sheber(data, "badge", "replace", "6F007B3972", uid))
    assert (badges_of(data, "p1"), badges_of(data, "p2")) == (["6F007B3972"], [])
