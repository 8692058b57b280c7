"""What a real kiosk says over a real broker, and that its permission falls whatever the process dies of."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk import office
from kiosk.commands import ImportPeople, LockMachine
from tests.conftest import Broker
from tests.file_pins import Board
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR, of_type, write_lab
from tests.mqtt_fixtures import client
from tests.patience import PATIENCE_S, at_best

Wait = Callable[..., Any]
LIMIT_S = 2.0
LAST_WORD_S = 0.6
"""So long after a death a permission that was on its way may still arrive."""
"""Contract, section 7: silence of 2 s means 0, and the signal falls within 2 s of any death of the process."""
TOPIC = "sheber/test-w1/machine/mill-1"
ENABLE = f"{TOPIC}/enable"
STATUS = "sheber/test-w1/kiosk/status"
ENABLED = """name = "Mill"
production_enable = true
observers = true
requires = ["briefing:cnc"]
panel = {green = 17, red = 27, buzzer = 22, relay = 5}
"""
BRIEFED = replace(AIGERIM, qualifications=(("briefing:cnc", None),))
UNBRIEFED = PYOTR


@dataclass
class Ear:
    """Another client of the broker; each word with the moment it came at."""

    words: list[tuple[float, str, str, bool, int]] = field(default_factory=list)

    def of(self, topic: str) -> list[str]:
        return [payload for _, heard, payload, _, _ in self.words if heard == topic]

    def last_s(self, topic: str, payload: str) -> float:
        return max(moment for moment, heard, said, _, _ in self.words if (heard, said) == (topic, payload))


@contextmanager
def listening(broker: Broker) -> Iterator[Ear]:
    ear = Ear()
    other = paho.Client(paho.CallbackAPIVersion.VERSION2)
    other.on_message = lambda _c, _u, m: ear.words.append(
        (time.monotonic(), m.topic, bytes(m.payload).decode(), m.retain, m.qos)
    )
    other.connect(broker.host, broker.port)
    other.subscribe("sheber/#", 1)
    other.loop_start()
    try:
        yield ear
    finally:
        other.disconnect()
        other.loop_stop()


@dataclass
class Workshop:
    """A mill with a reader, a broker and a board with pins; the kiosk is `sheber run` in a process of its own."""

    folder: Path
    broker: Broker
    reader: VirtualReader
    board: Board
    wait: Wait

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        lab = write_lab(self.folder / "lab", {"mill-1": self.reader.port}, mqtt_port=self.broker.port)
        lab.write_text(lab.read_text().replace('name = "Mill"\n', ENABLED))
        log = self.folder / "run.log"
        log.write_bytes(b"")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "kiosk", "run", "--lab", str(lab), "--data", str(self.data)],
                stdout=output,
                stderr=output,
                env=self.board.environment,
            )
        try:
            self.wait(lambda: "staff side" in log.read_text(), 20, f"the start; see {log}")
            office.perform(self.data, ImportPeople((BRIEFED, UNBRIEFED, MASTER)))
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def tap(self, person: Any) -> None:
        """A badge at the mill; returns when it is written down."""
        types = ("session_opened", "session_closed", "tap_refused", "tap_read")
        before = sum(len(of_type(self.data, each)) for each in types)
        self.reader.tap(person.badges[0])
        self.wait(lambda: sum(len(of_type(self.data, each)) for each in types) > before, what="the entry")

    def lock(self, locked: bool) -> None:
        office.perform(self.data, LockMachine("mill-1", locked, "i1"))


@pytest.fixture
def workshop(tmp_path: Path, mosquitto: Broker, wait_until: Wait) -> Iterator[Workshop]:
    reader = VirtualReader("rdm6300")
    yield Workshop(tmp_path, mosquitto, reader, Board(tmp_path / "board"), wait_until)
    reader.close()


def test_an_operator_permits_twice_a_second_and_nothing_of_it_is_retained(workshop: Workshop, wait_until: Wait) -> None:
    with listening(workshop.broker) as ear, workshop.running():
        wait_until(lambda: ear.of(STATUS), what="the kiosk")
        assert ear.of(ENABLE) == []
        workshop.tap(AIGERIM)
        wait_until(lambda: len(ear.of(ENABLE)) >= 5, what="the beats")
        beats = [(moment, said, retain, qos) for moment, topic, said, retain, qos in ear.words if topic == ENABLE]
        assert {(said, retain, qos) for _, said, retain, qos in beats} == {("1", False, 1)}
        gaps = [later[0] - sooner[0] for sooner, later in pairwise(beats)]
        assert max(gaps) < 1.0
        with client(workshop.broker.host, workshop.broker.port, ENABLE) as late:
            wait_until(lambda: late.heard, what="a beat")
            assert late.heard[0][2] is False
        assert workshop.board.level(5) == 1


def test_the_permission_ends_with_the_session_and_with_a_lock_and_returns_with_the_key(
    workshop: Workshop, wait_until: Wait
) -> None:
    with listening(workshop.broker) as ear, workshop.running():
        workshop.tap(AIGERIM)
        wait_until(lambda: ear.of(ENABLE)[-1:] == ["1"], what="the permission")
        workshop.lock(True)
        wait_until(lambda: ear.of(ENABLE)[-1:] == ["0"], what="the end by the lock")
        wait_until(lambda: workshop.board.level(5) == 0, what="the relay")
        workshop.lock(False)
        wait_until(lambda: ear.of(ENABLE)[-1:] == ["1"], what="the key")
        wait_until(lambda: workshop.board.level(5) == 1, what="the relay")
        office.perform(workshop.data, ImportPeople((replace(BRIEFED, active=False), UNBRIEFED, MASTER)))
        wait_until(lambda: ear.of(ENABLE)[-1:] == ["0"], what="the end by the roster")


def test_whoever_only_watches_permits_nothing(workshop: Workshop, wait_until: Wait) -> None:
    with listening(workshop.broker) as ear, workshop.running():
        workshop.tap(UNBRIEFED)
        wait_until(lambda: json.loads((ear.of(f"{TOPIC}/session") or ["{}"])[-1]).get("occupied"), what="the watcher")
        assert ear.of(ENABLE) == []
        assert workshop.board.level(5) in (None, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_permission_falls_and_the_status_is_offline_within_2_s_of_any_death(
    workshop: Workshop, wait_until: Wait, number: signal.Signals
) -> None:
    def fallen_s() -> float:
        with listening(workshop.broker) as ear, workshop.running() as process:
            if not of_type(workshop.data, "session_opened"):  # after a death the session goes on
                workshop.tap(AIGERIM)
            wait_until(lambda: ear.of(ENABLE) and workshop.board.level(5) == 1, what="the permission")
            died_s = time.monotonic()
            process.send_signal(number)
            wait_until(lambda: ear.of(STATUS)[-1] == "offline", what="the will")
            offline_s = time.monotonic()
            wait_until(lambda: workshop.board.level(5) == 0, what="the relay")
            process.wait(PATIENCE_S)
            wait_until(lambda: time.monotonic() > died_s + LIMIT_S, what="two seconds")
            low_s, permitted_s = workshop.board.history(5)[-1][0], ear.last_s(ENABLE, "1")
            return max(offline_s - died_s, low_s - died_s, (permitted_s - died_s) * LIMIT_S / LAST_WORD_S)

    assert at_best(fallen_s, LIMIT_S, 3) < LIMIT_S


def test_a_kiosk_that_stands_still_permits_nothing(workshop: Workshop, wait_until: Wait) -> None:
    with listening(workshop.broker) as ear, workshop.running() as process:
        workshop.tap(AIGERIM)
        wait_until(lambda: ear.of(ENABLE) and workshop.board.level(5) == 1, what="the permission")

        def fallen_s() -> float:
            stopped_s = time.monotonic()
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: workshop.board.level(5) == 0, what="the relay")
            low_s = time.monotonic() - stopped_s
            permitted_s = ear.last_s(ENABLE, "1") - stopped_s
            process.send_signal(signal.SIGCONT)
            wait_until(lambda: workshop.board.level(5) == 1, what="the return")
            return max(low_s, permitted_s * LIMIT_S / LAST_WORD_S)

        assert at_best(fallen_s, LIMIT_S) < LIMIT_S


def test_after_a_death_the_next_start_says_what_is_true_now(workshop: Workshop, wait_until: Wait) -> None:
    with workshop.running() as process:
        with client(workshop.broker.host, workshop.broker.port) as mill:
            wait_until(lambda: of_type(workshop.data, "state_changed") or mill.say("lab/mill-1", '{"state":"RUN"}'))
        workshop.tap(AIGERIM)
        with listening(workshop.broker) as ear:
            wait_until(lambda: '"occupied":true' in "".join(ear.of(f"{TOPIC}/session")[-1:]), what="the session")
            wait_until(lambda: ear.of(f"{TOPIC}/state")[-1:] == ["running"], what="the state")
            before = json.loads(ear.of(f"{TOPIC}/session")[-1])
        process.kill()
        process.wait()
    with workshop.running(), listening(workshop.broker) as ear:
        wait_until(lambda: ear.of(f"{TOPIC}/state")[-1:] == ["unknown"], what="the state")
        wait_until(lambda: ear.of(ENABLE), what="the permission of the session that goes on")
        assert json.loads(ear.of(f"{TOPIC}/session")[-1]) == before
        assert ear.of(STATUS)[-1] == "online"


def test_nothing_that_is_said_is_about_a_person(workshop: Workshop, wait_until: Wait) -> None:
    with listening(workshop.broker) as ear, workshop.running():
        workshop.tap(AIGERIM)
        wait_until(lambda: ear.of(ENABLE), what="the permission")
        (opened,) = of_type(workshop.data, "session_opened")
        said = " ".join(f"{topic} {payload}" for _, topic, payload, _, _ in ear.words)
        for personal in ("p1", "Ахметова", "Айгерім", "0F00448FB0", opened["person_ref"], opened["badge_ref"], "S-1"):
            assert personal not in said
        for word in ("safety", "interlock"):
            assert word not in said


def test_a_kiosk_without_pins_records_and_says_once_why_its_panel_is_dark(workshop: Workshop, wait_until: Wait) -> None:
    workshop.board.environment["GPIOZERO_PIN_FACTORY"] = "none-such"
    with workshop.running():
        workshop.tap(AIGERIM)
        wait_until(lambda: "cannot be driven" in (workshop.folder / "run.log").read_text(), what="the words")
        assert (workshop.folder / "run.log").read_text().count("no panel: ") == 1
        assert len(of_type(workshop.data, "session_opened")) == 1


def test_a_lamp_answers_only_once_the_entry_is_on_disk(workshop: Workshop, wait_until: Wait) -> None:
    with workshop.running():
        wait_until(lambda: workshop.board.level(17) == 0, what="the lamp")
        with closing(sqlite3.connect(workshop.data / "kiosk.db", isolation_level=None)) as slow_disk:
            slow_disk.execute("BEGIN IMMEDIATE")
            workshop.reader.tap(AIGERIM.badges[0])
            until_s = time.monotonic() + 0.7
            wait_until(lambda: time.monotonic() > until_s, what="a while")
            assert workshop.board.level(17) == 0
            slow_disk.execute("ROLLBACK")
        wait_until(lambda: workshop.board.level(17) == 1, what="green")
        assert len(of_type(workshop.data, "session_opened")) == 1
