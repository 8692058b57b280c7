"""Where in a TOML text each key stands, which the parser of the standard library does not tell.

It is given only texts that the parser has accepted, so it finds its way by brackets, quotes and line ends alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""Keys, and places in arrays of tables counted from 0: `("machine", 2, "status")`."""

_TOKEN = re.compile(
    r"(?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<mark>[\n\[\]{}=,.])"
    r"|(?P<bare>[^\s\[\]{}=,.\"'#]+)",
    re.DOTALL,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table header and of every key that begins a line's statement."""
    lines: dict[KeyPath, int] = {}
    sizes: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        if statement[0] != "[":
            keys = _keys(statement[: statement.index("=")])
            lines.setdefault(_inside(table, keys, sizes), line)
        elif statement[1] == "[":
            *parents, last = _keys(statement)
            array = (*_inside((), parents, sizes), last)
            sizes[array] = sizes.get(array, 0) + 1
            table = (*array, sizes[array] - 1)
            lines[table] = line
        else:
            table = _inside((), _keys(statement), sizes)
            lines.setdefault(table, line)
    return lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of the nearest thing that is known: the key itself, else the table around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _statements(text: str) -> list[tuple[int, list[str]]]:
    """Headers and assignments, each as its tokens with the line it begins on."""
    statements: list[tuple[int, list[str]]] = []
    current: list[str] = []
    begins, line, depth, seen = 1, 1, 0, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        word = match.group()
        if match.lastgroup == "comment":
            continue
        if word == "\n":
            if depth == 0 and current:
                statements.append((begins, current))
                current = []
            continue
        if match.lastgroup == "mark":
            depth += (word in "[{") - (word in "]}")
        if not current:
            begins = line
        current.append(word)
    if current:
        statements.append((begins, current))
    return statements


def _keys(words: list[str]) -> list[str]:
    return [word.strip("\"'") for word in words if word not in {"[", "]", "."}]


def _inside(table: KeyPath, keys: list[str], sizes: Mapping[KeyPath, int]) -> KeyPath:
    """The path of `keys` below `table`; a key that is an array of tables means its last element."""
    path = table
    for key in keys:
        path = (*path, key)
        if path in sizes:
            path = (*path, sizes[path] - 1)
    return path
