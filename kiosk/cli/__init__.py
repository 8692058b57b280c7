"""The command `sheber`. Sub-commands are imported when they are called, so that `run` starts in milliseconds."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "backup": "kiosk.cli.ledger:backup",
    "badge": "kiosk.cli.people:badge",
    "check": "kiosk.cli.check:check",
    "decode": "kiosk.cli.decode:decode",
    "demo": "kiosk.cli.demo:demo",
    "export": "kiosk.cli.export:export",
    "hub": "kiosk.cli.hub:hub",
    "ledger": "kiosk.cli.ledger:ledger",
    "listen": "kiosk.cli.listen:listen",
    "people": "kiosk.cli.people:people",
    "rebuild": "kiosk.cli.ledger:rebuild",
    "replay": "kiosk.cli.replay:replay",
    "restore": "kiosk.cli.restore:restore",
    "run": "kiosk.cli.run:run",
    "sync": "kiosk.cli.sync:sync",
    "user": "kiosk.cli.people:user",
    "version": "kiosk.cli.version:version",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, epilog="Example: sheber demo --port 8080")
def main() -> None:
    """Apprentices' hours on machines: from a badge tap to a record an enterprise can verify."""
