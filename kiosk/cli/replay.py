"""`sheber replay`: recorded observations in, sessions out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kiosk.cli.common import EXIT_CONFIGURATION, fail, lab_option
from kiosk.imports.people import read_people
from kiosk.replay import Replay, ReplayError
from lab_config.load import ConfigurationError, load


@click.command(epilog="Example: sheber replay day.jsonl --lab lab.toml --people people.csv --json")
@click.argument("observations", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@lab_option
@click.option(
    "--people",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The roster, as for `people import`.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as in section 6 of the contract.")
def replay(observations: Path, lab: Path, people: Path, as_json: bool) -> None:
    """Run the real rules over recorded OBSERVATIONS (JSON lines in the order of arrival)."""
    try:
        workshop = load(lab)
    except ConfigurationError as error:
        fail(f"{lab}: {error}", EXIT_CONFIGURATION)
    rows, problems = read_people(people)
    if problems:
        fail(f"{people}: {problems[0]}", EXIT_CONFIGURATION)
    run = Replay(workshop, rows, lambda text: click.echo(f"sheber: {text}", err=True))
    try:
        with observations.open(encoding="utf-8") as lines:
            run.run(lines)
    except (ReplayError, UnicodeDecodeError) as error:
        fail(f"{observations}: {error}", EXIT_CONFIGURATION)
    for result in run.results():
        click.echo(json.dumps(result, ensure_ascii=False) if as_json else _readable(result))


def _readable(result: dict[str, object]) -> str:
    """One result in words, for a person."""
    if result["kind"] == "session":
        return (
            f"{result['person']} on {result['machine']} ({result['process'] or 'no process'}, {result['role']}): "
            f"present {_hours(result['presence_ms'])}, credited {_hours(result['credited_ms'])}, "
            f"ended by {result['reason'] or 'nothing yet'}; {', '.join(result['flags']) or 'clean'}"  # type: ignore[arg-type]
        )
    if result["kind"] == "machine":
        by_state = result["by_state_ms"]
        assert isinstance(by_state, dict)
        return f"{result['machine']}: " + ", ".join(f"{state} {_hours(ms)}" for state, ms in by_state.items())
    return f"refused at {result['reader']}: {result['reason']}"


def _hours(ms: object) -> str:
    assert isinstance(ms, int)
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
