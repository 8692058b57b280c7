"""`sheber run`: a kiosk."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

import click

from kiosk.assembly import Kiosk
from kiosk.cli.common import EXIT_CONFIGURATION, data_option, fail, lab_option
from kiosk.store.schema import StoreError
from lab_config.load import ConfigurationError, load


@click.command(epilog="Example: sheber run --lab /etc/sheber/lab.toml --data /var/lib/sheber")
@lab_option
@data_option
def run(lab: Path, data: Path) -> None:
    """Run a kiosk: readers, MQTT, ledger and screens, until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        workshop = load(lab)
    except ConfigurationError as error:
        fail(f"{error}; sheber check --lab {lab} tells all at once", EXIT_CONFIGURATION)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    kiosk = Kiosk(workshop, data)
    try:
        kiosk.start()
    except StoreError as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot start: {error.strerror or error}; is another kiosk running at {workshop.web.kiosk_listen}?")
    screen, staff = kiosk.addresses
    click.echo(f"kiosk screen {screen}\nstaff side   {staff}")
    kiosk.watch(stopping)
    kiosk.stop()
