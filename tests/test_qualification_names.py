"""Briefings and qualifications are called as the lab calls them, wherever they stand; by their id where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from staff_fixtures import Staff, lab_with_briefings, text

from kiosk.commands import GrantQualification
from kiosk.words import qualification_name, words
from lab_config.model import Lab, LocalText, Qualification

NAMED = (
    Qualification("briefing:cnc", LocalText({"kk": "СББ станоктары", "ru": "станки с ЧПУ", "en": "CNC machines"})),
    Qualification("qualification:mill", LocalText({"ru": "фрезерный станок"})),
)


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = Staff(tmp_path, replace(lab_with_briefings(tmp_path), qualifications=NAMED))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("language", "item", "said"),
    [
        ("kk", "briefing:cnc", "Қауіпсіздік нұсқамасы: СББ станоктары"),
        ("ru", "briefing:cnc", "Инструктаж по безопасности: станки с ЧПУ"),
        ("en", "briefing:cnc", "Safety briefing: CNC machines"),
        ("en", "qualification:mill", "Qualification: фрезерный станок"),
        ("en", "briefing:welding", "Safety briefing: welding"),
        ("en", "hot-work", "hot-work"),
    ],
)
def test_a_qualification_is_called_as_the_lab_calls_it_else_by_its_id(language: str, item: str, said: str) -> None:
    assert qualification_name(Lab("w", LocalText({}), qualifications=NAMED), item, words(language)) == said


@pytest.mark.parametrize("path", ["/people/{person}", "/briefings", "/machines/mill-1", "/reports/briefings"])
def test_every_page_uses_the_name(staff: Staff, path: str) -> None:
    staff.submit(GrantQualification("p1", "briefing:cnc", None, by=staff.by("lead")))
    page = text(staff.client("lead").get(path.format(person=staff.ref("p1"))))
    assert "Safety briefing: CNC machines" in page
    assert "Safety briefing: cnc" not in page
