"""Where `sheber export` writes: whole files or none, in the memory of a short one, and slips told in a sentence."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from export_fixtures import DAYS, FORMS, a_month, lines, made, objects, refused, sheber
from test_staff_paper_story import (
    HOUR,
    PEOPLE,
    Month,
)

from kiosk.cli import main
from kiosk.reports.csv_file import write_csv
from kiosk.reports.table import Column, LongReport, LongTable, Row
from kiosk.reports.xlsx_file import write_xlsx


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """A month of lessons at a kiosk that runs; nobody changes it."""
    with closing(a_month(tmp_path_factory.mktemp("month"))) as made:
        yield made


# --- what is asked, and where it goes


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (("2026-11-02", "2026-11-01"), "comes after"),
        (("2026-02-30", "2026-03-01"), "'2026-02-30' is no day"),
        (("2026-11-01", "20261130"), "'20261130' is no day"),
        (("01.11.2026", "2026-11-30"), "'01.11.2026' is no day"),
        (("0026-11-01", "2026-11-30"), "'0026-11-01' is no day"),
        (("2016-01-01", "2026-11-30"), "more than ten years apart"),
    ],
)
def test_days_that_are_none_are_a_slip_of_the_one_who_asks(tmp_path: Path, days: tuple[str, str], why: str) -> None:
    asked = (
        "hours",
        "--data",
        tmp_path,
        "--from",
        days[0],
        "--to",
        days[1],
        "--format",
        "csv",
        "--out",
        tmp_path / "x",
    )
    assert why in refused(sheber(*asked), 2)


def test_an_older_file_is_replaced_once_the_new_one_is_whole(month: Month, tmp_path: Path) -> None:
    out = tmp_path / "out" / "hours.jsonl"
    out.parent.mkdir()
    out.write_text("older")
    asked = ("hours", *DAYS, "--format", "jsonl", "--out", out)
    refused(sheber(*asked, "--person", "p9", data=month.folder))
    assert out.read_text() == "older"
    made(month, out, "hours", "jsonl")
    assert objects(out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert list(out.parent.iterdir()) == [out]


def test_a_disk_that_takes_no_more_leaves_the_older_file_and_no_draft(month: Month, tmp_path: Path) -> None:
    for form in FORMS:
        out = tmp_path / form / "hours"
        out.parent.mkdir()
        out.write_text("older")
        command = [sys.executable, "-m", "kiosk", "export", "hours", *DAYS, "--format", form, "--out", str(out)]
        limited = (
            f"ulimit -f 1; exec {' '.join(command)} --data {month.folder}"  # files of 1 kB: as a disk that is full
        )
        result = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
        assert result.returncode == 1, result.stderr
        assert result.stderr.startswith(f"sheber: cannot write {out}: ")
        assert "Traceback" not in result.stderr
        assert out.read_text() == "older"
        assert list(out.parent.iterdir()) == [out]


def test_a_folder_a_device_and_a_database_are_no_place_for_it(month: Month, tmp_path: Path) -> None:
    def to(out: Path, status: int) -> str:
        return refused(sheber("hours", *DAYS, "--format", "csv", "--out", out, data=month.folder), status)

    to(tmp_path, 2)
    assert "is no file" in to(Path("/dev/null"), 2)
    assert Path("/dev/null").is_char_device()
    assert f"cannot write {tmp_path}/none/hours.csv" in to(tmp_path / "none" / "hours.csv", 1)
    for inside in (month.database, month.folder / "new.csv"):
        assert "is in the kiosk's data folder" in to(inside, 1)
    copy = tmp_path / "backup.db"
    assert CliRunner().invoke(main, ["backup", str(copy), "--data", str(month.folder)]).exit_code == 0
    assert "is a Sheber database or backup" in to(copy, 1)


def test_more_than_a_form_can_hold_is_said_before_it_is_made(month: Month, tmp_path: Path) -> None:
    decade = ("--from", "2020-01-01", "--to", "2029-12-31")
    many = [replace(PEOPLE[0], person_id=f"q{n}", group=f"G{n}", badges=()) for n in range(6)]
    with closing(Month(tmp_path / "data", month.lab, people=(*PEOPLE, *many))) as staff:
        asked = ("journal", *decade, "--format", "pdf", "--out", tmp_path / "journal.pdf")
        assert "take csv or jsonl" in refused(sheber(*asked, data=staff.folder))
        assert lines(made(staff, tmp_path / "journal.csv", "journal", "csv", *decade))
    assert not (tmp_path / "journal.pdf").exists()


def test_long_tables_are_written_in_the_memory_of_a_short_one() -> None:
    def rows(count: int) -> Iterator[Row]:
        return ((f"n{each}", each * HOUR) for each in range(count))

    def peak(write_it: Any, count: int) -> int:
        columns = (Column("Name"), Column("Hours", "hours"))
        report = LongReport("Long", (), (LongTable(columns, rows(count), lambda: None),))
        with Path(os.devnull).open("wb") if write_it is write_csv else io.BytesIO() as out:
            tracemalloc.start()
            write_it(report, out)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    assert peak(write_csv, 20_000) < peak(write_csv, 200) + 100_000
    assert peak(write_xlsx, 6_000) < peak(write_xlsx, 200) + 400_000


def test_a_terminal_sees_how_far_it_is(month: Month, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "kiosk",
        "export",
        "journal",
        *DAYS,
        "--format",
        "csv",
        "--data",
        str(month.folder),
    ]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "j.csv")], stdout=subprocess.PIPE, stderr=terminal
    ) as ours:
        os.close(terminal)
        seen = b""
        while select.select([controller], [], [], 60)[0]:
            try:
                seen += os.read(controller, 4096)
            except OSError:  # the other end is closed
                break
        os.close(controller)
        assert ours.wait(60) == 0
    assert b"journal" in seen
    assert b"100%" in seen


def test_the_help_has_an_example_of_each() -> None:
    for kind in ("hours", "journal"):
        assert f"Example: sheber export {kind}" in " ".join(sheber(kind, "--help").stdout.split())
