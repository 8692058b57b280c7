"""Trying a reader's port: is it there, may we, who else has it, and does what is heard on it make sense?"""

from __future__ import annotations

import errno
import grp
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from firmware_bridge import ports, registry
from firmware_bridge.probe.line import LineProbe
from firmware_bridge.readers.asking import Asking
from kiosk.cli.finding import Finding, from_words, seconds
from lab_config.model import Reader

_URL = re.compile(r"[a-z0-9]+://")


def try_port(
    reader: Reader, devices: Path = Path("/dev"), listen_s: float = 0.0, stopping: threading.Event | None = None
) -> Finding:
    """Open the reader's port as the kiosk would, and listen to it for so long, or until it is known to be well."""
    device = f"reader {reader.id}, {reader.port}"
    if not _URL.match(reader.port):
        problem = _try_path(device, reader.port, devices)
        if problem is not None:
            return problem
    decoder = registry.reader(reader.protocol, reader.options)
    probe = LineProbe(reader.port, decoder, reader.baud)
    try:
        probe.open()
        probe.listen(listen_s, stopping or threading.Event(), ends_with_answer=True)
    except ports.PORT_ERRORS as error:
        return _failed(device, reader.port, error)
    except ValueError as error:
        return Finding(device, False, f"it cannot be a port: {error}.", "Correct port or baud.")
    finally:
        probe.close()
    return _judged(device, reader, decoder, probe, listen_s)


def ports_there(devices: Path = Path("/dev")) -> list[str]:
    """The serial ports of this computer: the lasting names first, then those of USB and of the board."""
    patterns = ("serial/by-id/*", "ttyUSB*", "ttyACM*", "ttyAMA*", "serial[0-9]*")
    return [str(port) for pattern in patterns for port in sorted(devices.glob(pattern))]


def lasting_name(port: str, devices: Path = Path("/dev")) -> str:
    """The name under by-id of a port, which stays when readers change sockets; the port itself where it has none."""
    real = Path(port).resolve()
    return next((str(name) for name in sorted(devices.glob("serial/by-id/*")) if name.resolve() == real), port)


def holders(port: str) -> list[str]:
    """Other programs that have the port open, as far as this user may know: `minicom (process 812)`."""
    try:
        wanted = Path(port).stat().st_rdev
    except OSError:
        return []
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and _has_open(process, wanted):
            found.append(f"{_name_of(process)} (process {process.name})")
    return sorted(found)


def _try_path(device: str, port: str, devices: Path) -> Finding | None:
    """What is wrong with it before it is opened as a line; None where nothing is."""
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        there = ", ".join(ports_there(devices)) or "none"
        return Finding(device, False, "there is no such port.", f"Plug the reader in; the ports there are: {there}.")
    except OSError as error:
        return _failed(device, port, error)
    try:
        if not os.isatty(descriptor):
            return Finding(device, False, "it is not a serial port.", "Name one of those under /dev/serial/by-id.")
    finally:
        os.close(descriptor)
    return None


def _failed(device: str, port: str, error: BaseException) -> Finding:
    match getattr(error, "errno", None):
        case errno.EACCES | errno.EPERM:
            return Finding(device, False, "this user may not open it.", _permission_remedy(Path(port)))
        case errno.EBUSY | errno.EAGAIN:
            who = " and ".join(holders(port)) or "another program"
            remedy = f"Unless it is the kiosk itself, stop that program; sudo fuser {port} tells which."
            return Finding(device, False, f"{who} holds it.", remedy)
        case _ if _URL.match(port):
            return Finding(device, False, f"it does not open: {error}.", "Check the address, and that its end runs.")
        case _:
            return from_words(device, ports.in_words(port, error))


def _judged(device: str, reader: Reader, decoder: object, probe: LineProbe, listen_s: float) -> Finding:
    """What was heard, in words."""
    asked = isinstance(decoder, Asking)
    others = [] if _is_simulated(reader.port) else holders(reader.port)
    if others:
        took = f"{' and '.join(others)} has it open, too, and takes a part of what the reader says."
        return Finding(device, False, took, "Stop that program.")
    usual = registry.reader_class(reader.protocol).baud if reader.baud is None else reader.baud
    if (probe.reads or probe.answered) and probe.baud != usual:
        detail = f"its frames can be read at {probe.baud} baud, not at {usual}."
        return Finding(device, False, detail, f"Write baud = {probe.baud}.")
    if probe.reads:
        return Finding(device, True, f"it reads cards{_faults(probe.rejected)}.")
    if probe.answered:
        return Finding(device, True, "it answers; no card was held to it.")
    if probe.found is not None:
        speed = probe.baud if probe.baud != registry.reader_class(probe.found.protocol).baud else None
        remedy = f"Write {probe.found.words}{f', baud = {speed}' if speed else ''}."
        if asked:
            heard = f"it speaks, but not as a {reader.protocol}; {probe.found.protocol} reads what it says."
        else:
            rejects = _faults(probe.rejected)
            heard = f"frames arrive, but {reader.protocol} rejects them{rejects}; {probe.found.protocol} reads them."
        return Finding(device, False, heard, remedy)
    if asked and not probe.bytes and listen_s:
        return Finding(
            device,
            False,
            "it does not answer.",
            "Check its power, its wires and baud, and that its switches say serial.",
        )
    if probe.complaint:
        return from_words(device, probe.complaint)
    if not listen_s:
        return Finding(device, True, "it opens.")
    nothing = f"it opens, but nothing was heard in {seconds(int(listen_s * 1000))}."
    return Finding(device, True, nothing, "Hold a card to the reader while this listens.", look=True)


def _is_simulated(port: str) -> bool:
    """A pseudo-terminal has its other end open in the program that simulates the reader."""
    return str(Path(port).resolve()).startswith("/dev/pts/")


def _faults(rejected: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in rejected.items())})" if rejected else ""


def _permission_remedy(port: Path) -> str:
    try:
        group = grp.getgrgid(port.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "Give this user the right to open it; on Debian: sudo usermod -aG dialout $USER, then log in again."
    return f"It belongs to the group “{group}”: sudo usermod -aG {group} $USER, then log in again."


def _has_open(process: Path, device: int) -> bool:
    try:
        return any(_leads_to(link, device) for link in (process / "fd").iterdir())
    except OSError:
        return False  # it ended, or it is another user's


def _leads_to(link: Path, device: int) -> bool:
    try:
        return link.stat().st_rdev == device
    except OSError:
        return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
