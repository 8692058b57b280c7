"""The whole kiosk on real parts: pseudo-terminals, mosquitto, its own processes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk import office
from kiosk.commands import CommandRefused, ImportPeople
from tests.conftest import Broker
from tests.kiosk_fixtures import AIGERIM, PEOPLE, PYOTR, ledger, of_type, running_kiosk, write_lab

Wait = Callable[..., object]


def publish(broker: Broker, topic: str, payload: str) -> None:
    """One message from a machine."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def test_a_badge_and_a_machine_become_a_session_in_the_ledger(
    tmp_path: Path, mosquitto: Broker, wait_until: Wait
) -> None:
    with running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, readers):
        wait_until(lambda: kiosk._status().broker, what="the broker")
        publish(mosquitto, "lab/mill-1", '{"state": "RUN"}')
        readers["mill-1"].tap(AIGERIM.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        wait_until(lambda: of_type(tmp_path / "data", "state_changed"), what="the state")
    (opened,) = of_type(tmp_path / "data", "session_opened")
    (changed,) = of_type(tmp_path / "data", "state_changed")
    assert (opened["machine"], opened["process"], changed["state"]) == ("mill-1", "CNC3", "running")


@pytest.mark.parametrize("payload", ["not JSON", '{"state": NaN}', '{"other": 1}', "", '{"state":' + "[" * 100])
def test_a_payload_that_tells_nothing_is_counted_and_listening_goes_on(
    tmp_path: Path, mosquitto: Broker, wait_until: Wait, payload: str
) -> None:
    with running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, _):
        wait_until(lambda: kiosk._status().broker, what="the broker")
        publish(mosquitto, "lab/mill-1", payload)
        publish(mosquitto, "lab/mill-1", '{"state": "RUN"}')
        wait_until(lambda: of_type(tmp_path / "data", "state_changed"), what="the state after it")
        assert kiosk._status().counters["mqtt_rejected_total"] == 1


def test_how_often_a_source_speaks_and_what_nobody_explained_is_measured_while_it_runs(
    tmp_path: Path, mosquitto: Broker, wait_until: Wait
) -> None:
    with running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, readers):
        wait_until(lambda: kiosk._status().broker, what="the broker")
        for payload in ('{"state": "RUN"}', '{"state": "RUN"}', '{"state": "OILING"}'):
            publish(mosquitto, "lab/mill-1", payload)
        readers["mill-1"].raw(b"\x02" + b"0" * 11 + b"1\x03")
        wait_until(lambda: kiosk._status().readers["mill-1"].rejected.get("checksum"), what="the rejection")
        source = wait_until(
            lambda: (found := kiosk._status().sources["mill-1"]).period_ms is not None and found, 5, "the period"
        )
    assert (source.outcomes, source.unmapped) == ({"reported": 2, "unmapped": 1}, "OILING")  # type: ignore[attr-defined]
    assert 0 <= source.period_ms < 5_000  # type: ignore[attr-defined]


def test_the_kiosk_says_machine_states_and_occupancy_and_nothing_about_the_person(
    tmp_path: Path, mosquitto: Broker, wait_until: Wait
) -> None:
    heard: dict[str, str] = {}
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _u, message: heard.__setitem__(message.topic, message.payload.decode())
    client.connect(mosquitto.host, mosquitto.port)
    client.subscribe("sheber/#", qos=1)
    client.loop_start()
    with running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, readers):
        wait_until(lambda: kiosk._status().broker, what="the broker")
        publish(mosquitto, "lab/mill-1", '{"state": "RUN"}')
        readers["mill-1"].tap(AIGERIM.badges[0])
        wait_until(lambda: "sheber/test-w1/machine/mill-1/session" in heard, what="the occupancy")
        wait_until(lambda: heard.get("sheber/test-w1/machine/mill-1/state") == "running", what="the state")
        assert heard["sheber/test-w1/kiosk/status"] == "online"
    wait_until(lambda: heard["sheber/test-w1/kiosk/status"] == "offline", what="the farewell")
    client.disconnect()
    client.loop_stop()
    session = json.loads(heard["sheber/test-w1/machine/mill-1/session"])
    assert (session["occupied"], set(session)) == (True, {"occupied", "since_ms"})


def test_taps_are_recorded_while_no_broker_is_there_and_states_once_it_comes(
    tmp_path: Path, mosquitto: Broker, wait_until: Wait
) -> None:
    mosquitto.stop()
    with running_kiosk(tmp_path, mqtt_port=mosquitto.port) as (kiosk, readers):
        readers["lathe-1"].tap(PYOTR.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        mosquitto.start()
        wait_until(lambda: kiosk._status().broker, what="the broker")
        publish(mosquitto, "lab/mill-1", '{"state": "RUN"}')
        wait_until(lambda: of_type(tmp_path / "data", "state_changed"), what="the state")


def test_a_reader_that_is_unplugged_is_shown_and_heard_again_after_the_plug(tmp_path: Path, wait_until: Wait) -> None:
    with running_kiosk(tmp_path) as (kiosk, readers):
        wait_until(lambda: kiosk._status().readers["mill-1"].connected, what="the port")
        readers["mill-1"].unplug()
        wait_until(lambda: not kiosk._status().readers["mill-1"].connected, what="the loss")
        assert kiosk._status().readers["mill-1"].detail
        readers["mill-1"].replug()
        wait_until(lambda: kiosk._status().readers["mill-1"].connected, what="the port again")
        readers["mill-1"].tap(AIGERIM.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")


def test_noise_a_wrong_checksum_and_half_a_frame_are_counted_and_the_next_card_is_read(
    tmp_path: Path, wait_until: Wait
) -> None:
    with running_kiosk(tmp_path) as (kiosk, readers):
        wait_until(lambda: kiosk._status().readers["mill-1"].connected, what="the port")
        readers["mill-1"].raw(b"\xff\x00noise\x02" + b"0F00448FB0FF\x03" + b"\x020F0044")
        readers["mill-1"].tap(AIGERIM.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        counters = kiosk._status().counters
        assert counters["serial_rejected_checksum_total"] == 1
        assert counters["serial_rejected_framing_total"] >= 2
        assert of_type(tmp_path / "data", "tap_refused") == []


def test_a_command_from_beside_is_carried_out_by_the_running_kiosk(tmp_path: Path) -> None:
    with running_kiosk(tmp_path):
        done = office.perform(tmp_path / "data", ImportPeople(PEOPLE))
        assert done.value == len(PEOPLE)


def test_a_command_from_beside_is_carried_out_on_the_files_while_no_kiosk_runs(tmp_path: Path) -> None:
    with running_kiosk(tmp_path):
        before = len(ledger(tmp_path / "data"))
    done = office.perform(tmp_path / "data", ImportPeople(PEOPLE))
    assert done.value == len(PEOPLE)
    assert len(ledger(tmp_path / "data")) == before + 1  # its own boot_started


def test_a_refusal_reaches_whoever_asked_over_the_socket(tmp_path: Path) -> None:
    with running_kiosk(tmp_path), pytest.raises(CommandRefused) as refused:
        office.perform(
            tmp_path / "data", ImportPeople((PYOTR.__class__("p7", "apprentice", "A", "B", badges=PYOTR.badges),))
        )
    assert refused.value.code == "badge_taken"


def test_demo_tap_exists_only_in_the_demo(tmp_path: Path) -> None:
    with running_kiosk(tmp_path) as (kiosk, _):
        request = urllib.request.Request(
            f"{kiosk.addresses[0]}/demo/tap", data=b'{"reader":"mill-1","badge":"0F00448FB0"}'
        )
        request.add_header("Content-Type", "application/json")
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request, timeout=40)
        assert answer.value.code == 404
        answer.value.close()


@contextmanager
def run_process(folder: Path, ports: dict[str, str], **lab: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`sheber run` as a user starts it."""
    path = write_lab(folder / "lab", ports, **lab)
    with (folder / "run.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kiosk", "run", "--lab", str(path), "--data", str(folder / "data")],
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def is_up(folder: Path) -> bool:
    """Does the control socket of the kiosk exist?"""
    return (folder / "data" / "control.sock").exists()


def test_run_stops_cleanly_when_told_to(tmp_path: Path, wait_until: Wait) -> None:
    with run_process(tmp_path, {}) as process:
        wait_until(lambda: "staff side" in (tmp_path / "run.log").read_text(), what="the start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert not is_up(tmp_path)


def test_a_clerk_that_cannot_write_ends_the_process_with_a_status(tmp_path: Path, wait_until: Wait) -> None:
    reader = VirtualReader("rdm6300")
    with run_process(tmp_path, {"mill-1": reader.port}) as process:
        wait_until(lambda: "staff side" in (tmp_path / "run.log").read_text(), what="the start")
        with sqlite3.connect(tmp_path / "data" / "kiosk.db") as connection:
            connection.execute("DROP TABLE badges")
        connection.close()
        reader.tap(AIGERIM.badges[0])
        assert process.wait(40) != 0
    reader.close()
    assert "the thread clerk died" in (tmp_path / "run.log").read_text()


def test_a_second_kiosk_on_the_same_data_says_so_in_a_sentence(tmp_path: Path, wait_until: Wait) -> None:
    with run_process(tmp_path, {}):
        wait_until(lambda: "staff side" in (tmp_path / "run.log").read_text(), what="the start")
        second = subprocess.run(
            [sys.executable, "-m", "kiosk", "run", "--lab", str(tmp_path / "lab"), "--data", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert second.returncode == 1
    assert "another process writes" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_tap_that_was_shown_survives_kill_9(tmp_path: Path, wait_until: Wait) -> None:
    reader = VirtualReader("rdm6300")
    with run_process(tmp_path, {"mill-1": reader.port}) as process:
        wait_until(lambda: "staff side" in (tmp_path / "run.log").read_text(), what="the start")
        office.perform(tmp_path / "data", ImportPeople(PEOPLE))
        reader.tap(AIGERIM.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with run_process(tmp_path, {"mill-1": reader.port}):
        wait_until(lambda: len(of_type(tmp_path / "data", "boot_started")) == 2, what="the second start")
    reader.close()
    assert len(of_type(tmp_path / "data", "session_opened")) == 1
    assert of_type(tmp_path / "data", "session_closed") == []
