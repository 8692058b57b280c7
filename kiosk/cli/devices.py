"""Trying what a configuration names: ports, files, broker, sources, disk, clock. Each answer says what to do."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from kiosk.assembly import broker
from kiosk.cli.finding import Finding
from kiosk.cli.try_ports import try_port
from kiosk.cli.try_sources import try_sources
from kiosk.clock import is_synchronised
from lab_config.model import Lab

LEAST_FREE_BYTES = 500 * 1_000_000
"""Years of ledger, and room for a backup beside it."""
TICK_S = 0.1
FLEETING = ("tmpfs", "ramfs", "squashfs")
"""What forgets everything when the power goes."""
CARELESS = ("vfat", "msdos", "exfat", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "9p")
"""What cannot promise that a written page stays written, or keeps no locks."""


def try_devices(
    lab: Lab, data: Path | None, listen_s: float = 0.0, progress: Callable[[float], None] = lambda _: None
) -> list[Finding]:
    """Try everything once, all wires at the same time; `progress` is told the seconds that have passed."""
    stopping = threading.Event()
    with ThreadPoolExecutor(len(lab.readers) + 1) as wires:
        readers = [wires.submit(try_port, reader, listen_s=listen_s, stopping=stopping) for reader in lab.readers]
        sources: list[Future[list[Finding]]] = []
        if lab.mqtt is not None:
            sources.append(wires.submit(try_sources, lab, broker(lab.mqtt), listen_s, stopping))
        try:
            began_s = time.monotonic()
            waiting: list[Future[Any]] = [*readers, *sources]
            while wait(waiting, TICK_S).not_done:
                progress(time.monotonic() - began_s)
        finally:
            stopping.set()
    findings = [each.result() for each in readers]
    findings += [try_file(purpose, Path(name)) for purpose, name in _named_files(lab)]
    findings += [finding for each in sources for finding in each.result()]
    if data is not None:
        findings.append(try_disk(data))
    findings.append(try_clock())
    return findings


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


def try_disk(data: Path) -> Finding:
    """The free space where the ledger is, or will be."""
    folder = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    device, detail = f"disk, {data}", f"{free / 1e9:.1f} GB are free."
    if free < LEAST_FREE_BYTES:
        return Finding(device, False, detail, "Free some space, or move the data folder to a larger card.")
    if not os.access(folder, os.W_OK):
        return Finding(device, False, "this user may not write there.", "Run this as the user of the service.")
    kind = file_system(folder)
    if kind in FLEETING:
        return Finding(
            device, False, f"{kind} forgets everything when the power goes.", "Use a card, a disk or an SSD."
        )
    if kind == "overlay":
        remedy = (
            "On a Raspberry Pi, switch the overlay file system off, or put the data folder on a partition of its own."
        )
        return Finding(device, True, f"{detail} It is an overlay, which may forget everything.", remedy, look=True)
    if kind in CARELESS:
        return Finding(
            device,
            False,
            f"{kind} cannot promise that what was written stays.",
            "Use ext4 on this computer's own disk.",
        )
    return Finding(device, True, detail)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that a folder is on; empty where the system does not say."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    real = folder.resolve()
    # The kernel writes a blank in a name as \\040; of two mounts in one place the later hides the earlier.
    places = [(Path(place.replace("\\040", " ")), kind) for _, place, kind, *_ in lines]
    inside = [
        (len(place.parts), number, kind) for number, (place, kind) in enumerate(places) if real.is_relative_to(place)
    ]
    return max(inside)[2] if inside else ""


def try_clock() -> Finding:
    """Does the kernel say that the clock is synchronised?"""
    if is_synchronised():
        return Finding("clock", True, "it is synchronised.")
    remedy = "Give it a time server (systemctl enable --now systemd-timesyncd) or a hardware clock."
    return Finding("clock", False, "it is not synchronised.", remedy)


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
