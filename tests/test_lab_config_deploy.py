"""The broker of `deploy/`, by the real mosquitto: each device speaks for itself alone, and the kiosk hears it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

DEPLOY = Path(__file__).parent.parent / "lab_config" / "deploy"


@pytest.fixture
def broker(tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]) -> Iterator[int]:
    """The port of a mosquitto with our configuration, and accounts for the kiosk and two machines."""
    port = free_port()
    for account in ("sheber", "mill-1", "mill-2"):
        command = ["mosquitto_passwd", "-b", *(["-c"] if account == "sheber" else []), "sheber.passwd", account, "pw"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(DEPLOY / "mosquitto-sheber.acl", tmp_path / "sheber.acl")
    for name in ("sheber.passwd", "sheber.acl"):
        (tmp_path / name).chmod(0o644)
    text = (DEPLOY / "mosquitto-sheber.conf").read_text().replace("/etc/mosquitto", str(tmp_path))
    (tmp_path / "sheber.conf").write_text(text.replace("listener 1883", f"listener {port}") + "user root\n")
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    assert program is not None
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(tmp_path / "sheber.conf")], stdout=log, stderr=log)
    wait_until(lambda: f"Opening ipv4 listen socket on port {port}" in (tmp_path / "log").read_text(), what="mosquitto")
    yield port
    process.kill()
    process.wait()


def connected(port: int, account: str, password: str = "pw") -> Client:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(account, password)
    answered = threading.Event()
    client.on_connect = lambda *_: answered.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert answered.wait(40)
    return client


def left(*clients: Client) -> None:
    for client in clients:
        client.disconnect()
        client.loop_stop()


def test_a_machine_speaks_for_itself_alone_and_the_kiosk_hears_it(
    broker: int, wait_until: Callable[..., object]
) -> None:
    heard: list[str] = []
    subscribed = threading.Event()
    kiosk, mill = connected(broker, "sheber"), connected(broker, "mill-1")
    kiosk.on_message = lambda _client, _userdata, message: heard.append(message.topic)
    kiosk.on_subscribe = lambda *_: subscribed.set()
    kiosk.subscribe([("tele/#", 1), ("lab/#", 1)])
    assert subscribed.wait(40)
    mill.publish("tele/mill-2/SENSOR", "forged", qos=1)
    mill.publish("sheber/w3/machine/mill-1/enable", "1", qos=1)
    mill.publish("tele/mill-1/SENSOR", "own", qos=1)
    mill.publish("lab/mill-1/state", "own", qos=1)
    wait_until(lambda: len(heard) >= 2, what="the machine's own messages")
    left(kiosk, mill)
    assert heard == ["tele/mill-1/SENSOR", "lab/mill-1/state"]


def test_a_machine_hears_what_the_kiosk_says_of_it_and_of_no_other(
    broker: int, wait_until: Callable[..., object]
) -> None:
    heard: list[str] = []
    kiosk, mill = connected(broker, "sheber"), connected(broker, "mill-1")
    subscribed = threading.Event()
    mill.on_message = lambda _client, _userdata, message: heard.append(message.topic)
    mill.on_subscribe = lambda *_: subscribed.set()
    mill.subscribe("sheber/#", 1)
    assert subscribed.wait(40)
    for machine in ("mill-2", "mill-1"):
        kiosk.publish(f"sheber/w3/machine/{machine}/enable", "1", qos=1)
    wait_until(lambda: heard, what="its own permission")
    left(kiosk, mill)
    assert heard == ["sheber/w3/machine/mill-1/enable"]


def test_without_the_password_nobody_is_let_in(broker: int) -> None:
    refused: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("sheber", "guess")
    answered = threading.Event()

    def on_connect(_client: Client, _userdata: object, _flags: object, code: object, _properties: object) -> None:
        refused.append(getattr(code, "is_failure", False))
        answered.set()

    client.on_connect = on_connect
    client.connect("127.0.0.1", broker)
    client.loop_start()
    assert answered.wait(40)
    left(client)
    assert refused[0]


@pytest.mark.parametrize("unit", ["sheber-run.service", "sheber-sync.service"])
def test_a_unit_starts_again_whatever_ends_but_not_a_bad_configuration(unit: str) -> None:
    text = (DEPLOY / unit).read_text()
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    service = parser["Service"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "78")
    assert service["ExecStart"].endswith("--lab /etc/sheber --data /var/lib/sheber")
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
