"""`sheber version`."""

from __future__ import annotations

from importlib.metadata import version as distribution_version

import click


@click.command(epilog="Example: sheber version")
def version() -> None:
    """Print the version of this program."""
    click.echo(distribution_version("sheber"))
