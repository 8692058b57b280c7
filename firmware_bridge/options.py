"""Reading a table of options: every problem names its key, what is wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

TOPIC_BYTES_MAX = 65_535
"""MQTT 3.1.1, section 1.5.3: a topic's length is two bytes."""


class OptionError(ValueError):
    """One option is unknown, missing or of the wrong kind; `message` is a sentence with the remedy."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message


def known_only(table: Mapping[str, object], known: Collection[str]) -> None:
    """Raise `OptionError` for the first key that is not one of `known`."""
    for key in table:
        if key in known:
            continue
        if not known:
            raise OptionError(key, "there is no such option, and none at all is taken here; leave it out")
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"those there are: {', '.join(sorted(known))}"
        raise OptionError(key, f"there is no such option; {hint}")


def text(table: Mapping[str, object], key: str) -> str | None:
    """The text at `key`, or None where it is left out."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise OptionError(key, f'must be a text that is not empty; write {key} = "..."')
    return value


def choice(table: Mapping[str, object], key: str, choices: Collection[str], default: str) -> str:
    """One of `choices`, `default` where it is left out."""
    value = table.get(key, default)
    if not isinstance(value, str) or value not in choices:
        raise OptionError(key, f"must be one of {', '.join(sorted(choices))}")
    return value


def integer(table: Mapping[str, object], key: str, lowest: int, highest: int) -> int | None:
    """A whole number from `lowest` to `highest`, or None where it is left out."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise OptionError(key, f"must be a whole number from {lowest} to {highest}")
    return value


def topic(table: Mapping[str, object], key: str) -> str | None:
    """One MQTT topic without wildcards, or None where it is left out."""
    value = text(table, key)
    if value is None:
        return None
    if "+" in value or "#" in value:
        raise OptionError(key, "must be one topic; write it out without the wildcards + and #")
    if "\0" in value or len(value.encode("utf-8", "replace")) > TOPIC_BYTES_MAX:
        raise OptionError(key, "is not a topic that MQTT allows; it is too long or has a NUL in it")
    return value
