"""The lines of `lab.toml` that describe what was heard."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from firmware_bridge import registry
from firmware_bridge.probe.dialects import DESCRIBED, Heard, table
from firmware_bridge.probe.levels import levels, thresholds
from firmware_bridge.probe.protocols import Candidate
from firmware_bridge.probe.rhythm import ROOM, too_short

ANYBODY = {"tele", "stat", "sensor", "state", "status", "power", "lab", "report", "shellies", "zigbee2mqtt", "relay"}
"""Parts of topics that name no machine."""


def reader_lines(port: str, candidate: Candidate, baud: int) -> list[str]:
    """A `[[reader]]` table; the speed only where it is not the protocol's own."""
    pairs: dict[str, object] = {"id": "reader-1", "port": port, "protocol": candidate.protocol, **candidate.options}
    if baud != registry.reader_class(candidate.protocol).baud:
        pairs["baud"] = baud
    lines = ["[[reader]]", *(f"{key} = {toml(value)}" for key, value in pairs.items())]
    return [*lines, '# machine = "mill-1"   the machine it stands at; without it, a shared reader at a screen']


def machine_lines(heard: Heard, words: Mapping[str, object], name: str) -> list[str]:
    """A `[[machine]]` table; what nobody can know yet is a comment. `words`: what a described source said."""
    options = dict(heard.options)
    notes = []
    if "states" in options:
        known = table(words)
        options["states"] = known
        strange = sorted(word for word in words if known.get(word, "unknown") == "unknown")
        if strange:
            notes.append(f"# say in states what these values mean: {', '.join(strange)}")
    pairs = [f"dialect = {toml(heard.dialect)}", *(f"{key} = {toml(value)}" for key, value in options.items())]
    watts, said = _watts(heard)
    lines = ["[[machine]]", f"id = {toml(name)}"]
    lines += [f"status = {{{', '.join([*pairs, *watts])}}}", *_silence(heard), *said, *notes]
    return lines


def identifiers(sources: Iterable[Heard]) -> list[str]:
    """A name for each machine, no two alike."""
    taken: Counter[str] = Counter()
    names = []
    for heard in sources:
        name = identifier(heard.options)
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names


def identifier(options: Mapping[str, object]) -> str:
    """A name for the machine, from what its topics are called."""
    named = next((str(options[key]) for key in ("device", "node", "topic") if key in options), "")
    parts = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in named.split("/")]
    telling = [part for part in parts if part and part not in ANYBODY and not part.isdecimal()]
    return telling[-1] if telling else "machine-1"


def toml(value: object) -> str:
    """A value as TOML has it; tables inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    # A JSON string is a TOML string, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else f"{value:g}"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml(text)


def _watts(heard: Heard) -> tuple[list[str], list[str]]:
    """Thresholds between the levels that were seen, and what to say about them."""
    found = levels(heard.samples_w)
    if not found:
        return [], []
    seen = f"# seen: {', '.join(level.words for level in found)}"
    between = thresholds(found)
    if between is None:
        wanted = f"{seen}; let the machine work and rest while this listens, and the thresholds are proposed"
        return (["running_above_w = 350"] if heard.dialect in DESCRIBED else []), [wanted]
    pairs = [f"running_above_w = {between.running_above_w:g}", f"idle_below_w = {between.idle_below_w:g}"]
    if between.off_below_w is not None:
        pairs.append(f"off_below_w = {between.off_below_w:g}")
    return pairs, [seen]


def _silence(heard: Heard) -> list[str]:
    """`stale_after`, where the source repeats itself more slowly than its dialect expects."""
    period_ms, usual_ms = heard.rhythm.period_ms, heard.source.default_stale_after_ms
    if period_ms is None or not too_short(usual_ms, period_ms):
        return []
    return [f'stale_after = "{-(-int(ROOM * period_ms) // 60_000)}min"']
