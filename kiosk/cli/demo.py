"""`sheber demo`: the demo lab, until Ctrl-C."""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
from pathlib import Path

import click

from firmware_bridge.simulator.broker import BrokerError
from kiosk.cli.common import fail
from kiosk.demo.lab import Demo, DemoError
from kiosk.store.schema import StoreError


@click.command(epilog="Example: sheber demo --port 8080 --speed 60")
@click.option(
    "--port", default=8080, show_default=True, help="The kiosk screen; staff side and hub are the two after it."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the demo's data here; without it they are gone at the end.",
)
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0.1, 1000), help="60 plays a day in minutes."
)
def demo(port: int, data: Path | None, speed: float) -> None:
    """Start a whole invented workshop on this machine: readers, machines, kiosk, sync and an enterprise's hub."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="sheber-demo-") as scratch:
        lab = Demo(data if data is not None else Path(scratch), port, speed)
        try:
            where = lab.start()
            _say(where)
            while not stopping.wait(1.0):
                lab.watch_children()
        except (DemoError, BrokerError, StoreError) as error:
            fail(str(error))
        finally:
            lab.stop()
    click.echo("stopped")


def _say(where: dict[str, object]) -> None:
    accounts = where["accounts"]
    assert isinstance(accounts, list)
    click.echo("The demo lab is up. Everything in it is invented; Ctrl-C ends it.\n")
    for name, label in (("kiosk", "kiosk screen"), ("staff", "staff side"), ("hub", "enterprise's hub")):
        click.echo(f"  {label:<17}{where[name]}")
    click.echo("\n  account           password           role         PIN at the panel")
    for account in accounts:
        line = f"  {account['user']:<17} {account['password']:<18} {account['role']:<12} {account.get('pin', '')}"
        click.echo(line.rstrip())
