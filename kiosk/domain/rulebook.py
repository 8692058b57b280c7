"""The workshop as the domain sees it, in a form the ledger can hold: integers, texts, lists.

Two parts (contract, section 5): the rules of credit, whose fingerprint every record carries, and the rest of the
configuration. Watts are kept in milliwatts so that canonical bytes hold integers only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lab_config.model import Lab, Machine, PowerThresholds, Process, Programme, Rules

_TIMING = (
    "debounce_ms",
    "no_toggle_ms",
    "choice_timeout_ms",
    "stale_after_ms",
    "off_grace_ms",
    "idle_timeout_ms",
    "max_session_ms",
    "day_end",
    "resume_within_ms",
)
_MINORS = ("minor_week_ms_16", "minor_week_ms_14", "minor_night")
_CREDIT = ("idle_grace_ms", "long_session_ms", "crew_credit", "counts")


@dataclass(frozen=True)
class ProcessRule:
    """One work process, as far as hours depend on it."""

    programme: str
    id: str
    machines: tuple[str, ...]
    counts: tuple[str, ...] | None
    presence_counts: bool

    def is_done_on(self, machine_id: str, machine_class: str | None) -> bool:
        """Does the process name this machine, or its class?"""
        return machine_id in self.machines or f"class:{machine_class}" in self.machines


@dataclass(frozen=True)
class MachineRule:
    """One machine, as far as sessions and hours depend on it."""

    id: str
    machine_class: str | None
    crew: int
    when_full: str
    observers: bool
    requires: tuple[str, ...]
    has_source: bool
    power_mw: tuple[int, int, int | None, int, int] | None
    """running_above, idle_below, off_below, then on_delay and off_delay in milliseconds."""
    rules: Rules


@dataclass(frozen=True)
class EnterpriseRule:
    """What an enterprise takes."""

    id: str
    accepts: tuple[str, ...]


@dataclass(frozen=True)
class CreditRules:
    """The rules that turn a session into credited time, and their fingerprint."""

    fingerprint: str
    machines: Mapping[str, Mapping[str, Any]]
    processes: Mapping[str, Mapping[str, Any]]
    counts: tuple[str, ...]
    long_session_ms: int

    def counts_for(self, machine: str, programme: str | None, process: str | None) -> tuple[str, ...]:
        """The states that count: the process's own, else the machine's, else the lab's."""
        chosen = self.processes.get(f"{programme}/{process}", {}).get("counts")
        if chosen is None:
            chosen = self.machines.get(machine, {}).get("counts", self.counts)
        return tuple(chosen)

    def presence_counts(self, programme: str | None, process: str | None) -> bool:
        """Does the process credit the whole presence?"""
        return bool(self.processes.get(f"{programme}/{process}", {}).get("presence_counts", False))

    def of_machine(self, machine: str, name: str) -> Any:
        """A machine's rule of credit: `idle_grace_ms`, `crew_credit`, `has_source`, `long_session_ms`."""
        return self.machines[machine][name]


NO_CREDIT_RULES = CreditRules("", {}, {}, (), 0)


@dataclass(frozen=True)
class RuleBook:
    """Everything `decide` and `evolve` know of the workshop."""

    lab: str = ""
    timezone: str = "UTC"
    readers: Mapping[str, tuple[str | None, int]] = field(default_factory=dict)
    """Reader id to (machine it is bound to, frames needed to confirm a read)."""
    machines: Mapping[str, MachineRule] = field(default_factory=dict)
    processes: tuple[ProcessRule, ...] = ()
    competencies: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(programme, competency) to the process it belongs to."""
    enterprises: Mapping[str, EnterpriseRule] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    def processes_on(self, programme: str | None, machine_id: str) -> tuple[str, ...]:
        """The processes of a programme that are done on a machine, in the configured order."""
        machine = self.machines[machine_id]
        return tuple(
            p.id for p in self.processes if p.programme == programme and p.is_done_on(machine_id, machine.machine_class)
        )

    @property
    def for_minors(self) -> tuple[object, ...]:
        """The limits of minors, the lab's and each machine's."""
        everywhere = [self.rules, *(machine.rules for machine in self.machines.values())]
        return tuple(getattr(rules, name) for rules in everywhere for name in _MINORS)

    def rules_at(self, reader: str) -> Rules:
        """The rules of the machine a reader is bound to; of the lab for a shared one."""
        machine = self.readers[reader][0]
        return self.machines[machine].rules if machine else self.rules


def adopted(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a lab's ledger holds of its description: (configuration, rules of credit)."""
    config = {
        "lab": lab.id,
        "timezone": lab.timezone,
        "rules": _timing(lab.rules) | _minors(lab.rules),
        "readers": {r.id: [r.machine, r.confirm] for r in lab.readers},
        "machines": [_machine(m) for m in lab.machines],
        "processes": [_process(p, q) for p in lab.programmes for q in p.processes],
        "competencies": [[p.id, c.id, c.process] for p in lab.programmes for c in p.competencies],
        "enterprises": [{"id": e.id, "accepts": list(e.accepts)} for e in lab.enterprises],
    }
    rules = {
        "counts": list(lab.rules.counts),
        "long_session_ms": lab.rules.long_session_ms,
        "machines": {m.id: _credit(m) for m in lab.machines},
        "processes": {
            f"{p.id}/{q.id}": {
                "counts": None if q.counts is None else list(q.counts),
                "presence_counts": q.presence_counts,
            }
            for p in lab.programmes
            for q in p.processes
        },
    }
    return config, rules


def credit_rules(rules: Mapping[str, Any]) -> CreditRules:
    """The rules of credit out of a `rules_adopted` entry."""
    return CreditRules(
        fingerprint(rules),
        rules["machines"],
        rules["processes"],
        tuple(rules["counts"]),
        rules["long_session_ms"],
    )


def fingerprint(rules: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical bytes of the rules (RFC 8785; integers, ASCII keys and texts only)."""
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def rule_book(config: Mapping[str, Any]) -> RuleBook:
    """The rule book out of a `config_adopted` entry."""
    return RuleBook(
        lab=config["lab"],
        timezone=config["timezone"],
        readers={name: (machine, confirm) for name, (machine, confirm) in config["readers"].items()},
        machines={m["id"]: _machine_rule(m, config["rules"]) for m in config["machines"]},
        processes=tuple(
            ProcessRule(p["programme"], p["id"], tuple(p["machines"]), None, p["presence_counts"])
            for p in config["processes"]
        ),
        # A configuration that was adopted before there were sign-offs names none.
        competencies={(p, c): process for p, c, process in config.get("competencies", ())},
        enterprises={e["id"]: EnterpriseRule(e["id"], tuple(e["accepts"])) for e in config["enterprises"]},
        rules=_rules(config["rules"]),
    )


def _timing(rules: Rules) -> dict[str, Any]:
    values = asdict(rules)
    return {name: list(values[name]) if name == "day_end" else values[name] for name in _TIMING}


def _minors(rules: Rules) -> dict[str, Any]:
    """The limits of minors: whoever folds again must flag by the same ones."""
    values = asdict(rules)
    return {name: list(values[name]) if name == "minor_night" else values[name] for name in _MINORS}


def _rules(values: Mapping[str, Any]) -> Rules:
    lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Rules(**{**values, **lists})


def _machine(machine: Machine) -> dict[str, Any]:
    power = machine.status.power if machine.status else None
    return {
        "id": machine.id,
        "class": machine.machine_class,
        "crew": machine.crew,
        "when_full": machine.when_full,
        "observers": machine.observers,
        "requires": list(machine.requires),
        "has_source": machine.status is not None,
        "power": _power(power) if power else None,
        "rules": _timing(machine.rules) | _minors(machine.rules),
    }


def _power(power: PowerThresholds) -> list[int | None]:
    off = None if power.off_below_w is None else _milli(power.off_below_w)
    return [
        _milli(power.running_above_w),
        _milli(power.idle_below_w),
        off,
        power.on_delay_ms,
        power.off_delay_ms,
    ]


def _milli(watts: float) -> int:
    return round(watts * 1000)


def _machine_rule(value: Mapping[str, Any], lab_rules: Mapping[str, Any]) -> MachineRule:
    return MachineRule(
        id=value["id"],
        machine_class=value["class"],
        crew=value["crew"],
        when_full=value["when_full"],
        observers=value["observers"],
        requires=tuple(value["requires"]),
        has_source=value["has_source"],
        power_mw=tuple(value["power"]) if value["power"] else None,
        # What an older configuration does not say of a machine is the lab's.
        rules=_rules({**lab_rules, **value["rules"]}),
    )


def _credit(machine: Machine) -> dict[str, Any]:
    values = asdict(machine.rules)
    chosen = {name: list(values[name]) if name == "counts" else values[name] for name in _CREDIT}
    return chosen | {"has_source": machine.status is not None}


def _process(programme: Programme, process: Process) -> dict[str, Any]:
    return {
        "programme": programme.id,
        "id": process.id,
        "machines": list(process.machines),
        "presence_counts": process.presence_counts,
    }
