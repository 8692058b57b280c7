"""hours.md, sections 2 to 6, once more: naive, by brute force, from the text alone, sharing nothing with the kiosk.

For recorded histories whose clock is synchronised all the time, so that `t` is both the axis and UTC, with any number
of boots. It knows the `text` dialect only, reads the configuration and the roster as plain words, and never hurries:
every deadline is found anew, from the beginning, at every line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from oracle_past import Json, Past

TABLE = ["machine_off", "idle_timeout", "max_session", "day_end"]


class Oracle(Past):
    """Feed `line` by line, then ask for `results`."""

    def __init__(self, lab: Any, people: Iterable[Any]) -> None:
        super().__init__(lab, people)
        self.owner = {b: p.person_id for p in people for b in p.badges}
        self.held = {p.person_id: dict(p.qualifications) for p in people}
        self.blocked: set[str] = set()
        self.locked: set[str] = set()
        self.forget()

    def forget(self) -> None:
        self.heard: dict[str, int] = {}
        self.stretch: dict[str, tuple[str, int]] = {}
        self.frame: dict[str, tuple[str, int]] = {}
        self.sight: dict[tuple[str, str], int] = {}
        self.waiting: dict[str, tuple[str, str, int]] = {}
        self.strangers: tuple[int, int, str] | None = None  # since, count, last reader
        self.last_entry = 0
        self.made = False

    # --- lines ---------------------------------------------------------------------------------------------------

    def line(self, line: Json) -> None:
        t, kind = line["t"], line["kind"]
        if kind == "boot":
            self.boot(t)
        else:
            if self.first < 0:
                self.boot(t)
            self.deadlines(t)
            self.t = t
            self.made = False
            getattr(self, "on_" + kind)(t, line)
            if self.made:
                self.deadlines(t)
                self.last_entry = t
        self.t = t

    def boot(self, t: int) -> None:
        alive = self.t
        if self.first < 0:
            self.first = self.t = t
            return
        for machine in self.machines:
            if self.state(machine) != "unknown":
                self.said[machine].append((alive, "unknown"))
        self.forget()
        for session in self.open_sessions():
            if t - alive > self.machines[session["machine"]].rules.resume_within_ms:
                self.close(session, "outage", "system", alive)
        self.deadlines(t)

    def on_alive(self, t: int, line: Json) -> None:
        pass

    on_down = on_end = on_alive

    # --- machines ------------------------------------------------------------------------------------------------

    def state(self, machine: str) -> str:
        return self.said[machine][-1][1] if self.said[machine] else "unknown"

    def say(self, machine: str, state: str, t: int) -> None:
        if self.state(machine) != state:
            self.said[machine].append((t, state))
            self.made = True

    def on_mqtt(self, t: int, line: Json) -> None:
        for machine in self.lab.machines:
            if machine.status is not None:
                self.message(machine, t, line)

    def message(self, machine: Any, t: int, line: Json) -> None:
        options = machine.status.options
        if line["topic"] == options.get("will_topic"):
            if line["payload"] == options.get("offline", "offline"):
                self.gone(machine.id, t)
            return
        if line["topic"] != options["topic"]:
            return
        if "states" not in options:
            try:
                watts = float(line["payload"])
            except ValueError:
                return
        if line.get("retain") and machine.rules.stale_after_ms is not None:
            return
        self.heard[machine.id] = t
        if "states" not in options:
            self.sample(machine, t, watts)
        elif line["payload"] in options["states"]:
            self.stretch.pop(machine.id, None)
            self.say(machine.id, options["states"][line["payload"]], t)

    def sample(self, machine: Any, t: int, watts: float) -> None:
        power, now = machine.status.power, self.state(machine.id)
        if watts >= power.running_above_w:
            means = "running"
        elif power.off_below_w is not None and watts < power.off_below_w:
            means = "off"
        elif watts < power.idle_below_w or now not in ("running", "idle"):
            means = "idle"
        else:
            means = now
        if now in ("unknown", means):
            self.stretch.pop(machine.id, None)
            self.say(machine.id, means, t)
            return
        if self.stretch.get(machine.id, ("", 0))[0] != means:
            self.stretch[machine.id] = (means, t)
        first = self.stretch[machine.id][1]
        if t - first >= (power.on_delay_ms if means == "running" else power.off_delay_ms):
            del self.stretch[machine.id]
            self.say(machine.id, means, first)

    def gone(self, machine: str, t: int) -> None:
        self.stretch.pop(machine, None)
        self.say(machine, "unknown", t)

    def on_broker(self, t: int, line: Json) -> None:
        for machine in self.lab.machines:
            if not line["connected"] and machine.status is not None and machine.rules.stale_after_ms is None:
                self.gone(machine.id, t)

    # --- deadlines -----------------------------------------------------------------------------------------------

    def deadlines(self, t: int) -> None:
        while True:
            due = [d for d in self.all_deadlines() if d[0] <= t]
            if not due:
                return
            moment, kind, rank, _, what, end = min(due, key=lambda d: d[:4])
            if kind == 0:
                self.close(what, TABLE[rank], "system", end)
            elif kind == 1:
                self.said[what].append((moment, "unknown"))
                self.stretch.pop(what, None)
            else:
                self.refused.append({"t": moment, "reader": what, "reason": "unknown_badge"})
                if end > 1:
                    self.refused[-1]["count"] = end
                self.strangers = None
            self.last_entry = moment

    def all_deadlines(self) -> Iterable[tuple[int, int, int, Any, Any, int]]:
        for index, session in enumerate(self.sessions):
            if session["end"] is None:
                for rank, moment, end in self.closings(session):
                    yield moment, 0, rank, index, session, end
        for machine, at in self.heard.items():
            stale = self.machines[machine].rules.stale_after_ms
            if stale is not None and self.state(machine) != "unknown":
                yield at + stale, 1, 0, machine, machine, 0
        if self.strangers is not None and self.strangers[1] > 10:
            since, count, reader = self.strangers
            yield since + 60_000, 2, 0, reader, reader, count - 10

    def closings(self, session: Json) -> Iterable[tuple[int, int, int]]:
        rules, opened = self.machines[session["machine"]].rules, session["start"]
        counts, bench = self.counts(session)
        past = self.stretches(session["machine"], self.first, math.inf)
        off = past[-1]
        if off[2] == "off" and off[0] > opened and "off" not in counts:
            yield 0, off[0] + rules.off_grace_ms, off[0]
        if rules.idle_timeout_ms is not None and not bench:
            since = None
            for left, _, state in self.stretches(session["machine"], opened, math.inf):
                if state == "unknown" or state in counts:
                    since = None
                elif since is None:
                    since = left
            if since is not None:
                moment = max(since, session["still"] or 0) + rules.idle_timeout_ms
                yield 1, moment, moment
        yield 2, opened + rules.max_session_ms, opened + rules.max_session_ms
        if session["day_end"] is not None:
            yield 3, session["day_end"], session["day_end"]

    def next_day_end(self, t: int, times: tuple[str, ...]) -> int | None:
        minute, ends = t - t % 60_000, {(int(each[:2]), int(each[3:])) for each in times}
        for _ in range(2 * 1440 if times else 0):
            minute += 60_000
            now = self.local(minute)
            if (now.hour, now.minute) in ends:
                return minute
        return None

    # --- badges --------------------------------------------------------------------------------------------------

    def on_badge(self, t: int, line: Json) -> None:
        reader, uid = self.readers[line["reader"]], line["uid"]
        if set(uid) == {"0"}:
            return
        if reader.confirm == 2:
            before = self.frame.pop(reader.id, None)
            if before is None or before[0] != uid or t - before[1] >= 500:
                self.frame[reader.id] = (uid, t)
                return
            t = before[1]
        seen = self.sight.get((reader.id, uid))
        self.sight[reader.id, uid] = t
        if seen is not None and t - seen < self.rules_at(reader).debounce_ms:
            return
        t = max(t, self.last_entry)
        if uid not in self.owner:
            self.stranger(t, reader)
        elif not self.turned_away(t, reader, uid):
            person = self.people[self.owner[uid]]
            if person.role == "instructor":
                self.made = True
            elif reader.machine is None:
                self.waiting[reader.id] = (person.person_id, uid, t)
                self.made = True
            else:
                self.at_machine(t, reader, person, reader.machine, None)

    def rules_at(self, reader: Any) -> Any:
        return self.machines[reader.machine].rules if reader.machine else self.lab.rules

    def stranger(self, t: int, reader: Any) -> None:
        if self.strangers is None or t - self.strangers[0] >= 60_000:
            self.strangers = (t, 0, reader.id)
        since, count, _ = self.strangers
        self.strangers = (since, count + 1, reader.id)
        if count < 10:
            self.refuse(t, reader, "unknown_badge")

    def turned_away(self, t: int, reader: Any, uid: str) -> bool:
        if uid in self.blocked:
            self.refuse(t, reader, "badge_blocked")
        elif not self.people[self.owner[uid]].active:
            self.refuse(t, reader, "person_inactive")
        else:
            return False
        return True

    def refuse(self, t: int, reader: Any, reason: str, missing: list[str] | None = None) -> None:
        self.refused.append({"t": t, "reader": reader.id, "reason": reason})
        if missing:
            self.refused[-1]["missing"] = missing
        self.made = True

    def on_choose(self, t: int, line: Json) -> None:
        reader, machine, process = self.readers[line["reader"]], line["machine"], line.get("process")
        timeout = self.rules_at(reader).choice_timeout_ms
        waiting = self.waiting.pop(reader.id, None)
        if waiting is not None and t - waiting[2] < timeout:
            if not self.turned_away(t, reader, waiting[1]):
                self.at_machine(t, reader, self.people[waiting[0]], machine, process)
            return
        here = [s for s in self.open_sessions() if s["machine"] == machine and s["reader"] == reader.id]
        if here and t - here[-1]["start"] < timeout:
            session = here[-1]
            if process in self.processes(session["person"], machine) and process != session["process"]:
                session["process"] = process
                self.made = True

    def open_sessions(self) -> list[Json]:
        return [s for s in self.sessions if s["end"] is None]

    def at_machine(self, t: int, reader: Any, person: Any, machine: str, process: str | None) -> None:
        mine = [s for s in self.open_sessions() if s["person"] == person.person_id]
        rule = self.machines[machine]
        for session in mine:
            if session["machine"] == machine:
                if t - session["start"] >= rule.rules.no_toggle_ms:
                    self.close(session, "tap_out", "person", t)
                self.made = True
                return
        last = [s for s in self.sessions if s["person"] == person.person_id][-1:]
        for session in last:
            lost = session["reason"] == "handover" and session["machine"] == machine and not session["told"]
            if lost and self.local(session["end"]).date() == self.local(t).date():
                session["told"] = True
                self.made = True
                return
        if machine in self.locked:
            self.refuse(t, reader, "machine_locked")
            return
        today = self.local(t).strftime("%Y-%m-%d")
        held = self.held[person.person_id]
        missing = [q for q in rule.requires if q not in held or (held[q] is not None and held[q] < today)]
        if missing and not rule.observers:
            self.refuse(t, reader, "not_qualified", missing)
            return
        crew = [s for s in self.open_sessions() if s["machine"] == machine and s["role"] == "operator"]
        role, leaver = "observer" if missing else "operator", None
        if not missing and len(crew) >= rule.crew:
            if rule.when_full == "refuse":
                self.refuse(t, reader, "machine_full")
                return
            role = "observer" if rule.when_full == "observe" else "operator"
            leaver = crew[0] if rule.when_full == "handover" else None
        if role == "observer" and any(s["role"] == "operator" for s in mine):
            self.refuse(t, reader, "busy_elsewhere", missing)
            return
        for session in mine:
            self.close(session, "moved", "person", t)
        if leaver is not None:
            self.close(leaver, "handover", "other", t)
        self.open(t, reader, person, machine, role, process)

    def open(self, t: int, reader: Any, person: Any, machine: str, role: str, process: str | None) -> None:
        offered = self.processes(person.person_id, machine)
        if process not in offered:
            before = [s for s in self.sessions if (s["person"], s["machine"]) == (person.person_id, machine)]
            used = [s["process"] for s in before if s["process"] in offered]
            process = used[-1] if used else offered[0] if offered else None
        self.sessions.append(
            {"person": person.person_id, "machine": machine, "process": process, "role": role, "start": t}
            | {"end": None, "reason": None, "closed_by": None, "still": None, "reader": reader.id, "decisions": []}
            | {"told": False, "day_end": self.next_day_end(t, self.machines[machine].rules.day_end)}
        )
        self.made = True

    def processes(self, person: str, machine: str) -> list[str]:
        names = {machine, f"class:{self.machines[machine].machine_class}"}
        return [q.id for q in self.programme_processes(person) if names & set(q.machines)]

    def close(self, session: Json, reason: str, by: str, end: int) -> None:
        session.update(end=max(end, session["start"]), reason=reason, closed_by=by)
        self.made = True

    # --- people --------------------------------------------------------------------------------------------------

    def on_still_here(self, t: int, line: Json) -> None:
        for session in self.open_sessions():
            if (session["person"], session["machine"]) == (line["person"], line["machine"]):
                session["still"] = t
                self.made = True

    def on_lock(self, t: int, line: Json) -> None:
        if line["locked"] != (line["machine"] in self.locked):
            (self.locked.add if line["locked"] else self.locked.remove)(line["machine"])
            self.made = True

    def on_grant(self, t: int, line: Json) -> None:
        self.held[line["person"]][line["qualification"]] = line.get("until")
        self.made = True

    def on_block(self, t: int, line: Json) -> None:
        if line["badge"] in self.owner and line["badge"] not in self.blocked:
            self.blocked.add(line["badge"])
            self.made = True

    def on_close(self, t: int, line: Json) -> None:
        for session in self.open_sessions():
            if (session["person"], session["machine"]) == (line["person"], line["machine"]):
                self.close(session, "closed_by_instructor", "other", t)

    def on_review(self, t: int, line: Json) -> None:
        wanted = (line["person"], line["machine"], line["start"])
        found = [s for s in self.sessions if (s["person"], s["machine"], s["start"]) == wanted]
        if self.people[line["by"]].role != "instructor" or any(s["end"] is None for s in found):
            return
        if len(found) > 1 and any(s["decisions"] or self.flags(s, self.credit(s)) for s in found):
            return
        for session in found:
            numbers = session["decisions"][0]["numbers"] if session["decisions"] else self.credit(session)
            if line["decision"] == "adjusted" and not 0 <= line["credited_ms"] <= numbers["presence_ms"]:
                return
        for session in found:
            before = session["decisions"]
            if not (before and before[-1]["decision"] == line["decision"] == "approved"):
                numbers = before[0]["numbers"] if before else self.credit(session)
                flags = before[0]["flags"] if before else self.flags(session, numbers)
                session["decisions"].append({"decision": line["decision"], "numbers": numbers, "flags": flags})
                self.made = True
