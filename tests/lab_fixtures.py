"""Small labs as texts, and what `load` says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab_config.load import ConfigurationError, Problem, load
from lab_config.model import Lab

HEAD = '[lab]\nid = "w3"\n'
MILL = '[[machine]]\nid = "mill-1"\nclass = "cnc_mill"\n'
READER = '[[reader]]\nid = "r1"\nport = "/dev/ttyUSB0"\nprotocol = "rdm6300"\nmachine = "mill-1"\n'
PLUG = 'status = {dialect = "tasmota", topic = "tele/mill-1/SENSOR", '
WEBHOOK = '[[enterprise]]\nid = "e1"\nurl = "https://e.example/hook"\nsecret_file = "e1.whsec"\n'
PROGRAMME = '[[programme]]\nid = "cnc"\n[[programme.process]]\nid = "CNC3"\n'

Loads = Callable[[str], Lab]
Slip = Callable[[str], Problem]
Problems = Callable[[str], tuple[Problem, ...]]


@dataclass(frozen=True)
class LabTexts:
    """Writes a text below a head with an id, and loads it."""

    folder: Path

    def lab(self, text: str) -> Lab:
        """The lab that the text describes."""
        file = self.folder / "lab.toml"
        file.write_text(HEAD + text, encoding="utf-8")
        return load(file)

    def problems(self, text: str) -> tuple[Problem, ...]:
        """Every problem of the text; there must be one."""
        with pytest.raises(ConfigurationError) as raised:
            self.lab(text)
        assert all(problem.what and problem.remedy for problem in raised.value.problems)
        return raised.value.problems

    def slip(self, text: str) -> Problem:
        """The one problem of the text."""
        found = self.problems(text)
        assert len(found) == 1, [str(one) for one in found]
        return found[0]
