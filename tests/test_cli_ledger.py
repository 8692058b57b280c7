"""The commands for the log and for people, as a person types them, on the files of a kiosk that is not running."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from store_helpers import append, head_of, note_of, root_of, tampering

from kiosk.cli import main
from kiosk.clock import SystemClock
from kiosk.desk import Desk
from kiosk.proofs import leaf_hash
from kiosk.store.ledger import Ledger
from kiosk.store.people import user_by_name
from kiosk.store.schema import open_reader, open_writer, write
from lab_config.load import load

LAB = """
[lab]
id = "w3"
name = "Workshop 3"
timezone = "Asia/Almaty"
"""
ROSTER = """person_id;role;surname;given;group;badges
i1;instructor;Яковлев;Иван;;AAAAAAAA01
p1;apprentice;Қасымов;Бек;CNC-24;AAAAAAAA02
p2;apprentice;Абаев;Әли;CNC-24;
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a kiosk that has run once."""
    lab = tmp_path / "lab.toml"
    lab.write_text(LAB)
    with closing(Desk(tmp_path / "data" / "kiosk.db", SystemClock(), load(lab))) as desk:
        desk.start()
    return tmp_path / "data"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(ROSTER, encoding="utf-8")
    return path


def sheber(data: Path, *arguments: str | Path, typed: str | None = None) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner(env={"SHEBER_DATA": str(data)}).invoke(main, words, input=typed)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def entries(data: Path) -> list[bytes]:
    with closing(open_reader(data / "kiosk.db")) as connection:
        return [entry for _, entry in Ledger(connection).entries()]


# --- the log ---


def test_a_whole_log_verifies_and_says_its_size_and_root(data: Path) -> None:
    stored = entries(data)
    assert f"{len(stored)} entries" in done(sheber(data, "ledger", "verify"))
    result = json.loads(done(sheber(data, "ledger", "verify", "--json")))
    assert (result["ok"], result["entries"], result["findings"]) == (True, len(stored), [])


def test_an_edited_log_does_not_verify_and_the_entry_is_named(data: Path) -> None:
    with tampering(data / "kiosk.db") as connection:
        connection.execute("UPDATE ledger SET bytes = x'00' WHERE seq = 1")
    assert "entry 1 does not fit its hash" in refused(sheber(data, "ledger", "verify"))
    result = sheber(data, "ledger", "verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"][0]["seq"] == 1


def test_a_cut_log_does_not_verify_against_a_checkpoint_kept_elsewhere(data: Path, tmp_path: Path) -> None:
    with closing(open_writer(data / "kiosk.db")) as connection:
        old = head_of(connection)
        append(connection, 5)
        kept = tmp_path / "kept.note"
        kept.write_text(note_of(head_of(connection)), encoding="utf-8")
    with tampering(data / "kiosk.db") as connection:
        connection.execute("DELETE FROM ledger WHERE seq >= ?", (old.size,))
        connection.execute("DELETE FROM tree WHERE ((idx + 1) << level) > ?", (old.size,))
    assert done(sheber(data, "ledger", "verify"))
    assert "its end was cut off" in refused(sheber(data, "ledger", "verify", "--checkpoint", kept))


def test_a_file_that_is_no_checkpoint_is_said(data: Path, roster: Path) -> None:
    assert "is no checkpoint" in refused(sheber(data, "ledger", "verify", "--checkpoint", roster))


def test_the_export_is_the_entries_own_bytes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ledger.jsonl"
    done(sheber(data, "ledger", "export", "--out", out))
    assert out.read_bytes().splitlines() == entries(data)
    assert done(sheber(data, "ledger", "export")).encode() == out.read_bytes()
    with closing(open_reader(data / "kiosk.db")) as connection:
        assert root_of(leaf_hash(line) for line in out.read_bytes().splitlines()) == Ledger(connection).root()


def test_the_newest_checkpoint_is_printed_as_it_was_signed(data: Path) -> None:
    assert "nothing is signed yet" in refused(sheber(data, "ledger", "checkpoint"))
    with closing(open_writer(data / "kiosk.db")) as connection:
        note = note_of(head_of(connection))
        with write(connection):
            Ledger(connection).store_checkpoint(note)
    assert done(sheber(data, "ledger", "checkpoint")) == note


def test_a_backup_is_made_beside_a_writing_kiosk_and_verifies(data: Path, tmp_path: Path) -> None:
    with closing(open_writer(data / "kiosk.db")):
        assert "verified" in done(sheber(data, "backup", tmp_path / "kiosk.db"))
    assert done(sheber(tmp_path, "ledger", "verify"))


def test_rebuilding_gives_the_same_numbers(data: Path, roster: Path) -> None:
    done(sheber(data, "people", "import", roster))
    assert "same numbers" in done(sheber(data, "rebuild"))
    with closing(open_writer(data / "kiosk.db")):
        assert "another process writes" in refused(sheber(data, "rebuild"))


@pytest.mark.parametrize("command", ["ledger verify", "ledger export", "ledger checkpoint", "people list", "user list"])
def test_a_folder_without_a_kiosk_is_said_and_left_empty(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert "there is no database" in refused(sheber(folder, *command.split()))
    assert list(folder.iterdir()) == []


# --- people ---


def test_an_import_is_listed_in_kazakh_order(data: Path, roster: Path) -> None:
    assert done(sheber(data, "people", "import", roster)) == "3 people imported\n"
    listed = [json.loads(line) for line in done(sheber(data, "people", "list", "--json")).splitlines()]
    assert [(person["surname"], person["badges"]) for person in listed] == [
        ("Абаев", []),
        ("Қасымов", ["AAAAAAAA02"]),
        ("Яковлев", ["AAAAAAAA01"]),
    ]
    assert "p2\tapprentice\tАбаев\tӘли\tCNC-24\tyes" in done(sheber(data, "people", "list"))


def test_a_dry_run_imports_nothing(data: Path, roster: Path) -> None:
    before = entries(data)
    assert done(sheber(data, "people", "import", roster, "--dry-run")) == "3 people would be imported\n"
    assert done(sheber(data, "people", "list")) == ""
    assert entries(data) == before


def test_one_bad_row_imports_nobody_and_every_bad_row_is_said(data: Path, roster: Path) -> None:
    roster.write_text(ROSTER.replace("instructor", "boss").replace("AAAAAAAA02", "card"), encoding="utf-8")
    lines = refused(sheber(data, "people", "import", roster)).splitlines()
    assert ["line 2, column role" in lines[0], "line 3, column badges" in lines[1]] == [True, True]
    assert "nothing was imported: 2 problem(s)" in lines[2]
    assert done(sheber(data, "people", "list")) == ""


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_badge_in_other_hands_stops_an_import(data: Path, roster: Path, options: list[str]) -> None:
    done(sheber(data, "people", "import", roster))
    roster.write_text("person_id,role,surname,badges\np9,apprentice,А,AAAAAAAA02\n", encoding="utf-8")
    assert "AAAAAAAA02 of p9 belongs to p1 already" in refused(sheber(data, "people", "import", roster, *options))


def test_no_name_and_no_badge_number_of_an_import_is_in_the_log(data: Path, roster: Path) -> None:
    done(sheber(data, "people", "import", roster))
    log = b"\n".join(entries(data)).decode()
    assert not [word for word in ("Яковлев", "Қасымов", "Әли", "AAAAAAAA", "CNC-24", '"p1"') if word in log]


def test_a_lost_badge_is_replaced_by_a_new_one(data: Path, roster: Path) -> None:
    done(sheber(data, "people", "import", roster))
    done(sheber(data, "badge", "add", "bbbbbbbb03", "p2"))
    done(sheber(data, "badge", "replace", "AAAAAAAA02", "BBBBBBBB04"))
    done(sheber(data, "badge", "block", "BBBBBBBB03"))
    listed = [json.loads(line) for line in done(sheber(data, "people", "list", "--json")).splitlines()]
    assert {person["person_id"]: person["badges"] for person in listed} == {
        "i1": ["AAAAAAAA01"],
        "p1": ["BBBBBBBB04"],
        "p2": [],
    }


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("badge add AAAAAAAA01 p1", 1, "belongs to somebody"),
        ("badge add BBBBBBBB03 p9", 1, "no such person"),
        ("badge block BBBBBBBB03", 1, "no such badge"),
        ("badge replace BBBBBBBB03 BBBBBBBB04", 1, "belongs to nobody"),
        ("badge replace AAAAAAAA02 AAAAAAAA02", 2, "the same badge"),
        ("badge add 0008123456 p1", 2, "printed on a card"),
        ("badge block nonsense", 2, "no badge number"),
    ],
)
def test_a_badge_command_that_cannot_be_done_says_why(
    data: Path, roster: Path, words: str, status: int, sentence: str
) -> None:
    done(sheber(data, "people", "import", roster))
    assert sentence in refused(sheber(data, *words.split()), status)


# --- accounts ---


def test_an_account_is_made_with_a_password_from_standard_input_and_listed_without_it(data: Path, roster: Path) -> None:
    from argon2 import PasswordHasher, extract_parameters

    done(sheber(data, "people", "import", roster))
    words = ["user", "add", "ivan", "--role", "instructor", "--person", "i1", "--until", "2026-12-31"]
    assert "until 2026-12-31" in done(sheber(data, *words, typed="жеті қарақшы 1\n"))
    with closing(open_reader(data / "kiosk.db")) as connection:
        account = user_by_name(connection, "ivan")
    assert account is not None
    assert PasswordHasher().verify(account.password_hash, "жеті қарақшы 1")
    parameters = extract_parameters(account.password_hash)
    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        "ID",
        19456,
        2,
        1,
    )
    (listed,) = done(sheber(data, "user", "list", "--json")).splitlines()
    assert json.loads(listed) == {
        "name": "ivan",
        "role": "instructor",
        "person_id": "i1",
        "until": "2026-12-31",
        "pin": False,
        "active": True,
    }


def test_a_password_is_replaced(data: Path) -> None:
    done(sheber(data, "user", "add", "admin", "--role", "admin", typed="first secret\n"))
    with closing(open_reader(data / "kiosk.db")) as connection:
        before = user_by_name(connection, "admin")
    done(sheber(data, "user", "passwd", "admin", typed="second secret\n"))
    with closing(open_reader(data / "kiosk.db")) as connection:
        after = user_by_name(connection, "admin")
    assert before is not None
    assert after is not None
    assert before.password_hash != after.password_hash


def test_a_pin_is_read_from_standard_input_and_never_listed(data: Path) -> None:
    from argon2 import PasswordHasher

    done(sheber(data, "user", "add", "ivan", "--role", "instructor", typed="first secret\n"))
    done(sheber(data, "user", "pin", "ivan", typed="2580\n"))
    with closing(open_reader(data / "kiosk.db")) as connection:
        account = user_by_name(connection, "ivan")
    assert account is not None
    assert account.pin_hash is not None
    assert PasswordHasher().verify(account.pin_hash, "2580")
    listed = done(sheber(data, "user", "list", "--json"))
    assert json.loads(listed)["pin"] is True
    assert "2580" not in listed


def test_an_account_becomes_a_persons_so_that_their_badge_opens_the_panel(data: Path, roster: Path) -> None:
    done(sheber(data, "people", "import", roster))
    done(sheber(data, "user", "add", "ivan", "--role", "instructor", typed="first secret\n"))
    done(sheber(data, "user", "person", "ivan", "i1"))
    assert json.loads(done(sheber(data, "user", "list", "--json")))["person_id"] == "i1"


@pytest.mark.parametrize(
    ("words", "typed", "status", "sentence"),
    [
        ("user pin ivan", "123\n", 1, "4 to 8 digits"),
        ("user pin ivan", "123456789\n", 1, "4 to 8 digits"),
        ("user pin ivan", "12a4\n", 1, "4 to 8 digits"),
        ("user pin ivan", "١٢٣٤\n", 1, "4 to 8 digits"),
        ("user pin ivan", "", 1, "4 to 8 digits"),
        ("user pin nobody", "2580\n", 1, "no account of that name"),
        ("user pin ivan 2580", "2580\n", 2, "unexpected extra argument"),
        ("user person ivan p9", "", 1, "no such person"),
    ],
)
def test_a_pin_or_a_person_that_cannot_be_set_says_why(
    data: Path, words: str, typed: str, status: int, sentence: str
) -> None:
    done(sheber(data, "user", "add", "ivan", "--role", "instructor", typed="first secret\n"))
    assert sentence in refused(sheber(data, *words.split(), typed=typed), status)


@pytest.mark.parametrize(
    ("words", "typed", "status", "sentence"),
    [
        ("user add anna --role lead", "short\n", 1, "at least 10"),
        ("user add anna --role lead", "", 1, "at least 10"),
        ("user add anna --role lead", "Password2026!\n", 1, "is common"),
        ("user add anna --role lead", "anna-at-work\n", 1, "the account's name"),
        ("user add anna --role boss", "long enough\n", 2, "'boss' is not one of"),
        ("user add anna --role lead --person p9", "long enough\n", 1, "no such person"),
        ("user add anna --role lead --until soon", "long enough\n", 2, "soon"),
        ("user passwd nobody", "long enough\n", 1, "no account of that name"),
        ("user add anna --role lead --password x", "long enough\n", 2, "No such option"),
    ],
)
def test_an_account_that_cannot_be_made_says_why(
    data: Path, words: str, typed: str, status: int, sentence: str
) -> None:
    assert sentence in refused(sheber(data, *words.split(), typed=typed), status)
    assert done(sheber(data, "user", "list")) == ""


def test_two_accounts_cannot_share_a_name(data: Path) -> None:
    words = ["user", "add", "anna", "--role", "lead"]
    done(sheber(data, *words, typed="long enough\n"))
    assert "an account of that name already" in refused(sheber(data, *words, typed="long enough\n"))


def test_a_name_with_spaces_is_refused(data: Path) -> None:
    assert "no spaces" in refused(sheber(data, "user", "add", "anna k", "--role", "lead", typed="long enough\n"), 2)


def test_at_a_terminal_the_password_is_asked_twice_and_never_shown(data: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "kiosk", "user", "add", "anna", "--role", "lead", "--data", str(data)]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    try:
        shown = ""
        for question in ("Password: ", "Repeat for confirmation: "):
            shown += read_until(controller, question)
            os.write(controller, b"a long secret\n")
        shown += read_until(controller, "made")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert "secret" not in shown


def read_until(terminal: int, text: str) -> str:
    """What the terminal shows up to `text`."""
    shown, deadline = "", time.monotonic() + 30
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"waited in vain for {text!r} after {shown!r}"
        shown += os.read(terminal, 1000).decode()
    return shown


# --- all of them ---


@pytest.mark.parametrize(
    "command",
    [
        "ledger verify",
        "ledger export",
        "ledger checkpoint",
        "backup",
        "rebuild",
        "people import",
        "people list",
        "badge add",
        "badge block",
        "badge find",
        "badge replace",
        "user add",
        "user passwd",
        "user list",
    ],
)
def test_every_help_has_an_example_of_itself(tmp_path: Path, command: str) -> None:
    assert f"Example: sheber {command}" in " ".join(done(sheber(tmp_path, *command.split(), "--help")).split())
