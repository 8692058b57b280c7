"""Reading one table: each key by its kind, every slip noted with its place, and no key left unread.

A key that was asked for is known; `close` names the others. A value that is wrong is noted and its default returned, so
that one slip never hides the next.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from lab_config.durations import parse_duration
from lab_config.model import LocalText
from lab_config.places import KeyPath, line_of
from lab_config.problems import Problem

SECRET_KEYS = ("password", "secret", "token")
"""Keys that would hold a secret's value; only names of files may stand in a configuration."""

_KINDS: dict[type, tuple[str, str]] = {
    str: ("a text", '"..."'),
    bool: ("true or false", "true"),
    int: ("a whole number", "2"),
    float: ("a number", "350"),
    list: ("a list", '["...", "..."]'),
    dict: ("a table", "{...}"),
}
_LOCAL_TEXT_REMEDY = 'Write "..." or {kk = "...", ru = "...", en = "..."}.'
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Za-z0-9]+)*")


T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A file, and where its keys stand."""

    file: Path
    lines: Mapping[KeyPath, int] = field(default_factory=dict)


def dotted(path: KeyPath) -> str:
    """`("machine", 2, "status")` as `machine[2].status`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy that names the nearest known word, or all of them."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"Did you mean “{near[0]}”?"
    return f"There is: {', '.join(words)}." if words else "There is none."


class Table:
    """One table of the configuration while it is read."""

    def __init__(
        self,
        problems: list[Problem],
        values: Mapping[str, object],
        path: KeyPath,
        source: Source,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        """`sources` tells the file of single keys, where a table is merged from several files."""
        self._problems = problems
        self._values = values
        self._path = path
        self._source = source
        self._sources = sources or {}
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def blank(self, key: str) -> bool:
        """Is the key left out, or its text empty?"""
        return self._values.get(key, "") == ""

    def raw(self, key: str) -> object:
        """The value as written, for a key that takes more than one kind; `None` where it is left out."""
        self._asked.add(key)
        return self._values.get(key)

    @property
    def place(self) -> str:
        """Where this table stands, for a sentence about another one."""
        line = line_of(self._source.lines, self._path)
        return f"{self._source.file.name}:{line}" if line else f"{self._source.file.name}, {dotted(self._path)}"

    def problem(self, key: str | None, what: str, remedy: str) -> None:
        """Note a problem of `key` (or `key.inner`), or of the table itself."""
        source, path = self._source, self._path
        if key is not None:
            source, path = self._sources.get(key, source), (*path, *key.split(".", 1))
        self._problems.append(Problem(source.file, dotted(path), what, remedy, line_of(source.lines, path)))

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """A text that is not empty; `required` notes its absence."""
        value = self._one(key, str)
        if value is None:
            if required and key not in self._values:
                self.problem(key, "It is missing.", f'Write {key} = "...".')
            return default
        if required and not value.strip():
            self.problem(key, "It is empty.", "Write a text.")
        return value.strip() or default

    def optional_text(self, key: str) -> str | None:
        """A text, or `None` where it is left out or empty."""
        return self.text(key) or None

    def file_name(self, key: str) -> str | None:
        """The absolute path of a named file; a relative one is beside the configuration file."""
        name = self.text(key)
        if not name:
            return None
        if name.startswith("whsec_") or "-----BEGIN" in name:
            self.problem(key, "It holds a secret, not the name of a file.", "Put the secret into a file and name that.")
            return None
        return str(self._sources.get(key, self._source).file.absolute().parent / name)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._one(key, bool)
        return default if value is None else value

    def optional_whole(self, key: str, least: int, most: int) -> int | None:
        """A whole number within bounds, or `None` where it is left out."""
        value = self._one(key, int)
        if value is not None and not least <= value <= most:
            self.problem(key, f"It is {value}.", f"Write a whole number from {least} to {most}.")
            return None
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.optional_whole(key, least, most)
        return default if value is None else value

    def optional_number(self, key: str) -> float | None:
        """A finite number that is not negative, or `None` where it is left out."""
        value = self._one(key, float)
        if value is not None and not (math.isfinite(value) and value >= 0):
            self.problem(key, f"It is {value}.", "Write a number that is not negative.")
            return None
        return value

    def duration(self, key: str, default_ms: int, *, zero: bool = True) -> int:
        """A duration in milliseconds; `zero` says whether none at all makes sense."""
        value = self.optional_duration(key, zero=zero)
        return default_ms if value is None else value

    def optional_duration(self, key: str, *, zero: bool = True) -> int | None:
        """A duration in milliseconds, or `None` where it is left out."""
        self._asked.add(key)
        if key not in self._values:
            return None
        value = self._values[key]
        try:
            milliseconds = parse_duration(value)
        except ValueError as error:
            never = " “never” has no meaning here." if value == "never" else ""
            self.problem(key, sentence(str(error)) + never, 'Write it like "3s", "10min", "1h30min" or "2d".')
            return None
        if milliseconds == 0 and not zero:
            self.problem(key, "It is no time at all.", "Write a duration above 0.")
            return None
        return milliseconds

    def duration_or_never(self, key: str, default_ms: int | None) -> int | None:
        """A duration above 0 in milliseconds, or `None` for "never"."""
        if self._values.get(key) == "never":
            self._asked.add(key)
            return None
        value = self.optional_duration(key, zero=False)
        return default_ms if value is None else value

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of the allowed words."""
        value = self.text(key, default)
        if value not in allowed:
            self.problem(key, f"“{value}” is not known here.", did_you_mean(value, allowed))
            return default
        return value

    def texts(self, key: str, allowed: Collection[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each once, each one of the allowed words where those are given."""
        found: list[str] = []
        for value in self._one(key, list) or []:
            if not isinstance(value, str) or not value.strip():
                self.problem(key, "The list holds something that is not a text.", f'Write {key} = ["...", "..."].')
            elif allowed is not None and value not in allowed:
                self.problem(key, f"“{value}” is not known here.", did_you_mean(value, allowed))
            elif value in found:
                self.problem(key, f"“{value}” stands there twice.", "Take one out.")
            else:
                found.append(value)
        return tuple(found)

    def local_text(self, key: str, fallback: str) -> LocalText:
        """A text, or a table of texts by language; `fallback`, an id, where it is left out."""
        self._asked.add(key)
        if key not in self._values:
            return LocalText({"und": fallback} if fallback else {})
        value = self._values[key]
        if isinstance(value, str):
            value = {"und": value}
        elif not isinstance(value, dict) or not value:
            self.problem(key, "It is not a text in any language.", _LOCAL_TEXT_REMEDY)
            value = {"und": fallback}
        texts: dict[str, str] = {}
        for language, text in value.items():
            if language == "kz":
                self.problem(key, "“kz” is the country.", "The Kazakh language is “kk”.")
            elif language != "und" and not _LANGUAGE.fullmatch(language):
                self.problem(key, f"“{language}” is not a language.", did_you_mean(language, ("kk", "ru", "en")))
            elif not isinstance(text, str) or not text.strip():
                where = "" if language == "und" else f" in “{language}”"
                self.problem(key, f"Its text{where} is empty or none.", _LOCAL_TEXT_REMEDY)
            else:
                texts[language] = text
        return LocalText(texts)

    def identifier(self, pattern: re.Pattern[str], letters: str) -> str:
        """The `id`; empty where it is missing or has other letters."""
        value = self.text("id", required=True)
        if value and not pattern.fullmatch(value):
            self.problem("id", f"“{value}” has letters an id cannot have.", f"Use {letters}.")
            return ""
        return value

    def table(self, key: str) -> Table | None:
        """The table of that name, or `None` where it is left out."""
        value = self._one(key, dict)
        source = self._sources.get(key, self._source)
        return None if value is None else Table(self._problems, value, (*self._path, key), source)

    def tables(self, key: str) -> list[Table]:
        """The array of tables of that name."""
        self._asked.add(key)
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            header = ".".join(str(part) for part in (*self._path, key) if not isinstance(part, int))
            self.problem(key, "It is not a list of tables.", f"Head each one with [[{header}]].")
            return []
        return [Table(self._problems, one, (*self._path, key, n), self._source) for n, one in enumerate(value)]

    def rest(self) -> dict[str, object]:
        """Every key that was not asked for, as written: the options of a protocol or dialect."""
        options = {key: value for key, value in self._values.items() if key not in self._asked}
        for key in [key for key in SECRET_KEYS if key in options]:
            self._refuse_secret(key)
            del options[key]
        self._asked.update(self._values)
        return options

    def close(self) -> None:
        """Note every key that nothing asked for."""
        for key in self._values:
            if key in self._asked:
                continue
            if key in SECRET_KEYS:
                self._refuse_secret(key)
            else:
                self.problem(key, f"There is no key “{key}” here.", did_you_mean(key, self._asked))

    def _refuse_secret(self, key: str) -> None:
        remedy = f'Put it into a file that only the kiosk can read, and name that: {key}_file = "...".'
        self.problem(key, "A secret does not stand in a configuration.", remedy)

    def _one(self, key: str, kind: type[T]) -> T | None:
        """The value, if it is of that kind; a whole number is a number too, true and false are none."""
        self._asked.add(key)
        value = self._values.get(key)
        if kind is float and type(value) is int:
            value = float(value) if abs(value) < 1 << 53 else math.inf
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        if value is not None:
            name, example = _KINDS[kind]
            self.problem(key, f"It is not {name}.", f"Write {key} = {example}.")
        return None


def identified(tables: Iterable[Table], pattern: re.Pattern[str], letters: str) -> list[tuple[Table, str]]:
    """Each table with its id; one without a good id has an empty one, and an id met before is a problem."""
    first: dict[str, Table] = {}
    found = []
    for table in tables:
        name = table.identifier(pattern, letters)
        other = first.setdefault(name, table)
        if name and other is not table:
            table.problem("id", f"“{name}” is the id in {other.place} too.", "Give each one an id of its own.")
        found.append((table, name))
    return found


def merged(problems: list[Problem], parts: Sequence[Table]) -> Table | None:
    """One table out of those of the same name in several files; a key in two of them is a problem naming both."""
    if not parts:
        return None
    first, *others = parts
    values, sources = dict(first._values), dict.fromkeys(first._values, first._source)
    for part in others:
        for key, value in part._values.items():
            if key in values:
                other = sources[key]
                line = line_of(other.lines, (*part._path, key))
                place = f"{other.file.name}:{line}" if line else other.file.name
                part.problem(key, f"It stands in {place} too.", "Keep one of the two.")
            else:
                values[key], sources[key] = value, part._source
    return Table(problems, values, first._path, first._source, sources)


def sentence(text: str) -> str:
    """The text beginning with a capital letter and ending with a full stop or question mark."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
