"""A small lab whose rules are seconds long, and histories in it whose moments crowd around every boundary."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from kiosk.commands import PersonRow
from kiosk.replay import Replay
from lab_config.model import (
    Lab,
    LocalText,
    Machine,
    PowerThresholds,
    Process,
    Programme,
    Reader,
    Rules,
    StatusSource,
)

T = TypeVar("T")
Choose = Callable[[Sequence[Any]], Any]
Line = dict[str, Any]

START_MS = round(datetime(2026, 10, 5, 4, 0, tzinfo=UTC).timestamp() * 1000)  # 09:00 in Almaty
WORDS = {"RUN": "running", "SET": "setup", "IDLE": "idle", "FAULT": "fault", "OFF": "off", "SERVICE": "maintenance"}

_RULES = {
    "stale_after_ms": 60_000,
    "idle_grace_ms": 30_000,
    "off_grace_ms": 20_000,
    "idle_timeout_ms": 90_000,
    "max_session_ms": 600_000,
    "day_end": ("09:07", "09:30", "00:00"),
    "resume_within_ms": 60_000,
    "long_session_ms": 200_000,
}


def _rules(**changed: Any) -> Rules:
    return Rules(**(_RULES | changed))


def _words(machine: str, **more: str) -> StatusSource:
    return StatusSource("text", {"topic": f"lab/{machine}", "states": WORDS} | more)


def _name(text: str) -> LocalText:
    return LocalText({"en": text})


MACHINES = (
    Machine("mill", _name("mill"), "cnc", 1, "handover", True, ("briefing:cnc",), _words("mill"), _rules()),
    Machine(
        "saw",
        _name("saw"),
        None,
        2,
        "refuse",
        False,
        (),
        StatusSource("text", {"topic": "lab/saw"}, PowerThresholds(300, 100, 5, 5_000, 10_000)),
        _rules(crew_credit="split", off_grace_ms=5_000, debounce_ms=2_000),
    ),
    Machine(
        "lathe",
        _name("lathe"),
        "cnc",
        1,
        "observe",
        True,
        (),
        _words("lathe", will_topic="lab/lathe/lwt"),
        _rules(stale_after_ms=None, no_toggle_ms=5_000, idle_timeout_ms=None),
    ),
    Machine("bench", _name("bench"), None, 3, "handover", rules=_rules(crew_credit="split", day_end=())),
)
READERS = (
    Reader("mill", "/dev/a", "line", "mill"),
    Reader("saw", "/dev/b", "line", "saw"),
    Reader("lathe", "/dev/c", "line", "lathe", confirm=2),
    Reader("bench", "/dev/d", "line", "bench"),
    Reader("door", "/dev/e", "line"),
)
PROGRAMMES = (
    Programme(
        "operator",
        _name("operator"),
        processes=(
            Process("OP1", _name("1"), machines=("mill", "class:cnc")),
            Process("OP2", _name("2"), machines=("mill", "saw"), counts=("running", "idle")),
            Process("OP3", _name("3"), machines=("bench",), presence_counts=True),
        ),
    ),
    Programme(
        "fitter",
        _name("fitter"),
        processes=(
            Process("F1", _name("1"), machines=("class:cnc",), counts=("running", "fault", "maintenance", "off")),
            Process("F2", _name("2"), machines=("saw", "bench"), counts=()),
        ),
    ),
)
LAB = Lab(
    "w",
    _name("w"),
    rules=_rules(choice_timeout_ms=10_000),
    readers=READERS,
    machines=MACHINES,
    programmes=PROGRAMMES,
)
PEOPLE = (
    PersonRow(
        "p1", "apprentice", "A", "", programme="operator", badges=("A1", "A2"), qualifications=(("briefing:cnc", None),)
    ),
    PersonRow(
        "p2",
        "apprentice",
        "B",
        "",
        programme="operator",
        badges=("B1",),
        qualifications=(("briefing:cnc", "2026-10-05"),),
    ),
    PersonRow(
        "p3",
        "apprentice",
        "C",
        "",
        programme="fitter",
        badges=("C1",),
        qualifications=(("briefing:cnc", "2026-10-04"),),
    ),
    PersonRow("p4", "apprentice", "D", "", badges=("D1",)),
    PersonRow("p5", "apprentice", "E", "", active=False, badges=("E1",)),
    PersonRow("i1", "instructor", "I", "", badges=("FF",)),
)
_OWNER = {badge: person.person_id for person in PEOPLE for badge in person.badges}
APPRENTICES = ("p1", "p2", "p3", "p4")
BADGES = ("A1", "B1", "C1", "D1") * 4 + ("A2", "E1", "FF", "0C", "0C", "0D", "00")
SPANS_MS = (500, 2_000, 3_000, 5_000, 5_000, 10_000, 10_000, 15_000, 20_000, 20_000, 30_000, 30_000, 60_000, 90_000)
LONG_SPANS_MS = (120_000, 200_000, 600_000)
KINDS = (
    ("badge",) * 16 + ("mqtt",) * 20 + ("choose",) * 4 + ("review",) * 4 + ("alive", "still_here", "close", "restart")
)
RARE = ("broker", "lock", "lock", "grant", "block", "boot", "restart", "strangers")


def history(choose: Choose, length: int) -> list[Line]:
    """A recorded history; `choose` picks one of several, and so decides everything."""
    lines: list[Line] = [{"t": START_MS + choose((0, 120_000, 53_940_000)), "kind": "boot", "boot": "b0", "boot_ms": 0}]
    for number in range(length):
        t = _next_t(choose, lines)
        lines.extend(_lines(choose, t, choose(RARE) if choose(range(12)) == 0 else choose(KINDS), lines, number))
    return [*lines, {"t": lines[-1]["t"] + choose((0, 1, 60_000, 400_000)), "kind": "end"}]


def _next_t(choose: Choose, lines: list[Line]) -> int:
    """Often a boundary after something that happened lately, or one millisecond beside it."""
    now: int = lines[-1]["t"]
    how = choose(("soon", "soon", "soon", "edge", "edge", "edge", "far")) if choose(range(30)) else "later"
    if how in ("edge", "far"):
        t: int = choose(lines[-8:])["t"] + choose(SPANS_MS if how == "edge" else LONG_SPANS_MS) + choose((-1, 0, 0, 1))
        if t >= now and (how == "edge" or choose(range(4)) == 0):
            return t
    return now + choose((200_000, 700_000)) if how == "later" else now + choose((0, 0, 1, 400, 2_500, 7_000, 13_000))


def _lines(choose: Choose, t: int, kind: str, lines: list[Line], number: int) -> list[Line]:
    machine, person = choose(MACHINES).id, choose(APPRENTICES)
    line: Line = {"t": t, "kind": kind}
    match kind:
        case "badge":
            line |= {"reader": choose(READERS).id, "uid": choose(BADGES)}
            again = {"t": t + choose((0, 100, 499, 500)), **{k: line[k] for k in ("kind", "reader", "uid")}}
            return [line, again] if line["reader"] == "lathe" and choose((True, True, False)) else [line]
        case "mqtt":
            line |= _message(choose)
        case "choose":
            line |= {"reader": choose(("door", "door", "mill")), "machine": machine, "process": choose(PROCESS_IDS)}
        case "still_here" | "close":
            line |= {"machine": machine, "person": person}
        case "broker":
            line["connected"] = choose((False, False, True))
        case "lock":
            line |= {"machine": machine, "locked": choose((True, False, False, False))}
        case "strangers":
            return [{"t": t, "kind": "badge", "reader": "door", "uid": f"0E0{n:X}"} for n in range(choose((9, 12)))]
        case "grant":
            line |= {
                "person": person,
                "qualification": "briefing:cnc",
                "until": choose((None, "2026-10-04", "2026-10-05")),
            }
        case "block":
            line["badge"] = choose(("A2", "D1", "0C"))
        case "review":
            seen = [x for x in lines if x.get("uid") in _OWNER and x["reader"] != "door"] or [
                {"uid": "A1", "reader": "mill", "t": t}
            ]
            read = choose(seen)
            line |= {"person": _OWNER[read["uid"]], "machine": read["reader"], "start": read["t"]}
            line |= {"by": choose(("i1", "i1", "i1", "p1"))}
            line |= {"decision": choose(("approved", "adjusted", "rejected")), "credited_ms": choose((0, 1_000, 10**9))}
        case "boot":
            line |= {"boot": f"b{number + 1}", "boot_ms": 0}
        case "restart":
            down = {"t": lines[-1]["t"], "kind": "down"}
            return [down, {"t": t, "kind": "boot", "boot": f"b{number + 1}", "boot_ms": choose((0, 30_000))}]
    return [line]


PROCESS_IDS = ("OP1", "OP2", "F1", "F2", None)


def _message(choose: Choose) -> Line:
    topic = choose(("lab/mill",) * 4 + ("lab/saw",) * 5 + ("lab/lathe",) * 3 + ("lab/lathe/lwt",))
    payload = choose(("RUN", "RUN", "RUN", "IDLE", "IDLE", "OFF", "OFF", "SET", "FAULT", "SERVICE", "odd"))
    if topic == "lab/saw":
        payload = choose(("300", "400", "299.9", "100", "99.9", "50", "5", "4.9", "0", "odd"))
    elif topic == "lab/lathe/lwt":
        payload = choose(("offline", "online"))
    return {"topic": topic, "payload": payload, "retain": choose((False, False, False, True))}


def replayed(lines: Sequence[Line]) -> Replay:
    """The real core over these lines."""
    replay = Replay(LAB, PEOPLE, lambda _: None)
    replay.run(json.dumps(line) for line in lines)
    return replay
