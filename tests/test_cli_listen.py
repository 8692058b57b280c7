"""`sheber listen`, and `sheber check --devices`, on real lines and a real broker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from click.testing import CliRunner, Result

from firmware_bridge.mqtt_client import Broker
from firmware_bridge.simulator.active_readers import ActiveReader
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.misheard import misheard
from firmware_bridge.simulator.virtual_port import VirtualPort
from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.cli import main
from kiosk.cli.devices import file_system
from kiosk.cli.try_ports import lasting_name, try_port
from kiosk.cli.try_sources import try_broker
from lab_config.model import Reader
from tests.mqtt_fixtures import Authority, RudeBroker, client

CARD = "0F00448FB0"
SPEEDS = {getattr(termios, f"B{speed}"): speed for speed in (2_400, 9_600, 19_200, 38_400, 57_600, 115_200)}


class FixedSpeed(VirtualPort):
    """A reader whose speed is soldered: who listens at another one hears what a UART would make of it."""

    def __init__(self, protocol: str, baud: int) -> None:
        self._frame, self._own_baud = FRAMES[protocol], baud
        super().__init__()

    def tap(self, uid: str) -> None:
        assert self._line is not None
        listener = SPEEDS[termios.tcgetattr(self._line[1])[4]]
        sent = self._frame(uid)
        self.raw(sent if listener == self._own_baud else misheard(sent, self._own_baud, listener))


def sheber(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={"SHEBER_DATA": ""})


@contextmanager
def again_and_again(act: Callable[[], object], every_s: float = 0.3) -> Iterator[None]:
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every_s):
            act()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def line() -> Iterator[Callable[..., Any]]:
    """`line(kind, ...)`: a virtual port that is closed at the end."""
    made: list[Any] = []

    def make(kind: Callable[..., Any], *arguments: Any) -> Any:
        made.append(kind(*arguments))
        return made[-1]

    yield make
    for port in made:
        port.close()


# --- listen reader


@pytest.mark.parametrize("protocol", ["rdm6300", "id12", "gwiot7941", "wl134a"])
def test_a_reader_nobody_described_is_recognised_and_proposed(line: Callable[..., Any], protocol: str) -> None:
    port = line(VirtualReader, protocol)
    with again_and_again(lambda: port.tap("03843A3529A171" if protocol == "wl134a" else CARD)):
        result = sheber("listen", "reader", port.port, "--for", "1500ms")
    assert result.exit_code == 0, result.output
    assert "badge " in result.stdout
    assert f'protocol = "{protocol}"' in result.stdout
    assert f'port = "{port.port}"' in result.stdout


@pytest.mark.parametrize(
    "protocol", ["pn532", *(pytest.param(each, marks=pytest.mark.slow) for each in ("twn4", "yrm100"))]
)
def test_a_reader_that_must_be_asked_is_asked(line: Callable[..., Any], protocol: str) -> None:
    port = line(ActiveReader, protocol)
    port.lay("04D7A79A973780")
    result = sheber("listen", "reader", port.port, "--for", "6s")
    assert result.exit_code == 0, result.output
    assert f'protocol = "{protocol}"' in result.stdout


@pytest.mark.parametrize(
    ("protocol", "baud"),
    [
        ("id12", 57_600),
        pytest.param("rdm6300", 2_400, marks=pytest.mark.slow),
        pytest.param("rdm6300", 115_200, marks=pytest.mark.slow),
    ],
)
def test_another_speed_is_found_by_trying(line: Callable[..., Any], protocol: str, baud: int) -> None:
    port = line(FixedSpeed, protocol, baud)
    with again_and_again(lambda: port.tap(CARD), 0.6):
        result = sheber("listen", "reader", port.port, "--for", "8s")
    assert f"baud = {baud}" in result.stdout, result.output
    assert f'protocol = "{protocol}"' in result.stdout


def test_silence_says_what_to_do_and_the_status_is_1(line: Callable[..., Any]) -> None:
    result = sheber("listen", "reader", line(VirtualReader, "rdm6300").port, "--for", "500ms")
    assert result.exit_code == 1
    assert "hold a card to the reader" in result.stderr


def test_a_port_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = sheber("listen", "reader", tmp_path / "ttyUSB7", "--for", "1s")
    assert result.exit_code == 1
    assert f"{tmp_path / 'ttyUSB7'} is not there; plug the reader in" in result.stderr


def test_a_protocol_that_was_named_wrongly_is_corrected(line: Callable[..., Any]) -> None:
    port = line(VirtualReader, "id12")
    with again_and_again(lambda: port.tap(CARD)):
        result = sheber("listen", "reader", port.port, "--protocol", "rdm6300", "--for", "1500ms")
    assert "This is no rdm6300: id12 reads it." in result.stdout


def test_ctrl_c_ends_it_with_the_proposal(line: Callable[..., Any], wait_until: Callable[..., Any]) -> None:
    port = line(VirtualReader, "rdm6300")
    command = [sys.executable, "-u", "-m", "kiosk", "listen", "reader", port.port]
    with again_and_again(lambda: port.tap(CARD)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        heard = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(40) == 0
    assert CARD in heard[1]
    assert 'protocol = "rdm6300"' in rest


def test_a_lasting_name_is_proposed_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "serial/by-id").mkdir(parents=True)
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "serial/by-id/usb-1a86").symlink_to(tmp_path / "ttyUSB0")
    assert lasting_name(str(tmp_path / "ttyUSB0"), tmp_path) == str(tmp_path / "serial/by-id/usb-1a86")
    assert lasting_name("/dev/null", tmp_path) == "/dev/null"


# --- listen mqtt


def test_a_broker_is_listened_to_and_every_machine_on_it_is_proposed(mosquitto: Any) -> None:
    watts = iter([20, 900] * 1_000)
    with client(mosquitto.host, mosquitto.port) as plug:

        def speak() -> None:
            plug.say("tele/mill-1/SENSOR", f'{{"Time":"2019-03-01T12:48:40","ENERGY":{{"Power":{next(watts)}}}}}')
            plug.say("lab/saw/state", "RUN")
            plug.say("lab/saw/state", "OILING")

        with again_and_again(speak, 0.2):
            result = sheber("listen", "mqtt", "--host", mosquitto.host, "--port", mosquitto.port, "--for", "2s")
    assert result.exit_code == 0, result.output
    assert "tele/mill-1/SENSOR" in result.stdout
    assert "tasmota: 900 W" in result.stdout
    assert 'status = {dialect = "tasmota", topic = "tele/mill-1/SENSOR", running_above_w = ' in result.stdout
    assert 'status = {dialect = "text", topic = "lab/saw/state", states = {RUN = "running"}}' in result.stdout
    assert "# say in states what these values mean: OILING" in result.stdout


def test_a_broker_that_is_silent_says_so_and_the_status_is_1(mosquitto: Any) -> None:
    result = sheber("listen", "mqtt", "--port", mosquitto.port, "--for", "300ms")
    assert result.exit_code == 1
    assert "nothing was said" in result.stderr


# --- check --devices: readers


def tried(port: Any, protocol: str, baud: int | None = None, listen_s: float = 3.0) -> Any:
    return try_port(Reader("r1", port.port, protocol, baud=baud), listen_s=listen_s)


def test_frames_that_another_protocol_reads_name_it(line: Callable[..., Any]) -> None:
    port = line(VirtualReader, "id12")
    with again_and_again(lambda: port.tap(CARD)):
        finding = tried(port, "rdm6300")
    assert not finding.ok
    assert "rdm6300 rejects them" in finding.detail
    assert finding.remedy == 'Write protocol = "id12".'


def test_a_wrong_speed_is_found_and_named(line: Callable[..., Any]) -> None:
    port = line(FixedSpeed, "rdm6300", 9_600)
    with again_and_again(lambda: port.tap(CARD), 0.5):
        finding = tried(port, "rdm6300", 57_600, 6.0)
    assert finding.remedy == "Write baud = 9600."
    assert "not at 57600" in finding.detail


def test_a_card_that_is_read_is_well_at_once(line: Callable[..., Any]) -> None:
    port = line(VirtualReader, "rdm6300")
    with again_and_again(lambda: port.tap(CARD)):
        finding = tried(port, "rdm6300", listen_s=60.0)
    assert (finding.mark, finding.detail) == ("OK     ", "it reads cards.")


def test_a_silent_reader_asks_for_a_card_and_is_no_problem(line: Callable[..., Any]) -> None:
    finding = tried(line(VirtualReader, "rdm6300"), "rdm6300", listen_s=0.4)
    assert (finding.ok, finding.look) == (True, True)
    assert "Hold a card to the reader" in finding.remedy


@pytest.mark.parametrize("protocol", ["pn532", "twn4", "yrm100"])
def test_a_reader_that_answers_is_well_without_a_card(line: Callable[..., Any], protocol: str) -> None:
    assert tried(line(ActiveReader, protocol), protocol).detail == "it answers; no card was held to it."


def test_a_reader_that_does_not_answer_is_a_problem(line: Callable[..., Any]) -> None:
    port = line(ActiveReader, "pn532")
    port.fault = "silence"
    finding = tried(port, "pn532", listen_s=1.0)
    assert (finding.ok, finding.detail) == (False, "it does not answer.")


def test_a_port_that_another_program_holds_is_told(line: Callable[..., Any]) -> None:
    port = line(VirtualReader, "rdm6300")
    with serial.Serial(port.port, exclusive=True):
        finding = tried(port, "rdm6300")
    assert "holds it" in finding.detail
    assert "stop that program" in finding.remedy


# --- check --devices: sources


@pytest.fixture
def judged(tmp_path: Path, mosquitto: Any) -> Callable[..., tuple[Result, str]]:
    """`judged(machine, *messages)`: what check says of a machine while these come again and again."""

    def judge(machine: str, *messages: tuple[str, str], retain: bool = False) -> tuple[Result, str]:
        file = tmp_path / "lab.toml"
        file.write_text(f'[lab]\nid = "w3"\n[mqtt]\nport = {mosquitto.port}\n[[machine]]\nid = "m"\n{machine}\n')
        with client(mosquitto.host, mosquitto.port) as device:

            def speak() -> None:
                for topic, payload in messages:
                    device.say(topic, payload, retain=retain)

            if retain:
                speak()
            with again_and_again((lambda: None) if retain else speak, 0.4):
                result = sheber("check", "--lab", file, "--devices", "--listen", "2s")
        (told,) = (said for said in result.stdout.splitlines() if "machine m," in said)
        return result, told

    return judge


Judge = Callable[..., tuple[Result, str]]
STATES = 'status = {dialect = "text", topic = "lab/mill/state", states = {RUN = "running"}}'


def test_a_source_that_speaks_is_well(judged: Judge) -> None:
    _, told = judged(STATES, ("lab/mill/state", "RUN"))
    assert re.match(r"OK       machine m, lab/mill/state: it speaks, every [0-9.]+ s\.", told)


def test_a_silent_topic_names_those_of_similar_names_that_speak(judged: Judge) -> None:
    result, told = judged(STATES, ("lab/Mill/state", "RUN"), ("weather/rain", "3"))
    assert told.startswith("PROBLEM")
    assert "lab/Mill/state" in told
    assert "weather" not in told
    assert result.exit_code == 1


def test_values_that_no_table_lists_are_named_with_the_line_to_write(judged: Judge) -> None:
    _, told = judged(STATES, ("lab/mill/state", "BUSY"))
    assert told.startswith("PROBLEM")
    assert 'states = {"BUSY" = "running"}' in told


def test_a_source_that_repeats_itself_too_slowly_is_a_warning(judged: Judge) -> None:
    _, told = judged('stale_after = "500ms"\n' + STATES, ("lab/mill/state", "RUN"))
    assert told.startswith("LOOK")
    assert re.search(r'Write stale_after = "\ds"', told)


def test_a_state_that_only_the_broker_kept_is_no_sign_of_life(judged: Judge) -> None:
    _, told = judged(STATES, ("lab/mill/state", "RUN"), retain=True)
    assert told.startswith("LOOK")
    assert "no evidence of now" in told


def test_a_source_in_another_dialect_is_recognised(judged: Judge) -> None:
    plug = '{"Time":"2019-03-01T12:48:40","ENERGY":{"Power":52}}'
    json = 'status = {dialect = "json", topic = "tele/mill-1/SENSOR", pointer = "/state", states = {RUN = "running"}}'
    _, told = judged(json, ("tele/mill-1/SENSOR", plug))
    assert told.startswith("PROBLEM")
    assert "tasmota reads it" in told


# --- check --devices: the broker and the disk


def test_a_password_that_the_broker_refuses_is_told_as_such() -> None:
    rude = RudeBroker(connack=b"\x20\x02\x00\x05")
    try:
        finding = try_broker(Broker(port=rude.port, username="sheber"))
    finally:
        rude.close()
    assert "the broker refuses us" in finding.detail
    assert finding.remedy == "Check username and password_file."


def test_tls_at_a_port_without_it_is_told_as_such(mosquitto: Any, tmp_path: Path) -> None:
    ca_file = str(Authority(tmp_path / "ca").file)
    finding = try_broker(Broker(port=mosquitto.port, ca_file=ca_file))
    assert "no TLS with the broker" in finding.detail
    assert "ca_file" in finding.remedy


def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n/dev/sdb {tmp_path}/a\\040b vfat rw 0 0\n"
    )
    (tmp_path / "a b" / "c").mkdir(parents=True)
    assert file_system(tmp_path, mounts) == "tmpfs"
    assert file_system(tmp_path / "a b" / "c", mounts) == "vfat"
    assert file_system(Path("/"), mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "none") == ""
