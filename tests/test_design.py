"""The design system keeps its word: what text stands on has its contrast, in both themes (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parent.parent / "static"
STATES = ("running", "setup", "idle", "fault", "estop", "maintenance", "off", "unknown")
ANSWERS = ("in", "out", "pick", "tell", "observer", "no")


def tokens(theme: str) -> dict[str, str]:
    """The colours of a theme by name; the workshop's stand over the office's."""
    text = (STATIC / "css" / "tokens.css").read_text()
    blocks = dict(re.findall(r"^(:root|\.workshop) \{(.*?)^\}", text, re.M | re.S))
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[":root"]))
    if theme == "workshop":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[".workshop"]))
    return found


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_is_the_standards() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_read_from_two_metres(state: str) -> None:
    colours = tokens("workshop")
    assert contrast(colours["on-state"], colours[state]) >= 7


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_read_from_two_metres(answer: str) -> None:
    colours = tokens("workshop")
    assert contrast(colours["on-answer"], colours[f"answer-{answer}"]) >= 7


@pytest.mark.parametrize("theme", ["office", "workshop"])
@pytest.mark.parametrize("ink", ["ink", "ink-2", "accent", "good", "bad", "warn"])
@pytest.mark.parametrize("ground", ["ground", "sheet"])
def test_ink_is_read_on_every_ground(theme: str, ink: str, ground: str) -> None:
    colours = tokens(theme)
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("ink", ["ink", "ink-2", "running", "setup", "idle", "fault", "maintenance"])
def test_what_is_touched_is_read_and_seen(ink: str) -> None:
    colours = tokens("workshop")
    assert contrast(colours[ink], colours["raised"]) >= 4.5
    assert contrast(colours["raised-edge"], colours["ground"]) >= 3


def test_a_colour_has_one_home() -> None:
    """The workshop's newer styles name meanings, never values, but for black, white and shades of them."""
    for name in ("answer", "visit", "pair"):
        values = set(re.findall(r"#[0-9a-f]{3,8}\b", (STATIC / "css" / f"{name}.css").read_text()))
        assert values <= {"#000", "#fff"}, name


def test_what_others_wrote_has_its_licence_beside_it() -> None:
    for folder in (STATIC / "vendor").iterdir():
        assert not folder.is_dir() or (folder / "LICENSE").is_file(), folder


def test_nothing_is_loaded_from_elsewhere() -> None:
    ours = [path for path in STATIC.rglob("*") if path.suffix in {".css", ".js"} and "vendor" not in path.parts]
    assert ours
    for path in ours:
        assert not re.search(r"(https?:)?//[\w.-]+\.\w+/|@import|url\(", path.read_text()), path
