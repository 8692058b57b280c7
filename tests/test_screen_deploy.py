"""The screen's browser: started so that the first tap is heard, and held to the kiosk's own address."""

from __future__ import annotations

import json
from configparser import ConfigParser
from pathlib import Path

from browser import FLAGS

from lab_config.model import Web

DEPLOY = Path(__file__).parent.parent / "lab_config" / "deploy"
SOUND = "--autoplay-policy=no-user-gesture-required"


def start_line() -> list[str]:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "sheber-screen.service").read_text().replace("\\\n", " "))
    assert unit["Service"]["Restart"] == "always"
    return unit["Service"]["ExecStart"].split()


def test_the_screen_starts_full_and_audible_at_the_kiosks_own_address() -> None:
    line = start_line()
    assert {"--kiosk", SOUND} <= set(line)
    assert line[-1] == f"http://{Web.kiosk_listen}/"


def test_what_is_tested_for_sound_is_what_is_started() -> None:
    assert SOUND in FLAGS


def test_the_policy_knows_one_address() -> None:
    policy = json.loads((DEPLOY / "chromium-sheber.json").read_text())
    assert policy["URLBlocklist"] == ["*"]
    assert policy["URLAllowlist"] == policy["AutoplayAllowlist"] == [f"http://{Web.kiosk_listen}"]
    assert policy["DeveloperToolsAvailability"] == 2
