"""`sheber check`: every problem of a configuration at once, and on request of the things it names."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from kiosk.cli.common import EXIT_CONFIGURATION, EXIT_NO, duration, lab_option
from lab_config.load import ConfigurationError, Problem, load
from lab_config.model import Lab


@click.command(epilog="Example: sheber check --lab /etc/sheber --devices")
@lab_option
@click.option("--devices", is_flag=True, help="Also try the ports, files, broker, clock and disk.")
@click.option(
    "--listen",
    "listen_ms",
    default="10s",
    show_default=True,
    callback=duration,
    help="How long to listen to readers and topics, as 10s or 5min.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SHEBER_DATA",
    help="The kiosk's data folder, for its free disk space (or set SHEBER_DATA).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def check(lab: Path, devices: bool, listen_ms: int, data: Path | None, as_json: bool) -> None:
    """Tell every problem of a configuration, each with its place and what to do.

    With --devices: OK is well, LOOK is worth a look (a warning, or nothing was heard), PROBLEM is to be mended.
    Exit status: 0 all is well, 1 a device failed, 78 the configuration has problems.
    """
    try:
        loaded = load(lab)
    except ConfigurationError as error:
        _tell_problems(error.problems, as_json)
        raise SystemExit(EXIT_CONFIGURATION) from None
    findings = []
    if devices:
        from kiosk.cli.devices import try_devices  # noqa: PLC0415 (the broker's client loads only when it is tried)

        with _progress(listen_ms, hidden=as_json) as progress:
            findings = try_devices(loaded, data, listen_ms / 1000, progress)
    if as_json:
        told = {"problems": [], "lab": loaded.id, "devices": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(_summary(loaded))
        for finding in findings:
            click.echo(
                f"{finding.mark}  {finding.device}: {finding.detail}{' ' + finding.remedy if finding.remedy else ''}"
            )
    if not all(finding.ok for finding in findings):
        raise SystemExit(EXIT_NO)


@contextmanager
def _progress(listen_ms: int, *, hidden: bool) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(
        length=max(listen_ms, 1), label="Listening; hold a card to each reader", file=sys.stderr
    ) as bar:
        yield lambda passed_s: bar.update(max(0, min(int(passed_s * 1000), listen_ms) - bar.pos))


def _tell_problems(problems: tuple[Problem, ...], as_json: bool) -> None:
    if as_json:
        told = [asdict(problem) | {"file": str(problem.file)} for problem in problems]
        click.echo(json.dumps({"problems": told, "devices": []}, ensure_ascii=False))
        return
    for problem in problems:
        click.echo(str(problem))
    click.echo(
        f"sheber: {len(problems)} problem{'s' * (len(problems) != 1)} in the configuration, listed above.", err=True
    )


def _summary(lab: Lab) -> str:
    counts = {
        "machine": len(lab.machines),
        "reader": len(lab.readers),
        "programme": len(lab.programmes),
        "enterprise": len(lab.enterprises),
    }
    words = ", ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items())
    return f"The configuration of “{lab.id}” has no problem: {words}."
