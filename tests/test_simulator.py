"""The workshop without hardware keeps the rules of the real one: what it says, the links understand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import pytest
import serial

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Gone, Reported, Told
from firmware_bridge.mqtt_client import Broker
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import MachineReported, SourceLost
from firmware_bridge.readers.base import Badge
from firmware_bridge.simulator.broker import LoopbackBroker
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.spoken import VOICES
from firmware_bridge.simulator.virtual_machine import FAULTS, PHASES, VirtualMachine
from firmware_bridge.simulator.virtual_reader import VirtualReader
from firmware_bridge.simulator.voices import Doing, Said
from firmware_bridge.simulator.workshop import Workshop
from tests.wires_fixtures import Inbox

Wait = Callable[..., Any]
DIALECTS = ["json", "tasmota", "text"]
"""One of each kind; tests/test_simulator_wires.py has them all."""
WATTS = ("running_above_w", "idle_below_w", "off_below_w")


def dialect_of(status: Mapping[str, object]) -> Dialect:
    """As the lab does it: the thresholds are not the dialect's."""
    own = {key: value for key, value in status.items() if key not in ("dialect", *WATTS)}
    return registry.machine(str(status["dialect"]), own)


def understood(source: Dialect, said: list[Said]) -> list[Told]:
    return [told for one in said for told in source.translate(one.topic, one.data, one.retain)]


# -- readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", sorted(FRAMES))
def test_a_tap_on_a_virtual_reader_is_the_frame_that_the_decoder_reads(protocol: str) -> None:
    uid = {"wl134a": "03843A3529A171"}.get(protocol, "67003B51C6")
    reader = VirtualReader(protocol)
    with serial.serial_for_url(reader.port, timeout=1) as port:
        reader.tap(uid)
        data = port.read(len(FRAMES[protocol](uid)))
    reader.close()
    assert registry.reader(protocol, {}).feed(data) == [Badge(uid)]


def test_a_reader_refuses_a_number_that_its_tags_cannot_have() -> None:
    with pytest.raises(ValueError, match="five bytes"):
        FRAMES["rdm6300"]("04D7A79A973780")


def test_a_port_keeps_its_name_when_the_reader_is_plugged_in_again() -> None:
    reader = VirtualReader("rdm6300")
    name = reader.port
    assert os.path.realpath(name) == reader.device
    reader.unplug()
    assert reader.device == ""
    with pytest.raises(serial.SerialException):
        serial.serial_for_url(name)
    reader.replug()
    assert reader.port == name
    serial.serial_for_url(name).close()
    reader.close()


def test_a_program_that_closes_and_opens_the_port_hears_on() -> None:
    reader = VirtualReader("line")
    serial.serial_for_url(reader.port).close()
    with serial.serial_for_url(reader.port, timeout=1) as port:
        reader.tap("AABBCCDD")
        assert port.read_until(b"\n") == b"AABBCCDD\r\n"
    reader.close()


def test_what_nobody_reads_is_lost_and_never_waited_for() -> None:
    reader = VirtualReader("rdm6300")
    reader.raw(b"x" * 100_000)
    assert reader.lost_bytes > 0
    reader.unplug()
    before = reader.lost_bytes
    reader.tap("67003B51C6")
    assert reader.lost_bytes == before + 14
    reader.close()


# -- voices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("state", sorted(PHASES))
def test_what_a_voice_says_its_dialect_understands(name: str, state: str) -> None:
    voice = VOICES[name]("mill-1")
    told = understood(dialect_of(voice.status()), voice.now(Doing(state, 812.0, 5.0)))
    assert all(isinstance(one, Reported) and not one.unmapped for one in told)
    if "running_above_w" not in voice.status():
        assert told == [Reported(state)]
    else:
        assert any(isinstance(one, Reported) and one.power_w == 812 for one in told)


@pytest.mark.parametrize("name", sorted(VOICES))
def test_a_will_means_that_the_source_is_gone(name: str) -> None:
    voice = VOICES[name]("mill-1")
    will = voice.will()
    assert will is None or isinstance(understood(dialect_of(voice.status()), [will])[0], Gone)


@pytest.mark.parametrize("name", sorted(VOICES))
def test_garbage_tells_no_state(name: str) -> None:
    voice = VOICES[name]("mill-1")
    for seed in range(50):
        for one in understood(dialect_of(voice.status()), [voice.garbage(Random(seed))]):
            assert not isinstance(one, Reported) or (one.state is None and one.power_w is None)


def test_a_plug_that_switches_off_says_so_at_once() -> None:
    voice = VOICES["tasmota"]("mill-1")
    source = dialect_of(voice.status())
    assert understood(source, voice.changed("idle", Doing("off", 0.4, 5.0))) == [Reported("off", None, "relay off")] * 2
    assert voice.changed("idle", Doing("running", 900.0, 5.0)) == []


# -- machines and the workshop ----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    def day(seed: int) -> list[str]:
        machine = VirtualMachine("mill-1", "tasmota", host="", port=0, seed=seed)
        phases = []
        for minute in range(480):
            machine.step(minute * 60.0)
            phases.append(machine.phase)
        return phases

    assert day(1) == day(1)
    assert day(1) != day(2)
    assert set(day(1)) == {"running", "setup", "idle"}
    assert day(1).count("running") > 120


@pytest.fixture
def broker() -> Iterator[LoopbackBroker]:
    broker = LoopbackBroker()
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def workshop(broker: LoopbackBroker, inbox: Inbox, wait_until: Wait) -> Iterator[Workshop]:
    """One machine of each dialect, at six hundred times the speed, with a real link listening."""
    where = {"host": broker.host, "port": broker.port}
    machines = {name: VirtualMachine(name, name, seed=7, **where) for name in DIALECTS}  # type: ignore[arg-type]
    pairs = [(name, dialect_of(machine.status)) for name, machine in machines.items()]
    link = MqttLink(Broker(broker.host, broker.port), pairs, inbox.deliver, pytest.fail)
    link.start()
    wait_until(lambda: link.connected, what="the connection")
    workshop = Workshop({"door": VirtualReader("rdm6300")}, machines, speed=600)
    workshop.start()
    yield workshop
    workshop.stop()
    link.stop()


def last(inbox: Inbox, machine: str) -> MachineReported | None:
    reports = [one for one in inbox.of(MachineReported) if one.machine == machine and (one.state or one.power_w)]
    return reports[-1] if reports else None


def means(report: MachineReported | None, phase: str) -> bool:
    if report is None:
        return False
    if report.state is not None:
        return report.state == phase
    assert report.power_w is not None
    return abs(report.power_w - PHASES[phase].power_w) < PHASES[phase].power_w / 2


def test_every_machine_is_heard_and_goes_where_it_is_sent(workshop: Workshop, inbox: Inbox, wait_until: Wait) -> None:
    for phase in ("running", "setup", "idle"):
        for machine in workshop.machines.values():
            machine.set_phase(phase, hold=True)
        wait_until(lambda phase=phase: all(means(last(inbox, name), phase) for name in DIALECTS), what=phase)


def test_a_machine_goes_on_by_itself_from_where_it_was_sent(workshop: Workshop, inbox: Inbox, wait_until: Wait) -> None:
    workshop.machines["json"].set_phase("setup")
    wait_until(lambda: means(last(inbox, "json"), "running"), what="what follows setup, within ten minutes of its own")


def test_a_silent_machine_says_nothing_until_its_fault_ends(workshop: Workshop, inbox: Inbox, wait_until: Wait) -> None:
    machine = workshop.machines["json"]
    wait_until(lambda: last(inbox, "json"), what="its first words")
    machine.set_fault("silence")
    inbox.observations.clear()
    wait_until(lambda: last(inbox, "tasmota"), what="its neighbour, twice")
    inbox.observations.clear()
    wait_until(lambda: last(inbox, "tasmota"), what="its neighbour, twice")
    assert last(inbox, "json") is None
    machine.set_fault(None)
    wait_until(lambda: last(inbox, "json"), what="its return")


@pytest.mark.parametrize("name", ["tasmota", "text"])
def test_a_machine_that_vanishes_leaves_its_will_and_comes_back(
    name: str, workshop: Workshop, inbox: Inbox, wait_until: Wait
) -> None:
    wait_until(lambda: last(inbox, name), what="its first words")
    workshop.machines[name].set_fault("offline")
    wait_until(lambda: inbox.of(SourceLost), what="the will")
    assert inbox.of(SourceLost) == [SourceLost(name, retained=False, detail="last will")]
    inbox.observations.clear()
    workshop.machines[name].set_fault(None)
    wait_until(lambda: last(inbox, name), what="its return")


def test_garbage_among_the_words_changes_nothing_that_is_heard(
    workshop: Workshop, inbox: Inbox, wait_until: Wait
) -> None:
    for machine in workshop.machines.values():
        machine.set_phase("running", hold=True)
        machine.set_fault("garbage")
    wait_until(lambda: all(means(last(inbox, name), "running") for name in DIALECTS), what="all running")


def test_a_fault_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=", ".join(FAULTS)):
        VirtualMachine("mill-1", "json", host="", port=0).set_fault("fire")
