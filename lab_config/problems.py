"""What is wrong with a configuration: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing to put right. `where` is a dotted path inside `file`, counted from 0: `machine[2].status.topic`."""

    file: Path
    where: str
    what: str
    remedy: str
    line: int | None = None
    """Counted from 1; `None` where it cannot be told."""

    @property
    def place(self) -> str:
        """The file, with the line where it is known."""
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.where + ': ' if self.where else ''}{self.what} {self.remedy}"


class ConfigurationError(Exception):
    """A configuration that cannot be used, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
