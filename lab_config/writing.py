"""Programmes as the TOML that `load` reads: what a spreadsheet says becomes a file for the lab's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from lab_config.durations import format_duration
from lab_config.model import Competency, LocalText, Process, Programme

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def programmes_toml(programmes: Iterable[Programme]) -> str:
    """`[[programme]]` tables that give just these programmes again; defaults are left out."""
    return "\n".join(_table(lines) for programme in programmes for lines in _programme(programme))


def _programme(programme: Programme) -> Iterator[list[str]]:
    yield [
        "[[programme]]",
        *_pairs({"id": programme.id, "code": programme.code, "classifier": programme.classifier}),
        *_title(programme.id, programme.title),
    ]
    yield from map(_process, programme.processes)
    yield from map(_competency, programme.competencies)


def _process(process: Process) -> list[str]:
    durations = {"required": process.required_ms, "minimum": process.minimum_ms, "maximum": process.maximum_ms}
    return [
        "[[programme.process]]",
        *_pairs({"id": process.id}),
        *_title(process.id, process.title),
        *_pairs({key: None if ms is None else format_duration(ms) for key, ms in durations.items()}),
        *([f"machines = {_list(process.machines)}"] if process.machines else []),
        *([f"counts = {_list(process.counts)}"] if process.counts is not None else []),
        *(["presence_counts = true"] if process.presence_counts else []),
    ]


def _competency(competency: Competency) -> list[str]:
    return [
        "[[programme.competency]]",
        *_pairs({"id": competency.id, "process": competency.process}),
        *_title(competency.id, competency.title),
        *([f"level = {competency.level}"] if competency.level != Competency.level else []),
        *_pairs({"alignment": competency.alignment}),
    ]


def _title(identifier: str, title: LocalText) -> list[str]:
    """Nothing where the id is its own title, as `load` has it then."""
    texts = title.by_language
    if dict(texts) in ({}, {"und": identifier}):
        return []
    inside = ", ".join(f"{_key(language)} = {_text(text)}" for language, text in texts.items())
    return [f"title = {{{inside}}}"]


def _pairs(values: Mapping[str, str | None]) -> list[str]:
    return [f"{key} = {_text(value)}" for key, value in values.items() if value is not None]


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _key(key: str) -> str:
    return key if key and set(key) <= _BARE else _text(key)


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, and DEL is the one letter that only TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _table(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
