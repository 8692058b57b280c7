"""The demo lab put together: broker, virtual readers and machines, kiosk, sync and hub, all on loopback."""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import subprocess
import sys
import tomllib
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher

from firmware_bridge.simulator.broker import LoopbackBroker
from firmware_bridge.simulator.catalogue import virtual_machine, virtual_reader
from firmware_bridge.simulator.workshop import Workshop
from kiosk.assembly import Kiosk
from kiosk.clock import ScaledClock
from kiosk.commands import AddUser, Command, ImportPeople, PersonRow, SetPin
from kiosk.demo.crowd import Crowd
from kiosk.demo.history import History
from kiosk.demo.office import of_this_year
from kiosk.desk import Desk
from kiosk.domain.entries import Stamp
from kiosk.hub.config import NewEnterprise, write_hub
from kiosk.imports.people import read_people
from kiosk.office import DATABASE
from kiosk.refs import new_boot_id, new_salt
from kiosk.store import people
from kiosk.store.files import keep_file
from kiosk.store.ledger import Ledger
from kiosk.store.schema import open_reader
from kiosk.sync.keys import load_or_make
from kiosk.words import local
from lab_config.demo import CONNECTIONS, FOLDER, PEOPLE, write_demo_lab
from lab_config.load import load
from lab_config.model import Lab

log = logging.getLogger(__name__)

ACCOUNTS = (
    ("instructor", "instructor", "i1"),
    ("lead", "lead", "i2"),
    ("admin", "admin", None),
    ("auditor", "auditor", None),
)
PINS = {"instructor": "2580", "lead": "1470"}
"""What they type at the panel, beside their badge."""
ENTERPRISES = {"ent-steel": "Demo Steel", "ent-tyre": "Demo Tyres", "ent-home": "Demo Appliances"}
AWAY = "ent-rail"
"""An enterprise whose computer is switched off: what waits for it, and since when, stands under "Sync"."""
AWAY_PORT = 9
FIRST_PHASES = {"elec-1": "setup", "weld-1": "idle"}
"""What the machines do when the demo starts; the others run."""
CHILD_STOP_S = 10.0


class DemoError(Exception):
    """The demo cannot start; one sentence with the remedy."""


@dataclass
class Demo:
    """Everything of one demo. `start` returns when all of it is up; `stop` leaves no process."""

    data: Path
    port: int = 8080
    speed: float = 1.0
    _parts: ExitStack = field(default_factory=ExitStack)
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> dict[str, object]:
        """Start everything; returns, and writes to `demo.json`, what a script needs to find its way."""
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """In the reverse order of the start. May be called again."""
        self._parts.close()

    def _start(self) -> dict[str, object]:
        self.data.mkdir(parents=True, exist_ok=True)
        screen_port, staff_port, hub_port = self._ports()
        broker = LoopbackBroker()
        self._parts.callback(broker.close)
        broker.start()
        with (FOLDER / CONNECTIONS).open("rb") as file:
            protocols = {r["id"]: r["protocol"] for r in tomllib.load(file)["reader"]}
        self.readers = {reader: virtual_reader(protocol) for reader, protocol in protocols.items()}
        hub_folder = self.data / "hub"
        lab_folder = write_demo_lab(
            self.data / "lab",
            kiosk_listen=f"127.0.0.1:{screen_port}",
            listen=f"127.0.0.1:{staff_port}",
            mqtt_port=broker.port,
            ports={reader: virtual.port for reader, virtual in self.readers.items()},
            enterprise_urls={
                **{e: f"http://127.0.0.1:{hub_port}/hooks/{e}" for e in ENTERPRISES},
                AWAY: f"http://127.0.0.1:{AWAY_PORT}/hooks/{AWAY}",
            },
            secret_files={e: str(hub_folder / f"{e}.whsec") for e in (*ENTERPRISES, AWAY)},
            token_files={e: str(hub_folder / f"{e}.token") for e in ENTERPRISES},
        )
        rows = self._people()
        self._first_start(hub_folder, rows, lab_folder)
        lab = load(lab_folder)
        self._child("hub", "--data", str(hub_folder), "--listen", f"127.0.0.1:{hub_port}")
        self._workshop(lab, broker.port)
        kiosk = self._kiosk(lab)
        self._child("sync", "--lab", str(lab_folder), "--data", str(self.data))
        crowd = Crowd(self.readers, {row.person_id: row.badges[0] for row in rows}.__getitem__, self.speed)
        crowd.start()
        self._parts.callback(crowd.stop)
        where = self._describe(kiosk, rows, broker.port, hub_folder, hub_port, protocols)
        # A script that waits for the file must never see half of it.
        draft = self.data / "demo.json.new"
        draft.write_text(json.dumps(where, ensure_ascii=False, indent=1), encoding="utf-8")
        draft.replace(self.data / "demo.json")
        return where

    def watch_children(self) -> None:
        """Raises `DemoError` if the hub or sync ended by itself."""
        for name, child in self._children.items():
            if child.poll() is not None:
                raise DemoError(f"sheber {name} ended with status {child.returncode}; see {self.data / name}.log")

    def _ports(self) -> tuple[int, int, int]:
        """The port asked for and the two after it; three free ones where 0 was asked for."""
        if self.port == 0:
            with ExitStack() as held:
                probes = [held.enter_context(socket.socket()) for _ in range(3)]
                for probe in probes:
                    probe.bind(("127.0.0.1", 0))
                first, second, third = (int(probe.getsockname()[1]) for probe in probes)
                return first, second, third
        for port in range(self.port, self.port + 3):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise DemoError(f"port {port} is taken; start with --port and another number") from error
        return self.port, self.port + 1, self.port + 2

    @staticmethod
    def _people() -> list[PersonRow]:
        rows, problems = read_people(PEOPLE)
        if problems:
            raise DemoError(f"the demo roster is damaged: {problems[0]}; install Sheber again")
        return list(rows)

    def _first_start(self, hub_folder: Path, rows: list[PersonRow], lab_folder: Path) -> None:
        """A new data folder gets its past, its accounts, its keys and its hub."""
        if (hub_folder / "hub.toml").exists():
            return
        hub_folder.mkdir(parents=True, exist_ok=True)
        for enterprise in ENTERPRISES:
            (hub_folder / f"{enterprise}.whsec").touch(mode=0o600)
            (hub_folder / f"{enterprise}.token").touch(mode=0o600)
        secret = base64.b64encode(new_salt() + new_salt()).decode()
        keep_file(hub_folder / f"{AWAY}.whsec", f"whsec_{secret}\n".encode())
        self._write_history(load(lab_folder), rows)
        with closing(open_reader(self.data / DATABASE)) as connection:
            origin = Ledger(connection).origin
        keys = load_or_make(self.data / "sync", origin)
        for enterprise in ENTERPRISES:
            (hub_folder / f"{enterprise}.whsec").unlink()
            (hub_folder / f"{enterprise}.token").unlink()
        new = [
            NewEnterprise(
                e, name, password=f"demo-{e}", trusted=(keys.signer.vkey,), webhook_public_key=keys.webhook_public
            )
            for e, name in ENTERPRISES.items()
        ]
        write_hub(hub_folder, new, demo=True)

    def _write_history(self, lab: Lab, rows: list[PersonRow]) -> None:
        """The weeks before, through the desk like everything else; its clock is the recording's own."""
        clock = ScaledClock()
        now_ms = clock.wall_ms()
        rows = of_this_year(rows, local(now_ms, ZoneInfo(lab.timezone)).date())
        with closing(Desk(self.data / DATABASE, clock, lab)) as desk:
            hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=2)
            boot, history = new_boot_id(), History(lab, rows, desk.badge_ref, "")
            first_ms = history.start_ms(now_ms)

            def stamp_at(utc_ms: int) -> Stamp:
                return Stamp(boot, utc_ms - first_ms, utc_ms, synced=True)

            desk.start_at(stamp_at(first_ms))
            users = [AddUser(n, role, hasher.hash(f"demo-{n}"), person) for n, role, person in ACCOUNTS]
            pins = [SetPin(name, hasher.hash(digits)) for name, digits in PINS.items()]
            roster: list[Command] = [ImportPeople(tuple(rows)), *users, *pins]
            desk.relive((stamp_at(first_ms), command) for command in roster)
            instructor, lead = (people.user_by_name(desk.connection, name) for name in ("instructor", "lead"))
            assert instructor is not None
            assert lead is not None
            history = History(lab, rows, desk.badge_ref, instructor.user_ref, lead.user_ref)
            desk.relive(history.observations(stamp_at, now_ms, desk.core.state))
            evening_ms, evening_boot = history.evening_ms(now_ms), new_boot_id()

            def unsynchronised(utc_ms: int) -> Stamp:
                return Stamp(evening_boot, utc_ms - evening_ms, utc_ms, synced=False)

            desk.start_at(unsynchronised(evening_ms))
            desk.relive(history.evening(unsynchronised, now_ms, desk.core.state))

    def _workshop(self, lab: Lab, mqtt_port: int) -> None:
        machines = {
            machine.id: virtual_machine(machine.id, machine.status.dialect, host="127.0.0.1", port=mqtt_port, seed=seed)
            for seed, machine in enumerate(lab.machines)
            if machine.status is not None
        }
        workshop = Workshop(self.readers, machines, speed=self.speed)
        self._parts.callback(workshop.stop)
        workshop.start()
        for machine in machines.values():
            machine.set_phase(FIRST_PHASES.get(machine.id, "running"))

    def _kiosk(self, lab: Lab) -> Kiosk:
        def tap(reader: str, badge: str) -> None:
            self.readers[reader].tap(badge)

        kiosk = Kiosk(lab, self.data, ScaledClock(self.speed), simulate_tap=tap)
        kiosk.start()
        self._parts.callback(kiosk.stop)
        return kiosk

    def _child(self, name: str, *arguments: str) -> None:
        """One of our own commands as a process of its own; what it says goes to a file."""
        with (self.data / f"{name}.log").open("ab") as output:
            # A session of its own: Ctrl-C reaches only us, and we stop the parts in order.
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                [sys.executable, "-m", "kiosk", name, *arguments],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._children[name] = child
        self._parts.callback(_end, child)

    def _describe(
        self,
        kiosk: Kiosk,
        rows: list[PersonRow],
        mqtt_port: int,
        hub_folder: Path,
        hub_port: int,
        protocols: dict[str, str],
    ) -> dict[str, object]:
        screen, staff = kiosk.addresses
        accounts = [
            {"user": n, "password": f"demo-{n}", "role": role} | ({"pin": PINS[n]} if n in PINS else {})
            for n, role, _ in ACCOUNTS
        ]
        accounts += [{"user": e, "password": f"demo-{e}", "role": "enterprise"} for e in ENTERPRISES]
        return {
            "kiosk": screen,
            "staff": staff,
            "hub": f"http://127.0.0.1:{hub_port}",
            "mqtt": {"host": "127.0.0.1", "port": mqtt_port},
            "accounts": accounts,
            "tokens": {e: (hub_folder / f"{e}.token").read_text(encoding="ascii").strip() for e in ENTERPRISES},
            "readers": {
                # The terminal behind the reader's name, which is what a script can look at while the demo runs.
                reader: {"port": os.path.realpath(virtual.port), "protocol": protocols[reader]}
                for reader, virtual in self.readers.items()
            },
            "people": [{"person_id": row.person_id, "badges": list(row.badges), "role": row.role} for row in rows],
        }


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(CHILD_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
