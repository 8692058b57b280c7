"""What happened on the machines, and what it is worth: hours.md, sections 5 and 6, by brute force (see `oracle.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]

WORST_FIRST = ["clock_uncertain", "overlap", "status_lost", "closed_by_system", "no_machine_time", "too_long"]
WORST_FIRST += ["no_process", "corrected"]


class Past:
    """What machines said and who was there."""

    def __init__(self, lab: Any, people: Iterable[Any]) -> None:
        self.lab = lab
        self.zone = ZoneInfo(lab.timezone)
        self.machines = {m.id: m for m in lab.machines}
        self.readers = {r.id: r for r in lab.readers}
        self.people = {p.person_id: p for p in people}
        self.said: dict[str, list[tuple[int, str]]] = {m: [] for m in self.machines}
        self.sessions: list[Json] = []
        self.refused: list[Json] = []
        self.t = self.first = -1

    def programme_processes(self, person: str) -> list[Any]:
        return [q for p in self.lab.programmes if p.id == self.people[person].programme for q in p.processes]

    def local(self, t: int) -> datetime:
        return datetime.fromtimestamp(t / 1000, UTC).astimezone(self.zone)

    def stretches(self, machine: str, start: int, end: float) -> list[tuple[int, float, str]]:
        """The maximal stretches of one state within `[start, end)`."""
        said = self.said[machine]
        points = [start, *sorted({at for at, _ in said if start < at < end}), end]
        found: list[tuple[int, float, str]] = []
        for left, right in pairwise(points):
            if left < right:
                state = next((state for at, state in reversed(said) if at <= left), "unknown")
                if found and found[-1][2] == state:
                    found[-1] = (found[-1][0], right, state)
                else:
                    found.append((int(left), right, state))
        return found

    # --- credit --------------------------------------------------------------------------------------------------

    def counts(self, session: Json) -> tuple[tuple[str, ...], bool]:
        for process in self.programme_processes(session["person"]):
            if process.id == session["process"]:
                if process.counts is not None:
                    return process.counts, process.presence_counts
                return self.machines[session["machine"]].rules.counts, process.presence_counts
        return self.machines[session["machine"]].rules.counts, False

    def credit(self, session: Json) -> Json:
        """The numbers of section 5, as the contract prints them, and `counted` beside them."""
        start, end = session["start"], self.t if session["end"] is None else session["end"]
        end = max(start, end)
        (counts, bench), rules = self.counts(session), self.machines[session["machine"]].rules
        cut = self.stretches(session["machine"], start, end)
        by_state: Json = {}
        uncredited: Json = {}
        shares: dict[str, Fraction] = {}
        credited = 0
        for index, (left, right, state) in enumerate(cut):
            length = int(right) - left
            by_state[state] = by_state.get(state, 0) + length
            before = cut[index - 1][2] if index else None
            after = cut[index + 1][2] if index + 1 < len(cut) else None
            grace = before in counts or (before is None and after in counts)
            if bench or state in counts:
                part, code = length, ""
            elif state == "idle" and grace:
                part, code = min(length, rules.idle_grace_ms), "idle_over_grace"
            else:
                part, code = 0, "unknown" if state == "unknown" else "not_counted:" + state
            credited += part
            if part < length:
                uncredited[code] = uncredited.get(code, 0) + length - part
            shares[state] = shares.get(state, Fraction(0)) + self.share(session["machine"], left, left + part)
        if rules.crew_credit == "split" and session["role"] == "operator":
            own = sum(round(share) for share in shares.values())
            if own < credited:
                uncredited["shared"] = credited - own
            credited = own
        unverified = 0 if bench else by_state.get("unknown", 0)
        if session["role"] == "observer":
            credited, unverified, uncredited = 0, 0, {"observer": end - start} if end > start else {}
        counted = sum(ms for state, ms in by_state.items() if state in counts)
        return {"presence_ms": end - start, "by_state_ms": by_state, "credited_ms": credited} | {
            "unverified_ms": unverified,
            "uncredited_ms": uncredited,
            "counted": counted,
        }

    def present(self, machine: str, t: int) -> int:
        """How many operators were there at an instant."""
        crew = [s for s in self.sessions if s["machine"] == machine and s["role"] == "operator"]
        return sum(s["start"] <= t < (self.t if s["end"] is None else s["end"]) for s in crew)

    def edges(self, machine: str, left: int, right: int) -> list[tuple[int, int]]:
        points = {left, right}
        for session in self.sessions:
            if session["machine"] == machine:
                points |= {p for p in (session["start"], session["end"]) if p is not None and left < p < right}
        ordered = sorted(points)
        return list(pairwise(ordered))

    def share(self, machine: str, left: int, right: int) -> Fraction:
        return sum(
            (Fraction(b - a, max(self.present(machine, a), 1)) for a, b in self.edges(machine, left, right)),
            Fraction(0),
        )

    def flags(self, session: Json, numbers: Json) -> list[str]:
        machine = self.machines[session["machine"]]
        raised = set()
        if machine.status is not None and 10 * numbers["by_state_ms"].get("unknown", 0) > numbers["presence_ms"]:
            raised.add("status_lost")
        if session["closed_by"] == "system":
            raised.add("closed_by_system")
        if machine.status is not None and numbers["counted"] == 0:
            raised.add("no_machine_time")
        if numbers["presence_ms"] > machine.rules.long_session_ms:
            raised.add("too_long")
        if session["process"] is None:
            raised.add("no_process")
        return [flag for flag in WORST_FIRST if flag in raised]

    # --- what the contract prints --------------------------------------------------------------------------------

    def results(self) -> list[Json]:
        shown = sorted(map(self.shown, self.sessions), key=lambda s: (s["start"], s["person"], s["machine"]))
        return [*shown, *map(self.machine_line, self.machines), *({"kind": "refused"} | r for r in self.refused)]

    def shown(self, session: Json) -> Json:
        decisions = session["decisions"]
        numbers = dict(decisions[0]["numbers"] if decisions else self.credit(session))
        flags = set(decisions[0]["flags"] if decisions else self.flags(session, numbers))
        if any(d["decision"] == "adjusted" for d in decisions):
            flags.add("corrected")
        known = numbers["presence_ms"] - numbers["by_state_ms"].get("unknown", 0)
        del numbers["counted"]
        same = {
            name: session[name] for name in ("person", "machine", "process", "role", "start", "reason", "closed_by")
        }
        return {"kind": "session", "end": session["end"], **same, **numbers} | {
            "evidence": "badge+machine" if known and not self.counts(session)[1] else "badge",
            "flags": [flag for flag in WORST_FIRST if flag in flags],
            "review": decisions[-1]["decision"] if decisions else "pending",
        }

    def machine_line(self, machine: str) -> Json:
        totals: dict[str, Json] = {"by_state_ms": {}, "attributed_ms": {}, "unattributed_ms": {}}
        for left, right, state in self.stretches(machine, self.first, self.t):
            for a, b in self.edges(machine, left, int(right)):
                who = "attributed_ms" if self.present(machine, a) else "unattributed_ms"
                for name in ("by_state_ms", who):
                    totals[name][state] = totals[name].get(state, 0) + b - a
        return {"kind": "machine", "machine": machine} | totals
