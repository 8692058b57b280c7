"""`sheber listen`: what arrives on a wire, what it means, and the lines of `lab.toml` that describe it."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from firmware_bridge import ports, registry
from firmware_bridge.machines.base import Asked, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.machines.payload import shown
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.options import OptionError
from firmware_bridge.probe import proposal
from firmware_bridge.probe.dialects import Heard, Listener, value_of
from firmware_bridge.probe.line import LineProbe
from firmware_bridge.probe.overhear import BrokerError, Message, overhear
from firmware_bridge.probe.protocols import Candidate, Read
from kiosk.cli.common import EXIT_USAGE, duration, fail
from kiosk.cli.decode import option_option
from kiosk.cli.try_ports import holders, lasting_name

FOREVER_S = 365 * 86_400.0
HEADING = "# For lab.toml:"

for_option = click.option(
    "--for", "for_ms", callback=duration, help="How long, as 10s or 5min; until Ctrl-C otherwise."
)


@click.group(epilog="Example: sheber listen reader /dev/ttyUSB0 --for 30s")
def listen() -> None:
    """Tell live what arrives on a wire, and propose the lines for lab.toml."""


@listen.command(epilog="Example: sheber listen reader /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0 --for 30s")
@click.argument("port")
@click.option("--protocol", help="As in lab.toml; found out otherwise.")
@click.option("--baud", type=click.IntRange(50, 4_000_000), help="The line's speed; found out otherwise.")
@option_option
@for_option
def reader(port: str, protocol: str | None, baud: int | None, options: dict[str, object], for_ms: int | None) -> None:
    """Listen to the badge reader on PORT: hold a card to it. Readers that must be asked are asked.

    Exit status: 0 a card was read or the reader answered, 1 not.
    """
    try:
        decoder = registry.reader(protocol, options) if protocol else None
    except (registry.RegistryError, OptionError) as error:
        fail(str(error), EXIT_USAGE)
    probe = LineProbe(port, decoder, baud)
    click.echo(f"Listening to {port} at {probe.baud} baud. Hold a card to the reader, and take it away again.")
    began_s = time.monotonic()

    def on_read(read: Read) -> None:
        who = read.candidate.protocol or protocol
        click.echo(f"{_since(began_s)}  badge {read.badge.uid}  {who} at {probe.baud} baud")

    def on_tune(speed: int) -> None:
        click.echo(f"{_since(began_s)}  bytes that nobody reads; now at {speed} baud. Hold the card to it again.")

    try:
        probe.open()
        with until_interrupted() as stopping:
            probe.listen(FOREVER_S if for_ms is None else for_ms / 1000, stopping, on_read, on_tune)
    except ports.PORT_ERRORS as error:
        others = holders(port)
        fail(ports.in_words(port, error) + (f" ({', '.join(others)})" if others else ""))
    except ValueError as error:
        fail(f"{port} cannot be a port: {error}; give a path or a URL as rfc2217://host:port")
    finally:
        probe.close()
    _conclude(port, probe, Candidate(protocol, options) if protocol else None)


@listen.command(epilog="Example: sheber listen mqtt --host 10.0.0.5 --topic 'tele/#' --for 5min")
@click.option(
    "--topic", "topics", multiple=True, default=("#",), show_default=True, help="A topic filter; may be repeated."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=1883, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--username", help="With --password-file.")
@click.option("--password-file", type=click.Path(dir_okay=False), help="A file with the password.")
@click.option("--ca-file", type=click.Path(dir_okay=False), help="The broker's authority; TLS where it is given.")
@click.option("--cert-file", type=click.Path(dir_okay=False), help="A client certificate.")
@click.option("--key-file", type=click.Path(dir_okay=False), help="Its key.")
@for_option
def mqtt(topics: tuple[str, ...], for_ms: int | None, **where: object) -> None:
    """Listen to a broker: let the machine work and rest while this runs.

    Exit status: 0 something was understood, 1 nothing was.
    """
    broker = Broker(**where)  # type: ignore[arg-type]
    listener = Listener()
    seen: dict[int, Counter[str]] = {}
    click.echo(f"Listening to {broker.where} for {', '.join(topics)}.")

    def on_message(message: Message) -> list[Asked]:
        heard, told = listener.take(message.topic, message.payload, message.retained, message.at_ms)
        if heard is not None:
            value = value_of(heard, message.payload)
            if value is not None:
                seen.setdefault(id(heard), Counter())[value] += 1
        click.echo(_message_line(message, heard, told))
        return []  # whoever looks at a broker asks nobody anything

    try:
        with until_interrupted() as stopping:
            overhear(broker, topics, FOREVER_S if for_ms is None else for_ms / 1000, stopping, on_message)
    except BrokerError as error:
        fail(str(error))
    sources = listener.sources()
    if not sources:
        told = "nothing that came is a machine's state" if listener.unread else "nothing was said"
        fail(f"{told}; switch the machine on and off while this listens, or listen longer with --for 5min")
    click.echo(HEADING)
    for heard, name in zip(sources, proposal.identifiers(sources), strict=True):
        click.echo("\n" + "\n".join(proposal.machine_lines(heard, seen.get(id(heard), {}), name)))


@contextmanager
def until_interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a polite end set, so that there is still something to say."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(port: str, probe: LineProbe, given: Candidate | None) -> None:
    """What the line is, or why nobody knows."""
    found = probe.found or (given if probe.reads or probe.answered else None)
    if found is None:
        if not probe.bytes:
            wanted = f"; {given.protocol} was asked and does not answer" if given and probe.asks else ""
            fail(f"nothing was heard on {port}{wanted}; hold a card to the reader, and check its power and wires")
        fail(f"{port}: {probe.complaint or 'bytes arrive that no protocol reads; check the wires'}")
    if given is not None and found.protocol != given.protocol:
        click.echo(f"This is no {given.protocol}: {found.protocol} reads it.")
    click.echo(HEADING + "\n\n" + "\n".join(proposal.reader_lines(lasting_name(port), found, probe.baud)))


def _message_line(message: Message, heard: Heard | None, told: list[Told]) -> str:
    kept = "kept  " if message.retained else ""
    text = shown(message.payload.decode("utf-8", "replace")) if message.payload else "(empty)"
    meaning = "; ".join(dict.fromkeys(_words(one) for one in told if not isinstance(one, Asked)))
    who = f"  =  {heard.dialect}: {meaning or 'nothing'}" if heard is not None else ""
    return f"{message.at_ms / 1000:8.1f} s  {kept}{shown(message.topic)}  {text}{who}"


def _words(told: Told) -> str:
    match told:
        case Reported():
            watts = None if told.power_w is None else f"{told.power_w:g} W"
            parts = [part for part in (told.state, watts, told.detail) if part]
            return ", ".join(parts) or "a sign of life"
        case Gone(detail):
            return f"gone ({detail})"
        case Ignored(why):
            return f"ignored ({why})"
        case Rejected(why):
            return f"rejected ({why})"
        case _:
            return ""


def _since(began_s: float) -> str:
    return f"{time.monotonic() - began_s:8.1f} s"
