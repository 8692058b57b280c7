"""What every command shares: where the data is, and how an error is said."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from lab_config.durations import parse_duration

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_CONFIGURATION = 78


def fail(message: str, status: int = EXIT_NO) -> NoReturn:
    """Say one sentence on standard error and end with `status`."""
    click.echo(f"sheber: {message}", err=True)
    raise SystemExit(status)


def duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Milliseconds of a duration as `lab.toml` has them, for a command's option."""
    try:
        return None if text is None else parse_duration(float(text) if text.isdecimal() else text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error} Write it like 10s or 5min.") from None


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
