"""Every protocol and every dialect has a virtual counterpart, which means what the kiosk understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import pytest
import serial

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Gone, Reported, Told
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import BadgeSeen, BrokerChanged, MachineReported, SourceLost
from firmware_bridge.serial_link import SerialLink
from firmware_bridge.simulator.active_readers import ActiveReader
from firmware_bridge.simulator.broker import LoopbackBroker
from firmware_bridge.simulator.catalogue import MACHINES, READERS, virtual_machine, virtual_reader
from firmware_bridge.simulator.line_voices import StationVoice
from firmware_bridge.simulator.plug_voices import OVERPOWER, Shelly1Voice, Shelly2Voice
from firmware_bridge.simulator.printer_voices import BambuVoice
from firmware_bridge.simulator.spoken import VOICES
from firmware_bridge.simulator.virtual_machine import PHASES, VirtualMachine
from firmware_bridge.simulator.virtual_reader import FAULTS, VirtualReader
from firmware_bridge.simulator.voices import Doing, Said, Voice
from firmware_bridge.simulator.workshop import Workshop
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
CARDS = {"wl134a": "03843A3529A171", "pn532": "04D7A79A973780", "yrm100": "E20010710000529B0940B402"}
"""A card of the kind that each reader reads; elsewhere an EM4100's."""
EM4100 = "67003B51C6"
WATTS = ("running_above_w", "idle_below_w", "off_below_w")
LISTENS_S = 10.0


def dialect_of(status: Mapping[str, object]) -> Dialect:
    """As the lab does it: the thresholds are not the dialect's."""
    own = {key: value for key, value in status.items() if key not in ("dialect", *WATTS)}
    return registry.machine(str(status["dialect"]), own)


def understood(source: Dialect, said: list[Said]) -> list[Told]:
    return [told for one in said for told in source.translate(one.topic, one.data, one.retain)]


def test_every_dialect_there_is_has_a_virtual_machine() -> None:
    assert registry.machine_names() == MACHINES


def test_every_protocol_there_is_has_a_virtual_reader() -> None:
    assert registry.reader_names() == READERS


# -- readers, over a pseudo-terminal and the real link ----------------------------------------------------------------


class Reading:
    """A virtual reader and a link that listens to it."""

    def __init__(self, protocol: str) -> None:
        self.uid = CARDS.get(protocol, EM4100)
        self.reader = virtual_reader(protocol)
        self.inbox = Inbox()
        decoder = registry.reader(protocol, {})
        self.link = SerialLink("door", self.reader.port, decoder, self.inbox.deliver)

    def __enter__(self) -> Reading:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()
        self.reader.close()

    @property
    def badges(self) -> list[str]:
        return [one.uid for one in self.inbox.of(BadgeSeen)]

    def taps_until_read(self, wait_until: Wait) -> None:
        """A frame that comes before the port is set up is thrown away."""

        def is_read() -> bool:
            if not self.badges:
                self.reader.tap(self.uid)
            return bool(self.badges)

        wait_until(is_read, LISTENS_S, what="the badge")


@pytest.mark.parametrize("protocol", READERS)
def test_what_a_virtual_reader_says_of_a_card_is_that_card(protocol: str, wait_until: Wait) -> None:
    with Reading(protocol) as reading:
        reading.taps_until_read(wait_until)
        assert set(reading.badges) == {reading.uid}


@pytest.mark.parametrize("protocol", READERS)
def test_a_reader_that_was_unplugged_reads_again(protocol: str, wait_until: Wait) -> None:
    with Reading(protocol) as reading:
        reading.taps_until_read(wait_until)
        reading.reader.unplug()
        reading.inbox.observations.clear()
        reading.reader.replug()
        reading.taps_until_read(wait_until)


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("protocol", sorted(set(READERS) - {"pn532", "twn4", "yrm100"}))
def test_a_damaged_frame_is_no_badge_and_the_next_whole_one_is(protocol: str, fault: str) -> None:
    uid = CARDS.get(protocol, EM4100)
    reader, decoder = VirtualReader(protocol), registry.reader(protocol, {})
    if fault == "checksum" and not reader.has_checksum:
        reader.close()
        return
    with serial.serial_for_url(reader.port, timeout=0.05) as port:
        reader.fault = fault
        reader.tap(uid)
        heard = decoder.feed(port.read(256)) + decoder.finish()
        assert uid not in [getattr(event, "uid", None) for event in heard]
        reader.fault = ""
        reader.tap(uid)
        assert [getattr(event, "uid", None) for event in decoder.feed(port.read(256))] == [uid]
    reader.close()


def test_a_card_that_lies_on_the_reader_is_read_over_and_over() -> None:
    reader, decoder = VirtualReader("rdm6300"), registry.reader("rdm6300", {})
    with serial.serial_for_url(reader.port, timeout=0.05) as port:
        reader.tap(EM4100, times=5)
        assert len(decoder.feed(port.read(256))) == 5
    reader.close()


# -- what each voice means --------------------------------------------------------------------------------------------


def means(voice: Voice, state: str) -> str | None:
    return voice.MEANS.get(state, state)


@pytest.mark.parametrize("make", [*VOICES.values(), StationVoice], ids=lambda one: one.__name__)
@pytest.mark.parametrize("state", sorted(PHASES))
def test_what_a_voice_says_is_what_it_means(make: type[Voice], state: str) -> None:
    voice = make("mill-1")
    told = understood(dialect_of(voice.status()), voice.now(Doing(state, 812.0, 5.0)))
    assert all(isinstance(one, Reported | Gone) for one in told)
    reported = [one for one in told if isinstance(one, Reported)]
    assert not any(one.unmapped for one in reported)
    assert {one.state for one in reported if one.state is not None} == {means(voice, state)} - {None}
    if "running_above_w" in voice.status():
        assert 812 in [one.power_w for one in reported]


@pytest.mark.parametrize("make", [Shelly1Voice, Shelly2Voice])
def test_a_shelly_that_trips_tells_a_fault(make: type[Voice]) -> None:
    voice = make("mill-1")
    told = understood(dialect_of(voice.status()), voice.now(Doing(OVERPOWER, 4_000.0, 5.0)))
    assert {one.state for one in told if isinstance(one, Reported)} <= {"fault", None}
    assert "fault" in {one.state for one in told if isinstance(one, Reported)}


def test_a_printer_that_says_only_what_changed_is_understood_all_the_same() -> None:
    voice = BambuVoice("01S00C123456789", says_all=False)
    source = dialect_of(voice.status())
    states = [
        understood(source, voice.now(Doing(state, 0.0, 5.0))) for state in ("setup", "running", "running", "idle")
    ]
    assert [told[0].state for told in states if isinstance(told[0], Reported)] == [
        "setup",
        "running",
        "running",
        "idle",
    ]
    assert len(voice.now(Doing("idle", 0.0, 6.0))[0].data) < len(voice.answer(b"", Doing("idle", 0.0, 6.0))[0].data)


@pytest.mark.parametrize("name", sorted(VOICES))
def test_who_is_asked_at_the_start_answers_with_its_state(name: str) -> None:
    voice = VOICES[name]("mill-1")
    source = dialect_of(voice.status())
    asked = source.greeting()
    assert [one.topic for one in asked] == ([] if voice.asked_on is None else [voice.asked_on])
    for one in asked:
        told = understood(source, voice.answer(one.payload, Doing("running", 812.0, 5.0)))
        assert any(isinstance(each, Reported) and (each.state == "running" or each.power_w == 812) for each in told)


@pytest.mark.parametrize("make", [*VOICES.values(), StationVoice], ids=lambda one: one.__name__)
def test_garbage_tells_no_state(make: type[Voice]) -> None:
    voice = make("mill-1")
    for seed in range(30):
        for one in understood(dialect_of(voice.status()), [voice.garbage(Random(seed))]):
            assert not isinstance(one, Reported) or (one.state is None and one.power_w is None)


# -- over a real broker and the real link -----------------------------------------------------------------------------


class Shop:
    """Machines at six hundred times the speed, and what a real link heard of them."""

    def __init__(self, machines: Mapping[str, VirtualMachine], broker: LoopbackBroker) -> None:
        self.broker, self.inbox = broker, Inbox()
        pairs = [(name, dialect_of(machine.status)) for name, machine in machines.items()]
        self.link = MqttLink(Broker(broker.host, broker.port), pairs, self.inbox.deliver, pytest.fail)
        self.workshop = Workshop({}, machines, speed=600)

    def start(self, wait_until: Wait) -> None:
        self.link.start()
        wait_until(lambda: self.link.connected, what="the connection")
        self.workshop.start()

    def stop(self) -> None:
        self.workshop.stop()
        self.link.stop()

    def is_heard(self, name: str, phase: str) -> bool:
        """Does the machine's last word, or do its last watts, mean what it does?"""
        machine = self.workshop.machines[name]
        heard = [one for one in self.inbox.of(MachineReported) if one.machine == name]
        meant = machine.voice.MEANS.get(phase, phase)
        if phase == "off" and [one.state for one in heard][-1:] == ["off"]:
            return True
        if "running_above_w" in machine.status:
            watts = [one.power_w for one in heard if one.power_w is not None]
            return bool(watts) and abs(watts[-1] - PHASES[phase].power_w) < max(PHASES[phase].power_w / 2, 1)
        if meant is None:
            return any(one.machine == name for one in self.inbox.of(SourceLost))
        states = [one.state for one in heard if one.state is not None]
        return bool(states) and states[-1] == meant


@pytest.fixture
def broker() -> Iterator[LoopbackBroker]:
    broker = LoopbackBroker()
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def shop(broker: LoopbackBroker, wait_until: Wait) -> Iterator[Shop]:
    machines = {name: virtual_machine(name, name, host=broker.host, port=broker.port, seed=7) for name in MACHINES}
    shop = Shop(machines, broker)
    shop.start(wait_until)
    yield shop
    shop.stop()


SILENT_WHEN_OFF = {"bambu"}
"""Nobody says that it is switched off: only its silence does."""


def test_every_dialect_is_heard_over_a_real_broker_in_every_state(shop: Shop, wait_until: Wait) -> None:
    for phase in ("running", "setup", "idle", "fault", "off"):
        heard = [name for name in MACHINES if phase != "off" or name not in SILENT_WHEN_OFF]
        for name in heard:
            shop.workshop.machines[name].set_phase(phase, hold=True)
        for name in heard:
            wait_until(lambda name=name, phase=phase: shop.is_heard(name, phase), what=f"{name} {phase}")


@pytest.fixture
def one(broker: LoopbackBroker, wait_until: Wait) -> Iterator[Callable[..., Shop]]:
    shops: list[Shop] = []

    def make(dialect: str, **how: Any) -> Shop:
        where = {"host": broker.host, "port": broker.port, **how}
        shops.append(Shop({dialect: VirtualMachine(dialect, dialect, **where)}, broker))
        shops[-1].start(wait_until)
        shops[-1].workshop.machines[dialect].set_phase("running", hold=True)
        wait_until(lambda: shops[-1].is_heard(dialect, "running"), what="that it runs")
        return shops[-1]

    yield make
    for shop in shops:
        shop.stop()


def test_a_stuck_machine_goes_on_saying_what_is_no_longer_true(one: Callable[..., Shop], wait_until: Wait) -> None:
    shop = one("json")
    machine = shop.workshop.machines["json"]
    machine.set_fault("stuck")
    machine.set_phase("idle", hold=True)
    shop.inbox.observations.clear()
    wait_until(lambda: len(shop.inbox.of(MachineReported)) > 3, what="its words")
    assert {each.state for each in shop.inbox.of(MachineReported)} == {"running"}


def test_a_meter_that_reads_0_tells_0_while_the_machine_works(one: Callable[..., Shop], wait_until: Wait) -> None:
    shop = one("tasmota")
    shop.workshop.machines["tasmota"].set_fault("zero")
    wait_until(lambda: [each for each in shop.inbox.of(MachineReported) if each.power_w == 0], what="the zero")


def test_a_change_that_is_lost_is_made_good_by_the_next_repetition(one: Callable[..., Shop], wait_until: Wait) -> None:
    shop = one("shelly2")
    machine = shop.workshop.machines["shelly2"]
    machine.set_fault("lost")
    machine.set_phase("idle", hold=True)
    wait_until(lambda: shop.is_heard("shelly2", "idle"), what="the repetition")


def test_words_that_come_late_or_twice_mean_the_same(one: Callable[..., Shop], wait_until: Wait) -> None:
    shop = one("zigbee2mqtt")
    machine = shop.workshop.machines["zigbee2mqtt"]
    for fault, phase in (("late", "idle"), ("replayed", "running")):
        machine.set_fault(fault)
        machine.set_phase(phase, hold=True)
        wait_until(lambda phase=phase: shop.is_heard("zigbee2mqtt", phase), what=fault)


def test_a_stale_word_that_the_broker_kept_comes_marked_as_such(
    one: Callable[..., Shop], broker: LoopbackBroker, wait_until: Wait
) -> None:
    shop = one("json")
    machine = shop.workshop.machines["json"]
    machine.set_fault("retained")
    shop.inbox.observations.clear()
    wait_until(lambda: shop.inbox.of(MachineReported), what="what is kept")
    machine.set_fault("silence")
    later = Shop({"json": machine}, broker)
    later.link.start()
    wait_until(lambda: later.inbox.of(MachineReported), what="the kept word")
    later.link.stop()
    assert later.inbox.of(MachineReported)[0].retained


@pytest.mark.parametrize(("keeps_will", "heard_later"), [(True, True), (False, False)])
def test_a_will_that_is_not_retained_is_never_heard_by_who_comes_later(
    one: Callable[..., Shop], broker: LoopbackBroker, wait_until: Wait, keeps_will: bool, heard_later: bool
) -> None:
    shop = one("esphome", keeps_will=keeps_will)
    machine = shop.workshop.machines["esphome"]
    machine.set_fault("offline")
    wait_until(lambda: shop.inbox.of(SourceLost), what="the will")
    later = Shop({"esphome": machine}, broker)
    later.link.start()
    wait_until(lambda: later.inbox.of(MachineReported), what="what is kept")
    if heard_later:
        wait_until(lambda: later.inbox.of(SourceLost), what="the kept will")
    else:
        assert later.inbox.of(SourceLost) == []
    later.link.stop()


def test_a_machine_that_leaves_without_a_will_is_only_silent(one: Callable[..., Shop], wait_until: Wait) -> None:
    shop = one("tasmota")
    shop.workshop.machines["tasmota"].set_fault("unwilled")
    shop.broker.stop()
    wait_until(lambda: BrokerChanged(False) in shop.inbox.observations, what="the outage")
    assert shop.inbox.of(SourceLost) == []


def test_after_a_broker_that_was_gone_everybody_is_heard_again(shop: Shop, wait_until: Wait) -> None:
    wait_until(lambda: {each.machine for each in shop.inbox.of(MachineReported)} == set(MACHINES), what="everybody")
    shop.broker.stop()
    wait_until(lambda: BrokerChanged(False) in shop.inbox.observations, what="the outage")
    shop.inbox.observations.clear()
    shop.broker.start()
    wait_until(lambda: {each.machine for each in shop.inbox.of(MachineReported)} == set(MACHINES), 30, what="everybody")


def test_an_active_reader_and_a_passive_one_are_told_apart() -> None:
    kinds = {protocol: registry.reader_class(protocol) for protocol in READERS}
    for protocol, kind in kinds.items():
        reader = virtual_reader(protocol)
        assert isinstance(reader, ActiveReader) == hasattr(kind, "opening")
        reader.close()
