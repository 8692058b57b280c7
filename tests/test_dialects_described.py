"""Sources without a dialect of their own: the lines of the README that describe them tell what the captures must."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Reported
from tests.lab_fixtures import LabTexts
from tests.wires_fixtures import captures

README = Path(__file__).parent.parent / "README.md"
CAPTURED = {one["id"]: one for one in captures("mqtt.jsonl")}


def described(topic: str) -> Dialect:
    """The source that a line of the README describes for `topic`."""
    lines = [line.strip() for line in README.read_text(encoding="utf-8").splitlines()]
    (line,) = [one for one in lines if one.startswith("status = ") and f'topic = "{topic}"' in one]
    options: dict[str, Any] = tomllib.loads(line)["status"]
    options.pop("stale_after", None)
    return registry.machine(options.pop("dialect"), options)


@pytest.mark.parametrize(
    ("topic", "capture", "state"),
    [
        ("grblHAL01", "M222", "idle"),
        ("grblHAL01", "M223", None),
        ("ie/d/j/simatic/v1/s7c1/dp/r/mill-1/default", "M226", "running"),
        ("opcua/mill-1", "M227", "running"),
    ],
)
def test_a_described_source_tells_what_its_capture_must(topic: str, capture: str, state: str | None) -> None:
    (told,) = described(topic).translate(topic, CAPTURED[capture]["payload_utf8"].encode(), False)
    assert isinstance(told, Reported)
    assert told.state == state


ROW = re.compile(r"\| `([a-z0-9]+)`[^|]* \| `(topic = [^`]+)`[^|]* \| (?:`(never)`|([0-9]+) min)")
ROWS = ROW.findall(README.read_text(encoding="utf-8"))


def test_the_readme_names_the_dialects_of_plugs_printers_and_lines() -> None:
    named = {name for name, *_ in ROWS}
    plugs = {"tasmota", "shelly1", "shelly2", "zigbee2mqtt", "esphome"}
    assert named >= plugs | {"octoprint", "moonraker", "bambu", "packml", "fischertechnik"}


@pytest.mark.parametrize(("name", "options", "never", "minutes"), ROWS, ids=[name for name, *_ in ROWS])
def test_what_the_readme_says_of_a_dialect_is_a_lab_that_loads(
    name: str, options: str, never: str, minutes: str, tmp_path: Path
) -> None:
    status = f'status = {{dialect = "{name}", {options}}}'
    lab = LabTexts(tmp_path).lab(f'[[machine]]\nid = "mill-1"\n{status}\n')
    assert lab.machines[0].rules.stale_after_ms == (None if never else int(minutes) * 60_000)
