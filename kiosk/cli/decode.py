"""`sheber decode`: what a frame or a message means, for finding faults. It asks the same decoders that listen."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping

import click

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.options import OptionError
from firmware_bridge.readers.base import Badge, Decoder, Event
from kiosk.cli.common import EXIT_USAGE, fail

WATTS = ("running_above_w", "idle_below_w", "off_below_w")
SHARED = (*WATTS, "on_delay", "off_delay", "stale_after", "dialect")
"""What may stand in a `status` table beside the dialect's own options."""
LAST_KNOWN = "retained: last known, no evidence of now"


@click.group(epilog="Example: sheber decode reader rdm6300 0236373030334235314336434203")
def decode() -> None:
    """Tell what a reader's frame or a machine's message means."""


def _options(_context: click.Context, _parameter: click.Parameter, written: tuple[str, ...]) -> dict[str, object]:
    """`key=value` pairs, values TOML or JSON where they can be, else text; `states.RUN=running` writes into a table."""
    table: dict[str, object] = {}
    for pair in written:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE")
        outer, dot, inner = key.partition(".")
        inside = table.setdefault(outer, {}) if dot else table
        if not isinstance(inside, dict):
            raise click.BadParameter(f"{outer!r} is given both as a value and as a table")
        inside[inner if dot else key] = _value(value)
    return table


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text


option_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_options,
    help="As in lab.toml; may be repeated.",
)


@decode.command(epilog="Example: sheber decode reader rdm6300 0236373030334235314336434203")
@click.argument("protocol")
@click.argument("frame", metavar="HEX")
@click.option("--raw", is_flag=True, help="Standard input is the bytes themselves, even where they look like hex.")
@option_option
def reader(protocol: str, frame: str, raw: bool, options: dict[str, object]) -> None:
    """Tell the badges in HEX, one JSON line each; `-` reads a capture from standard input (hex, else bytes)."""
    readings = _readings(sys.stdin.buffer.read(), raw=raw) if frame == "-" else [_from_hex(frame, "HEX")]
    try:
        told = [_told(registry.reader(protocol, options), data) for data in readings]
    except (registry.RegistryError, OptionError) as error:
        fail(str(error), EXIT_USAGE)
    # Digits on a line are hex, too: a reading that has a badge in it is the right one.
    for event in next((events for events in told if any(isinstance(event, Badge) for event in events)), told[0]):
        _say(_reader_line(event))


@decode.command(epilog='Example: sheber decode machine tasmota --topic stat/mill-1/POWER --payload "OFF"')
@click.argument("dialect")
@click.option("--topic", required=True, help="The message's topic.")
@click.option("--payload", help="The message as text.")
@click.option("--payload-hex", help="The message as hex.")
@click.option("--retain", is_flag=True, help="The broker had kept it.")
@option_option
def machine(
    dialect: str, topic: str, payload: str | None, payload_hex: str | None, retain: bool, options: dict[str, object]
) -> None:
    """Tell what one message says about a machine, as one JSON line."""
    if (payload is None) == (payload_hex is None):
        fail("give the message by --payload or by --payload-hex, one of them", EXIT_USAGE)
    if payload_hex is not None:
        data = _from_hex(payload_hex, "--payload-hex")
    else:
        # Bytes that are no text reach us as surrogates; they go on as they came.
        data = (payload or "").encode("utf-8", "surrogateescape")
    try:
        own = {key: value for key, value in options.items() if key not in SHARED}
        source = registry.machine(dialect, own, any_topic=True)
        thresholds = _thresholds(options)
    except (registry.RegistryError, OptionError) as error:
        fail(str(error), EXIT_USAGE)
    repeats = _repeats(options, source)
    line = _machine_line(source.translate(topic, data, retain), thresholds, last_known=retain and repeats)
    _say({**line, **source.describe(topic, data)})


def _told(decoder: Decoder, data: bytes) -> list[Event]:
    return [*decoder.feed(data), *decoder.finish()]


def _reader_line(event: Event) -> dict[str, object]:
    return {"badge": event.uid, **event.details} if isinstance(event, Badge) else {"rejected": event.reason}


def _machine_line(told: Iterable[Told], thresholds: Mapping[str, float], *, last_known: bool) -> dict[str, object]:
    """One line for all that one message told: the last word of each kind counts."""
    line: dict[str, object] = {"ignored": "nothing about this machine"}
    asked: str | None = None
    for one in told:
        match one:
            case Rejected(why):
                line = line if "alive" in line else {"rejected": why}
            case Ignored(why):
                line = line if "alive" in line else {"ignored": why}
            case Gone(detail):
                line = {"state": "unknown", "power_w": None, "alive": False, "detail": detail}
            case Reported():
                line = _reported(one, thresholds)
            case Asked(of):
                asked = of
    if last_known and "alive" in line:
        line["detail"] = "; ".join(part for part in (str(line["detail"]), LAST_KNOWN) if part)
    return line if asked is None else {**line, "asks": asked}


def _reported(told: Reported, thresholds: Mapping[str, float]) -> dict[str, object]:
    state = told.state
    if state is None and told.power_w is not None and "running_above_w" in thresholds:
        state = _first_sample(told.power_w, thresholds)
    return {"state": state, "power_w": told.power_w, "alive": True, "detail": told.detail}


def _first_sample(power_w: float, thresholds: Mapping[str, float]) -> str:
    """What a sample means when nothing is known yet (hours, section 2)."""
    if power_w >= thresholds["running_above_w"]:
        return "running"
    return "off" if power_w < thresholds.get("off_below_w", float("-inf")) else "idle"


def _thresholds(options: Mapping[str, object]) -> dict[str, float]:
    thresholds: dict[str, float] = {}
    for key in WATTS:
        value = options.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise OptionError(key, "must be a number of watts")
        thresholds[key] = value
    return thresholds


def _repeats(options: Mapping[str, object], source: Dialect) -> bool:
    """Does the source repeat itself, so that what the broker kept is no evidence?"""
    if "stale_after" in options:
        return options["stale_after"] != "never"
    return source.default_stale_after_ms is not None


def _readings(data: bytes, *, raw: bool) -> list[bytes]:
    """What a capture may be: the bytes that its hex spells, and the bytes as they are."""
    try:
        return [data] if raw else [bytes.fromhex(data.decode("ascii")), data]
    except ValueError:
        return [data]


def _from_hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        fail(f"{what} is not hex; write two digits a byte, as 0236373030334235314336434203", EXIT_USAGE)


def _say(line: Mapping[str, object]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
