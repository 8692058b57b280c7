"""Trying the broker, and what each machine's source says on it for a while."""

from __future__ import annotations

import difflib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware_bridge import registry
from firmware_bridge.machines.base import Asked, Gone, Ignored, Rejected, Reported
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_topics import Routes, fewest
from firmware_bridge.probe import dialects
from firmware_bridge.probe.overhear import BrokerError, Message, Overheard, overhear
from firmware_bridge.probe.rhythm import ROOM, Rhythm, too_short
from kiosk.cli.finding import Finding, from_words, seconds
from lab_config.durations import format_duration
from lab_config.model import Lab, Machine

EVERYTHING = "#"
SWITCH_IT = "It speaks of changes only: switch the machine, and look again."
SIMILAR = 0.6
SIMILAR_MAX = 3
UNMAPPED_MAX = 5


@dataclass
class Source:
    """One machine's, and what it told while we listened."""

    machine: Machine
    filters: tuple[str, ...]
    kinds: Counter[str] = field(default_factory=Counter)
    """`live` and `kept` signs of life, `mapped`, `gone`, `ignored`, `rejected`."""
    unmapped: Counter[str] = field(default_factory=Counter)
    why: str = ""
    """The last reason of what was ignored or rejected."""
    rhythm: Rhythm = field(default_factory=Rhythm)
    last: tuple[str, bytes] | None = None


def try_broker(broker: Broker) -> Finding:
    """Connect to the broker as the kiosk would, and leave again."""
    try:
        overhear(broker, (), 0, threading.Event(), lambda _: ())
    except BrokerError as error:
        return from_words(f"broker, {broker.where}", str(error))
    return Finding(f"broker, {broker.where}", True, "it answers.")


def try_sources(lab: Lab, broker: Broker, listen_s: float, stopping: threading.Event) -> list[Finding]:
    """The broker first; then each machine that has a source."""
    made = {
        machine.id: registry.machine(machine.status.dialect, machine.status.options)
        for machine in lab.machines
        if machine.status is not None
    }
    sources = [Source(lab.machine(name), dialect.topics()) for name, dialect in made.items()]
    routes = Routes({place: source.filters for place, source in enumerate(sources)})

    def hear(message: Message) -> list[Asked]:
        asked: list[Asked] = []
        for place in routes.concerned(message.topic):
            source = sources[place]
            told = made[source.machine.id].translate(message.topic, message.payload, message.retained)
            asked += [one for one in told if isinstance(one, Asked)]
            _count(source, message, told)
        return asked

    device = f"broker, {broker.where}"
    greetings = [asked for dialect in made.values() for asked in dialect.greeting()]
    wanted = fewest(name for source in sources for name in source.filters)
    try:
        heard = overhear(broker, (EVERYTHING,), listen_s if sources else 0, stopping, hear, greetings)
        if heard.refused:
            heard = overhear(broker, wanted, listen_s, stopping, hear, greetings)
    except BrokerError as error:
        return [from_words(device, str(error))]
    if heard.refused:
        remedy = "Let the kiosk's user read them in the broker's access list."
        said = Finding(device, False, f"it does not send us {', '.join(heard.refused)}.", remedy)
    else:
        said = Finding(device, True, f"it answers; {_counted(len(heard.alive()), 'topic')} spoke.")
    return [said, *(_judged(source, heard, listen_s) for source in sources)]


def _count(source: Source, message: Message, told: Sequence[object]) -> None:
    source.last = message.topic, message.payload
    for one in told:
        match one:
            case Reported():
                source.kinds["kept" if message.retained else "live"] += 1
                if not message.retained:
                    source.rhythm.heard(message.at_ms)
                if one.unmapped:
                    source.unmapped[one.detail.partition(":")[2].strip()] += 1
                elif one.state is not None or one.power_w is not None:
                    source.kinds["mapped"] += 1
            case Gone(detail):
                source.kinds["gone"] += 1
                source.why = detail
            case Ignored(why) | Rejected(why):
                source.kinds[type(one).__name__.lower()] += 1
                source.why = why
            case _:
                pass


def _judged(source: Source, heard: Overheard, listen_s: float) -> Finding:
    """What is wrong with one machine's source, the worst alone."""
    machine = source.machine
    named = machine.status.options.get("topic") if machine.status is not None else None
    device = f"machine {machine.id}, {named or ', '.join(source.filters)}"
    stale_ms, period_ms = machine.rules.stale_after_ms, source.rhythm.period_ms
    kinds = source.kinds
    listened = seconds(int(listen_s * 1000))
    if not kinds:
        return _silent(device, source, heard, listened)
    if kinds["gone"] and not kinds["live"]:
        remedy = "Switch it on, and look at its link to the broker."
        return Finding(device, False, f"its source says that it is not there ({source.why}).", remedy)
    if not kinds["live"] and not kinds["kept"]:
        return _not_understood(device, source)
    if source.unmapped and not kinds["mapped"]:
        return Finding(device, False, f"it speaks, but its values are not mapped: {_values(source)}.", _states(source))
    if not kinds["live"]:
        kept = f"the broker keeps a state of it, but it said nothing itself in {listened}."
        if stale_ms is None:
            return Finding(device, True, kept, SWITCH_IT, look=True)
        remedy = "What was kept is no evidence of now: look whether the device runs, or listen longer (--listen 5min)."
        return Finding(device, True, kept, remedy, look=True)
    if too_short(stale_ms, period_ms):
        assert stale_ms is not None
        assert period_ms is not None
        return _repeats_too_slowly(device, stale_ms, period_ms)
    if source.unmapped:
        return Finding(
            device, True, f"some of its values are not mapped: {_values(source)}.", _states(source), look=True
        )
    every = f", every {seconds(period_ms)}" if period_ms is not None else ""
    return Finding(device, True, f"it speaks{every}.")


def _silent(device: str, source: Source, heard: Overheard, listened: str) -> Finding:
    """Nothing on its topics, not even kept."""
    near = similar(source.filters, heard.alive())
    detail = f"nothing was said there in {listened}."
    if near:
        return Finding(device, False, detail, f"Is it one of these, which spoke now: {', '.join(near)}?")
    if source.machine.rules.stale_after_ms is None:
        return Finding(device, True, detail, SWITCH_IT, look=True)
    remedy = "Look whether the device runs and knows this broker; if it seldom speaks, listen longer (--listen 5min)."
    return Finding(device, False, detail, remedy)


def _not_understood(device: str, source: Source) -> Finding:
    """Messages came, and none was a sign of life."""
    assert source.machine.status is not None
    dialect = source.machine.status.dialect
    detail = f"it speaks, but says nothing that {dialect} knows ({source.why})."
    found = dialects.recognise(*source.last) if source.last is not None else None
    if found is not None and found[0] != dialect:
        return Finding(device, False, detail, f"{found[0]} reads it: sheber listen mqtt proposes the line to write.")
    return Finding(device, False, detail, "sheber listen mqtt shows what is said and proposes the line to write.")


def _repeats_too_slowly(device: str, stale_ms: int, period_ms: int) -> Finding:
    stale = format_duration(stale_ms)
    detail = f"it repeats itself every {seconds(period_ms)}, and after {stale} of silence it counts as lost."
    remedy = f'Write stale_after = "{format_duration(enough_ms(period_ms))}", or let the device speak more often.'
    return Finding(device, True, detail, remedy, look=True)


def enough_ms(period_ms: int) -> int:
    """A `stale_after` with room for a lost message, rounded up to what people write, in milliseconds."""
    least_ms = int(ROOM * period_ms)
    step_ms = next(step for step in (1_000, 5_000, 60_000) if least_ms < 60 * step or step == 60_000)
    return -(-least_ms // step_ms) * step_ms


def similar(wanted: Sequence[str], alive: Sequence[str]) -> list[str]:
    """Topics that spoke and are called nearly as one of those that were wanted."""
    plain = {topic.lower(): topic for topic in alive}
    names = [name.replace("/#", "").replace("/+", "").lower() for name in wanted]
    near = [each for name in names for each in difflib.get_close_matches(name, plain, SIMILAR_MAX, SIMILAR)]
    return [plain[each] for each in dict.fromkeys(near)][:SIMILAR_MAX]


def _values(source: Source) -> str:
    return ", ".join(f"“{value}”" for value, _ in source.unmapped.most_common(UNMAPPED_MAX))


def _states(source: Source) -> str:
    value = source.unmapped.most_common(1)[0][0]
    state = dialects.known_word(value) or "running"
    return f'Say what each means, as in states = {{"{value}" = "{state}"}}.'


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
