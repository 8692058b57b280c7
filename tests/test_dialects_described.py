"""Sources without a dialect of their own: the lines of the README that describe them tell what the captures must."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Reported
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


def test_the_readme_names_every_dialect() -> None:
    text = README.read_text(encoding="utf-8")
    for name in ("bambu", "esphome", "fischertechnik", "moonraker", "octoprint", "packml", "shelly1", "shelly2"):
        assert f"| `{name}`" in text
