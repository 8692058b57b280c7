"""Names to readers and machine dialects: those built in, then those that other packages bring by entry points.

A package adds one by the entry-point group `sheber.readers` (a subclass of `readers.base.Decoder`) or
`sheber.machines` (a subclass of `machines.base.Dialect`). Each is imported only when its name is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from firmware_bridge.machines.base import Dialect
from firmware_bridge.readers.base import Decoder

READERS_GROUP, MACHINES_GROUP = "sheber.readers", "sheber.machines"

READERS = {
    "gwiot7941": "firmware_bridge.readers.gwiot7941:Gwiot7941",
    "id12": "firmware_bridge.readers.id12:Id12",
    "line": "firmware_bridge.readers.line:Line",
    "parallax": "firmware_bridge.readers.parallax:Parallax",
    "pn532": "firmware_bridge.readers.pn532:Pn532",
    "rdm6300": "firmware_bridge.readers.rdm6300:Rdm6300",
    "twn4": "firmware_bridge.readers.twn4:Twn4",
    "wl134a": "firmware_bridge.readers.wl134a:Wl134a",
    "yrm100": "firmware_bridge.readers.yrm100:Yrm100",
}

MACHINES = {
    "bambu": "firmware_bridge.machines.bambu:Bambu",
    "esphome": "firmware_bridge.machines.esphome:EspHome",
    "fischertechnik": "firmware_bridge.machines.fischertechnik:Fischertechnik",
    "json": "firmware_bridge.machines.json:Json",
    "moonraker": "firmware_bridge.machines.moonraker:Moonraker",
    "mtconnect": "firmware_bridge.machines.mtconnect:MTConnect",
    "octoprint": "firmware_bridge.machines.octoprint:OctoPrint",
    "packml": "firmware_bridge.machines.packml:PackMl",
    "shelly1": "firmware_bridge.machines.shelly1:Shelly1",
    "shelly2": "firmware_bridge.machines.shelly2:Shelly2",
    "sparkplug": "firmware_bridge.machines.sparkplug:Sparkplug",
    "tasmota": "firmware_bridge.machines.tasmota:Tasmota",
    "text": "firmware_bridge.machines.text:Text",
    "zigbee2mqtt": "firmware_bridge.machines.zigbee2mqtt:Zigbee2Mqtt",
}

Kind = TypeVar("Kind", Decoder, Dialect)


class RegistryError(LookupError):
    """A name means nothing, or two things; the sentence says which names there are."""


def reader(protocol: str, options: Mapping[str, object]) -> Decoder:
    """A decoder of that protocol. Raises `RegistryError` for the name, `OptionError` for the options."""
    return reader_class(protocol).from_table(options)


def reader_class(protocol: str) -> type[Decoder]:
    """The class of that protocol's decoders, which knows its line's speed. Raises `RegistryError`."""
    return _class("reader protocol", protocol, READERS, READERS_GROUP, Decoder)  # type: ignore[type-abstract]


def machine(dialect: str, options: Mapping[str, object], *, any_topic: bool = False) -> Dialect:
    """A machine's source in that dialect. Raises `RegistryError` for the name, `OptionError` for the options.

    With `any_topic` the topics may be left out: messages are then judged by the shape of their topic.
    """
    kind = _class("machine dialect", dialect, MACHINES, MACHINES_GROUP, Dialect)  # type: ignore[type-abstract]
    return kind.from_table(options, any_topic=any_topic)


def reader_names() -> tuple[str, ...]:
    """Every protocol there is, sorted."""
    return _names(READERS, READERS_GROUP)


def machine_names() -> tuple[str, ...]:
    """Every dialect there is, sorted."""
    return _names(MACHINES, MACHINES_GROUP)


def _names(built_in: Mapping[str, str], group: str) -> tuple[str, ...]:
    return tuple(sorted({*built_in, *(entry.name for entry in _plugins(group))}))


def _class(what: str, name: str, built_in: Mapping[str, str], group: str, kind: type[Kind]) -> type[Kind]:
    targets = [entry.value for entry in _plugins(group) if entry.name == name]
    if name in built_in:
        targets.insert(0, built_in[name])
    if not targets:
        raise RegistryError(f"there is no {what} `{name}`; those there are: {', '.join(_names(built_in, group))}")
    if len(targets) > 1:
        raise RegistryError(
            f"the {what} `{name}` is claimed twice, by {' and '.join(targets)}; uninstall one of them "
            f"(those there are: {', '.join(_names(built_in, group))})"
        )
    module, _, attribute = targets[0].partition(":")
    found: object = getattr(import_module(module), attribute, None)
    if not isinstance(found, type) or not issubclass(found, kind):
        raise RegistryError(f"the {what} `{name}` is no {kind.__name__}: {targets[0]}; ask its maker")
    return found


def _plugins(group: str) -> tuple[EntryPoint, ...]:
    # Reading every installed package's metadata costs milliseconds; what is installed changes only with the path.
    return _installed(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    del path
    return tuple(entry_points(group=group))
