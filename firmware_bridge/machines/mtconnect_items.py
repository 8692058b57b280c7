"""What MTConnect's messages hold about a machine: documents, single observations, and adapter lines (SHDR).

Documents come in both JSON versions of cppagent and in cut-outs of them: version 1 makes every element an entry of an
array with its name as the only key, version 2 makes each name a key with an array of its elements. Both are walked the
same way, so a document of either kind, a cut-out or a mixture is read alike. Results are strings; times (with up to
seven digits of a fraction) are not needed; sequences order what one document tells of one moment to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firmware_bridge.machines.payload import Number, PayloadError, spelled

UNAVAILABLE = "UNAVAILABLE"
LEVELS = ("NORMAL", "WARNING", "FAULT", UNAVAILABLE)
EXECUTION, ESTOP, AVAILABILITY, CONDITION = "EXECUTION", "EMERGENCY_STOP", "AVAILABILITY", "CONDITION"
OTHERS = {"CONTROLLERMODE": "CONTROLLER_MODE", "FUNCTIONALMODE": "FUNCTIONAL_MODE"}
KINDS = {"EXECUTION": EXECUTION, "EMERGENCYSTOP": ESTOP, "AVAILABILITY": AVAILABILITY, **OTHERS}
"""Types by their letters alone: EMERGENCY_STOP of an observation, EmergencyStop of a document."""
NAMED = (
    (re.compile(r".*exec(?:ution)?[0-9]*"), EXECUTION),
    (re.compile(r".*(?:estop|emergency_?stop)[0-9]*"), ESTOP),
    (re.compile(r".*avail(?:able|ability)?[0-9]*"), AVAILABILITY),
    (re.compile(r".*(?:fmode|functional_?mode)[0-9]*"), "FUNCTIONAL_MODE"),
    (re.compile(r".*mode[0-9]*"), "CONTROLLER_MODE"),
)
"""Items by what adapters call them, where no type is told: avail, pexecution, estop, mode, fmode."""
TIME = re.compile(r"[0-9.]*|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)?(?:@[0-9.]+)?")
NAME_CHARS_MAX = 200
ITEMS_MAX = 4_096


@dataclass(frozen=True)
class Item:
    """One observation. `key` is its data item; `device` what the document says it belongs to.

    `kind` is "" for one that says nothing about the state. `value` is the result in capitals, a condition's level;
    `code` tells the conditions of one item apart.
    """

    kind: str
    key: str
    value: str
    device: tuple[str, ...] = ()
    code: str = ""
    sequence: int = 0


def of_document(told: object) -> list[Item]:
    """Every observation in a streams document or a part of one, in the order in which they were made."""
    found: list[Item] = []
    for item in _walk("", told, ()):
        found.append(item)
        if len(found) >= ITEMS_MAX:
            break
    return sorted(found, key=lambda item: item.sequence)


def of_observation(told: object) -> Item | None:
    """A single observation, as `Devices/UUID/Observations/ITEM` carries; None for anything else."""
    # {"dataItemId":"mode","type":"CONTROLLER_MODE","category":"EVENT","result":"AUTOMATIC","sequence":1235,...}
    return _single(told, ()) if isinstance(told, dict) and "dataItemId" in told else None


def _single(told: Mapping[str, object], device: tuple[str, ...]) -> Item:
    # {"dataItemId":"system","type":"SYSTEM","category":"CONDITION","level":"FAULT","nativeCode":"1202",...}
    if _text(told, "category").upper() == CONDITION:
        return _condition(_value(told), told, device)
    return _item(_text(told, "type"), told, device)


def of_word(name: str, word: str) -> list[Item]:
    """A bare result on a topic that ends with the name of its item; raises `PayloadError` where it names none."""
    kind = _kind_of_name(name)
    if not kind:
        raise PayloadError("no document, no line, and no word of a known item")
    return [Item(kind, name, word.upper())]


def of_line(line: str) -> list[Item]:
    """An adapter's line, `time|key|value|key|value`, or a condition's `time|key|level|code|severity|qualifier|text`.

    What stands before the first bar is the time, with a duration after an `@`, or a delay in files for the simulator.
    Raises `PayloadError`.
    """
    parts = [part.strip() for part in line.split("|")][: 2 * ITEMS_MAX]
    if not TIME.fullmatch(parts[0]):
        raise PayloadError("an adapter's line that does not begin with a time")
    # 2022-08-08T13:51:36.7711738Z|system|FAULT|1202|100|HIGH|Overtravel
    if len(parts) in (3, 7) and parts[2].upper() in LEVELS[:3]:
        return [Item(CONDITION, parts[1], parts[2].upper(), code="".join(parts[3:4]))]
    # 2022-08-08T14:30:19.6727646Z|fmode|PROCESS_DEVELOPMENT|pexecution|READY
    return [Item(_kind_of_name(key), key, value.upper()) for key, value in zip(parts[1::2], parts[2::2], strict=False)]


def _walk(name: str, value: object, device: tuple[str, ...]) -> Iterator[Item]:
    """Depth is bounded by the document's."""
    if isinstance(value, list):
        for one in value:
            yield from _walk(name, one, device)
        return
    if not isinstance(value, dict):
        return
    if "dataItemId" in value:
        if name.upper() in LEVELS:
            # "Condition": {"Fault": [{"dataItemId": "cnc_logic", "type": "LOGIC_PROGRAM", "nativeCode": "1202", ...}]}
            yield _condition(name, value, device)
        elif not name or (not _kind(name) and "type" in value):
            # "events": [{"dataItemId": "exec", "type": "EXECUTION", "result": "ACTIVE"}, ...]  (MTConnect.NET)
            yield _single(value, device)
        else:
            # "Events": {"Execution": [{"dataItemId": "exec", "sequence": 76, "value": "ACTIVE", ...}]}
            yield _item(name, value, device)
        return
    if name == "DeviceStream":
        device = (_text(value, "uuid"), _text(value, "name"))
    for key, inner in value.items():
        yield from _walk(key, inner, device)


def _item(name: str, told: Mapping[str, object], device: tuple[str, ...]) -> Item:
    key = _text(told, "dataItemId")
    kind = _kind(name)
    if not name:
        # {"dataItemId":"avail","value":"AVAILABLE"}
        kind = _kind_of_name(key) or _kind_of_name(_text(told, "name"))
    return Item(kind, key, _value(told).upper(), device, sequence=_sequence(told))


def _condition(level: str, told: Mapping[str, object], device: tuple[str, ...]) -> Item:
    code = _text(told, "conditionId") or _text(told, "nativeCode")
    return Item(CONDITION, _text(told, "dataItemId"), level.upper(), device, code, _sequence(told))


def _kind(name: str) -> str:
    return KINDS.get(re.sub(r"[^A-Z]", "", name[:NAME_CHARS_MAX].upper()), "")


def _kind_of_name(name: str) -> str:
    # lathe:exec: an adapter of several devices names the device before the item
    plain = name[:NAME_CHARS_MAX].rpartition(":")[2].lower()
    return next((kind for shape, kind in NAMED if shape.fullmatch(plain)), "")


def _value(told: Mapping[str, object]) -> str:
    for key in ("result", "value", "level", "state"):
        value = spelled(told.get(key))
        if value is not None:
            return value.strip()
    return ""


def _text(told: Mapping[str, object], key: str) -> str:
    return spelled(told.get(key)) or ""


def _sequence(told: Mapping[str, object]) -> int:
    value = told.get("sequence")
    return int(value) if isinstance(value, Number) else 0
