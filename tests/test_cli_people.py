"""`sheber people import`: what stands in the way of a good file, and what it would change, is said before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kiosk.cli import main
from kiosk.clock import SystemClock
from kiosk.desk import Desk
from kiosk.store import people
from kiosk.store.schema import open_reader, open_writer, write
from lab_config.load import load

LAB = '[lab]\nid = "w3"\nname = "Workshop 3"\ntimezone = "Asia/Almaty"\n'
HEADING = "person_id,role,surname,group,birth_date,qualifications\n"
ROSTER = HEADING + (
    "p1,apprentice,Қасымов,CNC-24,2009-01-02,briefing:cnc:2027-09-01\n"
    "p2,apprentice,Абаев,CNC-24,2009-03-04,\n"
    "p3,apprentice,Ким,,,\n"
)
Import = Callable[..., Result]


@pytest.fixture
def handed_in(tmp_path: Path) -> Import:
    """Hands in a text as a roster to a kiosk that has three people."""
    (tmp_path / "lab.toml").write_text(LAB)
    data = tmp_path / "data"
    with closing(Desk(data / "kiosk.db", SystemClock(), load(tmp_path / "lab.toml"))) as desk:
        desk.start()

    def hand_in(text: str, *options: str) -> Result:
        file = tmp_path / "people.csv"
        file.write_text(text, encoding="utf-8")
        return CliRunner().invoke(main, ["people", "import", str(file), "--data", str(data), *options])

    assert hand_in(ROSTER).exit_code == 0
    return hand_in


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_double_in_the_file_is_named_with_its_line_also_by_a_dry_run(
    handed_in: Import, tmp_path: Path, options: list[str]
) -> None:
    database = tmp_path / "data" / "kiosk.db"
    with closing(open_writer(database)) as connection, write(connection):
        known = {each.person_id: each.person_ref for each in people.people(connection)}
        people.merge_person(connection, known["p3"], known["p1"])
    refused = handed_in(HEADING + "n1,apprentice,Эм,,,\np3,apprentice,Ким,,,\n", *options)
    assert refused.exit_code == 1
    assert "people.csv: line 3, column person_id: p3 was a double and is one person with p1 now" in refused.stderr
    with closing(open_reader(database)) as connection:
        assert people.person_by_id(connection, "n1") is None


def test_a_dry_run_tells_who_is_new_and_who_would_change(handed_in: Import) -> None:
    told = handed_in(ROSTER.replace("Абаев", "Абай") + "n1,apprentice,Эм,,,\n", "--dry-run")
    assert told.stdout == "4 people would be imported\n1 new, 1 changed, 2 as they are\n"
    assert told.stderr == ""


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_what_an_import_takes_away_is_said(handed_in: Import, options: list[str]) -> None:
    text = "person_id,role,surname,group,qualifications\n" + (
        "p1,apprentice,Қасымов,,briefing:cnc:2026-12-31\np2,apprentice,Абаев,CNC-24,\n"
    )
    told = handed_in(text, *options)
    assert told.exit_code == 0
    assert [line.partition("people.csv: ")[2] for line in told.stderr.splitlines()] == [
        "column group is empty for 1 person on the roster who has something there; it is emptied",
        "there is no column birth_date, in which 2 people on the roster have something; it is emptied",
        "1 person has a qualification that ends earlier than now; is the file older than the last briefing?",
    ]
