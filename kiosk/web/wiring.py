"""What is connected how, from the configuration alone: ports, wires, pins, topics, an example, and lines to try it.

Pure: it reads no device. The lines are for the kiosk's own terminal and hold no secret, only the names of files.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Reported
from firmware_bridge.options import OptionError
from firmware_bridge.readers.asking import Asking
from firmware_bridge.registry import RegistryError
from kiosk.web.header_pins import Pin, nearest_ground, pin_of
from lab_config.model import Lab, Machine, Mqtt, Panel, Reader

EXAMPLE_LETTERS_MAX = 1_500
WATTS = 1_400.0
"""Of the example of a machine whose watts are measured."""
PANEL_PARTS = ("green", "red", "buzzer", "relay")


@dataclass(frozen=True)
class ReaderWires:
    """How a reader is connected."""

    id: str
    protocol: str
    port: str
    way: str
    """`usb`, `board` (the serial pins of the board), `network` or `serial`."""
    baud: int
    asked: bool
    """It says nothing unless it is asked: both data wires are needed."""
    confirm: int
    transform: str
    options: Mapping[str, object]
    listen: str
    """The line that tells each card live."""


@dataclass(frozen=True)
class Example:
    """A message that the machine's source would be understood by."""

    topic: str
    payload: str
    state: str
    """What it tells: a state, or empty where it tells watts."""
    watts: float | None


@dataclass(frozen=True)
class SourceWires:
    """How a machine's state is heard."""

    dialect: str
    topics: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    example: Example | None
    listen: str
    subscribe: str


@dataclass(frozen=True)
class PanelWire:
    """One wire of a panel."""

    part: str
    """One of `PANEL_PARTS`."""
    gpio: int
    pin: Pin | None
    """None for a number that the board's header does not have."""
    ground: int | None
    """The nearest pin with ground."""


def reader_wires(reader: Reader) -> ReaderWires:
    """Of one reader."""
    asked, usual = False, 9600
    try:
        kind = registry.reader_class(reader.protocol)
        asked, usual = issubclass(kind, Asking), kind.baud
    except RegistryError:
        pass  # a package that is not installed any more; `sheber check` says so
    baud = usual if reader.baud is None else reader.baud
    words = ["sheber", "listen", "reader", reader.port, "--protocol", reader.protocol]
    words += ["--baud", str(baud)] if reader.baud is not None else []
    for key, value in reader.options.items():
        words += ["--option", f"{key}={_plain(value)}"]
    return ReaderWires(
        reader.id,
        reader.protocol,
        reader.port,
        _way(reader.port),
        baud,
        asked,
        reader.confirm,
        reader.transform or "",
        reader.options,
        shlex.join([*words, "--for", "1min"]),
    )


def _way(port: str) -> str:
    if "://" in port:
        return "network"
    if any(part in port for part in ("by-id/usb", "ttyUSB", "ttyACM")):
        return "usb"
    return "board" if any(part in port for part in ("ttyAMA", "ttyS", "/serial")) else "serial"


def source_wires(machine: Machine, mqtt: Mqtt | None) -> SourceWires | None:
    """Of one machine; None without a source, or where its dialect is not installed any more."""
    if machine.status is None:
        return None
    try:
        dialect = registry.machine(machine.status.dialect, machine.status.options)
    except (RegistryError, OptionError):
        return None
    topics = dialect.topics()
    return SourceWires(
        machine.status.dialect,
        topics,
        tuple((key, _plain(value)) for key, value in machine.status.options.items()),
        _example(machine, dialect),
        _listen(mqtt, topics),
        _subscribe(mqtt, topics),
    )


def _listen(mqtt: Mqtt | None, topics: Sequence[str]) -> str:
    if mqtt is None:
        return ""
    words = ["sheber", "listen", "mqtt", "--host", mqtt.host, "--port", str(mqtt.port)]
    for topic in topics:
        words += ["--topic", topic]
    for name, value in (
        ("username", mqtt.username),
        ("password-file", mqtt.password_file),
        ("ca-file", mqtt.ca_file),
        ("cert-file", mqtt.cert_file),
        ("key-file", mqtt.key_file),
    ):
        words += [f"--{name}", value] if value else []
    return shlex.join([*words, "--for", "5min"])


def _subscribe(mqtt: Mqtt | None, topics: Sequence[str]) -> str:
    if mqtt is None:
        return ""
    words = ["mosquitto_sub", "-h", mqtt.host, "-p", str(mqtt.port), "-v"]
    for topic in topics:
        words += ["-t", topic]
    for name, value in (("--cafile", mqtt.ca_file), ("--cert", mqtt.cert_file), ("--key", mqtt.key_file)):
        words += [name, value] if value else []
    line = shlex.join(words + (["-u", mqtt.username] if mqtt.username else []))
    return f'{line} -P "$(cat {shlex.quote(mqtt.password_file)})"' if mqtt.password_file else line


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_plain(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_plain, value)) if isinstance(value, (list, tuple)) else str(value)


# --- an example


def _example(machine: Machine, dialect: Dialect) -> Example | None:
    """The first message that the machine's own dialect understands; nothing is shown that it does not."""
    plain = [topic for topic in dialect.topics() if "+" not in topic and "#" not in topic]
    for said_on, payload in _candidates(machine):
        if len(payload) > EXAMPLE_LETTERS_MAX:
            continue
        for topic in dict.fromkeys((*plain, said_on)):
            told = next((one for one in dialect.translate(topic, payload, False) if isinstance(one, Reported)), None)
            if told is not None and not told.unmapped and (told.state is not None or told.power_w is not None):
                return Example(topic, payload.decode(), told.state or "", None if told.state else told.power_w)
    return None


def _candidates(machine: Machine) -> Iterator[tuple[str, bytes]]:
    """Messages that may fit: of the table that was written, then of the simulated device of that dialect."""
    assert machine.status is not None
    options = machine.status.options
    states: Any = options.get("states")
    values = list(states) if isinstance(states, Mapping) else []
    values.sort(key=lambda value: states[value] != "running")
    if machine.status.power is not None or not values:
        values = [f"{WATTS:g}"]
    for value in values:
        yield (
            "",
            _pointed(str(options.get("pointer", "")), value) if machine.status.dialect == "json" else value.encode(),
        )
    # Imported here: a page that is seldom opened, and paho is in it.
    from firmware_bridge.simulator.catalogue import MACHINES, virtual_machine  # noqa: PLC0415
    from firmware_bridge.simulator.voices import Doing  # noqa: PLC0415

    if machine.status.dialect in MACHINES:
        voice = virtual_machine(machine.id, machine.status.dialect, host="", port=0).voice
        for said in voice.now(Doing("running", WATTS, 60.0)):
            try:
                said.data.decode()
            except UnicodeDecodeError:
                continue
            yield said.topic, said.data


def _pointed(pointer: str, value: str) -> bytes:
    """A document in which the JSON Pointer (RFC 6901) leads to the value."""
    found: Any = json.loads(value) if value.replace(".", "", 1).isdecimal() or value in ("true", "false") else value
    for part in reversed(pointer.split("/")[1:]):
        name = part.replace("~1", "/").replace("~0", "~")
        found = [None] * int(name) + [found] if name.isdecimal() and int(name) < 16 else {name: found}
    return json.dumps(found, ensure_ascii=False).encode()


# --- the panel


def panel_wires(panel: Panel | None) -> tuple[PanelWire, ...]:
    """Of the parts that the machine's panel has, in their usual order."""
    found = []
    for part in PANEL_PARTS if panel is not None else ():
        gpio = getattr(panel, part)
        if gpio is not None:
            pin = pin_of(gpio)
            found.append(PanelWire(part, gpio, pin, nearest_ground(pin.number) if pin else None))
    return tuple(found)


def readers_of(lab: Lab, machine: str) -> tuple[Reader, ...]:
    """The machine's own readers."""
    return tuple(each for each in lab.readers if each.machine == machine)
