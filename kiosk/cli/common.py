"""What every command shares: where the data is, and how an error is said."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

EXIT_NO = 1
EXIT_CONFIGURATION = 78


def fail(message: str, status: int = EXIT_NO) -> NoReturn:
    """Say one sentence on standard error and end with `status`."""
    click.echo(f"sheber: {message}", err=True)
    raise SystemExit(status)


data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SHEBER_DATA",
    required=True,
    help="The kiosk's data folder (or set SHEBER_DATA).",
)

lab_option = click.option(
    "--lab",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="lab.toml, or a folder of *.toml.",
)
