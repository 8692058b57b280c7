"""Workshop days as data: these observations, therefore these hours (`tests/stories/`)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kiosk.imports.people import read_people
from kiosk.replay import Replay
from lab_config.load import load

STORIES = Path(__file__).parent / "stories"
ZONE = ZoneInfo("Asia/Almaty")
WHEN = re.compile(r"(?:\+(\d+)d )?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?")

Line = dict[str, Any]


class Day:
    """One story, with its clock on the wall."""

    def __init__(self, story: dict[str, Any]) -> None:
        self.story = story
        self.badges = {row.person_id: row.badges[0] for row in ROSTER}
        self.boots = 0

    def utc_ms(self, text: str) -> int:
        """A local time of the day as UTC milliseconds."""
        match = WHEN.fullmatch(text)
        assert match, f"{text!r} is no time"
        days, hours, minutes, seconds, milli = (int(part or 0) for part in match.groups())
        midnight = datetime.combine(self.story["day"] + timedelta(days=days), datetime.min.time())
        at = (midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)).replace(tzinfo=ZONE)
        return round(at.timestamp() * 1000) + milli

    def line(self, text: str) -> Line:
        """The replay's line for a line of the story."""
        match = WHEN.match(text)
        assert match, f"{text!r} has no time"
        kind, *words = text[match.end() :].split()
        return {"t": self.utc_ms(match.group()), "kind": kind} | WORDS[kind](self, *words)

    def boot(self, clock: str = "synced", wall: str = "") -> Line:
        self.boots += 1
        return {"boot": f"b{self.boots}", "boot_ms": 0, "synced": clock == "synced"}

    def serial(self, reader: str, *text: str) -> Line:
        """`\\x02` and the like may be written; a line ends with `\\r\\n`."""
        return {"reader": reader, "hex": " ".join(text).encode().decode("unicode_escape").encode("latin-1").hex()}

    def mqtt(self, topic: str, *words: str) -> Line:
        retain = words[-1] == "(retained)"
        return {"topic": topic, "payload": " ".join(words[:-1] if retain else words), "retain": retain}

    def choose(self, reader: str, machine: str, process: str | None = None) -> Line:
        return {"reader": reader, "machine": machine, "process": process}

    def review(self, person: str, machine: str, start: str, decision: str, *words: str) -> Line:
        line = {"person": person, "machine": machine, "start": self.utc_ms(start), "decision": decision, "by": "i1"}
        if decision == "adjusted":
            line |= {"credited_ms": milliseconds(words[0]), "process": words[1]}
        return line | {"reason": words[-1] if words else None}

    def manual(self, person: str, machine: str, start: str, end: str, process: str, reason: str) -> Line:
        span = {"start": self.utc_ms(start), "end": self.utc_ms(end)}
        return {"person": person, "machine": machine, "process": process, "reason": reason, "by": "i1"} | span


ROSTER, PROBLEMS = read_people(STORIES / "people.csv")
LAB = load(STORIES / "lab.toml")

WORDS: dict[str, Callable[..., Line]] = {
    "boot": Day.boot,
    "down": lambda day: {},
    "alive": lambda day: {},
    "end": lambda day: {},
    "badge": lambda day, reader, who: {"reader": reader, "uid": day.badges.get(who, who)},
    "serial": Day.serial,
    "choose": Day.choose,
    "still_here": lambda day, machine, person: {"machine": machine, "person": person},
    "mqtt": Day.mqtt,
    "broker": lambda day, word: {"connected": word == "back"},
    "clock": lambda day, wall: {"synced": True, "wall": day.utc_ms(wall)},
    "review": Day.review,
    "lock": lambda day, machine, word="on": {"machine": machine, "locked": word == "on"},
    "grant": lambda day, person, what, until=None: {"person": person, "qualification": what, "until": until},
    "block": lambda day, badge: {"badge": badge},
    "close": lambda day, person, machine: {"person": person, "machine": machine},
    "manual": Day.manual,
    "date_boot": lambda day, boot, boot_ms, utc: {"boot": boot, "boot_ms": int(boot_ms), "utc": day.utc_ms(utc)},
}


def milliseconds(text: str) -> int:
    """`h:mm:ss`, perhaps with `.mmm`."""
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def duration(ms: int) -> str:
    """Milliseconds as the stories write them."""
    text = f"{ms // 3_600_000}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}"
    return text if ms % 1000 == 0 else f"{text}.{ms % 1000:03}"


def local(utc_ms: int, day: Any) -> str:
    """UTC as the stories write local times."""
    at = datetime.fromtimestamp(utc_ms // 1000, ZONE)
    text = f"{at:%H:%M:%S}" if utc_ms % 1000 == 0 else f"{at:%H:%M:%S}.{utc_ms % 1000:03}"
    return text if at.date() == day else f"+{(at.date() - day).days}d {text}"


def told(session: Line, day: Any) -> Line:
    """A session of the replay in the words of the stories."""
    same = ("person", "machine", "role", "evidence", "flags", "review")
    durations = {name: {key: duration(ms) for key, ms in session[f"{name}_ms"].items() if ms} for name in PARTS}
    return (
        {name: session[name] for name in same}
        | durations
        | {
            "from": local(session["start"], day),
            "to": "still there" if session["end"] is None else local(session["end"], day),
            "process": session["process"] or "none",
            "ended": session["reason"] or "not yet",
            "closed_by": session["closed_by"] or "nobody",
            "present": duration(session["presence_ms"]),
            "credited": duration(session["credited_ms"]),
            "unverified": duration(session["unverified_ms"]),
            "counts_instead": duration(session.get("decided_credited_ms", 0)),
        }
    )


PARTS = ("by_state", "uncredited")


def given(expected: Line) -> Line:
    """What a story says of a session, with its durations spelled alike."""
    found = dict(expected)
    for name in ("from", "to"):
        if name in found and found[name] != "still there":
            days, _, clock = found[name].rpartition(" ")
            found[name] = f"{days} {clock}".strip() if clock.count(":") == 2 else f"{days} {clock}:00".strip()
    return found


@pytest.mark.parametrize("path", sorted(STORIES.glob("[0-9]*.toml")), ids=lambda path: path.stem)
def test_the_day_gives_these_hours(path: Path) -> None:
    assert not PROBLEMS
    story = tomllib.loads(path.read_text(encoding="utf-8"))
    day = Day(story)
    warnings: list[str] = []
    replay = Replay(LAB, ROSTER, warnings.append)
    replay.run(json.dumps(day.line(line)) for line in story["lines"])
    results = list(replay.results())
    sessions = [told(r, story["day"]) for r in results if r["kind"] == "session"]
    expected = [given(one) for one in story.get("session", [])]
    found = [{k: s[k] for k in e} for s, e in zip(sessions, expected, strict=False)]
    assert found == expected
    assert [f"{s['person']} {s['machine']}" for s in sessions] == [f"{e['person']} {e['machine']}" for e in expected]
    refused = [f"{local(r['t'], story['day'])} {r['reader']} {r['reason']}" for r in results if r["kind"] == "refused"]
    assert refused == story.get("refused", [])
    assert [warning.split(": ")[1].removeprefix("refused, ") for warning in warnings] == story.get("not_done", [])
    for expected_machine in story.get("machine", []):
        line = next(r for r in results if r["kind"] == "machine" and r["machine"] == expected_machine["machine"])
        for name in ("by_state", "attributed", "unattributed"):
            if name in expected_machine:
                assert {k: duration(ms) for k, ms in line[f"{name}_ms"].items() if ms} == expected_machine[name], name
