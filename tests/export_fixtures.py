"""What the tests of `sheber export` share: a month at a kiosk that runs, the command, and its files parsed back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from pypdf import PdfReader
from test_staff_paper_story import MINUTE, PEOPLE, Month

from kiosk.cli import main
from lab_config.model import LocalText
from tests.kiosk_fixtures import small_lab

DAYS = ("--from", "2026-11-01", "--to", "2026-12-31")
FORMS = ("csv", "xlsx", "jsonl", "pdf")


def a_month(folder: Path) -> Month:
    lab = small_lab(folder / "lab")
    never = replace(lab.rules, day_end=(), stale_after_ms=None)
    machines = tuple(replace(each, rules=never) for each in lab.machines)
    mill = replace(machines[0], name=LocalText({"kk": "Фрезер", "en": "Mill"}))
    lab = replace(lab, rules=never, machines=(mill, *machines[1:]), academic_hour_ms=40 * MINUTE)
    made = Month(folder / "data", lab, people=PEOPLE)
    made.lives()
    return made


def sheber(*arguments: str | Path, data: Path | None = None) -> Result:
    told = {} if data is None else {"SHEBER_DATA": str(data)}
    return CliRunner(env=told).invoke(main, ["export", *map(str, arguments)])


def made(staff: Month, out: Path, kind: str, form: str, *more: str | Path) -> Path:
    days = () if "--from" in more else DAYS
    result = sheber(kind, "--format", form, "--out", out, *days, *more, data=staff.folder)
    assert result.exit_code == 0, result.output
    return out


def refused(result: Result, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lines(path: Path) -> list[list[str]]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=";"))


def paper(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)
