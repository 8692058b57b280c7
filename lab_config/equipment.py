"""Machines with their status sources and panels, readers and screens."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from firmware_bridge import registry
from firmware_bridge.options import OptionError
from firmware_bridge.readers.transforms import transform as transform_named
from lab_config.model import PLACES, Machine, Panel, PowerThresholds, Reader, Rules, Screen, StatusSource
from lab_config.rules import read_rules
from lab_config.tables import Table, did_you_mean, sentence

WHEN_FULL = ("handover", "observe", "refuse")
DESCRIBED = ("json", "text")
"""The dialects that know nothing by themselves."""

MOST_CREW = 99
HIGHEST_PIN = 27
HIGHEST_BAUD = 4_000_000

T = TypeVar("T")

_CLASS = re.compile(r"[a-z0-9][a-z0-9_-]*")
QUALIFICATION = re.compile(r"[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)*")
"""An id of what a machine can require; `briefing:` before it makes it a safety briefing."""
_DATE_AT_END = re.compile(r"(^|:)\d{4}-\d{2}-\d{2}$", re.ASCII)


def read_machine(table: Table, identifier: str, lab_rules: Rules, lab_place: str, *, stale_is_ruled: bool) -> Machine:
    """One `[[machine]]`; `stale_is_ruled` says whether `[rules]` has a `stale_after` of its own."""
    crew = table.whole("crew", 1, 1, MOST_CREW)
    observers = table.flag("observers", False)
    when_full = table.choice("when_full", WHEN_FULL, "handover" if crew == 1 else "refuse")
    if when_full == "observe" and not observers:
        table.problem("when_full", "Nobody may observe at this machine.", "Write observers = true, or choose another.")
    rules = read_rules(table, lab_rules)
    status, stale_after_ms = _status(table.table("status"), table, rules.stale_after_ms, stale_is_ruled=stale_is_ruled)
    machine = Machine(
        id=identifier,
        name=table.local_text("name", identifier),
        machine_class=_machine_class(table),
        crew=crew,
        when_full=when_full,
        observers=observers,
        requires=_requires(table),
        status=status,
        rules=replace(rules, stale_after_ms=stale_after_ms),
        panel=_panel(table.table("panel")),
        production_enable=table.flag("production_enable", False),
        place=table.choice("place", PLACES, lab_place),
    )
    table.close()
    return machine


def read_reader(table: Table, identifier: str, machines: Collection[str]) -> Reader:
    """One `[[reader]]`; what the model has no word for is its protocol's own, and checked by it."""
    machine = table.optional_text("machine")
    if machine is not None and machine not in machines:
        table.problem("machine", f"There is no machine “{machine}”.", did_you_mean(machine, machines))
    port = table.text("port", required=True)
    protocol = table.text("protocol", required=True)
    confirm = table.whole("confirm", Reader.confirm, 1, 2)
    baud = table.optional_whole("baud", 50, HIGHEST_BAUD)
    transform = table.optional_text("transform")
    options = table.rest()
    if transform is not None:
        _ask(table, lambda _: transform_named(transform), {})
    if protocol and protocol not in registry.reader_names():
        table.problem("protocol", f"“{protocol}” is not known.", did_you_mean(protocol, registry.reader_names()))
    elif protocol:
        _ask(table, lambda tried: registry.reader(protocol, tried), options)
    return Reader(identifier, port, protocol, machine, confirm, transform, baud, options)


def read_screen(table: Table, identifier: str, readers: Collection[str], screens: int) -> Screen:
    """One `[[screen]]` of `screens`."""
    names = table.texts("readers", readers)
    if screens > 1 and "readers" not in table:
        table.problem("readers", "There is more than one screen.", "Say which readers this one answers to.")
    table.close()
    return Screen(identifier, names)


def _status(
    table: Table | None, machine: Table, ruled_ms: int | None, *, stale_is_ruled: bool
) -> tuple[StatusSource | None, int | None]:
    """The source, and the silence after which nothing is known: the machine's own, the lab's, or the dialect's."""
    if table is None:
        return None, ruled_ms
    dialect = table.text("dialect", required=True)
    power = _power(table)
    own = machine if "stale_after" in machine else table
    if "stale_after" in machine and "stale_after" in table:
        table.problem("stale_after", "The machine says it too.", "Keep one of the two.")
    stale_after_ms = own.duration_or_never("stale_after", ruled_ms)
    table.duration_or_never("stale_after", None)
    options = table.rest()
    if dialect and dialect not in registry.machine_names():
        table.problem("dialect", f"“{dialect}” is not known.", did_you_mean(dialect, registry.machine_names()))
    elif dialect:
        if dialect in DESCRIBED:
            _check_meaning(table, power, "states" in options)
        # Asked again after a slip, a source may lack the topic that was refused.
        instance = _ask(table, lambda tried: registry.machine(dialect, tried, any_topic=tried is not options), options)
        if instance is not None and "stale_after" not in own and not stale_is_ruled:
            stale_after_ms = instance.default_stale_after_ms
    return StatusSource(dialect, options, power), stale_after_ms


def _check_meaning(table: Table, power: PowerThresholds | None, has_states: bool) -> None:
    """A described source tells either words, which `states` lists, or watts, which the thresholds judge."""
    if has_states and power is not None:
        table.problem(
            "running_above_w", "It has no meaning beside states.", "Keep the one that the topic really tells."
        )
    if not has_states and "running_above_w" not in table:
        remedy = 'Write states = {RUN = "running"} for words, or running_above_w = 350 for watts.'
        table.problem(None, "Nothing says what its values mean.", remedy)


def _power(table: Table) -> PowerThresholds | None:
    """Watts to states; the thresholds must not cross (hours, section 2)."""
    running = table.optional_number("running_above_w")
    idle = table.optional_number("idle_below_w")
    off = table.optional_number("off_below_w")
    on_delay_ms = table.duration("on_delay", 0)
    off_delay_ms = table.duration("off_delay", 0)
    if running is None:
        if "running_above_w" not in table:
            for key in ("idle_below_w", "off_below_w", "on_delay", "off_delay"):
                if key in table:
                    table.problem(key, "It has no meaning without running_above_w.", "Write running_above_w = 350.")
        return None
    if running == 0:
        table.problem("running_above_w", "Every machine draws 0 W or more.", "Write the watts it draws at work.")
    if idle is not None and idle > running:
        table.problem("idle_below_w", f"{idle:g} is above running_above_w, {running:g}.", "Write at most that.")
    idle = running if idle is None else idle
    if off is not None and off > idle:
        table.problem("off_below_w", f"{off:g} is above idle_below_w, {idle:g}.", "Write at most that.")
    return PowerThresholds(running, idle, off, on_delay_ms, off_delay_ms)


def _machine_class(table: Table) -> str | None:
    name = table.optional_text("class")
    if name is not None and not _CLASS.fullmatch(name):
        table.problem("class", f"“{name}” has letters a class cannot have.", "Use a-z, 0-9, “-” and “_”.")
        return None
    return name


def _requires(table: Table) -> tuple[str, ...]:
    """Ids of qualifications; none may end like a date, which the roster writes behind an id."""
    names = table.texts("requires")
    for name in names:
        if not QUALIFICATION.fullmatch(name):
            table.problem("requires", f"“{name}” is not an id of a qualification.", "Write it like “briefing:cnc”.")
        elif _DATE_AT_END.search(name):
            table.problem("requires", f"“{name}” ends with a date.", "The date stands with the person, not here.")
    return names


def _panel(table: Table | None) -> Panel | None:
    """Lamps, buzzer and relay, each on a pin of its own."""
    if table is None:
        return None
    pins = {key: table.optional_whole(key, 0, HIGHEST_PIN) for key in ("green", "red", "buzzer", "relay")}
    used = [pin for pin in pins.values() if pin is not None]
    for pin in sorted({pin for pin in used if used.count(pin) > 1}):
        table.problem(None, f"Pin {pin} is used twice.", "Give each part a pin of its own.")
    table.close()
    return Panel(**pins)


def _ask(table: Table, make: Callable[[Mapping[str, object]], T], options: Mapping[str, object]) -> T | None:
    """What the protocol or dialect makes of its options, or `None` where it refuses them.

    It is asked again without each key it refused, so that one slip does not hide the next.
    """
    tried, refused = options, set[str]()
    while True:
        try:
            made = make(tried)
        except OptionError as error:
            if error.key in refused:
                return None
            what, _, remedy = error.message.partition("; ")
            what = what if what.startswith("there is") else f"“{error.key}” {what}"
            table.problem(error.key, sentence(what), sentence(remedy or "correct it, or leave it out"))
            refused.add(error.key)
            tried = _without(tried, error.key)
        except (registry.RegistryError, ImportError) as error:
            table.problem(None, sentence(str(error)), "Uninstall or update the package that brings it.")
            return None
        else:
            return None if refused else made


def _without(options: Mapping[str, object], key: str) -> dict[str, object]:
    """The options without `key`, which may be one value of a table, as in `states.RUN`."""
    head, _, tail = key.partition(".")
    left = {name: value for name, value in options.items() if name != head}
    inner = options.get(head)
    if tail and isinstance(inner, Mapping) and len(inner) > 1:
        left[head] = {name: value for name, value in inner.items() if name != tail}
    return left
