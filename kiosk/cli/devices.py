"""Trying what a configuration names: ports, files, broker, disk, clock. Each answer says what to do."""

from __future__ import annotations

import errno
import grp
import os
import re
import shutil
import ssl
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import serial
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.mqtt_client import VERSIONS
from kiosk.clock import is_synchronised
from lab_config.model import Lab, Mqtt, Reader

LEAST_FREE_BYTES = 500 * 1_000_000
"""Years of ledger, and room for a backup beside it."""

BROKER_PATIENCE_S = 5.0

_URL = re.compile(r"[a-z0-9]+://")


@dataclass(frozen=True)
class Finding:
    """What one try found."""

    device: str
    ok: bool
    detail: str
    remedy: str = ""


def try_devices(lab: Lab, data: Path | None) -> list[Finding]:
    """Try everything once; slow devices are waited for a few seconds."""
    findings = [try_port(reader) for reader in lab.readers]
    findings += [try_file(purpose, Path(name)) for purpose, name in _named_files(lab)]
    if lab.mqtt is not None:
        findings.append(try_broker(lab.mqtt))
    if data is not None:
        findings.append(try_disk(data))
    findings.append(try_clock())
    return findings


def try_port(reader: Reader, devices: Path = Path("/dev")) -> Finding:
    """Open the reader's port, which must be a serial line that this user may use."""
    device = f"reader {reader.id}, {reader.port}"
    if _URL.match(reader.port):
        return _try_port_url(device, reader.port)
    try:
        descriptor = os.open(reader.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        there = ", ".join(ports_there(devices)) or "none"
        return Finding(device, False, "there is no such port.", f"Plug the reader in; the ports there are: {there}.")
    except PermissionError:
        return Finding(device, False, "this user may not open it.", _permission_remedy(Path(reader.port)))
    except OSError as error:
        if error.errno == errno.EBUSY:
            remedy = f"Unless it is the kiosk itself, stop that program; fuser {reader.port} tells which."
            return Finding(device, False, "another program holds it.", remedy)
        return Finding(device, False, f"it does not open: {error.strerror}.", "Unplug the reader and plug it in again.")
    try:
        if not os.isatty(descriptor):
            return Finding(device, False, "it is not a serial port.", "Name one of those under /dev/serial/by-id.")
    finally:
        os.close(descriptor)
    return Finding(device, True, "it opens.")


def ports_there(devices: Path = Path("/dev")) -> list[str]:
    """The serial ports of this computer: the lasting names first, then those of USB and of the board."""
    patterns = ("serial/by-id/*", "ttyUSB*", "ttyACM*", "ttyAMA*", "serial[0-9]*")
    return [str(port) for pattern in patterns for port in sorted(devices.glob(pattern))]


def try_file(purpose: str, file: Path) -> Finding:
    """A named file must be there; a secret must not be open to everybody. Its content is not read."""
    device = f"{purpose}, {file}"
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return Finding(device, False, "there is no such file.", "Write it, or correct its name in the configuration.")
    except OSError as error:
        remedy = "Run this as the user of the service."
        return Finding(device, False, f"it cannot be looked at: {error.strerror}.", remedy)
    if stat.S_ISDIR(mode):
        return Finding(device, False, "it is a folder.", "Name the file in it.")
    if mode & (stat.S_IROTH | stat.S_IWOTH) and "certificate" not in purpose:
        return Finding(device, False, "everybody on this computer can read it.", f"chmod o= {file}")
    return Finding(device, True, "it is there.")


def try_broker(mqtt: Mqtt, patience_s: float = BROKER_PATIENCE_S) -> Finding:
    """Connect to the broker as the kiosk would, and leave again."""
    device = f"broker, {mqtt.host}:{mqtt.port}"
    client = Client(CallbackAPIVersion.VERSION2, protocol=VERSIONS[mqtt.version])
    answered, refusals = threading.Event(), list[str]()

    def on_connect(_: Client, __: object, ___: ConnectFlags, code: ReasonCode, ____: Properties | None) -> None:
        if code.is_failure:
            refusals.append(str(code))
        answered.set()

    client.on_connect = on_connect
    client.connect_timeout = patience_s
    try:
        _give_credentials(client, mqtt)
    except (OSError, ValueError) as error:
        remedy = "Check the files that [mqtt] names, and run this as the user of the service."
        return Finding(device, False, f"its credentials cannot be used: {error}.", remedy)
    try:
        client.connect(mqtt.host, mqtt.port)
    except ssl.SSLError as error:
        return Finding(device, False, f"TLS failed: {error.reason}.", "Check ca_file, cert_file and key_file.")
    except OSError as error:
        remedy = "Start it (systemctl start mosquitto), or correct host and port in [mqtt]."
        return Finding(device, False, f"it cannot be reached: {error.strerror or 'no answer'}.", remedy)
    client.loop_start()
    try:
        if not answered.wait(patience_s):
            return Finding(device, False, "it does not speak MQTT.", "Correct host and port in [mqtt].")
    finally:
        client.disconnect()
        client.loop_stop()
    if refusals:
        return Finding(device, False, f"it refuses the kiosk: {refusals[0]}.", "Check username and password_file.")
    return Finding(device, True, "it answers.")


def try_disk(data: Path) -> Finding:
    """The free space where the ledger is, or will be."""
    folder = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    device, detail = f"disk, {data}", f"{free / 1e9:.1f} GB are free."
    if free < LEAST_FREE_BYTES:
        return Finding(device, False, detail, "Free some space, or move the data folder to a larger card.")
    if not os.access(folder, os.W_OK):
        return Finding(device, False, "this user may not write there.", "Run this as the user of the service.")
    return Finding(device, True, detail)


def try_clock() -> Finding:
    """Does the kernel say that the clock is synchronised?"""
    if is_synchronised():
        return Finding("clock", True, "it is synchronised.")
    remedy = "Give it a time server (systemctl enable --now systemd-timesyncd) or a hardware clock."
    return Finding("clock", False, "it is not synchronised.", remedy)


def _try_port_url(device: str, url: str) -> Finding:
    """A reader over the network, by pyserial."""
    try:
        serial.serial_for_url(url, timeout=1).close()  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        return Finding(device, False, f"it does not open: {error}.", "Check the address, and that the other end runs.")
    return Finding(device, True, "it opens.")


def _permission_remedy(port: Path) -> str:
    try:
        group = grp.getgrgid(port.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "Give this user the right to open it."
    return f"It belongs to the group “{group}”: sudo usermod -aG {group} $USER, then log in again."


def _named_files(lab: Lab) -> Iterator[tuple[str, str]]:
    """What each file is for, and its name."""
    candidates = [("web certificate", lab.web.tls_cert), ("web key", lab.web.tls_key)]
    if lab.mqtt is not None:
        candidates += [
            ("broker password", lab.mqtt.password_file),
            ("broker certificate authority", lab.mqtt.ca_file),
            ("broker client certificate", lab.mqtt.cert_file),
            ("broker client key", lab.mqtt.key_file),
        ]
    for enterprise in lab.enterprises:
        candidates.append((f"secret of {enterprise.id}", enterprise.secret_file))
        candidates.append((f"token of {enterprise.id}", enterprise.token_file))
    return ((purpose, name) for purpose, name in candidates if name is not None)


def _give_credentials(client: Client, mqtt: Mqtt) -> None:
    if mqtt.username:
        password = Path(mqtt.password_file).read_text(encoding="utf-8").strip() if mqtt.password_file else None
        client.username_pw_set(mqtt.username, password)
    if mqtt.ca_file:
        client.tls_set(mqtt.ca_file, certfile=mqtt.cert_file, keyfile=mqtt.key_file)
