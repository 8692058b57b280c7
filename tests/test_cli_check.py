"""`sheber check`, as a person types it."""

from __future__ import annotations

import json
import os
import pty
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firmware_bridge.mqtt_client import Broker
from kiosk.cli.check import check
from kiosk.cli.devices import try_clock, try_disk, try_file
from kiosk.cli.try_ports import ports_there, try_port
from kiosk.cli.try_sources import try_broker
from lab_config.demo import FOLDER
from lab_config.model import Reader


def run(*arguments: object) -> Result:
    return CliRunner().invoke(check, [str(argument) for argument in arguments], env={"SHEBER_DATA": ""})


@pytest.fixture
def line() -> Iterator[str]:
    """The name of a serial line."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def lab_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "lab.toml"
        file.write_text('[lab]\nid = "w3"\n' + text)
        return file

    return write


def test_a_good_configuration_is_one_sentence_with_counts() -> None:
    result = run("--lab", FOLDER)
    assert result.exit_code == 0
    assert result.stdout == (
        "The configuration of “demo-w3” has no problem: 9 machines, 9 readers, 3 programmes, 4 enterprises.\n"
    )


def test_every_problem_has_file_line_path_and_remedy_and_the_status_is_78(lab_file: Callable[[str], Path]) -> None:
    file = lab_file("[rules]\ndebouce = 3\n[[machine]]\nid = 'm'\ncrew = 0\n")
    result = run("--lab", file)
    assert result.exit_code == 78
    assert result.stdout.splitlines() == [
        f"{file}:4: rules.debouce: There is no key “debouce” here. Did you mean “debounce”?",
        f"{file}:7: machine[0].crew: It is 0. Write a whole number from 1 to 99.",
    ]
    assert "2 problems" in result.stderr


def test_problems_are_json_for_a_script(lab_file: Callable[[str], Path]) -> None:
    file = lab_file("[rules]\ndebouce = 3\n")
    result = run("--lab", file, "--json")
    assert result.exit_code == 78
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem == {
        "file": str(file),
        "line": 4,
        "where": "rules.debouce",
        "what": "There is no key “debouce” here.",
        "remedy": "Did you mean “debounce”?",
    }


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert run("--lab", tmp_path / "none").exit_code == 2


def test_devices_that_fail_are_marked_and_the_status_is_1(
    lab_file: Callable[[str], Path], line: str, mosquitto: Any, tmp_path: Path
) -> None:
    reader = '[[reader]]\nid = "{}"\nport = "{}"\nprotocol = "rdm6300"\n'
    file = lab_file(
        f"[mqtt]\nport = {mosquitto.port}\n" + reader.format("there", line) + reader.format("gone", tmp_path / "tty")
    )
    result = run("--lab", file, "--devices", "--listen", "1s", "--data", tmp_path / "data")
    assert result.exit_code == 1
    told = {words.split(": ")[0]: words for words in result.stdout.splitlines()[1:]}
    assert f"LOOK     reader there, {line}" in told
    assert f"PROBLEM  reader gone, {tmp_path / 'tty'}" in told
    assert f"OK       broker, 127.0.0.1:{mosquitto.port}" in told
    assert f"OK       disk, {tmp_path / 'data'}" in told
    assert any(device.endswith("clock") for device in told)
    as_json = json.loads(run("--lab", file, "--devices", "--listen", "0.2s", "--json").stdout)
    assert [device["ok"] for device in as_json["devices"]][:3] == [True, False, True]


# Ports


def reader(port: object) -> Reader:
    return Reader(id="r1", port=str(port), protocol="rdm6300")


def test_a_port_that_is_missing_lists_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "serial" / "by-id").mkdir(parents=True)
    for name in ("serial/by-id/usb-1a86", "ttyUSB0", "ttyACM1", "tty1"):
        (tmp_path / name).touch()
    finding = try_port(reader(tmp_path / "ttyUSB7"), tmp_path)
    assert not finding.ok
    there = [str(tmp_path / name) for name in ("serial/by-id/usb-1a86", "ttyUSB0", "ttyACM1")]
    assert ports_there(tmp_path) == there
    assert ", ".join(there) in finding.remedy


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "seteuid"), reason="needs to be somebody else")
def test_a_port_one_may_not_open_names_the_group_that_may(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch(mode=0)
    tmp_path.chmod(0o755)
    somebody = os.geteuid()
    try:
        if somebody == 0:
            for folder in (tmp_path.parent, tmp_path.parent.parent):
                folder.chmod(0o755)
            os.seteuid(65_534)
        finding = try_port(reader(port))
    finally:
        os.seteuid(somebody)
    assert finding.detail == "this user may not open it."
    assert "usermod -aG" in finding.remedy


def test_a_file_is_no_serial_port(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    assert try_port(reader(tmp_path / "ttyUSB0")).detail == "it is not a serial port."


def test_a_reader_over_the_network_is_tried_like_a_port(free_port: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert try_port(reader(f"socket://127.0.0.1:{server.getsockname()[1]}")).ok
    assert not try_port(reader(f"socket://127.0.0.1:{free_port()}")).ok
    assert not try_port(reader("nonsense://x")).ok


# The broker


def test_a_broker_that_is_not_there_is_told(free_port: Callable[[], int]) -> None:
    finding = try_broker(Broker(port=free_port()))
    assert "no broker answers" in finding.detail
    assert finding.remedy == "Start it, or correct [mqtt]."
    assert "no host is called broker.invalid" in try_broker(Broker(host="broker.invalid")).detail


def test_something_else_at_the_brokers_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "does not speak MQTT" in try_broker(Broker(port=server.getsockname()[1])).detail


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path, mosquitto: Any) -> None:
    broker = Broker(port=mosquitto.port, username="sheber", password_file=str(tmp_path / "none"))
    assert "mqtt.password_file cannot be read" in try_broker(broker).detail


# Files, disk and clock


@pytest.mark.parametrize(
    ("purpose", "mode", "ok"),
    [("secret of e1", 0o400, True), ("secret of e1", 0o444, False), ("web certificate", 0o444, True)],
)
def test_a_secret_is_not_everybodys_to_read(tmp_path: Path, purpose: str, mode: int, ok: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    assert try_file(purpose, tmp_path / "file").ok is ok


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    assert try_file("web key", tmp_path / "none").detail == "there is no such file."
    assert try_file("web key", tmp_path).detail == "it is a folder."


def test_the_disk_is_measured_where_the_data_folder_will_be(tmp_path: Path) -> None:
    assert "GB are free" in try_disk(tmp_path / "not" / "yet").detail


def test_the_clock_says_whether_it_is_synchronised() -> None:
    finding = try_clock()
    assert finding.ok is (finding.detail == "it is synchronised.")
    assert finding.ok or finding.remedy
