"""`sheber hub`: the enterprise's side."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiosk.cli.common import EXIT_CONFIGURATION, data_option, fail

if TYPE_CHECKING:
    from kiosk.hub.config import HubConfig

EXIT_USAGE = 2


@click.group(
    invoke_without_command=True,
    epilog="Example: sheber hub --data /var/lib/sheber-hub --listen 127.0.0.1:8090",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SHEBER_DATA",
    help="The hub's own folder (or set SHEBER_DATA); made at the first start, with hub.toml and its secrets.",
)
@click.option("--db", metavar="URL", help="Refused: this version keeps its records in SQLite, in DATA/hub.db.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to listen; else as hub.toml says, 127.0.0.1:8090 by default."
)
@click.pass_context
def hub(ctx: click.Context, data: Path | None, db: str | None, listen: str | None) -> None:
    """Receive records from workshops, verify them, keep each once, and show the hours.

    A workshop that is new waits until a person has compared the fingerprint of its key: on the page "Logs", or with
    sheber hub accept.
    """
    if ctx.invoked_subcommand is not None:
        return
    if db is not None:
        fail("--db cannot be used: this version of the hub keeps to SQLite, in DATA/hub.db; leave it out", EXIT_USAGE)
    if data is None:
        fail("say with --data where the hub keeps its records, or set SHEBER_DATA", EXIT_USAGE)
    _serve(data, listen)


@hub.command(epilog="Example: sheber hub accept --data /var/lib/sheber-hub 3f2a 77c1 ...")
@data_option
@click.argument("fingerprint", nargs=-1, required=True)
def accept(data: Path, fingerprint: tuple[str, ...]) -> None:
    """Accept a new workshop's log after comparing the fingerprint of its key."""
    from kiosk.clock import real_wall_ms  # noqa: PLC0415
    from kiosk.control import ControlRefused  # noqa: PLC0415
    from kiosk.hub import service  # noqa: PLC0415

    if not (data / service.DATABASE).exists():
        fail(f"there is no hub in {data}; name its folder with --data")
    try:
        count = service.accept(data, "".join(fingerprint), real_wall_ms)
    except (service.HubRuns, ControlRefused) as error:
        fail(f"the log could not be accepted: {error}")
    if not count:
        fail("no log with this fingerprint waits here; compare it digit by digit, and see the page Logs")
    click.echo("accepted; its next delivery is taken")


def _serve(data: Path, listen: str | None) -> None:
    from kiosk.clock import real_wall_ms  # noqa: PLC0415
    from kiosk.hub.config import HubConfigError, split_listen  # noqa: PLC0415
    from kiosk.hub.service import HubRuns, HubService, opened  # noqa: PLC0415
    from kiosk.store.schema import StoreError  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        config = _configuration(data)
        address = split_listen(listen or config.listen)
    except (HubConfigError, ValueError) as error:
        fail(str(error), EXIT_USAGE if isinstance(error, ValueError) else EXIT_CONFIGURATION)
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # taken below, so that they never come at an unfit moment
    try:
        with opened(data) as store:
            service = HubService(data, config, store, address, real_wall_ms)
            thread = threading.Thread(target=service.serve, name="hub")
            thread.start()
            host, port = service.address
            click.echo(f"the hub listens on http://{f'[{host}]' if ':' in host else host}:{port}")
            while thread.is_alive() and signal.sigtimedwait(ends, 1) is None:
                continue
            ended_by_itself = not thread.is_alive()
            service.stop()
            thread.join()
    except (HubRuns, StoreError, OSError) as error:
        fail(f"the hub cannot start: {error}")
    if ended_by_itself:
        fail("the hub ended unexpectedly; the lines above say why")
    click.echo("stopped")


def _configuration(data: Path) -> HubConfig:
    """The hub's configuration; a first one is made, and its password said once."""
    from kiosk.hub.config import FILE, NewEnterprise, load_hub, write_hub  # noqa: PLC0415

    if not (data / FILE).exists():
        for made in write_hub(data, [NewEnterprise("main", "Main")]):
            click.echo(f"made {data / FILE} with the enterprise {made.id}; a workshop delivers to /hooks/{made.id}")
            click.echo(f"the webhook secret for the workshop is in {made.secret_file}")
            click.echo(f"the token for GET /api/v1/records is in {made.token_file}")
            click.echo(f"log in as {made.id} with the password {made.password} (it is not shown again)")
    return load_hub(data)
