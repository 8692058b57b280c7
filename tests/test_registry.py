"""Names to readers and dialects, with packages that bring their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_bridge import registry
from firmware_bridge.registry import RegistryError

PLUGIN = """
from firmware_bridge.machines.text import Text
from firmware_bridge.readers.line import Line

class Haas(Text):
    pass

class Barcode(Line):
    baud = 115_200

NOTHING = 1
"""


def install(folder: Path, name: str, entry_points: str) -> None:
    (folder / "sheber_plugin.py").write_text(PLUGIN)
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_the_names_that_are_built_in_are_listed() -> None:
    assert {"rdm6300", "line"} <= set(registry.reader_names())
    assert {"tasmota", "json", "text"} <= set(registry.machine_names())


def test_every_built_in_name_leads_to_its_own_file() -> None:
    for name in registry.READERS:
        assert registry.reader_class(name).baud > 0
    for name in registry.MACHINES:
        options = {"pointer": "/a"} if name == "json" else {}
        assert registry.machine(name, options, any_topic=True).topics() == ()


@pytest.mark.parametrize(
    ("ask", "there"), [(registry.reader, ".*line, .*rdm6300"), (registry.machine, ".*json, .*tasmota, text")]
)
def test_an_unknown_name_says_which_there_are(ask: object, there: str) -> None:
    assert callable(ask)
    with pytest.raises(RegistryError, match=f"no .* `nope`; those there are: {there}"):
        ask("nope", {})


def test_a_package_adds_its_own_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        tmp_path,
        "haas",
        "[sheber.machines]\nhaas = sheber_plugin:Haas\n[sheber.readers]\nbar = sheber_plugin:Barcode\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert registry.machine("haas", {"topic": "a/b"}).topics() == ("a/b",)
    assert registry.reader("bar", {}).baud == 115_200
    assert "haas" in registry.machine_names()
    assert "bar" in registry.reader_names()


def test_a_name_claimed_twice_is_an_error_that_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "clash", "[sheber.machines]\ntext = sheber_plugin:Haas\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        RegistryError, match=r"claimed twice, by firmware_bridge.machines.text:Text and sheber_plugin:Haas"
    ):
        registry.machine("text", {"topic": "a/b"})
    assert registry.machine("json", {"topic": "a", "pointer": "/b"}).topics() == ("a",)


def test_an_entry_point_that_is_no_dialect_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "odd", "[sheber.machines]\nodd = sheber_plugin:NOTHING\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RegistryError, match="is no Dialect: sheber_plugin:NOTHING"):
        registry.machine("odd", {})
